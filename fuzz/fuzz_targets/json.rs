//! The model in a JSON body: what is told, serde_json reads too; what is put in is read back.
#![cfg_attr(fuzzing, no_main)]

use keywire::core::{
    body::model::{MODEL, Named, named},
    protocol::JsonModel,
};
use serde::Deserialize;

const JSON: JsonModel<'static> = JsonModel::Member(MODEL);

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| check(bytes));

/// As a server in Rust reads it. Whatever else there is may be anything, numbers of any size too.
#[derive(Deserialize)]
struct Model {
    model: Option<String>,
}

/// The same of Ollama, as it was.
#[derive(Deserialize)]
struct Name {
    name: Option<String>,
}

pub fn check(bytes: &[u8]) {
    for place in [JSON, JsonModel::ModelOrName] {
        let Ok(found) = named(bytes, place) else { continue };
        let model = match found {
            Named::Model(model) => model.into_owned(),
            Named::Nothing(gap) => {
                assert_eq!(read(bytes, place), None, "a model where there should be none");
                let filled = gap.fill("a \"model\"");
                assert_eq!(
                    read(&filled, place).as_deref(),
                    Some("a \"model\""),
                    "{}",
                    String::from_utf8_lossy(&filled)
                );
                continue;
            }
        };
        assert_eq!(read(bytes, place), Some(model));
    }
}

/// An empty name is none.
fn read(bytes: &[u8], place: JsonModel<'static>) -> Option<String> {
    let Model { model } = serde_json::from_slice(bytes).expect("JSON");
    let named = |name: &String| !name.is_empty();
    if place == JSON || model.as_ref().is_some_and(named) {
        return model.filter(named);
    }
    let Name { name } = serde_json::from_slice(bytes).expect("JSON");
    name.filter(named)
}
