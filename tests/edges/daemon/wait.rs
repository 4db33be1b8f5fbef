//! Waiting for a condition.

use std::thread;
use std::time::Duration;

use bothends::clock;

/// The longest wait: the metrics of a minute, which has to end before they are sent, on a busy machine.
const DEADLINE: Duration = Duration::from_secs(120);
/// Between two checks.
const PAUSE: Duration = Duration::from_millis(50);

#[track_caller]
pub(super) fn until(what: &str, mut so: impl FnMut() -> bool) {
    until_some(what, || so().then_some(()));
}

/// Waits until there is a value, and returns it.
#[track_caller]
pub(super) fn until_some<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    within(DEADLINE, what, look)
}

/// The same with another timeout.
#[track_caller]
pub(super) fn within<T>(patience: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = clock::now().mono + patience;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(clock::now().mono < deadline, "timed out after {patience:?} waiting until {what}");
        thread::sleep(PAUSE);
    }
}
