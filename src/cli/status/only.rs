//! The status of one connection, for a monitoring system that has a service for each.

use crate::http::status_json::{StatusJson, VpnJson};

/// What the status says of this connection, by its id or name. What it shares with others is left out, since their outage is not its
/// own, and so are the problems of other parts of the daemon: the service without `--vpn` has both.
pub(super) fn only(status: StatusJson, wanted: &str) -> Result<StatusJson, String> {
    let vpn = chosen(&status.vpns, wanted)?.clone();
    let (id, of_tunnel) = (vpn.id.clone(), format!("{} ", vpn.id));
    let above: Vec<_> =
        status.parents.iter().filter(|parent| parent.vpns.contains(&id)).map(|one| one.id.clone()).collect();
    Ok(StatusJson {
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
        problems: status
            .problems
            .into_iter()
            .filter(|one| one.component.split(' ').any(|word| word == id))
            .collect(),
        ..status
    })
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
