//! OpsCenter and SNS. Nothing can be opened or sent on trial there: `CreateOpsItem` and `Publish` have no dry run, and whether AWS
//! refuses a senseless request before it looks at the permission is not said. `bothends drill` tries them in earnest.

use std::sync::Arc;

use hyper::body::Bytes;
use serde_json::{Value, json};

use super::statement::Grant;
use super::trier::Trier;
use super::verdict::Meant;
use crate::aws::api::{Draft, form};
use crate::aws::connection::Connection;
use crate::aws::endpoint::partition;
use crate::aws::errors::{Failure, FailureKind};
use crate::aws::permission::Call;
use crate::aws::{ops_center, sns};

/// Of the form of an id (AWS Systems Manager API Reference, OpsItemId), and nobody's.
const NOBODYS_ITEM: &str = "oi-000000000000";

pub(super) async fn ops_center(trier: &mut Trier) {
    let connection = Arc::clone(&trier.connection);
    let items = items(connection.place.region.as_deref().unwrap_or_default());
    let open = json!({
        "OpsItemFilters": [{ "Key": "Status", "Values": ["Open"], "Operator": "Equal" }],
        "MaxResults": 1,
    });
    let nobodys = json!({ "OpsItemId": NOBODYS_ITEM });
    // A change of nothing, to an item that is not there.
    let change = json!({ "OpsItemId": NOBODYS_ITEM, "Priority": 5 });
    let list = || ask(&connection, Call::DescribeOpsItems, "AmazonSSM.DescribeOpsItems", &open);
    trier
        .attempt(Call::DescribeOpsItems, "OpsItems", Grant::in_region(&connection.place), Meant::Answer, list)
        .await;
    let get = || ask(&connection, Call::GetOpsItem, "AmazonSSM.GetOpsItem", &nobodys);
    trier.attempt(Call::GetOpsItem, "an OpsItem", items.clone(), Meant::AnswerIfThere, get).await;
    let update = || ask(&connection, Call::UpdateOpsItem, "AmazonSSM.UpdateOpsItem", &change);
    trier.attempt(Call::UpdateOpsItem, "an OpsItem", items, Meant::Refusal, update).await;
    trier.skip(Call::CreateOpsItem, "an OpsItem", Grant::in_region(&connection.place));
}

/// Every OpsItem of the Region's partition.
fn items(region: &str) -> Grant {
    Grant::on(Some(&format!("arn:{}:ssm:*:*:opsitem/*", partition(region))))
}

/// Whether it is there and may be seen says nothing of `Publish`; that it is not says all.
pub(super) async fn topic(trier: &mut Trier, topic_arn: &str) {
    let connection = Arc::clone(&trier.connection);
    let grant = Grant::on(Some(topic_arn));
    let look = || look_at(&connection, topic_arn);
    trier.attempt(Call::GetTopicAttributes, topic_arn, grant, Meant::Answer, look).await;
    trier.skip(Call::Publish, topic_arn, Grant::on(Some(topic_arn)));
}

async fn look_at(connection: &Arc<Connection>, topic_arn: &str) -> Result<(), Failure> {
    let call = Call::GetTopicAttributes;
    let Some(client) = connection.by_hand(&sns::API) else { return Err(Failure::no_region(call)) };
    let body = form([("Action", call.action()), ("Version", sns::API_VERSION), ("TopicArn", topic_arn)]);
    let draft = Draft { content_type: "application/x-www-form-urlencoded", target: None, body };
    let read = |pieces: Vec<Bytes>| {
        let whole = String::from_utf8_lossy(&pieces.concat()).contains("</GetTopicAttributesResponse>");
        if whole { Ok(()) } else { Err("the answer does not describe the topic") }
    };
    match client.call(call, draft, read).await {
        Ok(((), _)) => Ok(()),
        Err(mut failure) if failure.kind == FailureKind::NotFound => {
            let place = &connection.place;
            failure.text = format!(
                "{call} {place}: there is no topic {topic_arn}; create it, or correct topic_arn, its Region and account among it"
            );
            Err(failure)
        }
        Err(failure) => Err(failure),
    }
}

async fn ask(
    connection: &Arc<Connection>,
    call: Call,
    target: &'static str,
    input: &Value,
) -> Result<(), Failure> {
    let Some(client) = connection.by_hand(&ops_center::API) else { return Err(Failure::no_region(call)) };
    let draft =
        Draft { content_type: "application/x-amz-json-1.1", target: Some(target), body: input.to_string() };
    let read = |_: Vec<Bytes>| Ok::<_, &'static str>(());
    client.call(call, draft, read).await.map(|((), _)| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_granted_in_their_own_partition() {
        for (region, arn) in [
            ("eu-west-1", "arn:aws:ssm:*:*:opsitem/*"),
            ("us-gov-west-1", "arn:aws-us-gov:ssm:*:*:opsitem/*"),
            ("cn-north-1", "arn:aws-cn:ssm:*:*:opsitem/*"),
        ] {
            assert_eq!(items(region), Grant::on(Some(arn)));
        }
    }
}
