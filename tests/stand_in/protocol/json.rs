//! AWS JSON 1.1: the operation in a header, everything else in a JSON body.

use serde_json::{Map, Value};

use super::super::model::{Model, Operation};
use super::super::refusal::{Coded, Refusal};
use super::super::server::{Incoming, Reply};
use super::super::wire::Wire;
use super::with_times;

const CONTENT_TYPE: &str = "application/x-amz-json-1.1";

pub(super) fn decode(model: &Model, operation: &Operation, request: &Incoming) -> Result<Wire, Refusal> {
    if request.header("content-type") != Some(CONTENT_TYPE) {
        return Err(Refusal::Malformed(format!("the body is not {CONTENT_TYPE}")));
    }
    let body: Value = serde_json::from_slice(&request.body)
        .map_err(|error| Refusal::Malformed(format!("no JSON: {error}")))?;
    Ok(with_times(model, &operation.input.shape, Wire::from_json(&body)))
}

pub(super) fn encode(output: &Value) -> Reply {
    Reply::new(200, CONTENT_TYPE, output.to_string().into_bytes())
}

/// The message under either spelling: services differ.
pub(super) fn encode_error(coded: &Coded) -> Reply {
    let mut body = Map::new();
    body.insert("__type".to_owned(), coded.name.into());
    let spelt = if coded.name.starts_with("OpsItem") { "Message" } else { "message" };
    body.insert(spelt.to_owned(), coded.message.as_str().into());
    body.extend(coded.members.clone());
    Reply::new(coded.status, CONTENT_TYPE, Value::Object(body).to_string().into_bytes())
}
