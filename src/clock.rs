//! The only reader of clocks, and the format of times for programs.

use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use rustix::time::{ClockId, clock_gettime};

use crate::domain::time::{Moment, Now, Stamp};

/// Both clocks, read together.
///
/// The monotonic one is CLOCK_BOOTTIME, which goes on while the host is suspended, so that a night of sleep shows as
/// a gap and not as the next tick. Its origin is the first call.
pub fn now() -> Now {
    static ORIGIN: OnceLock<i64> = OnceLock::new();
    let boot = boot_nanos();
    let origin = *ORIGIN.get_or_init(|| boot);
    Now { mono: Moment::from_nanos(boot - origin), wall: wall() }
}

/// The wall clock alone.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads clocks")]
pub fn wall() -> Stamp {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Stamp::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}

/// When this host was booted, by the present wall clock.
pub fn booted() -> Stamp {
    Stamp::from_millis(wall().as_millis() - boot_nanos() / 1_000_000)
}

/// The instant of tokio's timer at which the core's clock will read `moment`.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads clocks")]
pub fn timer_at(moment: Moment) -> tokio::time::Instant {
    tokio::time::Instant::now() + moment.since(now().mono)
}

/// A stamp for programs: `2025-11-22T03:12:04.25Z`. A stamp outside the format's range becomes its first or last one.
pub fn rfc3339(stamp: Stamp) -> String {
    let millis = stamp.as_millis();
    let nearest = if millis < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
    jiff::Timestamp::from_millisecond(millis).unwrap_or(nearest).to_string()
}

fn boot_nanos() -> i64 {
    let at = clock_gettime(ClockId::Boottime);
    at.tv_sec.saturating_mul(1_000_000_000).saturating_add(at.tv_nsec)
}
