//! EC2: `DescribeVpnConnections`, which answers with pre-shared keys as AWS does.

use quick_xml::escape::escape;
use serde::Deserialize;
use serde_json::{Value, json};

use super::api::Handler;
use super::clock::Epoch;
use super::refusal::{Coded, Refusal};
use super::settings::Switches;
use super::sigv4::Caller;
use super::state::State;
use super::tunnels::{Connection, ConnectionState, TelemetryView, Tunnel};

pub(super) const OPERATIONS: &[(&str, Handler)] = &[("DescribeVpnConnections", describe_vpn_connections)];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Describe {
    #[serde(default)]
    dry_run: bool,
    #[serde(default)]
    filters: Vec<Filter>,
    #[serde(default)]
    vpn_connection_ids: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Filter {
    #[serde(default)]
    name: String,
    #[serde(default)]
    values: Vec<String>,
}

fn describe_vpn_connections(state: &mut State, caller: &Caller, input: Value) -> Result<Value, Refusal> {
    let input: Describe = serde_json::from_value(input).map_err(|_| Refusal::Internal)?;
    if input.dry_run {
        let message = "Request would have succeeded, but DryRun flag is set.";
        return Err(Coded::new(412, "DryRunOperation", "DryRunOperation", message).into());
    }
    let here: Vec<_> = state.connections.iter().filter(|known| known.region == caller.region).collect();
    for id in &input.vpn_connection_ids {
        known_id(id, &here)?;
    }
    let mut wanted = here;
    if !input.vpn_connection_ids.is_empty() {
        wanted.retain(|connection| input.vpn_connection_ids.contains(&connection.id));
    }
    for filter in &input.filters {
        let value = filtered(&filter.name)?;
        wanted.retain(|connection| filter.values.iter().any(|allowed| *allowed == value(connection)));
    }
    let now = state.clock.now();
    let shown = wanted.into_iter().map(|connection| described(connection, now, &state.switches));
    Ok(json!({ "VpnConnections": shown.collect::<Vec<_>>() }))
}

fn known_id(id: &str, here: &[&Connection]) -> Result<(), Refusal> {
    let hexadecimal = |digits: &str| digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    let well_formed = |digits: &&str| matches!(digits.len(), 8 | 17) && hexadecimal(digits);
    if id.strip_prefix("vpn-").filter(well_formed).is_none() {
        let (code, message) = ("InvalidVpnConnectionID.Malformed", format!("Invalid id: \"{id}\""));
        return Err(Coded::new(400, code, code, message).into());
    }
    if !here.iter().any(|connection| connection.id == id) {
        let code = "InvalidVpnConnectionID.NotFound";
        let message = format!("The vpnConnection ID '{id}' does not exist");
        return Err(Coded::new(400, code, code, message).into());
    }
    Ok(())
}

fn filtered(name: &str) -> Result<fn(&Connection) -> String, Refusal> {
    match name {
        "vpn-connection-id" => Ok(|connection| connection.id.clone()),
        "state" => Ok(|connection| state_name(connection.state).to_owned()),
        _ => {
            let message = format!("The filter '{name}' is invalid");
            Err(Coded::new(400, "InvalidParameterValue", "InvalidParameterValue", message).into())
        }
    }
}

fn state_name(state: ConnectionState) -> &'static str {
    match state {
        ConnectionState::Pending => "pending",
        ConnectionState::Available => "available",
        ConnectionState::Deleting => "deleting",
        ConnectionState::Deleted => "deleted",
    }
}

fn described(connection: &Connection, now: Epoch, switches: &Switches) -> Value {
    let Connection { id, region: _, name, static_routes, state, tunnels } = connection;
    let mut described = json!({
        "VpnConnectionId": id,
        "State": state_name(*state),
        "CustomerGatewayId": "cgw-0123456789abcdef0",
        "VpnGatewayId": "vgw-0123456789abcdef0",
        "Type": "ipsec.1",
        "Category": "VPN",
        "Options": {
            "EnableAcceleration": false,
            "StaticRoutesOnly": static_routes,
            "TunnelInsideIpVersion": "ipv4",
            "TunnelOptions": tunnels.iter().map(options).collect::<Vec<_>>(),
        },
        "Tags": name.iter().map(|name| json!({ "Key": "Name", "Value": name })).collect::<Vec<_>>(),
    });
    // AWS gives the configuration only while there is one to use, and telemetry only of what exists.
    match state {
        ConnectionState::Pending => {
            described["CustomerGatewayConfiguration"] = configuration(connection).into()
        }
        ConnectionState::Available => {
            described["CustomerGatewayConfiguration"] = configuration(connection).into();
            let telemetry = |tunnel| telemetry(tunnel, *static_routes, now, switches);
            described["VgwTelemetry"] = tunnels.iter().filter_map(telemetry).collect();
        }
        ConnectionState::Deleting | ConnectionState::Deleted => {}
    }
    described
}

fn telemetry(tunnel: &Tunnel, static_routes: bool, now: Epoch, switches: &Switches) -> Option<Value> {
    let seen = tunnel.latest(now - switches.ec2_lag);
    let (status, message) = match &tunnel.telemetry_view {
        TelemetryView::Absent => return None,
        TelemetryView::Fixed { status, message } => (status.clone(), message.clone()),
        TelemetryView::Follow => {
            let usual = match (seen.up, static_routes) {
                (true, true) => "",
                (true, false) => "1 BGP ROUTES",
                (false, _) => "IPSEC IS DOWN",
            };
            let message = seen.message.clone().unwrap_or_else(|| usual.to_owned());
            (if seen.up { "UP" } else { "DOWN" }.to_owned(), message)
        }
    };
    Some(json!({
        "OutsideIpAddress": tunnel.outside_ip,
        "AcceptedRouteCount": i32::from(status == "UP" && !static_routes),
        "Status": status,
        "StatusMessage": message,
        "LastStatusChange": seen.at,
    }))
}

fn options(tunnel: &Tunnel) -> Value {
    json!({
        "OutsideIpAddress": tunnel.outside_ip,
        "TunnelInsideCidr": tunnel.inside_cidr,
        "PreSharedKey": tunnel.pre_shared_key,
        "DpdTimeoutSeconds": 30,
        "DpdTimeoutAction": "clear",
        "StartupAction": "add",
    })
}

/// The XML that a customer gateway is configured from; inside the answer it is escaped text.
fn configuration(connection: &Connection) -> String {
    let tunnels: String = connection.tunnels.iter().map(tunnel_configuration).collect();
    let id = escape(connection.id.as_str());
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<vpn_connection id=\"{id}\">\
         <customer_gateway_id>cgw-0123456789abcdef0</customer_gateway_id>\
         <vpn_gateway_id>vgw-0123456789abcdef0</vpn_gateway_id>\
         <vpn_connection_type>ipsec.1</vpn_connection_type>{tunnels}</vpn_connection>"
    )
}

fn tunnel_configuration(tunnel: &Tunnel) -> String {
    let (outside, key) = (escape(tunnel.outside_ip.as_str()), escape(tunnel.pre_shared_key.as_str()));
    format!(
        "<ipsec_tunnel><vpn_gateway><tunnel_outside_address><ip_address>{outside}</ip_address>\
         </tunnel_outside_address></vpn_gateway><ike><pre_shared_key>{key}</pre_shared_key></ike></ipsec_tunnel>"
    )
}
