//! One reconciler per configured sink; a reload restarts those whose settings changed, and no other.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};

use super::clock_offset;
use super::people::People;
use crate::aws::{AwsConnections, IncidentManager, OpsCenter, Sns, partition};
use crate::config::{
    Config, Mode, SinkSettings, Vendor, WebhookBody, WebhookPreset, WebhookSettings, WebhookUrl,
};
use crate::domain::board::Board;
use crate::domain::event::Event;
use crate::domain::names::SinkId;
use crate::domain::plan::SinkPlan;
use crate::health::{Component, Health};
use crate::incident::action::SinkReport;
use crate::incident::message::Messenger;
use crate::incident::settings::{Settings, VpnSettings};
use crate::incident::shell;
use crate::incident::sink::IncidentSink;
use crate::incident::teller::TellerSettings;
use crate::store::Store;
use crate::telemetry::prometheus::Prometheus;
use crate::webhook::{self, Preset, Secret, Template, Webhook};

/// What makes a sink the same sink after a reload.
#[derive(Debug, Clone, PartialEq)]
struct Wanted {
    configured: SinkSettings,
    region: Option<Arc<str>>,
    settings: Settings,
}

/// The reconcilers that run.
pub(super) struct Sinks {
    connections: AwsConnections,
    store: Store,
    prometheus: Arc<Prometheus>,
    health: Health,
    events: mpsc::Sender<Event>,
    board: watch::Receiver<Arc<Board>>,
    running: BTreeMap<SinkId, (Wanted, AbortHandle)>,
}

impl Sinks {
    pub(super) fn new(people: &People) -> Self {
        Self {
            connections: people.connections.clone(),
            store: people.store.clone(),
            prometheus: Arc::clone(&people.prometheus),
            health: people.health.clone(),
            events: people.events.clone(),
            board: people.board.clone(),
            running: BTreeMap::new(),
        }
    }

    /// Runs what the configuration wants. A reconciler may be dropped at any moment: what it was about is in the ledger.
    pub(super) async fn adopt(&mut self, config: &Config, tasks: &mut JoinSet<()>) {
        let mut wanted = BTreeMap::new();
        if config.mode == Mode::Raise {
            for configured in &config.sinks {
                let settings = self.settings(config, configured).await;
                let region = configured.region.clone().or_else(|| config.aws.region.clone());
                let sink = Wanted { configured: configured.clone(), region, settings };
                wanted.insert(configured.id.clone(), sink);
            }
        }
        self.running.retain(|id, (runs, task)| {
            let stays = wanted.get(id) == Some(runs);
            if !stays {
                task.abort();
                self.health.clear(&Component::Sink(id.to_string()));
                self.prometheus.sink_pending(id, None);
            }
            stays
        });
        for (id, wanted) in wanted {
            if !self.running.contains_key(&id) {
                let task = self.start(&wanted, tasks);
                self.running.insert(id, (wanted, task));
            }
        }
    }

    fn start(&self, wanted: &Wanted, tasks: &mut JoinSet<()>) -> AbortHandle {
        let Wanted { configured, region, settings } = wanted;
        let (region, role_arn) = (region.clone(), configured.role_arn.clone());
        let connections = self.connections.clone();
        match &configured.vendor {
            Vendor::IncidentManager { .. } => {
                self.keep(settings, IncidentManager::new(connections, region, role_arn), tasks)
            }
            Vendor::OpsCenter => {
                let site = Arc::clone(&settings.site);
                self.keep(settings, OpsCenter::new(connections, region, role_arn, site), tasks)
            }
            Vendor::Sns { topic_arn } => {
                let sink = Sns::new(connections, Arc::clone(topic_arn), role_arn);
                self.tell(settings, None, sink, tasks)
            }
            Vendor::Webhook(webhook) => {
                self.tell(settings, webhook.repeat_every, Webhook::new(as_sent(webhook)), tasks)
            }
        }
    }

    /// Runs the teller of a sink that only takes messages.
    fn tell(
        &self,
        settings: &Settings,
        repeat_every: Option<Duration>,
        sink: impl Messenger,
        tasks: &mut JoinSet<()>,
    ) -> AbortHandle {
        let connections = self.connections.clone();
        tasks.spawn(shell::tell(
            move || clock_offset::as_aws_dates(&connections),
            TellerSettings { sink: settings.clone(), repeat_every },
            sink,
            self.store.clone(),
            self.board.clone(),
            self.events.clone(),
            self.health.clone(),
            self.observer(),
        ))
    }

    /// Runs the reconciler of a sink that keeps records.
    fn keep(&self, settings: &Settings, sink: impl IncidentSink, tasks: &mut JoinSet<()>) -> AbortHandle {
        let connections = self.connections.clone();
        tasks.spawn(shell::run(
            move || clock_offset::as_aws_dates(&connections),
            settings.clone(),
            sink,
            self.store.clone(),
            self.board.clone(),
            self.events.clone(),
            self.health.clone(),
            self.observer(),
        ))
    }

    fn observer(&self) -> impl Fn(&SinkReport) + Send + 'static {
        let prometheus = Arc::clone(&self.prometheus);
        move |report| match report {
            SinkReport::Request { sink, action, result } => prometheus.sink_request(sink, action, result),
            SinkReport::Pending { sink, incidents } => {
                prometheus.sink_pending(sink, Some(u64::try_from(*incidents).unwrap_or(u64::MAX)));
            }
        }
    }

    async fn settings(&self, config: &Config, configured: &SinkSettings) -> Settings {
        let mut vpns = BTreeMap::new();
        for (id, vpn) in &config.vpns {
            let region = vpn.region.clone().or_else(|| config.aws.region.clone());
            let region = match region {
                Some(region) => region,
                None => self.connections.default_region().await.unwrap_or_else(|| "".into()),
            };
            let known =
                VpnSettings { region, runbook_url: vpn.runbook_url.clone(), notes: vpn.notes.clone() };
            vpns.insert(id.clone(), known);
        }
        let plan = match &configured.vendor {
            Vendor::IncidentManager { response_plan } => Arc::clone(response_plan),
            Vendor::OpsCenter => self.ops_items(config, configured).await,
            // It has no records.
            Vendor::Sns { .. } | Vendor::Webhook(_) => "".into(),
        };
        Settings {
            sink: SinkPlan {
                id: configured.id.clone(),
                kinds: configured.kinds.clone(),
                vpns: configured.vpns.clone(),
            },
            site: Arc::clone(&config.plan.site),
            plan,
            impact: configured.impact.clone(),
            vpns,
        }
    }

    /// An ARN of what OpsCenter keeps: its partition and, as far as the role tells, its account are those of the connections.
    async fn ops_items(&self, config: &Config, configured: &SinkSettings) -> Arc<str> {
        let region = match configured.region.clone().or_else(|| config.aws.region.clone()) {
            Some(region) => region,
            None => self.connections.default_region().await.unwrap_or_else(|| "".into()),
        };
        let account =
            configured.role_arn.as_deref().and_then(|role| role.split(':').nth(4)).unwrap_or_default();
        format!("arn:{}:ssm:{region}:{account}:opsitem", partition(&region)).into()
    }
}

/// A webhook's settings as it takes them.
fn as_sent(configured: &WebhookSettings) -> webhook::Settings {
    let WebhookSettings {
        url,
        body,
        headers,
        secret,
        signing_secret,
        ca_file,
        allow_http,
        timeout,
        repeat_every,
    } = configured.clone();
    webhook::Settings {
        url: match url {
            WebhookUrl::Plain(url) => webhook::Url::Plain(url),
            WebhookUrl::Secret(path) => webhook::Url::Secret(Secret(path)),
        },
        template: match body {
            WebhookBody::Preset(WebhookPreset::PagerDuty) => Preset::PagerDuty.into(),
            WebhookBody::Preset(WebhookPreset::Slack) => Preset::Slack.into(),
            WebhookBody::Preset(WebhookPreset::Alertmanager) => Preset::Alertmanager.into(),
            WebhookBody::Template { path: _, text } => Template::new(text),
        },
        headers,
        secret: secret.map(Secret),
        signing_secret: signing_secret.map(Secret),
        ca_file,
        allow_http,
        timeout,
        repeat_every,
    }
}
