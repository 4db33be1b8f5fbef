//! REST-JSON 1: members in the query string or in a JSON body; the error's name in a header.

use serde_json::{Map, Value};

use super::super::check::Invalid;
use super::super::model::{Member, Model, Operation};
use super::super::refusal::{Coded, Refusal};
use super::super::server::{Incoming, Reply};
use super::super::wire::Wire;
use super::{form, with_times};

pub(super) fn decode(model: &Model, operation: &Operation, request: &Incoming) -> Result<Wire, Refusal> {
    let shape = model.shape(&operation.input.shape);
    let mut entries = Vec::new();
    for (sent, value) in form::pairs(request.query.as_bytes()) {
        let member = shape.members.iter().find(|(_, member)| in_query(member) == Some(&sent));
        let (name, _) = member.ok_or_else(|| unknown(&sent))?;
        // Operations here have only text in their query string.
        entries.push((name.clone(), Wire::Text(value)));
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
        let in_query = |(name, _): &&(String, Wire)| shape.members.get(name).and_then(in_query).is_some();
        if let Some((name, _)) = members.iter().find(in_query) {
            return Err(unknown(name));
        }
        entries.extend(members);
    }
    Ok(with_times(model, &operation.input.shape, Wire::Map(entries)))
}

/// The name of a member in the query string, if it is there.
fn in_query(member: &Member) -> Option<&str> {
    member.location_name.as_deref().filter(|_| member.location.as_deref() == Some("querystring"))
}

fn unknown(name: &str) -> Refusal {
    Refusal::Invalid(Invalid::Unknown { path: name.to_owned() })
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
