//! Websockets whose messages name models: each name is decided before its message goes on.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    rc::Rc,
};

use tokio::sync::OwnedSemaphorePermit;

use super::{refuse, websocket::Permit};
use crate::{
    core::{
        body::{
            json::JsonError,
            model::MAX_NAME,
            realtime::{self, Message},
            websocket::{self, FrameError, Reader},
        },
        policy::{compiled::CompiledPolicy, decide},
        protocol::ModelUse,
    },
    proxy::http::{collect::MAX_REQUEST, tunnel::Inspect},
};

/// The most models that one session names.
const MAX_MODELS: usize = 16;
/// RFC 6455 §7.4.1: the payload is not what it should be, the policy is against it, and there is no room.
const INVALID_PAYLOAD: u16 = 1007;
pub(super) const POLICY_VIOLATION: u16 = 1008;
const TRY_LATER: u16 = 1013;

/// The models that a session has named so far.
#[derive(Debug, Default)]
pub(super) struct Named {
    models: RefCell<BTreeSet<String>>,
    /// The session's own model is one of them.
    is_chosen: Cell<bool>,
    /// It was not when a message went on: its client may use every model.
    is_any: Cell<bool>,
}

/// The messages of one session.
pub(super) struct Session {
    permit: Rc<Permit>,
    reader: Reader,
    share: Option<OwnedSemaphorePermit>,
}

/// Why a session ends.
pub(super) enum End {
    /// By what its client sent, which nobody has noted yet.
    Frame(FrameError),
    /// By a decision: the status for its client (RFC 6455 §7.4.1), and the reason that was noted.
    Noted(u16, &'static str),
}

/// Why a message is not decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
enum NamingError {
    /// It cannot be read.
    #[error(transparent)]
    #[strum(transparent)]
    Json(#[from] JsonError),
    /// Longer than [`MAX_NAME`].
    #[error("the model's name in the message is too long")]
    NameTooLong,
    /// More than [`MAX_MODELS`].
    #[error("the session names too many models")]
    TooManyModels,
}

impl From<FrameError> for End {
    fn from(error: FrameError) -> Self {
        Self::Frame(error)
    }
}

impl Named {
    /// With the model that its query names.
    pub fn by_query(models: Option<&ModelUse<'_>>) -> Self {
        let named = Self::default();
        if let Some(ModelUse::One(model)) = models {
            named.models.borrow_mut().insert(model.clone().into_owned());
            named.is_chosen.set(true);
        }
        named
    }

    /// One of them that may not be used any more.
    pub fn denied(
        &self,
        policy: &CompiledPolicy,
        asks: &decide::Caller<'_>,
        permission: &str,
        now: i64,
    ) -> Option<ModelUse<'static>> {
        let each = self.models.borrow().iter().map(|model| ModelUse::One(model.clone().into())).collect::<Vec<_>>();
        let all = each.into_iter().chain(self.is_any.get().then_some(ModelUse::Every));
        all.into_iter().find(|models| decide::decide(policy, asks, permission, models, now).is_err())
    }
}

impl Session {
    pub fn new(permit: Rc<Permit>) -> Self {
        Self { permit, reader: Reader::new(MAX_REQUEST), share: None }
    }
}

impl Inspect for Session {
    fn pass(&mut self, bytes: &[u8]) -> Result<Vec<u8>, Vec<u8>> {
        let permit = &self.permit;
        let passed = self.reader.pass(bytes, &mut |text| read(permit, text)).and_then(|passed| {
            self.hold()?;
            Ok(passed)
        });
        passed.map_err(|end| match end {
            End::Frame(error) => {
                self.permit.refused(refuse::body(error.into(), &error));
                websocket::close(error.status(), error.into())
            }
            End::Noted(status, reason) => websocket::close(status, reason),
        })
    }
}

impl Session {
    /// What is held counts as the bodies of others do.
    fn hold(&mut self) -> Result<(), End> {
        let held = self.reader.held();
        if held == 0 {
            self.share.take();
            return Ok(());
        }
        let connection = &self.permit.connection;
        connection.worker.bodies().share(&mut self.share, held).map_err(|error| {
            let refusal = connection.stop("unavailable", refuse::collect(error, MAX_REQUEST));
            End::Noted(TRY_LATER, refusal.reason())
        })
    }
}

/// Decides a message: by the policy that is in force by now, each model that the session has not named before.
fn read(permit: &Permit, text: &[u8]) -> Result<(), End> {
    let unreadable = |error: NamingError, status| {
        permit.refused(refuse::body(error.into(), &error));
        End::Noted(status, error.into())
    };
    let message = realtime::read(text).map_err(|error| unreadable(error.into(), INVALID_PAYLOAD))?;
    let Message { models, chooses } = message;
    let Named { models: named, is_chosen, is_any } = &permit.named;
    // Whoever answers it is the server's choice.
    if !chooses && !is_chosen.get() && !is_any.get() {
        permit.may(ModelUse::Every)?;
        is_any.set(true);
    }
    for model in models {
        let count = named.borrow().len();
        match named.borrow().contains(&*model) {
            true => continue,
            false if model.len() > MAX_NAME => return Err(unreadable(NamingError::NameTooLong, POLICY_VIOLATION)),
            false if count >= MAX_MODELS => return Err(unreadable(NamingError::TooManyModels, POLICY_VIOLATION)),
            false => {}
        }
        permit.may(ModelUse::One(model.as_ref().into()))?;
        named.borrow_mut().insert(model.into_owned());
    }
    is_chosen.set(is_chosen.get() || chooses);
    Ok(())
}
