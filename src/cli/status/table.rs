//! `/status` for people: what is wrong, why, and what to do first; then both ends of every tunnel side by side; then incidents and
//! problems.

use std::fmt::Write as _;

use super::shared::{children_words, parent_line, silence_line, standing, withheld_words};
use super::times::{ago, brief, short};
use crate::catalogue::phrases::scope_words;
use crate::catalogue::traffic::{Replacement, carrying_words, replacement_words, traffic_words};
use crate::cli::layout::Cell;
use crate::cli::sheet::{Screen, Sheet};
use crate::cli::style::Tone;
use crate::http::status_json::{
    AwsJson, CauseJson, EntryJson, IncidentJson, LocalJson, MaintenanceJson, ProblemJson, QualityJson,
    RecordJson, SourceJson, StatusJson, TunnelJson, VpnJson,
};
use crate::http::summary::{Level, Summary, sentence};

/// So many further reasons stand at the top.
const REASONS: usize = 8;

/// So many causes stand at the top, each with its first step.
const CAUSES: usize = 3;

/// So many entries of an incident's timeline are shown, the newest.
const ENTRIES: usize = 12;

/// The colour of a level.
pub(super) const fn tone(level: Level) -> Tone {
    match level {
        Level::Down => Tone::Bad,
        Level::Degraded => Tone::Warning,
        Level::Unknown => Tone::Unknown,
        Level::Healthy => Tone::Good,
    }
}

/// The lines. Times are UTC, without the date if it is that of the status.
pub(super) fn render(status: &StatusJson, summary: &Summary, screen: Screen) -> Vec<String> {
    let mut sheet = Sheet::new(screen);
    let StatusJson {
        site,
        version,
        mode,
        at,
        ready: _,
        stuck: _,
        vpns,
        parents,
        silences,
        incidents,
        sources,
        problems,
    } = status;
    let steps = head(&mut sheet, status, summary);
    sheet.text(Tone::Faint, 0, &format!("{site}, {at} (bothends {version}, incidents: {mode})"));
    sheet.gap();
    for parent in parents {
        if let Some(line) = parent_line(parent, at) {
            sheet.text(if parent.state == "down" { Tone::Bad } else { Tone::Plain }, 0, &line);
        }
    }
    if !silences.is_empty() {
        sheet.gap();
        sheet.text(Tone::Strong, 0, "silences");
        for silence in silences {
            sheet.text(Tone::Plain, 2, &silence_line(silence, at));
        }
    }
    for vpn in vpns {
        render_vpn(&mut sheet, vpn, at, &steps);
    }
    if !incidents.is_empty() {
        sheet.gap();
        sheet.text(Tone::Strong, 0, "incidents");
        for incident in incidents {
            render_incident(&mut sheet, incident, at);
        }
    }
    let silent: Vec<_> = sources.iter().filter(|source| source.refusals_in_row > 0).collect();
    if !problems.is_empty() || !silent.is_empty() {
        sheet.gap();
        sheet.text(Tone::Strong, 0, "problems");
    }
    for problem in problems {
        let ProblemJson { code, component, severity, title: _, text: what, first_step } = problem;
        let tone = if severity == "failed" { Tone::Bad } else { Tone::Warning };
        sheet.begun(tone, 2, &format!("{severity}:"), &format!("{code}: {component}: {what}"));
        sheet.begun(Tone::Strong, 4, "First:", first_step);
    }
    for source in silent {
        sheet.text(Tone::Plain, 2, &source_words(source, at));
    }
    sheet.into_lines()
}

/// What is wrong, why, and the first step. Returns the steps that it has named.
fn head<'a>(sheet: &mut Sheet, status: &'a StatusJson, summary: &Summary) -> Vec<&'a str> {
    let Summary { level, reasons, .. } = summary;
    let (word, text) = (format!("{}:", level.word()), sentence(reasons, status));
    // Monitoring systems read the first line, and what follows a bar as performance data.
    let text = text.replace('|', "/");
    if sheet.screen().is_terminal() {
        sheet.begun(tone(*level), 0, &word, &text);
    } else {
        sheet.begun_whole(tone(*level), &word, &text);
    }
    if let [_, more @ ..] = &reasons[..] {
        for reason in more.iter().take(REASONS) {
            sheet.text(Tone::Plain, 2, reason);
        }
        let left = more.len().saturating_sub(REASONS);
        if left > 0 {
            sheet.text(Tone::Plain, 2, &format!("… and {left} more"));
        }
    }
    let mut steps: Vec<&str> = Vec::new();
    for (vpn, tunnel, cause) in causes(status) {
        let Some(step) = cause.do_first.as_deref().filter(|step| !steps.contains(step)) else { continue };
        if steps.len() == CAUSES {
            break;
        }
        let CauseJson { cause, confidence, .. } = cause;
        sheet.begun(Tone::Strong, 0, "Cause:", &format!("{cause} ({confidence}): {tunnel} of {vpn}"));
        sheet.begun(Tone::Strong, 0, "First:", step);
        steps.push(step);
    }
    if let (true, Some(problem)) =
        (steps.is_empty(), reasons.first().and_then(|first| of_problem(status, first)))
    {
        sheet.begun(Tone::Strong, 0, "First:", &problem.first_step);
    }
    steps
}

/// The causes of the tunnels that are used, by connection and tunnel.
fn causes(status: &StatusJson) -> impl Iterator<Item = (&str, &str, &CauseJson)> {
    status.vpns.iter().flat_map(|vpn| {
        let used = vpn.tunnels.iter().filter(|tunnel| tunnel.role != "unused");
        used.filter_map(|tunnel| {
            let cause = tunnel.cause.as_ref().filter(|cause| cause.cause != "unknown")?;
            Some((vpn.name.as_str(), tunnel.name.as_str(), cause))
        })
    })
}

/// The problem that is the reason.
fn of_problem<'a>(status: &'a StatusJson, reason: &str) -> Option<&'a ProblemJson> {
    status
        .problems
        .iter()
        .find(|problem| reason.starts_with(&format!("{} ({})", problem.title, problem.component)))
}

fn source_words(source: &SourceJson, at: &str) -> String {
    let region = source.region.as_ref().map(|region| format!(" in {region}")).unwrap_or_default();
    let last = source.last_answer.as_ref().map_or_else(
        || "it has not answered yet".to_owned(),
        |answered| format!("it last answered at {}", short(answered, at)),
    );
    let failed = match source.refusals_in_row {
        1 => "the last query failed".to_owned(),
        count => format!("the last {count} queries failed"),
    };
    format!("{}{region}: {failed}; {last}", source.source)
}

fn render_vpn(sheet: &mut Sheet, vpn: &VpnJson, at: &str, steps: &[&str]) {
    let VpnJson { id, name, routing, traffic, tunnels, phases, silenced } = vpn;
    let (tone, words) = traffic_shown(traffic);
    let silence = silenced.map(|silence| format!(", silenced (silence {silence})")).unwrap_or_default();
    sheet.gap();
    let named = if name == id { format!("{id}:") } else { format!("{name} ({id}):") };
    sheet.text(tone, 0, &format!("{named} {words}, routing {routing}{}{silence}", standing(phases)));
    let head = ["tunnel", "role", "our end", "AWS", "both ends"].map(|word| Cell::new(Tone::Faint, word));
    let rows: Vec<_> = std::iter::once(head).chain(tunnels.iter().map(|tunnel| row(tunnel, at))).collect();
    // A name may be shortened, then a time; never a state.
    let mut lines = sheet.table(&rows, 2, &[(0, 8), (4, 24)]).into_iter();
    if let Some(head) = lines.next() {
        sheet.line(head);
    }
    for (line, tunnel) in lines.zip(tunnels) {
        sheet.line(line);
        details(sheet, tunnel, at, *silenced, steps);
    }
}

fn row(tunnel: &TunnelJson, at: &str) -> [Cell; 5] {
    let TunnelJson { name, role, assessment, assessed_since, not_passing_since, local, aws, .. } = tunnel;
    if role == "unused" {
        return [name, role, "-", "-", "not used"].map(|text| Cell::new(Tone::Faint, text));
    }
    let since = |verdict: &str, since: &str| match ago(since, at) {
        Some(ago) => format!("{verdict} {ago}"),
        None => verdict.to_owned(),
    };
    let assessed = match not_passing_since {
        Some(stopped) => format!("{assessment}, no packets since {}", brief(stopped, at)),
        None => format!("{assessment} since {}", brief(assessed_since, at)),
    };
    [
        Cell::plain(name),
        Cell::plain(role),
        Cell::new(verdict_tone(&local.verdict), since(&local.verdict, &local.since)),
        Cell::new(verdict_tone(&aws.verdict), since(&aws.verdict, &aws.since)),
        Cell::new(assessment_tone(assessment), assessed),
    ]
}

fn verdict_tone(verdict: &str) -> Tone {
    match verdict {
        "up" => Tone::Good,
        "down" => Tone::Bad,
        _ => Tone::Unknown,
    }
}

fn assessment_tone(assessment: &str) -> Tone {
    match assessment {
        "healthy" => Tone::Good,
        "down" => Tone::Bad,
        "disputed" | "unconfirmed" => Tone::Warning,
        _ => Tone::Unknown,
    }
}

/// What stands below a tunnel's row: its address and its numbers; what is unusual; the cause.
fn details(sheet: &mut Sheet, tunnel: &TunnelJson, at: &str, vpn_silenced: Option<u32>, steps: &[&str]) {
    let TunnelJson {
        outside_ip,
        name: _,
        role,
        assessment: _,
        assessed_since: _,
        carrying,
        carrying_why,
        not_passing_since: _,
        quality,
        local,
        aws,
        maintenance,
        checks: _,
        cause,
        evidence: _,
        uplink: _,
        silenced,
    } = tunnel;
    if role == "unused" {
        return;
    }
    let parts = [
        Some(outside_ip.clone()),
        // Nothing is said of one that carries traffic.
        (carrying != "carrying").then(|| carrying_words(carrying, carrying_why.as_deref()).to_owned()),
        Some(format!("our end: {}", local_words(local, at))),
        Some(format!("AWS: {}", aws_words(aws))),
    ];
    sheet.text(Tone::Plain, 4, &parts.into_iter().flatten().collect::<Vec<_>>().join("; "));
    if let QualityJson { text: Some(text), .. } = quality {
        sheet.begun(Tone::Warning, 4, "degraded:", text);
    }
    if let Some(cause) = cause {
        render_cause(sheet, cause, at, steps);
    }
    if let Some(words) = maintenance.as_ref().and_then(|maintenance| maintenance_words(maintenance, at)) {
        sheet.text(Tone::Warning, 4, &words);
    }
    if let (Some(silence), None) = (silenced, vpn_silenced) {
        sheet.text(Tone::Plain, 4, &format!("silenced (silence {silence})"));
    }
}

fn render_cause(sheet: &mut Sheet, cause: &CauseJson, at: &str, steps: &[&str]) {
    let CauseJson { cause, confidence, since, evidence, side, do_first } = cause;
    let named = match cause.as_str() {
        "unknown" => match side {
            Some(side) => format!("unknown, likely side: {side}"),
            None => "unknown".to_owned(),
        },
        _ => format!("{cause} ({confidence}) since {}", short(since, at)),
    };
    let evidence = if evidence.is_empty() { String::new() } else { format!(": {}", evidence.join("; ")) };
    sheet.begun(Tone::Strong, 4, "cause:", &format!("{named}{evidence}"));
    if let Some(step) = do_first.as_deref().filter(|step| !steps.contains(step)) {
        sheet.begun(Tone::Strong, 4, "First:", step);
    }
}

/// What is worth a line of the maintenance of a tunnel's endpoint.
fn maintenance_words(maintenance: &MaintenanceJson, at: &str) -> Option<String> {
    let MaintenanceJson { state, applied_after, last_applied: _, as_of: _ } = maintenance;
    let (replacement, after) = match (state.as_str(), applied_after) {
        ("pending", Some(after)) => (Replacement::Dated, short(after, at)),
        ("pending", None) => (Replacement::Undated, String::new()),
        ("denied", _) => (Replacement::Denied, String::new()),
        (_, _) => return None,
    };
    let [before, behind] = replacement_words(replacement);
    Some(format!("{before}{after}{behind}"))
}

/// In capital letters if none flows.
fn traffic_shown(traffic: &str) -> (Tone, String) {
    let words = traffic_words(traffic);
    match traffic {
        "flows" => (Tone::Strong, words.to_owned()),
        "does_not_flow" => (Tone::Bad, words.to_uppercase()),
        _ => (Tone::Unknown, words.to_owned()),
    }
}

fn local_words(local: &LocalJson, at: &str) -> String {
    let LocalJson { verdict, why, since: _, evidence } = local;
    let mut parts: Vec<String> = why.iter().map(|why| why.replace('_', " ")).collect();
    if let (Some(rtt), "up") = (evidence.median_rtt_ms, verdict.as_str()) {
        parts.push(if rtt < 0.05 { "<0.1 ms".to_owned() } else { format!("{rtt:.1} ms") });
    }
    if let (Some(loss), true) = (evidence.loss_percent, verdict != "down") {
        parts.push(format!("loss {loss:.0} %"));
    }
    if let (Some(words), "down") = (unsent_words(evidence.last_loss.as_deref()), verdict.as_str()) {
        parts.push(words.to_owned());
    }
    if let (Some(reply), true) = (&evidence.last_reply, verdict != "up") {
        parts.push(format!("last reply {}", short(reply, at)));
    }
    if parts.is_empty() { "no reply so far".to_owned() } else { parts.join(", ") }
}

/// Why this host cannot send, in the words of the incident's summary and docs/runbook.md.
fn unsent_words(last_loss: Option<&str>) -> Option<&'static str> {
    match last_loss {
        Some("no_path") => Some("nothing can be sent: no route, address or interface"),
        Some("blocked") => Some("the kernel refuses to send: IPsec policy or firewall"),
        _ => None,
    }
}

fn aws_words(aws: &AwsJson) -> String {
    let AwsJson {
        verdict: _,
        why,
        since: _,
        source,
        as_of: _,
        changed: _,
        age_seconds,
        words,
        accepted_routes: _,
    } = aws;
    let mut parts: Vec<String> = why.iter().map(|why| why.replace('_', " ")).collect();
    parts.extend(words.clone());
    if let Some(age) = age_seconds {
        parts.push(format!("{age:.0} s old"));
    }
    match (parts.is_empty(), source) {
        (true, Some(source)) => source.clone(),
        (true, None) => "no evidence".to_owned(),
        (false, _) => parts.join(", "),
    }
}

fn render_incident(sheet: &mut Sheet, incident: &IncidentJson, at: &str) {
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
    let not_sent = if ended.is_some() { "was not sent" } else { "not sent" };
    let ended = ended.as_ref().map(|ended| format!(" at {}", short(ended, at))).unwrap_or_default();
    let related = related.as_ref().map(|related| format!(", follows {related}")).unwrap_or_default();
    let found = found_at.as_ref().map(|sink| format!(", found at {sink}")).unwrap_or_default();
    let withheld =
        withheld.as_ref().map(|by| format!(" ({not_sent}: {})", withheld_words(by))).unwrap_or_default();
    let (began, opened) = (short(began, at), short(opened, at));
    // A daemon that knew no names of incidents may still run.
    let name = if name.is_empty() { id } else { name };
    let tone = match (state.as_str(), kind.as_str()) {
        ("open", "outage") => Tone::Bad,
        ("open", _) => Tone::Warning,
        (_, _) => Tone::Plain,
    };
    sheet.text(
        tone,
        2,
        &format!(
            "{kind} on {}: {state}{ended}; began {began}, opened {opened}{found}{related}{withheld}",
            scope_words(scope, name)
        ),
    );
    for RecordJson { sink, record } in records {
        sheet.text(Tone::Plain, 4, &format!("record at {sink}: {record}"));
    }
    if let Some(words) = children_words(children, at) {
        sheet.text(Tone::Plain, 4, &words);
    }
    let earlier = timeline.len().saturating_sub(ENTRIES);
    if earlier > 0 {
        sheet.text(Tone::Faint, 4, &format!("… {earlier} earlier entries: bothends status --json"));
    }
    for entry in timeline.iter().skip(earlier) {
        sheet.begun(Tone::Faint, 4, &short(&entry.at, at), &entry_words(entry));
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
mod tests;
