//! The status as state sets and ages, and the problems.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::exposition::Exposition;
use crate::domain::carrying::Carrying;
use crate::domain::cause::Cause;
use crate::domain::names::{End, Kind, Role, VpnId};
use crate::domain::quality::{Degradation, Measured};
use crate::domain::scope::{ParentId, ParentKind, ParentState, Scope};
use crate::domain::status::{ParentStatus, Phase, Status, TunnelStatus, VpnStatus};
use crate::domain::time::{Now, Stamp};
use crate::domain::verdict::{Assessment, Evidence, Verdict, Why};
use crate::health::Code;
use crate::health::overview::OpenProblem;
use crate::health::silenced::Silenced;
use crate::settings::Labels;
use crate::telemetry::metric;

/// The words of a verdict; the reason for unknown is not part of the word.
const VERDICTS: [Verdict; 3] = [Verdict::Up, Verdict::Down, Verdict::Unknown(Why::Starting)];

/// The operator's own labels of each connection.
pub(super) type OwnLabels = BTreeMap<VpnId, Labels>;

/// Writes everything that follows from the status.
pub(super) fn write(out: &mut Exposition, status: &Status, own: &OwnLabels, now: Now) {
    write_info(out, status, own);
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
    out.family(
        &metric::INCIDENT_OPEN,
        phases(status).map(|(labels, _, phase)| (labels, flag(is_open(phase)))),
    );
    let withheld = withheld(status);
    let is_withheld = |(labels, key, phase)| (labels, flag(is_open(phase) && withheld.contains(&key)));
    out.family(&metric::INCIDENT_WITHHELD, phases(status).map(is_withheld));
    out.family(&metric::PARENT_STATE, status.parents.iter().flat_map(parent_states));
    out.family(&metric::SILENCED, silenced(status, now));
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

/// Scope, name, connection and kind of each incident that can open, and its phase.
fn phases(status: &Status) -> impl Iterator<Item = ([String; 4], (Scope, Kind), Phase)> {
    let of_vpns = status.vpns.iter().flat_map(|vpn| {
        let phase =
            |kind| vpn.phases.iter().find(|(of, _)| *of == kind).map_or(Phase::Clear, |(_, phase)| *phase);
        let scope = Scope::Connection(vpn.id.clone());
        Kind::ALL.into_iter().map(move |kind| (scope.clone(), Arc::clone(&vpn.name), kind, phase(kind)))
    });
    let of_parents = status.parents.iter().flat_map(|parent| {
        let scope = Scope::Parent(parent.id.clone());
        let name = &parent.id.name;
        parent.phases.iter().map(move |(kind, phase)| (scope.clone(), Arc::clone(name), *kind, *phase))
    });
    of_vpns.chain(of_parents).map(|(scope, name, kind, phase)| {
        let vpn = scope.vpn().map(ToString::to_string).unwrap_or_default();
        let labels = [scope.word().to_owned(), name.to_string(), vpn, kind.as_str().to_owned()];
        (labels, (scope, kind), phase)
    })
}

/// What has an open incident that is not sent.
fn withheld(status: &Status) -> BTreeSet<(Scope, Kind)> {
    let withheld =
        status.incidents.iter().filter(|incident| incident.is_open() && incident.withheld.is_some());
    withheld.map(|incident| (incident.id.scope.clone(), incident.id.kind)).collect()
}

fn parent_states(parent: &ParentStatus) -> impl Iterator<Item = ([String; 3], f64)> {
    ParentState::ALL.into_iter().map(move |state| {
        let ParentId { kind, site: _, name } = &parent.id;
        let labels = [kind.as_str().to_owned(), name.to_string(), state.as_str().to_owned()];
        (labels, flag(parent.state == state))
    })
}

/// The site, what several connections share, each connection and each tunnel. Why it is silenced is nobody's label.
fn silenced(status: &Status, now: Now) -> Vec<([String; 4], f64)> {
    let silenced = Silenced::of(status, status.date(now.mono));
    let labels = |scope: &str, name: &str| [scope.to_owned(), name.to_owned(), String::new(), String::new()];
    let site = (labels(ParentKind::Site.as_str(), &status.site), flag(silenced.site().is_some()));
    let shared = status.parents.iter().filter(|parent| parent.id.kind != ParentKind::Site);
    let shared = shared.map(|parent| {
        let ParentId { kind, site: _, name } = &parent.id;
        (labels(kind.as_str(), name), flag(silenced.parent(&parent.id).is_some()))
    });
    let of_vpns = status.vpns.iter().map(|vpn| {
        let labels = ["connection".to_owned(), vpn.name.to_string(), vpn.id.to_string(), String::new()];
        (labels, flag(silenced.vpn(vpn).is_some()))
    });
    let of_tunnels = status.vpns.iter().flat_map(|vpn| vpn.tunnels.iter().map(move |tunnel| (vpn, tunnel)));
    let of_tunnels = of_tunnels.map(|(vpn, tunnel)| {
        let [id, address] = names(tunnel);
        let labels = ["tunnel".to_owned(), tunnel.name.to_string(), id, address];
        (labels, flag(silenced.tunnel(vpn, tunnel).is_some()))
    });
    std::iter::once(site).chain(shared).chain(of_vpns).chain(of_tunnels).collect()
}

/// What does not change while a configuration is in force, on series of their own: as labels of every series, names and own
/// labels would be stored with each of them, and one that is renamed would begin all of them anew.
fn write_info(out: &mut Exposition, status: &Status, own: &OwnLabels) {
    const NONE: &Labels = &Labels::new();
    let site = &*status.site;
    let vpns = || status.vpns.iter().map(|vpn| (vpn, region(vpn), own.get(&vpn.id).unwrap_or(NONE)));
    let of_vpns = vpns().map(|(vpn, region, own)| ([vpn.id.as_str(), &vpn.name, site, region], own, 1.0));
    out.family_with(&metric::VPN_INFO, of_vpns);
    let of_tunnels = vpns().flat_map(|(vpn, region, own)| {
        vpn.tunnels.iter().map(move |tunnel| {
            let [id, address] = names(tunnel);
            let (name, role) = (tunnel.name.to_string(), tunnel.role.as_str().to_owned());
            ([id, address, name, role, site.to_owned(), region.to_owned()], own, 1.0)
        })
    });
    out.family_with(&metric::TUNNEL_INFO, of_tunnels);
}

/// Empty where the SDK's own chain decides on it.
fn region(vpn: &VpnStatus) -> &str {
    vpn.sources.iter().find_map(|source| source.place.region.as_deref()).unwrap_or_default()
}

const fn is_open(phase: Phase) -> bool {
    match phase {
        Phase::Open | Phase::Clearing => true,
        Phase::Clear | Phase::Pending => false,
    }
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
    fn an_incident_of_a_parent_is_seen_and_one_that_is_not_sent_is_marked() {
        let status = crate::fixture::site();
        let mut out = Exposition::default();
        write(&mut out, &status, &OwnLabels::new(), crate::fixture::after(30));
        let text = out.into_text();
        let families = ["incident_open", "incident_withheld", "parent_state", "silenced"];
        let ones: Vec<_> = text
            .lines()
            .filter(|line| families.iter().any(|family| line.starts_with(&format!("bothends_{family}{{"))))
            .filter(|line| line.ends_with(" 1"))
            .collect();
        insta::assert_snapshot!(ones.join("\n"), @r#"
        bothends_incident_open{scope="connection",name="Milan DC, primary",vpn="vpn-0123456789abcdef0",kind="redundancy_lost"} 1
        bothends_incident_open{scope="uplink",name="wan1",vpn="",kind="outage"} 1
        bothends_incident_withheld{scope="connection",name="Milan DC, primary",vpn="vpn-0123456789abcdef0",kind="redundancy_lost"} 1
        bothends_parent_state{scope="group",name="hubs",state="up"} 1
        bothends_parent_state{scope="uplink",name="wan1",state="down"} 1
        bothends_parent_state{scope="site",name="milan-1",state="unknown"} 1
        bothends_silenced{scope="group",name="hubs",vpn="",tunnel=""} 1
        bothends_silenced{scope="connection",name="Milan DC, primary",vpn="vpn-0123456789abcdef0",tunnel=""} 1
        bothends_silenced{scope="tunnel",name="tunnel 1",vpn="vpn-0123456789abcdef0",tunnel="203.0.113.11"} 1
        bothends_silenced{scope="tunnel",name="tunnel 2",vpn="vpn-0123456789abcdef0",tunnel="203.0.113.12"} 1
        "#);
        assert!(!text.contains("4711"), "no label has a reason");
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
