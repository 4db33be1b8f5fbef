//! What becomes of a call to AWS.

use std::collections::BTreeMap;
use std::time::Duration;

use super::chance::Chance;
use super::schedule::{Calls, Fault};

/// How long a call takes that goes well, and one that finds no way.
const QUICK: (u64, u64) = (20, 400);
const NO_WAY: (u64, u64) = (100, 10_000);

/// A call's fate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fate {
    /// When AWS does it, if at all, after the call.
    pub done: Option<Duration>,
    /// When the caller hears, if at all, and what.
    pub heard: Option<(Duration, Heard)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    Answer,
    Throttled,
    Failed,
    Denied,
    /// Nothing came back: there is no way, or the connection broke.
    Silence,
}

/// The faults that are in force.
#[derive(Debug, Default)]
pub struct Weather {
    percents: BTreeMap<(u8, Fault), u8>,
}

impl Weather {
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

    /// Draws the fate of a call; `reach` is whether there is a way, `valid` whether the credentials are.
    pub fn fate(&self, calls: Calls, reach: bool, valid: bool, chance: &mut Chance) -> (Fate, Option<Fault>) {
        let quick = chance.millis(QUICK.0, QUICK.1);
        if !reach {
            let after = chance.millis(NO_WAY.0, NO_WAY.1);
            return (Fate { done: None, heard: Some((after, Heard::Silence)) }, None);
        }
        if !valid {
            return (Fate { done: None, heard: Some((quick, Heard::Denied)) }, None);
        }
        let fault = self
            .percents
            .iter()
            .filter(|((of, _), _)| *of == calls as u8)
            .find(|(_, percent)| chance.percent(**percent))
            .map(|((_, fault), _)| *fault);
        let fate = match fault {
            None => Fate { done: Some(quick), heard: Some((quick * 2, Heard::Answer)) },
            Some(Fault::Throttle) => Fate { done: None, heard: Some((quick, Heard::Throttled)) },
            Some(Fault::ServerError) => Fate { done: None, heard: Some((quick, Heard::Failed)) },
            Some(Fault::Denied) => Fate { done: None, heard: Some((quick, Heard::Denied)) },
            Some(Fault::Hang) => Fate { done: None, heard: None },
            Some(Fault::Slow) => {
                let late = chance.millis(1_000, 70_000);
                Fate { done: Some(late), heard: Some((late + quick, Heard::Answer)) }
            }
            Some(Fault::LostReply) => {
                let heard =
                    chance.percent(50).then(|| (chance.millis(1_000, 20_000) + quick, Heard::Silence));
                Fate { done: Some(quick), heard }
            }
        };
        (fate, fault)
    }
}
