//! Calls of gRPC: their messages decided, then on to the application over HTTP/2.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    rc::Rc,
    task::Poll,
};

use bytes::Bytes;
use http::{HeaderValue, Method, Response, Uri, request::Parts, uri::Scheme};
use hyper::body::Incoming;

use super::{
    admit::{Admitted, Stop},
    content,
    identity::Caller,
    refuse,
    serve::GuardConnection,
    travel::Travel,
};
use crate::{
    core::{
        body::{
            grpc::{self, FrameError},
            model::{self, MAX_NAME},
            protobuf::{self, Field},
        },
        policy::compiled::CompiledPolicy,
        protocol::{BodyModel, Messages, ModelUse, Need, Route},
    },
    proxy::http::{
        answer::Refusal,
        body::AnswerBody,
        collect::MAX_REQUEST,
        grpc::outgoing,
        hygiene,
        messages::{self, CallBody, Decide, Verdict},
    },
};

/// What is asked again for each message of a call.
struct Call {
    connection: GuardConnection,
    caller: Rc<Caller>,
    authorization: Option<HeaderValue>,
    uri: Uri,
}

impl GuardConnection {
    /// Sends an admitted call on, with as much of its messages decided as the policy rests on.
    pub(super) async fn call(
        &self,
        mut parts: Parts,
        body: Incoming,
        admitted: Admitted,
        messages: Messages,
        authorization: Option<HeaderValue>,
    ) -> Result<Response<AnswerBody>, Refusal> {
        let verdict = Verdict::new();
        let body = match admitted.is_in_body {
            false => CallBody::Stream(body),
            true => {
                let call = self.messages_of(&parts, &admitted, authorization)?;
                read(call, &parts, body, messages, &verdict).await?
            }
        };
        let Admitted { port, caller, endpoint, place, .. } = admitted;
        self.introduce(&mut parts.headers, caller.as_deref(), endpoint);
        let request =
            outgoing(parts, body, Scheme::HTTP).map_err(|error| self.failed(refuse::upstream(error, port)))?;
        let links = self.worker.loopback_links(port);
        let mut sent = pin!(links.send(request));
        let mut response = poll_fn(|cx| match verdict.poll_refused(cx) {
            Poll::Ready(refusal) => Poll::Ready(Err(refusal)),
            Poll::Pending => {
                let sent = sent.as_mut().poll(cx);
                sent.map(|sent| sent.map_err(|error| self.failed(refuse::upstream(error, port))))
            }
        })
        .await?;
        hygiene::clean_response(response.headers_mut(), hygiene::Side::Guard);
        Ok(response.map(|body| body.under(verdict).holding(place)))
    }

    /// What its messages are decided with.
    fn messages_of(
        &self,
        parts: &Parts,
        admitted: &Admitted,
        authorization: Option<HeaderValue>,
    ) -> Result<Call, Refusal> {
        // Not reached: whoever needs no token needs no model either.
        let caller = Rc::clone(admitted.caller.as_ref().ok_or_else(refuse::no_policy)?);
        Ok(Call { connection: self.detached(), caller, authorization, uri: parts.uri.clone() })
    }
}

/// One message is read and decided before anything goes on, any number while they pass.
async fn read(
    call: Call,
    parts: &Parts,
    body: Incoming,
    messages: Messages,
    verdict: &Rc<Verdict>,
) -> Result<CallBody, Refusal> {
    content::check_choice(parts, true).map_err(|refusal| call.noted(refusal))?;
    match messages {
        Messages::Many => {
            let decide: Decide = Box::new(move |message| call.decide(message));
            Ok(CallBody::Messages(Box::new(messages::Messages::new(body, decide, Rc::clone(verdict)))))
        }
        Messages::One => {
            let most = MAX_REQUEST + grpc::PREFIX;
            let memory = call.connection.worker.bodies();
            let mut held =
                memory.collect(body, most).await.map_err(|error| call.noted(refuse::collect(error, most)))?;
            let whole = std::mem::take(&mut held.bytes);
            let decided = call.decide(grpc::only(&whole, MAX_REQUEST))?;
            Ok(CallBody::Full(held.keep(decided.unwrap_or(whole))))
        }
    }
}

impl Call {
    /// By the policy that is in force by now: what goes on instead of the message, if it is another.
    fn decide(&self, message: Result<&[u8], FrameError>) -> Result<Option<Bytes>, Refusal> {
        let message = message.map_err(|error| self.noted(refuse::frame(error)))?;
        let Self { connection, caller, authorization, uri } = self;
        let view = connection.guard.view();
        let policy = connection.policy(&view).map_err(Stop::into_refusal)?;
        let trust = view.trust.as_ref().ok_or_else(refuse::no_policy)?;
        // A call may outlive its token.
        connection.authenticate(policy, trust, None, authorization.as_ref(), false).map_err(Stop::into_refusal)?;
        let (route, other) = match connection.route_of(policy, Travel::Grpc, &Method::POST, uri)? {
            Some(Route {
                need: need @ Need::Permission(_),
                models: ModelUse::InBody(BodyModel::Protobuf(path)),
                name,
                listing,
                wire,
            }) => {
                let (model, other) = named(message, path, policy).map_err(|refusal| self.noted(refusal))?;
                (Some(Route { need, models: ModelUse::One(model.into()), name, listing, wire }), other)
            }
            // What no reader of messages can tell is not let through on the word of its head.
            Some(route) if route.is_in_body() => (None, None),
            // The policy is another one by now, and says by itself what this route touches.
            route => (route, None),
        };
        connection.authorize(&view, policy, caller, route.as_ref()).map_err(Stop::into_refusal)?;
        Ok(other)
    }

    /// Notes what cannot be read.
    fn noted(&self, refusal: Refusal) -> Refusal {
        self.connection.unreadable(&self.caller, refusal)
    }
}

/// The model that a message names, and the message that names it where it was put in: the endpoint's only one, in a field
/// of the message itself. In a message within, which may be one of many, nothing is put.
fn named(message: &[u8], path: &[u32], policy: &CompiledPolicy) -> Result<(String, Option<Bytes>), Refusal> {
    let field = protobuf::text(message, path).map_err(|error| refuse::body(error.into(), &error))?;
    match (field, path, policy.only_model()) {
        (Field::Text(model), ..) if model.len() > MAX_NAME => {
            let error = model::ModelError::NameTooLong;
            Err(refuse::body(error.into(), &error))
        }
        (Field::Text(model), ..) => Ok((model.to_owned(), None)),
        (Field::Nothing, [number], Some(only)) => {
            let framed = grpc::framed(&protobuf::append(message, *number, only));
            let framed = framed.ok_or_else(|| refuse::frame(FrameError::MessageTooLarge))?;
            Ok((only.to_owned(), Some(framed.into())))
        }
        (Field::Nothing, ..) => Err(refuse::no_model_in_message()),
    }
}
