//! The outcome of calls to AWS.

use std::collections::BTreeMap;
use std::time::Duration;

use bothends::incident::sink::SinkError;

use super::chance::Chance;
use super::schedule::{Calls, Fault};

/// How long a successful call takes, and one without a route to AWS.
const QUICK: (u64, u64) = (20, 400);
const NO_ROUTE: (u64, u64) = (100, 10_000);

/// The outcome of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallOutcome {
    /// When AWS executes it, if at all, counted from the call.
    pub done: Option<Duration>,
    /// When the caller gets a response, if at all, and which.
    pub heard: Option<(Duration, Response)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Response {
    Answer,
    Throttled,
    Failed,
    Denied,
    /// Nothing came back: no route, or the connection broke.
    Silence,
}

/// The faults in force.
#[derive(Debug, Default)]
pub struct Faults {
    percents: BTreeMap<(u8, Fault), u8>,
}

impl Faults {
    pub fn set(&mut self, calls: Calls, fault: Fault, percent: u8) {
        if percent == 0 {
            self.percents.remove(&(calls as u8, fault));
        } else {
            self.percents.insert((calls as u8, fault), percent);
        }
    }

    pub fn clear(&mut self) {
        self.percents.clear();
    }

    pub fn is_calm(&self, calls: Calls) -> bool {
        self.percents.keys().all(|(of, _)| *of != calls as u8)
    }

    /// Draws the outcome of a call; `reach`: AWS is reachable, `valid`: the credentials are valid.
    pub fn outcome(
        &self,
        calls: Calls,
        reach: bool,
        valid: bool,
        chance: &mut Chance,
    ) -> (CallOutcome, Option<Fault>) {
        let quick = chance.millis(QUICK.0, QUICK.1);
        if !reach {
            let after = chance.millis(NO_ROUTE.0, NO_ROUTE.1);
            return (CallOutcome { done: None, heard: Some((after, Response::Silence)) }, None);
        }
        if !valid {
            return (CallOutcome { done: None, heard: Some((quick, Response::Denied)) }, None);
        }
        let fault = self
            .percents
            .iter()
            .filter(|((of, _), _)| *of == calls as u8)
            .find(|(_, percent)| chance.percent(**percent))
            .map(|((_, fault), _)| *fault);
        let outcome = match fault {
            None => CallOutcome { done: Some(quick), heard: Some((quick * 2, Response::Answer)) },
            Some(Fault::Throttle) => CallOutcome { done: None, heard: Some((quick, Response::Throttled)) },
            Some(Fault::ServerError) => CallOutcome { done: None, heard: Some((quick, Response::Failed)) },
            Some(Fault::Denied) => CallOutcome { done: None, heard: Some((quick, Response::Denied)) },
            Some(Fault::Hang) => CallOutcome { done: None, heard: None },
            Some(Fault::Slow) => {
                let late = chance.millis(1_000, 70_000);
                CallOutcome { done: Some(late), heard: Some((late + quick, Response::Answer)) }
            }
            Some(Fault::LostReply) => {
                let heard =
                    chance.percent(50).then(|| (chance.millis(1_000, 20_000) + quick, Response::Silence));
                CallOutcome { done: Some(quick), heard }
            }
        };
        (outcome, fault)
    }
}

/// A call to the sink that failed, as the daemon sees it.
pub fn sink_error(heard: Response) -> SinkError {
    let what = "as drawn".to_owned();
    match heard {
        Response::Answer | Response::Failed | Response::Silence => {
            SinkError::Temporary { what, retry_after: None, source: None }
        }
        Response::Throttled => {
            SinkError::Temporary { what, retry_after: Some(Duration::from_secs(5)), source: None }
        }
        Response::Denied => SinkError::Rejected { what, source: None },
    }
}
