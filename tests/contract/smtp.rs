//! The mail server: its password is written once for each version, is shown to nobody, and takes nothing else away.

use keywire::core::desired::Sealed;
use serde_json::{Value, json};

use crate::keycloak::in_realm;
use crate::realm_settings::{desired, failures, pass};

const PASSWORD: &str = "sesame-for-this-test-only";

fn mail(from: &str) -> Value {
    let password = json!({"namespace": "corp", "name": "mail", "key": "password"});
    json!({
        "clientPolicies": {"fullScope": "Unguarded"},
        "smtp": {"host": "mail.example", "port": 587, "from": from, "login": {"user": "keycloak", "password": password}},
    })
}

#[tokio::test]
async fn a_password_is_written_once_for_each_version() {
    in_realm(|test| async move {
        let sealed = |version: &str| Some(Sealed::new(version, PASSWORD));
        let attributes = json!({"attributes": {"theirs": "x"}});
        test.raw.put("", &attributes).await;
        let wanted = desired(&test, mail("a@mail.example"), 0, sealed("corp/mail/password@1"));
        assert_eq!(pass(&test, &wanted).await, ["update_realm", "update_smtp"]);
        assert_eq!(pass(&test, &wanted).await, Vec::<&str>::new(), "converged, though it reads as asterisks");
        let (_, after) = test.raw.get("").await;
        assert_eq!(after["smtpServer"]["password"], "**********");
        assert_eq!(after["smtpServer"]["user"], "keycloak");
        assert_eq!(after["attributes"]["theirs"], "x");
        assert_eq!(after["attributes"]["keywire.dev/smtp-password"], "corp/mail/password@1");

        let renewed = desired(&test, mail("a@mail.example"), 0, sealed("corp/mail/password@2"));
        assert_eq!(pass(&test, &renewed).await, ["update_smtp"]);
        assert_eq!(pass(&test, &renewed).await, Vec::<&str>::new());

        // Without a password to be had, the mail server stays as it is.
        let unknown = desired(&test, mail("b@mail.example"), 0, None);
        assert_eq!(pass(&test, &unknown).await, Vec::<&str>::new());
        assert_eq!(test.raw.get("").await.1["smtpServer"]["from"], "a@mail.example");

        let open = json!({
            "clientPolicies": {"fullScope": "Unguarded"},
            "smtp": {"host": "mail.example", "from": "a@mail.example", "encryption": "None"},
        });
        let open = desired(&test, open, 0, None);
        assert_eq!(pass(&test, &open).await, ["update_smtp"]);
        assert_eq!(test.raw.get("").await.1["smtpServer"]["password"], Value::Null);
        assert_eq!(pass(&test, &open).await, Vec::<&str>::new());
    })
    .await;
}

#[tokio::test]
async fn a_refusal_shows_no_password() {
    in_realm(|test| async move {
        if test.keycloak.is_before_26_6().await {
            // It looks at no address.
            return;
        }
        let wanted = desired(&test, mail("no address"), 0, Some(Sealed::new("corp/mail/password@1", PASSWORD)));
        let report = test.realm.reconcile_settings(&wanted).await;
        let failures = failures(&report).join("; ");
        assert!(failures.contains("update mail server") && failures.contains("sender address"), "{failures}");
        let shown = format!("{failures} {report:?} {}", serde_json::to_string(&report.done).unwrap());
        assert!(!shown.contains(PASSWORD), "{shown}");
        let (_, after) = test.raw.get("").await;
        assert_eq!(after["attributes"]["keywire.dev/smtp-password"], Value::Null);
    })
    .await;
}
