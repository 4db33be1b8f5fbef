//! 24 hours of round trips and of loss, as lines and bars with axes.

use std::cmp::Reverse;
use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use super::strip::number;
use super::when::minute;
use crate::catalogue::phrases::{milliseconds, percent};
use crate::history::{Minute, Period};

/// A chart has so many points: one for five minutes.
pub(super) const POINTS: usize = 288;
const STEP: Duration = Duration::from_secs(300);

/// A chart is so many units high.
const HEIGHT: f64 = 60.0;

/// A chart, as a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Chart {
    /// What it shows.
    pub(super) title: &'static str,
    /// `line` or `bars`.
    pub(super) class: &'static str,
    /// The `d` of an SVG path, in a box of [`POINTS`] by 60.
    pub(super) path: String,
    /// The upper end of the axis, with its unit; the lower is zero.
    pub(super) top: String,
    pub(super) bottom: &'static str,
    /// The same in words.
    pub(super) words: String,
}

/// What was measured in five minutes.
#[derive(Debug, Clone, Copy, Default)]
struct Bucket {
    answered: u64,
    lost: u64,
    /// The slowest minute's.
    rtt: Option<Duration>,
}

/// The charts of a tunnel; none without minutes of it.
pub(super) fn charts(minutes: &[Minute], period: Period) -> Vec<Chart> {
    let mut buckets = [Bucket::default(); POINTS];
    for minute in minutes.iter().filter(|minute| minute.at >= period.from) {
        let place = minute.at.since(period.from).as_secs() / STEP.as_secs();
        let Some(bucket) = usize::try_from(place).ok().and_then(|place| buckets.get_mut(place)) else {
            continue;
        };
        bucket.answered += u64::from(minute.answered);
        bucket.lost += u64::from(minute.lost);
        bucket.rtt = bucket.rtt.max(minute.median_rtt);
    }
    if buckets.iter().all(|bucket| bucket.answered + bucket.lost == 0) {
        return Vec::new();
    }
    let at = |place: usize| minute(period.from + STEP * u32::try_from(place).unwrap_or(0));
    round_trips(&buckets, at).into_iter().chain([losses(&buckets, at)]).collect()
}

fn round_trips(buckets: &[Bucket], at: impl Fn(usize) -> String) -> Option<Chart> {
    let (highest, Reverse(place)) =
        buckets.iter().enumerate().filter_map(|(place, bucket)| Some((bucket.rtt?, Reverse(place)))).max()?;
    let mut all: Vec<Duration> = buckets.iter().filter_map(|bucket| bucket.rtt).collect();
    all.sort_unstable();
    let median = all.get(all.len() / 2).copied().unwrap_or(highest);
    let top = round_up(highest.as_secs_f64() * 1e3);
    let mut path = String::new();
    let mut drawing = false;
    for (place, bucket) in buckets.iter().enumerate() {
        let Some(rtt) = bucket.rtt else {
            drawing = false;
            continue;
        };
        let y = HEIGHT - rtt.as_secs_f64() * 1e3 / top * HEIGHT;
        let step = if drawing { 'L' } else { 'M' };
        _ = write!(path, "{step}{place} {}", number(y));
        // A point alone is as wide as it lasted.
        if !drawing && buckets.get(place + 1).is_none_or(|next| next.rtt.is_none()) {
            path.push_str("h1");
        }
        drawing = true;
    }
    Some(Chart {
        title: "Round trip",
        class: "line",
        path,
        top: format!("{} ms", number(top)),
        bottom: "0 ms",
        words: format!(
            "usually {}, at most {} at {} UTC",
            milliseconds(median),
            milliseconds(highest),
            at(place)
        ),
    })
}

fn losses(buckets: &[Bucket], at: impl Fn(usize) -> String) -> Chart {
    let share = |bucket: &Bucket| {
        let sent = bucket.answered + bucket.lost;
        if sent == 0 { 0.0 } else { bucket.lost as f64 / sent as f64 * 100.0 }
    };
    let (mut path, mut worst) = (String::new(), (0.0, 0));
    for (place, bucket) in buckets.iter().enumerate() {
        let lost = share(bucket);
        if lost > worst.0 {
            worst = (lost, place);
        }
        if lost > 0.0 {
            // The least loss is visible.
            let height = (lost / 100.0 * HEIGHT).max(2.0);
            _ = write!(path, "M{place} {}h1v-{height}h-1z", number(HEIGHT), height = number(height));
        }
    }
    let all = buckets.iter().fold(Bucket::default(), |all, bucket| Bucket {
        answered: all.answered + bucket.answered,
        lost: all.lost + bucket.lost,
        rtt: None,
    });
    let words = if all.lost == 0 {
        "none".to_owned()
    } else {
        format!(
            "{} of all probes; the most, {}, at {} UTC",
            rounded(share(&all)),
            rounded(worst.0),
            at(worst.1)
        )
    };
    Chart { title: "Loss", class: "bars", path, top: "100 %".to_owned(), bottom: "0 %", words }
}

fn rounded(share: f64) -> String {
    if share < 0.1 { "less than 0.1 %".to_owned() } else { percent((share * 10.0).round() / 10.0) }
}

/// The next of 1, 2, 5, 10, 20, 50 and so on that is not lower.
fn round_up(value: f64) -> f64 {
    let mut step = 1.0;
    loop {
        for top in [1.0, 2.0, 5.0] {
            if value <= top * step || step >= 1e9 {
                return top * step;
            }
        }
        step *= 10.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Stamp;
    use crate::fixture;

    fn all() -> Period {
        let from = Stamp::from_secs(1_763_726_400);
        Period { from, until: from + Duration::from_secs(86_400) }
    }

    fn probes(minutes: std::ops::Range<u32>, lost: u32, rtt: Option<u64>) -> Vec<Minute> {
        let of = |minute| Minute {
            at: all().from + Duration::from_secs(60) * minute,
            tunnel: fixture::tunnel(1),
            answered: 60 - lost,
            lost,
            median_rtt: rtt.map(Duration::from_millis),
        };
        minutes.map(of).collect()
    }

    #[test]
    fn a_day_has_at_most_288_points_and_a_gap_where_nothing_was_answered() {
        let mut minutes = probes(0..600, 0, Some(12));
        minutes.extend(probes(600..620, 60, None));
        minutes.extend(probes(620..1440, 0, Some(12)));
        let [rtt, loss] = charts(&minutes, all()).try_into().unwrap();
        assert_eq!(rtt.path.matches(['M', 'L']).count(), POINTS - 4);
        assert_eq!(rtt.path.matches('M').count(), 2, "a line before the break and one after it");
        assert_eq!((&*rtt.top, &*rtt.words), ("20 ms", "usually 12.0 ms, at most 12.0 ms at 12:00 UTC"));
        assert_eq!(loss.path, "M120 60h1v-60h-1zM121 60h1v-60h-1zM122 60h1v-60h-1zM123 60h1v-60h-1z");
        assert_eq!(loss.words, "1.4 % of all probes; the most, 100 %, at 22:00 UTC");
        assert!(rtt.path.len() < 3000, "{}", rtt.path.len());
    }

    #[test]
    fn a_spike_of_one_minute_and_one_lost_probe_are_visible() {
        let mut minutes = probes(0..1440, 0, Some(12));
        minutes[700].median_rtt = Some(Duration::from_millis(480));
        minutes[700].lost = 1;
        let [rtt, loss] = charts(&minutes, all()).try_into().unwrap();
        assert_eq!((&*rtt.top, &*rtt.words), ("500 ms", "usually 12.0 ms, at most 480.0 ms at 23:40 UTC"));
        assert_eq!(loss.path, "M140 60h1v-2h-1z");
        assert_eq!(loss.words, "less than 0.1 % of all probes; the most, 0.3 %, at 23:40 UTC");
    }

    #[test]
    fn minutes_of_before_and_without_probes_make_no_chart() {
        assert_eq!(charts(&[], all()), []);
        let mut minutes = probes(0..3, 0, Some(12));
        for minute in &mut minutes {
            minute.at = all().from - Duration::from_secs(60);
        }
        assert_eq!(charts(&minutes, all()), []);
    }

    #[test]
    fn axes_end_at_round_numbers() {
        assert_eq!(
            [0.4, 1.0, 1.2, 12.3, 21.0, 50.0, 51.0, 999.0].map(round_up),
            [1.0, 1.0, 2.0, 20.0, 50.0, 50.0, 100.0, 1000.0]
        );
    }
}
