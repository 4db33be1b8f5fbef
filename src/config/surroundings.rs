//! What a configuration depends on besides its files.

use std::collections::BTreeMap;

use super::reach::ReadBy;
use super::schema::Renamed;
use crate::settings::WebhookSettings;

/// What a trial shows of a webhook: what is wrong, by the key that it is about (`url`, `secret` and `signing_secret` stand for
/// the key that names their file).
pub type WebhookTrial<'a> = &'a dyn Fn(&WebhookSettings) -> Vec<(&'static str, String)>;

/// What a configuration depends on besides its files.
pub(super) struct Surroundings<'a> {
    pub(super) env: &'a BTreeMap<String, String>,
    pub(super) host_name: Option<String>,
    pub(super) renamed: &'a [Renamed],
    pub(super) reader: &'a ReadBy,
    /// Of webhooks.
    pub(super) trial: WebhookTrial<'a>,
}
