//! Tells the API server which CA the webhook's certificate is of.

use k8s_openapi::{ByteString, api::admissionregistration::v1::MutatingWebhookConfiguration};
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde_json::json;

use super::{Error, FIELD_MANAGER, WEBHOOK_CONFIGURATION};

/// Applies `caBundle` to every webhook of the configuration, under a field manager of its
/// own: whoever applies the rest (Helm, Argo CD) and leaves it out changes nothing.
pub async fn publish_ca_bundle(client: &Client, bundle: &str) -> Result<(), Error> {
    let api: Api<MutatingWebhookConfiguration> = Api::all(client.clone());
    let kube = |what| move |source| Error::Kube { what, source };
    let read =
        api.get_opt(WEBHOOK_CONFIGURATION).await.map_err(kube("cannot read the MutatingWebhookConfiguration"))?;
    let Some(configuration) = read else {
        tracing::warn!(
            name = WEBHOOK_CONFIGURATION,
            "no MutatingWebhookConfiguration: no pod is injected until it is applied"
        );
        return Ok(());
    };
    let webhooks = configuration.webhooks.unwrap_or_default();
    let bundle = ByteString(bundle.as_bytes().to_vec());
    if webhooks.iter().all(|webhook| webhook.client_config.ca_bundle.as_ref() == Some(&bundle)) {
        return Ok(());
    }
    let entry = |name: &str| json!({"name": name, "clientConfig": {"caBundle": bundle}});
    let patch = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": WEBHOOK_CONFIGURATION},
        "webhooks": webhooks.iter().map(|webhook| entry(&webhook.name)).collect::<Vec<_>>(),
    });
    let params = PatchParams::apply(FIELD_MANAGER).force();
    api.patch(WEBHOOK_CONFIGURATION, &params, &Patch::Apply(patch)).await.map_err(kube("cannot apply caBundle"))?;
    tracing::info!(name = WEBHOOK_CONFIGURATION, "caBundle applied");
    Ok(())
}
