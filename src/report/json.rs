//! The report for programs, as docs/report.md describes it. Times are RFC 3339 by the zone of the report, lengths are seconds.

use std::time::Duration;

use serde::Serialize;

use super::account::{Account, Columns, Happening, Part, Report, Subject};
use super::buckets::Buckets;
use super::calendar::Calendar;
use super::cells::Column;
use super::outages::{Means, Outage};
use super::replay::{Fate, Rules, replay};
use crate::catalogue::phrases::withheld_word;
use crate::domain::names::Role;
use crate::domain::time::Stamp;
use crate::history::{Period, Recalled};

#[derive(Debug, Serialize)]
struct ReportJson {
    site: String,
    version: &'static str,
    at: String,
    zone: String,
    period: PeriodJson,
    accounts: Vec<AccountJson>,
    incidents: Vec<IncidentJson>,
}

#[derive(Debug, Serialize)]
struct PeriodJson {
    from: String,
    until: String,
    seconds: f64,
}

#[derive(Debug, Serialize)]
struct AccountJson {
    vpn: String,
    vpn_name: String,
    tunnel: Option<String>,
    name: String,
    role: Option<&'static str>,
    whole: ColumnsJson,
    months: Vec<MonthJson>,
    outages: Vec<OutageJson>,
    means: MeansJson,
}

#[derive(Debug, Serialize)]
struct MonthJson {
    name: String,
    period: PeriodJson,
    #[serde(flatten)]
    columns: ColumnsJson,
}

#[derive(Debug, Serialize)]
struct ColumnsJson {
    observed_percent: Option<f64>,
    both_ends: BucketsJson,
    our_end: BucketsJson,
    aws: BucketsJson,
}

#[derive(Debug, Serialize)]
struct BucketsJson {
    availability_percent: Option<f64>,
    up: f64,
    down: f64,
    unknown: f64,
    unobserved: f64,
    silenced: f64,
    silenced_down: f64,
}

#[derive(Debug, Serialize)]
struct OutageJson {
    from: String,
    begin_seen: bool,
    until: String,
    end: &'static str,
    lasted: f64,
    down: f64,
    silenced: f64,
    cause: Option<&'static str>,
    packets_stopped: Option<String>,
    our_end_said_down: Option<String>,
    aws_said_down: Option<String>,
    paged: Option<PageJson>,
    resolved: Option<String>,
    incident: Option<String>,
    withheld: Option<String>,
}

#[derive(Debug, Serialize)]
struct PageJson {
    at: String,
    sink: String,
    parent: Option<String>,
}

#[derive(Debug, Serialize)]
struct MeansJson {
    outages: usize,
    silenced: usize,
    seen_whole: usize,
    to_repair: Option<f64>,
    between_failures: Option<f64>,
}

#[derive(Debug, Serialize)]
struct IncidentJson {
    id: String,
    scope: &'static str,
    name: String,
    kind: &'static str,
    state: &'static str,
    began: String,
    opened: String,
    ended: Option<String>,
    withheld: Option<String>,
    paged: Vec<PageJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    would_have_been: Option<FateJson>,
}

#[derive(Debug, Serialize)]
struct FateJson {
    fate: &'static str,
    at: Option<String>,
    sinks: Vec<String>,
}

/// Writes JSON by the clocks of a zone.
struct Writer<'a> {
    report: &'a Report,
    calendar: &'a Calendar,
}

/// The report as JSON, with what each incident would have become where rules are given.
///
/// # Errors
/// Never as far as is known: every value can be written.
pub fn json(report: &Report, rules: Option<&Rules>, calendar: &Calendar) -> serde_json::Result<String> {
    let writer = Writer { report, calendar };
    let incidents = match rules {
        None => report.incidents.iter().map(|incident| writer.incident(incident, None)).collect(),
        Some(rules) => {
            let fates = replay(report, rules).into_iter();
            fates.map(|(incident, fate)| writer.incident(incident, Some(fate))).collect()
        }
    };
    let page = ReportJson {
        site: report.site.to_string(),
        version: env!("CARGO_PKG_VERSION"),
        at: writer.time(report.at),
        zone: calendar.zone(report.at),
        period: writer.period(report.period),
        accounts: report.accounts.iter().map(|account| writer.account(account)).collect(),
        incidents,
    };
    let mut text = serde_json::to_string_pretty(&page)?;
    text.push('\n');
    Ok(text)
}

impl Writer<'_> {
    fn time(&self, at: Stamp) -> String {
        self.calendar.rfc3339(at)
    }

    fn period(&self, period: Period) -> PeriodJson {
        let Period { from, until } = period;
        PeriodJson { from: self.time(from), until: self.time(until), seconds: seconds(period.length()) }
    }

    fn account(&self, account: &Account) -> AccountJson {
        let Account { subject, whole, parts, outages, means, cells: _ } = account;
        let (vpn_name, tunnel, role) = match subject {
            Subject::Connection { id: _, name } => (name, None, None),
            Subject::Tunnel { id, name: _, vpn_name, role } => {
                (vpn_name, Some(id.outside_ip.to_string()), role.map(Role::as_str))
            }
        };
        let Means { outages: counted, silenced, whole: seen_whole, to_repair, between } = *means;
        AccountJson {
            vpn: subject.vpn().to_string(),
            vpn_name: vpn_name.to_string(),
            tunnel,
            name: subject.name().to_string(),
            role,
            whole: columns(whole),
            months: parts.iter().map(|part| self.month(part)).collect(),
            outages: outages.iter().map(|happening| self.outage(happening)).collect(),
            means: MeansJson {
                outages: counted,
                silenced,
                seen_whole,
                to_repair: to_repair.map(seconds),
                between_failures: between.map(seconds),
            },
        }
    }

    fn month(&self, part: &Part) -> MonthJson {
        MonthJson {
            name: part.name.clone(),
            period: self.period(part.period),
            columns: columns(&part.columns),
        }
    }

    fn outage(&self, happening: &Happening) -> OutageJson {
        let Happening { outage, stopped, incident, withheld, page, resolved } = happening;
        let Outage { from, begin_seen, end, until, down, silenced, cause, local, aws, up_since: _ } = outage;
        let time = |at: Option<Stamp>| at.map(|at| self.time(at));
        OutageJson {
            from: self.time(*from),
            begin_seen: *begin_seen,
            until: self.time(*until),
            end: end.as_str(),
            lasted: seconds(outage.lasted()),
            down: seconds(*down),
            silenced: seconds(*silenced),
            cause: cause.map(|cause| cause.as_str()),
            packets_stopped: time(*stopped),
            our_end_said_down: time(*local),
            aws_said_down: time(*aws),
            paged: page.as_ref().map(|page| self.page(page)),
            resolved: time(*resolved),
            incident: incident.as_ref().map(ToString::to_string),
            withheld: withheld.as_ref().map(withheld_word),
        }
    }

    fn page(&self, page: &super::paging::Paged) -> PageJson {
        PageJson {
            at: self.time(page.at),
            sink: page.sink.to_string(),
            parent: page.parent.as_ref().map(ToString::to_string),
        }
    }

    fn incident(&self, incident: &Recalled, fate: Option<Fate>) -> IncidentJson {
        let pages = self.report.paging.pages(&incident.id);
        IncidentJson {
            id: incident.id.to_string(),
            scope: incident.id.scope.word(),
            name: incident.name.to_string(),
            kind: incident.id.kind.as_str(),
            state: incident.state.as_str(),
            began: self.time(incident.began),
            opened: self.time(incident.id.opened),
            ended: incident.ended().map(|at| self.time(at)),
            withheld: incident.withheld.as_ref().map(withheld_word),
            paged: pages.iter().map(|page| self.page(page)).collect(),
            would_have_been: fate.map(|fate| self.fate(&fate)),
        }
    }

    fn fate(&self, fate: &Fate) -> FateJson {
        let (at, sinks) = match fate {
            Fate::Sent { at, sinks } => {
                (Some(self.time(*at)), sinks.iter().map(ToString::to_string).collect())
            }
            Fate::HeldBack(_) | Fate::Missed | Fate::Adopted | Fate::NoSink => (None, Vec::new()),
        };
        FateJson { fate: fate.as_str(), at, sinks }
    }
}

fn columns(columns: &Columns) -> ColumnsJson {
    let [both_ends, our_end, aws] = Column::ALL.map(|column| buckets(columns.column(column)));
    ColumnsJson {
        observed_percent: columns.both.coverage().map(|share| percent(share.milli_percent())),
        both_ends,
        our_end,
        aws,
    }
}

fn buckets(buckets: &Buckets) -> BucketsJson {
    let Buckets { up, down, unknown, unobserved, silenced } = buckets;
    BucketsJson {
        availability_percent: buckets.availability().map(|share| percent(share.milli_percent())),
        up: seconds(*up),
        down: seconds(*down),
        unknown: seconds(*unknown),
        unobserved: seconds(*unobserved),
        silenced: seconds(silenced.all()),
        silenced_down: seconds(silenced.down),
    }
}

fn percent(milli: u32) -> f64 {
    f64::from(milli) / 1000.0
}

/// To the millisecond.
fn seconds(length: Duration) -> f64 {
    length.as_millis() as f64 / 1000.0
}
