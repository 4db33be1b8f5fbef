//! What a daemon asks for, and what becomes of it.

use std::time::Duration;

use bothends::domain::board::IncidentId;
use bothends::domain::event::{AskFailure, Event};
use bothends::domain::request::EchoRequest;
use bothends::domain::time::Now;
use bothends::domain::verdict::{Fault as EchoFault, Loss};
use bothends::incident::action::{ActionFailure, ActionId, RecordCall, Reply, SinkEvent};
use bothends::incident::sink::LedgerError;
use bothends::publish::machine::Event as Published;
use bothends::publish::sink::{PutError, SpoolError};

use super::super::calls::{Response, sink_error};
use super::super::gateway::{Command, WriteWaiter};
use super::super::history;
use super::super::schedule::{Calls, Fault, Line};
use super::super::site::{index_of, may_be_local};
use super::{DISK_RETRY, DaemonRun, Scheduled, World};

/// How far off a clock may be for TLS, in seconds.
const CERTIFICATES: u64 = 30 * 86_400;
/// The publisher's shell abandons a call after this long.
const PUT_GIVEN_UP: Duration = Duration::from_secs(60);

impl World {
    /// Executes a command; returns whether the daemon got its answer at once.
    pub(super) fn grant(&mut self, to: DaemonRun, command: Command, now: Now) -> bool {
        let gateway = &self.gateways[to.gateway];
        // With a clock that is years off no certificate is valid.
        let reach = gateway.reachable && gateway.clocks.offset.unsigned_abs() < CERTIFICATES;
        let valid = gateway.credentials;
        match command {
            Command::Echo(echo) => {
                self.echo(to, echo, now);
                return true;
            }
            Command::Ask(source) => {
                let luck = &mut self.call_luck[to.gateway];
                let (outcome, fault) = self.faults.outcome(Calls::Ask, reach, valid, luck);
                self.meet(Calls::Ask, fault);
                // The answer is AWS's state when it answers, and arrives a little later or not at all.
                let lost = fault == Some(Fault::LostReply);
                if let Some((after, heard)) = outcome.heard {
                    let heard = if lost { Response::Silence } else { heard };
                    self.later(after, Scheduled::Answer { to, source, asked: self.at, heard });
                }
            }
            Command::AskHistory { vpn: _, from, to: until } => {
                let luck = &mut self.call_luck[to.gateway];
                let (outcome, fault) = self.faults.outcome(Calls::Ask, reach, valid, luck);
                self.meet(Calls::Ask, fault);
                if let Some((after, heard)) = outcome.heard {
                    let heard = if fault == Some(Fault::LostReply) { Response::Silence } else { heard };
                    let asked = self.at;
                    self.later(after, Scheduled::History { to, from, until, asked, heard });
                }
            }
            // The connection has no sensors.
            Command::Sense(_) => {}
            Command::Call(id, call) => {
                // The daemon may be dead before this is done.
                let daemon = self.gateways[to.gateway].daemon.as_ref();
                let story = match &*call {
                    RecordCall::Start { request } => {
                        let story = daemon.and_then(|daemon| daemon.incident_of(request));
                        self.truth.asked_for(to.gateway, request, story.as_ref(), self.at, &self.views);
                        story
                    }
                    _ => None,
                };
                let luck = &mut self.call_luck[to.gateway];
                let (outcome, fault) = self.faults.outcome(Calls::Incidents, reach, valid, luck);
                self.meet(Calls::Incidents, fault);
                match (outcome.done, outcome.heard) {
                    (Some(done), heard) => {
                        let answers = heard.map(|(after, heard)| (after.saturating_sub(done), heard));
                        self.later(done, Scheduled::Do { to, id, call, story, answers });
                    }
                    (None, Some((after, heard))) => {
                        let result = Err(ActionFailure::Sink(sink_error(heard)));
                        self.later(after, Scheduled::Hear { to, id, result });
                    }
                    (None, None) => {}
                }
            }
            Command::Put(data) => {
                let luck = &mut self.call_luck[to.gateway];
                let (outcome, fault) = self.faults.outcome(Calls::Put, reach, valid, luck);
                self.meet(Calls::Put, fault);
                let answer = outcome.heard.filter(|(after, _)| *after < PUT_GIVEN_UP);
                if let Some(done) = outcome.done {
                    let answers = answer
                        .filter(|(_, heard)| *heard == Response::Answer)
                        .map(|(after, _)| after.saturating_sub(done));
                    self.later(done, Scheduled::Put { to, data, answers });
                }
                let failed = match answer {
                    None => Some((PUT_GIVEN_UP, Response::Failed)),
                    Some((after, heard)) => (heard != Response::Answer).then_some((after, heard)),
                };
                if let Some((after, heard)) = failed {
                    let result = Err(put_error(heard));
                    self.later(after, Scheduled::HearPut { to, taken: None, result });
                }
            }
            Command::Read { until, limit } => {
                self.later(Duration::from_millis(1), Scheduled::Read { to, until, limit });
            }
        }
        false
    }

    pub(super) fn meet(&mut self, calls: Calls, fault: Option<Fault>) {
        let name = match (calls, fault) {
            (_, None) => return,
            (_, Some(Fault::Throttle)) => "throttled calls",
            (_, Some(Fault::ServerError)) => "failed calls",
            (_, Some(Fault::Denied)) => "denied calls",
            (_, Some(Fault::Hang)) => "hung calls",
            (_, Some(Fault::Slow)) => "slow calls",
            (_, Some(Fault::LostReply)) => "lost replies",
        };
        *self.met.entry(name).or_default() += 1;
    }

    pub(super) fn echo(&mut self, to: DaemonRun, echo: EchoRequest, now: Now) {
        let tunnel = index_of(&echo.check.tunnel);
        let line = self.lines[to.gateway][tunnel];
        let is_missing = line == Line::Missing || !may_be_local(&echo.route);
        let luck = &mut self.echo_luck[to.gateway];
        let timeout = self.switches.probe.timeout;
        let after = match line {
            _ if is_missing => Err(AskFailure::AddressMissing),
            Line::Carries => Ok(Some(luck.millis(5, 60))),
            Line::Dead => Ok(None),
            Line::Loses(percent) => Ok((!luck.percent(percent)).then(|| luck.millis(5, 120))),
            Line::Slow => Ok(Some(timeout + luck.millis(10, 800))),
            Line::NoRoute => Err(AskFailure::Lost(Loss::NoPath)),
            Line::Missing => Err(AskFailure::AddressMissing),
            Line::Faulty => Err(AskFailure::Fault(EchoFault::NoMemory)),
        };
        let after = match after {
            Ok(after) => after,
            Err(failure) => {
                let is_lost = match failure {
                    AskFailure::Lost(_) => true,
                    // An address that the daemon has seen before has gone.
                    AskFailure::AddressMissing => self.truth.was_held(to.gateway, tunnel),
                    AskFailure::Fault(_) => false,
                };
                if is_lost {
                    self.truth.sent(to.gateway, tunnel, echo.echo, self.at);
                }
                let event = Event::Failed { check: echo.check, echo: echo.echo, failure };
                if let Some(daemon) = &mut self.gateways[to.gateway].daemon {
                    daemon.handle(event, now);
                }
                return;
            }
        };
        self.truth.sent(to.gateway, tunnel, echo.echo, self.at);
        let event = Event::Sent { check: echo.check.clone(), echo: echo.echo, at: now.mono };
        if let Some(daemon) = &mut self.gateways[to.gateway].daemon {
            daemon.handle(event, now);
        }
        if let Some(after) = after.filter(|after| *after < echo.give_up) {
            self.later(after, Scheduled::Reply { to, echo, sent: self.at });
        }
    }

    pub(super) fn execute(
        &mut self,
        to: DaemonRun,
        id: ActionId,
        call: &RecordCall,
        story: Option<IncidentId>,
        answers: Option<(Duration, Response)>,
    ) {
        let before = self.manager.records.len();
        let result = self.manager.execute(call, to.gateway, self.at);
        self.remember(|| {
            let call = history::call(call);
            format!("gateway {} {call}: {}", to.gateway, history::reply(&result))
        });
        if self.manager.records.len() > before {
            self.truth.record_created(story);
        }
        if let RecordCall::Resolve { record, .. } = call
            && result.is_ok()
        {
            self.truth.resolved(to.gateway, record.clone(), self.at);
        }
        let Some((after, heard)) = answers else { return };
        let result = match heard {
            Response::Answer => result.map_err(ActionFailure::Sink),
            Response::Throttled | Response::Failed | Response::Silence | Response::Denied => {
                Err(ActionFailure::Sink(sink_error(heard)))
            }
        };
        self.later(after, Scheduled::Hear { to, id, result });
    }

    /// The disk has finished a write, or failed.
    pub(super) fn write(&mut self, to: DaemonRun) {
        let gateway = &mut self.gateways[to.gateway];
        let now = gateway.clocks.now(self.at);
        let writable = gateway.writable;
        let Some(daemon) = &mut gateway.daemon else { return };
        daemon.disk_busy = false;
        let waiters = std::mem::take(&mut daemon.waiters);
        let done = if writable { daemon.engine.commit(now) } else { Err("the disk is full".to_owned()) };
        if done.is_ok() {
            self.truth.durable(to.gateway, self.at);
        } else {
            *self.met.entry("failed writes").or_default() += 1;
        }
        for waiter in waiters {
            let done = done.clone();
            match waiter {
                WriteWaiter::Ledger(id) => {
                    let result = done
                        .map(|()| Reply::Done)
                        .map_err(|what| ActionFailure::Ledger(LedgerError { what }));
                    self.with(to.gateway, |daemon, now| {
                        daemon.sink_event(SinkEvent::Ended { id, result }, now);
                    });
                }
                WriteWaiter::Mark(data) => {
                    let retry_after = DISK_RETRY;
                    let result = done.map_err(|what| SpoolError { what, retry_after });
                    self.with(to.gateway, |daemon, now| {
                        if result.is_ok() {
                            daemon.marked(&data);
                        }
                        daemon.published(Published::Marked(result), now);
                    });
                }
            }
            if !self.lives(to) {
                return;
            }
        }
        self.with(to.gateway, |_, _| {});
    }
}

fn put_error(heard: Response) -> PutError {
    let what = "as drawn".to_owned();
    match heard {
        Response::Answer | Response::Failed | Response::Silence => {
            PutError::Temporary { what, throttled: false, source: None }
        }
        Response::Throttled => PutError::Temporary { what, throttled: true, source: None },
        Response::Denied => PutError::Denied { what },
    }
}
