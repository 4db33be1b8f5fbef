//! Parses EC2's XML answers, and keeps only what is needed: the rest contains the tunnels' pre-shared keys.

#[cfg(test)]
mod tests;

use std::io::{self, BufRead, Read};
use std::net::IpAddr;

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use quick_xml::Reader;
use quick_xml::events::{BytesRef, Event};

use crate::domain::maintenance::Maintenance;
use crate::domain::time::Stamp;

/// The needed parts of one `vpnConnectionSet` item.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct VpnConnection {
    pub(super) id: String,
    pub(super) state: String,
    /// The value of its tag `Name`.
    pub(super) name: Option<String>,
    /// Whether it has static routes only, without BGP; `None` if the answer does not say.
    pub(super) static_routes: Option<bool>,
    /// The tunnels in `customerGatewayConfiguration`, if the answer has one.
    pub(super) configuration: Option<Result<Vec<TunnelAddresses>, Garbled>>,
    pub(super) telemetry: Vec<TunnelTelemetry>,
    /// The outside addresses in the order of `options.tunnelOptionSet`, which is AWS's numbering of the tunnels.
    pub(super) order: Vec<IpAddr>,
}

/// One `vgwTelemetry` item.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct TunnelTelemetry {
    pub(super) outside_ip: Option<IpAddr>,
    pub(super) status: String,
    pub(super) message: String,
    pub(super) last_status_change: Option<Stamp>,
    pub(super) accepted_routes: Option<u32>,
}

const ROOT: &str = "/DescribeVpnConnectionsResponse";
const CONNECTION: &str = "/DescribeVpnConnectionsResponse/vpnConnectionSet/item";
const TELEMETRY: &str = "/DescribeVpnConnectionsResponse/vpnConnectionSet/item/vgwTelemetry/item";
const OPTIONS: &str = "/DescribeVpnConnectionsResponse/vpnConnectionSet/item/options";
const TUNNEL_OPTIONS: &str =
    "/DescribeVpnConnectionsResponse/vpnConnectionSet/item/options/tunnelOptionSet/item";
const TAG: &str = "/DescribeVpnConnectionsResponse/vpnConnectionSet/item/tagSet/item";
const ERROR: &str = "/Response/Errors/Error";

/// Parses an answer of `DescribeVpnConnections`.
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
                "acceptedRouteCount" => telemetry.accepted_routes = text.parse().ok(),
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
                    connection.configuration = Some(tunnels(text.as_bytes()));
                }
                _ => {}
            }
        }
    })?;
    Ok(found)
}

const REPLACEMENT: &str = "/GetVpnTunnelReplacementStatusResponse";
const MAINTENANCE: &str = "/GetVpnTunnelReplacementStatusResponse/maintenanceDetails";

/// Parses an answer of `GetVpnTunnelReplacementStatus`.
pub(super) fn maintenance(body: impl BufRead) -> Result<Maintenance, Garbled> {
    let mut found = Maintenance::default();
    let mut word = String::new();
    let is_wanted = |path: &str| {
        let field = field_of(MAINTENANCE, path);
        matches!(field, Some("pendingMaintenance" | "maintenanceAutoAppliedAfter" | "lastMaintenanceApplied"))
    };
    walk(body, REPLACEMENT, is_wanted, |path, leaf| {
        let Leaf::Closed(text) = leaf else { return };
        match field_of(MAINTENANCE, path) {
            Some("pendingMaintenance") => text.clone_into(&mut word),
            Some("maintenanceAutoAppliedAfter") => found.applied_after = stamp(text),
            Some("lastMaintenanceApplied") => found.last_applied = stamp(text),
            Some(_) | None => {}
        }
    })?;
    found.pending = is_pending(&word, found.applied_after);
    Ok(found)
}

/// The model calls `PendingMaintenance` a text and names no values; AWS's console shows "Available" and "None" in its place (AWS
/// Site-to-Site VPN User Guide, "Check for available updates"). Any other word counts for what the date beside it says.
fn is_pending(word: &str, applied_after: Option<Stamp>) -> bool {
    match word.to_ascii_lowercase().as_str() {
        "available" | "pending" | "yes" | "true" => true,
        "" | "none" | "no" | "false" => false,
        _ => applied_after.is_some(),
    }
}

/// Parses code and message of an EC2 error answer.
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

/// The name of the child of the element at `parent`.
fn field_of<'p>(parent: &str, path: &'p str) -> Option<&'p str> {
    path.strip_prefix(parent)?.strip_prefix('/').filter(|field| !field.contains('/'))
}

/// Whether the text of an element is needed.
fn is_wanted(path: &str) -> bool {
    match path.rsplit_once('/') {
        Some((CONNECTION, field)) => {
            matches!(field, "vpnConnectionId" | "state" | "customerGatewayConfiguration")
        }
        Some((TELEMETRY, field)) => {
            matches!(
                field,
                "outsideIpAddress" | "status" | "statusMessage" | "lastStatusChange" | "acceptedRouteCount"
            )
        }
        Some((OPTIONS, field)) => field == "staticRoutesOnly",
        // The pre-shared key is next to it.
        Some((TUNNEL_OPTIONS, field)) => field == "outsideIpAddress",
        Some((TAG, field)) => matches!(field, "key" | "value"),
        Some(_) | None => path == TAG,
    }
}

// Parses `customerGatewayConfiguration`, the XML document inside the answer for configuring a customer gateway: only the tunnels'
// addresses, not the pre-shared keys next to them.

/// The addresses of one `ipsec_tunnel`, as far as present.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::aws::ec2) struct TunnelAddresses {
    /// AWS's outside address, on the Internet or in a private network.
    pub(in crate::aws::ec2) outside_ip: Option<IpAddr>,
    /// `tunnel_inside_address`.
    pub(in crate::aws::ec2) inside_v4: Inside,
    /// `tunnel_inside_ipv6_address`: a tunnel that carries IPv6 has both.
    pub(in crate::aws::ec2) inside_v6: Inside,
}

/// The two ends inside a tunnel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::aws::ec2) struct Inside {
    /// `vpn_gateway`.
    pub(in crate::aws::ec2) aws: Option<IpAddr>,
    /// `customer_gateway`.
    pub(in crate::aws::ec2) ours: Option<IpAddr>,
}

impl Inside {
    /// AWS's end and ours, if both are known.
    pub(in crate::aws::ec2) fn both(self) -> Option<(IpAddr, IpAddr)> {
        self.aws.zip(self.ours)
    }
}

impl TunnelAddresses {
    /// Whether it is one of AWS's inside addresses.
    pub(in crate::aws::ec2) fn has_inside(&self, address: IpAddr) -> bool {
        [self.inside_v4.aws, self.inside_v6.aws].contains(&Some(address))
    }
}

const TUNNEL: &str = "/vpn_connection/ipsec_tunnel";

/// The tunnels, in the order of the document.
pub(super) fn tunnels(document: impl BufRead) -> Result<Vec<TunnelAddresses>, Garbled> {
    let mut found: Vec<TunnelAddresses> = Vec::new();
    let is_wanted = |path: &str| path.starts_with(TUNNEL) && path.ends_with("/ip_address");
    walk(document, "/vpn_connection", is_wanted, |path, leaf| match leaf {
        Leaf::Opened if path == TUNNEL => found.push(TunnelAddresses::default()),
        Leaf::Opened => {}
        Leaf::Closed(text) => {
            let (Some(tunnel), Some(field)) = (found.last_mut(), path.strip_prefix(TUNNEL)) else { return };
            let address = text.parse().ok();
            match field {
                "/vpn_gateway/tunnel_outside_address/ip_address" => tunnel.outside_ip = address,
                "/vpn_gateway/tunnel_inside_address/ip_address" => tunnel.inside_v4.aws = address,
                "/customer_gateway/tunnel_inside_address/ip_address" => tunnel.inside_v4.ours = address,
                "/vpn_gateway/tunnel_inside_ipv6_address/ip_address" => tunnel.inside_v6.aws = address,
                "/customer_gateway/tunnel_inside_ipv6_address/ip_address" => tunnel.inside_v6.ours = address,
                _ => {}
            }
        }
    })?;
    Ok(found)
}

//--- parses an XML document and keeps only what is needed: the rest may be secret

/// The answer is not EC2's: none of its text is kept, because it may be secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::aws::ec2) enum Garbled {
    /// Not well-formed XML.
    Malformed,
    /// It ends before its root element does.
    Truncated,
    /// Another document.
    Foreign,
}

impl AsRef<str> for Garbled {
    fn as_ref(&self) -> &str {
        match self {
            Self::Malformed => "the answer is not well-formed XML",
            Self::Truncated => "the answer is truncated",
            Self::Foreign => "the answer is not EC2's",
        }
    }
}

/// An event of the parser.
#[derive(PartialEq)]
enum Leaf<'a> {
    Opened,
    /// With its text.
    Closed(&'a str),
}

/// Deeper than any answer of EC2's.
const DEEPEST: usize = 64;

/// Reports by path every opened element, and every closed one that is wanted, with its text. Copies no other text out of the
/// event buffer, and overwrites both buffers at the end.
fn walk(
    body: impl BufRead,
    root: &str,
    is_wanted: impl Fn(&str) -> bool,
    mut visit: impl FnMut(&str, Leaf<'_>),
) -> Result<(), Garbled> {
    let mut reader = Reader::from_reader(body);
    reader.config_mut().expand_empty_elements = true;
    let (mut buffer, mut text) = (Scrubbed::default(), Scrubbed::default());
    let (mut path, mut depth) = (String::new(), 0_usize);
    let mut complete = false;
    loop {
        buffer.0.clear();
        match reader.read_event_into(&mut buffer.0).map_err(|_| Garbled::Malformed)? {
            Event::Start(element) => {
                depth += 1;
                if depth > DEEPEST || complete {
                    return Err(Garbled::Malformed);
                }
                path.push('/');
                path.push_str(element.local_name().as_ref());
                if depth == 1 && path != root {
                    return Err(Garbled::Foreign);
                }
                text.0.clear();
                visit(&path, Leaf::Opened);
            }
            Event::End(_) => {
                depth = depth.checked_sub(1).ok_or(Garbled::Malformed)?;
                if is_wanted(&path) {
                    visit(&path, Leaf::Closed(text.as_str().trim()));
                }
                text.0.clear();
                path.truncate(path.rfind('/').unwrap_or(0));
                complete = depth == 0;
            }
            Event::Text(more) if is_wanted(&path) => text.push(&more)?,
            Event::CData(more) if is_wanted(&path) => text.push(&more)?,
            Event::GeneralRef(reference) if is_wanted(&path) => {
                let character = character(&reference).ok_or(Garbled::Malformed)?;
                text.push(character.encode_utf8(&mut [0; 4]))?;
            }
            Event::Eof if complete => return Ok(()),
            Event::Eof if depth == 0 => return Err(Garbled::Foreign),
            Event::Eof => return Err(Garbled::Truncated),
            Event::Text(_)
            | Event::CData(_)
            | Event::GeneralRef(_)
            | Event::Empty(_)
            | Event::Comment(_)
            | Event::Decl(_)
            | Event::PI(_)
            | Event::DocType(_) => {}
        }
    }
}

/// One of XML's five entities (XML 1.0, section 4.6), or a character by number.
fn character(reference: &BytesRef<'_>) -> Option<char> {
    match &**reference {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "apos" => Some('\''),
        "quot" => Some('"'),
        _ => reference.resolve_char_ref().ok().flatten(),
    }
}

/// A buffer for the answer's texts; large enough for the longest (a customer gateway's configuration) never to reallocate, and
/// overwritten when dropped.
struct Scrubbed(Vec<u8>);

impl Scrubbed {
    /// Appends to a text. A text that would force a reallocation, which leaves a copy behind, is not from EC2.
    fn push(&mut self, more: &str) -> Result<(), Garbled> {
        if self.0.capacity() - self.0.len() < more.len() {
            return Err(Garbled::Malformed);
        }
        self.0.extend_from_slice(more.as_bytes());
        Ok(())
    }

    /// The text: only whole characters were added.
    fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl Default for Scrubbed {
    fn default() -> Self {
        Self(Vec::with_capacity(128 * 1024))
    }
}

impl Drop for Scrubbed {
    fn drop(&mut self) {
        self.0.resize(self.0.capacity(), 0);
        self.0.fill(0);
        // Keeps the writes from being optimised away with the buffer.
        std::hint::black_box(&self.0);
    }
}

/// The pieces of a body, read in sequence without copying.
pub(in crate::aws::ec2) struct Pieces<B> {
    pieces: Vec<B>,
    at: usize,
    offset: usize,
}

impl<B: AsRef<[u8]>> Pieces<B> {
    pub(in crate::aws::ec2) fn new(pieces: Vec<B>) -> Self {
        Self { pieces, at: 0, offset: 0 }
    }

    /// Returns the pieces, for overwriting.
    pub(in crate::aws::ec2) fn into_inner(self) -> Vec<B> {
        self.pieces
    }
}

impl<B: AsRef<[u8]>> Read for Pieces<B> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let from = self.fill_buf()?;
        let count = from.len().min(into.len());
        into[..count].copy_from_slice(&from[..count]);
        self.consume(count);
        Ok(count)
    }
}

impl<B: AsRef<[u8]>> BufRead for Pieces<B> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.pieces.get(self.at).is_some_and(|piece| piece.as_ref().len() <= self.offset) {
            self.at += 1;
            self.offset = 0;
        }
        Ok(self.pieces.get(self.at).map_or(&[], |piece| &piece.as_ref()[self.offset..]))
    }

    fn consume(&mut self, count: usize) {
        self.offset += count;
    }
}
