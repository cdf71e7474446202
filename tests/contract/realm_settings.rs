//! The fields of a realm: what the kind says arrives, stays, and is asked for once; what Keycloak refuses fails alone.

use keywire::api::RealmSpec;
use keywire::core::desired::{DesiredRealm, Management, Sealed};
use keywire::keycloak::SettingsReport;
use serde_json::{Value, json};

use crate::keycloak::{TestRealm, in_realm, owner};

/// What a Realm with these fields asks of the test's own realm at this moment.
pub fn desired(test: &TestRealm, fields: Value, at: u64, password: Option<Sealed>) -> DesiredRealm {
    let mut spec = json!({"server": "main", "realm": test.name});
    spec.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let spec: RealmSpec = serde_json::from_value(spec).expect("a spec");
    let (full, problems) = spec.full_realm(at, password);
    assert_eq!(problems, []);
    DesiredRealm {
        realm: test.name.clone(),
        owner: owner("Realm", None, "ml"),
        management: Management::Full(Box::new(full)),
        workload_issuer: None,
        adopt: true,
    }
}

/// One pass; what was done, by kind.
pub async fn pass(test: &TestRealm, desired: &DesiredRealm) -> Vec<&'static str> {
    let report = test.realm.reconcile_settings(desired).await;
    assert!(report.failed.is_empty(), "{:?}", report.failed);
    kinds(&report)
}

pub fn kinds(report: &SettingsReport) -> Vec<&'static str> {
    report.done.iter().map(|change| change.kind()).collect()
}

/// What went wrong, in words.
pub fn failures(report: &SettingsReport) -> Vec<String> {
    report.failed.iter().map(ToString::to_string).collect()
}

fn everything() -> Value {
    json!({
        "displayName": "Machine learning", "displayNameHtml": "<b>Machine learning</b>".repeat(20), "sslRequired": "All",
        "tokens": {
            "accessTokenLifespan": "2m", "implicitAccessTokenLifespan": "3m", "codeLifespan": "1m", "loginLifespan": "20m",
            "loginActionLifespan": "4m", "userActionTokenLifespan": "6m", "adminActionTokenLifespan": "7h",
            "deviceCodeLifespan": "5m", "devicePollingInterval": "6s", "sessionIdleTimeout": "20m",
            "sessionMaxLifespan": "9h", "rememberMeIdleTimeout": "24h", "rememberMeMaxLifespan": "72h",
            "clientSessionIdleTimeout": "10m", "clientSessionMaxLifespan": "1h", "offlineSessionIdleTimeout": "240h",
            "offlineSessionMaxLifespan": "480h", "clientOfflineSessionIdleTimeout": "100h",
            "clientOfflineSessionMaxLifespan": "200h", "revokeRefreshToken": true, "refreshTokenMaxReuse": 2,
            "signatureAlgorithm": "ES256",
        },
        "login": {
            "registration": true, "emailAsUsername": false, "verifyEmail": true, "withEmail": false,
            "duplicateEmails": true, "resetPassword": true, "rememberMe": true, "editUsername": true,
        },
        "bruteForce": {
            "enabled": true, "maxFailures": 5, "strategy": "Linear", "waitIncrement": "2m", "maxWait": "20m",
            "failureReset": "6h", "quickLoginCheckMillis": 500, "minimumQuickLoginWait": "30s",
            "permanentLockout": true, "maxTemporaryLockouts": 3,
        },
        "passwordPolicy": {
            "minLength": 12, "maxLength": 64, "digits": 1, "lowerCase": 1, "upperCase": 1, "specialCharacters": 1,
            "notUsername": true, "notContainsUsername": true, "notEmail": true, "history": 3, "expireDays": 90,
            "hashAlgorithm": "argon2", "hashIterations": 5, "pattern": "^[a-z].*$", "reuseDays": 30,
        },
        "themes": {"login": "keycloak.v2", "account": "keycloak.v3", "admin": "keycloak.v2", "email": "keycloak"},
        "locales": {"supported": ["en", "de", "pt-BR"], "default": "de"},
        "securityHeaders": {"xFrameOptions": "DENY", "referrerPolicy": "same-origin"},
        "events": {
            "user": {"enabled": true, "expiry": "24h", "types": ["LOGIN_ERROR", "LOGIN"]},
            "admin": {"enabled": true, "expiry": "48h"},
            "listeners": ["email", "jboss-logging"],
        },
        "extra": {
            "otpPolicyDigits": 8, "webAuthnPolicyRpEntityName": "Keywire",
            "webAuthnPolicySignatureAlgorithms": ["RS256", "ES256", "ES384"],
            "attributes": {"frontendUrl": "https://auth.example"},
        },
    })
}

#[tokio::test]
async fn every_field_arrives_and_a_second_pass_changes_nothing() {
    in_realm(|test| async move {
        let (_, before) = test.raw.get("").await;
        let desired = desired(&test, everything(), 0, None);
        let report = test.realm.reconcile_settings(&desired).await;
        assert_eq!(failures(&report), Vec::<String>::new());
        assert_eq!(kinds(&report), ["update_realm", "update_client_profiles", "update_client_policies"]);
        assert_eq!(pass(&test, &desired).await, Vec::<&str>::new(), "converged");

        let (_, after) = test.raw.get("").await;
        let full = desired.full().unwrap();
        for (name, value) in serde_json::to_value(&full.settings).unwrap().as_object().unwrap() {
            match value {
                Value::Array(items) => {
                    let found = after[name].as_array().unwrap();
                    assert!(items.iter().all(|item| found.contains(item)) && items.len() == found.len(), "{name}");
                }
                Value::Object(members) => members.iter().for_each(|(key, value)| assert_eq!(&after[name][key], value)),
                value => assert_eq!(&after[name], value, "{name}"),
            }
        }
        assert_eq!(after["browserSecurityHeaders"]["xRobotsTag"], before["browserSecurityHeaders"]["xRobotsTag"]);
        assert_eq!(after["attributes"]["frontendUrl"], "https://auth.example");
        assert_eq!(after["attributes"]["adminEventsExpiration"], "172800");
        assert_eq!(after["attributes"]["cibaInterval"], before["attributes"]["cibaInterval"], "others' stay");
        assert_eq!(after["attributes"]["keywire.dev/owner"], owner("Realm", None, "ml").to_attribute());

        // What is no longer named stays as it is.
        let less = super::realm_settings::desired(&test, json!({}), 0, None);
        assert_eq!(pass(&test, &less).await, Vec::<&str>::new());
        assert_eq!(test.raw.get("").await.1["failureFactor"], 5);
    })
    .await;
}

#[tokio::test]
async fn what_is_refused_fails_alone() {
    in_realm(|test| async move {
        let fields = json!({
            "displayName": "Machine learning",
            "themes": {"login": "nowhere", "email": "keycloak"},
            "events": {"listeners": ["jboss-logging", "nobody"], "user": {"enabled": true, "types": ["NOTHING"]}},
            "passwordPolicy": {"notation": "nonsense(3)"},
            "extra": {"noSuchField": 1, "browserFlow": "no such flow", "otpPolicyDigits": 8},
            "clientPolicies": {"profiles": [{"name": "bad", "executors": [{"executor": "no-such-executor"}]}]},
            "userProfile": {"unmanagedAttributes": "AdminEdit"},
        });
        let report = test.realm.reconcile_settings(&desired(&test, fields, 0, None)).await;
        let failures = failures(&report).join("\n");
        for says in [
            "loginTheme: this Keycloak has no \"nowhere\"; it has ",
            "eventsListeners: this Keycloak has no \"nobody\"",
            "enabledEventTypes: this Keycloak has no \"NOTHING\"",
            "Password policy not found",
            "Unrecognized field \"noSuchField\"",
            "(browserFlow)",
            "executor",
        ] {
            assert!(failures.contains(says), "{says}: {failures}");
        }
        assert_eq!(report.failed.len(), 7, "{failures}");
        let (_, after) = test.raw.get("").await;
        assert_eq!(after["displayName"], "Machine learning");
        assert_eq!((&after["emailTheme"], &after["loginTheme"]), (&json!("keycloak"), &Value::Null));
        assert_eq!((&after["eventsEnabled"], &after["otpPolicyDigits"]), (&json!(true), &json!(8)));
        assert_eq!(test.raw.get("/users/profile").await.1["unmanagedAttributePolicy"], "ADMIN_EDIT");
    })
    .await;
}

#[tokio::test]
async fn keycloak_takes_names_that_it_does_not_have_and_fails_on_long_ones() {
    in_realm(|test| async move {
        for body in [
            json!({"loginTheme": "nowhere"}),
            json!({"eventsListeners": ["nobody"]}),
            json!({"enabledEventTypes": ["NOTHING"]}),
            json!({"supportedLocales": ["xx"]}),
        ] {
            assert_eq!(test.raw.put("", &body).await.0, 204, "{body}: why we look ourselves");
        }
        // Keycloak 26.5 had room for it.
        let expected = if test.keycloak.is_before_26_6().await { 204 } else { 500 };
        let long = json!({"displayName": "x".repeat(256)});
        assert_eq!(test.raw.put("", &long).await.0, expected, "why the CRD has bounds");
        assert_eq!(test.raw.put("", &json!({"displayNameHtml": "x".repeat(1024)})).await.0, 204);
        let offers = test.admin.offers().await.unwrap();
        assert!(offers.themes["login"].contains("keycloak") && offers.event_types.contains("LOGIN"), "{offers:?}");
        assert!(offers.listeners.contains("jboss-logging"), "{offers:?}");
    })
    .await;
}

#[tokio::test]
async fn what_a_put_would_take_away_is_sent_along() {
    in_realm(|test| async move {
        let mine = json!({"attributes": {"theirs": "x", "cibaInterval": "9", "parRequestUriLifespan": "99"},
            "oauth2DeviceCodeLifespan": 601, "oauth2DevicePollingInterval": 7});
        let kept = |realm: &Value| {
            let attributes = &realm["attributes"];
            let attributes = [&attributes["theirs"], &attributes["cibaInterval"], &attributes["parRequestUriLifespan"]];
            let fields = [&realm["oauth2DeviceCodeLifespan"], &realm["oauth2DevicePollingInterval"]];
            json!([attributes, fields])
        };
        assert_eq!(test.raw.put("", &mine).await.0, 204);
        let before = kept(&test.raw.get("").await.1);
        assert_eq!(before, json!([["x", "9", "99"], [601, 7]]));

        let extra = json!({"displayName": "ML", "extra": {"otpPolicyDigits": 8, "webAuthnPolicyCreateTimeout": 9}});
        let wanted = desired(&test, extra, 0, None);
        pass(&test, &wanted).await;
        let (_, after) = test.raw.get("").await;
        assert_eq!(kept(&after), before);
        assert_eq!((&after["otpPolicyDigits"], &after["webAuthnPolicyCreateTimeout"]), (&json!(8), &json!(9)));
        assert_eq!(pass(&test, &wanted).await, Vec::<&str>::new());

        // The facts themselves.
        assert_eq!(test.raw.put("", &json!({"displayName": "other"})).await.0, 204);
        let (_, bare) = test.raw.get("").await;
        assert_eq!(kept(&bare), json!([["x", "5", "60"], [600, 5]]), "defaults, in a PUT about something else");
        assert_eq!(test.raw.put("", &json!({"attributes": {"only": "this"}})).await.0, 204);
        assert_eq!(test.raw.get("").await.1["attributes"]["theirs"], Value::Null, "replaced as a map");
        for alone in [json!({"otpPolicyDigits": 6}), json!({"webAuthnPolicyCreateTimeout": 0})] {
            assert_eq!(test.raw.put("", &alone).await.0, 204);
        }
        let (_, ignored) = test.raw.get("").await;
        assert_eq!((&ignored["otpPolicyDigits"], &ignored["webAuthnPolicyCreateTimeout"]), (&json!(8), &json!(9)));
    })
    .await;
}
