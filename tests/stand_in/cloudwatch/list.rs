//! `ListMetrics`, for `AWS/VPN`'s `TunnelState` and custom metrics.

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::refusal::Refusal;
use super::super::settings::TunnelDimensions;
use super::super::sigv4::Caller;
use super::super::state::State;
use super::invalid_value;
use super::store::MetricKey;

const TOKEN_PREFIX: &str = "metrics-given-";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Input {
    namespace: Option<String>,
    metric_name: Option<String>,
    #[serde(default)]
    dimensions: Vec<Filter>,
    next_token: Option<String>,
}

/// A metric passes if it has a dimension with this name and, if given, this value.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Filter {
    name: String,
    value: Option<String>,
}

pub(super) fn list_metrics(state: &mut State, caller: &Caller, input: Value) -> Result<Value, Refusal> {
    let input: Input = serde_json::from_value(input).map_err(|_| Refusal::Internal)?;
    let given = match &input.next_token {
        None => 0,
        Some(token) => match token.strip_prefix(TOKEN_PREFIX).and_then(|given| given.parse().ok()) {
            Some(given) => given,
            None => return invalid_value("The value for parameter NextToken is invalid."),
        },
    };
    let ours = tunnel_states(state, &caller.region);
    let all = ours.into_iter().chain(state.metrics.keys().filter(|key| key.region == caller.region).cloned());
    let passes = |key: &MetricKey| {
        input.namespace.as_ref().is_none_or(|namespace| key.namespace == *namespace)
            && input.metric_name.as_ref().is_none_or(|name| key.name == *name)
            && input.dimensions.iter().all(|Filter { name, value }| {
                key.dimension(name).is_some_and(|has| value.as_deref().is_none_or(|value| has == value))
            })
    };
    let listed = all.filter(passes).skip(given).map(
        |key| json!({ "Namespace": key.namespace, "MetricName": key.name, "Dimensions": key.dimensions }),
    );
    let mut left: Vec<Value> = listed.collect();
    // Up to 500 results are returned for any one call (ListMetrics, API Reference).
    let most = state.switches.metrics_per_page;
    let are_more = left.len() > most;
    left.truncate(most);
    let mut output = json!({ "Metrics": left });
    if are_more {
        output["NextToken"] = format!("{TOKEN_PREFIX}{}", given + most).into();
    }
    Ok(output)
}

/// Every `TunnelState` metric that has data, by the switch on dimensions.
fn tunnel_states(state: &State, region: &str) -> Vec<MetricKey> {
    let connections = state.connections.iter().filter(|connection| connection.region == region);
    let tunnels =
        connections.flat_map(|of| of.tunnels.iter().map(move |tunnel| (&of.id, &tunnel.outside_ip)));
    let dimension = |name: &str, value: &str| serde_json::from_value(json!({ "Name": name, "Value": value }));
    tunnels
        .map(|(vpn, ip)| {
            let named: Vec<(&str, &str)> = match state.switches.tunnel_dimensions {
                TunnelDimensions::Any => vec![("VpnId", vpn), ("TunnelIpAddress", ip)],
                TunnelDimensions::AddressAlone | TunnelDimensions::NoAggregate => {
                    vec![("TunnelIpAddress", ip)]
                }
                TunnelDimensions::Others => {
                    vec![("VpnId", vpn), ("TunnelIpAddress", ip), ("Category", "VPN")]
                }
            };
            let dimensions = named.into_iter().filter_map(|(name, value)| dimension(name, value).ok());
            MetricKey::new(region, "AWS/VPN", "TunnelState", dimensions.collect())
        })
        .collect()
}
