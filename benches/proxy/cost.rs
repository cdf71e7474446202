//! CPU per request: that of a contestant's whole process over the requests that it served. It is the steadiest figure here;
//! other work on the machine only adds to it, so the least of the rounds counts.

use std::{collections::HashMap, time::Duration};

use crate::{
    Result,
    fixture::request,
    load::{self, End},
    process::Process,
    report::Report,
    scene::{CONNECTIONS, Scene},
};

/// µs per request, by contestant.
pub type Costs = HashMap<String, f64>;

/// A token seen before, a route with a model: what most requests are.
pub fn known_token(scene: &Scene, report: &mut Report) -> Result<()> {
    report.part("CPU per request, token seen before");
    let contestants: Vec<_> =
        scene.contestants.iter().map(|process| (process, process.name.clone(), scene.request.clone())).collect();
    let costs = rounds(scene, &contestants)?;
    let (hop, ours) = (costs["hop"], costs["keywire"]);
    for process in &scene.contestants {
        let cost = costs[&process.name];
        let limit = (process.name == "keywire").then_some(("≤ 1.35 × the bare hop", 1.35 * hop));
        report.figure(&format!("{} ({:.2} × the bare hop)", process.name, cost / hop), cost, "µs", limit);
    }
    match costs.get("envoy") {
        Some(envoy) => report.figure("ours to Envoy's", ours / envoy, "×", Some(("≤ half of it", 0.5))),
        None => report.skip("ours to Envoy's", "Envoy is not there"),
    }
    Ok(())
}

/// A prompt of 2 kB whose model is in the JSON, beside the same prompt streamed, whose model is in the path.
pub fn bodies(scene: &Scene, report: &mut Report) -> Result<()> {
    report.part("CPU per request, POST with a body of 2 kB");
    let guard = scene.guard("chat", &scene.policy("OpenAI"), &[])?;
    let text = "the quick brown fox jumps over the lazy dog ".repeat(45);
    let body = format!(r#"{{"messages":[{{"role":"user","content":"{text}"}}],"model":"iris","stream":false}}"#);
    let token = scene.fixture.token(0)?;
    let post = |path: &str| request(&format!("POST {path}"), &token, "Content-Type: application/json\r\n", &body);
    let (in_json, in_path) = (post("/v1/chat/completions"), post("/by-path/iris/chat"));
    scene.until_open(&guard, &in_json)?;
    let contestants = [
        (&scene.contestants[0], "hop".to_owned(), in_json.clone()),
        (&guard, "in path".to_owned(), in_path),
        (&guard, "in JSON".to_owned(), in_json),
    ];
    let costs = rounds(scene, &contestants)?;
    report.figure("bare hop", costs["hop"], "µs", None);
    report.figure("keywire, model in the path, body streamed", costs["in path"], "µs", None);
    report.figure("keywire, model in the JSON, body read", costs["in JSON"], "µs", None);
    report.figure("reading the body costs", costs["in JSON"] - costs["in path"], "µs", None);
    Ok(())
}

/// Every token is a new one: nothing can be remembered.
pub fn new_tokens(scene: &Scene, report: &mut Report) -> Result<()> {
    report.part(&format!("CPU per request, every token new ({} RS256 tokens a round)", scene.bench.tokens));
    let tokens = scene.fixture.tokens(scene.bench.tokens * scene.bench.rounds)?;
    let all: Vec<Vec<u8>> = tokens.iter().map(|token| request("GET /v2/models/iris/ready", token, "", "")).collect();
    let mut costs = Costs::new();
    for requests in all.chunks(scene.bench.tokens.max(1)) {
        for process in
            scene.contestants.iter().filter(|process| matches!(process.name.as_str(), "hop" | "keywire" | "envoy"))
        {
            note(&mut costs, &process.name, cost(process, requests, End::Once)?);
        }
    }
    let hop = costs["hop"];
    report.figure("bare hop", hop, "µs", None);
    if let Some(envoy) = costs.get("envoy") {
        report.figure("envoy", *envoy, "µs", None);
    }
    report.figure("keywire", costs["keywire"], "µs", Some(("≤ bare hop + 30", hop + 30.0)));
    Ok(())
}

/// Loads each in turn, round by round, so that what else happens on the machine meets all of them. The first round warms up.
pub fn rounds(scene: &Scene, contestants: &[(&Process, String, Vec<u8>)]) -> Result<Costs> {
    let mut costs = Costs::new();
    for round in 0..=scene.bench.rounds {
        for (process, name, request) in contestants {
            let seconds = if round == 0 { scene.bench.seconds.min(0.5) } else { scene.bench.seconds };
            let cost = cost(process, std::slice::from_ref(request), End::After(Duration::from_secs_f64(seconds)))?;
            if round > 0 {
                note(&mut costs, name, cost);
            }
        }
    }
    Ok(costs)
}

/// Keeps the least.
fn note(costs: &mut Costs, name: &str, cost: f64) {
    let least = costs.entry(name.to_owned()).or_insert(f64::INFINITY);
    *least = least.min(cost);
}

/// µs of CPU per request.
pub fn cost(process: &Process, requests: &[Vec<u8>], end: End) -> Result<f64> {
    let before = process.cpu()?;
    let tally = load::closed(process.port, requests, CONNECTIONS, end, || ())?;
    if tally.failed > 0 {
        return Err(format!("{}: {tally:?}", process.name).into());
    }
    Ok((process.cpu()? - before) / tally.good as f64 * 1e6)
}
