//! EC2: `DescribeVpnConnections`, which contains pre-shared keys as at AWS, and `GetVpnTunnelReplacementStatus`.

use quick_xml::escape::escape;
use serde::Deserialize;
use serde_json::{Value, json};

use super::api::Handler;
use super::clock::Epoch;
use super::refusal::{Coded, Refusal};
use super::settings::Switches;
use super::sigv4::Caller;
use super::state::State;
use super::tunnels::{ConfigurationView, Connection, ConnectionState, Maintenance, TelemetryView, Tunnel};

pub(super) const OPERATIONS: &[(&str, Handler)] = &[
    ("DescribeVpnConnections", describe_vpn_connections),
    ("GetVpnTunnelReplacementStatus", get_vpn_tunnel_replacement_status),
];

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
        return Err(would_have_succeeded());
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
        check_filter(filter)?;
        wanted.retain(|connection| {
            filtered(&filter.name, connection)
                .iter()
                .any(|value| filter.values.iter().any(|allowed| matches(allowed, value)))
        });
    }
    let now = state.clock.now();
    let shown = wanted.into_iter().map(|connection| described(connection, now, &state.switches));
    Ok(json!({ "VpnConnections": shown.collect::<Vec<_>>() }))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetReplacementStatus {
    #[serde(default)]
    dry_run: bool,
    vpn_connection_id: String,
    vpn_tunnel_outside_ip_address: String,
}

fn get_vpn_tunnel_replacement_status(
    state: &mut State,
    caller: &Caller,
    input: Value,
) -> Result<Value, Refusal> {
    let input: GetReplacementStatus = serde_json::from_value(input).map_err(|_| Refusal::Internal)?;
    let here: Vec<_> = state.connections.iter().filter(|known| known.region == caller.region).collect();
    known_id(&input.vpn_connection_id, &here)?;
    let address = &input.vpn_tunnel_outside_ip_address;
    let of = |connection: &&&Connection| connection.id == input.vpn_connection_id;
    let mut tunnels = here.iter().filter(of).flat_map(|connection| &connection.tunnels);
    let Some(tunnel) = tunnels.find(|tunnel| tunnel.outside_ip == *address) else {
        let (code, message) =
            ("InvalidParameterValue", format!("There is no tunnel with the address {address}"));
        return Err(Coded::new(400, code, code, message).into());
    };
    if input.dry_run {
        return Err(would_have_succeeded());
    }
    let Maintenance { pending, applied_after, last_applied } = &tunnel.maintenance;
    let mut details = json!({ "PendingMaintenance": pending });
    for (name, at) in
        [("MaintenanceAutoAppliedAfter", applied_after), ("LastMaintenanceApplied", last_applied)]
    {
        if let Some(at) = at {
            details[name] = (*at).into();
        }
    }
    Ok(json!({
        "VpnConnectionId": input.vpn_connection_id,
        "CustomerGatewayId": "cgw-0123456789abcdef0",
        "VpnGatewayId": "vgw-0123456789abcdef0",
        "VpnTunnelOutsideIpAddress": address,
        "MaintenanceDetails": details,
    }))
}

fn would_have_succeeded() -> Refusal {
    let message = "Request would have succeeded, but DryRun flag is set.";
    Coded::new(412, "DryRunOperation", "DryRunOperation", message).into()
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

/// The filters of the API reference that the stand-in supports. One without a value would match nothing.
fn check_filter(filter: &Filter) -> Result<(), Refusal> {
    let known = matches!(filter.name.as_str(), "vpn-connection-id" | "state" | "tag-key")
        || filter.name.strip_prefix("tag:").is_some_and(|key| !key.is_empty());
    let refused = |code, message: String| Err(Coded::new(400, code, code, message).into());
    if !known {
        return refused("InvalidParameterValue", format!("The filter '{}' is invalid", filter.name));
    }
    if filter.values.is_empty() {
        return refused("InvalidParameterValue", format!("The filter '{}' has no value", filter.name));
    }
    Ok(())
}

/// The values that a filter is compared with.
fn filtered(name: &str, connection: &Connection) -> Vec<String> {
    match name {
        "vpn-connection-id" => vec![connection.id.clone()],
        "state" => vec![state_name(connection.state).to_owned()],
        "tag-key" => connection.tags.keys().cloned().collect(),
        _ => {
            name.strip_prefix("tag:").and_then(|key| connection.tags.get(key)).into_iter().cloned().collect()
        }
    }
}

/// `*` stands for any characters, `?` for one or none (Amazon EC2 User Guide, "Filtering resources using the CLI").
fn matches(pattern: &str, text: &str) -> bool {
    let mut rest = pattern.chars();
    match rest.next() {
        None => text.is_empty(),
        Some('*') => {
            let tails = text.char_indices().map(|(at, _)| &text[at..]).chain([""]);
            tails.into_iter().any(|tail| matches(rest.as_str(), tail))
        }
        Some('?') => {
            let mut shorter = text.chars();
            matches(rest.as_str(), text)
                || (shorter.next().is_some() && matches(rest.as_str(), shorter.as_str()))
        }
        Some(c) => text.strip_prefix(c).is_some_and(|text| matches(rest.as_str(), text)),
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
    let Connection { id, region: _, tags, static_routes, state, configuration: _, tunnels } = connection;
    let ip_version = if tunnels.iter().any(Tunnel::carries_ipv6) { "ipv6" } else { "ipv4" };
    let tags = tags.iter().map(|(key, value)| json!({ "Key": key, "Value": value }));
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
            "TunnelInsideIpVersion": ip_version,
            "TunnelOptions": tunnels.iter().map(options).collect::<Vec<_>>(),
        },
        "Tags": tags.collect::<Vec<_>>(),
    });
    // AWS returns the configuration only while there is one to use, and telemetry only for what exists.
    match state {
        ConnectionState::Pending => configure(&mut described, connection),
        ConnectionState::Available => {
            configure(&mut described, connection);
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
        "AcceptedRouteCount": tunnel.accepted_routes.unwrap_or(i32::from(status == "UP" && !static_routes)),
        "Status": status,
        "StatusMessage": message,
        "LastStatusChange": seen.at,
    }))
}

fn options(tunnel: &Tunnel) -> Value {
    let mut options = json!({
        "OutsideIpAddress": tunnel.outside_ip,
        "PreSharedKey": tunnel.pre_shared_key,
        "DpdTimeoutSeconds": 30,
        "DpdTimeoutAction": "clear",
        "StartupAction": "add",
    });
    if tunnel.carries_ipv6() {
        options["TunnelInsideCidr"] = IPV4_BESIDE_IPV6.into();
        options["TunnelInsideIpv6Cidr"] = tunnel.inside_cidr.clone().into();
    } else {
        options["TunnelInsideCidr"] = tunnel.inside_cidr.clone().into();
    }
    options
}

/// The IPv4 block that a tunnel has beside its IPv6 block.
const IPV4_BESIDE_IPV6: &str = "169.254.45.96/30";

fn configure(described: &mut Value, connection: &Connection) {
    if let Some(configuration) = configuration(connection) {
        described["CustomerGatewayConfiguration"] = configuration.into();
    }
}

/// The XML for configuring a customer gateway; inside the answer it is escaped text.
fn configuration(connection: &Connection) -> Option<String> {
    let tunnels: String = match connection.configuration {
        ConfigurationView::Absent => return None,
        ConfigurationView::WithoutTunnels => String::new(),
        ConfigurationView::Whole | ConfigurationView::WithoutInside | ConfigurationView::Broken => {
            let inside = connection.configuration != ConfigurationView::WithoutInside;
            connection.tunnels.iter().map(|tunnel| tunnel_configuration(tunnel, inside)).collect()
        }
    };
    let id = escape(connection.id.as_str());
    let document = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<vpn_connection id=\"{id}\">\n  \
         <customer_gateway_id>cgw-0123456789abcdef0</customer_gateway_id>\n  \
         <vpn_gateway_id>vgw-0123456789abcdef0</vpn_gateway_id>\n  \
         <vpn_connection_type>ipsec.1</vpn_connection_type>\n{tunnels}</vpn_connection>\n"
    );
    match connection.configuration {
        ConfigurationView::Broken => {
            let end = document.rfind("</pre_shared_key>").unwrap_or(document.len());
            Some(document[..end].to_owned())
        }
        _ => Some(document),
    }
}

/// With the other content for a gateway: its own end, BGP, and the pre-shared key among the IKE parameters.
fn tunnel_configuration(tunnel: &Tunnel, inside: bool) -> String {
    let end = |outside: &str, ours: bool, asn: u32| {
        let inside = if inside { inside_addresses(tunnel, ours) } else { String::new() };
        format!(
            "<tunnel_outside_address><ip_address>{}</ip_address></tunnel_outside_address>{inside}\
             <bgp><asn>{asn}</asn><hold_time>30</hold_time></bgp>",
            escape(outside)
        )
    };
    let (customer, aws) = (end("192.0.2.1", true, 65000), end(&tunnel.outside_ip, false, 64512));
    let key = escape(tunnel.pre_shared_key.as_str());
    format!(
        "  <ipsec_tunnel>\n    <customer_gateway>{customer}</customer_gateway>\n    \
         <vpn_gateway>{aws}</vpn_gateway>\n    \
         <ike><authentication_protocol>sha1</authentication_protocol><mode>main</mode>\
         <pre_shared_key>{key}</pre_shared_key></ike>\n    \
         <ipsec><tcp_mss_adjustment>1379</tcp_mss_adjustment></ipsec>\n  </ipsec_tunnel>\n"
    )
}

fn inside_addresses(tunnel: &Tunnel, ours: bool) -> String {
    let v4 = |address: &str| {
        format!(
            "<tunnel_inside_address><ip_address>{address}</ip_address><network_mask>255.255.255.252</network_mask>\
             <network_cidr>30</network_cidr></tunnel_inside_address>"
        )
    };
    let address = tunnel.inside(ours);
    if address.is_ipv4() {
        return v4(&address.to_string());
    }
    let beside = v4(if ours { "169.254.45.98" } else { "169.254.45.97" });
    format!(
        "{beside}<tunnel_inside_ipv6_address><ip_address>{address}</ip_address><prefix_length>126</prefix_length>\
         </tunnel_inside_ipv6_address>"
    )
}
