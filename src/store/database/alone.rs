//! What a tunnel's changes tell of a time in which AWS was not heard.

use crate::domain::event::Unheard;
use crate::domain::names::{End, TunnelId};
use crate::domain::time::Stamp;
use crate::domain::verdict::{Verdict, Why};

/// One tunnel's changes, as far as they have been read.
#[derive(Debug, Default)]
pub(super) struct Alone {
    /// When AWS's view became Unknown, if it still is.
    lost: Option<Stamp>,
    down: Vec<(Stamp, Stamp)>,
    down_since: Option<Stamp>,
    /// When anything changed last.
    last: Option<Stamp>,
    /// Until when the tunnel is known to have been probed.
    pub(super) probed: Option<Stamp>,
}

impl Alone {
    /// The next change.
    pub(super) fn changed(&mut self, end: End, from: Verdict, to: Verdict, at: Stamp) {
        let last = self.last.replace(at);
        if (end, from) == (End::Local, Verdict::Unknown(Why::Starting)) {
            // Another run: what the one before saw, it saw until its last word at most.
            self.down.extend(self.down_since.take().zip(last));
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
