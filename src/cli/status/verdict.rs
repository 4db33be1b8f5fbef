//! `/status` → one word for the whole gateway. docs/exit-codes.md documents it.

use crate::http::status_json::{StatusJson, TunnelJson, VpnJson};
use crate::process::Exit;

/// The result for a monitoring system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Summary {
    pub(super) level: Level,
    /// Why, the most important first; empty if all is well.
    pub(super) reasons: Vec<String>,
}

/// From worst to best; the first that applies counts. A known degradation ranks before an unknown state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// A connection carries nothing.
    Down,
    /// Redundancy is lost, the ends disagree, an active tunnel is degraded, or the daemon has a problem.
    Degraded,
    /// It is not known whether a connection works.
    Unknown,
    /// None of these.
    Healthy,
}

impl Level {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Down => "DOWN",
            Self::Degraded => "DEGRADED",
            Self::Unknown => "UNKNOWN",
            Self::Healthy => "HEALTHY",
        }
    }

    pub(super) const fn exit(self) -> Exit {
        match self {
            Self::Down => Exit::Down,
            Self::Degraded => Exit::BadNews,
            Self::Unknown => Exit::Unknown,
            Self::Healthy => Exit::Success,
        }
    }
}

pub(super) fn summary(status: &StatusJson) -> Summary {
    let mut found: Vec<(Level, String)> = status.vpns.iter().filter_map(|vpn| of_vpn(vpn, status)).collect();
    if status.vpns.is_empty() {
        found.push((Level::Unknown, "no connection is known yet: the daemon is starting".to_owned()));
    }
    found.extend(status.problems.iter().map(|problem| {
        let (title, component, what) = (&problem.title, &problem.component, first_line(&problem.text));
        (Level::Degraded, format!("{title} ({component}): {what}"))
    }));
    // A stable sort: connections stay in the order of the configuration, and before problems.
    found.sort_by_key(|(level, _)| *level);
    let level = found.first().map_or(Level::Healthy, |(level, _)| *level);
    Summary { level, reasons: found.into_iter().map(|(_, reason)| reason).collect() }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

fn of_vpn(vpn: &VpnJson, status: &StatusJson) -> Option<(Level, String)> {
    let name = if vpn.name == vpn.id { vpn.id.clone() } else { format!("{} ({})", vpn.name, vpn.id) };
    let used: Vec<&TunnelJson> = vpn.tunnels.iter().filter(|tunnel| tunnel.role != "unused").collect();
    // On the standby host of a pair the tunnels are absent, and the other host monitors them.
    let is_standby_host = used.iter().all(|tunnel| tunnel.local.why.as_deref() == Some("not_here"));
    let open = |kind: &str| {
        status
            .incidents
            .iter()
            .find(|one| one.vpn.as_ref() == Some(&vpn.id) && one.kind == kind && one.state == "open")
    };
    if let Some(outage) = open("outage") {
        return Some((Level::Down, format!("{name}: outage since {}", outage.began)));
    }
    if !is_standby_host && vpn.traffic == "does_not_flow" {
        return Some((Level::Down, format!("{name}: no tunnel carries traffic")));
    }
    for kind in ["redundancy_lost", "one_sided"] {
        if let Some(incident) = open(kind) {
            let what = kind.replace('_', " ");
            return Some((Level::Degraded, format!("{name}: {what} since {}", incident.began)));
        }
    }
    let reported_down = used.iter().find(|tunnel| tunnel.role == "active" && is_down_by_an_end(tunnel));
    if let (Some(tunnel), false) = (reported_down, is_standby_host) {
        return Some((
            Level::Degraded,
            format!("{name}: {} ({}) is {}", tunnel.name, tunnel.outside_ip, fault(tunnel)),
        ));
    }
    let degraded = used.iter().find_map(|tunnel| {
        let text = tunnel.quality.text.as_ref().filter(|_| tunnel.role == "active")?;
        Some(format!("{name}: {} ({}) is up, but degraded: {text}", tunnel.name, tunnel.outside_ip))
    });
    let opened =
        || open("degraded").map(|incident| format!("{name}: a tunnel is degraded since {}", incident.began));
    if let Some(degraded) = degraded.or_else(opened) {
        return Some((Level::Degraded, degraded));
    }
    if !is_standby_host && vpn.traffic != "flows" {
        return Some((Level::Unknown, format!("{name}: no tunnel is confirmed up by both ends")));
    }
    None
}

/// Whether an end says down. During the start AWS alone does not count, because this end has no verdict yet.
fn is_down_by_an_end(tunnel: &TunnelJson) -> bool {
    let down_at_aws = tunnel.aws.verdict == "down" && tunnel.carrying_why.as_deref() != Some("starting");
    tunnel.local.verdict == "down" || down_at_aws
}

fn fault(tunnel: &TunnelJson) -> String {
    match (tunnel.carrying_why.as_deref(), tunnel.assessment.as_str()) {
        (Some("bgp_down"), _) => "down: BGP is down".to_owned(),
        (_, "down") => "down".to_owned(),
        (_, other) => format!("{other}: {} by this end, {} by AWS", tunnel.local.verdict, tunnel.aws.verdict),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;
    use crate::health::overview::OpenProblem;
    use crate::health::{Code, Component, Problem};
    use crate::records::Records;

    /// A status with these tunnels: role, our end's verdict, AWS's verdict.
    fn status(tunnels: &[(&str, &str, &str)]) -> StatusJson {
        let mut status = StatusJson::of(
            &fixture::status(),
            &[],
            &Records::default(),
            "0.1.0",
            "raise",
            fixture::after(31),
        );
        status.incidents.clear();
        let like = status.vpns[0].tunnels[0].clone();
        status.vpns[0].tunnels = tunnels
            .iter()
            .map(|(role, local, aws)| {
                let mut tunnel = like.clone();
                tunnel.role = (*role).to_owned();
                tunnel.local.verdict = (*local).to_owned();
                tunnel.aws.verdict = (*aws).to_owned();
                tunnel.assessment = match (*local, *aws) {
                    ("up", "up") => "healthy",
                    ("down", "down") => "down",
                    ("up", "down") | ("down", "up") => "disputed",
                    ("down", _) | (_, "down") => "unconfirmed",
                    _ => "blind",
                }
                .to_owned();
                let (carrying, why) = match (*local, *aws) {
                    ("up", "up") => ("carrying", None),
                    ("down", "down") => ("not_carrying", Some("both_ends_down")),
                    ("down", _) => ("not_carrying", Some("local_down")),
                    ("unknown", "down") => ("not_carrying", Some("aws_down")),
                    ("up", "down") => ("cannot_tell", Some("disputed")),
                    ("up", _) => ("cannot_tell", Some("aws_unknown")),
                    _ => ("cannot_tell", Some("local_unknown")),
                };
                tunnel.carrying = carrying.to_owned();
                tunnel.carrying_why = why.map(str::to_owned);
                tunnel
            })
            .collect();
        let used: Vec<_> = status.vpns[0].tunnels.iter().filter(|tunnel| tunnel.role != "unused").collect();
        let traffic = if used.iter().any(|tunnel| tunnel.carrying == "carrying") {
            "flows"
        } else if used.iter().all(|tunnel| tunnel.carrying == "not_carrying") {
            "does_not_flow"
        } else {
            "cannot_tell"
        };
        status.vpns[0].traffic = traffic.to_owned();
        status
    }

    fn level(tunnels: &[(&str, &str, &str)]) -> Level {
        summary(&status(tunnels)).level
    }

    #[test]
    fn the_level_of_each_combination_of_tunnels() {
        const UP: (&str, &str, &str) = ("active", "up", "up");
        const DEAD: (&str, &str, &str) = ("active", "down", "down");
        const STANDBY_DEAD: (&str, &str, &str) = ("standby", "down", "down");
        const NEVER: (&str, &str, &str) = ("active", "unknown", "down");
        for (tunnels, expected) in [
            (&[UP, UP][..], Level::Healthy),
            (&[UP, STANDBY_DEAD], Level::Healthy),
            (&[UP, ("unused", "unknown", "unknown")], Level::Healthy),
            (&[UP, ("active", "up", "unknown")], Level::Healthy),
            (&[UP, DEAD], Level::Degraded),
            (&[UP, NEVER], Level::Degraded),
            (&[UP, ("active", "up", "down")], Level::Degraded),
            (&[UP, ("active", "down", "up")], Level::Degraded),
            (&[DEAD, DEAD], Level::Down),
            (&[DEAD, STANDBY_DEAD], Level::Down),
            (&[DEAD, NEVER], Level::Down),
            (&[DEAD], Level::Down),
            (&[("active", "down", "up")], Level::Down),
            (&[("active", "up", "down")], Level::Degraded),
            (&[DEAD, ("active", "unknown", "unknown")], Level::Degraded),
            (&[("active", "up", "unknown"), ("active", "up", "unknown")], Level::Unknown),
            (&[("active", "unknown", "up")], Level::Unknown),
        ] {
            assert_eq!(level(tunnels), expected, "{tunnels:?}");
        }
    }

    #[test]
    fn an_open_incident_or_a_problem_lowers_the_level_and_the_worst_reason_is_first() {
        let like = StatusJson::of(
            &fixture::status(),
            &[],
            &Records::default(),
            "0.1.0",
            "raise",
            fixture::after(31),
        );
        for (kind, state, expected) in [
            ("outage", "open", Level::Down),
            ("redundancy_lost", "open", Level::Degraded),
            ("one_sided", "open", Level::Degraded),
            ("outage", "resolved", Level::Healthy),
        ] {
            let mut status = status(&[("active", "up", "up")]);
            let mut incident = like.incidents[0].clone();
            incident.kind = kind.to_owned();
            incident.state = state.to_owned();
            status.incidents = vec![incident];
            assert_eq!(summary(&status).level, expected, "{kind} {state}");
        }
        let mut both = status(&[("active", "up", "unknown")]);
        both.vpns.extend(status(&[("active", "down", "down")]).vpns);
        let Summary { level, reasons } = summary(&both);
        assert_eq!((level, reasons.len()), (Level::Down, 2));
        assert!(reasons[0].contains("no tunnel carries traffic"), "{reasons:?}");
        let mut with_problem = status(&[("active", "up", "up")]);
        let problem = Problem::of(Code::ClockOff, "it is off\nand more");
        let problems = [OpenProblem { component: Component::Clock, problem }];
        with_problem.problems = StatusJson::of(
            &fixture::status(),
            &problems,
            &Records::default(),
            "0.1.0",
            "raise",
            fixture::after(31),
        )
        .problems;
        let Summary { level, reasons } = summary(&with_problem);
        assert_eq!((level, reasons.len()), (Level::Degraded, 1));
        assert_eq!(reasons, ["This host's clock is wrong (clock): it is off"]);
    }

    #[test]
    fn a_tunnel_whose_bgp_is_down_is_reported_so() {
        let mut of_bgp = status(&[("active", "up", "up"), ("active", "up", "down")]);
        of_bgp.vpns[0].tunnels[1].carrying_why = Some("bgp_down".to_owned());
        let Summary { level, reasons } = summary(&of_bgp);
        assert_eq!(level, Level::Degraded);
        assert!(reasons[0].ends_with("is down: BGP is down"), "{reasons:?}");
    }

    #[test]
    fn the_host_of_a_pair_that_is_standby_host_is_healthy_and_a_daemon_that_starts_is_unknown() {
        let mut standing_by = status(&[("active", "unknown", "up"), ("active", "unknown", "down")]);
        for tunnel in &mut standing_by.vpns[0].tunnels {
            tunnel.local.why = Some("not_here".to_owned());
        }
        standing_by.vpns[0].tunnels[1].role = "standby".to_owned();
        assert_eq!(summary(&standing_by), Summary { level: Level::Healthy, reasons: Vec::new() });
        let starting = StatusJson { vpns: Vec::new(), ..standing_by };
        assert_eq!(summary(&starting).level, Level::Unknown);
    }
}
