//! An SNS topic as a sink: a message for each change of an incident. Called by hand, see `by_hand`.
//!
//! People get text (e-mail, SMS), programs the whole incident as JSON, filters attributes. A message carries its id: a receiver
//! can drop what it gets twice because an answer was lost; a FIFO topic does so by itself.

use std::fmt;
use std::sync::Arc;

use hyper::body::Bytes;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::budget::Urgency;
use super::by_hand::{Api, Draft, ErrorAnswer, form};
use super::caller::{Caller, sink_error};
use super::connection::AwsConnections;
use super::errors::Failure;
use super::permission::Call;
use crate::domain::names::AwsPlace;
use crate::domain::time::Stamp;
use crate::incident::message::{Change, Message, Messenger};
use crate::incident::sink::SinkError;

pub(super) const API: Api =
    Api { service_id: "SNS", host: "sns", signing_name: "sns", error, longest_answer: 64 * 1024 };

/// The version of the SNS API that defines the names used here.
pub(super) const API_VERSION: &str = "2010-03-31";
/// A subject has at most 100 ASCII characters (`Publish`).
const SUBJECT_MAX: usize = 100;
const GROUP_MAX: usize = 128;

/// A topic, called with one role.
pub struct Sns {
    caller: Caller,
    topic_arn: Arc<str>,
}

impl Sns {
    /// The Region is the topic's. `None`: called with the daemon's own identity.
    pub fn new(connections: AwsConnections, topic_arn: Arc<str>, role_arn: Option<Arc<str>>) -> Self {
        let region = topic_arn.split(':').nth(3).map(Arc::from);
        Self { caller: Caller::new(connections, AwsPlace { region, role_arn }, "sns"), topic_arn }
    }

    fn draft(&self, message: &Message) -> Draft {
        let subject = subject(&message.title);
        // Subscribers of any other protocol get the JSON.
        let bodies = json!({
            "default": message.data.to_string(), "email": message.text, "sms": message.short,
        });
        let bodies = bodies.to_string();
        let mut parameters: Vec<(String, &str)> = [
            ("Action", "Publish"),
            ("Version", API_VERSION),
            ("TopicArn", &self.topic_arn),
            ("Subject", &subject),
            ("MessageStructure", "json"),
            ("Message", &bodies),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        let scope = message.scope.to_string();
        let group = group(&message.key);
        let attributes = [
            ("id", &*message.id),
            ("key", &message.key),
            ("change", message.change.as_str()),
            ("kind", message.kind.as_str()),
            ("severity", message.severity),
            ("site", &message.site),
            ("scope", message.scope.word()),
            ("vpn_id", &scope),
        ];
        let drill = message.drill.then_some(("drill", "true"));
        for (index, (name, value)) in attributes.into_iter().chain(drill).enumerate() {
            let entry = format!("MessageAttributes.entry.{}", index + 1);
            parameters.push((format!("{entry}.Name"), name));
            parameters.push((format!("{entry}.Value.DataType"), "String"));
            parameters.push((format!("{entry}.Value.StringValue"), value));
        }
        if self.topic_arn.ends_with(".fifo") {
            parameters.push(("MessageGroupId".to_owned(), &group));
            parameters.push(("MessageDeduplicationId".to_owned(), &message.id));
        }
        let body = form(parameters.iter().map(|(name, value)| (name.as_str(), *value)));
        Draft { content_type: "application/x-www-form-urlencoded", target: None, body }
    }
}

impl Messenger for Sns {
    async fn deliver(&self, message: &Message, _now: Stamp) -> Result<(), SinkError> {
        let urgency = match message.change {
            Change::Opened | Change::Worsened => Urgency::Start,
            Change::Resolved | Change::Unwatched => Urgency::Resolve,
            Change::Updated | Change::Repeated => Urgency::Note,
        };
        let connection = self.caller.connection(Call::Publish, urgency).await?;
        let Some(sns) = connection.by_hand(&API) else {
            return Err(sink_error(Failure::no_region(Call::Publish), false));
        };
        let answer = sns.call(Call::Publish, self.draft(message), taken).await;
        match self.caller.settle(&connection, Call::Publish, answer) {
            Ok(()) => Ok(()),
            Err(SinkError::NotFound) => {
                let what = format!(
                    "{} {}: there is no topic {}; create it, or correct topic_arn",
                    Call::Publish,
                    connection.place,
                    self.topic_arn
                );
                Err(SinkError::Rejected { what, source: None })
            }
            Err(error) => Err(error),
        }
    }
}

/// What a FIFO topic groups by: the key, or its hash where the names of a parent and its site are not what the API takes, which is at
/// most 128 letters, digits and punctuation characters (`Publish`).
fn group(key: &str) -> String {
    if key.len() <= GROUP_MAX && key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return key.to_owned();
    }
    Sha256::digest(key).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// SNS accepted a message only if it answered with a message id: any other answer is not from SNS.
fn taken(pieces: Vec<Bytes>) -> Result<(), &'static str> {
    let body = pieces.concat();
    let text = String::from_utf8_lossy(&body);
    let plain = |id: &str| id.len() <= 100 && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    let whole = element(&text, "MessageId").is_some_and(plain) && text.contains("</PublishResponse>");
    if whole { Ok(()) } else { Err("the answer names no message") }
}

fn error(body: &[u8]) -> Option<ErrorAnswer> {
    let text = String::from_utf8_lossy(body);
    let unescaped = |text: &str| {
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")]
            .iter()
            .fold(text.to_owned(), |text, (escape, plain)| text.replace(escape, plain))
    };
    let code = element(&text, "Code").filter(|_| text.contains("<ErrorResponse"))?.to_owned();
    let message = element(&text, "Message").map(unescaped).unwrap_or_default();
    Some(ErrorAnswer { code, message, existing: None })
}

/// The text of the first element of this name that contains only text.
fn element<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    let (inside, _) = rest.split_once(&format!("</{name}>"))?;
    (!inside.is_empty() && !inside.contains('<')).then_some(inside)
}

/// Printable ASCII that begins with a letter, a number or punctuation.
fn subject(title: &str) -> String {
    let plain: String = title
        .replace(['–', '—'], "-")
        .chars()
        .map(|c| if c == ' ' || c.is_ascii_graphic() { c } else { '?' })
        .collect();
    let plain = plain.trim_start();
    if plain.len() <= SUBJECT_MAX {
        return plain.to_owned();
    }
    format!("{}...", &plain[..SUBJECT_MAX - 3])
}

impl fmt::Debug for Sns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sns({})", self.topic_arn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_a_line_of_plain_characters() {
        assert_eq!(subject("[milan-1] Zürich — down"), "[milan-1] Z?rich - down");
        let long = subject(&"x".repeat(200));
        assert_eq!((long.len(), long.ends_with("...")), (100, true));
    }

    #[test]
    fn a_group_is_the_key_or_its_hash() {
        let plain = "bothends/uplink/milan-1/wan1/outage";
        assert_eq!(group(plain), plain);
        let others =
            ["bothends/uplink/Milan 1/wan1/outage", "bothends/site/Z\u{fc}rich/outage", &"x".repeat(129)]
                .map(group);
        assert!(
            others
                .iter()
                .all(|group| group.len() == 64 && group.bytes().all(|byte| byte.is_ascii_hexdigit()))
        );
        assert!(others[0] != others[1] && others[1] != others[2]);
    }

    #[test]
    fn only_an_answer_with_a_message_id_is_an_acceptance() {
        let answer = "<PublishResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><PublishResult>\
                      <MessageId>9f1c</MessageId></PublishResult></PublishResponse>";
        assert_eq!(taken(vec![Bytes::from(answer)]), Ok(()));
        for wrong in
            ["", "<html>hello</html>", &answer[..answer.len() - 5], "<PublishResponse></PublishResponse>"]
        {
            assert!(taken(vec![Bytes::copy_from_slice(wrong.as_bytes())]).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn an_error_is_parsed_with_its_message() {
        let body = b"<ErrorResponse><Error><Type>Sender</Type><Code>NotFound</Code><Message>Topic &lt;a&gt; &amp;amp; b</Message>\
                     </Error></ErrorResponse>";
        let answer = error(body).unwrap();
        assert_eq!((answer.code.as_str(), answer.message.as_str()), ("NotFound", "Topic <a> &amp; b"));
        assert_eq!(error(b"<html><Code>x</Code></html>"), None);
    }
}
