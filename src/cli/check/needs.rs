//! What a configuration needs of AWS, place by place. A further type of sink adds its part in [`of_sink`].

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::aws::trial::{Family, PlanUse, Trial, Use};
use crate::config::{Config, SinkSettings, Vendor};
use crate::domain::names::{AwsPlace, Kind, VpnId};
use crate::domain::plan::VpnPlan;

/// `nonce` is the id of no record, and part of the name of no response plan.
///
/// The sinks are tried in mode `observe`, too: before they are needed is when it should be known.
pub(super) fn needs(config: &Config, nonce: &str) -> Vec<Trial> {
    let mut trials: Vec<Trial> = Vec::new();
    let mut need = |region: &Option<Arc<str>>, role_arn: &Option<Arc<str>>, uses: Use| {
        let region = region.clone().or_else(|| config.aws.region.clone());
        let place = AwsPlace { region, role_arn: role_arn.clone() };
        match trials.iter_mut().find(|trial| trial.place == place) {
            Some(trial) => trial.uses.push(uses),
            None => trials.push(Trial { place, uses: vec![uses] }),
        }
    };
    for (AwsPlace { region, role_arn }, vpns) in watched(config) {
        let stale_after = vpns.iter().map(|vpn| vpn.aws.stale_after).max().unwrap_or_default();
        let tunnels = |vpn: &&Arc<VpnPlan>| {
            (vpn.id.clone(), vpn.used_tunnels().map(|tunnel| tunnel.id.clone()).collect())
        };
        let to_ec2 = vpns.iter().filter(|vpn| vpn.aws.asks_ec2());
        let known_to_ec2 = to_ec2.map(|vpn| vpn.id.clone()).collect();
        let vpns = vpns.iter().map(tunnels).collect();
        need(&region, &role_arn, Use::TunnelState { vpns, stale_after, known_to_ec2 });
        if config.aws.ec2_telemetry {
            need(&region, &role_arn, Use::VpnTelemetry);
        }
    }
    if let Some(cloudwatch) = &config.cloudwatch {
        let namespace = Arc::clone(&cloudwatch.namespace);
        need(&cloudwatch.region, &cloudwatch.role_arn, Use::Metrics { namespace });
    }
    for sink in &config.sinks {
        for uses in of_sink(config, sink, nonce) {
            let region = region_of(&uses).or_else(|| sink.region.clone());
            need(&region, &sink.role_arn, uses);
        }
    }
    trials
}

type Vpns<'a> = Vec<&'a Arc<VpnPlan>>;

/// The connections by where they are asked about.
fn watched(config: &Config) -> BTreeMap<AwsPlace, Vpns<'_>> {
    let mut places: BTreeMap<_, Vpns<'_>> = BTreeMap::new();
    for vpn in &config.plan.vpns {
        let settings = config.vpns.get(&vpn.id).cloned().unwrap_or_default();
        let region = settings.region.or_else(|| config.aws.region.clone());
        places.entry(AwsPlace { region, role_arn: settings.role_arn }).or_default().push(vpn);
    }
    places
}

fn of_sink(config: &Config, sink: &SinkSettings, nonce: &str) -> Vec<Use> {
    match &sink.vendor {
        Vendor::IncidentManager { response_plan } => {
            let families = families(config, sink, response_plan, nonce);
            vec![Use::IncidentManager { families }]
        }
        Vendor::OpsCenter => vec![Use::OpsCenter],
        Vendor::Sns { topic_arn } => vec![Use::Topic { arn: Arc::clone(topic_arn) }],
        // It is none of AWS's.
        Vendor::Webhook(_) => Vec::new(),
    }
}

/// The Region that a use brings along: a topic is where its ARN says.
fn region_of(uses: &Use) -> Option<Arc<str>> {
    match uses {
        Use::Topic { arn } => arn.split(':').nth(3).map(Arc::from),
        Use::TunnelState { .. }
        | Use::VpnTelemetry
        | Use::Metrics { .. }
        | Use::IncidentManager { .. }
        | Use::OpsCenter => None,
    }
}

/// The response plans that the placeholders come to, for what the sink takes.
fn families(config: &Config, sink: &SinkSettings, template: &str, nonce: &str) -> Vec<Family> {
    let takes = sink.plan();
    let mut families: Vec<Family> = Vec::new();
    let pairs = config.vpns.keys().flat_map(|vpn| Kind::ALL.map(|kind| (vpn, kind)));
    for (vpn, kind) in pairs.filter(|(vpn, kind)| takes.takes(vpn, *kind)) {
        let arn = sink.target(vpn, kind);
        let served = (vpn.clone(), kind);
        let granted = with_kind(template, vpn, "*");
        let known = families.iter().position(|family| family.granted == granted);
        let index = known.unwrap_or_else(|| {
            let nobodys_plan = if template.contains("{kind}") {
                with_kind(template, vpn, &format!("check-{nonce}"))
            } else {
                format!("{granted}-check-{nonce}")
            };
            families.push(Family {
                granted,
                nobodys_plan,
                nobodys_record: nonce.to_owned(),
                plans: Vec::new(),
            });
            families.len() - 1
        });
        let plans = &mut families[index].plans;
        match plans.iter_mut().find(|plan| plan.arn == arn) {
            Some(plan) => plan.serves.push(served),
            None => plans.push(PlanUse { arn, serves: vec![served] }),
        }
    }
    families
}

fn with_kind(template: &str, vpn: &VpnId, kind: &str) -> String {
    template.replace("{vpn_id}", vpn.as_str()).replace("{kind}", kind)
}
