//! Echoes and verdicts by the minute, for CloudWatch and for the history.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::names::TunnelId;
use super::time::Stamp;
use super::verdict::{Assessment, Outcome, Verdict};

/// A minute is 60 s.
const MINUTE: Duration = Duration::from_secs(60);

/// The bins begin at 50 µs, below which no tunnel answers, and each is 1.6 times as wide: the last begins at 2.5 s.
const FIRST_BIN_NANOS: f64 = 50_000.0;
const BIN_RATIO: f64 = 1.6;

/// The minutes that are not complete.
#[derive(Debug, Default)]
pub struct Minutes {
    open: BTreeMap<(Stamp, TunnelId), Accumulator>,
}

#[derive(Debug, Default)]
struct Accumulator {
    replies: u32,
    late: u32,
    lost: u32,
    faults: u32,
    bins: [(u64, u32); RTT_BINS_MAX],
    up: Option<bool>,
    both_ends_down: Option<bool>,
}

impl Minutes {
    /// An echo that was sent at `asked` ended.
    pub fn echo_ended(&mut self, tunnel: &TunnelId, asked: Stamp, outcome: Outcome) {
        let minute = self.minute(tunnel, asked);
        match outcome {
            Outcome::Reply { rtt } => {
                minute.replies += 1;
                minute.add_rtt(rtt);
            }
            Outcome::Late { rtt } => {
                minute.late += 1;
                minute.add_rtt(rtt);
            }
            Outcome::Lost(_) => minute.lost += 1,
            Outcome::Fault(_) => minute.faults += 1,
        }
    }

    /// A tunnel is, at `at`, in this state.
    pub fn state(&mut self, tunnel: &TunnelId, at: Stamp, local: Verdict, assessment: Assessment) {
        let minute = self.minute(tunnel, at);
        minute.up = match local {
            Verdict::Down => Some(false),
            Verdict::Up => Some(minute.up.unwrap_or(true)),
            Verdict::Unknown(_) => minute.up,
        };
        minute.both_ends_down = match assessment {
            Assessment::Down => Some(true),
            Assessment::Healthy | Assessment::Disputed(_) | Assessment::Unconfirmed(_) => {
                Some(minute.both_ends_down.unwrap_or(false))
            }
            Assessment::Blind => minute.both_ends_down,
        };
    }

    /// The clock showed `wrong` where it should have shown `right`: incomplete minutes move accordingly.
    pub fn restamp(&mut self, wrong: Stamp, right: Stamp) {
        if wrong == right {
            return;
        }
        let open = std::mem::take(&mut self.open).into_iter();
        let moved = |minute: Stamp| (minute + right.since(wrong) - wrong.since(right)).minute();
        self.open = open.map(|((minute, tunnel), echoes)| ((moved(minute), tunnel), echoes)).collect();
    }

    /// Removes and returns the minutes that ended at least `settle` before `now`, oldest first; and those ahead of it, which
    /// can never be completed because the clock was set back.
    pub fn complete(&mut self, now: Stamp, settle: Duration) -> Vec<Arc<Rollup>> {
        let complete: Vec<(Stamp, TunnelId)> = self
            .open
            .keys()
            .filter(|(minute, _)| *minute + MINUTE + settle <= now || *minute > now)
            .cloned()
            .collect();
        let take = |key: (Stamp, TunnelId)| {
            let accumulator = self.open.remove(&key)?;
            Some(Arc::new(accumulator.rollup(key.1, key.0)))
        };
        complete.into_iter().filter_map(take).collect()
    }

    /// Removes and returns all of them, complete or not.
    pub fn rest(&mut self) -> Vec<Arc<Rollup>> {
        let open = std::mem::take(&mut self.open).into_iter();
        open.map(|((minute, tunnel), accumulator)| Arc::new(accumulator.rollup(tunnel, minute))).collect()
    }

    fn minute(&mut self, tunnel: &TunnelId, at: Stamp) -> &mut Accumulator {
        self.open.entry((at.minute(), tunnel.clone())).or_default()
    }
}

impl Accumulator {
    fn add_rtt(&mut self, rtt: Duration) {
        let nanos = u64::try_from(rtt.as_nanos()).unwrap_or(u64::MAX);
        let (sum, count) = &mut self.bins[bin(nanos)];
        *sum = sum.saturating_add(nanos);
        *count += 1;
    }

    fn rollup(self, tunnel: TunnelId, minute: Stamp) -> Rollup {
        let rtt = self
            .bins
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .map(|(sum, count)| RttBin { mean: Duration::from_nanos(sum / u64::from(count)), count })
            .collect();
        let Self { replies, late, lost, faults, bins: _, up, both_ends_down } = self;
        Rollup { tunnel, minute, replies, late, lost, faults, rtt, up, both_ends_down }
    }
}

/// The bin for a round trip of this many nanoseconds.
fn bin(nanos: u64) -> usize {
    let log = (nanos as f64 / FIRST_BIN_NANOS).max(1.0).ln() / BIN_RATIO.ln();
    // The cast saturates, and a log that is not negative loses only its fraction.
    (log as usize).min(RTT_BINS_MAX - 1)
}

/// One minute of one tunnel. An echo belongs to the minute in which it was sent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rollup {
    /// The tunnel.
    pub tunnel: TunnelId,
    /// The start of the minute, on our wall clock.
    pub minute: Stamp,
    /// Echoes that were answered in time.
    pub replies: u32,
    /// Echoes that were answered late.
    pub late: u32,
    /// Echoes that were lost.
    pub lost: u32,
    /// Echoes that could not be sent; no evidence.
    pub faults: u32,
    /// Round-trip times, replies and late ones, in at most [`RTT_BINS_MAX`] log-spaced bins.
    pub rtt: Vec<RttBin>,
    /// `Some(false)` if the local verdict was Down at any time of the minute, `Some(true)` if it was Up for some of it and
    /// never Down, `None` if it was Unknown throughout.
    pub up: Option<bool>,
    /// `Some(true)` if both ends agreed on Down at any time of the minute, `Some(false)` if they did not and at least one
    /// end knew, `None` if the tunnel was Blind throughout.
    pub both_ends_down: Option<bool>,
}

/// CloudWatch takes 150 values a datum; 24 log-spaced ones keep percentiles within a few per cent at a sixth of the bytes.
pub const RTT_BINS_MAX: usize = 24;

/// Round-trip times of one bin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RttBin {
    /// The mean of the round-trip times in the bin.
    pub mean: Duration,
    /// How many.
    pub count: u32,
}

impl Rollup {
    /// The lost share of the echoes sent, 0 to 100; `None` if there were none.
    pub fn loss_percent(&self) -> Option<f64> {
        let asked = self.replies + self.late + self.lost;
        (asked > 0).then(|| f64::from(self.lost) * 100.0 / f64::from(asked))
    }

    /// The median round trip, as exact as its bin; `None` if nothing was answered.
    pub fn median_rtt(&self) -> Option<Duration> {
        let answered: u64 = self.rtt.iter().map(|bin| u64::from(bin.count)).sum();
        let mut below = 0;
        let half = self.rtt.iter().find(|bin| {
            below += u64::from(bin.count);
            below * 2 >= answered
        });
        half.filter(|_| answered > 0).map(|bin| bin.mean)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::names::{End, VpnId};
    use crate::domain::verdict::{Fault, Loss, Why};

    fn tunnel() -> TunnelId {
        TunnelId { vpn: VpnId::new("vpn-1"), outside_ip: [203, 0, 113, 11].into() }
    }

    fn only(minutes: &mut Minutes) -> Arc<Rollup> {
        let mut complete = minutes.complete(Stamp::from_secs(3600), Duration::ZERO);
        assert_eq!(complete.len(), 1);
        complete.remove(0)
    }

    #[test]
    fn the_rest_is_everything_once() {
        let mut minutes = Minutes::default();
        for second in [59, 60, 61] {
            minutes.echo_ended(&tunnel(), Stamp::from_secs(second), Outcome::Lost(Loss::Timeout));
        }
        let rest: Vec<_> = minutes.rest().iter().map(|rollup| (rollup.minute, rollup.lost)).collect();
        assert_eq!(rest, [(Stamp::from_secs(0), 1), (Stamp::from_secs(60), 2)]);
        assert!(minutes.rest().is_empty());
    }

    #[test]
    fn an_echo_belongs_to_the_minute_it_was_asked_in() {
        let mut minutes = Minutes::default();
        let rtt = Duration::from_millis(20);
        minutes.echo_ended(&tunnel(), Stamp::from_millis(59_999), Outcome::Reply { rtt });
        minutes.echo_ended(&tunnel(), Stamp::from_millis(60_000), Outcome::Lost(Loss::Timeout));
        minutes.echo_ended(&tunnel(), Stamp::from_millis(60_001), Outcome::Fault(Fault::NoMemory));
        let complete = minutes.complete(Stamp::from_secs(3600), Duration::ZERO);
        let counts: Vec<_> =
            complete.iter().map(|r| (r.minute.as_millis(), r.replies, r.lost, r.faults)).collect();
        assert_eq!(counts, [(0, 1, 0, 0), (60_000, 0, 1, 1)]);
    }

    #[test]
    fn a_minute_is_complete_when_its_last_echo_must_have_ended() {
        let mut minutes = Minutes::default();
        minutes.state(&tunnel(), Stamp::default(), Verdict::Up, Assessment::Healthy);
        let settle = Duration::from_secs(4);
        assert!(minutes.complete(Stamp::from_millis(63_999), settle).is_empty());
        assert_eq!(minutes.complete(Stamp::from_millis(64_000), settle).len(), 1);
    }

    #[test]
    fn a_minute_that_lies_ahead_because_the_clock_was_set_back_is_taken_out_at_once() {
        let mut minutes = Minutes::default();
        minutes.state(&tunnel(), Stamp::from_secs(3600), Verdict::Up, Assessment::Healthy);
        assert_eq!(minutes.complete(Stamp::from_secs(1800), Duration::ZERO).len(), 1);
    }

    #[test]
    fn a_minute_was_up_unless_it_was_down_at_any_time_of_it() {
        let up = |verdicts: &[Verdict]| {
            let mut minutes = Minutes::default();
            verdicts.iter().for_each(|v| minutes.state(&tunnel(), Stamp::default(), *v, Assessment::Blind));
            only(&mut minutes).up
        };
        let unknown = Verdict::Unknown(Why::Starting);
        assert_eq!(up(&[unknown]), None);
        assert_eq!(up(&[unknown, Verdict::Up, unknown]), Some(true));
        assert_eq!(up(&[Verdict::Up, Verdict::Down, Verdict::Up]), Some(false));
    }

    #[test]
    fn both_ends_down_is_unknown_only_if_neither_end_ever_knew() {
        let both = |assessments: &[Assessment]| {
            let mut minutes = Minutes::default();
            assessments.iter().for_each(|a| minutes.state(&tunnel(), Stamp::default(), Verdict::Up, *a));
            only(&mut minutes).both_ends_down
        };
        assert_eq!(both(&[Assessment::Blind]), None);
        assert_eq!(both(&[Assessment::Blind, Assessment::Unconfirmed(End::Local)]), Some(false));
        assert_eq!(both(&[Assessment::Down, Assessment::Healthy]), Some(true));
    }

    #[test]
    fn the_median_is_the_mean_of_the_bin_in_which_it_lies() {
        let mut minutes = Minutes::default();
        for millis in [1, 20, 20, 20, 900] {
            let rtt = Duration::from_millis(millis);
            minutes.echo_ended(&tunnel(), Stamp::default(), Outcome::Reply { rtt });
        }
        let rollup = only(&mut minutes);
        assert_eq!(rollup.median_rtt(), Some(Duration::from_millis(20)));
        let lost = Rollup { rtt: Vec::new(), ..Rollup::clone(&rollup) };
        assert_eq!(lost.median_rtt(), None);
    }

    #[test]
    fn round_trips_are_kept_in_at_most_24_bins_without_losing_one_or_their_sum() {
        let mut minutes = Minutes::default();
        let rtts: Vec<Duration> = (0..400).map(|i| Duration::from_micros(10 * i * i + 7)).collect();
        for rtt in &rtts {
            minutes.echo_ended(&tunnel(), Stamp::default(), Outcome::Late { rtt: *rtt });
        }
        let rollup = only(&mut minutes);
        assert!(rollup.rtt.len() <= RTT_BINS_MAX);
        assert_eq!(rollup.rtt.iter().map(|bin| bin.count).sum::<u32>(), 400);
        let total: Duration = rtts.iter().sum();
        let kept: Duration = rollup.rtt.iter().map(|bin| bin.mean * bin.count).sum();
        assert!(total.abs_diff(kept) < Duration::from_micros(1));
        assert!(rollup.rtt.is_sorted_by_key(|bin| bin.mean));
    }
}
