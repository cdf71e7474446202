//! W3C Trace Context: whose call this is part of, for the audit record.
//!
//! What is valid passes as it came. What is broken is taken out with its `tracestate`, as a participant does that starts anew
//! (§4.3). The guard itself begins a trace only where it records every decision: what it begins says "sampled", and a server
//! that samples by its own ratio would then follow each call, for a record that nobody writes.

use std::{
    cell::Cell,
    hash::{BuildHasher, RandomState},
    io::Write,
};

use http::{HeaderMap, HeaderName, HeaderValue};

/// The field that names trace and parent.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// What vendors add to it.
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
/// The length of a `traceparent` of version 00, in bytes.
const LENGTH: usize = 55;

/// The id of a trace: 32 lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceId([u8; 32]);

/// A cheap generator (SplitMix64), one per worker: an id must differ from others, it need not be secret.
#[derive(Debug)]
pub struct Random(Cell<u64>);

impl Default for Random {
    fn default() -> Self {
        Self(Cell::new(RandomState::new().hash_one(std::thread::current().id())))
    }
}

impl Random {
    fn next(&self) -> u64 {
        let seed = self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.0.set(seed);
        let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        // Nothing in a `traceparent` may be all zeros.
        (mixed ^ (mixed >> 31)) | 1
    }
}

impl TraceId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The trace that a request belongs to. One that belongs to none, or to a broken one, begins one if `begin`.
    pub fn of(headers: &mut HeaderMap, begin: bool, random: &Random) -> Option<Self> {
        match found(headers) {
            Found::Valid(id) => return Some(id),
            Found::Broken => {
                headers.remove(TRACEPARENT);
                headers.remove(TRACESTATE);
            }
            Found::None => {}
        }
        begin.then(|| Self::begin(headers, random)).flatten()
    }

    fn begin(headers: &mut HeaderMap, random: &Random) -> Option<Self> {
        let mut text = [0; LENGTH];
        write!(&mut text[..], "00-{:016x}{:016x}-{:016x}-01", random.next(), random.next(), random.next()).ok()?;
        headers.remove(TRACESTATE);
        headers.insert(TRACEPARENT, HeaderValue::from_bytes(&text).ok()?);
        parse(&text)
    }
}

enum Found {
    None,
    Valid(TraceId),
    Broken,
}

fn found(headers: &HeaderMap) -> Found {
    let Some(first) = headers.get(TRACEPARENT) else { return Found::None };
    let is_single = headers.get_all(TRACEPARENT).iter().nth(1).is_none();
    parse(first.as_bytes()).filter(|_| is_single).map_or(Found::Broken, Found::Valid)
}

/// §3.2: `VERSION-TRACE-PARENT-FLAGS`. A version to come may have more behind that.
fn parse(text: &[u8]) -> Option<TraceId> {
    let hex = |part: &[u8]| part.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let id = |part: &[u8]| hex(part) && part.iter().any(|byte| *byte != b'0');
    let (version, trace, parent, flags) = (text.get(..2)?, text.get(3..35)?, text.get(36..52)?, text.get(53..55)?);
    let dashes = [text[2], text[35], text[52]] == *b"---";
    let ends = text.len() == LENGTH || version != b"00" && text[LENGTH] == b'-';
    let is_valid = dashes && ends && hex(version) && version != b"ff" && id(trace) && id(parent) && hex(flags);
    is_valid.then(|| trace.try_into().ok().map(TraceId)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn headers(fields: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for field in fields {
            let Ok(value) = HeaderValue::from_str(field) else { panic!("{field}") };
            headers.append(TRACEPARENT, value);
        }
        headers.insert(TRACESTATE, HeaderValue::from_static("a=b"));
        headers
    }

    #[test]
    fn what_is_valid_passes_as_it_came() {
        for good in [GOOD, &format!("cc{}", &GOOD[2..]), &format!("cc{}-more", &GOOD[2..])] {
            let mut headers = headers(&[good]);
            let id = TraceId::of(&mut headers, true, &Random::default());
            assert_eq!(id.as_ref().map(TraceId::as_str), Some("0af7651916cd43dd8448eb211c80319c"));
            assert_eq!((headers[TRACEPARENT].to_str().ok(), headers.len()), (Some(good), 2));
        }
    }

    #[test]
    fn what_is_broken_begins_anew() {
        let upper = GOOD.to_ascii_uppercase();
        let (short, long) = (&GOOD[..54], format!("{GOOD}-x"));
        let zero = "00-00000000000000000000000000000000-b7ad6b7169203331-01";
        let orphan = "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01";
        let future = format!("ff{}", &GOOD[2..]);
        for bad in [&[""][..], &["x"], &[&upper], &[short], &[&long], &[zero], &[orphan], &[&future], &[GOOD, GOOD]] {
            let mut out = headers(bad);
            assert_eq!(TraceId::of(&mut out, false, &Random::default()), None, "{bad:?}");
            assert!(out.is_empty(), "{bad:?}");
            let mut made = headers(bad);
            let id = TraceId::of(&mut made, true, &Random::default());
            assert!(id.is_some() && parse(made[TRACEPARENT].as_bytes()) == id && made.len() == 1, "{bad:?} {made:?}");
        }
    }

    #[test]
    fn ids_differ() {
        let random = Random::default();
        let ids: Vec<_> =
            (0..1000).filter_map(|_| TraceId::begin(&mut HeaderMap::new(), &random)).map(|id| id.0).collect();
        let different: std::collections::HashSet<_> = ids.iter().collect();
        assert_eq!(different.len(), 1000);
    }
}
