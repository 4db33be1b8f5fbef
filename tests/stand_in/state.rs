//! Everything that the stand-in knows, behind one lock.

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

/// How many requests the list keeps: a demo runs for hours, and a test looks at the last few.
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
    /// What SNS was given, oldest first.
    pub(super) messages: Vec<Value>,
    pub(super) faults: Vec<Fault>,
    /// When requests came that a limit on their rate let pass.
    pub(super) admitted: VecDeque<Epoch>,
    received: VecDeque<Received>,
    received_in_all: u64,
}

/// One request, without anything that signs it.
#[derive(Clone, Serialize)]
pub(super) struct Received {
    /// Counts all requests, also those that the list has let go.
    pub(super) number: u64,
    pub(super) at: Epoch,
    pub(super) service: &'static str,
    pub(super) operation: String,
    /// Of the signature's scope; empty where there was no valid one.
    pub(super) region: String,
    /// Who asked, as an ARN; empty where the signature did not say.
    pub(super) principal: String,
    /// What was asked, checked against the model; null where it did not pass.
    pub(super) parameters: Value,
    /// Whether the body came compressed.
    pub(super) compressed: bool,
    /// `ok`, the error's code, or the fault that struck.
    pub(super) result: String,
    /// Whether it was carried out, whatever became of its answer.
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

    /// Everything as it was at the start.
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

    /// What was received, oldest first, of one operation or of all.
    pub(super) fn received(&self, operation: Option<&str>) -> Vec<&Received> {
        let wanted = |received: &&Received| operation.is_none_or(|name| received.operation == name);
        self.received.iter().filter(wanted).collect()
    }
}
