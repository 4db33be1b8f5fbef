//! Reads the XML that EC2 answers with, and of it only what is needed: the rest holds the tunnels' pre-shared keys.

use std::io::{self, BufRead, Read};
use std::net::IpAddr;

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use quick_xml::Reader;
use quick_xml::events::BytesRef;
use quick_xml::events::Event;

use crate::domain::time::Stamp;

/// What is taken of one `vpnConnectionSet` item.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct VpnConnection {
    pub(super) id: String,
    pub(super) state: String,
    pub(super) telemetry: Vec<TunnelTelemetry>,
}

/// One `vgwTelemetry` item.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct TunnelTelemetry {
    pub(super) outside_ip: Option<IpAddr>,
    pub(super) status: String,
    pub(super) message: String,
    pub(super) last_status_change: Option<Stamp>,
}

/// The answer is not what EC2 answers: no words of it are kept, because they may be secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Garbled {
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

const ROOT: &str = "/DescribeVpnConnectionsResponse";
const CONNECTION: &str = "/DescribeVpnConnectionsResponse/vpnConnectionSet/item";
const TELEMETRY: &str = "/DescribeVpnConnectionsResponse/vpnConnectionSet/item/vgwTelemetry/item";

/// Reads an answer of `DescribeVpnConnections`.
pub(super) fn connections(body: impl BufRead) -> Result<Vec<VpnConnection>, Garbled> {
    let mut found: Vec<VpnConnection> = Vec::new();
    walk(body, ROOT, |path, leaf| {
        if leaf == Leaf::Opened {
            match path {
                CONNECTION => found.push(VpnConnection::default()),
                TELEMETRY => {
                    if let Some(connection) = found.last_mut() {
                        connection.telemetry.push(TunnelTelemetry::default());
                    }
                }
                _ => {}
            }
            return;
        }
        let (Leaf::Closed(text), Some(connection)) = (leaf, found.last_mut()) else { return };
        if let Some(field) = path.strip_prefix(TELEMETRY).and_then(|rest| rest.strip_prefix('/')) {
            let Some(telemetry) = connection.telemetry.last_mut() else { return };
            match field {
                "outsideIpAddress" => telemetry.outside_ip = text.parse().ok(),
                "status" => telemetry.status = text.to_owned(),
                "statusMessage" => telemetry.message = text.to_owned(),
                "lastStatusChange" => telemetry.last_status_change = stamp(text),
                _ => {}
            }
        } else if let Some(field) = path.strip_prefix(CONNECTION).and_then(|rest| rest.strip_prefix('/')) {
            match field {
                "vpnConnectionId" => connection.id = text.to_owned(),
                "state" => connection.state = text.to_owned(),
                _ => {}
            }
        }
    })?;
    Ok(found)
}

/// Reads code and message of an error answer of EC2.
pub(super) fn error(body: &[u8]) -> Option<(String, String)> {
    let (mut code, mut message) = (None, String::new());
    walk(body, "/Response", |path, leaf| match (path, leaf) {
        ("/Response/Errors/Error/Code", Leaf::Closed(text)) => code = Some(text.to_owned()),
        ("/Response/Errors/Error/Message", Leaf::Closed(text)) => text.clone_into(&mut message),
        _ => {}
    })
    .ok()?;
    code.map(|code| (code, message))
}

fn stamp(text: &str) -> Option<Stamp> {
    let at = DateTime::from_str(text, Format::DateTime).ok()?;
    at.to_millis().ok().map(Stamp::from_millis)
}

/// Whether the text of an element is looked at; no other text is ever copied out of the event buffer.
fn is_wanted(path: &str) -> bool {
    const FIELDS: [&str; 6] =
        ["vpnConnectionId", "state", "outsideIpAddress", "status", "statusMessage", "lastStatusChange"];
    match path.rsplit_once('/') {
        Some((CONNECTION | TELEMETRY, field)) => FIELDS.contains(&field),
        Some(("/Response/Errors/Error", field)) => field == "Code" || field == "Message",
        Some(_) | None => false,
    }
}

#[derive(PartialEq)]
enum Leaf<'a> {
    Opened,
    Closed(&'a str),
}

/// Deeper than any answer of EC2's.
const DEEPEST: usize = 64;

/// Tells every element's opening and closing, the latter with its text if that is wanted, by path.
fn walk(body: impl BufRead, root: &str, mut tell: impl FnMut(&str, Leaf<'_>)) -> Result<(), Garbled> {
    let mut reader = Reader::from_reader(body);
    reader.config_mut().expand_empty_elements = true;
    let mut buffer = Scrubbed::default();
    let (mut path, mut text, mut depth) = (String::new(), String::new(), 0_usize);
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
                text.clear();
                tell(&path, Leaf::Opened);
            }
            Event::End(_) => {
                depth = depth.checked_sub(1).ok_or(Garbled::Malformed)?;
                if is_wanted(&path) {
                    tell(&path, Leaf::Closed(text.trim()));
                }
                text.clear();
                path.truncate(path.rfind('/').unwrap_or(0));
                complete = depth == 0;
            }
            Event::Text(more) if is_wanted(&path) => text.push_str(&more),
            Event::CData(more) if is_wanted(&path) => text.push_str(&more),
            Event::GeneralRef(reference) if is_wanted(&path) => {
                text.push(character(&reference).ok_or(Garbled::Malformed)?);
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

/// The buffer that every text of the answer passes through; wide enough for the longest (a customer gateway's
/// configuration) not to move, and overwritten when done.
struct Scrubbed(Vec<u8>);

impl Default for Scrubbed {
    fn default() -> Self {
        Self(Vec::with_capacity(64 * 1024))
    }
}

impl Drop for Scrubbed {
    fn drop(&mut self) {
        self.0.resize(self.0.capacity(), 0);
        self.0.fill(0);
        // Keeps the writes from being optimised away with the buffer they go to.
        std::hint::black_box(&self.0);
    }
}

/// The pieces of a body, read one after the other where they are.
pub(super) struct Pieces<B> {
    pieces: Vec<B>,
    at: usize,
    offset: usize,
}

impl<B: AsRef<[u8]>> Pieces<B> {
    pub(super) fn new(pieces: Vec<B>) -> Self {
        Self { pieces, at: 0, offset: 0 }
    }

    /// Gives the pieces back, to be overwritten.
    pub(super) fn into_inner(self) -> Vec<B> {
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

#[cfg(test)]
mod tests;
