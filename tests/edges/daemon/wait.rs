//! Waiting for what must happen sooner or later.

use std::thread;
use std::time::Duration;

use bothends::clock;

/// The longest that anything takes here: the metrics of a minute, which ends before they are sent, on a busy machine.
const DEADLINE: Duration = Duration::from_secs(120);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// Waits until `so` holds.
#[track_caller]
pub(super) fn until(what: &str, mut so: impl FnMut() -> bool) {
    until_some(what, || so().then_some(()));
}

/// Waits until there is something, and gives it.
#[track_caller]
pub(super) fn until_some<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    within(DEADLINE, what, look)
}

/// The same with another patience.
#[track_caller]
pub(super) fn within<T>(patience: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = clock::now().mono + patience;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(clock::now().mono < deadline, "waited {patience:?} in vain: {what}");
        thread::sleep(PAUSE);
    }
}
