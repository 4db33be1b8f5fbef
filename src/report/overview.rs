//! The report as a page.

use super::account::{Account, Columns, Happening, Report, Subject};
use super::buckets::{Buckets, Share};
use super::calendar::Calendar;
use super::cells::{Cell, Column};
use super::outages::{End, Means};
use super::page::{Block, Chart, Page, Shade, Table};
use super::words::{hours, words};
use crate::catalogue::phrases::{parent_words, withheld_by};
use crate::domain::names::Role;
use crate::domain::time::Stamp;
use crate::history::{Period, Said};

/// The whole report.
pub fn overview(report: &Report, calendar: &Calendar) -> Page {
    let Report { site, at, period, accounts, incidents, paging: _ } = report;
    let mut blocks = vec![Block::Paragraph(when(*period, *at, calendar))];
    if accounts.is_empty() {
        blocks.push(Block::Paragraph(
            "No tunnel is known: nothing was recorded, and none is configured.".to_owned(),
        ));
    }
    blocks.push(Block::Heading(1, "Availability".to_owned()));
    blocks.push(Block::Table(availability(accounts)));
    blocks.push(Block::Paragraph(
        "Up / (up + down), of the time that was observed, was not silenced, and has a verdict. Percentages are cut, not \
         rounded."
            .to_owned(),
    ));
    blocks.push(Block::Heading(1, "Time, as both ends agree (h:mm:ss)".to_owned()));
    blocks.push(Block::Table(time(accounts)));
    if accounts.iter().any(|account| !account.whole.both.silenced.all().is_zero()) {
        blocks.push(Block::Heading(1, "Silenced time, as both ends agree (h:mm:ss)".to_owned()));
        blocks.push(Block::Table(silenced(accounts)));
    }
    blocks.push(Block::Heading(1, "Both ends along the time".to_owned()));
    blocks.push(Block::Chart(strips(accounts, *period, calendar)));
    blocks.push(Block::Heading(1, "Outages, as both ends agree".to_owned()));
    blocks.push(Block::Table(means(accounts)));
    for account in accounts.iter().filter(|account| !account.outages.is_empty()) {
        blocks.push(Block::Heading(2, format!("Outages of {}", name(&account.subject))));
        blocks.push(Block::Table(how_long(&account.outages, calendar)));
        blocks.push(Block::Table(how_soon(&account.outages, calendar)));
        let notes = account.outages.iter().zip(1..).filter_map(|(happening, number): (_, usize)| {
            note(happening).map(|note| format!("No. {number}: {note}."))
        });
        let notes: Vec<String> = notes.collect();
        if !notes.is_empty() {
            blocks.push(Block::List(notes));
        }
    }
    blocks.push(Block::Heading(1, "Incidents".to_owned()));
    if incidents.is_empty() {
        blocks.push(Block::Paragraph("None.".to_owned()));
    } else {
        let mut table = Table::with(&["opened", "state", "incident"]);
        table.rows.extend(incidents.iter().map(|incident| {
            let state = incident.state.as_str().to_owned();
            vec![calendar.minute(incident.id.opened), state, incident.id.to_string()]
        }));
        blocks.push(Block::Table(table));
        blocks.push(Block::Paragraph(
            "One of them in full: bothends report --incident ID (the beginning of the id is enough)."
                .to_owned(),
        ));
    }
    let site = if site.is_empty() { String::new() } else { format!(" of {site}") };
    Page { title: format!("bothends: report{site}"), blocks }
}

/// `2026-11-01 00:00 to 2026-12-01 00:00 (Europe/Rome), 30 d.`
pub(super) fn when(period: Period, at: Stamp, calendar: &Calendar) -> String {
    let so_far = if period.until == at { ", until now" } else { "" };
    format!(
        "{} to {} ({}), {}{so_far}.",
        calendar.minute(period.from),
        calendar.minute(period.until),
        calendar.zone(period.until),
        words(period.length())
    )
}

/// The name of a subject, with its connection's.
pub(super) fn name(subject: &Subject) -> String {
    match subject {
        Subject::Connection { name, .. } => name.to_string(),
        Subject::Tunnel { name, vpn_name, .. } => format!("{vpn_name}, {name}"),
    }
}

/// The name in a table, where tunnels follow their connection.
fn label(subject: &Subject) -> String {
    match subject {
        Subject::Connection { name, .. } => name.to_string(),
        Subject::Tunnel { name, role, .. } => match role {
            Some(Role::Standby) => format!("- {name} (standby)"),
            Some(Role::Active | Role::Unused) | None => format!("- {name}"),
        },
    }
}

fn percent(share: Option<Share>) -> String {
    share.map_or_else(|| "n/a".to_owned(), |share| share.to_string())
}

/// A row of each account, or one of each of its parts and of the whole.
fn rows(accounts: &[Account], titles: &[&str], cells: impl Fn(&Columns) -> Vec<String>) -> Table {
    let has_parts = accounts.iter().any(|account| !account.parts.is_empty());
    let titles: Vec<&str> = match titles.split_first() {
        Some((first, rest)) if has_parts => {
            [*first, "month"].into_iter().chain(rest.iter().copied()).collect()
        }
        Some(_) | None => titles.to_vec(),
    };
    let mut table = Table::with(&titles);
    for account in accounts {
        let mut row = |part: Option<&str>, columns| {
            let part = part.filter(|_| has_parts).map(str::to_owned);
            let label = [label(&account.subject)].into_iter().chain(part);
            table.rows.push(label.chain(cells(columns)).collect());
        };
        for part in &account.parts {
            row(Some(&part.name), &part.columns);
        }
        row(Some("all"), &account.whole);
    }
    table
}

fn availability(accounts: &[Account]) -> Table {
    rows(accounts, &["connection, tunnel", "#both ends", "#our end", "#AWS", "#observed"], |columns| {
        let shares = Column::ALL.map(|column| percent(columns.column(column).availability()));
        shares.into_iter().chain([percent(columns.both.coverage())]).collect()
    })
}

fn time(accounts: &[Account]) -> Table {
    let titles = ["connection, tunnel", "#up", "#down", "#unknown", "#unobserved", "#silenced"];
    rows(accounts, &titles, |columns| {
        let Buckets { up, down, unknown, unobserved, silenced } = columns.both;
        [up, down, unknown, unobserved, silenced.all()].map(hours).to_vec()
    })
}

fn silenced(accounts: &[Account]) -> Table {
    rows(accounts, &["connection, tunnel", "#silenced", "#up", "#down", "#unknown"], |columns| {
        let silenced = columns.both.silenced;
        [silenced.all(), silenced.up, silenced.down, silenced.unknown].map(hours).to_vec()
    })
}

fn means(accounts: &[Account]) -> Table {
    let titles = ["connection, tunnel", "#outages", "#silenced", "mean time to repair", "between failures"];
    let mut table = Table::with(&titles);
    table.rows.extend(accounts.iter().map(|account| {
        let Means { outages, silenced, whole, to_repair, between } = account.means;
        let to_repair = match (to_repair, whole) {
            (Some(mean), 1) => format!("{} (one outage)", words(mean)),
            (Some(mean), _) => words(mean),
            (None, _) if outages == 0 => "no outage".to_owned(),
            (None, _) => "none seen whole".to_owned(),
        };
        let between = match (between, outages) {
            (Some(mean), _) => words(mean),
            (None, 0) => "no outage".to_owned(),
            (None, 1) => "one is no mean".to_owned(),
            (None, _) => "fewer than 2 began".to_owned(),
        };
        vec![label(&account.subject), outages.to_string(), silenced.to_string(), to_repair, between]
    }));
    table
}

fn how_long(outages: &[Happening], calendar: &Calendar) -> Table {
    let mut table = Table::with(&["#no.", "from", "to", "lasted", "cause"]);
    table.rows.extend(outages.iter().zip(1..).map(|(happening, number): (_, usize)| {
        let outage = &happening.outage;
        let to = calendar.second(outage.until);
        let to = match outage.end {
            End::Over => to,
            End::NotAgreed => format!("{to}, up not agreed"),
            End::StillDown => "still down".to_owned(),
            End::BeyondPeriod => "not over by then".to_owned(),
            End::Unobserved => format!("{to} or later"),
        };
        let from = calendar.second(outage.from);
        let from = if outage.begin_seen { from } else { format!("{from} or before") };
        let cause = outage.cause.map_or("-", |cause| cause.as_str()).to_owned();
        vec![number.to_string(), from, to, words(outage.lasted()), cause]
    }));
    table
}

fn how_soon(outages: &[Happening], calendar: &Calendar) -> Table {
    let titles = ["#no.", "packets stopped", "#our end", "#AWS", "#paged", "#resolved"];
    let mut table = Table::with(&titles);
    table.rows.extend(outages.iter().zip(1..).map(|(happening, number): (_, usize)| {
        let stopped = happening.stopped.map_or_else(|| "not known".to_owned(), |at| calendar.second(at));
        let after = |at: Option<Stamp>| at.map_or_else(|| "-".to_owned(), |at| after(happening.base(), at));
        vec![
            number.to_string(),
            stopped,
            after(happening.outage.local),
            after(happening.outage.aws),
            after(happening.page.as_ref().map(|page| page.at)),
            after(happening.resolved),
        ]
    }));
    table
}

/// `+12 s`: how long after the beginning.
pub(super) fn after(base: Stamp, at: Stamp) -> String {
    if at < base { format!("-{}", words(base.since(at))) } else { format!("+{}", words(at.since(base))) }
}

fn note(happening: &Happening) -> Option<String> {
    let Happening { outage, withheld, page, .. } = happening;
    let mut notes = Vec::new();
    if outage.is_silenced() {
        notes.push("silenced".to_owned());
    } else if !outage.silenced.is_zero() {
        notes.push("partly silenced".to_owned());
    }
    if let Some(withheld) = withheld {
        notes.push(format!("not sent: {}", withheld_by(withheld)));
    }
    if let Some(parent) = page.as_ref().and_then(|page| page.parent.as_ref()) {
        notes.push(format!("paged for {}", parent_words(parent)));
    }
    (!notes.is_empty()).then(|| notes.join("; "))
}

/// What both ends agree on, of every account.
fn strips(accounts: &[Account], period: Period, calendar: &Calendar) -> Chart {
    let strip = |account: &Account| (name(&account.subject), shades(&account.cells, Column::Both));
    Chart {
        period,
        ends: [calendar.minute(period.from), calendar.minute(period.until)],
        strips: accounts.iter().map(strip).collect(),
    }
}

/// What a column says, as a strip.
pub(super) fn shades(cells: &[Cell], column: Column) -> Vec<(Period, Shade)> {
    let shade = |cell: &Cell| match cell.counted.map(|counted| counted.said(column)) {
        Some(Said::Up) => Shade::Up,
        Some(Said::Down) => Shade::Down,
        Some(Said::Unknown) => Shade::Unknown,
        None => Shade::Unobserved,
    };
    cells.iter().map(|cell| (cell.period, shade(cell))).collect()
}
