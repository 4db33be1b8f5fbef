//! The status as state sets and ages.

use super::exposition::Exposition;
use crate::domain::names::{End, Kind};
use crate::domain::status::{Phase, Status, TunnelStatus, VpnStatus};
use crate::domain::time::Now;
use crate::domain::verdict::{Assessment, Verdict, Why};
use crate::telemetry::metric;

/// One of each word; why an end does not know is not part of the word.
const VERDICTS: [Verdict; 3] = [Verdict::Up, Verdict::Down, Verdict::Unknown(Why::Starting)];

/// Writes everything that follows from the status.
pub(super) fn write(out: &mut Exposition, status: &Status, now: Now) {
    out.family(&metric::TUNNEL_VERDICT, tunnels(status).flat_map(verdicts));
    out.family(&metric::TUNNEL_ASSESSMENT, tunnels(status).flat_map(assessments));
    out.family(&metric::INCIDENT_OPEN, status.vpns.iter().flat_map(incidents));
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

fn evidence_age(tunnel: &TunnelStatus, status: &Status, now: Now) -> Option<([String; 2], f64)> {
    let age = tunnel.aws_evidence_age? + now.mono.since(status.at.mono);
    Some((names(tunnel), age.as_secs_f64()))
}

fn names(tunnel: &TunnelStatus) -> [String; 2] {
    [tunnel.id.vpn.to_string(), tunnel.id.outside_ip.to_string()]
}

fn flag(is_so: bool) -> f64 {
    f64::from(u8::from(is_so))
}
