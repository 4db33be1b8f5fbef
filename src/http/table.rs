//! `/status` as a table for people: both ends side by side.

use std::fmt::Write as _;

use super::status_json::{
    AwsJson, EntryJson, IncidentJson, LocalJson, PhasesJson, StatusJson, TunnelJson, VpnJson,
};

/// The table, ended by a line break. Times are UTC; their date is left out where it is the status' own.
pub fn render_table(status: &StatusJson) -> String {
    let mut text = String::new();
    let StatusJson { site, version, mode, at, vpns, incidents, sources, problems } = status;
    line(&mut text, format_args!("{site}, {at} (bothends {version}, incidents: {mode})"));
    for vpn in vpns {
        render_vpn(&mut text, vpn, at);
    }
    if !incidents.is_empty() {
        line(&mut text, format_args!("\nincidents"));
        for incident in incidents {
            render_incident(&mut text, incident, at);
        }
    }
    let silent: Vec<_> = sources.iter().filter(|source| source.refusals_in_row > 0).collect();
    if !problems.is_empty() || !silent.is_empty() {
        line(&mut text, format_args!("\nproblems"));
    }
    for problem in problems {
        line(&mut text, format_args!("  {}: {}: {}", problem.severity, problem.component, problem.text));
    }
    for source in silent {
        let region = source.region.as_ref().map(|region| format!(" in {region}")).unwrap_or_default();
        let last = source.last_answer.as_ref().map_or_else(
            || "it has not answered yet".to_owned(),
            |answered| format!("it last answered at {}", short(answered, at)),
        );
        let refusals = source.refusals_in_row;
        line(
            &mut text,
            format_args!("  {}{region} refused {refusals} times in a row; {last}", source.source),
        );
    }
    text
}

fn render_vpn(text: &mut String, vpn: &VpnJson, at: &str) {
    let VpnJson { id, name, tunnels, phases } = vpn;
    line(text, format_args!("\n{name} ({id}){}", standing(phases)));
    let head = ["tunnel", "outside address", "role", "both ends", "our end", "AWS"].map(str::to_owned);
    let rows: Vec<_> = std::iter::once(head).chain(tunnels.iter().map(|tunnel| row(tunnel, at))).collect();
    let mut widths = [0; 6];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    for row in &rows {
        let mut cells = String::from(" ");
        for (cell, width) in row.iter().zip(widths) {
            _ = write!(cells, " {cell:width$} ");
        }
        line(text, format_args!("{}", cells.trim_end()));
    }
}

/// The kinds of incident that stand anywhere but at clear.
fn standing(phases: &PhasesJson) -> String {
    let PhasesJson { outage, redundancy_lost, one_sided } = phases;
    [("outage", outage), ("redundancy_lost", redundancy_lost), ("one_sided", one_sided)]
        .into_iter()
        .filter(|(_, phase)| *phase != "clear")
        .map(|(kind, phase)| format!(", {kind} {phase}"))
        .collect()
}

fn row(tunnel: &TunnelJson, at: &str) -> [String; 6] {
    let TunnelJson { outside_ip, name, role, assessment, assessed_since, local, aws, checks: _ } = tunnel;
    [
        name.clone(),
        outside_ip.clone(),
        role.clone(),
        format!("{} since {}", in_words(assessment, &local.verdict), short(assessed_since, at)),
        local_cell(local, at),
        aws_cell(aws, at),
    ]
}

/// Where one end alone says down, which one.
fn in_words(assessment: &str, local: &str) -> String {
    match (assessment, local) {
        ("disputed" | "unconfirmed", "down") => format!("{assessment}, down by our end"),
        ("disputed" | "unconfirmed", _) => format!("{assessment}, down by AWS"),
        _ => assessment.to_owned(),
    }
}

fn local_cell(local: &LocalJson, at: &str) -> String {
    let LocalJson { verdict, why, since, evidence } = local;
    let mut cell = said(verdict, why.as_deref(), since, at);
    if let (Some(rtt), "up") = (evidence.median_rtt_ms, verdict.as_str()) {
        _ = write!(cell, ", {rtt:.1} ms");
    }
    if let Some(loss) = evidence.loss_percent {
        _ = write!(cell, ", loss {loss:.0} %");
    }
    if let (Some(reply), true) = (&evidence.last_reply, verdict != "up") {
        _ = write!(cell, ", last reply {}", short(reply, at));
    }
    cell
}

fn aws_cell(aws: &AwsJson, at: &str) -> String {
    let AwsJson { verdict, why, since, source: _, as_of: _, age_seconds, words } = aws;
    let mut cell = said(verdict, why.as_deref(), since, at);
    if let Some(words) = words {
        _ = write!(cell, ", {words}");
    }
    if let Some(age) = age_seconds {
        _ = write!(cell, ", {age:.0} s old");
    }
    cell
}

fn said(verdict: &str, why: Option<&str>, since: &str, at: &str) -> String {
    let why = why.map(|why| format!(" ({})", why.replace('_', " "))).unwrap_or_default();
    format!("{verdict}{why} since {}", short(since, at))
}

fn render_incident(text: &mut String, incident: &IncidentJson, at: &str) {
    let IncidentJson {
        id: _,
        vpn,
        kind,
        state,
        began,
        opened,
        found_at,
        ended,
        worsened: _,
        related,
        timeline,
    } = incident;
    let ended = ended.as_ref().map(|ended| format!(" at {}", short(ended, at))).unwrap_or_default();
    let related = related.as_ref().map(|related| format!(", follows {related}")).unwrap_or_default();
    let found = found_at.as_ref().map(|sink| format!(", found at {sink}")).unwrap_or_default();
    let (began, opened) = (short(began, at), short(opened, at));
    line(
        text,
        format_args!("  {kind} on {vpn}: {state}{ended}; began {began}, opened {opened}{found}{related}"),
    );
    for entry in timeline {
        line(text, format_args!("    {}  {}", short(&entry.at, at), told(entry)));
    }
}

fn told(entry: &EntryJson) -> String {
    let EntryJson { seq: _, at: _, what, tunnel, end, verdict, why, as_of: _, assessment, repeats } = entry;
    let mut parts: Vec<&str> = match what.as_str() {
        "view" | "assessment" => Vec::new(),
        other => vec![other],
    };
    parts.extend([tunnel, end, verdict, why, assessment].into_iter().flatten().map(String::as_str));
    let mut text = parts.join(" ");
    if *repeats > 0 {
        _ = write!(text, " (and {repeats} times more)");
    }
    text
}

/// A time without its date if that is the day of `near`, and without fractions of a second.
fn short(time: &str, near: &str) -> String {
    let whole = match time.split_once('.') {
        Some((whole, _)) => format!("{whole}Z"),
        None => time.to_owned(),
    };
    match (whole.split_once('T'), near.split_once('T')) {
        (Some((day, clock)), Some((today, _))) if day == today => clock.to_owned(),
        _ => whole,
    }
}

/// What came from the network must not steer the terminal.
fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    let told = arguments.to_string();
    text.extend(told.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }));
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;
    use crate::health::{Component, Problem, Problems, Severity};

    #[test]
    fn the_table_shows_both_ends_side_by_side() {
        let mut status = fixture::status();
        status.sources[0].refusals_in_row = 3;
        let problem = Problem { severity: Severity::Degraded, text: "disk full".to_owned() };
        let problems = Problems::from([(Component::Store, problem)]);
        let status = StatusJson::of(&status, &problems, "0.1.0", "raise", fixture::after(31));
        insta::assert_snapshot!(render_table(&status), @r"
        milan-1, 2025-11-22T03:12:30Z (bothends 0.1.0, incidents: raise)

        Milan DC, primary (vpn-0123456789abcdef0), redundancy_lost open
          tunnel    outside address  role     both ends              our end                                                AWS
          tunnel 1  203.0.113.11     active   down since 03:12:12Z   down since 03:12:07Z, loss 12 %, last reply 03:12:03Z  down since 03:12:12Z, TunnelState 0, 21 s old
          tunnel 2  203.0.113.12     standby  blind since 03:12:12Z  up since 03:12:00Z, 11.9 ms, loss 0 %                  unknown (not asked) since 03:12:12Z

        incidents
          redundancy_lost on vpn-0123456789abcdef0: open; began 03:12:12Z, opened 03:12:20Z
            03:12:20Z  opened
            03:12:25Z  203.0.113.12 aws unknown stale
            03:12:25Z  203.0.113.12 blind

        problems
          degraded: store: disk full
          cloudwatch in eu-west-1 refused 3 times in a row; it last answered at 03:12:12Z
        ");
    }

    #[test]
    fn an_assessment_names_the_end_that_says_down() {
        let told = [("disputed", "down"), ("unconfirmed", "unknown"), ("healthy", "up")]
            .map(|(assessment, local)| in_words(assessment, local));
        assert_eq!(told, ["disputed, down by our end", "unconfirmed, down by AWS", "healthy"]);
    }

    #[test]
    fn words_from_elsewhere_cannot_steer_the_terminal() {
        let mut text = String::new();
        line(&mut text, format_args!("\x1b[31mred"));
        assert_eq!(text, "\u{fffd}[31mred\n");
    }

    #[test]
    fn a_time_of_another_day_keeps_its_date() {
        assert_eq!(short("2025-11-22T03:12:04.25Z", "2025-11-22T04:00:00Z"), "03:12:04Z");
        assert_eq!(short("2025-11-21T03:12:04Z", "2025-11-22T04:00:00Z"), "2025-11-21T03:12:04Z");
    }
}
