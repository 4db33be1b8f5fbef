//! Which answers reached a daemon, by its own count. What was carried out for it and is not among them it may ask for again; of
//! everything else it knows that it was done. So a machine on which an answer comes too late is told from a daemon that forgets.

use super::process::Daemon;
use super::wait::until_some;

/// What the daemons of a test have counted, each until just before it was stopped.
#[derive(Debug, Default)]
pub(super) struct Answers(Vec<String>);

impl Answers {
    /// Takes down what a daemon has counted that is about to be stopped.
    pub(super) fn add(&mut self, daemon: &Daemon<'_>) {
        self.0.push(until_some("its metrics are there", || {
            Some(daemon.get("/metrics").body).filter(|metrics| !metrics.is_empty())
        }));
    }

    /// How often a daemon was stopped.
    pub(super) const fn lives(&self) -> usize {
        self.0.len()
    }

    /// How many answers to deliveries by a sink never came, of so many that were taken.
    #[track_caller]
    pub(super) fn lost_by(&self, sink: &str, taken: usize) -> usize {
        let labels = format!("sink=\"{sink}\",action=\"deliver\",result=\"ok\"");
        self.lost(taken, &format!("bothends_sink_requests_total{{{labels}}}"))
    }

    /// How many answers never came, of so many requests that were carried out; `ok` is the series that counts those that did.
    #[track_caller]
    pub(super) fn lost(&self, executed: usize, ok: &str) -> usize {
        let lines = self.0.iter().flat_map(|metrics| metrics.lines());
        let counts = lines.filter_map(|line| line.strip_prefix(ok)?.strip_prefix(' '));
        let came: usize = counts.map(|count| count.parse::<usize>().unwrap()).sum();
        assert!(came > 0, "no answer is counted by {ok}");
        let lost = executed.checked_sub(came);
        lost.unwrap_or_else(|| panic!("{ok} counts {came} answers to {executed} requests"))
    }
}
