//! When an echo is asked, how often, and on which client.

use std::sync::Arc;
use std::time::Duration;

use super::{Check, IN_FLIGHT_MAX, Pace, Pending};
use crate::domain::echo::LATE_WINDOW;
use crate::domain::effects::Effects;
use crate::domain::fact::Fact;
use crate::domain::pace::{next_on_grid, ticks_between};
use crate::domain::request::{EchoRequest, Request};
use crate::domain::time::Now;

impl Check {
    pub(super) fn interval(&self) -> Duration {
        match self.pace {
            Pace::Starting | Pace::Suspect => self.suspect_interval,
            Pace::Calm | Pace::Waiting => self.rules.interval,
        }
    }

    pub(super) fn tick(&mut self, now: Now, fx: &mut Effects) {
        let interval = self.interval();
        let next = next_on_grid(self.anchor, interval, now.mono);
        let mut skipped = ticks_between(self.due, next, interval);
        self.due = next;
        if self.pending.len() >= IN_FLIGHT_MAX {
            skipped += 1;
        } else {
            self.ask(now, fx);
        }
        if skipped > 0 {
            self.ticks_skipped += skipped;
            fx.facts.push_back(Fact::TicksSkipped { check: self.id.clone(), count: skipped });
        }
    }

    pub(super) fn ask(&mut self, now: Now, fx: &mut Effects) {
        let in_doubt = self.pace != Pace::Calm;
        if self.pace == Pace::Waiting {
            self.refresh_client(now, fx);
        }
        let (slot, client) = self.clients.next(in_doubt);
        let echo = fx.new_echo();
        self.replies.asked(echo);
        self.pending.insert(echo, Pending { asked: now, sent: None, slot, client, overdue: false });
        fx.requests.push_back(Request::Echo(EchoRequest {
            check: self.id.clone(),
            echo,
            client,
            route: Arc::clone(&self.route),
            give_up: self.given_up_after(),
        }));
    }

    pub(super) fn given_up_after(&self) -> Duration {
        self.rules.timeout + LATE_WINDOW
    }

    pub(super) fn refresh_client(&mut self, now: Now, fx: &mut Effects) {
        if self.clients.may_refresh(now.mono) {
            let fresh = fx.new_client();
            if let Some(client) = self.clients.refresh(fresh, now.mono) {
                fx.requests.push_back(Request::Retire { check: self.id.clone(), client });
            }
        }
    }
}
