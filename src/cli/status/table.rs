//! `/status` as a table for people: both ends side by side.

use std::fmt::Write as _;

use super::shared::{parent_line, render_children, silence_line, standing, withheld_words};
use super::times::short;
use crate::catalogue::phrases::scope_words;
use crate::cli::terminal::{aligned, line};
use crate::http::status_json::{
    AwsJson, CauseJson, EntryJson, IncidentJson, LocalJson, MaintenanceJson, ProblemJson, QualityJson,
    RecordJson, StatusJson, TunnelJson, VpnJson,
};

/// The table, with a final line break. Times are UTC, without the date if it is that of the status.
pub(super) fn render_table(status: &StatusJson) -> String {
    let mut text = String::new();
    let StatusJson {
        site,
        version,
        mode,
        at,
        ready: _,
        vpns,
        parents,
        silences,
        incidents,
        sources,
        problems,
    } = status;
    line(&mut text, format_args!("{site}, {at} (bothends {version}, incidents: {mode})"));
    let shared: Vec<_> = parents.iter().filter_map(|parent| parent_line(parent, at)).collect();
    if !shared.is_empty() {
        line(&mut text, format_args!("\n{}", shared.join("\n")));
    }
    if !silences.is_empty() {
        line(&mut text, format_args!("\nsilences"));
        for silence in silences {
            line(&mut text, format_args!("  {}", silence_line(silence, at)));
        }
    }
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
        let ProblemJson { code, component, severity, title: _, text: what, first_step } = problem;
        line(&mut text, format_args!("  {severity}: {code}: {component}: {what}"));
        line(&mut text, format_args!("      First: {first_step}"));
    }
    for source in silent {
        let region = source.region.as_ref().map(|region| format!(" in {region}")).unwrap_or_default();
        let last = source.last_answer.as_ref().map_or_else(
            || "it has not answered yet".to_owned(),
            |answered| format!("it last answered at {}", short(answered, at)),
        );
        let failed = match source.refusals_in_row {
            1 => "the last query failed".to_owned(),
            count => format!("the last {count} queries failed"),
        };
        line(&mut text, format_args!("  {}{region}: {failed}; {last}", source.source));
    }
    text
}

fn render_vpn(text: &mut String, vpn: &VpnJson, at: &str) {
    let VpnJson { id, name, routing, traffic, tunnels, phases, silenced } = vpn;
    let traffic = traffic_words(traffic);
    let silence = silenced.map(|silence| format!(", silenced (silence {silence})")).unwrap_or_default();
    line(text, format_args!("\n{name} ({id}): {traffic}, routing {routing}{}{silence}", standing(phases)));
    let head = ["tunnel", "outside address", "role", "carries traffic", "both ends", "our end", "AWS"]
        .map(str::to_owned);
    let rows: Vec<_> = std::iter::once(head).chain(tunnels.iter().map(|tunnel| row(tunnel, at))).collect();
    for row in aligned(&rows, 7) {
        line(text, format_args!("  {row}"));
    }
    for tunnel in tunnels {
        if let Some(cause) = &tunnel.cause {
            render_cause(text, &tunnel.name, cause, at);
        }
        let words = tunnel.maintenance.as_ref().and_then(|maintenance| maintenance_words(maintenance, at));
        if let Some(words) = words {
            line(text, format_args!("  {} ({}): {words}", tunnel.name, tunnel.outside_ip));
        }
        if let (Some(silence), None) = (tunnel.silenced, silenced) {
            line(
                text,
                format_args!("  {} ({}): silenced (silence {silence})", tunnel.name, tunnel.outside_ip),
            );
        }
    }
}

fn render_cause(text: &mut String, tunnel: &str, cause: &CauseJson, at: &str) {
    let CauseJson { cause, confidence, since, evidence, side, do_first } = cause;
    let named = match cause.as_str() {
        "unknown" => match side {
            Some(side) => format!("cause unknown, likely side: {side}"),
            None => "cause unknown".to_owned(),
        },
        _ => format!("{cause} ({confidence}) since {}", short(since, at)),
    };
    let evidence = if evidence.is_empty() { String::new() } else { format!(": {}", evidence.join("; ")) };
    line(text, format_args!("  {tunnel}: {named}{evidence}"));
    if let Some(step) = do_first {
        line(text, format_args!("      First: {step}"));
    }
}

/// What is worth a line of the maintenance of a tunnel's endpoint.
fn maintenance_words(maintenance: &MaintenanceJson, at: &str) -> Option<String> {
    let MaintenanceJson { state, applied_after, last_applied: _, as_of: _ } = maintenance;
    match (state.as_str(), applied_after) {
        ("pending", Some(after)) => Some(format!(
            "AWS replaces its endpoint soon after {}, unless you apply the maintenance before",
            short(after, at)
        )),
        ("pending", None) => Some("AWS has announced a replacement of its endpoint, without a date".to_owned()),
        ("denied", _) => Some(
            "whether AWS will replace its endpoint is unknown: the permission ec2:GetVpnTunnelReplacementStatus is missing"
                .to_owned(),
        ),
        (_, _) => None,
    }
}

fn row(tunnel: &TunnelJson, at: &str) -> [String; 7] {
    let TunnelJson {
        outside_ip,
        name,
        role,
        assessment,
        assessed_since,
        carrying,
        carrying_why,
        not_passing_since,
        quality,
        local,
        aws,
        maintenance: _,
        checks: _,
        cause: _,
        evidence: _,
        uplink: _,
        silenced: _,
    } = tunnel;
    let since = match not_passing_since {
        Some(stopped) => format!(", no packets since {}", short(stopped, at)),
        None => format!(" since {}", short(assessed_since, at)),
    };
    [
        name.clone(),
        outside_ip.clone(),
        role.clone(),
        carrying_words(carrying, carrying_why.as_deref()),
        format!("{}{since}", assessment_words(assessment, &local.verdict)),
        local_cell(local, at) + &quality_words(quality),
        aws_cell(aws, at),
    ]
}

fn traffic_words(traffic: &str) -> &str {
    match traffic {
        "flows" => "traffic flows",
        "does_not_flow" => "NO TRAFFIC",
        _ => "cannot tell whether traffic flows",
    }
}

fn carrying_words(carrying: &str, why: Option<&str>) -> String {
    match (carrying, why) {
        ("carrying", _) => "yes".to_owned(),
        ("not_carrying", Some("bgp_down")) => "no, BGP is down".to_owned(),
        ("not_carrying", _) => "no".to_owned(),
        (_, Some("unused")) => "not used".to_owned(),
        (_, Some("bgp_unconfirmed")) => "cannot tell, BGP may be down".to_owned(),
        (_, _) => "cannot tell".to_owned(),
    }
}

/// The assessment; if only one end says down, with the name of that end.
fn assessment_words(assessment: &str, local: &str) -> String {
    match (assessment, local) {
        ("disputed" | "unconfirmed", "down") => format!("{assessment}, down by our end"),
        ("disputed" | "unconfirmed", _) => format!("{assessment}, down by AWS"),
        _ => assessment.to_owned(),
    }
}

fn local_cell(local: &LocalJson, at: &str) -> String {
    let LocalJson { verdict, why, since, evidence } = local;
    let mut cell = verdict_words(verdict, why.as_deref(), since, at);
    if let (Some(rtt), "up") = (evidence.median_rtt_ms, verdict.as_str()) {
        _ = if rtt < 0.05 { write!(cell, ", <0.1 ms") } else { write!(cell, ", {rtt:.1} ms") };
    }
    if let (Some(loss), true) = (evidence.loss_percent, verdict != "down") {
        _ = write!(cell, ", loss {loss:.0} %");
    }
    if let (Some(words), "down") = (unsent_words(evidence.last_loss.as_deref()), verdict.as_str()) {
        _ = write!(cell, ", {words}");
    }
    if let (Some(reply), true) = (&evidence.last_reply, verdict != "up") {
        _ = write!(cell, ", last reply {}", short(reply, at));
    }
    cell
}

fn quality_words(quality: &QualityJson) -> String {
    quality.text.as_ref().map(|text| format!(", degraded: {text}")).unwrap_or_default()
}

/// Why this host cannot send, in the words of the incident's summary and docs/runbook.md.
fn unsent_words(last_loss: Option<&str>) -> Option<&'static str> {
    match last_loss {
        Some("no_path") => Some("nothing can be sent: no route, address or interface"),
        Some("blocked") => Some("the kernel refuses to send: IPsec policy or firewall"),
        _ => None,
    }
}

fn aws_cell(aws: &AwsJson, at: &str) -> String {
    let AwsJson {
        verdict,
        why,
        since,
        source: _,
        as_of: _,
        changed: _,
        age_seconds,
        words,
        accepted_routes: _,
    } = aws;
    let mut cell = verdict_words(verdict, why.as_deref(), since, at);
    if let Some(words) = words {
        _ = write!(cell, ", {words}");
    }
    if let Some(age) = age_seconds {
        _ = write!(cell, ", {age:.0} s old");
    }
    cell
}

fn verdict_words(verdict: &str, why: Option<&str>, since: &str, at: &str) -> String {
    let why = why.map(|why| format!(" ({})", why.replace('_', " "))).unwrap_or_default();
    format!("{verdict}{why} since {}", short(since, at))
}

fn render_incident(text: &mut String, incident: &IncidentJson, at: &str) {
    let IncidentJson {
        id,
        scope,
        name,
        vpn: _,
        kind,
        state,
        began,
        opened,
        found_at,
        withheld,
        children,
        ended,
        worsened: _,
        related,
        records,
        timeline,
    } = incident;
    let ended = ended.as_ref().map(|ended| format!(" at {}", short(ended, at))).unwrap_or_default();
    let related = related.as_ref().map(|related| format!(", follows {related}")).unwrap_or_default();
    let found = found_at.as_ref().map(|sink| format!(", found at {sink}")).unwrap_or_default();
    let withheld =
        withheld.as_ref().map(|by| format!(" (not sent: {})", withheld_words(by))).unwrap_or_default();
    let (began, opened) = (short(began, at), short(opened, at));
    // A daemon that knew no names of incidents may still run.
    let name = if name.is_empty() { id } else { name };
    line(
        text,
        format_args!(
            "  {kind} on {}: {state}{ended}; began {began}, opened {opened}{found}{related}{withheld}",
            scope_words(scope, name)
        ),
    );
    for RecordJson { sink, record } in records {
        line(text, format_args!("    record at {sink}: {record}"));
    }
    render_children(text, children, at);
    for entry in timeline {
        line(text, format_args!("    {}  {}", short(&entry.at, at), entry_words(entry)));
    }
}

fn entry_words(entry: &EntryJson) -> String {
    let EntryJson {
        seq: _,
        at: _,
        what,
        tunnel,
        end,
        verdict,
        why,
        as_of: _,
        assessment,
        carrying,
        cause,
        confidence,
        quality,
        down,
        back,
        troubled,
        of,
        by,
        repeats,
    } = entry;
    let mut parts: Vec<&str> = match what.as_str() {
        "view" | "assessment" | "quality" => Vec::new(),
        other => vec![other],
    };
    parts.extend(
        [tunnel, quality, end, verdict, why, assessment, cause, confidence]
            .into_iter()
            .flatten()
            .map(String::as_str),
    );
    let of = troubled.zip(*of).map(|(troubled, of)| format!("{troubled} of {of} affected"));
    let list =
        |what: &str, names: &[String]| (!names.is_empty()).then(|| format!("{what} {}", names.join(", ")));
    let (down, back) = (list("down:", down), list("back:", back));
    let by = by.as_ref().map(|by| format!("({})", withheld_words(by)));
    parts.extend([&of, &down, &back, &by].into_iter().filter_map(|part| part.as_deref()));
    let carrying = carrying.as_ref().map(|word| format!("({})", word.replace('_', " ")));
    parts.extend(carrying.as_deref());
    let mut text = parts.join(" ");
    if *repeats > 0 {
        _ = write!(text, " (and {repeats} times more)");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::names::SinkId;
    use crate::domain::verdict::Loss;
    use crate::fixture;
    use crate::health::overview::OpenProblem;
    use crate::health::{Code, Component, Problem};
    use crate::records::Records;

    fn records(status: &crate::domain::status::Status) -> Records {
        let records = Records::default();
        records.set(&SinkId::new("ops_center"), &status.incidents[0].id, Some("oi-0123456789ab"));
        records
    }

    #[test]
    fn the_table_shows_both_ends_side_by_side() {
        let mut status = fixture::status();
        status.sources[0].refusals_in_row = 3;
        let problem = Problem::of(Code::StoreFailing, "disk full");
        let problems = [OpenProblem { component: Component::Store, problem }];
        let status =
            StatusJson::of(&status, &problems, &records(&status), "0.1.0", "raise", fixture::after(31));
        insta::assert_snapshot!(render_table(&status), @r"
        milan-1, 2025-11-22T03:12:30Z (bothends 0.1.0, incidents: raise)

        Milan DC, primary (vpn-0123456789abcdef0): cannot tell whether traffic flows, routing bgp, redundancy_lost open
          tunnel    outside address  role     carries traffic  both ends                         our end                                     AWS
          tunnel 1  203.0.113.11     active   no               down, no packets since 03:12:03Z  down since 03:12:07Z, last reply 03:12:03Z  down since 03:12:12Z, TunnelState 0, 21 s old
          tunnel 2  203.0.113.12     standby  cannot tell      blind since 03:12:12Z             up since 03:12:00Z, 11.9 ms, loss 0 %       unknown (not asked) since 03:12:12Z
          tunnel 1: path_to_aws (certain) since 03:12:14Z: AWS's outside address no longer answers over the uplink; the uplink's references answer; the path ends at hop 4 (198.51.100.9)
              First: Call the carrier: from this uplink the path to 203.0.113.11 ends at 198.51.100.9, while other hosts answer.

        incidents
          redundancy_lost on Milan DC, primary: open; began 03:12:12Z, opened 03:12:20Z
            record at ops_center: oi-0123456789ab
            03:12:20Z  opened
            03:12:25Z  203.0.113.12 aws unknown stale
            03:12:25Z  203.0.113.12 blind (cannot tell)

        problems
          failed: store_failing: store: disk full
              First: `df -h /var/lib/bothends` and `journalctl -k`: free space or fix the disk. Writing resumes by itself; do not restart before it does.
          cloudwatch in eu-west-1: the last 3 queries failed; it last answered at 03:12:12Z
        ");
    }

    #[test]
    fn a_tunnel_that_is_down_because_nothing_can_be_sent_says_so() {
        let status = StatusJson::of(
            &fixture::status(),
            &[],
            &Records::default(),
            "0.1.0",
            "raise",
            fixture::after(31),
        );
        let [mut down, mut up] = [0, 1].map(|tunnel| status.vpns[0].tunnels[tunnel].local.clone());
        let cells = [Loss::NoPath, Loss::Blocked, Loss::Timeout].map(|loss| {
            down.evidence.last_loss = Some(loss.as_str().to_owned());
            local_cell(&down, &status.at)
        });
        // The words of the incident's summary and the runbook.
        for (cell, words) in cells.iter().zip([
            ", nothing can be sent: no route, address or interface",
            ", the kernel refuses to send: IPsec policy or firewall",
            "",
        ]) {
            assert_eq!(*cell, format!("down since 03:12:07Z{words}, last reply 03:12:03Z"));
        }
        up.evidence.last_loss = Some(Loss::NoPath.as_str().to_owned());
        assert_eq!(local_cell(&up, &status.at), "up since 03:12:00Z, 11.9 ms, loss 0 %");
    }

    #[test]
    fn a_tunnel_whose_endpoint_is_to_be_replaced_has_a_line_of_its_own() {
        use crate::domain::maintenance::{Maintenance, MaintenanceState};
        let known = |pending, seconds| MaintenanceState::Known {
            maintenance: Maintenance { pending, applied_after: seconds, last_applied: None },
            as_of: fixture::after(20).wall,
        };
        let lines = |state| {
            let mut status = fixture::status();
            status.vpns[0].tunnels[0].maintenance = state;
            let status =
                StatusJson::of(&status, &[], &Records::default(), "0.1.0", "raise", fixture::after(31));
            let table = render_table(&status);
            let lines = table.lines().filter(|line| line.starts_with("  tunnel 1 ("));
            lines.map(|line| format!("{line}\n")).collect::<String>()
        };
        let soon = Some(fixture::after(3600).wall);
        let later = Some(fixture::after(5 * 86_400).wall);
        let all = [
            MaintenanceState::NotAsked,
            MaintenanceState::Denied,
            known(false, soon),
            known(true, soon),
            known(true, later),
            known(true, None),
        ];
        insta::assert_snapshot!(all.map(lines).concat(), @r"
          tunnel 1 (203.0.113.11): whether AWS will replace its endpoint is unknown: the permission ec2:GetVpnTunnelReplacementStatus is missing
          tunnel 1 (203.0.113.11): AWS replaces its endpoint soon after 04:12:00Z, unless you apply the maintenance before
          tunnel 1 (203.0.113.11): AWS replaces its endpoint soon after 2025-11-27T03:12:00Z, unless you apply the maintenance before
          tunnel 1 (203.0.113.11): AWS has announced a replacement of its endpoint, without a date
        ");
    }

    #[test]
    fn an_assessment_names_the_end_that_says_down() {
        let words = [("disputed", "down"), ("unconfirmed", "unknown"), ("healthy", "up")]
            .map(|(assessment, local)| assessment_words(assessment, local));
        assert_eq!(words, ["disputed, down by our end", "unconfirmed, down by AWS", "healthy"]);
    }

    #[test]
    fn a_time_of_another_day_keeps_its_date() {
        assert_eq!(short("2025-11-22T03:12:04.25Z", "2025-11-22T04:00:00Z"), "03:12:04Z");
        assert_eq!(short("2025-11-21T03:12:04Z", "2025-11-22T04:00:00Z"), "2025-11-21T03:12:04Z");
    }
}
