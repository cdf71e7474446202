//! The file's JSON Schema is made from the types, and checked in: it costs the binary its text alone.

use std::{env, fs};

use super::{Config, SCHEMA};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/keywire-proxy.json");

#[test]
fn the_schema_is_current() {
    let mut schema = schemars::schema_for!(Config);
    schema.insert("title".to_owned(), "keywire-proxy --config".into());
    let text = serde_json::to_string_pretty(&schema).map(|text| text + "\n").unwrap_or_default();
    if env::var_os("KEYWIRE_WRITE_SCHEMAS").is_some() {
        assert!(fs::write(PATH, &text).is_ok());
    } else {
        assert!(text == SCHEMA, "schemas/keywire-proxy.json is stale: run `make schemas`");
    }
}
