//! OpsCenter and SNS. Nothing can be opened or sent on trial there: `CreateOpsItem` and `Publish` have no dry run, and whether AWS
//! refuses a senseless request before it looks at the permission is not said. `bothends drill` tries them in earnest.

use std::sync::Arc;

use hyper::body::Bytes;
use serde_json::{Value, json};

use super::trier::Trier;
use super::tunnels::in_region;
use super::{Grant, Meant};
use crate::aws::by_hand::Draft;
use crate::aws::connection::Connection;
use crate::aws::errors::Failure;
use crate::aws::permission::Call;

/// Of the form of an id (AWS Systems Manager API Reference, OpsItemId), and nobody's.
const NOBODYS_ITEM: &str = "oi-000000000000";

pub(super) async fn ops_center(trier: &mut Trier) {
    let connection = Arc::clone(&trier.connection);
    let items = Grant::on(Some("arn:aws:ssm:*:*:opsitem/*"));
    let open = json!({
        "OpsItemFilters": [{ "Key": "Status", "Values": ["Open"], "Operator": "Equal" }],
        "MaxResults": 1,
    });
    let nobodys = json!({ "OpsItemId": NOBODYS_ITEM });
    // A change of nothing, to an item that is not there.
    let change = json!({ "OpsItemId": NOBODYS_ITEM, "Priority": 5 });
    let list = || ask(&connection, Call::DescribeOpsItems, "AmazonSSM.DescribeOpsItems", &open);
    trier
        .attempt(Call::DescribeOpsItems, "OpsItems", in_region(&connection.place), Meant::Answer, list)
        .await;
    let get = || ask(&connection, Call::GetOpsItem, "AmazonSSM.GetOpsItem", &nobodys);
    trier.attempt(Call::GetOpsItem, "an OpsItem", items.clone(), Meant::AnswerIfThere, get).await;
    let update = || ask(&connection, Call::UpdateOpsItem, "AmazonSSM.UpdateOpsItem", &change);
    trier.attempt(Call::UpdateOpsItem, "an OpsItem", items, Meant::Refusal, update).await;
    trier.skip(Call::CreateOpsItem, "an OpsItem", in_region(&connection.place));
}

pub(super) fn topic(trier: &mut Trier, topic_arn: &str) {
    trier.skip(Call::Publish, topic_arn, Grant::on(Some(topic_arn)));
}

async fn ask(
    connection: &Arc<Connection>,
    call: Call,
    target: &'static str,
    input: &Value,
) -> Result<(), Failure> {
    let Some(ssm) = &connection.ssm else { return Err(Failure::no_region(call)) };
    let draft =
        Draft { content_type: "application/x-amz-json-1.1", target: Some(target), body: input.to_string() };
    let read = |_: Vec<Bytes>| Ok::<_, &'static str>(());
    ssm.call(call, draft, read).await.map(|((), _)| ())
}
