//! Why a tunnel does not work: what its sensors are asked, and the cause that follows from what they find.

use std::time::Duration;

use super::{Tunnel, fell_silent};
use crate::domain::cause::{self, Cause, Diagnosis, OutsideSign, Sign, Symptoms, UplinkSign};
use crate::domain::check::Check;
use crate::domain::fact::Effects;
use crate::domain::names::{End, Routing};
use crate::domain::remote;
use crate::domain::sensing::Mood;
use crate::domain::sensor::{Finding, Link};
use crate::domain::side::AwsFlow;
use crate::domain::time::{Moment, Now};
use crate::domain::verdict::{Assessment, Verdict, Why};

/// A cause that the evidence no longer names is shown for this long, because a look can fail.
const DOUBTED_FOR: Duration = Duration::from_secs(15);

/// After its probes are answered again a tunnel's BGP session needs some time.
const SESSION_SETTLES_WITHIN: Duration = Duration::from_secs(30);

impl Tunnel {
    /// A sensor answered; true if that may change the vote.
    pub fn sensed(&mut self, asked: Moment, finding: Finding, now: Now) -> bool {
        let before = self.sensing.bgp_vote(now.mono);
        self.sensing.sensed(asked, finding, now);
        self.sensing.bgp_vote(now.mono) != before
    }

    /// Since when our probes are lost, as far as an echo has been overdue.
    pub fn broken_since(&self, now: Moment) -> Option<Moment> {
        self.mood(now).broken_since()
    }

    /// Puts the questions to its sensors that are due. `beside`: since when another tunnel of the connection is broken.
    pub fn sense(&mut self, beside: Option<Moment>, now: Moment, fx: &mut Effects) {
        if self.checks.is_empty() {
            return;
        }
        let mood = self.mood(now);
        self.sensing.set_mood(mood, beside, now);
        self.sensing.ask(&self.plan.id, now, fx);
    }

    /// When [`Self::sense`] must be called again, if nothing happens before.
    pub fn sense_due(&self) -> Option<Moment> {
        if self.checks.is_empty() { None } else { self.sensing.due() }
    }

    /// When the vote of a required BGP session ends, if it has one.
    pub fn vote_ends(&self) -> Option<Moment> {
        match self.session_vote {
            Some(Verdict::Up | Verdict::Down) => self.sensing.bgp_vote_ends(),
            Some(Verdict::Unknown(_)) | None => None,
        }
    }

    /// What its outside address says since a moment.
    pub fn outside_sign(&self, since: Moment) -> Sign<OutsideSign> {
        self.sensing.outside_sign(since)
    }

    /// What its looks say of its uplink since a moment.
    pub fn uplink_sign(&self, since: Moment) -> Sign<UplinkSign> {
        let gone = self.sensing.interface(since).map(|link| link != Link::Up);
        match (self.sensing.outside_sign(since), self.sensing.references_sign(since)) {
            (Sign::Seen(OutsideSign::Answers), _) => Sign::Seen(UplinkSign::Answers),
            (_, references) => match (references, gone) {
                (Sign::Seen(UplinkSign::Answers), _) => Sign::Seen(UplinkSign::Answers),
                (Sign::Seen(UplinkSign::Silent), _) | (_, Some(true)) => Sign::Seen(UplinkSign::Silent),
                (Sign::Awaited, _) => Sign::Awaited,
                (Sign::Dark, _) => Sign::Dark,
            },
        }
    }

    /// Names the cause anew; returns the one before if cause or confidence changed.
    pub fn diagnose(
        &mut self,
        routing: Routing,
        others: Sign<UplinkSign>,
        now: Now,
    ) -> Option<Option<Diagnosis>> {
        let wavers = match self.mood(now.mono) {
            Mood::Broken(_) => true,
            Mood::Calm | Mood::Uneasy(_) | Mood::Down(_) => false,
        };
        if wavers && self.diagnosis.is_some() {
            return None;
        }
        let found = cause::diagnose(&self.symptoms(routing, others, now));
        let is_unknown = |named: &Diagnosis| named.cause == Cause::Unknown;
        let named_before = self.diagnosis.as_ref().is_some_and(|known| !is_unknown(known));
        let told_before = self.diagnosis.as_ref().is_some_and(Diagnosis::tells);
        let loses =
            |found: &Diagnosis| (named_before && is_unknown(found)) || (told_before && !found.tells());
        if found.as_ref().is_some_and(loses) {
            let doubted = *self.doubted.get_or_insert(now.mono);
            if now.mono.since(doubted) < DOUBTED_FOR {
                return None;
            }
        }
        self.doubted = None;
        let same = match (&self.diagnosis, &found) {
            (Some(known), Some(found)) => known.says_the_same(found),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        let before = std::mem::replace(&mut self.diagnosis, found);
        if same {
            return None;
        }
        self.diagnosed_since = now;
        Some(before)
    }

    /// The cause of its trouble.
    pub const fn diagnosis(&self) -> Option<&Diagnosis> {
        self.diagnosis.as_ref()
    }

    /// What the probes of AWS's inside address say, or from behind the gateway the first required hosts, without what is required
    /// besides.
    pub fn inside(&self) -> Verdict {
        self.votes().first().map_or(self.local.verdict, |(verdict, _)| *verdict)
    }

    fn mood(&self, now: Moment) -> Mood {
        let Some(check) = self.checks.first() else { return Mood::Calm };
        let since = || fell_silent(check).unwrap_or(self.local.since.mono);
        match check.verdict() {
            // A single reply does not make what was seen before it old.
            Verdict::Down => Mood::Down(self.broke.unwrap_or_else(since)),
            Verdict::Up if check.is_suspect() => Mood::Broken(since()),
            Verdict::Up if self.hosts_silent_since().is_some() => {
                self.hosts_silent_since().map_or(Mood::Calm, Mood::Uneasy)
            }
            Verdict::Up => match self.assessment {
                Assessment::Down | Assessment::Disputed(_) | Assessment::Unconfirmed(_) => {
                    Mood::Uneasy(self.assessed_since.mono)
                }
                Assessment::Healthy | Assessment::Blind => {
                    let named = self.diagnosis.as_ref().map(|_| self.diagnosed_since.mono);
                    named.or(self.sensing.recovered(now)).map_or(Mood::Calm, Mood::Uneasy)
                }
            },
            Verdict::Unknown(Why::Starting) => Mood::Calm,
            Verdict::Unknown(_) => Mood::Uneasy(check.since().mono),
        }
    }

    /// Since when hosts behind the tunnel do not answer, where one is suspect or Down.
    fn hosts_silent_since(&self) -> Option<Moment> {
        let silent = |check: &&Check| check.verdict() == Verdict::Down || check.is_suspect();
        let behind =
            self.checks.iter().skip(1).filter(|check| check.verdict() != Verdict::Unknown(Why::Starting));
        behind.filter(silent).filter_map(|check| check.evidence().first_loss).map(|at| at.mono).min()
    }

    /// Whether AWS may be replacing the endpoint, or has just done so.
    fn replaced(&self, now: Now) -> bool {
        let stopped = self.stopped.map_or(self.local.since.wall, |stopped| stopped.wall);
        let maintenance = self.maintenance.maintenance();
        maintenance.is_some_and(|maintenance| maintenance.explains(stopped, now.wall).is_some())
    }

    /// Of the first group of hosts that no longer answers: how many do, of how many.
    fn hosts_missing(&self) -> Option<(u16, u16)> {
        let groups = self.through();
        let missing = groups.iter().find(|group| group.verdict() == Verdict::Down && !group.suspect)?;
        let count = |count| u16::try_from(count).unwrap_or(u16::MAX);
        Some((count(missing.answering()), count(missing.hosts.len())))
    }

    /// The end that alone says Down. Soon after our end came up AWS's Down is older than that.
    fn alone(&self) -> Option<End> {
        match self.assessment {
            Assessment::Disputed(End::Aws) => {
                let later = self.remote.as_of_here().is_some_and(|as_of| as_of > self.answers_from);
                later.then_some(End::Aws)
            }
            Assessment::Disputed(by) | Assessment::Unconfirmed(by) => Some(by),
            Assessment::Healthy | Assessment::Down | Assessment::Blind => None,
        }
    }

    /// Which way packets pass by AWS's count, while our probes are lost since a moment.
    fn aws_flow(&self, since: Moment, now: Moment) -> AwsFlow {
        let (Some(as_of), Some(check)) = (self.data_as_of, self.checks.first()) else {
            return AwsFlow::default();
        };
        remote::aws_flow(&self.data, as_of, since, check.interval(), now)
    }

    fn symptoms(&self, routing: Routing, others: Sign<UplinkSign>, now: Now) -> Symptoms {
        let inside = self.inside();
        let evidence = self.checks.first().map(Check::evidence).unwrap_or_default();
        // While echoes are answered everything is as of the last looks.
        let mood = self.mood(now.mono);
        let since = match mood {
            Mood::Down(since) => since,
            Mood::Calm | Mood::Uneasy(_) | Mood::Broken(_) => Moment::ORIGIN,
        };
        let interval = self.checks.first().map_or(Duration::MAX, Check::probe_interval);
        let sensing = &self.sensing;
        // A session that falls while an echo is overdue falls with the tunnel.
        let settles = inside == Verdict::Up
            && (mood.broken_since().is_some() || sensing.well_for(now.mono) < SESSION_SETTLES_WITHIN);
        // Hosts behind the tunnel also fall silent with a lost route: a session's state of before that says nothing.
        let session_since = match inside {
            Verdict::Up => self.hosts_silent_since().unwrap_or(since),
            Verdict::Down | Verdict::Unknown(_) => since,
        };
        Symptoms {
            inside,
            loss: evidence.last_loss,
            carrying: self.carrying,
            ipsec: sensing.ipsec_sign(since, interval),
            bgp: if settles { Sign::Awaited } else { sensing.bgp_sign(session_since) },
            outside: sensing.outside_sign(since),
            references: sensing.references_sign(since),
            others,
            interface: sensing.interface(since),
            path_ends_at: sensing.path_ends_at(since),
            hops: sensing.hops(since),
            replacement: self.replaced(now),
            aws_ipsec: self.remote.says_ipsec_is_up(since),
            hosts_missing: if settles { None } else { self.hosts_missing() },
            mtu_shrank: sensing.mtu_shrank(),
            lossy: self.quality().lossy(),
            slow: self.quality.slow(),
            alone: self.alone(),
            lost_for: mood.broken_since().map_or(Duration::ZERO, |since| now.mono.since(since)),
            may_be_bgp: routing != Routing::Static,
            aws_flow: match mood {
                Mood::Down(since) => self.aws_flow(since, now.mono),
                Mood::Calm | Mood::Uneasy(_) | Mood::Broken(_) => AwsFlow::default(),
            },
        }
    }
}
