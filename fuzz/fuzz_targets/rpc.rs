//! A message of JSON-RPC: what is told of it, serde_json reads too.
#![cfg_attr(fuzzing, no_main)]

use keywire::core::{
    body::rpc::message,
    protocol::{a2a, mcp},
};
use serde::{Deserialize, de::IgnoredAny};

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| check(bytes));

/// As a server in Rust reads it. Whatever else there is may be anything, numbers of any size too.
#[derive(Deserialize)]
struct Message {
    jsonrpc: String,
    method: Option<String>,
    params: Option<IgnoredAny>,
    result: Option<IgnoredAny>,
    error: Option<IgnoredAny>,
}

/// The same of a call of a tool.
#[derive(Deserialize)]
struct Call {
    params: Params,
}

#[derive(Deserialize)]
struct Params {
    name: String,
}

pub fn check(bytes: &[u8]) {
    let Ok(told) = message(bytes) else { return };
    let read: Message = serde_json::from_slice(bytes).expect("JSON");
    assert_eq!((read.jsonrpc.as_str(), read.method.as_deref()), ("2.0", told.method.as_deref()));
    assert_eq!(read.params.is_some(), told.params.is_some());
    assert_eq!(read.method.is_none(), read.result.is_some() || read.error.is_some());
    if let Ok(name) = told.param("name") {
        let read: Call = serde_json::from_slice(bytes).expect("a call");
        assert_eq!(read.params.name, name);
    }
    // Neither panics, and what names nothing has no name to compare.
    let _ = (mcp::call(&told), mcp::named(&told), a2a::call(&told));
}
