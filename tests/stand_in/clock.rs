//! The stand-in's clock: AWS's time, which a test can shift against its own or freeze.

/// Seconds since 1970-01-01T00:00:00Z, as AWS's JSON and CBOR carry them.
pub(crate) type Epoch = f64;

/// The machine's clock, shifted; or a frozen time.
pub(super) struct Clock {
    offset: f64,
    held: Option<Epoch>,
}

impl Clock {
    pub(super) fn real() -> Self {
        Self { offset: 0.0, held: None }
    }

    pub(super) fn now(&self) -> Epoch {
        self.held.unwrap_or_else(machine) + self.offset
    }

    /// Shifts the time by `seconds`, forward or back; clients see it in the `Date` header as a skew of their own clock.
    pub(super) fn advance(&mut self, seconds: f64) {
        self.offset += seconds;
    }

    /// Freezes the time; `false` lets it run on from there.
    pub(super) fn hold(&mut self, still: bool) {
        let now = self.now();
        self.held = still.then_some(now);
        self.offset = if still { 0.0 } else { now - machine() };
    }
}

/// In milliseconds, as at AWS: finer fractions would not survive JSON.
fn machine() -> Epoch {
    let now = jiff::Timestamp::now().as_duration().as_secs_f64();
    (now * 1e3).round() / 1e3
}

fn timestamp(time: Epoch) -> jiff::Timestamp {
    let duration = jiff::SignedDuration::try_from_secs_f64(time).unwrap_or_default();
    jiff::Timestamp::from_duration(duration).unwrap_or_default()
}

/// `2026-11-22T10:00:00.000Z`, as in AWS's XML.
pub(super) fn iso(time: Epoch) -> String {
    format!("{:.3}", timestamp(time))
}

/// `20261122T100000Z`, as in Signature Version 4.
pub(super) fn basic(time: Epoch) -> String {
    timestamp(time).strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// `Sun, 22 Nov 2026 10:00:00 GMT`, the `Date` header.
pub(super) fn http_date(time: Epoch) -> String {
    timestamp(time).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// Reads ISO 8601, extended or basic (`20261122T100000Z`).
pub(super) fn parse_iso(text: &str) -> Option<Epoch> {
    text.parse::<jiff::Timestamp>().ok().map(|parsed| parsed.as_duration().as_secs_f64())
}
