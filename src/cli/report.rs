//! `bothends report`: what happened, from the history of the running daemon or of a store's file.

mod output;
mod period;
mod source;

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use self::output::write;
use self::period::{Clocks, Wanted};
use self::source::{History, SourceError};
use super::daemon_address::Way;
use super::progress::Progress;
use super::terminal;
use crate::clock;
use crate::config;
use crate::history::{Period, Present};
use crate::process::{Exit, environment};
use crate::report::{
    Asked, Page, Report, Rules, analysis, availability_csv, find, html, json, markdown, outages_csv,
    overview, text, would_have_paged, would_have_paged_csv,
};
use crate::silences::zones;

/// The arguments.
#[derive(Debug, Args)]
pub(super) struct ReportArguments {
    /// From when: 30d, 12h, 2026-11-01, "2026-11-01 04:00" or 2026-11-01T04:00:00Z; default: 30d.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Until when, as a date or time; default: now.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// A calendar month, such as 2026-11.
    #[arg(long, value_name = "MONTH", conflicts_with_all = ["since", "until", "months"])]
    month: Option<String>,
    /// The last N calendar months, this one included, each with a row of its own.
    #[arg(long, value_name = "N", conflicts_with_all = ["since", "until"], value_parser = clap::value_parser!(u16).range(1..=120))]
    months: Option<u16>,
    /// The time zone of months, dates and all times shown, such as Europe/Rome; default: this host's.
    #[arg(long, value_name = "ZONE")]
    tz: Option<String>,
    /// Only this connection, by its id or name.
    #[arg(long, value_name = "ID_OR_NAME")]
    vpn: Option<String>,
    /// The skeleton of a post-incident analysis of this incident: its id, or the beginning of it.
    #[arg(long, value_name = "ID", conflicts_with_all = ["would_have_paged", "vpn", "months"])]
    incident: Option<String>,
    /// Which incidents would have been sent, by the sinks of the configuration: for `[incident] mode = "observe"`.
    #[arg(long)]
    would_have_paged: bool,
    /// The format.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Write to this file, whole or not at all, instead of to standard output.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Read this store's file instead of asking the daemon: a copy, or that of a daemon that is stopped.
    #[arg(long, value_name = "PATH", conflicts_with = "url")]
    store: Option<PathBuf>,
    /// Address of the daemon; default: its control socket, else [http] listen of the configuration, else http://127.0.0.1:9846.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    #[command(flatten)]
    way: Way,
}

/// How the report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For a terminal of 80 columns.
    Text,
    /// Markdown.
    Markdown,
    /// JSON.
    Json,
    /// CSV: a row of each connection and tunnel, by both ends and by each.
    Csv,
    /// CSV: a row of each outage.
    CsvOutages,
    /// HTML in one file.
    Html,
}

/// Why there is no report.
#[derive(Debug)]
enum ReportError {
    /// The arguments are wrong, or name what is not there.
    Usage(String),
    /// There is no history.
    Source(SourceError),
    /// It cannot be written.
    Output(String),
    /// It cannot be put together.
    Internal(String),
}

impl ReportError {
    fn finish(self) -> Exit {
        let (why, exit) = match self {
            Self::Usage(why) => (why, Exit::Usage),
            Self::Source(error) => (error.to_string(), error.exit()),
            Self::Output(why) => (why, Exit::BadNews),
            Self::Internal(why) => (why, Exit::Internal),
        };
        complain!("{why}");
        exit
    }
}

pub(super) fn run(config: &Path, arguments: &ReportArguments) -> Exit {
    match report(config, arguments) {
        Ok(text) => match &arguments.output {
            None => {
                terminal::text(format_args!("{text}"));
                Exit::Success
            }
            Some(file) => match write(file, &text) {
                Ok(()) => Exit::Success,
                Err(error) => {
                    ReportError::Output(format!("cannot write {}: {error}", file.display())).finish()
                }
            },
        },
        Err(error) => error.finish(),
    }
}

fn report(config: &Path, arguments: &ReportArguments) -> Result<String, ReportError> {
    let ReportArguments {
        since,
        until,
        month,
        months,
        tz,
        vpn,
        incident,
        would_have_paged: replay,
        format,
        output: _,
        store,
        url,
        way,
    } = arguments;
    let usage = ReportError::Usage;
    let clocks = Clocks::of(tz.as_deref(), zones).map_err(|error| usage(error.to_string()))?;
    let wanted =
        Wanted { since: since.as_deref(), until: until.as_deref(), month: month.as_deref(), months: *months };
    let now = clock::wall();
    let (period, parts) = clocks.period(wanted, now).map_err(|error| usage(error.to_string()))?;
    if incident.is_some() && !matches!(format, Format::Text | Format::Markdown | Format::Html) {
        return Err(usage(
            "--incident is for people to read: give --format text, markdown or html".to_owned(),
        ));
    }
    if *replay && *format == Format::CsvOutages {
        return Err(usage("--would-have-paged has no outages: give --format csv".to_owned()));
    }
    let history = {
        let _progress = Progress::start("reading the history");
        match store {
            Some(path) => History::of_file(path),
            None => History::of_daemon(config, url.as_deref(), way, period),
        }
    };
    let history = history.map_err(ReportError::Source)?;
    let calendar = clocks.calendar();
    if let Some(key) = incident {
        let found = find(&history.entries, key, calendar).map_err(|error| usage(error.to_string()))?;
        let page = analysis(&history.entries, &history.present, &found, calendar);
        return Ok(shown(&page, *format));
    }
    // Until now is until the daemon's now; a file says nothing of the time since, which is unobserved.
    let end = if history.present.tunnels.is_empty() { now } else { history.present.at };
    let up_to =
        |part: Period| Period { until: if part.until == now { end } else { part.until.min(end) }, ..part };
    let parts = parts.into_iter().map(|(name, part)| (name, up_to(part)));
    let asked = Asked { period: up_to(period), parts: parts.collect(), vpn: vpn.clone() };
    let report = Report::of(&history.entries, &history.present, &asked)
        .ok_or_else(|| usage(unknown_vpn(vpn.as_deref().unwrap_or_default(), &history.present)))?;
    let rules = replay.then(|| rules(config));
    Ok(match (format, rules) {
        (Format::Csv, Some(rules)) => would_have_paged_csv(&report, &rules, calendar),
        (Format::Csv, None) => availability_csv(&report, calendar),
        (Format::CsvOutages, _) => outages_csv(&report, calendar),
        (Format::Json, rules) => json(&report, rules.as_ref(), calendar)
            .map_err(|error| ReportError::Internal(format!("cannot write JSON: {error}")))?,
        (Format::Text | Format::Markdown | Format::Html, Some(rules)) => {
            shown(&would_have_paged(&report, &rules, calendar), *format)
        }
        (Format::Text | Format::Markdown | Format::Html, None) => {
            shown(&overview(&report, calendar), *format)
        }
    })
}

fn shown(page: &Page, format: Format) -> String {
    match format {
        Format::Text | Format::Json | Format::Csv | Format::CsvOutages => text(page),
        Format::Markdown => markdown(page),
        Format::Html => html(page),
    }
}

fn unknown_vpn(wanted: &str, present: &Present) -> String {
    let mut known: Vec<String> =
        present.tunnels.iter().map(|tunnel| format!("{} ({})", tunnel.vpn_name, tunnel.id.vpn)).collect();
    known.dedup();
    if known.is_empty() {
        return format!(
            "--vpn {wanted}: the history has no such connection; without a daemon give its id, vpn-…"
        );
    }
    format!("--vpn {wanted}: no connection has this id or name; there are: {}", known.join(", "))
}

/// The rules of the configured sinks, which are read in mode `observe`, too.
fn rules(config: &Path) -> Rules {
    match config::load(config, &environment()) {
        Ok(loaded) if loaded.config.sinks.is_empty() => {
            Rules::Default { why: "The configuration has no sinks".to_owned() }
        }
        Ok(loaded) => Rules::Sinks(loaded.config.sinks.iter().map(config::SinkSettings::plan).collect()),
        Err(_) => Rules::Default {
            why: format!(
                "{} cannot be read, or is not valid (see `bothends check`), so the sinks are not known",
                config.display()
            ),
        },
    }
}

#[cfg(test)]
mod tests;
