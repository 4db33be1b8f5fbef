//! The domain's types as the file's JSON. The domain stays `std` only, so the format of each stored type is here, field by
//! field. serde ties it to the type: a new field breaks the build here, where its default for older rows must be chosen.
//!
//! This is the format of the file alone. Other outputs have their own formats, so that neither constrains the other.
//!
//! Moments of the monotonic clock mean nothing to another run. Only the wall clock's half of a [`Now`] is stored; a value
//! that is read starts at [`Moment::ORIGIN`], and [`read_incident`] computes the other half from an anchor.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use crate::domain::names::{Destination, SinkId, TunnelId, VpnId};
use crate::domain::rollup::{Rollup, RttBin};
use crate::domain::scope::{ParentId, ParentKind, Scope};
use crate::domain::silence::{self, SilenceId};
use crate::domain::time::{Moment, Now, Stamp};
use crate::domain::{board, carrying, cause, names, quality, sensor, side, verdict};
use crate::incident::sink;

/// Reads an incident. Fails if no release of ours wrote the text.
pub(super) fn read_incident(text: &str, anchor: Now) -> serde_json::Result<board::Incident> {
    let mut incident: board::Incident = serde_json::from_str(text)?;
    for tunnel in &mut incident.tunnels {
        tunnel.quality_since.iter_mut().for_each(|since| anchored(since, anchor));
        for view in [&mut tunnel.local, &mut tunnel.aws] {
            let verdict::View { verdict: _, since, evidence } = view;
            anchored(since, anchor);
            let here = match evidence {
                verdict::Evidence::Local(verdict::LocalEvidence {
                    last_reply,
                    stopped,
                    losses_in_row: _,
                    first_loss,
                    last_loss: _,
                    replies_in_row: _,
                    loss_percent: _,
                    median_rtt: _,
                    through: _,
                }) => [last_reply, stopped, first_loss].map(Option::as_mut),
                verdict::Evidence::Aws(verdict::AwsEvidence {
                    source: _,
                    as_of: _,
                    as_of_here,
                    changed: _,
                    words: _,
                }) => [as_of_here.as_mut(), None, None],
            };
            here.into_iter().flatten().for_each(|now| anchored(now, anchor));
        }
    }
    Ok(incident)
}

fn anchored(now: &mut Now, anchor: Now) {
    now.mono = anchor.mono - anchor.wall.since(now.wall) + now.wall.since(anchor.wall);
}

/// The kind that has this word.
pub(super) fn kind(word: &str) -> Option<names::Kind> {
    names::Kind::ALL.into_iter().find(|kind| kind.as_str() == word)
}

/// Round-trip times as JSON: `[[nanoseconds, count], …]`.
pub(super) fn write_rtt(bins: &[RttBin]) -> String {
    let pairs: Vec<_> = bins.iter().map(|bin| (nanos::of(bin.mean), bin.count)).collect();
    serde_json::to_string(&pairs).unwrap_or_default()
}

/// The inverse of [`write_rtt`]. Fails on any other text.
pub(super) fn read_rtt(text: &str) -> serde_json::Result<Vec<RttBin>> {
    let pairs: Vec<(u64, u32)> = serde_json::from_str(text)?;
    Ok(pairs.into_iter().map(|(mean, count)| RttBin { mean: Duration::from_nanos(mean), count }).collect())
}

/// Distinguishes two parts of one minute of one tunnel. It must be the same in every release.
pub(super) fn digest(rollup: &Rollup) -> i64 {
    let Rollup { tunnel: _, minute: _, replies, late, lost, faults, rtt, up, both_ends_down } = rollup;
    let rtt = write_rtt(rtt);
    let text = format!("{replies} {late} {lost} {faults} {up:?} {both_ends_down:?} {rtt}");
    let hash = Sha256::digest(text.as_bytes());
    hash.iter().take(8).fold(0, |digest, byte| digest << 8 | i64::from(*byte))
}

/// A duration as nanoseconds.
mod nanos {
    use super::*;

    pub(super) fn of(duration: Duration) -> u64 {
        u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
    }

    pub(super) fn serialize<S: Serializer>(duration: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
        duration.map(of).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
        Ok(Option::deserialize(from)?.map(Duration::from_nanos))
    }
}

/// The same where there always is one.
mod whole_nanos {
    use super::*;

    pub(super) fn serialize<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
        nanos::of(*duration).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        Ok(Duration::from_nanos(u64::deserialize(from)?))
    }
}

/// Types that are stored as a plain value, with both conversions.
macro_rules! stored_as {
    ($($type:ty: $write:expr, $read:expr;)+) => {$(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                ($write)(self).serialize(to)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                Deserialize::deserialize(from).map($read)
            }
        }
    )+};
}

stored_as! {
    VpnId: VpnId::as_str, |id: String| VpnId::new(id);
    Scope: |scope: &Scope| scope.to_string(), |text: String| Scope::parse(&text);
    SinkId: SinkId::as_str, |id: String| SinkId::new(id);
    Destination: Destination::as_str, |digest: String| Destination::new(digest);
    SilenceId: |id: &SilenceId| id.0, SilenceId;
    Stamp: |stamp: &Stamp| stamp.as_millis(), Stamp::from_millis;
    sink::RecordId: |record: &sink::RecordId| record.0.clone(), sink::RecordId;
    Now: |now: &Now| now.wall, |wall| Now { mono: Moment::ORIGIN, wall };
}

/// The formats of types that are stored by field.
macro_rules! stored {
    ($($kind:tt $type:ty, $path:tt { $($body:tt)* })+) => {$(
        const _: () = {
            #[derive(Serialize, Deserialize)]
            #[serde(remote = $path, rename_all = "snake_case")]
            #[allow(clippy::enum_variant_names, reason = "the names are the domain's")]
            $kind Format { $($body)* }

            impl Serialize for $type {
                fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                    Format::serialize(self, to)
                }
            }

            impl<'de> Deserialize<'de> for $type {
                fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                    Format::deserialize(from)
                }
            }
        };
    )+};
}

stored! {
    enum names::End, "names::End" { Local, Aws }
    enum names::SourceKind, "names::SourceKind" { CloudWatch, Ec2 }
    enum names::Kind, "names::Kind" { Outage, RedundancyLost, OneSided, Degraded }
    enum names::Role, "names::Role" { Active, Standby, Unused }
    struct TunnelId, "TunnelId" { vpn: VpnId, outside_ip: IpAddr }

    enum verdict::Verdict, "verdict::Verdict" { Up, Down, Unknown(verdict::Why) }
    enum verdict::Why, "verdict::Why" {
        Starting,
        NeverAnswered,
        Fault(verdict::Fault),
        Silent,
        BgpUnknown,
        Unused,
        NotHere,
        Shared,
        NotAsked,
        NoData,
        Stale,
        Fraction,
        Future,
        Contradiction,
        Gone,
        Garbage,
    }
    enum verdict::Fault, "verdict::Fault" {
        NoPermission,
        NoMemory,
        QueueFull,
        TooManyFiles,
        AddressMissing,
        HeldUp,
        Socket(i32),
    }
    enum verdict::Loss, "verdict::Loss" { Timeout, NoPath, Blocked }
    struct verdict::View, "verdict::View" {
        verdict: verdict::Verdict,
        since: Now,
        evidence: verdict::Evidence,
    }
    enum verdict::Evidence, "verdict::Evidence" {
        Local(verdict::LocalEvidence),
        Aws(verdict::AwsEvidence),
    }
    struct verdict::LocalEvidence, "verdict::LocalEvidence" {
        last_reply: Option<Now>,
        stopped: Option<Now>,
        losses_in_row: u32,
        first_loss: Option<Now>,
        last_loss: Option<verdict::Loss>,
        replies_in_row: u32,
        loss_percent: Option<f64>,
        #[serde(with = "nanos", default)]
        median_rtt: Option<Duration>,
        /// Missing in rows of releases that probed no host behind a tunnel.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        through: Option<IpAddr>,
    }
    struct verdict::AwsEvidence, "verdict::AwsEvidence" {
        source: Option<names::SourceKind>,
        as_of: Option<Stamp>,
        as_of_here: Option<Now>,
        changed: Option<Stamp>,
        words: Option<Arc<str>>,
    }
    enum verdict::Assessment, "verdict::Assessment" {
        Healthy,
        Down,
        Disputed(names::End),
        Unconfirmed(names::End),
        Blind,
    }
    enum carrying::Carrying, "carrying::Carrying" {
        Carrying,
        NotCarrying(carrying::NotCarrying),
        CannotTell(carrying::CannotTell),
    }
    enum carrying::NotCarrying, "carrying::NotCarrying" { BothEndsDown, BgpDown, LocalDown, AwsDown }
    enum carrying::CannotTell, "carrying::CannotTell" {
        BgpUnconfirmed,
        Disputed,
        AwsUnknown,
        Starting,
        LocalUnknown,
        Unused,
    }

    enum cause::Cause, "cause::Cause" {
        UplinkDown,
        PathToAws,
        AwsMaintenance,
        IkeDown,
        IkeRejected,
        IpsecOneWay,
        BgpDown,
        VpcUnreachable,
        Mtu,
        LossyPath,
        SlowPath,
        GatewayConfig,
        GatewayHost,
        Unknown,
    }
    enum cause::Confidence, "cause::Confidence" { Possible, Likely, Certain }
    enum sensor::Refusal, "sensor::Refusal" { Authentication, Proposal, TrafficSelectors, Other }
    enum sensor::Link, "sensor::Link" { Up, Down, Missing }
    enum cause::Clue, "cause::Clue" {
        IkeDaemonNotRunning,
        SendBlocked,
        NothingCanBeSent,
        HostFault(verdict::Fault),
        PeerRefused(sensor::Refusal),
        UplinkInterface(sensor::Link),
        NoRouteToOutside,
        OutsideBlocked,
        OutsideAnswers,
        OutsideSilent,
        ReferencesAnswer,
        ReferencesSilent,
        OtherOutsideAnswers,
        OtherOutsideSilent,
        PathEndsAt { hop: u8, address: IpAddr },
        Hops { now: Arc<[Option<IpAddr>]>, before: Option<Arc<[Option<IpAddr>]>> },
        ReplacementUnderWay,
        IkeAbsent,
        IkeConnecting,
        IkeUnanswered,
        IkeEstablished,
        ChildAbsent,
        OutboundMoves,
        InboundMoves,
        InboundStopped,
        OutboundStopped,
        PeerHeardNothing,
        BgpEstablished,
        BgpState(Arc<str>),
        BgpLastError(Arc<str>),
        BgpWithoutPolicy,
        PrefixMissing(Arc<str>),
        AwsSaysBgpDown,
        AwsSaysIpsecUp,
        AwsSaysIpsecDown,
        ProbesAnswered,
        AwsReceives,
        AwsReceivesNothing,
        AwsSends,
        AwsSendsNothing,
        HostsAnswer { answering: u16, of: u16 },
        LargestPacket { now: u16, before: u16 },
        Lost { percent: u8 },
        Slow { now: u32, usual: u32 },
    }
    struct cause::Diagnosis, "cause::Diagnosis" {
        cause: cause::Cause,
        confidence: cause::Confidence,
        clues: Vec<cause::Clue>,
        /// Missing where nothing points to a side, and in rows of releases that named none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lead: Option<side::Lead>,
    }
    enum quality::Quality, "quality::Quality" { Good, Degraded(quality::Degradation), Unknown }
    enum quality::Degradation, "quality::Degradation" {
        Loss { percent: f64, limit: f64 },
        Latency {
            #[serde(with = "whole_nanos")]
            rtt: Duration,
            bound: quality::Bound,
        },
        Jitter {
            #[serde(with = "whole_nanos")]
            jitter: Duration,
            bound: quality::Bound,
        },
    }
    enum quality::Bound, "quality::Bound" {
        Limit(#[serde(with = "whole_nanos")] Duration),
        Usual(#[serde(with = "whole_nanos")] Duration),
    }
    enum side::Lead, "side::Lead" { OutboundLost, ReturnLost, EchoesLost, AwsSilent, AwsReport }

    struct board::IncidentId, "board::IncidentId" {
        /// Every scope was a connection once.
        #[serde(rename = "vpn")]
        scope: Scope,
        kind: names::Kind, opened: Stamp }
    struct board::Incident, "board::Incident" {
        id: board::IncidentId,
        site: Arc<str>,
        #[serde(rename = "vpn_name")]
        name: Arc<str>,
        state: board::IncidentState,
        began: Stamp,
        /// Missing in rows of releases that adopted no record.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        found_at: Option<SinkId>,
        /// Missing where nothing withholds it, and in rows of releases without parents and silences.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        withheld: Option<board::Withheld>,
        /// Of a parent only.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        children: Vec<board::Child>,
        tunnels: Vec<board::TunnelSnapshot>,
        timeline: Vec<board::TimelineEntry>,
        related: Option<board::IncidentId>,
        worsened: u32,
        revision: u64,
    }
    enum board::Withheld, "board::Withheld" { Explained(ParentId), Silenced(SilenceId) }
    struct board::Child, "board::Child" { vpn: VpnId, name: Arc<str>, trouble: Option<board::Trouble> }
    struct board::Trouble, "board::Trouble" { kind: Option<names::Kind>, since: Stamp, cause: Option<cause::Cause> }
    struct silence::Silence, "silence::Silence" {
        id: SilenceId,
        of: silence::SilenceScope,
        from: Stamp,
        until: Stamp,
        weekly: Option<Arc<str>>,
        reason: Arc<str>,
        by: u32,
        added: Stamp,
        #[serde(skip)]
        from_now: silence::FromNow,
    }
    enum silence::SilenceScope, "silence::SilenceScope" {
        Site,
        Parent(ParentId),
        Connection(VpnId),
        Tunnel(TunnelId),
    }
    enum ParentKind, "ParentKind" { Group, Uplink, Site }
    struct ParentId, "ParentId" { kind: ParentKind, site: Arc<str>, name: Arc<str> }
    enum board::IncidentState, "board::IncidentState" {
        Open,
        Resolved { at: Stamp },
        Unwatched { at: Stamp },
    }
    struct board::TimelineEntry, "board::TimelineEntry" {
        seq: u32,
        at: Stamp,
        what: board::TimelineChange,
        repeats: u32,
    }
    enum board::TimelineChange, "board::TimelineChange" {
        Opened,
        #[serde(rename = "taken_up")]
        Adopted { sink: SinkId },
        #[serde(rename = "witnessed")]
        Confirmed,
        View { tunnel: TunnelId, name: Arc<str>, end: names::End, verdict: verdict::Verdict, as_of: Option<Stamp> },
        #[serde(deserialize_with = "read_assessment")]
        Assessment {
            tunnel: TunnelId,
            name: Arc<str>,
            assessment: verdict::Assessment,
            carrying: carrying::Carrying,
        },
        Cause { tunnel: TunnelId, name: Arc<str>, diagnosis: cause::Diagnosis },
        Quality { tunnel: TunnelId, name: Arc<str>, quality: quality::Quality },
        Children { down: Vec<Arc<str>>, back: Vec<Arc<str>>, troubled: u32, of: u32 },
        Withheld { by: board::Withheld },
        Released,
        Clearing,
        Reopened,
        Resolved,
        Unwatched,
        HandedOver,
        Missed,
    }

    struct sink::LedgerRow, "sink::LedgerRow" {
        sink: SinkId,
        destination: Option<Destination>,
        incident: board::IncidentId,
        generation: u32,
        start: Option<sink::StartRequest>,
        record: Option<sink::RecordId>,
        #[serde(rename = "told")]
        sent_upto: u32,
        closed_by_person_at: Option<u32>,
        related: bool,
        /// Missing in rows of releases without links.
        #[serde(default)]
        linked: bool,
        settled: bool,
    }
    struct sink::StartRequest, "sink::StartRequest" {
        scope: sink::RecordScope,
        client_token: String,
        title: String,
        impact: u8,
        triggered: Stamp,
        /// Missing in rows of releases without descriptions.
        #[serde(default)]
        description: String,
        raw_data: String,
    }
    struct sink::RecordScope, "sink::RecordScope" {
        #[serde(rename = "vpn")]
        of: Scope,
        kind: names::Kind,
        plan: String,
        source: String,
        resource: String,
    }
}

// Rows of releases that did not decide whether a tunnel carries traffic have no `carrying`: it follows from the assessment alone.

type AssessmentFields = (TunnelId, Arc<str>, verdict::Assessment, carrying::Carrying);

fn read_assessment<'de, D: Deserializer<'de>>(from: D) -> Result<AssessmentFields, D::Error> {
    #[derive(Deserialize)]
    struct Stored {
        tunnel: TunnelId,
        name: Arc<str>,
        assessment: verdict::Assessment,
        carrying: Option<carrying::Carrying>,
    }
    let Stored { tunnel, name, assessment, carrying } = Stored::deserialize(from)?;
    let carrying = carrying.unwrap_or_else(|| carrying::Carrying::of(assessment));
    Ok((tunnel, name, assessment, carrying))
}

fn is_unknown(quality: &quality::Quality) -> bool {
    *quality == quality::Quality::Unknown
}

impl Serialize for board::TunnelSnapshot {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(remote = "board::TunnelSnapshot")]
        struct Format {
            id: TunnelId,
            name: Arc<str>,
            role: names::Role,
            local: verdict::View,
            aws: verdict::View,
            assessment: verdict::Assessment,
            carrying: carrying::Carrying,
            #[serde(skip_serializing_if = "Option::is_none")]
            diagnosis: Option<cause::Diagnosis>,
            #[serde(skip_serializing_if = "is_unknown")]
            quality: quality::Quality,
            #[serde(skip_serializing_if = "Option::is_none")]
            quality_since: Option<Now>,
        }
        Format::serialize(self, to)
    }
}

impl<'de> Deserialize<'de> for board::TunnelSnapshot {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Stored {
            id: TunnelId,
            name: Arc<str>,
            role: names::Role,
            local: verdict::View,
            aws: verdict::View,
            assessment: verdict::Assessment,
            carrying: Option<carrying::Carrying>,
            /// Missing where nothing was wrong, and in rows of releases that named no cause.
            diagnosis: Option<cause::Diagnosis>,
            /// Missing in rows of releases that did not judge the quality.
            #[serde(default)]
            quality: quality::Quality,
            quality_since: Option<Now>,
        }
        let Stored { id, name, role, local, aws, assessment, carrying, diagnosis, quality, quality_since } =
            Stored::deserialize(from)?;
        let carrying = carrying.unwrap_or_else(|| carrying::Carrying::of(assessment));
        Ok(Self { id, name, role, local, aws, assessment, carrying, diagnosis, quality, quality_since })
    }
}

#[cfg(test)]
mod tests;
