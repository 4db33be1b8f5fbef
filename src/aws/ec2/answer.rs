//! Reads the XML that EC2 answers with, and of it only what is needed: the rest holds the tunnels' pre-shared keys.

mod configuration;
#[cfg(test)]
mod tests;
mod xml;

use std::io::BufRead;
use std::net::IpAddr;

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;

#[cfg(test)]
pub(super) use configuration::Inside;
pub(super) use configuration::TunnelAddresses;
pub(super) use xml::{Garbled, Pieces};
use xml::{Leaf, walk};

use crate::domain::time::Stamp;

/// What is taken of one `vpnConnectionSet` item.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct VpnConnection {
    pub(super) id: String,
    pub(super) state: String,
    /// The value of its tag `Name`.
    pub(super) name: Option<String>,
    /// Whether it has static routes only, and no BGP; `None` if the answer does not say.
    pub(super) static_routes: Option<bool>,
    /// What `customerGatewayConfiguration` says of the tunnels, if the answer has one.
    pub(super) configuration: Option<Result<Vec<TunnelAddresses>, Garbled>>,
    pub(super) telemetry: Vec<TunnelTelemetry>,
    /// The outside addresses in the order of `options.tunnelOptionSet`, by which AWS numbers the tunnels.
    pub(super) order: Vec<IpAddr>,
}

/// One `vgwTelemetry` item.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct TunnelTelemetry {
    pub(super) outside_ip: Option<IpAddr>,
    pub(super) status: String,
    pub(super) message: String,
    pub(super) last_status_change: Option<Stamp>,
}

const ROOT: &str = "/DescribeVpnConnectionsResponse";
const CONNECTION: &str = "/DescribeVpnConnectionsResponse/vpnConnectionSet/item";
const TELEMETRY: &str = "/DescribeVpnConnectionsResponse/vpnConnectionSet/item/vgwTelemetry/item";
const OPTIONS: &str = "/DescribeVpnConnectionsResponse/vpnConnectionSet/item/options";
const TUNNEL_OPTIONS: &str =
    "/DescribeVpnConnectionsResponse/vpnConnectionSet/item/options/tunnelOptionSet/item";
const TAG: &str = "/DescribeVpnConnectionsResponse/vpnConnectionSet/item/tagSet/item";
const ERROR: &str = "/Response/Errors/Error";

/// Reads an answer of `DescribeVpnConnections`.
pub(super) fn connections(body: impl BufRead) -> Result<Vec<VpnConnection>, Garbled> {
    let mut found: Vec<VpnConnection> = Vec::new();
    // A tag's key and value come in either order.
    let mut tag = (String::new(), String::new());
    walk(body, ROOT, is_wanted, |path, leaf| {
        if leaf == Leaf::Opened {
            match path {
                CONNECTION => found.push(VpnConnection::default()),
                TELEMETRY => {
                    if let Some(connection) = found.last_mut() {
                        connection.telemetry.push(TunnelTelemetry::default());
                    }
                }
                TAG => tag = (String::new(), String::new()),
                _ => {}
            }
            return;
        }
        let (Leaf::Closed(text), Some(connection)) = (leaf, found.last_mut()) else { return };
        if path == TAG {
            if tag.0 == "Name" {
                connection.name = Some(std::mem::take(&mut tag.1));
            }
        } else if let Some(field) = field_of(TAG, path) {
            match field {
                "key" => text.clone_into(&mut tag.0),
                "value" => text.clone_into(&mut tag.1),
                _ => {}
            }
        } else if let Some(field) = field_of(TELEMETRY, path) {
            let Some(telemetry) = connection.telemetry.last_mut() else { return };
            match field {
                "outsideIpAddress" => telemetry.outside_ip = text.parse().ok(),
                "status" => telemetry.status = text.to_owned(),
                "statusMessage" => telemetry.message = text.to_owned(),
                "lastStatusChange" => telemetry.last_status_change = stamp(text),
                _ => {}
            }
        } else if field_of(TUNNEL_OPTIONS, path) == Some("outsideIpAddress") {
            connection.order.extend(text.parse::<IpAddr>());
        } else if field_of(OPTIONS, path) == Some("staticRoutesOnly") {
            connection.static_routes = text.parse().ok();
        } else if let Some(field) = field_of(CONNECTION, path) {
            match field {
                "vpnConnectionId" => connection.id = text.to_owned(),
                "state" => connection.state = text.to_owned(),
                "customerGatewayConfiguration" if !text.is_empty() => {
                    connection.configuration = Some(configuration::tunnels(text.as_bytes()));
                }
                _ => {}
            }
        }
    })?;
    Ok(found)
}

/// Reads code and message of an error answer of EC2.
pub(super) fn error(body: &[u8]) -> Option<(String, String)> {
    let (mut code, mut message) = (None, String::new());
    let is_wanted = |path: &str| matches!(field_of(ERROR, path), Some("Code" | "Message"));
    walk(body, "/Response", is_wanted, |path, leaf| match (field_of(ERROR, path), leaf) {
        (Some("Code"), Leaf::Closed(text)) => code = Some(text.to_owned()),
        (Some("Message"), Leaf::Closed(text)) => text.clone_into(&mut message),
        _ => {}
    })
    .ok()?;
    code.map(|code| (code, message))
}

fn stamp(text: &str) -> Option<Stamp> {
    let at = DateTime::from_str(text, Format::DateTime).ok()?;
    at.to_millis().ok().map(Stamp::from_millis)
}

/// The name of a child of the element at `parent`.
fn field_of<'p>(parent: &str, path: &'p str) -> Option<&'p str> {
    path.strip_prefix(parent)?.strip_prefix('/').filter(|field| !field.contains('/'))
}

/// Whether the text of an element is looked at.
fn is_wanted(path: &str) -> bool {
    match path.rsplit_once('/') {
        Some((CONNECTION, field)) => {
            matches!(field, "vpnConnectionId" | "state" | "customerGatewayConfiguration")
        }
        Some((TELEMETRY, field)) => {
            matches!(field, "outsideIpAddress" | "status" | "statusMessage" | "lastStatusChange")
        }
        Some((OPTIONS, field)) => field == "staticRoutesOnly",
        // Beside it stands the pre-shared key.
        Some((TUNNEL_OPTIONS, field)) => field == "outsideIpAddress",
        Some((TAG, field)) => matches!(field, "key" | "value"),
        Some(_) | None => path == TAG,
    }
}
