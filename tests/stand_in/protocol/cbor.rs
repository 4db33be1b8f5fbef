//! Smithy RPC v2 CBOR, with the additions for services that used to have Query (`x-amzn-query-mode`).

use std::io::Read as _;

use ciborium::Value as Cbor;
use serde_json::Value;

use super::super::cloudwatch::limits::LARGEST_BODY;
use super::super::model::{Kind, Model, Operation};
use super::super::refusal::{Coded, Refusal};
use super::super::server::{Incoming, Reply};
use super::super::wire::Wire;

pub(super) fn decode(request: &Incoming) -> Result<Wire, Refusal> {
    let wanted = [("smithy-protocol", "rpc-v2-cbor"), ("content-type", "application/cbor")];
    if let Some((name, value)) = wanted.iter().find(|(name, value)| request.header(name) != Some(value)) {
        return Err(Refusal::Malformed(format!("the header {name} is not {value}")));
    }
    if request.method != "POST" {
        return Err(Refusal::UnknownOperation(request.path.clone()));
    }
    let body = unpacked(request)?;
    let mut rest = body.as_slice();
    let value: Cbor =
        ciborium::from_reader(&mut rest).map_err(|error| Refusal::Malformed(format!("no CBOR: {error}")))?;
    if !rest.is_empty() {
        return Err(Refusal::Malformed("bytes after the end of the CBOR value".to_owned()));
    }
    wire(value).ok_or_else(|| Refusal::Malformed("CBOR that no Smithy shape has".to_owned()))
}

fn unpacked(request: &Incoming) -> Result<Vec<u8>, Refusal> {
    let too_large = || {
        let message = format!("Request entity is larger than {LARGEST_BODY} bytes");
        Refusal::from(Coded::new(413, "RequestEntityTooLarge", "RequestEntityTooLargeException", message))
    };
    let body = match request.header("content-encoding") {
        None => request.body.clone(),
        Some("gzip") => {
            let mut unpacked = Vec::new();
            flate2::read::GzDecoder::new(request.body.as_slice())
                .take(LARGEST_BODY as u64 + 1)
                .read_to_end(&mut unpacked)
                .map_err(|error| Refusal::Malformed(format!("no gzip: {error}")))?;
            unpacked
        }
        Some(other) => return Err(Refusal::Malformed(format!("unknown Content-Encoding {other}"))),
    };
    if body.len() > LARGEST_BODY { Err(too_large()) } else { Ok(body) }
}

fn wire(value: Cbor) -> Option<Wire> {
    if let Cbor::Tag(1, inner) = &value {
        let seconds = inner.as_float().or_else(|| inner.as_integer().map(|i| i128::from(i) as f64));
        return seconds.map(Wire::Time);
    }
    if let Some(flag) = value.as_bool() {
        return Some(Wire::Bool(flag));
    }
    if let Some(number) = value.as_integer() {
        return Some(Wire::Int(i128::from(number)));
    }
    if let Some(number) = value.as_float() {
        return Some(Wire::Float(number));
    }
    if value.is_null() {
        return Some(Wire::Null);
    }
    if value.is_bytes() {
        return Some(Wire::Bytes);
    }
    if value.is_text() {
        return value.into_text().ok().map(Wire::Text);
    }
    if value.is_array() {
        return value.into_array().ok()?.into_iter().map(wire).collect::<Option<_>>().map(Wire::List);
    }
    let entries = value.into_map().ok()?.into_iter();
    entries
        .map(|(key, value)| Some((key.into_text().ok()?, wire(value)?)))
        .collect::<Option<_>>()
        .map(Wire::Map)
}

pub(super) fn encode(model: &Model, operation: &Operation, output: &Value) -> Reply {
    // An operation without output answers with an empty map.
    let body = operation
        .output
        .as_ref()
        .map_or_else(|| Cbor::Map(vec![]), |shape| shaped(model, &shape.shape, output));
    reply(200, &body)
}

pub(super) fn encode_error(request: &Incoming, coded: &Coded) -> Reply {
    let mut entries = vec![
        (Cbor::from("__type"), Cbor::from(format!("com.amazonaws.cloudwatch#{}", coded.name))),
        (Cbor::from("message"), Cbor::from(coded.message.as_str())),
    ];
    entries.extend(coded.members.iter().map(|(name, value)| (Cbor::from(name.as_str()), plain(value))));
    let reply = reply(coded.status, &Cbor::Map(entries));
    if request.header("x-amzn-query-mode") == Some("true") {
        let fault = if coded.status >= 500 { "Receiver" } else { "Sender" };
        reply.with("x-amzn-query-error", format!("{};{fault}", coded.code))
    } else {
        reply
    }
}

fn reply(status: u16, body: &Cbor) -> Reply {
    let mut bytes = Vec::new();
    // Writing to a vector does not fail, and no value here exceeds ciborium's nesting limit.
    if ciborium::into_writer(body, &mut bytes).is_err() {
        bytes.clear();
    }
    Reply::new(status, "application/cbor", bytes).with("smithy-protocol", "rpc-v2-cbor")
}

fn shaped(model: &Model, shape: &str, value: &Value) -> Cbor {
    let shape = model.shape(shape);
    if let (Kind::Timestamp, Some(seconds)) = (shape.kind, value.as_f64()) {
        return Cbor::Tag(1, Box::new(Cbor::Float(seconds)));
    }
    if let (Kind::Double | Kind::Float, Some(number)) = (shape.kind, value.as_f64()) {
        return Cbor::Float(number);
    }
    if let Some(entries) = value.as_object() {
        let of = |name: &str| shape.members.get(name).or(shape.value.as_ref());
        let shaped = entries.iter().map(|(name, value)| {
            let below = of(name).map_or_else(|| plain(value), |member| shaped(model, &member.shape, value));
            (Cbor::from(name.as_str()), below)
        });
        return Cbor::Map(shaped.collect());
    }
    if let (Some(items), Some(member)) = (value.as_array(), &shape.member) {
        return Cbor::Array(items.iter().map(|item| shaped(model, &member.shape, item)).collect());
    }
    plain(value)
}

fn plain(value: &Value) -> Cbor {
    Cbor::serialized(value).unwrap_or(Cbor::Null)
}
