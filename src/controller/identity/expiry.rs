//! The end of an identity that is to live only so long.

use jiff::Timestamp;
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, Preconditions},
    runtime::events::EventType,
};

use crate::{
    api::WorkloadIdentity,
    controller::{context::Context, error::Error, objects::ObjectError, status},
};

/// Deletes an identity that has reached the end of its `spec.ttl`; its finalizer does the rest. Tells whether it did.
pub async fn end(ctx: &Context, api: &Api<WorkloadIdentity>, object: &WorkloadIdentity) -> Result<bool, Error> {
    if object.expires_at().is_none_or(|at| at > Timestamp::now().as_second()) {
        return Ok(false);
    }
    let message = "spec.ttl has passed: the identity is deleted, with what it has in Keycloak".to_owned();
    status::tell(&ctx.events, object, EventType::Normal, "Expired", "Delete", message).await;
    let name = object.name_any();
    let only_this = Preconditions { uid: object.uid(), resource_version: None };
    match api.delete(&name, &DeleteParams::default().preconditions(only_this)).await {
        Ok(_) => Ok(true),
        // Gone, or another of its name by now.
        Err(kube::Error::Api(status)) if status.code == 404 || status.code == 409 => Ok(true),
        Err(source) => {
            Err(ObjectError::Api { kind: "WorkloadIdentity".to_owned(), name, source: Box::new(source) }.into())
        }
    }
}
