//! Histories written as a line of characters, one a minute; docs/report.md says what each means.

use std::sync::Arc;

use crate::domain::names::{End, Role, TunnelId, VpnId};
use crate::domain::silence::SilenceId;
use crate::domain::time::Stamp;
use crate::domain::verdict::Assessment;
use crate::history::{Change, Entry, Period, Present, Said, TunnelNow};
use crate::report::{Asked, Report};

/// The first minute of every line.
pub(super) const BEGIN: i64 = 1_793_000_040_000;
const MINUTE: i64 = 60_000;

/// One tunnel.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) codes: String,
    pub(super) silenced: String,
    pub(super) role: Role,
}

/// The tunnels of a connection.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) lines: Vec<Line>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Minute {
    local: Said,
    aws: Said,
    assessment: Assessment,
    silence: Option<SilenceId>,
}

const START: Minute =
    Minute { local: Said::Unknown, aws: Said::Unknown, assessment: Assessment::Blind, silence: None };

fn minute(code: char, silenced: bool) -> Option<Minute> {
    use Said::{Down, Unknown, Up};
    let (local, aws, assessment) = match code {
        'U' => (Up, Up, Assessment::Healthy),
        'D' => (Down, Down, Assessment::Down),
        'l' => (Down, Up, Assessment::Disputed(End::Local)),
        'a' => (Up, Down, Assessment::Disputed(End::Aws)),
        'L' => (Down, Unknown, Assessment::Unconfirmed(End::Local)),
        'A' => (Unknown, Down, Assessment::Unconfirmed(End::Aws)),
        '?' => (Unknown, Unknown, Assessment::Blind),
        '.' => return None,
        other => panic!("no code: {other:?}"),
    };
    Some(Minute { local, aws, assessment, silence: silenced.then_some(SilenceId(7)) })
}

pub(super) fn tunnel(place: usize) -> TunnelId {
    let last = u8::try_from(place).unwrap() + 1;
    TunnelId { vpn: VpnId::new("vpn-0a1b2c3d4e5f60718"), outside_ip: [198, 51, 100, last].into() }
}

pub(super) fn at(minutes: usize) -> Stamp {
    Stamp::from_millis(BEGIN + i64::try_from(minutes).unwrap() * MINUTE)
}

impl Line {
    fn minutes(&self) -> Vec<Option<Minute>> {
        let silenced = self.silenced.chars().map(|code| code == 's').chain(std::iter::repeat(false));
        let codes = self.codes.chars().filter(|code| !"[]".contains(*code));
        codes.zip(silenced).map(|(code, silenced)| minute(code, silenced)).collect()
    }

    /// What it adds to the history. Each run begins unknown.
    fn changes(&self, tunnel: &TunnelId) -> Vec<Entry> {
        let (mut entries, mut before) = (Vec::new(), None);
        for (place, minute) in self.minutes().into_iter().enumerate() {
            if let Some(now) = minute {
                let then = before.unwrap_or(START);
                let mut add = |change| {
                    entries.push(Entry::Change { at: at(place), tunnel: tunnel.clone(), change });
                };
                if then.local != now.local {
                    add(Change::Verdict { end: End::Local, from: then.local, to: now.local });
                }
                if then.aws != now.aws {
                    add(Change::Verdict { end: End::Aws, from: then.aws, to: now.aws });
                }
                if then.assessment != now.assessment {
                    add(Change::Assessment { from: then.assessment, to: now.assessment });
                }
                if then.silence != now.silence {
                    add(Change::Silenced { from: then.silence, to: now.silence });
                }
            }
            before = minute;
        }
        entries
    }

    /// The runs of the daemon.
    fn runs(&self) -> Vec<Entry> {
        let minutes = self.minutes();
        let mut runs: Vec<Period> = Vec::new();
        for (place, _) in minutes.iter().enumerate().filter(|(_, minute)| minute.is_some()) {
            let (from, until) = (at(place), at(place + 1));
            match runs.last_mut() {
                Some(last) if last.until == from => last.until = until,
                Some(_) | None => runs.push(Period { from, until }),
            }
        }
        runs.into_iter().map(|run| Entry::Watched(run.into())).collect()
    }

    /// What lies between the brackets; everything without them.
    fn period(&self) -> Period {
        let from = self.codes.find('[').unwrap_or(0);
        let until = self.codes.find(']').map_or(self.codes.len(), |until| until - 1);
        Period { from: at(from), until: at(until) }
    }
}

impl Case {
    pub(super) fn entries(&self) -> Vec<Entry> {
        let changes = self.lines.iter().enumerate().flat_map(|(place, line)| line.changes(&tunnel(place)));
        // They all ran in one daemon.
        self.lines.first().map(Line::runs).unwrap_or_default().into_iter().chain(changes).collect()
    }

    pub(super) fn period(&self) -> Period {
        self.lines.first().unwrap().period()
    }

    /// At the end of the line, as it was then.
    pub(super) fn present(&self) -> Present {
        let now = |(place, line): (usize, &Line)| {
            let Minute { local, aws, assessment, silence } =
                line.minutes().last().copied().flatten().unwrap_or(START);
            TunnelNow {
                id: tunnel(place),
                vpn_name: Arc::from("office"),
                name: Arc::from(format!("tunnel {}", place + 1)),
                role: line.role,
                local,
                aws,
                assessment,
                cause: None,
                silenced: silence,
            }
        };
        let length = self.lines.first().map_or(0, |line| line.minutes().len());
        let tunnels = self.lines.iter().enumerate().map(now).collect();
        Present { at: at(length), site: Arc::from("rome"), tunnels }
    }

    pub(super) fn report(&self) -> Report {
        self.report_in_parts(&[])
    }

    /// The report, in parts that end after so many minutes each.
    pub(super) fn report_in_parts(&self, ends: &[usize]) -> Report {
        let period = self.period();
        let edges: Vec<Stamp> =
            [period.from].into_iter().chain(ends.iter().map(|end| at(*end))).chain([period.until]).collect();
        let parts = edges.windows(2).map(|edge| Period { from: edge[0], until: edge[1] });
        let parts = parts.map(|period| (format!("{:?}", period.from), period)).collect();
        let parts = if ends.is_empty() { Vec::new() } else { parts };
        Report::of(&self.entries(), &self.present(), &Asked { period, parts, vpn: None }).unwrap()
    }
}

/// A report over a period in which one tunnel was up without a break.
pub(super) fn always_up(period: Period) -> Report {
    let case =
        Case { lines: vec![Line { codes: "U".to_owned(), silenced: String::new(), role: Role::Active }] };
    let present = Present { at: period.until, ..case.present() };
    Report::of(&[Entry::Watched(period.into())], &present, &Asked { period, parts: Vec::new(), vpn: None })
        .unwrap()
}
