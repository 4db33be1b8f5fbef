//! What happens to the daemon itself, as journal records.

use std::time::Duration;

use log::Level;

use super::code::{Code, Severity};
use super::message_id::MessageId;
use super::phrases::{count, duration};
use super::problem::{Component, Problem};
use super::record::JournalRecord;
use crate::domain::board::IncidentId;
use crate::domain::names::SinkId;
use crate::process::Exit;

/// What happens to the daemon itself.
#[derive(Debug, Clone, Copy)]
pub enum Notice<'a> {
    /// It monitors.
    Started {
        /// Its version.
        version: &'a str,
        /// How many connections are in the configuration.
        vpns: usize,
        /// How many tunnels are probed.
        tunnels: usize,
        /// Whether incidents are sent (`raise`) or only decided (`observe`).
        mode: &'a str,
    },
    /// It was asked to end.
    Stopping {
        /// How long it ran.
        after: Duration,
    },
    /// Another configuration is in force.
    Reloaded {
        /// How many connections are in it.
        vpns: usize,
        /// How many tunnels are probed.
        tunnels: usize,
    },
    /// A reload was refused, and the earlier configuration stays in force.
    ReloadRefused {
        /// Every problem of the configuration, one a line.
        problems: &'a str,
    },
    /// It cannot start.
    CannotStart {
        /// Why, and what to do.
        why: &'a str,
        /// How it ends.
        exit: Exit,
    },
    /// The variable that sets the log level does not.
    LogLevelInvalid {
        /// What is wrong.
        why: &'a str,
    },
    /// Commands cannot reach it.
    ControlSocketFailing {
        /// What is wrong.
        why: &'a str,
    },
    /// A part of it makes no progress.
    Stuck {
        /// Which part.
        part: Stuck,
        /// For how long.
        since: Duration,
    },
    /// The configuration is in force, but not all of it as it may be meant.
    ConfigurationWarning {
        /// What, where, and what to do.
        what: &'a str,
    },
    /// A sink has the record of an incident and is no longer configured to take it: nobody will close it.
    LeftOpen {
        /// What the sink was called.
        sink: &'a SinkId,
        /// Which incident.
        incident: &'a IncidentId,
        /// Its connection's name.
        name: &'a str,
        /// The record at the sink, or the key of its messages; `None` if it is not known to have taken it.
        record: Option<&'a str>,
    },
    /// It stops, and a sink has a record open.
    StaysOpen {
        /// The sink.
        sink: &'a SinkId,
        /// The incident.
        incident: &'a IncidentId,
        /// Its connection's name.
        name: &'a str,
        /// The record at the sink, or the key of its messages.
        record: &'a str,
    },
    /// It ends before everything has.
    Unfinished {
        /// How long it waited.
        after: Duration,
    },
    /// A part of the daemon has a problem, or another than before.
    Problem {
        /// Which part.
        component: &'a Component,
        /// What is wrong.
        problem: &'a Problem,
    },
    /// A problem is over.
    ProblemOver {
        /// Which part of the daemon had it.
        component: &'a Component,
        /// Which problem.
        code: Code,
    },
    /// Facts were dropped because a consumer's queue was full.
    FactsDropped {
        /// Whose queue.
        consumer: &'a str,
        /// How many.
        count: u64,
    },
    /// Journal records were dropped because the journal did not take them.
    RecordsDropped {
        /// How many.
        count: u64,
    },
}

/// What can be stuck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stuck {
    /// The core is called over and over for what it does not do.
    Core,
    /// The thread that speaks to AWS and to the sinks does not beat.
    IoThread,
}

impl Stuck {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Core => "core",
            Self::IoThread => "io thread",
        }
    }

    /// What is wrong with it.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Core => "the core loop is spinning without progress",
            Self::IoThread => "the I/O thread (AWS, sinks) is not responding",
        }
    }
}

impl Notice<'_> {
    /// The record; it begins with the site's name, if the configuration that says it could be read.
    pub fn record(&self, site: Option<&str>) -> JournalRecord {
        let record = self.text();
        match site {
            Some(site) => JournalRecord { message: format!("{site}: {}", record.message), ..record },
            None => record,
        }
    }

    fn text(&self) -> JournalRecord {
        match *self {
            Self::Started { version, vpns, tunnels, mode } => {
                let watched = watched(vpns, tunnels);
                MessageId::STARTED.record(format!("bothends {version} started: {watched}; incidents: {mode}"))
            }
            Self::Stopping { after } => {
                MessageId::STOPPING.record(format!("stopping after {}", duration(after)))
            }
            Self::Reloaded { vpns, tunnels } => MessageId::CONFIGURATION_RELOADED
                .record(format!("configuration reloaded: {}", watched(vpns, tunnels))),
            Self::ReloadRefused { problems } => MessageId::CONFIGURATION_REFUSED
                .record(format!("reload refused; the previous configuration stays in force: {problems}"))
                .with("ERROR", problems),
            Self::CannotStart { why, exit } => {
                let kind = match exit {
                    Exit::Configuration | Exit::Usage => MessageId::CANNOT_START_CONFIGURATION,
                    Exit::Permission => MessageId::CANNOT_START_PERMISSION,
                    Exit::Internal | Exit::Success | Exit::BadNews | Exit::Down | Exit::Unknown => {
                        MessageId::CANNOT_START
                    }
                };
                kind.record(format!("cannot start: {why}")).with("ERROR", why)
            }
            Self::LogLevelInvalid { why } => MessageId::LOG_LEVEL_INVALID.record(why).with("ERROR", why),
            Self::ConfigurationWarning { what } => {
                MessageId::CONFIGURATION_WARNING.record(what).with("ERROR", what)
            }
            Self::ControlSocketFailing { why } => {
                MessageId::CONTROL_SOCKET_FAILING.record(why).with("ERROR", why)
            }
            Self::Stuck { part, since } => {
                let (what, seconds) = (part.meaning(), since.as_secs());
                MessageId::STUCK
                    .record(format!(
                        "stuck for {seconds} s: {what}; systemd's watchdog, if it is on, restarts the service"
                    ))
                    .with("COMPONENT", part.as_str())
            }
            Self::LeftOpen { sink, incident, name, record } => {
                let what = match record {
                    Some(record) => format!("{record} stays open there: close it by hand"),
                    None => "it is not known whether it was opened there: look for it and close it by hand"
                        .to_owned(),
                };
                let kind = incident.kind.as_str();
                let text = format!(
                    "{name}: {kind} incident: sink {sink} is no longer configured to take it; {what}"
                );
                about_record(MessageId::RECORD_LEFT_OPEN, text, sink, incident)
            }
            Self::StaysOpen { sink, incident, name, record } => {
                let kind = incident.kind.as_str();
                let text = format!(
                    "{name}: {kind} incident: {record} stays open at {sink} while the daemon is stopped; after a start it \
                     is resolved once it is over. If this gateway is taken out of service, close it by hand"
                );
                about_record(MessageId::RECORD_STAYS_OPEN, text, sink, incident)
            }
            Self::Unfinished { after } => MessageId::UNFINISHED.record(format!(
                "shutdown timed out {} after the signal; unfinished requests are retried at the next start",
                duration(after)
            )),
            Self::Problem { component, problem: Problem { code, severity, text } } => {
                let level = match severity {
                    Severity::Degraded => Level::Warn,
                    Severity::Failed => Level::Error,
                };
                let record = MessageId::of(*code).record(format!("{component}: {text}")).at(level);
                with_problem(record, component, *code).with("ERROR", text.as_str())
            }
            Self::ProblemOver { component, code } => {
                let text = format!("{component}: problem ended: {}", code.entry().title);
                with_problem(MessageId::PROBLEM_ENDED.record(text), component, code)
            }
            Self::FactsDropped { consumer, count } => MessageId::FACTS_DROPPED
                .record(format!("{count} events did not reach the {consumer}: it is too slow"))
                .with("COMPONENT", consumer),
            Self::RecordsDropped { count } => MessageId::RECORDS_DROPPED
                .record(format!("{count} journal records were dropped: the journal did not take them")),
        }
    }
}

fn about_record(kind: MessageId, text: String, sink: &SinkId, incident: &IncidentId) -> JournalRecord {
    kind.record(text)
        .with_scope(&incident.scope)
        .with("KIND", incident.kind.as_str())
        .with("SINK", sink.as_str())
        .with("INCIDENT", incident.to_string())
}

fn watched(vpns: usize, tunnels: usize) -> String {
    format!("{} in {}", count(tunnels, "tunnel"), count(vpns, "VPN connection"))
}

fn with_problem(record: JournalRecord, component: &Component, code: Code) -> JournalRecord {
    let record = record.with("COMPONENT", component.to_string()).with("PROBLEM", code.entry().word);
    match component {
        Component::Sink(sink) | Component::Preparation(sink) => record.with("SINK", sink.as_str()),
        Component::Addresses(vpn)
        | Component::Identity(vpn)
        | Component::HostAddresses(vpn)
        | Component::Connection(vpn)
        | Component::FreshSocket(vpn) => record.with("VPN_ID", vpn.as_str()),
        Component::Site
        | Component::Source(_)
        | Component::Credentials(_)
        | Component::Mode
        | Component::Publisher
        | Component::Store
        | Component::Configuration
        | Component::Probe
        | Component::Silences
        | Component::Clock
        | Component::Listener
        | Component::ListenerCertificate
        | Component::ListenerToken => record,
    }
}
