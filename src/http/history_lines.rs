//! What is remembered, as lines of JSON, and back.
//!
//! The first line says which shape this is, of which site, and when the present was taken; then comes a line for each tunnel as it is
//! now, then a line for each entry. The last one is `{"end":true}`: without it the answer was cut short.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::client::ClientError;
use crate::catalogue::phrases::withheld_word;
use crate::clock::rfc3339;
use crate::domain::board::{IncidentId, IncidentState, Withheld};
use crate::domain::cause::{Cause, Confidence};
use crate::domain::names::{End, Kind, Role, SinkId, TunnelId, VpnId};
use crate::domain::scope::Scope;
use crate::domain::silence::SilenceId;
use crate::domain::time::Stamp;
use crate::domain::verdict::Assessment;
use crate::history::{
    Carries, Change, Entry, Happened, Minute, Period, Present, Recalled, Said, State, TunnelNow, TunnelThen,
    Watch, What,
};

/// The shape that this release writes. It grows only where an older reader would misunderstand; new keys and entries do not count.
pub const VERSION: u32 = 1;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
enum Line {
    History {
        version: u32,
        site: String,
        at: String,
    },
    Tunnel {
        vpn: String,
        vpn_name: String,
        tunnel: IpAddr,
        name: String,
        role: String,
        local: String,
        aws: String,
        assessment: String,
        cause: Option<String>,
        silenced: Option<u32>,
    },
    Watched {
        from: String,
        until: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        recorded_since: Option<String>,
    },
    Verdict {
        at: String,
        vpn: String,
        tunnel: IpAddr,
        end: String,
        from: String,
        to: String,
    },
    Assessment {
        at: String,
        vpn: String,
        tunnel: IpAddr,
        from: String,
        to: String,
    },
    Cause {
        at: String,
        vpn: String,
        tunnel: IpAddr,
        from: Option<String>,
        to: Option<String>,
    },
    Silenced {
        at: String,
        vpn: String,
        tunnel: IpAddr,
        from: Option<u32>,
        to: Option<u32>,
    },
    Left {
        at: String,
        vpn: String,
        tunnel: IpAddr,
        local: String,
        aws: String,
        assessment: String,
        cause: Option<String>,
        silenced: Option<u32>,
        afresh: bool,
    },
    Incident(Box<IncidentLine>),
    Paged {
        incident: String,
        sink: String,
        at: String,
    },
    Minute {
        at: String,
        vpn: String,
        tunnel: IpAddr,
        answered: u32,
        lost: u32,
        median_rtt_us: Option<u64>,
    },
    /// Of a later release.
    #[serde(other)]
    Other,
}

/// The last line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct EndLine {
    end: bool,
    /// Why there is no end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct IncidentLine {
    id: String,
    name: String,
    state: String,
    began: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ended: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    found_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    withheld: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    related: Option<String>,
    worsened: u32,
    tunnels: Vec<ThenLine>,
    timeline: Vec<HappenedLine>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct ThenLine {
    vpn: String,
    tunnel: IpAddr,
    name: String,
    role: String,
    local: String,
    local_since: String,
    aws: String,
    aws_since: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    aws_changed: Option<String>,
    assessment: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cause: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct HappenedLine {
    seq: u32,
    at: String,
    #[serde(flatten)]
    what: WhatLine,
    #[serde(default, skip_serializing_if = "is_zero")]
    repeats: u32,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it")]
const fn is_zero(count: &u32) -> bool {
    *count == 0
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
enum WhatLine {
    Opened,
    Adopted {
        sink: String,
    },
    Confirmed,
    Verdict {
        #[serde(flatten)]
        of: OfLine,
        end: String,
        to: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        as_of: Option<String>,
    },
    Assessment {
        #[serde(flatten)]
        of: OfLine,
        to: String,
        carrying: String,
    },
    Cause {
        #[serde(flatten)]
        of: OfLine,
        to: String,
        confidence: String,
    },
    Quality {
        #[serde(flatten)]
        of: OfLine,
        to: String,
    },
    Children {
        down: Vec<String>,
        back: Vec<String>,
        troubled: u32,
        of: u32,
    },
    Withheld {
        by: String,
    },
    Released,
    Clearing,
    Reopened,
    Resolved,
    Unwatched,
    HandedOver,
    Missed,
}

/// Which tunnel, and its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct OfLine {
    vpn: String,
    tunnel: IpAddr,
    name: String,
}

// Words that have no other home: those of `/status` do not tell the ends apart.

const fn assessment_word(assessment: Assessment) -> &'static str {
    match assessment {
        Assessment::Healthy => "healthy",
        Assessment::Down => "down",
        Assessment::Disputed(End::Local) => "disputed_local_down",
        Assessment::Disputed(End::Aws) => "disputed_aws_down",
        Assessment::Unconfirmed(End::Local) => "unconfirmed_local_down",
        Assessment::Unconfirmed(End::Aws) => "unconfirmed_aws_down",
        Assessment::Blind => "blind",
    }
}

//--- to lines

/// The lines before the entries.
pub fn head(present: &Present, into: &mut String) {
    let Present { at, site, tunnels } = present;
    write(&Line::History { version: VERSION, site: site.to_string(), at: rfc3339(*at) }, into);
    for tunnel in tunnels {
        let TunnelNow { id, vpn_name, name, role, local, aws, assessment, cause, silenced } = tunnel;
        let line = Line::Tunnel {
            vpn: id.vpn.to_string(),
            vpn_name: vpn_name.to_string(),
            tunnel: id.outside_ip,
            name: name.to_string(),
            role: role.as_str().to_owned(),
            local: local.as_str().to_owned(),
            aws: aws.as_str().to_owned(),
            assessment: assessment_word(*assessment).to_owned(),
            cause: cause.map(cause_word),
            silenced: silenced.map(|id| id.0),
        };
        write(&line, into);
    }
}

/// The line of an entry.
pub fn entry(entry: &Entry, into: &mut String) {
    let line = match entry {
        Entry::Watched(Watch { period: Period { from, until }, recorded_since }) => Line::Watched {
            from: rfc3339(*from),
            until: rfc3339(*until),
            recorded_since: recorded_since.map(rfc3339),
        },
        Entry::Change { at, tunnel, change } => {
            let (at, vpn, tunnel) = (rfc3339(*at), tunnel.vpn.to_string(), tunnel.outside_ip);
            match change {
                Change::Verdict { end, from, to } => Line::Verdict {
                    at,
                    vpn,
                    tunnel,
                    end: end.as_str().to_owned(),
                    from: from.as_str().to_owned(),
                    to: to.as_str().to_owned(),
                },
                Change::Assessment { from, to } => {
                    let [from, to] = [from, to].map(|it| assessment_word(*it).to_owned());
                    Line::Assessment { at, vpn, tunnel, from, to }
                }
                Change::Cause { from, to } => {
                    Line::Cause { at, vpn, tunnel, from: from.map(cause_word), to: to.map(cause_word) }
                }
                Change::Silenced { from, to } => {
                    Line::Silenced { at, vpn, tunnel, from: from.map(|id| id.0), to: to.map(|id| id.0) }
                }
                Change::Left { was: State { local, aws, assessment, cause, silence }, afresh } => {
                    Line::Left {
                        at,
                        vpn,
                        tunnel,
                        local: local.as_str().to_owned(),
                        aws: aws.as_str().to_owned(),
                        assessment: assessment_word(*assessment).to_owned(),
                        cause: cause.map(cause_word),
                        silenced: silence.map(|id| id.0),
                        afresh: *afresh,
                    }
                }
            }
        }
        Entry::Incident(incident) => Line::Incident(Box::new(IncidentLine::of(incident))),
        Entry::Paged { incident, sink, at } => {
            Line::Paged { incident: incident.to_string(), sink: sink.to_string(), at: rfc3339(*at) }
        }
        Entry::Minute(Minute { at, tunnel, answered, lost, median_rtt }) => Line::Minute {
            at: rfc3339(*at),
            vpn: tunnel.vpn.to_string(),
            tunnel: tunnel.outside_ip,
            answered: *answered,
            lost: *lost,
            median_rtt_us: median_rtt.map(|rtt| u64::try_from(rtt.as_micros()).unwrap_or(u64::MAX)),
        },
    };
    write(&line, into);
}

/// The last line: `problem` is why the rest is missing.
pub fn end(problem: Option<String>, into: &mut String) {
    write(&EndLine { end: problem.is_none(), problem }, into);
}

fn write(line: &impl Serialize, into: &mut String) {
    // These types have string keys only, so that there is always a text.
    into.push_str(&serde_json::to_string(line).unwrap_or_default());
    into.push('\n');
}

fn cause_word(cause: Cause) -> String {
    cause.as_str().to_owned()
}

impl IncidentLine {
    fn of(incident: &Recalled) -> Self {
        let Recalled { id, name, state, began, found_at, withheld, related, worsened, tunnels, timeline } =
            incident;
        Self {
            id: id.to_string(),
            name: name.to_string(),
            state: state.as_str().to_owned(),
            began: rfc3339(*began),
            ended: incident.ended().map(rfc3339),
            found_at: found_at.as_ref().map(ToString::to_string),
            withheld: withheld.as_ref().map(withheld_word),
            related: related.as_ref().map(ToString::to_string),
            worsened: *worsened,
            tunnels: tunnels.iter().map(ThenLine::of).collect(),
            timeline: timeline.iter().map(HappenedLine::of).collect(),
        }
    }
}

impl ThenLine {
    fn of(tunnel: &TunnelThen) -> Self {
        let TunnelThen { id, name, role, local, aws, aws_changed, assessment, cause } = tunnel;
        Self {
            vpn: id.vpn.to_string(),
            tunnel: id.outside_ip,
            name: name.to_string(),
            role: role.as_str().to_owned(),
            local: local.0.as_str().to_owned(),
            local_since: rfc3339(local.1),
            aws: aws.0.as_str().to_owned(),
            aws_since: rfc3339(aws.1),
            aws_changed: aws_changed.map(rfc3339),
            assessment: assessment_word(*assessment).to_owned(),
            cause: cause.map(cause_word),
        }
    }
}

impl HappenedLine {
    fn of(happened: &Happened) -> Self {
        let Happened { seq, at, what, repeats } = happened;
        Self { seq: *seq, at: rfc3339(*at), what: WhatLine::of(what), repeats: *repeats }
    }
}

impl OfLine {
    fn of((id, name): &(TunnelId, Arc<str>)) -> Self {
        Self { vpn: id.vpn.to_string(), tunnel: id.outside_ip, name: name.to_string() }
    }
}

impl WhatLine {
    fn of(what: &What) -> Self {
        let texts = |names: &[Arc<str>]| names.iter().map(ToString::to_string).collect();
        match what {
            What::Opened => Self::Opened,
            What::Adopted { sink } => Self::Adopted { sink: sink.to_string() },
            What::Confirmed => Self::Confirmed,
            What::Verdict { tunnel, end, to, why, as_of } => Self::Verdict {
                of: OfLine::of(tunnel),
                end: end.as_str().to_owned(),
                to: to.as_str().to_owned(),
                why: why.as_deref().map(str::to_owned),
                as_of: as_of.map(rfc3339),
            },
            What::Assessment { tunnel, to, carrying } => Self::Assessment {
                of: OfLine::of(tunnel),
                to: assessment_word(*to).to_owned(),
                carrying: carrying.as_str().to_owned(),
            },
            What::Cause { tunnel, to, confidence } => Self::Cause {
                of: OfLine::of(tunnel),
                to: cause_word(*to),
                confidence: confidence.as_str().to_owned(),
            },
            What::Quality { tunnel, to } => Self::Quality { of: OfLine::of(tunnel), to: to.to_string() },
            What::Children { down, back, troubled, of } => {
                Self::Children { down: texts(down), back: texts(back), troubled: *troubled, of: *of }
            }
            What::Withheld { by } => Self::Withheld { by: withheld_word(by) },
            What::Released => Self::Released,
            What::Clearing => Self::Clearing,
            What::Reopened => Self::Reopened,
            What::Resolved => Self::Resolved,
            What::Unwatched => Self::Unwatched,
            What::HandedOver => Self::HandedOver,
            What::Missed => Self::Missed,
        }
    }
}

//--- and back

/// Why a history could not be read.
#[derive(Debug)]
pub enum HistoryError {
    /// The daemon gave no answer.
    Client(ClientError),
    /// It refused.
    Refused {
        /// The HTTP status.
        code: u16,
        /// What it said.
        body: String,
    },
    /// The first line is not that of a history.
    NoHistory,
    /// The daemon is of a release with another shape.
    Version {
        /// Which.
        version: u32,
    },
    /// A line cannot be read.
    Line {
        /// Its number, from 1.
        number: usize,
        /// What is wrong with it.
        what: String,
    },
    /// The daemon could not read on.
    Failed {
        /// Why.
        problem: String,
    },
    /// The last line is missing.
    CutShort,
}

impl fmt::Display for HistoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(error) => error.fmt(f),
            Self::Refused { code: 404, body: _ } => f.write_str(
                "the daemon has no /history: it is of an older release; restart it after the upgrade",
            ),
            Self::Refused { code, body } => {
                write!(f, "the daemon refuses its history: {} (HTTP {code})", body.trim())
            }
            Self::NoHistory => f.write_str("this is no history of bothends"),
            Self::Version { version } => write!(
                f,
                "the history has shape {version}, and this release knows {VERSION}; use the release of the daemon"
            ),
            Self::Line { number, what } => write!(f, "line {number} of the history cannot be read: {what}"),
            Self::Failed { problem } => write!(f, "the daemon cannot read its history: {problem}"),
            Self::CutShort => f.write_str("the history was cut short; try again"),
        }
    }
}

impl Error for HistoryError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Client(error) => Some(error),
            Self::Refused { .. }
            | Self::NoHistory
            | Self::Version { .. }
            | Self::Line { .. }
            | Self::Failed { .. }
            | Self::CutShort => None,
        }
    }
}

impl From<ClientError> for HistoryError {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}

/// Reads lines, one by one.
#[derive(Debug, Default)]
pub struct LineReader {
    present: Option<Present>,
    lines: usize,
    ended: bool,
}

impl LineReader {
    /// Reads the next line. `None` if it holds no entry.
    ///
    /// # Errors
    /// It cannot be read, or says that the daemon could not.
    pub fn line(&mut self, text: &str) -> Result<Option<Entry>, HistoryError> {
        self.lines += 1;
        let number = self.lines;
        let wrong = |what: String| HistoryError::Line { number, what };
        if self.ended {
            return Err(wrong("it comes after the end".to_owned()));
        }
        if self.present.is_none() {
            self.present = Some(first(text)?);
            return Ok(None);
        }
        if let Ok(EndLine { end, problem }) = serde_json::from_str(text) {
            self.ended = end;
            return match problem {
                Some(problem) => Err(HistoryError::Failed { problem }),
                None => Ok(None),
            };
        }
        let line: Line = serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
        match line.read().map_err(wrong)? {
            Read::Entry(entry) => Ok(Some(entry)),
            Read::Tunnel(tunnel) => {
                self.present.iter_mut().for_each(|present| present.tunnels.push(TunnelNow::clone(&tunnel)));
                Ok(None)
            }
            Read::Nothing => Ok(None),
        }
    }

    /// The present, after the last line.
    ///
    /// # Errors
    /// Lines are missing.
    pub fn end(self) -> Result<Present, HistoryError> {
        match (self.present, self.ended) {
            (None, _) if self.lines == 0 => Err(HistoryError::CutShort),
            (None, _) => Err(HistoryError::NoHistory),
            (Some(_), false) => Err(HistoryError::CutShort),
            (Some(present), true) => Ok(present),
        }
    }
}

fn first(text: &str) -> Result<Present, HistoryError> {
    match serde_json::from_str(text) {
        Ok(Line::History { version: VERSION, site, at }) => {
            let at = stamp(&at).map_err(|what| HistoryError::Line { number: 1, what })?;
            Ok(Present { at, site: site.into(), tunnels: Vec::new() })
        }
        Ok(Line::History { version, .. }) => Err(HistoryError::Version { version }),
        Ok(_) | Err(_) => Err(HistoryError::NoHistory),
    }
}

/// What a line holds.
enum Read {
    Entry(Entry),
    Tunnel(Box<TunnelNow>),
    Nothing,
}

/// What is wrong with a line.
type Wrong = String;

impl Line {
    fn read(self) -> Result<Read, Wrong> {
        let change = |at: &str, vpn: String, tunnel: IpAddr, change| {
            let tunnel = TunnelId { vpn: VpnId::new(vpn), outside_ip: tunnel };
            Ok(Read::Entry(Entry::Change { at: stamp(at)?, tunnel, change }))
        };
        match self {
            Self::History { .. } => Err("a second head".to_owned()),
            Self::Other => Ok(Read::Nothing),
            Self::Tunnel {
                vpn,
                vpn_name,
                tunnel,
                name,
                role: is,
                local,
                aws,
                assessment: says,
                cause: why,
                silenced,
            } => Ok(Read::Tunnel(Box::new(TunnelNow {
                id: TunnelId { vpn: VpnId::new(vpn), outside_ip: tunnel },
                vpn_name: vpn_name.into(),
                name: name.into(),
                role: role(&is)?,
                local: said(&local)?,
                aws: said(&aws)?,
                assessment: assessment(&says)?,
                cause: why.as_deref().map(cause).transpose()?,
                silenced: silenced.map(SilenceId),
            }))),
            Self::Watched { from, until, recorded_since } => {
                let period = Period { from: stamp(&from)?, until: stamp(&until)? };
                let recorded_since = recorded_since.as_deref().map(stamp).transpose()?;
                Ok(Read::Entry(Entry::Watched(Watch { period, recorded_since })))
            }
            Self::Verdict { at, vpn, tunnel, end: of, from, to } => {
                let (from, to) = (said(&from)?, said(&to)?);
                change(&at, vpn, tunnel, Change::Verdict { end: which_end(&of)?, from, to })
            }
            Self::Assessment { at, vpn, tunnel, from, to } => {
                let (from, to) = (assessment(&from)?, assessment(&to)?);
                change(&at, vpn, tunnel, Change::Assessment { from, to })
            }
            Self::Cause { at, vpn, tunnel, from, to } => {
                let from = from.as_deref().map(cause).transpose()?;
                let to = to.as_deref().map(cause).transpose()?;
                change(&at, vpn, tunnel, Change::Cause { from, to })
            }
            Self::Silenced { at, vpn, tunnel, from, to } => {
                let (from, to) = (from.map(SilenceId), to.map(SilenceId));
                change(&at, vpn, tunnel, Change::Silenced { from, to })
            }
            Self::Left { at, vpn, tunnel, local, aws, assessment: says, cause: why, silenced, afresh } => {
                let was = State {
                    local: said(&local)?,
                    aws: said(&aws)?,
                    assessment: assessment(&says)?,
                    cause: why.as_deref().map(cause).transpose()?,
                    silence: silenced.map(SilenceId),
                };
                change(&at, vpn, tunnel, Change::Left { was, afresh })
            }
            Self::Incident(incident) => Ok(Read::Entry(Entry::Incident(Arc::new(incident.read()?)))),
            Self::Paged { incident, sink, at } => Ok(Read::Entry(Entry::Paged {
                incident: incident_id(&incident)?,
                sink: SinkId::new(sink),
                at: stamp(&at)?,
            })),
            Self::Minute { at, vpn, tunnel, answered, lost, median_rtt_us } => {
                Ok(Read::Entry(Entry::Minute(Minute {
                    at: stamp(&at)?,
                    tunnel: TunnelId { vpn: VpnId::new(vpn), outside_ip: tunnel },
                    answered,
                    lost,
                    median_rtt: median_rtt_us.map(Duration::from_micros),
                })))
            }
        }
    }
}

impl IncidentLine {
    fn read(self) -> Result<Recalled, Wrong> {
        let Self { id, name, state, began, ended, found_at, withheld, related, worsened, tunnels, timeline } =
            self;
        let ended = ended.as_deref().map(stamp).transpose()?;
        let state = match (state.as_str(), ended) {
            ("open", None) => IncidentState::Open,
            ("resolved", Some(at)) => IncidentState::Resolved { at },
            ("unwatched", Some(at)) => IncidentState::Unwatched { at },
            (word, _) => return Err(format!("state {word:?}, with `ended` or without it")),
        };
        Ok(Recalled {
            id: incident_id(&id)?,
            name: name.into(),
            state,
            began: stamp(&began)?,
            found_at: found_at.map(SinkId::new),
            withheld: withheld.as_deref().map(withholding).transpose()?,
            related: related.as_deref().map(incident_id).transpose()?,
            worsened,
            tunnels: tunnels.into_iter().map(ThenLine::read).collect::<Result<_, _>>()?,
            timeline: timeline.into_iter().map(HappenedLine::read).collect::<Result<_, _>>()?,
        })
    }
}

impl ThenLine {
    fn read(self) -> Result<TunnelThen, Wrong> {
        Ok(TunnelThen {
            id: TunnelId { vpn: VpnId::new(self.vpn), outside_ip: self.tunnel },
            name: self.name.into(),
            role: role(&self.role)?,
            local: (said(&self.local)?, stamp(&self.local_since)?),
            aws: (said(&self.aws)?, stamp(&self.aws_since)?),
            aws_changed: self.aws_changed.as_deref().map(stamp).transpose()?,
            assessment: assessment(&self.assessment)?,
            cause: self.cause.as_deref().map(cause).transpose()?,
        })
    }
}

impl HappenedLine {
    fn read(self) -> Result<Happened, Wrong> {
        let Self { seq, at, what, repeats } = self;
        Ok(Happened { seq, at: stamp(&at)?, what: what.read()?, repeats })
    }
}

impl OfLine {
    fn read(self) -> (TunnelId, Arc<str>) {
        (TunnelId { vpn: VpnId::new(self.vpn), outside_ip: self.tunnel }, self.name.into())
    }
}

impl WhatLine {
    fn read(self) -> Result<What, Wrong> {
        let names = |names: Vec<String>| names.into_iter().map(Into::into).collect();
        Ok(match self {
            Self::Opened => What::Opened,
            Self::Adopted { sink } => What::Adopted { sink: SinkId::new(sink) },
            Self::Confirmed => What::Confirmed,
            Self::Verdict { of, end, to, why, as_of } => What::Verdict {
                tunnel: of.read(),
                end: which_end(&end)?,
                to: said(&to)?,
                why: why.map(Into::into),
                as_of: as_of.as_deref().map(stamp).transpose()?,
            },
            Self::Assessment { of, to, carrying } => What::Assessment {
                tunnel: of.read(),
                to: assessment(&to)?,
                carrying: one_of(&carrying, &Carries::ALL, Carries::as_str)?,
            },
            Self::Cause { of, to, confidence } => What::Cause {
                tunnel: of.read(),
                to: cause(&to)?,
                confidence: one_of(&confidence, &CONFIDENCES, Confidence::as_str)?,
            },
            Self::Quality { of, to } => What::Quality { tunnel: of.read(), to: to.into() },
            Self::Children { down, back, troubled, of } => {
                What::Children { down: names(down), back: names(back), troubled, of }
            }
            Self::Withheld { by } => What::Withheld { by: withholding(&by)? },
            Self::Released => What::Released,
            Self::Clearing => What::Clearing,
            Self::Reopened => What::Reopened,
            Self::Resolved => What::Resolved,
            Self::Unwatched => What::Unwatched,
            Self::HandedOver => What::HandedOver,
            Self::Missed => What::Missed,
        })
    }
}

const ENDS: [End; 2] = [End::Local, End::Aws];
const ROLES: [Role; 3] = [Role::Active, Role::Standby, Role::Unused];
const CONFIDENCES: [Confidence; 3] = [Confidence::Possible, Confidence::Likely, Confidence::Certain];

fn one_of<T: Copy>(word: &str, all: &[T], as_str: impl Fn(T) -> &'static str) -> Result<T, Wrong> {
    let known = all.iter().copied().find(|one| as_str(*one) == word);
    known.ok_or_else(|| {
        let words: Vec<_> = all.iter().map(|one| Cow::Borrowed(as_str(*one))).collect();
        format!("{word:?} is none of {}", words.join(", "))
    })
}

fn said(word: &str) -> Result<Said, Wrong> {
    one_of(word, &Said::ALL, Said::as_str)
}

fn assessment(word: &str) -> Result<Assessment, Wrong> {
    one_of(word, &Assessment::ALL, assessment_word)
}

fn cause(word: &str) -> Result<Cause, Wrong> {
    one_of(word, &Cause::ALL, Cause::as_str)
}

fn which_end(word: &str) -> Result<End, Wrong> {
    one_of(word, &ENDS, End::as_str)
}

fn role(word: &str) -> Result<Role, Wrong> {
    one_of(word, &ROLES, Role::as_str)
}

/// The inverse of [`withheld_word`].
fn withholding(word: &str) -> Result<Withheld, Wrong> {
    if let Some(number) = word.strip_prefix("silence ") {
        let number = number.parse().map_err(|_| format!("{word:?} is no silence"))?;
        return Ok(Withheld::Silenced(SilenceId(number)));
    }
    match Scope::parse(word) {
        Scope::Parent(parent) => Ok(Withheld::Explained(parent)),
        Scope::Connection(_) => Err(format!("{word:?} is neither a parent nor a silence")),
    }
}

/// The inverse of an id's text.
fn incident_id(text: &str) -> Result<IncidentId, Wrong> {
    let wrong = || format!("{text:?} is no id of an incident");
    let (rest, opened) = text.rsplit_once('/').ok_or_else(wrong)?;
    let (scope, kind) = rest.rsplit_once('/').ok_or_else(wrong)?;
    Ok(IncidentId {
        scope: Scope::parse(scope),
        kind: one_of(kind, &Kind::ALL, Kind::as_str)?,
        opened: Stamp::from_millis(opened.parse().map_err(|_| wrong())?),
    })
}

/// A time in RFC 3339.
pub(super) fn stamp(text: &str) -> Result<Stamp, Wrong> {
    let at: Timestamp = text.parse().map_err(|error| format!("{text:?} is no time: {error}"))?;
    Ok(Stamp::from_millis(at.as_millisecond()))
}

#[cfg(test)]
mod tests;
