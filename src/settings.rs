//! Settings that the configuration reads and another part goes by. Whether they are right is for `config` to say.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// What a sink of type `webhook` has of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookSettings {
    /// Where.
    pub url: WebhookUrl,
    /// What.
    pub body: WebhookBody,
    /// Headers beside our own; `{secret}` in a value stands for the secret.
    pub headers: Vec<(String, String)>,
    /// The file of the secret, for the template and the headers.
    pub secret: Option<PathBuf>,
    /// The file of the signature's key.
    pub signing_secret: Option<PathBuf>,
    /// The authorities to trust in place of the system's.
    pub ca_file: Option<PathBuf>,
    /// Whether plain HTTP will do.
    pub allow_http: bool,
    /// For a whole call, from the first packet to the last of the answer.
    pub timeout: Duration,
    /// How often what is open is repeated.
    pub repeat_every: Option<Duration>,
}

/// Where a webhook is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WebhookUrl {
    /// As configured.
    Plain(Arc<str>),
    /// In this file: whoever knows it may post.
    Secret(PathBuf),
}

/// What a webhook sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WebhookBody {
    /// A ready template.
    Preset(WebhookPreset),
    /// A template of the operator's.
    Template {
        /// Its file.
        path: PathBuf,
        /// Its text.
        text: Arc<str>,
    },
}

/// A ready template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum WebhookPreset {
    /// PagerDuty Events API v2.
    PagerDuty,
    /// A Slack incoming webhook.
    Slack,
    /// Alertmanager API v2.
    Alertmanager,
}

impl WebhookPreset {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::PagerDuty, Self::Slack, Self::Alertmanager];

    /// The word used in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PagerDuty => "pagerduty",
            Self::Slack => "slack",
            Self::Alertmanager => "alertmanager",
        }
    }
}

/// `[store]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreSettings {
    /// The database's file; absolute.
    pub path: PathBuf,
    /// The file and what belongs to it stay below so many bytes.
    pub max_size: u64,
    /// History older than this goes.
    pub keep: Duration,
    /// Whether rollups wait to be sent; without a publisher they would wait in vain.
    pub spool: bool,
}
