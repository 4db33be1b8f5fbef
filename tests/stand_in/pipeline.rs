//! The path of one request: authenticated, routed, checked, possibly hit by a fault, executed, answered.

use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use super::api::{self, Target};
use super::check::check;
use super::clock;
use super::control;
use super::faults::{self, Damaged, FaultKind, Strike};
use super::protocol;
use super::refusal::Refusal;
use super::server::{Incoming, Reply};
use super::sigv4::{self, Caller};
use super::state::{Received, State};

/// How an answer is sent, after this many seconds.
pub(super) struct Delivery {
    pub(super) delay: f64,
    pub(super) end: End,
}

pub(super) enum End {
    Whole(Reply),
    /// Half of it, then the connection breaks.
    Cut(Reply),
    Closed,
    Reset,
}

/// The state of a request before anything is executed.
enum Admitted {
    Execute(Caller, Value, Option<Damaged>),
    Refused(Refusal),
    Silent { delay: f64, reset: bool },
}

/// Answers one request, of an AWS client or of the control side.
pub(super) fn respond(state: &Mutex<State>, request: &Incoming) -> Delivery {
    let state = &mut *state.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(command) = request.path.strip_prefix(control::PREFIX) {
        return whole(control::respond(state, command, &request.body));
    }
    let target = api::target(request);
    if let Some(seconds) = faults::take_skew(&mut state.faults, &target.name) {
        state.clock.advance(seconds);
    }
    let now = state.clock.now();
    let mut received = Received {
        number: 0,
        at: now,
        service: target.service.signing_name(),
        operation: target.name.clone(),
        region: String::new(),
        principal: String::new(),
        parameters: Value::Null,
        compressed: request.header("content-encoding").is_some(),
        result: String::new(),
        executed: false,
    };
    let admitted = admit(state, request, &target, &mut received);
    let delivery = execute_operation(state, request, &target, admitted, &mut received);
    state.record(received);
    dated(delivery, now)
}

fn admit(state: &mut State, request: &Incoming, target: &Target, received: &mut Received) -> Admitted {
    let (credentials, regions) = (&state.credentials, &state.settings.regions);
    let caller = match sigv4::authenticate(request, target.service, credentials, regions, received.at) {
        Ok(caller) => caller,
        Err(refusal) => return Admitted::Refused(refusal),
    };
    received.region.clone_from(&caller.region);
    received.principal.clone_from(&caller.principal);
    let checked = parameters(request, target);
    received.parameters = checked.as_ref().map_or(Value::Null, Clone::clone);
    let now = state.clock.now();
    let fault = faults::beyond(&state.faults, &target.name, &mut state.admitted, now)
        .or_else(|| faults::take(&mut state.faults, &target.name));
    let strike = fault.and_then(|fault| struck(&fault, target, received));
    let spoilt = match strike {
        Some(Strike::Refused(refusal)) => return Admitted::Refused(refusal),
        Some(Strike::Before { delay, reset }) => return Admitted::Silent { delay, reset },
        Some(Strike::After(spoilt)) => Some(spoilt),
        None => None,
    };
    match checked {
        Ok(input) => Admitted::Execute(caller, input, spoilt),
        Err(refusal) => Admitted::Refused(refusal),
    }
}

fn struck(fault: &FaultKind, target: &Target, received: &mut Received) -> Option<Strike> {
    received.result = format!("fault: {fault:?}");
    fault.strike(&received.principal, &target.name)
}

fn parameters(request: &Incoming, target: &Target) -> Result<Value, Refusal> {
    let Some((operation, _)) = target.found else {
        return Err(Refusal::UnknownOperation(target.name.clone()));
    };
    let wire = protocol::decode(target.service, operation, request)?;
    check(target.service.model(), &operation.input.shape, &wire, "").map_err(Refusal::Invalid)
}

fn execute_operation(
    state: &mut State,
    request: &Incoming,
    target: &Target,
    admitted: Admitted,
    received: &mut Received,
) -> Delivery {
    let (caller, input, spoilt) = match admitted {
        Admitted::Execute(caller, input, spoilt) => (caller, input, spoilt),
        Admitted::Refused(refusal) => return refused(request, target, refusal, received),
        Admitted::Silent { delay, reset } => {
            return Delivery { delay, end: if reset { End::Reset } else { End::Closed } };
        }
    };
    let reply = match executed(state, target, &caller, input) {
        Ok(reply) => reply,
        Err(refusal) => return refused(request, target, refusal, received),
    };
    received.executed = true;
    if received.result.is_empty() {
        "ok".clone_into(&mut received.result);
    }
    match spoilt {
        None => whole(reply),
        Some(Damaged::Slow(delay)) => Delivery { delay, end: End::Whole(reply) },
        Some(Damaged::Lost) => Delivery { delay: 0.0, end: End::Closed },
        Some(Damaged::Truncated) => Delivery { delay: 0.0, end: End::Cut(reply) },
        Some(Damaged::Garbage) => whole(Reply {
            body: b"<html>This is not the service you are looking for.</html>".to_vec(),
            ..reply
        }),
    }
}

fn executed(state: &mut State, target: &Target, caller: &Caller, input: Value) -> Result<Reply, Refusal> {
    let Some((operation, handler)) = target.found else { return Err(Refusal::Internal) };
    let output = handler(state, caller, input)?;
    Ok(protocol::encode(target.service, &target.name, operation, &output))
}

fn refused(request: &Incoming, target: &Target, refusal: Refusal, received: &mut Received) -> Delivery {
    let coded = refusal.coded(target.service);
    coded.code.clone_into(&mut received.result);
    whole(protocol::encode_error(target.service, request, &coded))
}

fn whole(reply: Reply) -> Delivery {
    Delivery { delay: 0.0, end: End::Whole(reply) }
}

/// Sets the answer's `Date` to AWS's time.
fn dated(delivery: Delivery, now: clock::Epoch) -> Delivery {
    let date = |reply: Reply| reply.with("date", clock::http_date(now));
    let end = match delivery.end {
        End::Whole(reply) => End::Whole(date(reply)),
        End::Cut(reply) => End::Cut(date(reply)),
        End::Closed => End::Closed,
        End::Reset => End::Reset,
    };
    Delivery { end, ..delivery }
}
