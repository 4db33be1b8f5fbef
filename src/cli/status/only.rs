//! The status of one connection, for a monitoring system that has a service for each.

use crate::health::Severity;
use crate::http::status_json::{StatusJson, VpnJson};

/// What the status says of this connection, by its id or name. What it shares with others is left out, since their outage is not its
/// own, and so are the problems of other parts of the daemon: the service without `--vpn` has both. `ready` is about this connection,
/// too.
pub(super) fn only(status: StatusJson, wanted: &str) -> Result<StatusJson, String> {
    let vpn = chosen(&status.vpns, wanted)?.clone();
    let (id, of_tunnel) = (vpn.id.clone(), format!("{} ", vpn.id));
    let above: Vec<_> =
        status.parents.iter().filter(|parent| parent.vpns.contains(&id)).map(|one| one.id.clone()).collect();
    let problems: Vec<_> =
        status.problems.into_iter().filter(|one| one.component.split(' ').any(|word| word == id)).collect();
    let failed = problems.iter().any(|problem| problem.severity == Severity::Failed.as_str());
    Ok(StatusJson {
        ready: !status.stuck && !failed && !is_starting(&vpn),
        vpns: vec![vpn],
        parents: Vec::new(),
        silences: status
            .silences
            .into_iter()
            .filter(|silence| {
                let of = &silence.of;
                of == "site" || *of == id || of.starts_with(&of_tunnel) || above.contains(of)
            })
            .collect(),
        incidents: status.incidents.into_iter().filter(|one| one.vpn.as_ref() == Some(&id)).collect(),
        problems,
        ..status
    })
}

/// Whether no tunnel of it that is used has a first verdict.
fn is_starting(vpn: &VpnJson) -> bool {
    let mut used = vpn.tunnels.iter().filter(|tunnel| tunnel.role != "unused");
    used.all(|tunnel| tunnel.carrying_why.as_deref() == Some("starting"))
}

fn chosen<'a>(vpns: &'a [VpnJson], wanted: &str) -> Result<&'a VpnJson, String> {
    if let Some(vpn) = vpns.iter().find(|vpn| vpn.id == wanted) {
        return Ok(vpn);
    }
    let named: Vec<_> = vpns.iter().filter(|vpn| vpn.name == wanted).collect();
    match named[..] {
        [vpn] => Ok(vpn),
        [] => {
            let known: Vec<_> = vpns.iter().map(|vpn| format!("{} ({})", vpn.name, vpn.id)).collect();
            let known =
                if known.is_empty() { "none so far: it is starting".to_owned() } else { known.join(", ") };
            Err(format!("--vpn: no connection has the id or name {wanted:?}; the daemon has {known}"))
        }
        [_, ..] => Err(format!("--vpn: several connections have the name {wanted:?}: name its id")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;
    use crate::health::overview::OpenProblem;
    use crate::health::{Code, Component, Problem};
    use crate::http::summary::{Level, summary};
    use crate::records::Records;

    fn site() -> StatusJson {
        let problems = [
            Component::Connection(fixture::vpn().to_string()),
            Component::Store,
            Component::Connection("vpn-0b".to_owned()),
        ]
        .map(|component| OpenProblem { component, problem: Problem::of(Code::NoAwsData, "nothing") });
        let mut status = StatusJson::of(
            &fixture::site(),
            &problems,
            &Records::default(),
            "0.1.0",
            "raise",
            fixture::after(31),
        );
        let mut paris = status.vpns[0].clone();
        (paris.id, paris.name) = ("vpn-0b".to_owned(), "Paris".to_owned());
        status.vpns.push(paris);
        status
    }

    #[test]
    fn a_connection_is_found_by_its_id_and_by_its_name() {
        for wanted in ["vpn-0123456789abcdef0", "Milan DC, primary"] {
            let one = only(site(), wanted).unwrap();
            assert_eq!((one.vpns.len(), one.incidents.len(), one.silences.len()), (1, 1, 1), "{wanted}");
            let problems: Vec<_> = one.problems.iter().map(|problem| problem.component.as_str()).collect();
            assert_eq!(problems, ["connection vpn-0123456789abcdef0"]);
        }
        let paris = only(site(), "Paris").unwrap();
        assert!(paris.incidents.is_empty() && paris.vpns[0].id == "vpn-0b");
    }

    #[test]
    fn the_outage_of_what_it_shares_is_not_its_own() {
        let mut status = site();
        status.problems.clear();
        assert_eq!(summary(&status).level, Level::Down, "the uplink is");
        assert_eq!(summary(&only(status, "Milan DC, primary").unwrap()).level, Level::Degraded);
    }

    /// Two connections that work. The daemon is not ready.
    fn not_ready() -> StatusJson {
        let mut status = site();
        for vpn in &mut status.vpns {
            vpn.traffic = "flows".to_owned();
            for tunnel in &mut vpn.tunnels {
                (tunnel.local.verdict, tunnel.aws.verdict) = ("up".to_owned(), "up".to_owned());
                (tunnel.carrying, tunnel.carrying_why) = ("carrying".to_owned(), None);
                tunnel.assessment = "healthy".to_owned();
                tunnel.quality.text = None;
            }
        }
        StatusJson {
            incidents: Vec::new(),
            parents: Vec::new(),
            problems: Vec::new(),
            ready: false,
            stuck: false,
            ..status
        }
    }

    /// The level without `--vpn`, and with it for the connection that works; and whether that is ready.
    fn levels(status: StatusJson) -> (Level, Level, bool) {
        let paris = only(status.clone(), "Paris").unwrap();
        (summary(&status).level, summary(&paris).level, paris.ready)
    }

    #[test]
    fn what_keeps_the_daemon_from_being_ready_elsewhere_is_not_its_own_trouble() {
        let problem = |component, code| {
            let open = [OpenProblem { component, problem: Problem::of(code, "it") }];
            let of = StatusJson::of(&fixture::site(), &open, &Records::default(), "", "", fixture::after(31));
            StatusJson { problems: of.problems, ..not_ready() }
        };
        let sink = problem(Component::Sink("pager".to_owned()), Code::SinkRejects);
        assert_eq!(sink.problems[0].severity, "failed");
        assert_eq!(levels(sink), (Level::Degraded, Level::Healthy, true), "a sink rejects");
        let store = problem(Component::Store, Code::StoreFailing);
        assert_eq!(levels(store), (Level::Degraded, Level::Healthy, true), "the store fails");
        let other = problem(Component::Connection(fixture::vpn().to_string()), Code::NoAwsData);
        assert_eq!(
            levels(other),
            (Level::Degraded, Level::Healthy, true),
            "another connection has a problem"
        );
        let mut own = problem(Component::Connection("vpn-0b".to_owned()), Code::NoAwsData);
        own.problems[0].severity = "failed".to_owned();
        assert_eq!(levels(own), (Level::Degraded, Level::Degraded, false));

        let starting = |index: usize| {
            let mut status = not_ready();
            status.vpns[index].traffic = "cannot_tell".to_owned();
            for tunnel in &mut status.vpns[index].tunnels {
                (tunnel.local.verdict, tunnel.aws.verdict) = ("unknown".to_owned(), "unknown".to_owned());
                (tunnel.carrying, tunnel.carrying_why) =
                    ("cannot_tell".to_owned(), Some("starting".to_owned()));
            }
            status
        };
        assert_eq!(levels(starting(0)), (Level::Unknown, Level::Healthy, true), "the other one is starting");
        assert_eq!(levels(starting(1)), (Level::Unknown, Level::Unknown, false), "this one is");
    }

    #[test]
    fn of_a_daemon_that_is_stuck_nothing_is_known_of_any_connection() {
        let stuck = StatusJson { stuck: true, ..not_ready() };
        assert_eq!(levels(stuck), (Level::Unknown, Level::Unknown, false));
    }

    #[test]
    fn a_name_that_none_or_several_have_is_refused_with_those_that_there_are() {
        let why = only(site(), "Rome").unwrap_err();
        assert!(
            why.contains(
                "\"Rome\"; the daemon has Milan DC, primary (vpn-0123456789abcdef0), Paris (vpn-0b)"
            ),
            "{why}"
        );
        let mut twice = site();
        twice.vpns[1].name = "Milan DC, primary".to_owned();
        let why = only(twice, "Milan DC, primary").unwrap_err();
        assert!(why.contains("several connections"), "{why}");
        let starting = StatusJson { vpns: Vec::new(), ..site() };
        assert!(only(starting, "Rome").unwrap_err().contains("it is starting"));
    }
}
