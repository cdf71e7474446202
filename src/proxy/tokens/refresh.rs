//! How often the outside may make us ask Keycloak. Pure: the time is an argument.

use std::time::{Duration, Instant};

/// A bucket of permits that fills slowly: a burst is served, a flood is not.
#[derive(Debug)]
pub struct Bucket {
    capacity: u32,
    interval: Duration,
    left: u32,
    since: Instant,
}

impl Bucket {
    /// Full at `now`; gains one permit each `interval`, up to `capacity`.
    pub fn new(capacity: u32, interval: Duration, now: Instant) -> Self {
        Self { capacity, interval, left: capacity, since: now }
    }

    /// Takes a permit, if there is one.
    pub fn take(&mut self, now: Instant) -> bool {
        while self.left < self.capacity && now.saturating_duration_since(self.since) >= self.interval {
            self.left += 1;
            self.since += self.interval;
        }
        if self.left == self.capacity {
            self.since = now;
        }
        let permitted = self.left > 0;
        self.left = self.left.saturating_sub(1);
        permitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_one_per_interval() {
        let start = Instant::now();
        let mut bucket = Bucket::new(2, Duration::from_secs(10), start);
        let at = |seconds| start + Duration::from_secs(seconds);
        for (second, expected) in [
            (0, true),
            (0, true),
            (0, false),
            (9, false),
            (10, true),
            (19, false),
            (20, true),
            (100, true),
            (100, true),
            (100, false),
        ] {
            assert_eq!(bucket.take(at(second)), expected, "second {second}");
        }
    }
}
