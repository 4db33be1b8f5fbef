//! Our terms in Incident Manager's, within the lengths that its API Reference sets.

use aws_sdk_ssmincidents::types::{
    ItemIdentifier, ItemType, ItemValue, RelatedItem, RelatedItemsUpdate, TriggerDetails,
};
use aws_smithy_types::DateTime;
use sha2::{Digest, Sha256};

use crate::domain::time::Stamp;
use crate::incident::account::Link;
use crate::incident::sink::{RecordId, StartRequest};

/// The one type of timeline event, besides people's notes, that the API takes.
pub(super) const EVENT_TYPE: &str = "Custom Event";

const TITLE_MAX: usize = 200;
pub(super) const SUMMARY_MAX: usize = 8_000;
const EVENT_DATA_MAX: usize = 12_000;

pub(super) fn title(title: &str) -> String {
    cut(title, TITLE_MAX)
}

pub(super) fn summary(summary: &str) -> String {
    cut(summary, SUMMARY_MAX)
}

pub(super) fn event_data(text: &str) -> String {
    cut(text, EVENT_DATA_MAX)
}

pub(super) fn time(at: Stamp) -> DateTime {
    DateTime::from_millis(at.as_millis())
}

/// `rawData` goes out as it was committed: cut JSON is no JSON.
pub(super) fn trigger(start: &StartRequest) -> TriggerDetails {
    let StartRequest { scope, triggered, raw_data, client_token: _, title: _, impact: _, description: _ } =
        start;
    TriggerDetails::builder()
        .source(&scope.source)
        .timestamp(time(*triggered))
        .trigger_arn(&scope.resource)
        .raw_data(raw_data)
        .build()
        .expect("source and timestamp, the required members, are given above")
}

pub(super) fn related(other: &RecordId, title: &str) -> Option<RelatedItemsUpdate> {
    let identifier = ItemIdentifier::builder()
        .r#type(ItemType::Incident)
        .value(ItemValue::Arn(other.0.clone()))
        .build()
        .ok()?;
    let item = RelatedItem::builder().identifier(identifier).title(self::title(title)).build();
    Some(RelatedItemsUpdate::ItemToAdd(item))
}

/// A page on the web as a related item.
pub(super) fn page(link: &Link) -> Option<RelatedItemsUpdate> {
    let kind = if link.metrics { ItemType::Metric } else { ItemType::Other };
    let identifier =
        ItemIdentifier::builder().r#type(kind).value(ItemValue::Url(link.url.clone())).build().ok()?;
    let item = RelatedItem::builder().identifier(identifier).title(title(&link.title)).build();
    Some(RelatedItemsUpdate::ItemToAdd(item))
}

/// One token per record and page, so that twins and retries add it once.
pub(super) fn page_token(record: &RecordId, link: &Link) -> String {
    let digest = Sha256::digest(format!("bothends page\n{record}\n{}", link.url));
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// One token per pair, so that twins and restarts relate two records once.
pub(super) fn relation_token(record: &RecordId, other: &RecordId) -> String {
    let digest = Sha256::digest(format!("bothends relate\n{record}\n{other}"));
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The token of a start that was folded into a drill: whoever meets the same drill with the same start arrives at the same.
pub(super) fn token_after(token: &str, drill: &RecordId) -> String {
    let digest = Sha256::digest(format!("bothends after a drill\n{token}\n{drill}"));
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// At most `max` characters of a text, with a sign that there was more.
fn cut(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        None => text.to_owned(),
        Some(_) => text.chars().take(max - 1).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_by_characters_and_says_so() {
        assert_eq!(cut("Zürich", 6), "Zürich");
        assert_eq!(cut("Zürich", 5), "Züri…");
        assert_eq!(title(&"ü".repeat(300)).chars().count(), TITLE_MAX);
    }

    #[test]
    fn a_pair_of_records_has_one_token_and_the_pair_reversed_another() {
        let (a, b) = (RecordId("a".to_owned()), RecordId("b".to_owned()));
        assert_eq!(relation_token(&a, &b), relation_token(&a, &b));
        assert_ne!(relation_token(&a, &b), relation_token(&b, &a));
        assert!(relation_token(&a, &b).len() <= 128);
    }
}
