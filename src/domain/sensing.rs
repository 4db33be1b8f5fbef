//! The sensors of one tunnel: when each is asked, what the last answers were, and what follows from them since the break.
//!
//! In calm they are asked seldom, so that it is known what answers when all is well; at the first overdue echo at once and then every
//! second, so that there is an answer when the verdict comes. One look may be wrong: an IKE rekey shows no SA for some milliseconds,
//! and three echoes can be lost by chance. So an absence counts only when two looks in a row have seen it.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::cause::{BgpSign, Flow, Hops, IpsecSign, OutsideSign, Sign, UplinkSign};
use super::fact::Effects;
use super::names::TunnelId;
use super::plan::SensorRules;
use super::request::Request;
use super::sensor::{
    BgpSession, Child, Finding, Ike, Ipsec, Link, Mtu, Path, Reach, Refusal, SenseRequest, SensorKind, Trace,
    Unavailable,
};
use super::status::SensorStatus;
use super::time::{Moment, Now};
use super::verdict::{Verdict, Why};

/// Looks that are remembered: enough for every rule below.
const LOOKS: usize = 8;

/// In calm, what is looked at only so that it is known what works while all is well.
const SELDOM: Duration = Duration::from_secs(60);
/// In calm, a session; and what has been broken for long.
const CALM: Duration = Duration::from_secs(30);
/// A session that has a vote, in calm; something is odd; or a break lasts.
const BRISK: Duration = Duration::from_secs(5);
/// While the verdict is being found.
const FAST: Duration = Duration::from_secs(1);
/// A break is looked at fast for this long.
const FAST_FOR: Duration = Duration::from_secs(30);
/// And briskly for this long.
const BRISK_FOR: Duration = Duration::from_secs(600);
/// After a recovery: BGP needs some time.
const SETTLES_WITHIN: Duration = Duration::from_secs(60);

/// An answer that has not come after this long is lost, and the question is put again.
const LOST_AFTER: Duration = Duration::from_secs(60);
/// A session's state older than this is no vote.
const VOTE_FOR: Duration = Duration::from_secs(30);

/// The first trace waits until the tunnel has worked for this long, and the next one follows a few times a day.
const TRACE_EVERY: Duration = Duration::from_secs(6 * 3600);
/// The MTU is looked at this long after a recovery.
const MTU_AFTER_RECOVERY: Duration = Duration::from_secs(10);
/// A smaller MTU that lasts for this long is the usual one.
const MTU_USUAL_AFTER: Duration = Duration::from_secs(24 * 3600);
/// While the MTU is too small, or a look failed, the next one follows after this long.
const AGAIN: Duration = Duration::from_secs(60);
/// Sizes this close are the same.
const MTU_TOLERANCE: u16 = 8;

/// The smallest of our probes: IPv4 and ICMP headers, and eight bytes.
const PROBE_BYTES: u64 = 36;

/// Counters that did not move for this long, and for three of our probes, have stopped.
const STILL_FOR: Duration = Duration::from_millis(2500);
/// After the delay of its dead peer detection an IKE daemon takes this long at most to show an unanswered check.
const DPD_SHOWS_WITHIN: Duration = Duration::from_secs(3);

/// How a tunnel is, as far as the pace depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// All is well.
    Calm,
    /// Our probes are answered, but something is odd since this moment, or was a short while ago.
    Uneasy(Moment),
    /// An echo is overdue, or our probes are lost since a moment.
    Broken(Moment),
    /// Our probes are lost, for good: the same, and the verdict is Down.
    Down(Moment),
}

/// One sensor's questions and answers.
#[derive(Debug, Default)]
struct Slot {
    /// When it was last asked.
    asked: Option<Moment>,
    in_flight: bool,
    as_of: Option<Now>,
    last: Option<Finding>,
}

/// The sensors of one tunnel.
#[derive(Debug)]
pub struct Sensing {
    rules: SensorRules,
    slots: BTreeMap<SensorKind, Slot>,
    mood: Mood,
    /// Since when another tunnel of the connection is broken: its path is judged by this one's.
    beside: Option<Moment>,
    began: Moment,
    /// Since when the mood has been other than broken, for the first trace and the settling of BGP.
    well_since: Moment,
    ipsec: VecDeque<(Moment, Result<Ipsec, Unavailable>)>,
    ipsec_was_there: bool,
    /// What the peer refused last, as long as no SA stands.
    refused: Option<(Moment, Refusal)>,
    bgp: VecDeque<(Moment, Result<BgpSession, Unavailable>)>,
    path: VecDeque<(Moment, Result<Path, Unavailable>)>,
    outside: Measure,
    references: Measure,
    good_trace: Option<Trace>,
    break_trace: Option<(Moment, Trace)>,
    mtu: Option<Mtu>,
    mtu_best: Option<u16>,
    mtu_shrank_at: Option<Moment>,
}

impl Sensing {
    /// Nothing is known yet.
    pub fn new(rules: SensorRules, now: Moment) -> Self {
        let mut sensing = Self {
            rules: SensorRules::default(),
            slots: BTreeMap::new(),
            mood: Mood::Calm,
            beside: None,
            began: now,
            well_since: now,
            ipsec: VecDeque::new(),
            ipsec_was_there: false,
            refused: None,
            bgp: VecDeque::new(),
            path: VecDeque::new(),
            outside: Measure::default(),
            references: Measure::default(),
            good_trace: None,
            break_trace: None,
            mtu: None,
            mtu_best: None,
            mtu_shrank_at: None,
        };
        sensing.set_rules(rules);
        sensing
    }

    /// Takes other rules; what is known stays.
    pub fn set_rules(&mut self, rules: SensorRules) {
        self.slots.retain(|kind, _| rules.kinds.contains(kind));
        for kind in &rules.kinds {
            self.slots.entry(*kind).or_default();
        }
        self.rules = rules;
    }

    /// The tunnel's mood now, and since when another tunnel of the connection is broken.
    pub fn set_mood(&mut self, mood: Mood, beside: Option<Moment>, now: Moment) {
        self.beside = beside;
        let was_broken = self.mood.broken_since().is_some();
        if was_broken && mood.broken_since().is_none() {
            self.well_since = now;
        }
        self.mood = mood;
    }

    /// When the next question is due.
    pub fn due(&self) -> Option<Moment> {
        self.slots.iter().filter_map(|(kind, slot)| self.slot_due(*kind, slot)).min()
    }

    /// Puts the questions that are due.
    pub fn ask(&mut self, tunnel: &TunnelId, now: Moment, fx: &mut Effects) {
        let due = |(kind, slot): (&SensorKind, &Slot)| {
            self.slot_due(*kind, slot).is_some_and(|due| due <= now).then_some(*kind)
        };
        let kinds: Vec<SensorKind> = self.slots.iter().filter_map(due).collect();
        for sensor in kinds {
            if let Some(slot) = self.slots.get_mut(&sensor) {
                slot.asked = Some(now);
                slot.in_flight = true;
            }
            fx.requests.push_back(Request::Sense(SenseRequest { tunnel: tunnel.clone(), sensor }));
        }
    }

    /// A sensor has answered.
    pub fn sensed(&mut self, asked: Moment, finding: Finding, now: Now) {
        let kind = finding.sensor();
        let Some(slot) = self.slots.get_mut(&kind) else { return };
        slot.in_flight = false;
        slot.as_of = Some(now);
        match &finding {
            Finding::Ipsec(seen) => {
                self.ipsec_was_there |= seen.is_ok();
                match seen {
                    Ok(Ipsec { refusal: Some(refusal), .. }) => self.refused = Some((asked, *refusal)),
                    Ok(seen) if matches!(state(seen), SaState::Standing) => self.refused = None,
                    Ok(_) | Err(_) => {}
                }
                remember(&mut self.ipsec, asked, *seen);
            }
            Finding::Bgp(seen) => remember(&mut self.bgp, asked, seen.clone()),
            Finding::Path(seen) => {
                if let Ok(path) = seen {
                    let well = self.mood.broken_since().is_none() && self.beside.is_none();
                    self.outside.looked(asked, answers(path.outside), well);
                    self.references.looked(asked, reference_answers(path), well);
                }
                remember(&mut self.path, asked, seen.clone());
            }
            Finding::Trace(Ok(trace)) => match self.mood.broken_since() {
                Some(since) if asked >= since => self.break_trace = Some((asked, trace.clone())),
                Some(_) => {}
                None => {
                    if trace.reached {
                        self.good_trace = Some(trace.clone());
                    }
                }
            },
            Finding::Mtu(Ok(mtu)) => {
                self.mtu = Some(*mtu);
                self.mtu_best = self.mtu_best.max(mtu.largest);
                self.mtu_shrank_at = match (self.mtu_shrank(), self.mtu_shrank_at) {
                    // What has lasted for a day is what passes here.
                    (Some((now, _)), Some(since)) if asked.since(since) >= MTU_USUAL_AFTER => {
                        self.mtu_best = Some(now);
                        None
                    }
                    (Some(_), since) => Some(since.unwrap_or(asked)),
                    (None, _) => None,
                };
            }
            Finding::Trace(Err(_)) | Finding::Mtu(Err(_)) => {}
        }
        if let Some(slot) = self.slots.get_mut(&kind) {
            slot.last = Some(finding);
        }
    }

    fn slot_due(&self, kind: SensorKind, slot: &Slot) -> Option<Moment> {
        let Some(asked) = slot.asked else { return self.first(kind) };
        if slot.in_flight {
            return Some(asked + LOST_AFTER);
        }
        Some(asked + self.interval(kind, asked)?)
    }

    /// When a sensor is asked for the first time.
    fn first(&self, kind: SensorKind) -> Option<Moment> {
        match (kind, self.mood) {
            (SensorKind::Ipsec | SensorKind::Bgp | SensorKind::Path, _) => Some(self.began),
            (SensorKind::Trace, Mood::Down(since)) => Some(since),
            (SensorKind::Trace, Mood::Calm | Mood::Uneasy(_)) => Some(self.well_since + SETTLES_WITHIN),
            (SensorKind::Mtu, Mood::Calm | Mood::Uneasy(_)) => Some(self.well_since + MTU_AFTER_RECOVERY),
            (SensorKind::Trace, Mood::Broken(_)) | (SensorKind::Mtu, Mood::Broken(_) | Mood::Down(_)) => None,
        }
    }

    /// How long after the last question the next one follows; `None` as long as this mood lasts.
    fn interval(&self, kind: SensorKind, asked: Moment) -> Option<Duration> {
        let interval = self.interval_of_mood(kind, asked)?;
        let votes = kind == SensorKind::Bgp && self.rules.bgp_required;
        Some(if votes { interval.min(BRISK) } else { interval })
    }

    fn interval_of_mood(&self, kind: SensorKind, asked: Moment) -> Option<Duration> {
        let mood = match (kind, self.mood, self.beside) {
            (SensorKind::Path, Mood::Calm | Mood::Uneasy(_), Some(since)) => Mood::Broken(since),
            (_, mood, _) => mood,
        };
        match (kind, mood) {
            (SensorKind::Ipsec | SensorKind::Path, Mood::Calm) => Some(SELDOM),
            // One look alone says nothing: the second one must not take half a minute.
            (SensorKind::Bgp, Mood::Calm) if self.session_is_odd() => Some(FAST),
            (SensorKind::Bgp, Mood::Calm) => Some(CALM),
            (SensorKind::Ipsec | SensorKind::Bgp | SensorKind::Path, Mood::Uneasy(since)) => {
                Some(pace(asked.since(since)))
            }
            (
                SensorKind::Ipsec | SensorKind::Bgp | SensorKind::Path,
                Mood::Broken(since) | Mood::Down(since),
            ) => Some(pace(asked.since(since))),
            // One at the break, once more after a failure, and the last good one from calm.
            (SensorKind::Trace, Mood::Down(since)) if asked < since => Some(since.since(asked)),
            (SensorKind::Trace, Mood::Down(_)) => self.has_failed(kind).then_some(CALM),
            (SensorKind::Trace, Mood::Calm | Mood::Uneasy(_)) => {
                Some(if self.has_failed(kind) { AGAIN } else { TRACE_EVERY })
            }
            (SensorKind::Mtu, Mood::Calm | Mood::Uneasy(_)) if asked < self.well_since => {
                Some(self.well_since.since(asked) + MTU_AFTER_RECOVERY)
            }
            (SensorKind::Mtu, Mood::Calm | Mood::Uneasy(_)) => {
                let again = self.has_failed(kind) || self.mtu_shrank().is_some();
                Some(if again { self.rules.mtu_interval.min(AGAIN) } else { self.rules.mtu_interval })
            }
            (SensorKind::Trace, Mood::Broken(_)) | (SensorKind::Mtu, Mood::Broken(_) | Mood::Down(_)) => None,
        }
    }

    fn has_failed(&self, kind: SensorKind) -> bool {
        self.slots.get(&kind).and_then(|slot| slot.last.as_ref()?.unavailable()).is_some()
    }

    fn session_is_odd(&self) -> bool {
        let last = self.bgp.back().and_then(|(_, look)| look.as_ref().ok());
        last.is_some_and(|session| !session.established || !session.missing.is_empty())
    }

    fn watches(&self, kind: SensorKind) -> bool {
        self.rules.kinds.contains(&kind)
    }

    //--- what the looks of after a moment say

    /// IPsec since the break. `interval`: between two of our probes, which move the counters.
    pub fn ipsec_sign(&self, since: Moment, interval: Duration) -> Sign<IpsecSign> {
        if !self.watches(SensorKind::Ipsec) {
            return Sign::Dark;
        }
        let looks: Vec<&(Moment, Result<Ipsec, Unavailable>)> =
            self.ipsec.iter().filter(|(asked, _)| *asked > since).collect();
        let [.., (_, last)] = looks.as_slice() else { return Sign::Awaited };
        let before = looks.len().checked_sub(2).map(|index| &looks[index].1);
        match last {
            Err(why) => match before {
                Some(Err(earlier)) if self.is_stopped(*why) && self.is_stopped(*earlier) => {
                    Sign::Seen(IpsecSign::DaemonNotRunning)
                }
                Some(Err(_)) => Sign::Dark,
                Some(Ok(_)) | None => Sign::Awaited,
            },
            Ok(seen) => {
                let refusal = self.refused.filter(|(at, _)| *at > since).map(|(_, refusal)| refusal);
                match (state(seen), before.and_then(|look| look.as_ref().ok()).map(state), refusal) {
                    (SaState::Standing, _, _) => {
                        Sign::Seen(IpsecSign::Standing(flow(&looks, since, interval)))
                    }
                    (_, _, Some(refusal)) => Sign::Seen(IpsecSign::Refused(refusal)),
                    (SaState::WithoutChild, Some(SaState::WithoutChild), None) => {
                        Sign::Seen(IpsecSign::ChildAbsent)
                    }
                    (SaState::Gone(sign), Some(SaState::Gone(_)), None) => Sign::Seen(sign),
                    (SaState::Gone(_) | SaState::WithoutChild, _, None) => Sign::Awaited,
                }
            }
        }
    }

    /// Whether it says that the IKE daemon does not run. A missing socket does so only if the daemon was there.
    const fn is_stopped(&self, why: Unavailable) -> bool {
        match why {
            Unavailable::NotRunning => true,
            Unavailable::NotThere => self.ipsec_was_there,
            Unavailable::Denied
            | Unavailable::TimedOut
            | Unavailable::Closed
            | Unavailable::Invalid
            | Unavailable::TooLong
            | Unavailable::NotListed
            | Unavailable::HostError
            | Unavailable::Skipped => false,
        }
    }

    /// The BGP session since a moment.
    pub fn bgp_sign(&self, since: Moment) -> Sign<BgpSign> {
        if !self.watches(SensorKind::Bgp) {
            return Sign::Dark;
        }
        let mut looks = self.bgp.iter().rev().filter(|(asked, _)| *asked > since).map(|(_, look)| look);
        let (last, before) = (looks.next(), looks.next());
        // BIRD forgets it as soon as a reconnect fails otherwise.
        let heard_nothing = self.bgp.iter().filter(|(asked, _)| *asked > since);
        let heard_nothing = heard_nothing
            .filter_map(|(_, look)| look.as_ref().ok())
            .any(|session| session.peer_heard_nothing);
        match (last, before) {
            (None, _) => Sign::Awaited,
            // A notification is no gap between two looks.
            (Some(Ok(session)), _) if !session.established && heard_nothing => {
                Sign::Seen(BgpSign::NotEstablished {
                    state: Arc::clone(&session.state),
                    last_error: session.last_error.clone(),
                    peer_heard_nothing: true,
                })
            }
            (Some(Err(_)), Some(Err(_))) => Sign::Dark,
            (Some(Err(_)), Some(Ok(_)) | None) => Sign::Awaited,
            (Some(Ok(session)), _) if session.established => match session.missing.first() {
                None if session.no_policy => Sign::Seen(BgpSign::WithoutPolicy),
                None => Sign::Seen(BgpSign::Established),
                // Routes follow the session by seconds.
                Some(prefix) => match before {
                    Some(Ok(earlier)) if earlier.established && earlier.missing.contains(prefix) => {
                        Sign::Seen(BgpSign::PrefixMissing(Arc::clone(prefix)))
                    }
                    Some(_) | None => Sign::Awaited,
                },
            },
            (Some(Ok(session)), Some(Ok(earlier))) if !earlier.established => {
                Sign::Seen(BgpSign::NotEstablished {
                    state: Arc::clone(&session.state),
                    last_error: session.last_error.clone(),
                    peer_heard_nothing: false,
                })
            }
            (Some(Ok(_)), _) => Sign::Awaited,
        }
    }

    /// The vote of a session that is required; `None` where it is not.
    pub fn bgp_vote(&self, now: Moment) -> Option<Verdict> {
        if !self.rules.bgp_required || !self.watches(SensorKind::Bgp) {
            return None;
        }
        let mut looks = self.bgp.iter().rev().filter_map(|(asked, look)| Some((*asked, look.as_ref().ok()?)));
        let (last, before) = (looks.next(), looks.next());
        let fresh = |asked: Moment| now.since(asked) <= VOTE_FOR;
        Some(match (last, before) {
            (Some((asked, _)), _) if !fresh(asked) => Verdict::Unknown(Why::BgpUnknown),
            (Some((_, session)), _) if session.established => Verdict::Up,
            (Some(_), Some((asked, earlier))) if fresh(asked) && !earlier.established => Verdict::Down,
            // One look alone takes no vote away.
            (Some(_), Some((asked, _))) if fresh(asked) => Verdict::Up,
            (Some(_), Some(_) | None) | (None, _) => Verdict::Unknown(Why::BgpUnknown),
        })
    }

    /// When a required session's state becomes too old to vote.
    pub fn bgp_vote_ends(&self) -> Option<Moment> {
        if !self.rules.bgp_required {
            return None;
        }
        let (asked, _) = self.bgp.iter().rev().find(|(_, look)| look.is_ok())?;
        Some(*asked + VOTE_FOR + Duration::from_millis(1))
    }

    /// AWS's outside address since the break.
    pub fn outside_sign(&self, since: Moment) -> Sign<OutsideSign> {
        if !self.watches(SensorKind::Path) {
            return Sign::Dark;
        }
        let mut looks = self.path.iter().rev().filter(|(asked, _)| *asked > since).map(|(_, look)| look);
        let (last, before) = (looks.next(), looks.next());
        let twice = |reach: Reach, sign: OutsideSign| match before {
            Some(Ok(earlier)) if earlier.outside == reach => Sign::Seen(sign),
            Some(_) | None => Sign::Awaited,
        };
        match last {
            None => Sign::Awaited,
            Some(Err(_)) => match before {
                Some(Err(_)) => Sign::Dark,
                Some(Ok(_)) | None => Sign::Awaited,
            },
            Some(Ok(path)) => match path.outside {
                Reach::Answers { .. } => Sign::Seen(OutsideSign::Answers),
                Reach::Silent if self.outside.answered => twice(Reach::Silent, OutsideSign::Silent),
                Reach::Silent => Sign::Seen(OutsideSign::NeverAnswered),
                Reach::NoRoute => twice(Reach::NoRoute, OutsideSign::NoRoute),
                Reach::Blocked => twice(Reach::Blocked, OutsideSign::Blocked),
                Reach::NotSent => Sign::Dark,
            },
        }
    }

    /// The reference hosts since the break.
    pub fn references_sign(&self, since: Moment) -> Sign<UplinkSign> {
        if !self.watches(SensorKind::Path) || !self.references.answered {
            return Sign::Dark;
        }
        let mut looks = self.path.iter().rev().filter(|(asked, _)| *asked > since).map(|(_, look)| look);
        let reached = |look: &Result<Path, Unavailable>| {
            let mut answered = look.as_ref().ok()?.references.iter().filter_map(|(_, reach)| match reach {
                Reach::Answers { .. } => Some(true),
                Reach::Silent | Reach::NoRoute => Some(false),
                // Nothing has left: nothing can be said.
                Reach::Blocked | Reach::NotSent => None,
            });
            let first = answered.next()?;
            Some(first || answered.any(|answers| answers))
        };
        let (last, before) = (looks.next().map(reached), looks.next().map(reached));
        match (last, before) {
            (Some(Some(true)), _) => Sign::Seen(UplinkSign::Answers),
            (Some(Some(false)), Some(Some(false))) => Sign::Seen(UplinkSign::Silent),
            (Some(None), Some(None)) => Sign::Dark,
            (None | Some(Some(false) | None), _) => Sign::Awaited,
        }
    }

    /// The uplink's interface, by the newest look of after the break.
    pub fn interface(&self, since: Moment) -> Option<Link> {
        let (_, look) = self.path.iter().rev().find(|(asked, _)| *asked > since)?;
        look.as_ref().ok()?.interface
    }

    /// Where the path ends, by a trace of after the break that did not arrive.
    pub fn path_ends_at(&self, since: Moment) -> Option<(u8, IpAddr)> {
        let (asked, trace) = self.break_trace.as_ref()?;
        if *asked < since || trace.reached {
            return None;
        }
        let (hop, address) = trace.last()?;
        Some((u8::try_from(hop).unwrap_or(u8::MAX), address))
    }

    /// The largest packet now and before, where it shrank.
    pub fn mtu_shrank(&self) -> Option<(u16, u16)> {
        // No packet at all is no matter of size.
        let (now, best) = (self.mtu?.largest?, self.mtu_best?);
        (now.saturating_add(MTU_TOLERANCE) < best).then_some((now, best))
    }

    /// Since when it is well again, if it was broken a short while ago.
    pub fn recovered(&self, now: Moment) -> Option<Moment> {
        let recovered = self.well_since > self.began && now.since(self.well_since) < SETTLES_WITHIN;
        recovered.then_some(self.well_since)
    }

    /// How long the tunnel has been well.
    pub fn well_for(&self, now: Moment) -> Duration {
        now.since(self.well_since)
    }

    /// The hops of a trace of after the break that did not arrive, and of the last good one.
    pub fn hops(&self, since: Moment) -> Option<(Hops, Option<Hops>)> {
        let (asked, trace) = self.break_trace.as_ref()?;
        let of = |trace: &Trace| Hops::from(trace.hops.as_slice());
        (*asked >= since && !trace.reached).then(|| (of(trace), self.good_trace.as_ref().map(of)))
    }

    /// Its part of `/status`.
    pub fn status(&self) -> Vec<SensorStatus> {
        let status = |(kind, slot): (&SensorKind, &Slot)| SensorStatus {
            kind: *kind,
            as_of: slot.as_of,
            last: slot.last.clone(),
        };
        self.slots.iter().map(status).collect()
    }
}

impl Mood {
    /// Since when our probes are lost.
    pub const fn broken_since(self) -> Option<Moment> {
        match self {
            Self::Broken(since) | Self::Down(since) => Some(since),
            Self::Calm | Self::Uneasy(_) => None,
        }
    }
}

fn remember<T>(looks: &mut VecDeque<(Moment, T)>, asked: Moment, look: T) {
    if looks.len() == LOOKS {
        looks.pop_front();
    }
    looks.push_back((asked, look));
}

fn reference_answers(path: &Path) -> bool {
    path.references.iter().any(|(_, reach)| answers(*reach))
}

/// Whether the silence of hosts means anything.
#[derive(Debug, Clone, Copy, Default)]
struct Measure {
    /// One has answered while all was well, and did to the last.
    answered: bool,
    /// Since when none does, although our probes are answered.
    silent: Option<Moment>,
}

impl Measure {
    /// Who is silent for a while although our probes are answered is no measure any more. A single look may have been the first to
    /// see what the probes see a moment later.
    fn looked(&mut self, asked: Moment, answers: bool, well: bool) {
        if answers {
            *self = Self { answered: true, silent: None };
        } else if well {
            let since = *self.silent.get_or_insert(asked);
            self.answered &= asked.since(since) < SELDOM;
        } else {
            self.silent = None;
        }
    }
}

const fn answers(reach: Reach) -> bool {
    match reach {
        Reach::Answers { .. } => true,
        Reach::Silent | Reach::NoRoute | Reach::Blocked | Reach::NotSent => false,
    }
}

/// How soon the next look follows, where something has been odd or broken for this long.
const fn pace(lasted: Duration) -> Duration {
    if lasted.as_secs() < FAST_FOR.as_secs() {
        FAST
    } else if lasted.as_secs() < BRISK_FOR.as_secs() {
        BRISK
    } else {
        CALM
    }
}

/// The SAs of one look.
enum SaState {
    Gone(IpsecSign),
    WithoutChild,
    Standing,
}

const fn state(seen: &Ipsec) -> SaState {
    match (seen.ike, seen.child) {
        (Some(Ike::Absent), _) => SaState::Gone(IpsecSign::IkeAbsent),
        (Some(Ike::Connecting), _) => SaState::Gone(IpsecSign::IkeConnecting),
        (Some(Ike::Established { unanswered: true }), _) => SaState::Gone(IpsecSign::IkeUnanswered),
        (Some(Ike::Established { unanswered: false }) | None, Some(_)) => SaState::Standing,
        (Some(Ike::Established { unanswered: false }) | None, None) => SaState::WithoutChild,
    }
}

/// Which way packets pass, by looks of after the break at one CHILD_SA.
fn flow(looks: &[&(Moment, Result<Ipsec, Unavailable>)], since: Moment, interval: Duration) -> Flow {
    let all: Vec<(Moment, Ipsec)> =
        looks.iter().filter_map(|(asked, look)| Some((*asked, (*look).ok()?))).collect();
    let Some((last_asked, last)) = all.last().copied() else {
        return Flow { alive: false, outbound: None, inbound: None };
    };
    // By how many bytes a counter grew, and in which time.
    let growth = |counter: fn(&Child) -> u64| {
        let newest = last.child?;
        let mut before = all.iter().filter_map(|(asked, ipsec)| Some((*asked, ipsec.child?)));
        let (first_asked, first) = before.find(|(_, child)| child.id == newest.id)?;
        Some((counter(&newest).saturating_sub(counter(&first)), last_asked.since(first_asked)))
    };
    let is_long = |window: Duration| window >= STILL_FOR.max(interval.saturating_mul(3));
    // A stray packet of the host itself is no flow: what counts is what our probes alone must make.
    let outbound = growth(|child| child.bytes_out).and_then(|(bytes, window)| {
        let probes = window.as_nanos() / interval.as_nanos().max(1);
        let ours = u64::try_from(probes).unwrap_or(u64::MAX).saturating_mul(PROBE_BYTES);
        let (leaves, stays) = (bytes >= ours / 2, bytes < ours / 4);
        (is_long(window) && (leaves || stays)).then_some(leaves)
    });
    let inbound = growth(|child| child.bytes_in).and_then(|(bytes, window)| {
        let comes = bytes > 0;
        (comes || is_long(window)).then_some(comes)
    });
    let checked_from = last.dpd_delay.filter(|delay| !delay.is_zero()).map(|delay| since + delay);
    let alive = checked_from.is_some_and(|from| {
        let answered = |ipsec: &Ipsec| ipsec.ike == Some(Ike::Established { unanswered: false });
        last_asked >= from + DPD_SHOWS_WITHIN
            && all.iter().filter(|(asked, _)| *asked >= from).all(|(_, ipsec)| answered(ipsec))
    });
    Flow { alive, outbound, inbound }
}
