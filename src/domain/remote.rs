//! AWS's evidence on one tunnel, and the view that it gives.
//!
//! As-of is AWS's time, never ours. A datapoint of `TunnelState` covers its whole period, so its as-of is the period's end (or
//! the answer's Date while the period lasts); an answer of `DescribeVpnConnections` is as of its Date. Evidence ages on the
//! monotonic clock from the moment when the question was sent, and stale evidence does not count. The newest fresh evidence
//! counts, again by the monotonic clock, so a wrong Date has no effect on later answers.
//!
//! A minute that holds a change (`TunnelState` between 0 and 1) says that the tunnel changed, but not what its state is: it
//! counts only where no explicit evidence is fresh. A minute that is not over counts as its start, so that EC2's explicit
//! state, given since then, is newer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::carrying::BgpWord;
use super::event::{Datapoint, FoundUnder, Reading, Telemetry, TelemetryStatus, TunnelData};
use super::names::SourceKind;
use super::side::AwsFlow;
use super::time::{Moment, Now, Stamp};
use super::verdict::{AwsEvidence, Evidence, Verdict, View, Why};

/// Two sources that differ about times closer than this contradict each other: CloudWatch shows a datapoint of `TunnelState`
/// some two to three minutes late.
const SAME_TIME: Duration = Duration::from_secs(3 * 60);

/// EC2's `StatusMessage` of a tunnel whose IPsec works and whose BGP session is not established; `Status` is then `DOWN`.
const IPSEC_IS_UP: &str = "IPSEC IS UP";

/// Its `StatusMessage` of a tunnel without IPsec.
const IPSEC_IS_DOWN: &str = "IPSEC IS DOWN";

/// AWS's services do not share one clock, and the Date header has whole seconds: a stamp this far ahead does not count as
/// future.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(5);

/// Datapoints further apart than this are not consecutive: the state may have changed in between.
const IN_A_ROW: Duration = Duration::from_secs(15 * 60);

/// 2009-01-01. AWS has offered VPN connections since August of that year: a change before it is no date.
const FIRST_VPN: Stamp = Stamp::from_secs(1_230_768_000);

/// CloudWatch shows bytes some minutes late; what is older than this says nothing about the present.
const BYTES_ARE_CURRENT_FOR: Duration = Duration::from_secs(15 * 60);

/// The bytes of one of our echoes as an IPv4 packet: the smallest.
const ECHO_BYTES: f64 = 36.0;

/// Fewer bytes than this in a minute are no traffic: a BGP session alone makes more, by one keepalive in 10 s.
const NOTHING: f64 = 200.0;

/// The last report of one source.
#[derive(Debug, Clone, PartialEq)]
struct Claim {
    verdict: Verdict,
    as_of: Stamp,
    as_of_here: Now,
    /// Its rank when the newest is chosen.
    counts_as: Moment,
    /// The earliest time it covers.
    from: Stamp,
    /// When its state began, if it says so.
    changed: Option<Stamp>,
    /// The earliest time of the same report in a row.
    same_since: Stamp,
    words: Arc<str>,
    /// What it adds to a Down on a connection with BGP.
    bgp: BgpHint,
}

/// What a Down says about BGP.
#[derive(Debug, Clone, Copy, PartialEq)]
enum BgpHint {
    None,
    /// EC2's message says that IPsec is up.
    IpsecIsUp,
    /// The datapoint before was 0 as well: it is as of this moment, on our clock.
    DownBefore(Moment),
}

/// AWS's view of one tunnel.
#[derive(Debug, Clone, PartialEq)]
pub struct Remote {
    claims: BTreeMap<SourceKind, Claim>,
    /// CloudWatch's newest minute that holds a change.
    mixed: Option<Claim>,
    /// The latest moment at which each source has said Up, or that it changed: an earlier Down says nothing about the present.
    was_up: BTreeMap<SourceKind, Moment>,
    no_data: bool,
    began: Moment,
    view: View,
    stale_at: Option<Moment>,
}

impl Remote {
    /// Without any evidence.
    pub fn new(now: Now) -> Self {
        Self {
            claims: BTreeMap::new(),
            mixed: None,
            was_up: BTreeMap::new(),
            no_data: false,
            began: now.mono,
            view: View {
                verdict: Verdict::Unknown(Why::NotAsked),
                since: now,
                evidence: Evidence::Aws(AwsEvidence::default()),
            },
            stale_at: None,
        }
    }

    /// The view as last judged.
    pub const fn view(&self) -> &View {
        &self.view
    }

    /// Whether EC2 says that IPsec is up, by an answer to a question of after a moment; `None` if it does not say.
    pub fn says_ipsec_is_up(&self, since: Moment) -> Option<bool> {
        let claim = self.claims.get(&SourceKind::Ec2).filter(|claim| claim.as_of_here.mono > since)?;
        let said = claim.words.to_ascii_uppercase();
        match (said.contains(IPSEC_IS_UP), said.contains(IPSEC_IS_DOWN)) {
            (true, false) => Some(true),
            (false, true) => Some(false),
            (true, true) | (false, false) => None,
        }
    }

    /// The as-of of the view's evidence, on our clock.
    pub fn as_of_here(&self) -> Option<Moment> {
        match &self.view.evidence {
            Evidence::Aws(evidence) => evidence.as_of_here.map(|as_of| as_of.mono),
            Evidence::Local(_) => None,
        }
    }

    /// The age of the newest evidence; before the first, the time spent waiting for it.
    pub fn age(&self, now: Moment) -> Duration {
        now.since(self.as_of_here().unwrap_or(self.began))
    }

    /// A source answered. `asked` and `date` are the time of the question and the answer's Date. Returns why the reading is
    /// unusable, if that should be reported.
    pub fn read(&mut self, source: SourceKind, reading: &Reading, asked: Now, date: Stamp) -> Option<Why> {
        let claim =
            |verdict, as_of, from, words: String| Claim::new(verdict, as_of, from, words, asked, date);
        let unusable = |why, words: String| (claim(Verdict::Unknown(why), date, date, words), Some(why));
        let (claim, complaint) = match reading {
            Reading::TunnelState(None) => {
                // An empty answer withdraws nothing: the last evidence ages until it is stale.
                self.no_data = true;
                return None;
            }
            Reading::TunnelState(Some(point)) if point.stamp > date + CLOCK_TOLERANCE => {
                unusable(Why::Future, format!("TunnelState {} stamped in the future", point.value))
            }
            Reading::TunnelState(Some(point)) => {
                let (verdict, complaint) = tunnel_state(point.value);
                let ends = point.stamp + point.period;
                let mut claim = claim(verdict, ends.min(date), point.stamp, point_words(point));
                if ends > date {
                    claim.counts_as = asked.mono - date.since(point.stamp);
                }
                if verdict == Verdict::Unknown(Why::Fraction) {
                    self.read_mixed(source, claim, date);
                    return None;
                }
                claim.bgp = self.claims.get(&source).map_or(BgpHint::None, |known| {
                    if self.changed_between(known, &claim) {
                        BgpHint::None
                    } else {
                        down_before(known, &claim)
                    }
                });
                (claim, complaint)
            }
            Reading::Telemetry(telemetry) => {
                let mut claim = claim(status(telemetry.status), date, date, telemetry_words(telemetry));
                let is_date = |at: &Stamp| *at >= FIRST_VPN && *at <= date + CLOCK_TOLERANCE;
                claim.changed = telemetry.last_status_change.filter(is_date);
                if telemetry.message.trim().eq_ignore_ascii_case(IPSEC_IS_UP) {
                    claim.bgp = BgpHint::IpsecIsUp;
                }
                let complaint = (telemetry.status == TelemetryStatus::Other).then_some(Why::Garbage);
                (claim, complaint)
            }
            Reading::Gone => {
                (claim(Verdict::Unknown(Why::Gone), date, date, "the connection is gone".into()), None)
            }
            Reading::Garbage => unusable(Why::Garbage, "an answer that could not be understood".into()),
        };
        let is_datapoint = matches!(reading, Reading::TunnelState(_)) && claim.is_evidence();
        self.no_data = false;
        match self.claims.get(&source) {
            Some(known) if is_datapoint && known.outdates(&claim, date) => None,
            known => {
                if claim.verdict == Verdict::Up {
                    self.was_up.insert(source, claim.counts_as);
                }
                let claim = match known {
                    Some(known) if !self.changed_between(known, &claim) => claim.following(known),
                    Some(_) | None => claim,
                };
                self.claims.insert(source, claim);
                complaint
            }
        }
    }

    /// Whether a minute between two pieces of evidence holds a change.
    fn changed_between(&self, before: &Claim, after: &Claim) -> bool {
        self.mixed.as_ref().is_some_and(|mixed| mixed.from > before.from && mixed.from < after.from)
    }

    /// A minute that holds a change has no effect while explicit evidence is fresh.
    fn read_mixed(&mut self, source: SourceKind, claim: Claim, date: Stamp) {
        self.no_data = false;
        if self.claims.get(&source).is_some_and(|known| !known.is_evidence()) {
            self.claims.remove(&source);
        }
        if !self.mixed.as_ref().is_some_and(|known| known.outdates(&claim, date)) {
            let began = claim.as_of_here.mono - claim.as_of.since(claim.from);
            let known = self.was_up.entry(source).or_insert(began);
            *known = began.max(*known);
            self.mixed = Some(claim);
        }
    }

    /// What AWS's Down says about BGP, if it is later than this moment and not stale, and no source has said Up of a later
    /// time.
    pub fn bgp_word(&self, after: Moment, stale_after: Duration, now: Moment) -> BgpWord {
        let after = self.was_up.values().copied().fold(after, Moment::max);
        let down = |claim: &&Claim| {
            claim.verdict == Verdict::Down
                && claim.is_fresh(stale_after, now)
                && claim.as_of_here.mono > after
        };
        let words = self.claims.values().filter(down).map(|claim| match claim.bgp {
            BgpHint::IpsecIsUp => BgpWord::IpsecIsUp,
            BgpHint::DownBefore(before)
                if before > after && claim.as_of_here.mono.since(before) <= stale_after =>
            {
                BgpWord::SecondDatapoint
            }
            BgpHint::DownBefore(_) | BgpHint::None => BgpWord::Nothing,
        });
        words.max().unwrap_or(BgpWord::Nothing)
    }

    /// Evidence of sources that are no longer polled is dropped.
    pub fn keep_sources(&mut self, sources: impl Fn(SourceKind) -> bool) {
        self.claims.retain(|source, _| sources(*source));
        self.was_up.retain(|source, _| sources(*source));
        if !sources(SourceKind::CloudWatch) {
            self.mixed = None;
        }
    }

    /// Judges the evidence as of `now`; returns the previous verdict if it changed.
    pub fn judge(&mut self, stale_after: Duration, now: Now) -> Option<Verdict> {
        let (verdict, basis) = self.weigh(stale_after, now.mono);
        let evidence = basis.map_or_else(AwsEvidence::default, |(source, claim)| AwsEvidence {
            source: Some(source),
            as_of: Some(claim.as_of),
            as_of_here: Some(claim.as_of_here),
            changed: claim.is_explicit().then(|| claim.changed.unwrap_or(claim.same_since)),
            words: Some(Arc::clone(&claim.words)),
        });
        let fresh = self.all().filter(|(_, claim)| claim.is_fresh(stale_after, now.mono));
        let stale_at = |claim: &Claim| claim.as_of_here.mono + stale_after + Duration::from_nanos(1);
        self.stale_at = fresh.map(|(_, claim)| stale_at(claim)).min();
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

    /// When the next piece of evidence becomes stale, as last judged.
    pub const fn stale_at(&self) -> Option<Moment> {
        self.stale_at
    }

    /// Whether AWS's evidence is fresh, so that AWS's end can vote.
    pub fn is_fresh(&self, stale_after: Duration, now: Moment) -> bool {
        self.all().any(|(_, claim)| claim.is_evidence() && claim.is_fresh(stale_after, now))
    }

    /// All reports, explicit and mixed.
    fn all(&self) -> impl Iterator<Item = (SourceKind, &Claim)> {
        let claims = self.claims.iter().map(|(source, claim)| (*source, claim));
        claims.chain(self.mixed.iter().map(|claim| (SourceKind::CloudWatch, claim)))
    }

    /// The verdict and its evidence. Stale evidence is shown where there is no other, and never counts.
    fn weigh(&self, stale_after: Duration, now: Moment) -> (Verdict, Option<(SourceKind, &Claim)>) {
        let fresh = || self.all().filter(|(_, claim)| claim.is_fresh(stale_after, now));
        let newest = |(_, claim): &(SourceKind, &Claim)| (claim.rank(), claim.counts_as);
        if let Some(gone) = fresh().find(|(_, claim)| claim.verdict == Verdict::Unknown(Why::Gone)) {
            return (gone.1.verdict, Some(gone));
        }
        let Some(basis) = fresh().max_by_key(newest) else {
            let why = match (self.no_data, self.all().next()) {
                (true, _) => Why::NoData,
                (false, Some(_)) => Why::Stale,
                (false, None) => Why::NotAsked,
            };
            return (Verdict::Unknown(why), self.all().max_by_key(|(_, claim)| claim.counts_as));
        };
        let contradicted = fresh().any(|(_, other)| contradict(basis.1, other, self.mixed.as_ref()));
        let verdict = if contradicted { Verdict::Unknown(Why::Contradiction) } else { basis.1.verdict };
        (verdict, Some(basis))
    }
}

/// The rank of a report; the greater counts, however much older it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// Not understood, or stamped in the future: it says nothing about the tunnel.
    Unusable,
    /// The tunnel changed.
    Mixed,
    /// It says what the state is.
    Explicit,
}

impl Claim {
    fn new(verdict: Verdict, as_of: Stamp, from: Stamp, words: String, asked: Now, date: Stamp) -> Self {
        let age = date.since(as_of);
        let as_of_here = Now { mono: asked.mono - age, wall: asked.wall - age };
        let counts_as = as_of_here.mono;
        let words = words.into();
        Self {
            verdict,
            as_of,
            as_of_here,
            counts_as,
            from,
            changed: None,
            same_since: from,
            words,
            bgp: BgpHint::None,
        }
    }

    const fn rank(&self) -> Rank {
        match self.verdict {
            Verdict::Unknown(Why::Garbage | Why::Future) => Rank::Unusable,
            Verdict::Unknown(Why::Fraction) => Rank::Mixed,
            Verdict::Up
            | Verdict::Down
            | Verdict::Unknown(
                Why::Starting
                | Why::NeverAnswered
                | Why::Fault(_)
                | Why::Silent
                | Why::BgpUnknown
                | Why::Unused
                | Why::NotHere
                | Why::Shared
                | Why::NotAsked
                | Why::NoData
                | Why::Stale
                | Why::Contradiction
                | Why::Gone,
            ) => Rank::Explicit,
        }
    }

    fn is_evidence(&self) -> bool {
        self.rank() > Rank::Unusable
    }

    const fn is_explicit(&self) -> bool {
        match self.verdict {
            Verdict::Up | Verdict::Down => true,
            Verdict::Unknown(_) => false,
        }
    }

    fn is_fresh(&self, stale_after: Duration, now: Moment) -> bool {
        now.since(self.as_of_here.mono) <= stale_after
    }

    /// Whether this report is newer than the source's present one: some of CloudWatch's hosts show new datapoints sooner than
    /// others. A report stamped later than the `date` of an answer does not count as newer.
    fn outdates(&self, said: &Self, date: Stamp) -> bool {
        self.is_evidence() && self.as_of > said.as_of && self.as_of <= date + CLOCK_TOLERANCE
    }

    /// Continues the series of the same source's previous report.
    fn following(mut self, before: &Self) -> Self {
        let in_a_row = self.from.since(before.as_of) <= IN_A_ROW;
        if self.is_explicit() && self.verdict == before.verdict && in_a_row {
            self.same_since = self.same_since.min(before.same_since);
        }
        self
    }
}

/// Whether two reports cannot both be true, because they differ about the same time. Both are true where the newer one says
/// that its state began after the start of the older one's time, or where a minute in between holds a change; then the newer
/// one counts.
fn contradict(newest: &Claim, other: &Claim, mixed: Option<&Claim>) -> bool {
    match (newest.verdict, other.verdict) {
        (Verdict::Up, Verdict::Down) | (Verdict::Down, Verdict::Up) => {
            let became_later = newest.changed.is_some_and(|changed| changed > other.from);
            let seen = mixed.is_some_and(|mixed| mixed.from > other.from && mixed.from < newest.as_of);
            newest.as_of_here.mono.since(other.as_of_here.mono) < SAME_TIME && !became_later && !seen
        }
        (Verdict::Up, Verdict::Up)
        | (Verdict::Down, Verdict::Down)
        | (Verdict::Unknown(_), _)
        | (_, Verdict::Unknown(_)) => false,
    }
}

/// Which earlier datapoint of 0 this one follows, with no other known value in between.
fn down_before(known: &Claim, newer: &Claim) -> BgpHint {
    match (known.verdict, newer.verdict) {
        // The same datapoint again, which may have been read before its minute was over.
        (Verdict::Down, Verdict::Down) if known.from == newer.from => known.bgp,
        (Verdict::Down, Verdict::Down) => BgpHint::DownBefore(known.as_of_here.mono),
        (Verdict::Up | Verdict::Down | Verdict::Unknown(_), _) => BgpHint::None,
    }
}

/// 1 is up and 0 is down, for static and BGP connections alike; between them the tunnel changed within the period.
fn tunnel_state(value: f64) -> (Verdict, Option<Why>) {
    if value == 1.0 {
        (Verdict::Up, None)
    } else if value == 0.0 {
        (Verdict::Down, None)
    } else if value > 0.0 && value < 1.0 {
        (Verdict::Unknown(Why::Fraction), None)
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

fn point_words(point: &Datapoint) -> String {
    let under = match point.under {
        FoundUnder::VpnAndAddress => "",
        FoundUnder::AddressAlone => " (under TunnelIpAddress alone)",
        FoundUnder::Others => " (under other dimensions than VpnId and TunnelIpAddress)",
    };
    format!("TunnelState {}{under}", point.value)
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
        Self { stamp, period: Duration::from_secs(60), value, under: FoundUnder::VpnAndAddress }
    }
}

/// Which way packets pass by AWS's count. Only minutes count that lie wholly after a moment: AWS's data are minutes late, and the
/// minute of the break holds packets of before it. Both datapoints must say the same. `as_of`: when they were asked for, and the
/// answer's Date; `interval`: between our echoes.
pub fn aws_flow(
    data: &TunnelData,
    as_of: (Moment, Stamp),
    since: Moment,
    interval: Duration,
    now: Moment,
) -> AwsFlow {
    let (asked, date) = as_of;
    let here = |stamp: Stamp| asked + stamp.since(date) - date.since(stamp);
    let is_after = |point: &Datapoint| here(point.stamp) > since;
    let passes = |points: [Option<Datapoint>; 2]| {
        let [Some(newest), Some(before)] = points else { return None };
        let is_current = now.since(here(newest.stamp + newest.period)) <= BYTES_ARE_CURRENT_FOR;
        if !is_current || !is_after(&newest) || !is_after(&before) {
            return None;
        }
        let share = |point: Datapoint| {
            let minutes = point.period.as_secs_f64() / 60.0;
            let echoes = point.period.as_secs_f64() / interval.as_secs_f64() * ECHO_BYTES;
            (point.value < (echoes / 2.0).min(NOTHING * minutes), point.value >= echoes)
        };
        match (share(newest), share(before)) {
            ((true, _), (true, _)) => Some(false),
            ((_, true), (_, true)) => Some(true),
            _ => None,
        }
    };
    AwsFlow { received: passes(data.bytes_in), sent: passes(data.bytes_out) }
}

#[cfg(test)]
mod tests;
