//! Policy files: one that is taken says the same when it is written again, and lets nobody pass without a role.
#![cfg_attr(fuzzing, no_main)]

use keywire::core::{
    claims::NO_CLAIMS,
    path::CanonicalPath,
    policy::{
        compiled::CompiledPolicy,
        decide::{Caller, decide, may_anything},
        document::{GuardPolicy, Subject},
        roles::Roles,
    },
    protocol::{ModelUse, Need},
};

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| check(bytes));

const PATHS: [&str; 5] = ["/", "/v2/models/iris/infer", "/v1/chat/completions", "/a/b", "/metrics"];

pub fn check(bytes: &[u8]) {
    let Ok(document) = serde_json::from_slice::<GuardPolicy>(bytes) else { return };
    let text = serde_json::to_vec(&document).expect("writes");
    assert_eq!(serde_json::from_slice::<GuardPolicy>(&text).expect("reads"), document);
    let clients: Vec<String> = document.grants.iter().map(|grant| client(&grant.subject)).collect();
    let Ok(policy) = CompiledPolicy::compile(document) else { return };
    assert!(!policy.issuers.is_empty() && !policy.audience.is_empty());
    for path in PATHS {
        let path = CanonicalPath::parse(path).expect("a path");
        let Some(route) = policy.route("POST", path) else { continue };
        let permission = if let Need::Permission(permission) = route.need { permission } else { "read" };
        for client in &clients {
            let caller = Caller { client, roles: Roles::default(), claims: &NO_CLAIMS, behalf: None };
            assert!(decide(&policy, &caller, permission, &route.models, 0).is_err());
            assert!(decide(&policy, &caller, permission, &ModelUse::None, 0).is_err());
            assert!(!may_anything(&policy, &caller, 0));
        }
    }
}

fn client(subject: &Subject) -> String {
    let (Subject::Client(client) | Subject::Role(client)) = subject;
    client.clone()
}
