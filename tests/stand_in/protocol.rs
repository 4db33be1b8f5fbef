//! Bytes to values and back, in the five protocols that AWS's services use here.

pub(super) mod cbor;
pub(super) mod form;
pub(super) mod json;
pub(super) mod query;
pub(super) mod rest_json;

use serde_json::Value;

use super::api::Service;
use super::clock;
use super::model::{Kind, Model, Operation};
use super::refusal::{Coded, Refusal};
use super::server::{Incoming, Reply};
use super::wire::Wire;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Protocol {
    RpcV2Cbor,
    Query,
    Ec2Query,
    RestJson,
    /// AWS JSON 1.1.
    Json,
}

/// The input of `operation` as received, not yet checked.
pub(super) fn decode(service: Service, operation: &Operation, request: &Incoming) -> Result<Wire, Refusal> {
    let model = service.model();
    match service.protocol() {
        Protocol::RpcV2Cbor => cbor::decode(request),
        Protocol::Query | Protocol::Ec2Query => query::decode(service, operation, request),
        Protocol::RestJson => rest_json::decode(model, operation, request),
        Protocol::Json => json::decode(model, operation, request),
    }
}

/// The answer of `operation`; `output` has the model's shape.
pub(super) fn encode(service: Service, name: &str, operation: &Operation, output: &Value) -> Reply {
    let model = service.model();
    match service.protocol() {
        Protocol::RpcV2Cbor => cbor::encode(model, operation, output),
        Protocol::Query | Protocol::Ec2Query => query::encode(service, name, operation, output),
        Protocol::RestJson => rest_json::encode(operation, output),
        Protocol::Json => json::encode(output),
    }
}

/// A rejection, as the service words it.
pub(super) fn encode_error(service: Service, request: &Incoming, coded: &Coded) -> Reply {
    match service.protocol() {
        Protocol::RpcV2Cbor => cbor::encode_error(request, coded),
        Protocol::Query | Protocol::Ec2Query => query::encode_error(service, coded),
        Protocol::RestJson => rest_json::encode_error(coded),
        Protocol::Json => json::encode_error(coded),
    }
}

/// Marks numbers as timestamps where the model has a timestamp: JSON does not distinguish them.
fn with_times(model: &Model, shape: &str, wire: Wire) -> Wire {
    let shape = model.shape(shape);
    if shape.kind == Kind::Timestamp {
        return if let Wire::Float(seconds) = wire {
            Wire::Time(seconds)
        } else if let Wire::Int(seconds) = wire {
            Wire::Time(seconds as f64)
        } else {
            wire
        };
    }
    let member = |name: &str| shape.members.get(name).or(shape.value.as_ref());
    if let Wire::Map(entries) = wire {
        let marked = entries.into_iter().map(|(name, value)| {
            let value = member(&name)
                .map(|m| m.shape.as_str())
                .map_or_else(|| value.clone(), |below| with_times(model, below, value.clone()));
            (name, value)
        });
        return Wire::Map(marked.collect());
    }
    if let (Wire::List(items), Some(member)) = (&wire, &shape.member) {
        return Wire::List(items.iter().map(|item| with_times(model, &member.shape, item.clone())).collect());
    }
    wire
}

/// The text of a scalar in XML.
fn scalar(kind: Kind, value: &Value) -> String {
    match (kind, value.as_f64(), value.as_str()) {
        (Kind::Timestamp, Some(seconds), _) => clock::iso(seconds),
        (_, _, Some(text)) => text.to_owned(),
        (_, _, None) => value.to_string(),
    }
}
