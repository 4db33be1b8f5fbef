//! The stand-in's whole state, behind one lock.

use std::collections::VecDeque;

use serde::Serialize;
use serde_json::Value;

use super::clock::{Clock, Epoch};
use super::cloudwatch::store::Metrics;
use super::faults::Fault;
use super::incidents::store::Incidents;
use super::ops_items::OpsItems;
use super::settings::{Credential, Settings, Switches};
use super::tunnels::Connection;

/// How many requests the list keeps: a demo runs for hours, and a test reads the last few.
const RECEIVED_KEPT: usize = 20_000;

pub(super) struct State {
    pub(super) settings: Settings,
    pub(super) clock: Clock,
    pub(super) switches: Switches,
    pub(super) credentials: Vec<Credential>,
    pub(super) connections: Vec<Connection>,
    pub(super) metrics: Metrics,
    pub(super) incidents: Incidents,
    pub(super) ops_items: OpsItems,
    /// The messages that SNS received, oldest first.
    pub(super) messages: Vec<Value>,
    pub(super) faults: Vec<Fault>,
    /// The times of the requests that a rate limit admitted.
    pub(super) admitted: VecDeque<Epoch>,
    received: VecDeque<Received>,
    received_in_all: u64,
}

/// One request, without anything of its signature.
#[derive(Clone, Serialize)]
pub(super) struct Received {
    /// Numbers all requests, also those that the list has dropped.
    pub(super) number: u64,
    pub(super) at: Epoch,
    pub(super) service: &'static str,
    pub(super) operation: String,
    /// From the signature's scope; empty if there was no valid one.
    pub(super) region: String,
    /// The principal's ARN; empty if the signature did not give it.
    pub(super) principal: String,
    /// The input, checked against the model; null if it did not pass.
    pub(super) parameters: Value,
    /// Whether the body was compressed.
    pub(super) compressed: bool,
    /// `ok`, the error's code, or the fault that struck.
    pub(super) result: String,
    /// Whether it was executed, whether or not its answer arrived.
    pub(super) executed: bool,
}

impl State {
    pub(super) fn from_settings(settings: Settings) -> Self {
        let clock = Clock::real();
        let now = clock.now();
        Self {
            switches: settings.switches.clone(),
            credentials: settings.credentials.clone(),
            connections: settings.vpns.iter().map(|vpn| Connection::from_settings(vpn, now)).collect(),
            metrics: Metrics::default(),
            incidents: Incidents::default(),
            ops_items: OpsItems::default(),
            messages: Vec::new(),
            faults: Vec::new(),
            admitted: VecDeque::new(),
            received: VecDeque::new(),
            received_in_all: 0,
            clock,
            settings,
        }
    }

    /// Resets everything to the start.
    pub(super) fn reset(&mut self) {
        *self = Self::from_settings(self.settings.clone());
    }

    pub(super) fn record(&mut self, mut received: Received) {
        self.received_in_all += 1;
        received.number = self.received_in_all;
        self.received.push_back(received);
        if self.received.len() > RECEIVED_KEPT {
            self.received.pop_front();
        }
    }

    /// The requests received, oldest first, of one operation or of all.
    pub(super) fn received(&self, operation: Option<&str>) -> Vec<&Received> {
        let wanted = |received: &&Received| operation.is_none_or(|name| received.operation == name);
        self.received.iter().filter(wanted).collect()
    }
}
