//! What a tunnel's changes tell of a time in which AWS was not heard.

use std::time::Duration;

use crate::domain::event::Unheard;
use crate::domain::names::{End, TunnelId};
use crate::domain::time::Stamp;
use crate::domain::verdict::{Verdict, Why};

/// A host that was away for longer may have missed that the tunnel was Up.
const RESTARTS_WITHIN: Duration = Duration::from_secs(15 * 60);

/// One tunnel's changes, as far as they have been read.
#[derive(Debug, Default)]
pub(super) struct Alone {
    /// When AWS's view became Unknown, if it still is.
    lost: Option<Stamp>,
    down: Vec<(Stamp, Stamp)>,
    down_since: Option<Stamp>,
    /// When anything changed last.
    last: Option<Stamp>,
    /// Which ends have begun to say something in the run that is read, ours and AWS's.
    begun: [bool; 2],
    /// Since when packets have not passed, if our end had it Down last.
    stopped: Option<Stamp>,
    /// What our end said, from when on; Unknown from where a run ended.
    said: Vec<(Stamp, Verdict)>,
    /// Until when the tunnel is known to have been probed.
    pub(super) probed: Option<Stamp>,
}

impl Alone {
    /// The next change.
    pub(super) fn changed(&mut self, end: End, from: Verdict, to: Verdict, at: Stamp) {
        let last = self.last.replace(at);
        if self.begins(end, from, last) {
            // What the run before saw, it saw until its last word at most.
            self.down.extend(self.down_since.take().zip(last));
            self.said.extend(last.map(|last| (last, Verdict::Unknown(Why::Starting))));
        }
        if end == End::Local {
            self.said.push((at, to));
        }
        match (end, to) {
            (End::Aws, Verdict::Unknown(_)) => _ = self.lost.get_or_insert(at),
            (End::Aws, Verdict::Up | Verdict::Down) => self.lost = None,
            (End::Local, Verdict::Down) => _ = self.down_since.get_or_insert(at),
            (End::Local, Verdict::Up | Verdict::Unknown(_)) => {
                self.down.extend(self.down_since.take().map(|from| (from, at)));
            }
        }
    }

    /// Whether a change is the first of another run: an end that has begun before begins again.
    fn begins(&mut self, end: End, from: Verdict, last: Option<Stamp>) -> bool {
        let (index, begins) = match end {
            End::Local => (0, from == Verdict::Unknown(Why::Starting)),
            End::Aws => (1, from == Verdict::Unknown(Why::NotAsked)),
        };
        // The history begins within a run.
        if last.is_none() && !begins {
            self.begun = [true; 2];
        }
        let another = begins && self.begun[index];
        if another {
            self.begun = [false; 2];
        }
        self.begun[index] |= begins;
        another
    }

    /// Our end's Down came with this beginning.
    pub(super) fn stopped(&mut self, end: End, to: Verdict, stopped: Option<Stamp>, at: Stamp) {
        match (end, to) {
            (End::Local, Verdict::Down) => self.stopped = Some(stopped.unwrap_or(at)),
            (End::Local, Verdict::Up) => self.stopped = None,
            (End::Local, Verdict::Unknown(_)) | (End::Aws, _) => {}
        }
    }

    /// Since when packets have not passed, if the run before ended only a short while ago.
    pub(super) fn still_stopped(&self, now: Stamp) -> Option<Stamp> {
        self.stopped.filter(|_| self.ended().is_some_and(|ended| now.since(ended) <= RESTARTS_WITHIN))
    }

    /// What our end said a short while ago.
    pub(super) fn said(&self, now: Stamp) -> impl Iterator<Item = (Stamp, Verdict)> {
        let ended = self.ended().filter(|ended| now.since(*ended) <= RESTARTS_WITHIN);
        // What it said before still stood then.
        let from = self.said.iter().rposition(|(at, _)| now.since(*at) > RESTARTS_WITHIN).unwrap_or(0);
        let said = if ended.is_some() { &self.said[from..] } else { &[] };
        said.iter().copied().chain(ended.map(|ended| (ended, Verdict::Unknown(Why::Starting))))
    }

    /// When the last run was seen last.
    fn ended(&self) -> Option<Stamp> {
        self.last.max(self.probed)
    }

    /// What is to be found out about.
    pub(super) fn unheard(mut self, tunnel: TunnelId) -> Option<Unheard> {
        let since = self.lost?;
        if let Some(from) = self.down_since {
            self.down.push((from, self.probed.unwrap_or(from).max(from)));
        }
        (!self.down.is_empty()).then_some(Unheard { tunnel, since, down: self.down })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::names::VpnId;

    #[test]
    fn what_our_end_had_down_last_is_down_since_then_if_that_is_a_short_while_ago() {
        let mut alone = Alone::default();
        let mut change = |to, stopped: Option<i64>, secs| {
            alone.changed(End::Local, STALE, to, at(secs));
            alone.stopped(End::Local, to, stopped.map(at), at(secs));
        };
        change(Verdict::Down, Some(40), 43);
        change(Verdict::Up, None, 60);
        change(Verdict::Down, Some(97), 100);
        change(STALE, None, 110);
        alone.probed = Some(at(200));
        assert_eq!(alone.still_stopped(at(300)), Some(at(97)));
        assert_eq!(alone.still_stopped(at(200) + RESTARTS_WITHIN + Duration::from_secs(1)), None);
        alone.stopped(End::Local, Verdict::Up, None, at(250));
        assert_eq!(alone.still_stopped(at(300)), None);
    }

    const NOT_ASKED: Verdict = Verdict::Unknown(Why::NotAsked);

    fn said(changes: &[(End, Verdict, Verdict, i64)], probed: i64, now: i64) -> Vec<(Stamp, Verdict)> {
        let mut alone = Alone { probed: Some(at(probed)), ..Alone::default() };
        for (end, from, to, secs) in changes {
            alone.changed(*end, *from, *to, at(*secs));
        }
        alone.said(at(now)).collect()
    }

    #[test]
    fn a_run_ends_with_its_last_word_whichever_end_the_next_one_hears_first() {
        let first = [
            (End::Aws, NOT_ASKED, Verdict::Up, 1_700),
            (End::Local, STARTING, Verdict::Up, 1_705),
            (End::Local, Verdict::Up, Verdict::Down, 1_800),
            (End::Aws, Verdict::Up, Verdict::Down, 1_900),
        ];
        let aws = (End::Aws, NOT_ASKED, Verdict::Down, 2_000);
        let local = (End::Local, STARTING, Verdict::Down, 2_003);
        let later = (End::Aws, NOT_ASKED, Verdict::Down, 2_009);
        let expected = [
            (at(1_705), Verdict::Up),
            (at(1_800), Verdict::Down),
            (at(1_900), STARTING),
            (at(2_003), Verdict::Down),
            (at(2_120), STARTING),
        ];
        for second in [[aws, local], [local, later]] {
            assert_eq!(said(&[&first[..], &second].concat(), 2_120, 2_130), expected);
        }
    }

    #[test]
    fn what_our_end_said_long_ago_counts_as_long_as_it_stood_when_the_run_ended() {
        let changes = [
            (End::Local, STARTING, Verdict::Up, 10),
            (End::Local, Verdict::Up, Verdict::Down, 100),
            (End::Aws, Verdict::Up, Verdict::Down, 190),
        ];
        assert_eq!(said(&changes, 9_120, 9_130), [(at(100), Verdict::Down), (at(9_120), STARTING)]);
        assert_eq!(said(&changes, 7_000, 9_130), []);
        assert_eq!(said(&[], 7_000, 9_130), []);
    }

    const STALE: Verdict = Verdict::Unknown(Why::Stale);
    const STARTING: Verdict = Verdict::Unknown(Why::Starting);

    fn at(secs: i64) -> Stamp {
        Stamp::from_secs(secs)
    }

    fn unheard(
        changes: &[(End, Verdict, Verdict, i64)],
        probed: i64,
    ) -> Option<(Stamp, Vec<(Stamp, Stamp)>)> {
        let mut alone = Alone { probed: Some(at(probed)), ..Alone::default() };
        for (end, from, to, secs) in changes {
            alone.changed(*end, *from, *to, at(*secs));
        }
        let tunnel = TunnelId { vpn: VpnId::new("vpn-1"), outside_ip: [203, 0, 113, 1].into() };
        alone.unheard(tunnel).map(|unheard| (unheard.since, unheard.down))
    }

    #[test]
    fn what_was_seen_after_awss_view_was_lost_is_to_be_found_out_about() {
        let changes = [
            (End::Local, Verdict::Up, Verdict::Down, 100),
            (End::Aws, Verdict::Up, STALE, 200),
            (End::Local, Verdict::Down, Verdict::Up, 300),
            (End::Local, Verdict::Up, Verdict::Down, 400),
        ];
        assert_eq!(unheard(&changes, 480), Some((at(200), vec![(at(100), at(300)), (at(400), at(480))])));
    }

    #[test]
    fn nothing_is_where_aws_was_heard_again_or_our_end_was_never_down() {
        let heard = [
            (End::Local, Verdict::Up, Verdict::Down, 100),
            (End::Aws, Verdict::Up, STALE, 200),
            (End::Aws, STALE, Verdict::Down, 300),
        ];
        assert_eq!(unheard(&heard, 480), None);
        assert_eq!(unheard(&[(End::Aws, Verdict::Up, STALE, 200)], 480), None);
    }

    #[test]
    fn the_time_between_two_runs_is_not_seen_by_either() {
        let changes = [
            (End::Local, Verdict::Up, Verdict::Down, 100),
            (End::Aws, Verdict::Up, STALE, 200),
            (End::Local, STARTING, Verdict::Down, 5_000),
            (End::Local, Verdict::Down, Verdict::Up, 5_100),
        ];
        assert_eq!(
            unheard(&changes, 9_000),
            Some((at(200), vec![(at(100), at(200)), (at(5_000), at(5_100))]))
        );
    }
}
