//! SNS: topics that accept messages, with the limits of the API reference's `Publish`, and can be inspected.

use serde_json::{Map, Value, json};

use super::api::Handler;
use super::refusal::{Coded, Refusal};
use super::sigv4::Caller;
use super::state::State;

pub(super) const OPERATIONS: &[(&str, Handler)] =
    &[("GetTopicAttributes", get_topic_attributes), ("Publish", publish)];

/// A message and its attributes, in bytes.
const LARGEST: usize = 256 * 1024;
const SUBJECT_MAX: usize = 100;
/// The limit of an SQS queue with raw delivery.
const ATTRIBUTES_MAX: usize = 10;

fn publish(state: &mut State, caller: &Caller, input: Value) -> Result<Value, Refusal> {
    let text = |member: &str| input[member].as_str().unwrap_or_default();
    let topic = text("TopicArn");
    is_there(state, caller, topic)?;
    let subject = text("Subject");
    let plain = subject.chars().all(|c| c == ' ' || c.is_ascii_graphic());
    if input.get("Subject").is_some()
        && !(plain && (1..=SUBJECT_MAX).contains(&subject.len()) && !subject.starts_with(' '))
    {
        return invalid("Subject");
    }
    let empty = Map::new();
    let attributes = input["MessageAttributes"].as_object().unwrap_or(&empty);
    let size = text("Message").len()
        + attributes.iter().map(|(name, value)| name.len() + value.to_string().len()).sum::<usize>();
    if size > LARGEST {
        return invalid("Message too long");
    }
    if attributes.len() > ATTRIBUTES_MAX
        || attributes
            .values()
            .any(|it| it["DataType"] != "String" || it["StringValue"].as_str().is_none_or(str::is_empty))
    {
        return invalid("MessageAttributes");
    }
    let bodies = bodies(&input)?;
    let fifo = topic.ends_with(".fifo");
    if fifo != input.get("MessageGroupId").is_some() {
        return invalid("MessageGroupId");
    }
    let known = |given: &&Value| fifo && given["deduplication"] == input["MessageDeduplicationId"];
    if let Some(known) = state.messages.iter().find(known) {
        return Ok(json!({ "MessageId": known["id"], "SequenceNumber": "1" }));
    }
    let id = format!("{:08x}-0000-4000-8000-000000000000", state.messages.len() + 1);
    state.messages.push(json!({
        "id": id,
        "topic": topic,
        "subject": subject,
        "bodies": bodies,
        "attributes": attributes.iter().map(|(name, value)| (name.clone(), value["StringValue"].clone())).collect::<Map<_, _>>(),
        "group": input["MessageGroupId"],
        "deduplication": input["MessageDeduplicationId"],
    }));
    Ok(json!({ "MessageId": id }))
}

/// An endpoint knows only its own Region's topics.
fn is_there(state: &State, caller: &Caller, topic: &str) -> Result<(), Refusal> {
    if topic.split(':').nth(3) != Some(caller.region.as_str()) {
        return invalid("TopicArn");
    }
    if !state.settings.topics.iter().any(|known| known == topic) {
        return Err(Coded::new(404, "NotFound", "NotFoundException", "Topic does not exist").into());
    }
    Ok(())
}

fn get_topic_attributes(state: &mut State, caller: &Caller, input: Value) -> Result<Value, Refusal> {
    let topic = input["TopicArn"].as_str().unwrap_or_default();
    is_there(state, caller, topic)?;
    let owner = topic.split(':').nth(4).unwrap_or_default();
    Ok(json!({ "Attributes": { "TopicArn": topic, "Owner": owner, "DisplayName": "" } }))
}

/// By protocol, where the message distinguishes them.
fn bodies(input: &Value) -> Result<Value, Refusal> {
    let message = input["Message"].as_str().unwrap_or_default();
    match input["MessageStructure"].as_str() {
        None => Ok(json!({ "default": message })),
        Some("json") => {
            let bodies: Value = serde_json::from_str(message).unwrap_or_default();
            let texts = bodies.as_object().is_some_and(|bodies| bodies.values().all(Value::is_string));
            if !texts || bodies.get("default").is_none() {
                return invalid("Message Structure - No default entry in JSON message body");
            }
            Ok(bodies)
        }
        Some(_) => invalid("MessageStructure"),
    }
}

fn invalid<T>(what: &str) -> Result<T, Refusal> {
    let message = format!("Invalid parameter: {what}");
    Err(Coded::new(400, "InvalidParameter", "InvalidParameterException", message).into())
}
