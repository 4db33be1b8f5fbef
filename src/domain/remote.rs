//! AWS's evidence on one tunnel, and the view it makes.
//!
//! As-of is AWS's time, never ours. A datapoint of `TunnelState` speaks of its whole period, so its as-of is the period's
//! end (or the answer's Date, while the period lasts); an answer of `DescribeVpnConnections` speaks of its Date. The
//! newer as-of wins. Evidence ages on the monotonic clock from the moment the question was sent.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::event::{Datapoint, Reading, Telemetry, TelemetryStatus};
use super::names::SourceKind;
use super::time::{Moment, Now, Stamp};
use super::verdict::{AwsEvidence, Evidence, Verdict, View, Why};

/// Two sources that differ about times closer than this contradict each other: CloudWatch shows a datapoint of
/// `TunnelState` some two to three minutes late.
const SAME_TIME: Duration = Duration::from_secs(3 * 60);

/// AWS's services do not read one clock, and the Date header has whole seconds: a stamp this far ahead is not in the
/// future.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(5);

/// What one source said last.
#[derive(Debug, Clone, PartialEq)]
struct Claim {
    verdict: Verdict,
    as_of: Stamp,
    as_of_here: Now,
    /// The earliest time it speaks of.
    from: Stamp,
    /// When what it says became so, if it tells.
    changed: Option<Stamp>,
    words: Arc<str>,
}

/// AWS's view of one tunnel.
#[derive(Debug, Clone, PartialEq)]
pub struct Remote {
    claims: BTreeMap<SourceKind, Claim>,
    no_data: bool,
    view: View,
}

impl Remote {
    /// Nothing is known yet.
    pub fn new(now: Now) -> Self {
        Self {
            claims: BTreeMap::new(),
            no_data: false,
            view: View {
                verdict: Verdict::Unknown(Why::NotAsked),
                since: now,
                evidence: Evidence::Aws(AwsEvidence::default()),
            },
        }
    }

    /// The view as last judged.
    pub const fn view(&self) -> &View {
        &self.view
    }

    /// The moment the newest evidence speaks of, on our clock.
    pub fn as_of_here(&self) -> Option<Moment> {
        self.newest().map(|(_, claim)| claim.as_of_here.mono)
    }

    /// A source answered; `asked` and `date` are the question's moment and the answer's Date. Returns why the reading
    /// could not be used, if a person should hear of it.
    pub fn read(&mut self, source: SourceKind, reading: &Reading, asked: Now, date: Stamp) -> Option<Why> {
        let claim = |verdict, as_of: Stamp, from, words: String| {
            let age = date.since(as_of);
            let as_of_here = Now { mono: asked.mono - age, wall: asked.wall - age };
            Claim { verdict, as_of, as_of_here, from, changed: None, words: words.into() }
        };
        let unusable = |why, words: String| (claim(Verdict::Unknown(why), date, date, words), Some(why));
        let (claim, complaint) = match reading {
            Reading::TunnelState(None) => {
                // An empty answer takes nothing back: what was said before ages until it is stale.
                self.no_data = true;
                return None;
            }
            Reading::TunnelState(Some(point)) if point.stamp > date + CLOCK_TOLERANCE => {
                unusable(Why::Future, format!("TunnelState {} stamped in the future", point.value))
            }
            Reading::TunnelState(Some(point)) => {
                let (verdict, complaint) = tunnel_state(point.value);
                let as_of = (point.stamp + point.period).min(date);
                if self.claims.get(&source).is_some_and(|known| known.is_evidence() && known.as_of > as_of) {
                    // CloudWatch shows new datapoints at some of its hosts sooner than at others.
                    return None;
                }
                (claim(verdict, as_of, point.stamp, format!("TunnelState {}", point.value)), complaint)
            }
            Reading::Telemetry(telemetry) => {
                let mut claim = claim(status(telemetry.status), date, date, telemetry_words(telemetry));
                claim.changed = telemetry.last_status_change;
                let complaint = (telemetry.status == TelemetryStatus::Other).then_some(Why::Garbage);
                (claim, complaint)
            }
            Reading::Gone => {
                (claim(Verdict::Unknown(Why::Gone), date, date, "the connection is gone".into()), None)
            }
            Reading::Garbage => unusable(Why::Garbage, "an answer that could not be understood".into()),
        };
        self.no_data = false;
        self.claims.insert(source, claim);
        complaint
    }

    /// Sources that are not asked any more have no say.
    pub fn keep_sources(&mut self, sources: impl Fn(SourceKind) -> bool) {
        self.claims.retain(|source, _| sources(*source));
    }

    /// Judges the evidence as of `now`; returns the verdict before, if it was another.
    pub fn judge(&mut self, stale_after: Duration, now: Now) -> Option<Verdict> {
        let verdict = self.weigh(stale_after, now.mono);
        let evidence = self.newest().map_or_else(AwsEvidence::default, |(source, claim)| AwsEvidence {
            source: Some(source),
            as_of: Some(claim.as_of),
            as_of_here: Some(claim.as_of_here),
            words: Some(Arc::clone(&claim.words)),
        });
        self.view.evidence = Evidence::Aws(evidence);
        let before = self.view.verdict;
        if before == verdict {
            return None;
        }
        if !before.same_word(verdict) {
            self.view.since = now;
        }
        self.view.verdict = verdict;
        Some(before)
    }

    /// When the newest evidence becomes stale, if it still counts.
    pub fn stale_at(&self, stale_after: Duration) -> Option<Moment> {
        match self.view.verdict {
            // What is gone does not come back by growing old.
            Verdict::Unknown(Why::Stale | Why::NotAsked | Why::NoData | Why::Gone) => None,
            Verdict::Up | Verdict::Down | Verdict::Unknown(_) => {
                self.newest().map(|(_, claim)| claim.as_of_here.mono + stale_after + Duration::from_nanos(1))
            }
        }
    }

    /// Whether AWS has given evidence that is not stale: the daemon could have voted.
    pub fn is_fresh(&self, stale_after: Duration, now: Moment) -> bool {
        self.newest()
            .is_some_and(|(_, claim)| claim.is_evidence() && now.since(claim.as_of_here.mono) <= stale_after)
    }

    /// The newest evidence; what is none counts only where there is nothing else.
    fn newest(&self) -> Option<(SourceKind, &Claim)> {
        self.claims
            .iter()
            .max_by_key(|(_, claim)| (claim.is_evidence(), claim.as_of))
            .map(|(source, claim)| (*source, claim))
    }

    fn weigh(&self, stale_after: Duration, now: Moment) -> Verdict {
        if self.claims.values().any(|claim| claim.verdict == Verdict::Unknown(Why::Gone)) {
            return Verdict::Unknown(Why::Gone);
        }
        let Some((_, newest)) = self.newest() else {
            return Verdict::Unknown(if self.no_data { Why::NoData } else { Why::NotAsked });
        };
        if now.since(newest.as_of_here.mono) > stale_after {
            return Verdict::Unknown(if self.no_data { Why::NoData } else { Why::Stale });
        }
        if self.claims.values().any(|claim| contradict(newest, claim)) {
            return Verdict::Unknown(Why::Contradiction);
        }
        newest.verdict
    }
}

impl Claim {
    /// Whether it speaks of the tunnel at all: what could not be understood, or lies in the future, does not.
    const fn is_evidence(&self) -> bool {
        match self.verdict {
            Verdict::Unknown(Why::Garbage | Why::Future) => false,
            Verdict::Up
            | Verdict::Down
            | Verdict::Unknown(
                Why::Starting
                | Why::NeverAnswered
                | Why::Fault(_)
                | Why::Silent
                | Why::Unused
                | Why::NotHere
                | Why::NotAsked
                | Why::NoData
                | Why::Stale
                | Why::Fraction
                | Why::Contradiction
                | Why::Gone,
            ) => true,
        }
    }
}

/// Whether two claims cannot both be true: they differ about the same time. Where the newer one tells that it became so
/// after the time the older one speaks of began, both are true, and the newer one counts.
fn contradict(newest: &Claim, other: &Claim) -> bool {
    match (newest.verdict, other.verdict) {
        (Verdict::Up, Verdict::Down) | (Verdict::Down, Verdict::Up) => {
            let explained = newest.changed.is_some_and(|changed| changed > other.from);
            newest.as_of.since(other.as_of) < SAME_TIME && !explained
        }
        (Verdict::Up, Verdict::Up)
        | (Verdict::Down, Verdict::Down)
        | (Verdict::Unknown(_), _)
        | (_, Verdict::Unknown(_)) => false,
    }
}

/// 1 is up and 0 is down, for static and BGP connections alike; between them the tunnel changed within the period.
fn tunnel_state(value: f64) -> (Verdict, Option<Why>) {
    if value == 1.0 {
        (Verdict::Up, None)
    } else if value == 0.0 {
        (Verdict::Down, None)
    } else if value > 0.0 && value < 1.0 {
        (Verdict::Unknown(Why::Fraction), Some(Why::Fraction))
    } else {
        (Verdict::Unknown(Why::Garbage), Some(Why::Garbage))
    }
}

const fn status(status: TelemetryStatus) -> Verdict {
    match status {
        TelemetryStatus::Up => Verdict::Up,
        TelemetryStatus::Down => Verdict::Down,
        TelemetryStatus::Other => Verdict::Unknown(Why::Garbage),
    }
}

fn telemetry_words(telemetry: &Telemetry) -> String {
    let status = match telemetry.status {
        TelemetryStatus::Up => "UP",
        TelemetryStatus::Down => "DOWN",
        TelemetryStatus::Other => "neither UP nor DOWN",
    };
    if telemetry.message.is_empty() { status.into() } else { format!("{status}, {}", telemetry.message) }
}

impl Datapoint {
    /// A datapoint of one minute.
    pub const fn of_minute(stamp: Stamp, value: f64) -> Self {
        Self { stamp, period: Duration::from_secs(60), value }
    }
}

#[cfg(test)]
mod tests;
