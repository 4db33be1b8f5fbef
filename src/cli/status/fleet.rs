//! `--fleet`: many sites at once, a line each, the worst first. What cannot be asked is unknown, never healthy.

pub(super) mod asking;

use std::fs::File;
use std::io::Read as _;

use serde::{Deserialize, Serialize};

use super::nagios;
use super::perfdata::Datum;
use super::table::tone;
use super::times::{ago, brief, stamp};
use super::watch::View;
use crate::cli::layout::Cell;
use crate::cli::sheet::{Screen, Sheet};
use crate::cli::style::Tone;
use crate::clock;
use crate::domain::time::Stamp;
use crate::http::client::masked;
use crate::http::status_json::{StatusJson, VpnJson};
use crate::http::summary::{Level, Summary, sentence, summary};

/// More sites are no fleet of one command: Prometheus carries them (docs/metrics.md).
const SITES_MAX: usize = 500;

/// A file of so many URLs has not a hundredth of this.
const FILE_MAX: u64 = 1024 * 1024;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fleet {
    /// The daemons' URLs, each once.
    pub(super) urls: Vec<String>,
}

impl Fleet {
    /// Of what stands behind `--fleet`: URLs, and `@FILE` for the URLs in a file, one in a line.
    pub(super) fn of(words: &[String]) -> Result<Self, String> {
        let mut urls: Vec<String> = Vec::new();
        for word in words {
            let found = match word.strip_prefix('@') {
                Some(path) => listed(path)?,
                None => vec![word.clone()],
            };
            for url in found {
                if !urls.contains(&url) {
                    urls.push(url);
                }
            }
        }
        match urls.len() {
            0 => Err("--fleet: no URL is given".to_owned()),
            1..=SITES_MAX => Ok(Self { urls }),
            many => Err(format!("--fleet: {many} sites; at most {SITES_MAX} can be asked at once")),
        }
    }
}

/// The URLs in a file. Empty lines and what follows a `#` are left out.
fn listed(path: &str) -> Result<Vec<String>, String> {
    let unread = |why: String| format!("--fleet: cannot read {path}: {why}");
    let mut text = String::new();
    let file = File::open(path).map_err(|error| unread(error.to_string()))?;
    let length =
        file.take(FILE_MAX + 1).read_to_string(&mut text).map_err(|error| unread(error.to_string()))?;
    if length as u64 > FILE_MAX {
        return Err(unread("it is longer than 1 MiB".to_owned()));
    }
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    Ok(lines.filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

/// All sites.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct FleetJson {
    /// When they were asked, on this host's clock.
    at: String,
    /// The worst level of all: `down`, `degraded`, `unknown` or `healthy`.
    level: String,
    /// The sites, the worst first.
    sites: Vec<SiteJson>,
}

/// One site.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct SiteJson {
    /// Where its daemon was asked, without a user and a password.
    url: String,
    /// Its name; absent if it did not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    site: Option<String>,
    /// `down`, `degraded`, `unknown` or `healthy`.
    level: String,
    /// Why, the most important first; empty if all is well.
    reasons: Vec<String>,
    /// Since when the worst of it lasts, as far as it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    /// Its answer, as of `/status`; absent if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<StatusJson>,
}

/// What one site has answered, or why it has not.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Site {
    url: String,
    level: Level,
    reasons: Vec<String>,
    since: Option<Stamp>,
    status: Option<Box<StatusJson>>,
}

impl Site {
    /// Of the outcome of asking at this URL.
    pub(super) fn of(url: &str, outcome: Result<StatusJson, String>) -> Self {
        let url = masked(url);
        match outcome {
            Ok(status) => {
                let Summary { level, reasons, .. } = summary(&status);
                let since = since(&status, level);
                Self { url, level, reasons, since, status: Some(Box::new(status)) }
            }
            Err(why) => Self { url, level: Level::Unknown, reasons: vec![why], since: None, status: None },
        }
    }

    /// Its name, or else where it was asked.
    fn name(&self) -> &str {
        match &self.status {
            Some(status) => &status.site,
            None => {
                self.url.trim_start_matches("http://").trim_start_matches("https://").trim_end_matches('/')
            }
        }
    }

    fn text(&self) -> String {
        match &self.status {
            Some(status) => sentence(&self.reasons, status),
            None => self.reasons.first().cloned().unwrap_or_default(),
        }
    }

    fn json(self) -> SiteJson {
        let Self { url, level, reasons, since, status } = self;
        let site = status.as_ref().map(|status| status.site.clone());
        let level = level.word().to_lowercase();
        SiteJson {
            url,
            site,
            level,
            reasons,
            since: since.map(clock::rfc3339),
            status: status.map(|status| *status),
        }
    }
}

/// Since when the worst lasts: of an outage since it began, of lost redundancy likewise, of a tunnel since both ends say so.
fn since(status: &StatusJson, level: Level) -> Option<Stamp> {
    let open = status.incidents.iter().filter(|one| one.state == "open");
    match level {
        Level::Down => {
            let outages = open.filter(|one| one.kind == "outage").filter_map(|one| stamp(&one.began)).min();
            // Without an incident so far: since its last tunnel stopped.
            let stopped = || {
                let down = status.vpns.iter().filter(|vpn| vpn.traffic == "does_not_flow");
                let last = |vpn: &VpnJson| {
                    vpn.tunnels.iter().filter_map(|tunnel| stamp(tunnel.not_passing_since.as_ref()?)).max()
                };
                down.filter_map(last).min()
            };
            outages.or_else(stopped)
        }
        Level::Degraded => {
            let incidents = open.filter_map(|one| stamp(&one.began)).min();
            let down = || status.parents.iter().filter(|parent| parent.state == "down");
            incidents.or_else(|| down().filter_map(|parent| stamp(&parent.since)).min())
        }
        Level::Unknown | Level::Healthy => None,
    }
}

/// The answers of all sites.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sites {
    /// When they were asked.
    at: Stamp,
    /// The worst first.
    sites: Vec<Site>,
}

impl Sites {
    pub(super) fn new(at: Stamp, mut sites: Vec<Site>) -> Self {
        // What lasts longest is first among equals; what has no beginning is last.
        sites.sort_by(|a, b| {
            let key = |site: &Site| (site.level, site.since.is_none(), site.since);
            key(a).cmp(&key(b)).then_with(|| a.name().cmp(b.name()))
        });
        Self { at, sites }
    }

    pub(super) fn json(self) -> FleetJson {
        let level = self.level().word().to_lowercase();
        let at = clock::rfc3339(self.at);
        FleetJson { at, level, sites: self.sites.into_iter().map(Site::json).collect() }
    }

    /// As a plugin of a monitoring system.
    pub(super) fn nagios(&self) -> String {
        let count = |level| self.sites.iter().filter(|site| site.level == level).count();
        let of = |label, level| Datum::count(label, count(level), Some(self.sites.len()));
        let data = [
            Datum::count("sites", self.sites.len(), None),
            of("down", Level::Down),
            of("degraded", Level::Degraded),
            of("unknown", Level::Unknown),
        ];
        let bad = self.sites.iter().filter(|site| site.level != Level::Healthy);
        let lines: Vec<_> =
            bad.map(|site| format!("{}: {}: {}", site.level.word(), site.name(), site.text())).collect();
        nagios::output(self.level(), &self.counts(), &lines, &data)
    }

    /// `60 sites: 1 down, 2 degraded, 57 healthy`.
    fn counts(&self) -> String {
        let count = |level| self.sites.iter().filter(|site| site.level == level).count();
        let parts: Vec<_> = [Level::Down, Level::Degraded, Level::Unknown, Level::Healthy]
            .into_iter()
            .map(|level| (count(level), level))
            .filter(|(count, _)| *count > 0)
            .map(|(count, level)| format!("{count} {}", level.word().to_lowercase()))
            .collect();
        let all = self.sites.len();
        format!("{all} site{}: {}", if all == 1 { "" } else { "s" }, parts.join(", "))
    }
}

impl View for Sites {
    fn level(&self) -> Level {
        self.sites.iter().map(|site| site.level).min().unwrap_or(Level::Unknown)
    }

    fn page(&self, screen: Screen) -> Vec<String> {
        let mut sheet = Sheet::new(screen);
        let level = self.level();
        sheet.begun(tone(level), 0, &format!("{}:", level.word()), &self.counts());
        sheet.gap();
        let head = ["", "site", "since", "age", "version", "why"].map(|word| Cell::new(Tone::Faint, word));
        let at = clock::rfc3339(self.at);
        let rows: Vec<_> =
            std::iter::once(head).chain(self.sites.iter().map(|site| row(site, &at))).collect();
        for line in sheet.table(&rows, 0, &[(4, 7), (1, 14)]) {
            sheet.line(line);
        }
        sheet.into_lines()
    }

    fn states(&self) -> Vec<(String, Level, String)> {
        let is_twice = |name: &str| self.sites.iter().filter(|site| site.name() == name).count() > 1;
        let label = |site: &Site| match site.name() {
            name if is_twice(name) => format!("{name} ({})", site.url),
            name => name.to_owned(),
        };
        self.sites.iter().map(|site| (label(site), site.level, site.text())).collect()
    }
}

fn row(site: &Site, at: &str) -> [Cell; 6] {
    let Site { url: _, level, reasons: _, since, status } = site;
    let none = || "-".to_owned();
    [
        Cell::new(tone(*level), level.word()),
        Cell::plain(site.name()),
        Cell::plain(since.map_or_else(none, |since| brief(&clock::rfc3339(since), at))),
        Cell::plain(status.as_ref().and_then(|status| ago(&status.at, at)).unwrap_or_else(none)),
        Cell::plain(status.as_ref().map_or_else(none, |status| status.version.clone())),
        Cell::plain(site.text()),
    ]
}

#[cfg(test)]
mod tests;
