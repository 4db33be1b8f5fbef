//! Which AWS answers reached a daemon, by its own counters. A request that was executed but whose answer was lost may
//! be sent again; any other may not. This distinguishes a slow machine from a daemon that forgets.

use super::process::Daemon;
use super::wait::until_some;

/// The counters of a test's daemons, each read just before the daemon was stopped.
#[derive(Debug, Default)]
pub(super) struct Answers(Vec<String>);

impl Answers {
    /// Records the counters of a daemon that is about to be stopped.
    pub(super) fn add(&mut self, daemon: &Daemon<'_>) {
        self.0.push(until_some("its metrics are available", || {
            Some(daemon.get("/metrics").body).filter(|metrics| !metrics.is_empty())
        }));
    }

    /// How often a daemon was stopped.
    pub(super) const fn lives(&self) -> usize {
        self.0.len()
    }

    /// How many answers to this sink's deliveries were lost, of `taken` that the sink accepted.
    #[track_caller]
    pub(super) fn lost_by(&self, sink: &str, taken: usize) -> usize {
        let labels = format!("sink=\"{sink}\",action=\"deliver\",result=\"ok\"");
        self.lost(taken, &format!("bothends_sink_requests_total{{{labels}}}"))
    }

    /// How many answers were lost, of `executed` requests; `ok` is the series that counts the answers received.
    #[track_caller]
    pub(super) fn lost(&self, executed: usize, ok: &str) -> usize {
        let lines = self.0.iter().flat_map(|metrics| metrics.lines());
        let counts = lines.filter_map(|line| line.strip_prefix(ok)?.strip_prefix(' '));
        let came: usize = counts.map(|count| count.parse::<usize>().unwrap()).sum();
        assert!(came > 0, "{ok} counts no answer");
        let lost = executed.checked_sub(came);
        lost.unwrap_or_else(|| panic!("{ok} counts {came} answers to {executed} requests"))
    }
}
