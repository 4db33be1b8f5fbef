//! The status as state sets and ages, and the problems.

use std::collections::BTreeMap;
use std::time::Duration;

use super::exposition::Exposition;
use crate::domain::carrying::Carrying;
use crate::domain::cause::Cause;
use crate::domain::names::{End, Kind, Role};
use crate::domain::quality::{Degradation, Measured};
use crate::domain::status::{Phase, Status, TunnelStatus, VpnStatus};
use crate::domain::time::{Now, Stamp};
use crate::domain::verdict::{Assessment, Evidence, Verdict, Why};
use crate::health::Code;
use crate::health::overview::OpenProblem;
use crate::telemetry::metric;

/// The words of a verdict; the reason for unknown is not part of the word.
const VERDICTS: [Verdict; 3] = [Verdict::Up, Verdict::Down, Verdict::Unknown(Why::Starting)];

/// Writes everything that follows from the status.
pub(super) fn write(out: &mut Exposition, status: &Status, now: Now) {
    let site = &status.site;
    let vpns = status.vpns.iter().map(|vpn| ([vpn.id.as_str(), &vpn.name, site], 1.0));
    out.family(&metric::VPN_INFO, vpns);
    out.family(&metric::TUNNEL_INFO, tunnels(status).map(info));
    out.family(&metric::TUNNEL_VERDICT, tunnels(status).flat_map(verdicts));
    out.family(&metric::TUNNEL_ASSESSMENT, tunnels(status).flat_map(assessments));
    out.family(&metric::TUNNEL_CARRYING, tunnels(status).flat_map(carrying));
    out.family(&metric::TUNNEL_CAUSE, tunnels(status).flat_map(causes));
    out.family(&metric::EVIDENCE_AVAILABLE, tunnels(status).flat_map(sensors));
    out.family(&metric::TUNNEL_DEGRADED, tunnels(status).flat_map(degraded));
    let seconds = |of: fn(&Measured) -> Option<Duration>| {
        let sample = move |tunnel| Some((names(tunnel), of(&tunnel.measured)?.as_secs_f64()));
        tunnels(status).filter_map(sample)
    };
    out.family(&metric::TUNNEL_RTT_USUAL, seconds(|measured| measured.usual_rtt));
    out.family(&metric::TUNNEL_JITTER, seconds(|measured| measured.jitter));
    out.family(&metric::TUNNEL_LAST_REPLY, tunnels(status).filter_map(last_reply));
    out.family(&metric::TUNNEL_STOPPED, tunnels(status).map(stopped));
    out.family(&metric::TUNNEL_MAINTENANCE, tunnels(status).filter_map(maintenance));
    out.family(&metric::TUNNEL_MAINTENANCE_BY, tunnels(status).filter_map(maintenance_by));
    out.family(&metric::INCIDENT_OPEN, status.vpns.iter().flat_map(incidents));
    out.family(&metric::EVIDENCE_AGE, tunnels(status).flat_map(|tunnel| evidence_ages(tunnel, status, now)));
    out.family(
        &metric::AWS_EVIDENCE_AGE,
        tunnels(status).filter_map(|tunnel| evidence_age(tunnel, status, now)),
    );
}

fn tunnels(status: &Status) -> impl Iterator<Item = &TunnelStatus> {
    status.vpns.iter().flat_map(|vpn| &vpn.tunnels)
}

fn verdicts(tunnel: &TunnelStatus) -> impl Iterator<Item = ([String; 4], f64)> {
    let views = [(End::Local, tunnel.local.verdict), (End::Aws, tunnel.aws.verdict)];
    views.into_iter().flat_map(move |(end, said)| {
        VERDICTS.map(|verdict| {
            let [vpn, address] = names(tunnel);
            let labels = [vpn, address, end.as_str().to_owned(), verdict.as_str().to_owned()];
            (labels, flag(said.same_word(verdict)))
        })
    })
}

fn assessments(tunnel: &TunnelStatus) -> impl Iterator<Item = ([String; 3], f64)> {
    Assessment::WORDS.into_iter().map(move |word| {
        let [vpn, address] = names(tunnel);
        ([vpn, address, word.to_owned()], flag(tunnel.assessment.as_str() == word))
    })
}

fn carrying(tunnel: &TunnelStatus) -> impl Iterator<Item = ([String; 3], f64)> {
    Carrying::WORDS.into_iter().map(move |word| {
        let [vpn, address] = names(tunnel);
        ([vpn, address, word.to_owned()], flag(tunnel.carrying.as_str() == word))
    })
}

/// No series is 1 while nothing is wrong.
fn causes(tunnel: &TunnelStatus) -> impl Iterator<Item = ([String; 3], f64)> {
    let named = tunnel.diagnosis.as_ref().map(|diagnosis| diagnosis.cause);
    Cause::ALL.into_iter().map(move |cause| {
        let [vpn, address] = names(tunnel);
        ([vpn, address, cause.as_str().to_owned()], flag(named == Some(cause)))
    })
}

fn degraded(tunnel: &TunnelStatus) -> impl Iterator<Item = ([String; 3], f64)> {
    Degradation::REASONS.into_iter().map(move |reason| {
        let [vpn, address] = names(tunnel);
        ([vpn, address, reason.to_owned()], flag(tunnel.quality.reason() == Some(reason)))
    })
}

/// For each source that has been asked.
fn sensors(tunnel: &TunnelStatus) -> impl Iterator<Item = ([String; 3], f64)> {
    tunnel.sensors.iter().filter_map(move |sensor| {
        let available = sensor.last.as_ref()?.unavailable().is_none();
        let [vpn, address] = names(tunnel);
        Some(([vpn, address, sensor.kind.as_str().to_owned()], flag(available)))
    })
}

fn incidents(vpn: &VpnStatus) -> impl Iterator<Item = ([String; 2], f64)> {
    Kind::ALL.into_iter().map(move |kind| {
        let open = vpn.phases.iter().any(|(of, phase)| *of == kind && is_open(*phase));
        ([vpn.id.to_string(), kind.as_str().to_owned()], flag(open))
    })
}

const fn is_open(phase: Phase) -> bool {
    match phase {
        Phase::Open | Phase::Clearing => true,
        Phase::Clear | Phase::Pending => false,
    }
}

fn info(tunnel: &TunnelStatus) -> ([String; 4], f64) {
    let [vpn, address] = names(tunnel);
    ([vpn, address, tunnel.name.to_string(), tunnel.role.as_str().to_owned()], 1.0)
}

/// AWS is not asked about an unused tunnel.
fn evidence_age(tunnel: &TunnelStatus, status: &Status, now: Now) -> Option<([String; 2], f64)> {
    if tunnel.role == Role::Unused {
        return None;
    }
    let age = tunnel.aws_evidence_age + now.mono.since(status.at.mono);
    Some((names(tunnel), age.as_secs_f64()))
}

/// For each end that has any evidence.
fn evidence_ages(
    tunnel: &TunnelStatus,
    status: &Status,
    now: Now,
) -> impl Iterator<Item = ([String; 3], f64)> {
    let aws = evidence_age(tunnel, status, now).map(|(_, age)| (End::Aws, age));
    let local = newest_reply(tunnel).map(|at| (End::Local, now.mono.since(at.mono).as_secs_f64()));
    let [vpn, address] = names(tunnel);
    local
        .into_iter()
        .chain(aws)
        .map(move |(end, age)| ([vpn.clone(), address.clone(), end.as_str().to_owned()], age))
}

fn last_reply(tunnel: &TunnelStatus) -> Option<([String; 2], f64)> {
    newest_reply(tunnel).map(|at| (names(tunnel), unix(at)))
}

fn newest_reply(tunnel: &TunnelStatus) -> Option<Now> {
    match &tunnel.local.evidence {
        Evidence::Local(evidence) => evidence.last_reply,
        Evidence::Aws(_) => None,
    }
}

fn stopped(tunnel: &TunnelStatus) -> ([String; 2], f64) {
    (names(tunnel), tunnel.not_passing_since().map_or(0.0, unix))
}

fn maintenance(tunnel: &TunnelStatus) -> Option<([String; 2], f64)> {
    tunnel.maintenance.maintenance().map(|maintenance| (names(tunnel), flag(maintenance.pending)))
}

fn maintenance_by(tunnel: &TunnelStatus) -> Option<([String; 2], f64)> {
    let maintenance = tunnel.maintenance.maintenance()?;
    Some((names(tunnel), maintenance.announced().map_or(0.0, seconds)))
}

fn unix(at: Now) -> f64 {
    seconds(at.wall)
}

fn seconds(at: Stamp) -> f64 {
    at.as_millis() as f64 / 1e3
}

fn names(tunnel: &TunnelStatus) -> [String; 2] {
    [tunnel.id.vpn.to_string(), tunnel.id.outside_ip.to_string()]
}

fn flag(is_so: bool) -> f64 {
    f64::from(u8::from(is_so))
}

/// The maximum number of series; beyond it, those of problems that are over are removed first. Reloads can add components
/// without end.
const PROBLEMS_MAX: usize = 2000;

/// Whether each problem that a scrape has seen is open: one series each. A problem that is over stays, at 0, so that
/// `changes()` and tables show it.
#[derive(Debug, Default)]
pub(super) struct ProblemSeries(BTreeMap<(Code, String), bool>);

impl ProblemSeries {
    /// Sets the problems that are open now.
    pub(super) fn see(&mut self, open: &[OpenProblem]) {
        self.0.values_mut().for_each(|is_open| *is_open = false);
        self.0.extend(open.iter().map(|of| ((of.problem.code, of.component.to_string()), true)));
        let mut over = self.0.len().saturating_sub(PROBLEMS_MAX);
        self.0.retain(|_, is_open| {
            let goes = !*is_open && over > 0;
            over -= usize::from(goes);
            !goes
        });
    }

    pub(super) fn write(&self, out: &mut Exposition) {
        let samples = self.0.iter().map(|((code, component), is_open)| {
            ([code.entry().word, component.as_str()], f64::from(u8::from(*is_open)))
        });
        out.family(&metric::PROBLEM, samples);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::{Component, Problem};

    fn open(sink: usize) -> OpenProblem {
        let component = Component::Sink(format!("webhook-{sink}"));
        OpenProblem { component, problem: Problem::of(Code::SinkRejects, "") }
    }

    #[test]
    fn a_maintenance_has_series_only_where_aws_answered() {
        use crate::domain::maintenance::{Maintenance, MaintenanceState};
        let date = crate::fixture::after(0).wall;
        let known = |pending, applied_after| MaintenanceState::Known {
            maintenance: Maintenance { pending, applied_after, last_applied: None },
            as_of: date,
        };
        for (state, values) in [
            (MaintenanceState::NotAsked, None),
            (MaintenanceState::Denied, None),
            (known(false, None), Some((0.0, 0.0))),
            (known(false, Some(date)), Some((0.0, 0.0))),
            (known(true, None), Some((1.0, 0.0))),
            (known(true, Some(date)), Some((1.0, 1_763_781_120.0))),
        ] {
            let mut tunnel = crate::fixture::status().vpns[0].tunnels[0].clone();
            tunnel.maintenance = state;
            let value = |sample: Option<([String; 2], f64)>| sample.map(|(_, value)| value);
            assert_eq!(value(maintenance(&tunnel)).zip(value(maintenance_by(&tunnel))), values, "{state:?}");
        }
    }

    #[test]
    fn a_problem_that_is_over_is_0_and_there_is_room_for_what_is_open() {
        let mut series = ProblemSeries::default();
        series.see(&[open(0)]);
        series.see(&[open(1)]);
        let key = |sink| (Code::SinkRejects, format!("sink webhook-{sink}"));
        assert_eq!((series.0.get(&key(0)), series.0.get(&key(1))), (Some(&false), Some(&true)));
        let many: Vec<_> = (10..10 + PROBLEMS_MAX).map(open).collect();
        series.see(&many);
        assert_eq!(series.0.len(), PROBLEMS_MAX);
        assert!(series.0.values().all(|is_open| *is_open));
    }
}
