//! How much one client may ask for, by the generic cell rate algorithm (ITU-T I.371): one number per client. Pure.

use crate::core::policy::document::Limits;

const SECOND: u64 = 1_000_000_000;

/// A [`Limits`] that was checked. Times are in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompiledLimits {
    /// As in the document.
    pub source: Limits,
    rate: Option<Rate>,
    /// The most calls in progress at once.
    pub concurrent: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rate {
    /// Between two calls at the steady rate.
    interval: u64,
    /// How far a client may be ahead of it.
    burst: u64,
}

/// Why limits make no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLimits {
    /// It would refuse everything.
    #[error("a limit of zero refuses every call; leave it out, or take the grants away")]
    Zero,
    /// A burst of what?
    #[error("limits.burst needs limits.requestsPerSecond")]
    BurstAlone,
}

impl CompiledLimits {
    /// Checks limits. Without a burst of its own, a second's calls may come at once.
    pub fn compile(limits: Limits) -> Result<Self, InvalidLimits> {
        let Limits { requests_per_second, burst, concurrent } = limits;
        if [requests_per_second, burst, concurrent].contains(&Some(0)) {
            return Err(InvalidLimits::Zero);
        }
        let rate = match (requests_per_second, burst) {
            (None, Some(_)) => return Err(InvalidLimits::BurstAlone),
            (None, None) => None,
            (Some(rate), burst) => {
                let interval = SECOND / u64::from(rate);
                Some(Rate { interval, burst: interval * u64::from(burst.unwrap_or(rate)) })
            }
        };
        Ok(Self { source: limits, rate, concurrent })
    }

    /// One more call at `now`, of a client whose calls so far are paid for until `paid`: until when they are then, or how long
    /// it has to wait.
    pub fn next(&self, paid: u64, now: u64) -> Result<u64, u64> {
        let Some(Rate { interval, burst }) = self.rate else { return Ok(paid) };
        let then = paid.max(now).saturating_add(interval);
        let latest = now.saturating_add(burst);
        if then <= latest { Ok(then) } else { Err(then - latest) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compile(
        rate: Option<u32>,
        burst: Option<u32>,
        concurrent: Option<u32>,
    ) -> Result<CompiledLimits, InvalidLimits> {
        CompiledLimits::compile(Limits { requests_per_second: rate, burst, concurrent })
    }

    #[test]
    fn nonsense_is_refused() {
        assert_eq!(compile(Some(0), None, None), Err(InvalidLimits::Zero));
        assert_eq!(compile(Some(1), Some(0), None), Err(InvalidLimits::Zero));
        assert_eq!(compile(None, None, Some(0)), Err(InvalidLimits::Zero));
        assert_eq!(compile(None, Some(5), None), Err(InvalidLimits::BurstAlone));
        assert!(compile(None, None, None).is_ok_and(|limits| limits.next(0, 0) == Ok(0)));
    }

    #[test]
    fn a_burst_then_the_rate() {
        let Ok(limits) = compile(Some(10), Some(3), None) else { panic!("compiles") };
        let mut paid = 0;
        // Milliseconds, and the wait that is told, if any.
        for (at, wait) in [
            (1000, None),
            (1000, None),
            (1000, None),
            (1000, Some(100)),
            (1050, Some(50)),
            (1100, None),
            (1100, Some(100)),
            (9000, None),
            (9000, None),
            (9000, None),
            (9000, Some(100)),
        ] {
            let next = limits.next(paid, at * 1_000_000);
            assert_eq!(next.err(), wait.map(|wait: u64| wait * 1_000_000), "at {at}");
            paid = next.unwrap_or(paid);
        }
    }
}
