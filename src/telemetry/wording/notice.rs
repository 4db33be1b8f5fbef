//! What befalls the daemon itself, as journal records.

use std::time::Duration;

use log::Level;

use super::phrases::{count, duration};
use super::record::Record;
use crate::domain::board::IncidentId;
use crate::domain::names::SinkId;
use crate::health::{Code, Component, Problem, Severity};
use crate::telemetry::message_id::MessageId;

/// What befalls the daemon itself.
#[derive(Debug, Clone, Copy)]
pub enum Notice<'a> {
    /// It watches.
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
    },
    /// The configuration is in force, but not all of it as it may be meant.
    ConfigurationWarning {
        /// What, where, and what to do.
        what: &'a str,
    },
    /// A sink was told of an incident and is no longer configured to take it: nobody will bring its record to an end.
    LeftOpen {
        /// What the sink was called.
        sink: &'a SinkId,
        /// Which incident.
        incident: &'a IncidentId,
        /// People's words for its connection.
        vpn_name: &'a str,
        /// The record at the sink, or the key of its messages; `None` if it never said that it had taken it.
        record: Option<&'a str>,
    },
    /// It stops, and a sink has a record open.
    StaysOpen {
        /// The sink.
        sink: &'a SinkId,
        /// The incident.
        incident: &'a IncidentId,
        /// Its connection's name.
        vpn_name: &'a str,
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
}

impl Notice<'_> {
    /// The record; it begins with the site's name, if the configuration that says it could be read.
    pub fn record(&self, site: Option<&str>) -> Record {
        let (level, kind, text) = match *self {
            Self::Started { version, vpns, tunnels, mode } => {
                let watched = watched(vpns, tunnels);
                let text = format!("bothends {version} started: {watched}; incidents: {mode}");
                (Level::Info, MessageId::STARTED, text)
            }
            Self::Stopping { after } => {
                (Level::Info, MessageId::STOPPING, format!("stopping after {}", duration(after)))
            }
            Self::Reloaded { vpns, tunnels } => {
                let text = format!("configuration reloaded: {}", watched(vpns, tunnels));
                (Level::Info, MessageId::CONFIGURATION_RELOADED, text)
            }
            Self::ReloadRefused { problems } => (
                Level::Error,
                MessageId::CONFIGURATION_REFUSED,
                format!("reload refused; the previous configuration stays in force: {problems}"),
            ),
            Self::CannotStart { why } => {
                (Level::Error, MessageId::CANNOT_START, format!("cannot start: {why}"))
            }
            Self::ConfigurationWarning { what } => {
                (Level::Warn, MessageId::CONFIGURATION_WARNING, what.to_owned())
            }
            Self::LeftOpen { sink, incident, vpn_name, record } => {
                let what = match record {
                    Some(record) => format!("{record} stays open there: close it by hand"),
                    None => "it is not known whether it was opened there: look for it and close it by hand"
                        .to_owned(),
                };
                let kind = incident.kind.as_str();
                let text = format!(
                    "{vpn_name}: {kind} incident: sink {sink} is no longer configured to take it; {what}"
                );
                (Level::Warn, MessageId::RECORD_LEFT_OPEN, text)
            }
            Self::StaysOpen { sink, incident, vpn_name, record } => {
                let kind = incident.kind.as_str();
                let text = format!(
                    "{vpn_name}: {kind} incident: {record} stays open at {sink} while the daemon is stopped; after a start it \
                     is resolved once it is over. If this gateway is taken out of service, close it by hand"
                );
                (Level::Warn, MessageId::RECORD_STAYS_OPEN, text)
            }
            Self::Unfinished { after } => {
                let text = format!(
                    "shutdown timed out {} after the signal; unfinished requests are retried at the next start",
                    duration(after)
                );
                (Level::Warn, MessageId::UNFINISHED, text)
            }
            Self::Problem { component, problem: Problem { code, severity, text } } => {
                let level = match severity {
                    Severity::Degraded => Level::Warn,
                    Severity::Failed => Level::Error,
                };
                (level, MessageId::of(*code), format!("{component}: {text}"))
            }
            Self::ProblemOver { component, code } => {
                let text = format!("{component}: over: {}", code.entry().title);
                (Level::Info, MessageId::PROBLEM_ENDED, text)
            }
            Self::FactsDropped { consumer, count } => (
                Level::Error,
                MessageId::FACTS_DROPPED,
                format!("{count} events did not reach the {consumer}: it is too slow"),
            ),
        };
        let message = match site {
            Some(site) => format!("{site}: {text}"),
            None => text,
        };
        let record = Record { level, kind, message, fields: Vec::new() };
        match *self {
            Self::ReloadRefused { problems } => record.with("ERROR", problems),
            Self::CannotStart { why } => record.with("ERROR", why),
            Self::ConfigurationWarning { what } => record.with("ERROR", what),
            Self::LeftOpen { sink, incident, .. } | Self::StaysOpen { sink, incident, .. } => record
                .with("VPN_ID", incident.vpn.as_str())
                .with("KIND", incident.kind.as_str())
                .with("SINK", sink.as_str())
                .with("INCIDENT", incident.to_string()),
            Self::FactsDropped { consumer, .. } => record.with("COMPONENT", consumer),
            Self::Problem { component, problem } => {
                with_problem(record, component, problem.code).with("ERROR", problem.text.as_str())
            }
            Self::ProblemOver { component, code } => with_problem(record, component, code),
            Self::Started { .. }
            | Self::Stopping { .. }
            | Self::Reloaded { .. }
            | Self::Unfinished { .. } => record,
        }
    }
}

fn watched(vpns: usize, tunnels: usize) -> String {
    format!("{} in {}", count(tunnels, "tunnel"), count(vpns, "VPN connection"))
}

fn with_problem(record: Record, component: &Component, code: Code) -> Record {
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
        | Component::Clock
        | Component::Listener => record,
    }
}
