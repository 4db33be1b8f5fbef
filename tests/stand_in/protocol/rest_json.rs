//! REST-JSON 1: members in the query string or in a JSON body; the error's name in a header.

use serde_json::{Map, Value};

use super::super::model::{Model, Operation};
use super::super::refusal::{Coded, Refusal};
use super::super::server::{Incoming, Reply};
use super::super::wire::Wire;
use super::{form, with_times};

pub(super) fn decode(model: &Model, operation: &Operation, request: &Incoming) -> Result<Wire, Refusal> {
    let shape = model.shape(&operation.input.shape);
    let mut entries = Vec::new();
    for (sent, value) in form::pairs(request.query.as_bytes()) {
        // `Filters=&maxResults=` and the like have no operation here: what travels in a query string is text.
        let member = shape.members.iter().find(|(_, member)| {
            member.location.as_deref() == Some("querystring")
                && member.location_name.as_deref() == Some(&sent)
        });
        entries.push((member.map_or_else(|| sent.clone(), |(name, _)| name.clone()), Wire::Text(value)));
    }
    if !request.body.is_empty() {
        if request.header("content-type") != Some("application/json") {
            return Err(Refusal::Malformed("the body is not application/json".to_owned()));
        }
        let body: Value = serde_json::from_slice(&request.body)
            .map_err(|error| Refusal::Malformed(format!("no JSON: {error}")))?;
        let Wire::Map(members) = Wire::from_json(&body) else {
            return Err(Refusal::Malformed("the body is not a JSON object".to_owned()));
        };
        entries.extend(members);
    }
    Ok(with_times(model, &operation.input.shape, Wire::Map(entries)))
}

pub(super) fn encode(operation: &Operation, output: &Value) -> Reply {
    let status = operation.http.response_code.unwrap_or(200);
    if status == 204 {
        return Reply::new(status, "application/json", Vec::new());
    }
    Reply::new(status, "application/json", output.to_string().into_bytes())
}

pub(super) fn encode_error(coded: &Coded) -> Reply {
    let mut body = Map::from_iter([("message".to_owned(), Value::from(coded.message.as_str()))]);
    body.extend(coded.members.clone());
    Reply::new(coded.status, "application/json", Value::Object(body).to_string().into_bytes())
        .with("x-amzn-errortype", coded.name)
}
