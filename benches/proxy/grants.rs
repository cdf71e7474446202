//! What a decision costs by a policy with ten grants, and by one with fifty thousand.

use std::{
    fmt::{self, Display, Write},
    hint::black_box,
    time::Instant,
};

use keywire::core::{
    claims::NO_CLAIMS,
    path::CanonicalPath,
    policy::{
        compiled::CompiledPolicy,
        decide::{Caller, decide},
        document::GuardPolicy,
        roles::Roles,
    },
};
use serde_json::{Value, json};

use crate::{Result, report::Report, scene::Scene};

/// Decisions in a batch; the least disturbed of the batches counts.
const DECISIONS: usize = 100_000;
const BATCHES: usize = 20;

/// Route and decision for callers in no order, in this process: no socket and no token is in it.
pub fn measure(scene: &Scene, report: &mut Report) -> Result<()> {
    report.part("Decision (route, grant), without anything around it");
    for count in [10, 50_000] {
        let policy = CompiledPolicy::compile(document(scene, count)?)?;
        report.figure(&format!("a policy with {count} grants"), nanoseconds(&policy, count)?, "ns", None);
    }
    Ok(())
}

fn document(scene: &Scene, count: usize) -> Result<GuardPolicy> {
    let mut policy = scene.policy("OpenInference");
    policy["grants"] = grants(count);
    policy["listeners"][0]["listen"] = json!(1);
    Ok(serde_json::from_value(policy)?)
}

/// As many clients with a grant each.
pub fn grants(count: usize) -> Value {
    let grant = |number: usize| json!({"name": "g", "subject": {"client": client(number).to_string()}, "permissions": ["predict", "read"], "models": ["iris"]});
    (0..count).map(grant).collect()
}

fn client(number: usize) -> impl Display {
    fmt::from_fn(move |f| write!(f, "labeler-{number}.agents.workload"))
}

fn nanoseconds(policy: &CompiledPolicy, count: usize) -> Result<f64> {
    let roles = Roles::joined("read,predict");
    let path = CanonicalPath::parse("/v2/models/iris/ready")?;
    let mut turn = 1_usize;
    let batches = (0..BATCHES).map(|_| batch(policy, count, roles, path, &mut turn));
    Ok(batches.collect::<Result<Vec<f64>>>()?.into_iter().fold(f64::INFINITY, f64::min))
}

fn batch(
    policy: &CompiledPolicy,
    count: usize,
    roles: Roles<'_>,
    path: CanonicalPath<'_>,
    turn: &mut usize,
) -> Result<f64> {
    // A call's token was just read: its client is in the cache, as here, however many others there are.
    let mut name = String::with_capacity(64);
    let (started, mut allowed) = (Instant::now(), 0);
    for _ in 0..DECISIONS {
        // Far apart, so that no cache line of the one before helps.
        *turn = turn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        name.clear();
        write!(name, "{}", client((*turn >> 33) % count))?;
        let caller = Caller { client: &name, roles, claims: &NO_CLAIMS, behalf: None };
        let route = policy.route("GET", black_box(path)).ok_or("no route")?;
        allowed += usize::from(decide(policy, &caller, "read", &route.models, 0).is_ok());
    }
    if allowed != DECISIONS {
        return Err(format!("only {allowed} were allowed").into());
    }
    Ok(started.elapsed().as_nanos() as f64 / DECISIONS as f64)
}
