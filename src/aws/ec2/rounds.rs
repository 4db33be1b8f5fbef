//! When each tunnel is asked about the maintenance of its endpoint: one call per tunnel, rarely in calm, often when the answer
//! matters.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::backoff::Backoff;
use crate::domain::names::{TunnelId, VpnId};
use crate::domain::time::Moment;

/// In calm. AWS announces a replacement days ahead.
const CALM: Duration = Duration::from_secs(15 * 60);
/// While an end calls a tunnel of the connection down, or a maintenance of it is pending.
const WATCHFUL: Duration = Duration::from_secs(60);
/// After a denial: somebody must change a policy.
const DENIED: Duration = Duration::from_secs(60 * 60);
/// After any other failure in calm.
const FAILED: Duration = Duration::from_secs(5 * 60);
/// Two questions are at least this far apart: an outage of hundreds of tunnels must not take the calls that pages need.
const APART: Duration = Duration::from_secs(1);

/// The tunnels and when each is due.
#[derive(Debug)]
pub(in crate::aws) struct Rounds {
    tunnels: BTreeMap<TunnelId, Round>,
    /// The connections of which an end calls a tunnel down.
    down: BTreeSet<VpnId>,
    /// When the last question of all was sent.
    asked: Option<Moment>,
    jitter: Backoff,
}

#[derive(Debug, Clone, Copy)]
struct Round {
    due: Moment,
    asked: Option<Moment>,
    pending: bool,
    denied: bool,
}

impl Rounds {
    pub(in crate::aws) fn new(jitter: Backoff) -> Self {
        Self { tunnels: BTreeMap::new(), down: BTreeSet::new(), asked: None, jitter }
    }

    /// These tunnels are to be asked about; all of them anew, because a new plan may have forgotten what was known.
    pub(in crate::aws) fn watch<'a>(&mut self, tunnels: impl Iterator<Item = &'a TunnelId>, now: Moment) {
        let tunnels: Vec<&TunnelId> = tunnels.collect();
        let spread = at_least_apart(tunnels.len(), Duration::ZERO).min(CALM);
        let fresh = |jitter: &mut Backoff| Round {
            due: now + jitter.draw(spread),
            asked: None,
            pending: false,
            denied: false,
        };
        self.tunnels = tunnels.into_iter().map(|tunnel| (tunnel.clone(), fresh(&mut self.jitter))).collect();
    }

    /// An end calls these tunnels down: their connections are asked about soon, if that was not within the last minute.
    pub(in crate::aws) fn see_down(&mut self, tunnels: &BTreeSet<TunnelId>) {
        let down: BTreeSet<VpnId> = tunnels.iter().map(|tunnel| tunnel.vpn.clone()).collect();
        let newly: Vec<VpnId> = down.difference(&self.down).cloned().collect();
        self.down = down;
        for vpn in newly {
            self.hasten(&vpn);
        }
    }

    /// The next tunnel to ask about, and when.
    pub(in crate::aws) fn next(&self) -> Option<(Moment, &TunnelId)> {
        let (due, tunnel) = self.tunnels.iter().map(|(tunnel, round)| (round.due, tunnel)).min()?;
        Some((self.asked.map_or(due, |asked| due.max(asked + APART)), tunnel))
    }

    /// The question is sent. It may be given up without an answer.
    pub(in crate::aws) fn asked(&mut self, tunnel: &TunnelId, now: Moment) {
        self.asked = Some(now);
        let wait = self.pace(&tunnel.vpn).min(FAILED);
        if let Some(round) = self.tunnels.get_mut(tunnel) {
            (round.asked, round.due) = (Some(now), now + wait);
        }
    }

    /// It was answered.
    pub(in crate::aws) fn answered(&mut self, tunnel: &TunnelId, pending: bool, now: Moment) {
        let Some(round) = self.tunnels.get_mut(tunnel) else { return };
        (round.pending, round.denied) = (pending, false);
        // What is allowed for one tunnel of a connection is allowed for the others.
        for (_, other) in self.tunnels.iter_mut().filter(|(id, round)| id.vpn == tunnel.vpn && round.denied) {
            (other.denied, other.due) = (false, now);
        }
        if pending {
            self.hasten(&tunnel.vpn);
        }
        let wait = self.pace(&tunnel.vpn);
        self.set_due(tunnel, now + wait);
    }

    /// The permission is missing. It is given per connection at the finest.
    pub(in crate::aws) fn denied(&mut self, vpn: &VpnId, now: Moment) {
        for (_, round) in self.tunnels.iter_mut().filter(|(id, _)| id.vpn == *vpn) {
            let wait = DENIED.mul_f64(0.75) + self.jitter.draw(DENIED / 4);
            (round.pending, round.denied, round.due) = (false, true, now + wait);
        }
    }

    /// Every tunnel of the connection that was not asked about within the last minute is due as soon as that is over.
    fn hasten(&mut self, vpn: &VpnId) {
        for (_, round) in self.tunnels.iter_mut().filter(|(id, round)| id.vpn == *vpn && !round.denied) {
            if let Some(asked) = round.asked {
                round.due = round.due.min(asked + WATCHFUL);
            }
        }
    }

    fn set_due(&mut self, tunnel: &TunnelId, due: Moment) {
        if let Some(round) = self.tunnels.get_mut(tunnel) {
            round.due = due;
        }
    }

    /// With jitter in calm, so that the questions of many tunnels do not come together.
    fn pace(&mut self, vpn: &VpnId) -> Duration {
        let pending = self.tunnels.iter().any(|(id, round)| id.vpn == *vpn && round.pending);
        if pending || self.down.contains(vpn) {
            let watched = self.tunnels.keys().filter(|id| self.down.contains(&id.vpn)).count();
            at_least_apart(watched, WATCHFUL)
        } else {
            let calm = at_least_apart(self.tunnels.len(), CALM);
            calm.mul_f64(0.75) + self.jitter.draw(calm / 4)
        }
    }
}

/// How often each of so many tunnels can be asked about, at most this often, so that half of the questions are left for others.
fn at_least_apart(tunnels: usize, pace: Duration) -> Duration {
    pace.max(APART.saturating_mul(2).saturating_mul(u32::try_from(tunnels).unwrap_or(u32::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn tunnel(vpn: &str, n: u8) -> TunnelId {
        TunnelId { vpn: VpnId::new(vpn), outside_ip: [203, 0, 113, n].into() }
    }

    /// Two tunnels of one connection, and one of another.
    fn tunnels() -> [TunnelId; 3] {
        [tunnel("vpn-a", 1), tunnel("vpn-a", 2), tunnel("vpn-b", 3)]
    }

    fn at(minutes: u32) -> Moment {
        Moment::ORIGIN + MINUTE * minutes
    }

    /// Asks what is due until `end`, answering with `pending`; returns when each tunnel was asked about.
    fn run(
        rounds: &mut Rounds,
        end: Moment,
        mut answer: impl FnMut(&mut Rounds, &TunnelId, Moment),
    ) -> BTreeMap<TunnelId, Vec<Moment>> {
        let mut asked: BTreeMap<TunnelId, Vec<Moment>> = BTreeMap::new();
        while let Some((due, tunnel)) = rounds.next().map(|(due, tunnel)| (due, tunnel.clone())) {
            if due > end {
                break;
            }
            rounds.asked(&tunnel, due);
            asked.entry(tunnel.clone()).or_default().push(due);
            answer(rounds, &tunnel, due);
        }
        asked
    }

    fn fresh() -> Rounds {
        let mut rounds = Rounds::new(Backoff::new(7));
        rounds.watch(tunnels().iter(), Moment::ORIGIN);
        rounds
    }

    fn gaps(asked: &[Moment]) -> Vec<Duration> {
        asked.windows(2).map(|pair| pair[1].since(pair[0])).collect()
    }

    #[test]
    fn in_calm_each_tunnel_is_asked_about_at_the_start_and_every_quarter_of_an_hour_with_jitter() {
        let asked = run(&mut fresh(), at(24 * 60), |rounds, tunnel, now| rounds.answered(tunnel, false, now));
        for (tunnel, asked) in &asked {
            assert!(asked[0] < Moment::ORIGIN + APART * 9, "{tunnel} at {:?}", asked[0]);
            for gap in gaps(asked) {
                assert!(gap >= CALM.mul_f64(0.75) && gap <= CALM + APART * 3, "{gap:?}");
            }
        }
        let [first, second, _] = tunnels();
        assert_ne!(asked[&first].last(), asked[&second].last());
    }

    #[test]
    fn many_tunnels_are_first_asked_about_one_after_the_other() {
        let many: Vec<TunnelId> = (0..=255).map(|n| tunnel(&format!("vpn-{n}"), n)).collect();
        let mut rounds = Rounds::new(Backoff::new(7));
        rounds.watch(many.iter(), Moment::ORIGIN);
        let asked = run(&mut rounds, at(10), |rounds, tunnel, now| rounds.answered(tunnel, false, now));
        assert_eq!(asked.len(), many.len());
        let mut all: Vec<Moment> = asked.values().flatten().copied().collect();
        all.sort();
        assert!(gaps(&all).iter().all(|gap| *gap >= APART));
    }

    #[test]
    fn a_thousand_tunnels_that_are_down_are_asked_about_once_a_second_and_each_in_its_turn() {
        let vpns: Vec<String> = (0..500).map(|n| format!("vpn-{n}")).collect();
        let many: BTreeSet<TunnelId> = vpns.iter().flat_map(|vpn| [tunnel(vpn, 1), tunnel(vpn, 2)]).collect();
        let mut rounds = Rounds::new(Backoff::new(7));
        rounds.watch(many.iter(), Moment::ORIGIN);
        let answered = |rounds: &mut Rounds, tunnel: &TunnelId, now| rounds.answered(tunnel, false, now);
        run(&mut rounds, at(60), answered);
        rounds.see_down(&many);
        let asked = run(&mut rounds, at(160), answered);
        let mut all: Vec<Moment> = asked.values().flatten().copied().collect();
        all.sort();
        assert!(gaps(&all).iter().all(|gap| *gap >= APART));
        assert!(many.iter().all(|tunnel| asked[tunnel].len() >= 2), "each within an hour");
    }

    #[test]
    fn one_connection_that_is_down_is_asked_about_at_once_among_hundreds() {
        let vpns: Vec<String> = (0..250).map(|n| format!("vpn-{n}")).collect();
        let many: Vec<TunnelId> = vpns.iter().flat_map(|vpn| [tunnel(vpn, 1), tunnel(vpn, 2)]).collect();
        let mut rounds = Rounds::new(Backoff::new(7));
        rounds.watch(many.iter(), Moment::ORIGIN);
        let answered = |rounds: &mut Rounds, tunnel: &TunnelId, now| rounds.answered(tunnel, false, now);
        run(&mut rounds, at(60), answered);
        let down = &many[77];
        rounds.see_down(&BTreeSet::from([down.clone()]));
        let asked = run(&mut rounds, at(62), answered);
        assert!(asked[down][0] <= at(61) + APART, "{:?}", asked[down]);
        assert!(gaps(&asked[down]).iter().all(|gap| *gap <= MINUTE + APART));
    }

    #[test]
    fn a_connection_with_a_tunnel_that_is_called_down_is_asked_about_every_minute() {
        let mut rounds = fresh();
        let answered = |rounds: &mut Rounds, tunnel: &TunnelId, now| rounds.answered(tunnel, false, now);
        run(&mut rounds, at(5), answered);
        let [first, second, other] = tunnels();
        rounds.see_down(&BTreeSet::from([first.clone()]));
        let asked = run(&mut rounds, at(10), answered);
        for tunnel in [&first, &second] {
            assert!(asked[tunnel].len() >= 5, "{tunnel}: {:?}", asked[tunnel]);
            assert!(gaps(&asked[tunnel]).iter().all(|gap| *gap <= MINUTE + APART));
        }
        assert_eq!(asked.get(&other), None);
        rounds.see_down(&BTreeSet::new());
        let asked = run(&mut rounds, at(20), answered);
        assert!(asked[&first].len() <= 2, "{:?}", asked[&first]);
    }

    #[test]
    fn a_connection_with_a_pending_maintenance_is_asked_about_every_minute_until_it_is_over() {
        let mut rounds = fresh();
        let [first, second, other] = tunnels();
        let of_first = first.clone();
        let pending = move |rounds: &mut Rounds, tunnel: &TunnelId, now| {
            rounds.answered(tunnel, *tunnel == of_first, now);
        };
        let asked = run(&mut rounds, at(10), pending);
        assert!(asked[&first].len() >= 9 && asked[&second].len() >= 9, "{asked:?}");
        assert_eq!(asked[&other].len(), 1);
        let answered = |rounds: &mut Rounds, tunnel: &TunnelId, now| rounds.answered(tunnel, false, now);
        run(&mut rounds, at(12), answered);
        let asked = run(&mut rounds, at(20), answered);
        assert_eq!((asked.get(&first), asked.get(&second)), (None, None));
    }

    #[test]
    fn a_denied_connection_is_asked_about_hourly_by_one_call_and_at_once_when_it_is_allowed() {
        let mut rounds = fresh();
        rounds.see_down(&tunnels().into());
        let deny = |rounds: &mut Rounds, tunnel: &TunnelId, now| match tunnel.vpn.as_str() {
            "vpn-a" => rounds.denied(&tunnel.vpn, now),
            _ => rounds.answered(tunnel, false, now),
        };
        let asked = run(&mut rounds, at(10 * 60), deny);
        let denied: Vec<Moment> = asked
            .iter()
            .filter(|(id, _)| id.vpn.as_str() == "vpn-a")
            .flat_map(|(_, at)| at.clone())
            .collect();
        assert!((10..=14).contains(&denied.len()), "{denied:?}");
        assert!(asked[&tunnels()[2]].len() > 500, "the other connection is asked about every minute");
        let before = denied.iter().max().unwrap().since(Moment::ORIGIN);
        let answered = |rounds: &mut Rounds, tunnel: &TunnelId, now| rounds.answered(tunnel, false, now);
        let asked = run(&mut rounds, Moment::ORIGIN + before + DENIED, answered);
        let [first, second, _] = tunnels();
        let (first, second) = (asked[&first][0], asked[&second][0]);
        assert_eq!(first.max(second).since(first.min(second)), APART, "both as soon as one is allowed");
    }

    #[test]
    fn a_question_without_an_answer_is_repeated_within_minutes() {
        let asked = run(&mut fresh(), at(60), |_, _, _| {});
        for asked in asked.values() {
            assert!(gaps(asked).iter().all(|gap| *gap == FAILED), "{asked:?}");
        }
        let mut rounds = fresh();
        rounds.see_down(&tunnels().into());
        let asked = run(&mut rounds, at(60), |_, _, _| {});
        assert!(asked.values().all(|asked| gaps(asked).iter().all(|gap| *gap == WATCHFUL)));
    }

    #[test]
    fn what_left_the_plan_is_not_asked_about() {
        let mut rounds = fresh();
        let [first, _, _] = tunnels();
        rounds.watch([&first].into_iter(), at(1));
        rounds.answered(&tunnels()[2], true, at(1));
        assert_eq!(rounds.next().map(|(_, tunnel)| tunnel.clone()), Some(first));
    }
}
