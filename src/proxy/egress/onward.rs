//! Calls of gRPC and websockets on their way out: sent once, with the token of the moment.

use bytes::Bytes;
use http::{Response, request::Parts};
use hyper::body::{Body, Incoming};

use super::{refuse, serve::EgressConnection, state::TargetState};
use crate::proxy::http::{
    answer::Refusal,
    body::AnswerBody,
    grpc,
    hygiene::{HygieneError, Side},
    messages::CallBody,
    tunnel::Tunnel,
    websocket::{Handshake, Opened},
};

impl EgressConnection {
    /// Sends a call of gRPC on. Its messages stream, so there is no second try.
    pub(super) async fn call_once(
        &self,
        target: &TargetState,
        parts: Parts,
        body: Option<Incoming>,
    ) -> Result<Response<AnswerBody>, Refusal> {
        let failed = |error| refuse::upstream(error, target);
        let (body, scheme) =
            (body.map_or(CallBody::Full(Bytes::new()), CallBody::Stream), target.resource().origin().scheme());
        let request = grpc::outgoing(parts, body, scheme).map_err(failed)?;
        self.worker.target_links(target).send(request).await.map_err(failed)
    }

    /// Opens a websocket, kept for as long as its target is one. The guard at its far end says when its token has run out.
    pub(super) async fn open(
        &self,
        target: &TargetState,
        handshake: &Handshake,
        parts: Parts,
        body: &Incoming,
    ) -> Result<Response<AnswerBody>, Refusal> {
        if !body.is_end_stream() {
            let error = HygieneError::UpgradeRefused;
            return Err(Refusal::ambiguous((&error).into(), format!("Refused: {error}.")));
        }
        let opened = handshake.open(target.resource().origin(), parts, Side::Egress).await;
        let Opened { response, upgraded } = opened.map_err(|error| refuse::upstream(error, target))?;
        if let Some(upgraded) = upgraded {
            let (egress, listen, id) = (self.egress.clone(), self.listen, target.id());
            let is_target = move || egress.view().target(listen).is_some_and(|state| state.id() == id);
            self.flow.switch(Tunnel::new(upgraded, is_target));
        }
        Ok(response)
    }
}
