//! `/status` → one word for the whole gateway. docs/exit-codes.md documents it.

use super::status_json::{ParentJson, StatusJson, TunnelJson, VpnJson};
use crate::catalogue::phrases::{count, scope_words};
use crate::process::Exit;

/// The result for a monitoring system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The worst that applies.
    pub level: Level,
    /// Why, the most important first; empty if all is well.
    pub reasons: Vec<String>,
}

/// The most important reason, and how many more there are; if all is well, what is watched.
pub fn sentence(reasons: &[String], status: &StatusJson) -> String {
    let (vpns, tunnels) = (status.vpns.len(), status.vpns.iter().map(|vpn| vpn.tunnels.len()).sum());
    match reasons {
        [] => format!("{}, {}", count(vpns, "connection"), count(tunnels, "tunnel")),
        [first] => first.clone(),
        [first, more @ ..] => format!("{first} (and {} more)", more.len()),
    }
}

/// From worst to best; the first that applies counts. A known degradation ranks before an unknown state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
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
    /// In capital letters, as monitoring systems write states.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Down => "DOWN",
            Self::Degraded => "DEGRADED",
            Self::Unknown => "UNKNOWN",
            Self::Healthy => "HEALTHY",
        }
    }

    /// The exit code of `bothends status`.
    pub const fn exit(self) -> Exit {
        match self {
            Self::Down => Exit::Down,
            Self::Degraded => Exit::BadNews,
            Self::Unknown => Exit::Unknown,
            Self::Healthy => Exit::Success,
        }
    }
}

/// The level of the site, and why.
pub fn summary(status: &StatusJson) -> Summary {
    let parents: Vec<_> = status.parents.iter().filter_map(|parent| of_parent(parent, status)).collect();
    let of_vpns = status.vpns.iter().filter_map(|vpn| {
        let (level, reason) = of_vpn(vpn, status)?;
        // The reason of its parent stands for it.
        let explained =
            parents.iter().any(|(parent, of, _)| *of <= level && is_explained(vpn, parent, status));
        (!explained).then_some((level, reason))
    });
    let of_vpns: Vec<_> = of_vpns.collect();
    let mut found: Vec<_> = parents.into_iter().map(|(_, level, reason)| (level, reason)).collect();
    found.extend(of_vpns);
    if status.vpns.is_empty() {
        found.push((Level::Unknown, "no connection is known yet: the daemon is starting".to_owned()));
    }
    found.extend(status.problems.iter().map(|problem| {
        let (title, component, what) = (&problem.title, &problem.component, first_line(&problem.text));
        (Level::Degraded, format!("{title} ({component}): {what}"))
    }));
    if status.stuck {
        // What it said last proves nothing.
        let what =
            "the daemon's core is stuck, so everything that it says is old: see `systemctl status bothends`";
        found.push((Level::Unknown, what.to_owned()));
    } else if found.is_empty() && !status.ready {
        found.push((Level::Unknown, "the daemon is not ready: its /readyz says why".to_owned()));
    }
    // A stable sort: connections stay in the order of the configuration, behind what they share, and before problems.
    found.sort_by_key(|(level, _)| *level);
    let level = found.first().map_or(Level::Healthy, |(level, _)| *level);
    Summary { level, reasons: found.into_iter().map(|(_, reason)| reason).collect() }
}

/// A parent that is down or has an open incident: its id, how bad it is, and why.
fn of_parent<'a>(parent: &'a ParentJson, status: &StatusJson) -> Option<(&'a str, Level, String)> {
    let ParentJson { id, kind, name, state, since, .. } = parent;
    let words = scope_words(kind, name);
    // Its incident's id begins with its own.
    let open = |of: &str| {
        let prefix = format!("{id}/{of}/");
        status.incidents.iter().find(|one| one.id.starts_with(&prefix) && one.state == "open")
    };
    let found = ["outage", "redundancy_lost", "one_sided", "degraded"].into_iter().find_map(open);
    let (level, what) = match found {
        Some(incident) => {
            let affected = incident.children.iter().filter(|child| child.troubled).count();
            let level = if incident.kind == "outage" { Level::Down } else { Level::Degraded };
            let (what, all) = (incident.kind.replace('_', " "), incident.children.len());
            (level, format!("{what} since {}, {affected} of {all} connections affected", incident.began))
        }
        None if state == "down" => (Level::Degraded, format!("down since {since}")),
        None => return None,
    };
    Some((id, level, format!("{words}: {what}")))
}

/// Whether every open incident of the connection is withheld because of this parent.
fn is_explained(vpn: &VpnJson, parent: &str, status: &StatusJson) -> bool {
    let mut open = status
        .incidents
        .iter()
        .filter(|one| one.vpn.as_ref() == Some(&vpn.id) && one.state == "open")
        .peekable();
    open.peek().is_some() && open.all(|one| one.withheld.as_deref() == Some(parent))
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// The level of one connection, and why; `None` if it is healthy.
pub fn of_vpn(vpn: &VpnJson, status: &StatusJson) -> Option<(Level, String)> {
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
    fn the_outage_of_a_parent_is_the_reason_and_stands_for_what_it_explains() {
        let json = |status: &crate::domain::status::Status| {
            StatusJson::of(status, &[], &Records::default(), "0.1.0", "raise", fixture::after(31))
        };
        let reason = "uplink wan1: outage since 2025-11-22T03:12:12Z, 3 of 4 connections affected";
        let explained = json(&fixture::site());
        assert_eq!(summary(&explained), Summary { level: Level::Down, reasons: vec![reason.to_owned()] });

        let mut of_its_own = explained.clone();
        of_its_own.incidents[1].withheld = None;
        let Summary { level, reasons } = summary(&of_its_own);
        assert_eq!((level, reasons.len(), &*reasons[0]), (Level::Down, 2, reason));

        let mut worse = explained.clone();
        worse.incidents[0].kind = "redundancy_lost".to_owned();
        worse.incidents[0].id = "uplink/milan-1/wan1/redundancy_lost/0".to_owned();
        worse.vpns[0].traffic = "does_not_flow".to_owned();
        let Summary { level, reasons } = summary(&worse);
        assert_eq!((level, reasons.len()), (Level::Down, 2), "{reasons:?}");
        assert!(reasons[0].contains("no tunnel carries traffic"), "{reasons:?}");

        let mut resolved = explained;
        resolved.incidents.clear();
        resolved.vpns.truncate(0);
        resolved.vpns.extend(status(&[("active", "up", "up")]).vpns);
        assert_eq!(summary(&resolved).reasons, ["uplink wan1: down since 2025-11-22T03:12:07Z"]);
        resolved.parents[1].state = "up".to_owned();
        assert_eq!(summary(&resolved).level, Level::Healthy);
    }

    #[test]
    fn a_daemon_that_is_not_ready_and_does_not_say_why_is_not_healthy() {
        let mut stuck = status(&[("active", "up", "up")]);
        assert_eq!(summary(&stuck).level, Level::Healthy);
        stuck.ready = false;
        let Summary { level, reasons } = summary(&stuck);
        assert_eq!((level, reasons.len()), (Level::Unknown, 1), "{reasons:?}");
        let mut down = status(&[("active", "down", "down")]);
        down.ready = false;
        assert_eq!(summary(&down).reasons.len(), 1, "what is known stands for it");
    }

    #[test]
    fn what_a_stuck_daemon_says_is_old_and_that_is_always_said() {
        for (tunnels, expected) in [
            (&[("active", "up", "up")], (Level::Unknown, 1)),
            (&[("active", "down", "down")], (Level::Down, 2)),
        ] {
            let stuck = StatusJson { stuck: true, ready: false, ..status(tunnels) };
            let Summary { level, reasons } = summary(&stuck);
            assert_eq!((level, reasons.len()), expected, "{reasons:?}");
            assert!(reasons.iter().any(|reason| reason.contains("core is stuck")), "{reasons:?}");
        }
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
