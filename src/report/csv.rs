//! The report for spreadsheets (RFC 4180). A name that a spreadsheet would take for a formula gets an apostrophe before it.

use std::time::Duration;

use super::account::{Account, Columns, Happening, Report, Subject};
use super::buckets::{Buckets, Share};
use super::calendar::Calendar;
use super::cells::Column;
use super::outages::Outage;
use super::paging::Paged;
use super::replay::{Fate, Rules, replay};
use crate::catalogue::phrases::withheld_word;
use crate::domain::names::{Role, SinkId};
use crate::domain::time::Stamp;
use crate::history::Period;

/// A row of each account, part and column.
pub fn availability_csv(report: &Report, calendar: &Calendar) -> String {
    let mut out = String::new();
    let head = "vpn,tunnel,name,role,period,from,until,by,availability_percent,observed_percent,up_seconds,down_seconds,\
                unknown_seconds,unobserved_seconds,silenced_seconds,silenced_down_seconds";
    line(&mut out, head.split(',').map(str::to_owned));
    for account in &report.accounts {
        for part in &account.parts {
            rows(&mut out, account, &part.name, part.period, &part.columns, calendar);
        }
        rows(&mut out, account, "all", report.period, &account.whole, calendar);
    }
    out
}

fn rows(
    out: &mut String,
    account: &Account,
    part: &str,
    period: Period,
    columns: &Columns,
    calendar: &Calendar,
) {
    for (column, by) in Column::ALL.into_iter().zip(["both_ends", "our_end", "aws"]) {
        let counted = columns.column(column);
        let Buckets { up, down, unknown, unobserved, silenced } = counted;
        let share = |share: Option<Share>| {
            let milli = share.map(Share::milli_percent);
            milli.map(|milli| format!("{}.{:03}", milli / 1000, milli % 1000)).unwrap_or_default()
        };
        let times = [*up, *down, *unknown, *unobserved, silenced.all(), silenced.down].map(seconds);
        let what = subject(&account.subject).into_iter().chain([
            part.to_owned(),
            calendar.rfc3339(period.from),
            calendar.rfc3339(period.until),
            by.to_owned(),
            share(counted.availability()),
            share(counted.coverage()),
        ]);
        line(out, what.chain(times));
    }
}

/// A row of each outage.
pub fn outages_csv(report: &Report, calendar: &Calendar) -> String {
    let mut out = String::new();
    let head = "vpn,tunnel,name,role,from,begin_seen,until,end,lasted_seconds,down_seconds,silenced_seconds,cause,packets_stopped,\
                our_end_said_down,aws_said_down,paged,sink,resolved,incident,withheld";
    line(&mut out, head.split(',').map(str::to_owned));
    let time = |at: Option<Stamp>| at.map(|at| calendar.rfc3339(at)).unwrap_or_default();
    for account in &report.accounts {
        for Happening { outage, stopped, incident, withheld, page, resolved } in &account.outages {
            let Outage { from, begin_seen, end, until, down, silenced, cause, local, aws, up_since: _ } =
                outage;
            let (paged, sink) = match page {
                Some(Paged { at, sink, parent: _ }) => (Some(*at), sink.to_string()),
                None => (None, String::new()),
            };
            let what = [
                calendar.rfc3339(*from),
                begin_seen.to_string(),
                calendar.rfc3339(*until),
                end.as_str().to_owned(),
                seconds(outage.lasted()),
                seconds(*down),
                seconds(*silenced),
                cause.map(|cause| cause.as_str().to_owned()).unwrap_or_default(),
                time(*stopped),
                time(*local),
                time(*aws),
                time(paged),
                sink,
                time(*resolved),
                incident.as_ref().map(ToString::to_string).unwrap_or_default(),
                withheld.as_ref().map(withheld_word).unwrap_or_default(),
            ];
            line(&mut out, subject(&account.subject).into_iter().chain(what));
        }
    }
    out
}

/// A row of each incident that opened, with what it would have become.
pub fn would_have_paged_csv(report: &Report, rules: &Rules, calendar: &Calendar) -> String {
    let mut out = String::new();
    line(&mut out, "opened,week,incident,name,kind,fate,at,sinks".split(',').map(str::to_owned));
    for (incident, fate) in replay(report, rules) {
        let (at, sinks) = match &fate {
            Fate::Sent { at, sinks } => {
                let names: Vec<&str> = sinks.iter().map(SinkId::as_str).collect();
                (calendar.rfc3339(*at), names.join(" "))
            }
            Fate::HeldBack(_) | Fate::Missed | Fate::Adopted | Fate::NoSink => Default::default(),
        };
        let opened = incident.id.opened;
        let what = [
            calendar.rfc3339(opened),
            calendar.week(opened),
            incident.id.to_string(),
            incident.name.to_string(),
            incident.id.kind.as_str().to_owned(),
            fate.as_str().to_owned(),
            at,
            sinks,
        ];
        line(&mut out, what);
    }
    out
}

fn subject(subject: &Subject) -> [String; 4] {
    let (tunnel, role) = match subject {
        Subject::Connection { .. } => Default::default(),
        Subject::Tunnel { id, role, .. } => {
            (id.outside_ip.to_string(), role.map(|role| Role::as_str(role).to_owned()).unwrap_or_default())
        }
    };
    [subject.vpn().to_string(), tunnel, subject.name().to_string(), role]
}

fn seconds(length: Duration) -> String {
    let millis = length.as_millis();
    format!("{}.{:03}", millis / 1000, millis % 1000)
}

fn line(out: &mut String, cells: impl IntoIterator<Item = String>) {
    let cells: Vec<String> = cells.into_iter().map(|cell| quoted(&cell)).collect();
    out.push_str(&cells.join(","));
    out.push_str("\r\n");
}

fn quoted(cell: &str) -> String {
    // A tab or a line break before the sign does not keep a spreadsheet from it.
    let is_formula = cell.trim_start().starts_with(['=', '+', '-', '@']) || cell.starts_with(['\t', '\r']);
    let cell = if is_formula { format!("'{cell}") } else { cell.to_owned() };
    if cell.contains([',', '"', '\r', '\n']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_spreadsheet_takes_for_a_formula_gets_an_apostrophe() {
        for cell in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "\n@x"] {
            assert!(quoted(cell).trim_start_matches('"').starts_with('\''), "{cell:?}");
        }
        assert_eq!(quoted("office 1-2"), "office 1-2");
    }

    #[test]
    fn commas_quotes_and_line_breaks_stay_in_their_cell() {
        let mut out = String::new();
        line(&mut out, ["a,b", "say \"x\"", "two\nlines", "plain"].map(str::to_owned));
        assert_eq!(out, "\"a,b\",\"say \"\"x\"\"\",\"two\nlines\",plain\r\n");
    }
}
