//! What several connections share, what is silenced, and what is not sent, in words.

use super::times::short;
use crate::catalogue::phrases::{parent_words, scope_words};
use crate::cli::terminal::line;
use crate::domain::scope::Scope;
use crate::http::status_json::{ChildJson, ParentJson, PhasesJson, SilenceJson};

/// So many connections of a parent are named.
const NAMED: usize = 8;

/// The line of a parent; none while nothing is to be said of it.
pub(super) fn parent_line(parent: &ParentJson, at: &str) -> Option<String> {
    let ParentJson { id: _, kind, name, state, since, vpns, phases, silenced } = parent;
    let standing = standing(phases);
    if state != "down" && standing.is_empty() && silenced.is_none() {
        return None;
    }
    let state = if state == "down" { "DOWN" } else { state };
    let silence = silenced.map(|silence| format!(", silenced (silence {silence})")).unwrap_or_default();
    let connections = vpns.len();
    Some(format!(
        "{}: {state} since {}, {connections} connections{standing}{silence}",
        scope_words(kind, name),
        short(since, at)
    ))
}

/// The kinds of incident that are not clear.
pub(super) fn standing(phases: &PhasesJson) -> String {
    let PhasesJson { outage, redundancy_lost, one_sided, degraded } = phases;
    let kinds = [
        ("outage", outage),
        ("redundancy_lost", redundancy_lost),
        ("one_sided", one_sided),
        ("degraded", degraded),
    ];
    kinds
        .into_iter()
        .filter(|(_, phase)| *phase != "clear")
        .map(|(kind, phase)| format!(", {kind} {phase}"))
        .collect()
}

/// `3: group hubs, until 04:12:00Z, every week (Europe/Rome): change 4711 (added by uid 1000)`.
pub(super) fn silence_line(silence: &SilenceJson, at: &str) -> String {
    let SilenceJson { id, scope, of: _, name, from, until, weekly, reason, by, added: _, active } = silence;
    let (from, until) = (short(from, at), short(until, at));
    let when = if *active { format!("until {until}") } else { format!("planned, {from} to {until}") };
    let weekly = weekly.as_ref().map(|zone| format!(", every week ({zone})")).unwrap_or_default();
    format!("{id}: {}, {when}{weekly}: {reason} (added by uid {by})", scope_words(scope, name))
}

/// Why an incident is not sent: `explained by uplink wan1`, `silence 3`.
pub(super) fn withheld_words(by: &str) -> String {
    match Scope::parse(by) {
        Scope::Parent(parent) => format!("explained by {}", parent_words(&parent)),
        Scope::Connection(_) => by.to_owned(),
    }
}

/// The connections of a parent that have trouble.
pub(super) fn render_children(text: &mut String, children: &[ChildJson], at: &str) {
    let troubled: Vec<_> = children.iter().filter(|child| child.troubled).collect();
    if children.is_empty() {
        return;
    }
    let named: Vec<_> = troubled.iter().take(NAMED).map(|child| child_words(child, at)).collect();
    let more = troubled.len().saturating_sub(NAMED);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    let (affected, all) = (troubled.len(), children.len());
    let colon = if named.is_empty() { "" } else { ": " };
    line(text, format_args!("    {affected} of {all} connections affected{colon}{}{more}", named.join("; ")));
}

fn child_words(child: &ChildJson, at: &str) -> String {
    let ChildJson { vpn: _, name, troubled: _, kind, since, cause } = child;
    let kind = kind.as_ref().map(|kind| format!(" {kind}")).unwrap_or_default();
    let since = since.as_ref().map(|since| format!(" since {}", short(since, at))).unwrap_or_default();
    let cause = cause.as_ref().map(|cause| format!(" ({cause})")).unwrap_or_default();
    format!("{name}{kind}{since}{cause}")
}

#[cfg(test)]
mod tests {
    use super::super::table::render_table;
    use crate::fixture;
    use crate::http::status_json::StatusJson;
    use crate::records::Records;

    fn table(status: &crate::domain::status::Status) -> String {
        let status = StatusJson::of(status, &[], &Records::default(), "0.1.0", "raise", fixture::after(31));
        render_table(&status)
    }

    #[test]
    fn what_is_shared_what_is_silenced_and_what_is_not_sent_is_shown() {
        insta::assert_snapshot!(table(&fixture::site()), @r"
        milan-1, 2025-11-22T03:12:30Z (bothends 0.1.0, incidents: raise)

        group hubs: up since 03:12:07Z, 2 connections, silenced (silence 3)
        uplink wan1: DOWN since 03:12:07Z, 2 connections, outage open

        silences
          3: group hubs, until 04:12:00Z, every week (Europe/Rome): change 4711 (added by uid 1000)

        Milan DC, primary (vpn-0123456789abcdef0): cannot tell whether traffic flows, routing bgp, redundancy_lost open, silenced (silence 3)
          tunnel    outside address  role     carries traffic  both ends                         our end                                     AWS
          tunnel 1  203.0.113.11     active   no               down, no packets since 03:12:03Z  down since 03:12:07Z, last reply 03:12:03Z  down since 03:12:12Z, TunnelState 0, 21 s old
          tunnel 2  203.0.113.12     standby  cannot tell      blind since 03:12:12Z             up since 03:12:00Z, 11.9 ms, loss 0 %       unknown (not asked) since 03:12:12Z
          tunnel 1: path_to_aws (certain) since 03:12:14Z: AWS's outside address no longer answers over the uplink; the uplink's references answer; the path ends at hop 4 (198.51.100.9)
              First: Call the carrier: from this uplink the path to 203.0.113.11 ends at 198.51.100.9, while other hosts answer.

        incidents
          outage on uplink wan1: open; began 03:12:12Z, opened 03:12:20Z
            3 of 4 connections affected: Milan DC, primary outage since 03:12:03Z (uplink_down); Paris outage since 03:12:03Z (uplink_down); Rome since 03:12:03Z (uplink_down)
            03:12:20Z  opened
          redundancy_lost on Milan DC, primary: open; began 03:12:12Z, opened 03:12:20Z (not sent: explained by uplink wan1)
            03:12:20Z  opened
            03:12:25Z  203.0.113.12 aws unknown stale
            03:12:25Z  203.0.113.12 blind (cannot tell)
        ");
    }

    #[test]
    fn a_parent_that_works_and_a_tunnel_that_is_silenced_alone() {
        use crate::domain::silence::{Silence, SilenceScope};
        let mut status = fixture::site();
        status.incidents.clear();
        status.parents.truncate(1);
        let tunnel =
            Silence { of: SilenceScope::Tunnel(fixture::tunnel(2)), weekly: None, ..fixture::silence() };
        let planned = Silence {
            of: SilenceScope::Site,
            from: fixture::after(86_400).wall,
            until: fixture::after(90_000).wall,
            ..fixture::silence()
        };
        status.silences = [tunnel, planned].into();
        let table = table(&status);
        let lines: Vec<_> = table
            .lines()
            .filter(|line| ["silence", "change", "hubs"].iter().any(|word| line.contains(word)))
            .collect();
        insta::assert_snapshot!(lines.join("\n"), @r"
        silences
          3: tunnel Milan DC, primary, tunnel 2, until 04:12:00Z: change 4711 (added by uid 1000)
          3: the whole site, planned, 2025-11-23T03:12:00Z to 2025-11-23T04:12:00Z, every week (Europe/Rome): change 4711 (added by uid 1000)
          tunnel 2 (203.0.113.12): silenced (silence 3)
        ");
    }
}
