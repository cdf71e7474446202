//! What fuzzing begins with (`fuzz/`), as a plain test: each check, once over its corpus.

use std::{collections::BTreeSet, fs, path::Path};

#[path = "../../fuzz/fuzz_targets/graphql.rs"]
mod graphql;
#[path = "../../fuzz/fuzz_targets/grpc.rs"]
mod grpc;
#[path = "../../fuzz/fuzz_targets/head.rs"]
mod head;
#[path = "../../fuzz/fuzz_targets/json.rs"]
mod json;
#[path = "../../fuzz/fuzz_targets/multipart.rs"]
mod multipart;
#[path = "../../fuzz/fuzz_targets/path.rs"]
mod path;
#[path = "../../fuzz/fuzz_targets/policy.rs"]
mod policy;
#[path = "../../fuzz/fuzz_targets/protobuf.rs"]
mod protobuf;
#[path = "../../fuzz/fuzz_targets/query.rs"]
mod query;
#[path = "../../fuzz/fuzz_targets/rpc.rs"]
mod rpc;
#[path = "../../fuzz/fuzz_targets/token.rs"]
mod token;

type Check = fn(&[u8]);
const ALL: [(&str, Check); 11] = [
    ("graphql", graphql::check),
    ("grpc", grpc::check),
    ("head", head::check),
    ("json", json::check),
    ("multipart", multipart::check),
    ("path", path::check),
    ("policy", policy::check),
    ("protobuf", protobuf::check),
    ("query", query::check),
    ("rpc", rpc::check),
    ("token", token::check),
];

/// The names of what is in a folder of `fuzz/`.
fn names(folder: &str) -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(folder);
    let entries = fs::read_dir(folder).expect("a folder");
    entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name")).collect()
}

#[test]
fn every_check_holds_for_its_corpus() {
    for (name, check) in ALL {
        let folder = format!("corpus/{name}");
        let seeds = names(&folder);
        assert!(seeds.len() > 2, "{name} has hardly a corpus");
        for seed in seeds {
            println!("{name} {seed}");
            check(
                &fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(&folder).join(seed)).expect("a seed"),
            );
        }
    }
}

#[test]
fn no_target_is_forgotten() {
    let targets: BTreeSet<String> = ALL.iter().map(|(name, _)| format!("{name}.rs")).collect();
    assert_eq!(names("fuzz_targets"), targets);
    let manifest = include_str!("../../fuzz/Cargo.toml");
    for (name, _) in ALL {
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "{name}");
    }
}
