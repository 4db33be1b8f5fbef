//! What a step of the core brings about, collected for the driver to poll.

use std::collections::VecDeque;

use super::fact::Fact;
use super::names::TunnelId;
use super::request::{ClientId, EchoId, Request};
use super::time::Moment;
use super::verdict::Outcome;

/// Requests and facts in the order they came about, and the ids that are next.
#[derive(Debug, Default)]
pub struct Effects {
    /// For whoever executes them.
    pub requests: VecDeque<Request>,
    /// For whoever reads them.
    pub facts: VecDeque<Fact>,
    /// Echoes that ended, by tunnel and the moment they were asked at: the raw material of rollups.
    pub ended: Vec<(TunnelId, Moment, Outcome)>,
    last_echo: u64,
    last_client: u64,
}

impl Effects {
    /// An echo id that was never used.
    pub fn new_echo(&mut self) -> EchoId {
        self.last_echo += 1;
        EchoId(self.last_echo)
    }

    /// A client id that was never used.
    pub fn new_client(&mut self) -> ClientId {
        self.last_client += 1;
        ClientId(self.last_client)
    }
}
