//! The control side: commands of a test, a demo or a person to the stand-in.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::clock::Epoch;
use super::faults::Fault;
use super::incidents;
use super::observation;
use super::server::Reply;
use super::settings::Switches;
use super::state::{Received, State};
use super::tunnels::{
    Bytes, ConfigurationView, Connection, ConnectionState, Maintenance, MetricView, TelemetryView, Tunnel,
};

/// Paths below it are commands; no AWS service has such paths.
pub(super) const PREFIX: &str = "/_stand-in/";

/// Every command besides AWS's own operations. Times are in seconds since 1970.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Command {
    /// Sets the real state of a tunnel, from `at` (default: now) on.
    SetTunnel {
        outside_ip: String,
        up: bool,
        #[serde(default)]
        message: Option<String>,
        #[serde(default)]
        at: Option<Epoch>,
    },
    /// Sets real states from a watcher's lines, `OUTSIDE_IP UP|DOWN [STATUS MESSAGE…]`; returns how many it accepted.
    Observe {
        lines: String,
    },
    /// Sets what CloudWatch and EC2 show of a tunnel, separately from the real state; what is left out follows the real
    /// state again.
    SetView {
        outside_ip: String,
        #[serde(default)]
        cloudwatch: MetricView,
        #[serde(default)]
        ec2: TelemetryView,
    },
    /// Sets the bytes per minute that TunnelDataIn and TunnelDataOut show of a tunnel, from now on; what is left out has no
    /// datapoints.
    SetBytes {
        outside_ip: String,
        #[serde(default)]
        data_in: Option<f64>,
        #[serde(default)]
        data_out: Option<f64>,
    },
    /// Sets AcceptedRouteCount of a tunnel; what is left out follows the real state.
    SetRoutes {
        outside_ip: String,
        #[serde(default)]
        accepted: Option<i32>,
    },
    /// AWS announces that it will replace a tunnel's endpoint after a date; `word` in place of "Available".
    AnnounceMaintenance {
        outside_ip: String,
        #[serde(default)]
        applied_after: Option<Epoch>,
        #[serde(default)]
        word: Option<String>,
    },
    /// AWS replaces a tunnel's endpoint now, announced or not; the real state of the tunnel is set by `set_tunnel`.
    ApplyMaintenance {
        outside_ip: String,
    },
    /// AWS no longer announces it.
    WithdrawMaintenance {
        outside_ip: String,
    },
    SetConnection {
        vpn_id: String,
        state: ConnectionState,
    },
    /// Sets the content of a connection's CustomerGatewayConfiguration.
    SetConfiguration {
        vpn_id: String,
        configuration: ConfigurationView,
    },
    /// Gives a tunnel other addresses, as when a connection is modified; what is left out stays.
    SetAddresses {
        outside_ip: String,
        #[serde(default)]
        new_outside_ip: Option<String>,
        #[serde(default)]
        inside_cidr: Option<String>,
    },
    /// Every connection and tunnel: real state and views.
    Tunnels {},
    AddFault {
        fault: Fault,
    },
    Faults {},
    /// Clears the faults of an operation, or all.
    ClearFaults {
        #[serde(default)]
        operation: Option<String>,
    },
    /// Sets the switches named.
    SetSwitches {
        switches: Map<String, Value>,
    },
    Switches {},
    /// Shifts AWS's clock; the client's clock then has a skew.
    AdvanceClock {
        seconds: f64,
    },
    /// Freezes AWS's clock, or lets it run on.
    HoldClock {
        still: bool,
    },
    Now {},
    /// The requests received, oldest first, of an operation or all.
    Received {
        #[serde(default)]
        operation: Option<String>,
    },
    /// The same without their parameters, from number `from` on: when what was called, and with what result.
    Calls {
        #[serde(default)]
        from: u64,
    },
    /// Every incident record with its timeline and related items.
    Incidents {},
    /// A person resolves a record by hand.
    CloseIncident {
        arn: String,
        by: String,
    },
    /// A CloudWatch alarm with this response plan as its action goes off; returns the record's ARN.
    StartByAlarm {
        response_plan: String,
        alarm: String,
    },
    /// Every OpsItem, oldest first.
    OpsItems {},
    /// A person sets the status of an OpsItem by hand.
    SetOpsItem {
        id: String,
        status: String,
    },
    /// The messages that SNS received, oldest first.
    Messages {},
    /// The data that `PutMetricData` stored, of a namespace or all.
    Metrics {
        #[serde(default)]
        namespace: Option<String>,
    },
    /// Resets everything to the start.
    Reset {},
}

/// `POST /_stand-in/<command>`, with the command's members as a JSON object (or nothing).
pub(super) fn respond(state: &mut State, command: &str, body: &[u8]) -> Reply {
    let members = if body.is_empty() { Ok(json!({})) } else { serde_json::from_slice(body) };
    let command = members.and_then(|members| serde_json::from_value(json!({ command: members })));
    let done = command.map_err(|error: serde_json::Error| error.to_string());
    let (status, answer) = match done.and_then(|command| execute(state, command)) {
        Ok(answer) => (200, answer),
        Err(why) => (400, json!({ "error": why })),
    };
    Reply::new(status, "application/json", answer.to_string().into_bytes())
}

pub(super) fn execute(state: &mut State, command: Command) -> Result<Value, String> {
    let now = state.clock.now();
    match command {
        Command::SetTunnel { outside_ip, up, message, at } => {
            tunnel(state, &outside_ip)?.set(at.unwrap_or(now), up, message);
        }
        Command::Observe { lines } => return Ok(observe(state, &lines, now).into()),
        Command::SetView { outside_ip, cloudwatch, ec2 } => {
            let tunnel = tunnel(state, &outside_ip)?;
            tunnel.metric_view = cloudwatch;
            tunnel.telemetry_view = ec2;
        }
        Command::SetBytes { outside_ip, data_in, data_out } => {
            tunnel(state, &outside_ip)?.set_bytes(now, Bytes { data_in, data_out });
        }
        Command::SetRoutes { outside_ip, accepted } => {
            tunnel(state, &outside_ip)?.accepted_routes = accepted;
        }
        Command::AnnounceMaintenance { outside_ip, applied_after, word } => {
            let maintenance = &mut tunnel(state, &outside_ip)?.maintenance;
            maintenance.pending = word.unwrap_or_else(|| Maintenance::AVAILABLE.to_owned());
            maintenance.applied_after = applied_after;
        }
        Command::ApplyMaintenance { outside_ip } => tunnel(state, &outside_ip)?.maintenance.end(Some(now)),
        Command::WithdrawMaintenance { outside_ip } => tunnel(state, &outside_ip)?.maintenance.end(None),
        Command::SetConnection { vpn_id, state: wanted } => {
            connection(state, &vpn_id)?.state = wanted;
        }
        Command::SetConfiguration { vpn_id, configuration } => {
            connection(state, &vpn_id)?.configuration = configuration;
        }
        Command::SetAddresses { outside_ip, new_outside_ip, inside_cidr } => {
            let tunnel = tunnel(state, &outside_ip)?;
            tunnel.outside_ip = new_outside_ip.unwrap_or(outside_ip);
            tunnel.inside_cidr = inside_cidr.unwrap_or_else(|| tunnel.inside_cidr.clone());
        }
        Command::Tunnels {} => return Ok(tunnels(state, now)),
        Command::AddFault { fault } => state.faults.push(fault),
        Command::Faults {} => return Ok(json!(state.faults)),
        Command::ClearFaults { operation } => {
            state.faults.retain(|fault| operation.as_ref().is_some_and(|name| fault.operation != *name));
        }
        Command::SetSwitches { switches } => state.switches = merged(&state.switches, switches)?,
        Command::Switches {} => return Ok(json!(state.switches)),
        Command::AdvanceClock { seconds } => state.clock.advance(seconds),
        Command::HoldClock { still } => state.clock.hold(still),
        Command::Now {} => return Ok(now.into()),
        Command::Received { operation } => return Ok(json!(state.received(operation.as_deref()))),
        Command::Calls { from } => return Ok(calls(state, from)),
        Command::Incidents {} => return Ok(state.incidents.listed()),
        Command::CloseIncident { arn, by } => {
            if !state.incidents.close(&arn, &by, now) {
                return Err(format!("no incident record {arn}"));
            }
        }
        Command::StartByAlarm { response_plan, alarm } => {
            return incidents::start_by_alarm(state, &response_plan, &alarm).map(Value::from);
        }
        Command::OpsItems {} => return Ok(state.ops_items.listed()),
        Command::SetOpsItem { id, status } => {
            if !state.ops_items.set(&id, &status, now) {
                return Err(format!("no OpsItem {id}"));
            }
        }
        Command::Messages {} => return Ok(json!(state.messages)),
        Command::Metrics { namespace } => return Ok(state.metrics.listed(namespace.as_deref())),
        Command::Reset {} => state.reset(),
    }
    Ok(Value::Null)
}

fn connection<'a>(state: &'a mut State, vpn_id: &str) -> Result<&'a mut Connection, String> {
    let known = state.connections.iter_mut().find(|connection| connection.id == vpn_id);
    known.ok_or_else(|| format!("no connection {vpn_id}"))
}

fn tunnel<'a>(state: &'a mut State, outside_ip: &str) -> Result<&'a mut Tunnel, String> {
    let mut tunnels = state.connections.iter_mut().flat_map(|connection| &mut connection.tunnels);
    tunnels.find(|tunnel| tunnel.outside_ip == outside_ip).ok_or_else(|| format!("no tunnel {outside_ip}"))
}

/// Ignores lines that are not about a known tunnel: a watcher may see more than AWS.
fn observe(state: &mut State, lines: &str, now: Epoch) -> usize {
    let mut taken = 0;
    for seen in lines.lines().filter_map(observation::parse) {
        if let Ok(tunnel) = tunnel(state, &seen.outside_ip) {
            tunnel.set(now, seen.up, seen.message);
            taken += 1;
        }
    }
    taken
}

fn calls(state: &State, from: u64) -> Value {
    let calls = state.received(None).into_iter().filter(|call| call.number >= from);
    let short = |call: &Received| json!({ "number": call.number, "at": call.at, "operation": call.operation, "result": call.result });
    calls.map(short).collect()
}

fn tunnels(state: &State, now: Epoch) -> Value {
    let connections = state.connections.iter().map(|connection| {
        let tunnels = connection.tunnels.iter().map(|tunnel| {
            json!({
                "outside_ip": tunnel.outside_ip,
                "real": tunnel.latest(now),
                "cloudwatch": tunnel.metric_view,
                "ec2": tunnel.telemetry_view,
                "maintenance": tunnel.maintenance,
            })
        });
        let tunnels: Vec<_> = tunnels.collect();
        json!({ "id": connection.id, "state": connection.state, "tunnels": tunnels })
    });
    connections.collect()
}

fn merged(switches: &Switches, changes: Map<String, Value>) -> Result<Switches, String> {
    let mut all = json!(switches);
    for (name, value) in changes {
        all[name] = value;
    }
    serde_json::from_value(all).map_err(|error| error.to_string())
}
