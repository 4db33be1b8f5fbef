//! The configured sinks, opened for the daemon and for commands that try them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::aws::{AwsConnections, IncidentManager, OpsCenter, Sns, partition};
use crate::config::{AwsDefaults, Config, SinkSettings, Vendor};
use crate::domain::names::AwsPlace;
use crate::incident::settings::{Metrics, SinkRules, VpnSettings};
use crate::settings::WebhookSettings;
pub use crate::webhook::Reach;
use crate::webhook::{self, Part, Webhook};

/// A sink.
#[derive(Debug)]
pub enum AnySink {
    /// It has records.
    IncidentManager(IncidentManager),
    /// It has records.
    OpsCenter(OpsCenter),
    /// It only takes messages.
    Sns(Sns),
    /// It only takes messages; those of open incidents are repeated at this interval.
    Webhook(Box<Webhook>, Option<Duration>),
}

/// Opens a sink, without a call.
pub fn open(
    connections: AwsConnections,
    configured: &SinkSettings,
    region: Option<Arc<str>>,
    site: &Arc<str>,
) -> AnySink {
    let role_arn = configured.role_arn.clone();
    match &configured.vendor {
        Vendor::IncidentManager { .. } => {
            AnySink::IncidentManager(IncidentManager::new(connections, region, role_arn))
        }
        Vendor::OpsCenter => {
            AnySink::OpsCenter(OpsCenter::new(connections, region, role_arn, Arc::clone(site)))
        }
        Vendor::Sns { topic_arn } => AnySink::Sns(Sns::new(connections, Arc::clone(topic_arn), role_arn)),
        Vendor::Webhook(webhook) => {
            let dialer = Arc::clone(connections.dialer());
            AnySink::Webhook(
                Box::new(Webhook::new(WebhookSettings::clone(webhook), dialer)),
                webhook.repeat_every,
            )
        }
    }
}

/// The Region and role with which a sink calls AWS; `None` if it does not.
pub fn aws_place(aws: &AwsDefaults, sink: &SinkSettings) -> Option<AwsPlace> {
    let region = match &sink.vendor {
        Vendor::IncidentManager { .. } | Vendor::OpsCenter => {
            sink.region.clone().or_else(|| aws.region.clone())
        }
        Vendor::Sns { topic_arn } => topic_arn.split(':').nth(3).map(Arc::from),
        Vendor::Webhook(_) => return None,
    };
    Some(AwsPlace { region, role_arn: sink.role_arn.clone() })
}

/// The rules by which records and messages at the sink are made.
pub async fn settings(connections: &AwsConnections, config: &Config, configured: &SinkSettings) -> SinkRules {
    let mut metrics = None;
    if let Some(cloudwatch) = &config.cloudwatch {
        let region = region(connections, config, cloudwatch.region.as_ref()).await;
        metrics = Some(Metrics { namespace: Arc::clone(&cloudwatch.namespace), region });
    }
    let mut vpns = BTreeMap::new();
    for (id, vpn) in &config.vpns {
        let region = region(connections, config, vpn.region.as_ref()).await;
        let tunnels = config.plan.vpn(id).map(|plan| plan.tunnels.as_slice()).unwrap_or_default();
        let known = VpnSettings {
            region,
            runbook_url: vpn.runbook_url.clone(),
            notes: vpn.notes.clone(),
            metrics: metrics.clone(),
            routes: tunnels.iter().map(|it| (it.id.outside_ip, Arc::clone(&it.route))).collect(),
        };
        vpns.insert(id.clone(), known);
    }
    let plan = match &configured.vendor {
        Vendor::IncidentManager { response_plan } => Arc::clone(response_plan),
        Vendor::OpsCenter => ops_items(connections, config, configured).await,
        // They have no records.
        Vendor::Sns { .. } | Vendor::Webhook(_) => "".into(),
    };
    SinkRules {
        sink: configured.plan(),
        site: Arc::clone(&config.plan.site),
        plan,
        impact: configured.impact.clone(),
        vpns,
        parents: config.plan.parents.iter().map(|parent| (parent.id.clone(), parent.vpns.clone())).collect(),
    }
}

/// The Region of a sink or connection that may have one of its `own`.
pub(super) async fn region(
    connections: &AwsConnections,
    config: &Config,
    own: Option<&Arc<str>>,
) -> Arc<str> {
    match own.or(config.aws.region.as_ref()) {
        Some(region) => Arc::clone(region),
        None => connections.default_region().await.unwrap_or_else(|| "".into()),
    }
}

/// The ARN that stands for OpsCenter: its partition, and its account if the role names one, are those of the connections.
async fn ops_items(connections: &AwsConnections, config: &Config, configured: &SinkSettings) -> Arc<str> {
    let region = region(connections, config, configured.region.as_ref()).await;
    let account = configured.role_arn.as_deref().and_then(|role| role.split(':').nth(4)).unwrap_or_default();
    format!("arn:{}:ssm:{region}:{account}:opsitem", partition(&region)).into()
}

/// The problems of a webhook by their configuration key, for [`crate::config::WebhookTrial`].
pub fn trial(configured: &WebhookSettings, reach: Reach) -> Vec<(&'static str, String)> {
    let key = |part| match part {
        Part::Url => "url",
        Part::Secret => "secret",
        Part::SigningSecret => "signing_secret",
        Part::Template => "template_file",
        Part::Headers => "headers",
        Part::Authorities => "ca_file",
    };
    webhook::trial(configured, reach).into_iter().map(|(part, what)| (key(part), what)).collect()
}
