//! `bothends check --aws`: tries every AWS permission that the configuration needs.

use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::Arc;

use crate::aws::trial::{
    self, CallerIdentity, Family, PermissionVerdict, PlanUse, Trial, TrialOutcome, Tried, Use, statements,
};
use crate::aws::{AwsConnections, Call, ConnectionSettings};
use crate::cli::terminal::{self, aligned, line};
use crate::config::{Config, PossibleIncident, SinkSettings, Vendor};
use crate::domain::names::AwsPlace;
use crate::domain::plan::VpnPlan;
use crate::process::Exit;
use crate::settings::response_plan;

pub(super) fn run(config: &Config) -> Exit {
    let runtime = match terminal::runtime() {
        Ok(runtime) => runtime,
        Err(exit) => return exit,
    };
    let settings = ConnectionSettings::from_env(Arc::clone(&config.plan.site));
    let settings = ConnectionSettings { key_exchange: config.aws.key_exchange, ..settings };
    let connections = match AwsConnections::load(settings) {
        Ok(connections) => connections,
        Err(error) => {
            complain!("{error}");
            return Exit::Configuration;
        }
    };
    let trials = trial::run(&connections, needs(config, &nonce()));
    let outcomes = match terminal::unless_interrupted(runtime, "trying every call to AWS", trials) {
        Ok(outcomes) => outcomes,
        Err(exit) => return exit,
    };
    let (mut text, exit) = render(&outcomes);
    text.extend(untried(config));
    terminal::text(format_args!("{text}"));
    exit
}

/// A random UUID (RFC 9562, section 5.4), the form of a record's id.
fn nonce() -> String {
    let half = |half: &str| RandomState::new().hash_one(half);
    let (high, low) = (half("high"), half("low"));
    let digits = format!("{high:016x}{low:016x}");
    let part = |range: std::ops::Range<usize>| digits.get(range).unwrap_or_default();
    format!("{}-{}-4{}-8{}-{}", part(0..8), part(8..12), part(13..16), part(17..20), part(20..32))
}

/// What to try. `nonce` is the id of no record, and part of no response plan's name.
///
/// The sinks are tried in mode `observe` as well, so that a missing permission shows before it is needed.
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
        let one_each = vpns.iter().filter_map(|vpn| vpn.used_tunnels().next());
        let one_each = one_each.map(|tunnel| tunnel.id.clone()).collect();
        let vpns = vpns.iter().map(tunnels).collect();
        need(&region, &role_arn, Use::TunnelState { vpns, stale_after, known_to_ec2 });
        if config.aws.ec2_telemetry {
            need(&region, &role_arn, Use::VpnTelemetry { tunnels: one_each });
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

/// The connections by the Region and role with which AWS is asked about them.
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
        // It is not at AWS.
        Vendor::Webhook(_) => Vec::new(),
    }
}

/// The Region that a use names itself: the one in a topic's ARN.
fn region_of(uses: &Use) -> Option<Arc<str>> {
    match uses {
        Use::Topic { arn } => arn.split(':').nth(3).map(Arc::from),
        Use::TunnelState { .. }
        | Use::VpnTelemetry { .. }
        | Use::Metrics { .. }
        | Use::IncidentManager { .. }
        | Use::OpsCenter => None,
    }
}

/// The response plans that the placeholders expand to, for the incidents that the sink takes.
fn families(config: &Config, sink: &SinkSettings, template: &str, nonce: &str) -> Vec<Family> {
    let mut families: Vec<Family> = Vec::new();
    for incident in config.taken_by(sink) {
        let arn = sink.target_of(&incident);
        let PossibleIncident { of, vpn, kind } = incident;
        let granted = response_plan(template, &of, &vpn, "*");
        let known = families.iter().position(|family| family.granted == granted);
        let index = known.unwrap_or_else(|| {
            let nobodys_plan = if template.contains("{kind}") {
                response_plan(template, &of, &vpn, &format!("check-{nonce}"))
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
            Some(plan) => plan.serves.push((of, kind)),
            None => plans.push(PlanUse { arn, serves: vec![(of, kind)] }),
        }
    }
    families
}

/// The text to print, and the exit code.
pub(super) fn render(outcomes: &[TrialOutcome]) -> (String, Exit) {
    let mut text = String::new();
    for outcome in outcomes {
        place(&mut text, outcome);
    }
    let folds = trial::folds(outcomes.iter().flat_map(|outcome| &outcome.plans));
    let findings: Vec<&String> =
        outcomes.iter().flat_map(|outcome| &outcome.findings).chain(&folds).collect();
    if !findings.is_empty() {
        line(&mut text, format_args!("\nwhat is wrong"));
    }
    for (index, finding) in findings.iter().enumerate() {
        if !findings[..index].contains(finding) {
            line(&mut text, format_args!("  - {finding}"));
        }
    }
    for outcome in outcomes {
        to_add(&mut text, outcome);
    }
    let verdicts = || outcomes.iter().flat_map(|outcome| &outcome.tried).map(|tried| tried.verdict);
    if verdicts().any(|verdict| verdict == PermissionVerdict::NotDenied) {
        text.push_str(NOT_DENIED);
    }
    let is_sent = |tried: &Tried| matches!(tried.call, Call::CreateOpsItem | Call::Publish);
    if outcomes.iter().flat_map(|outcome| &outcome.tried).any(is_sent) {
        text.push_str(NOT_TRIED);
    }
    let exit = exit(verdicts(), findings.is_empty());
    if exit == Exit::Success {
        text.push_str(if verdicts().all(|verdict| verdict == PermissionVerdict::Allowed) {
            "\nAWS allows what the configuration needs\n"
        } else {
            "\nnothing that could be tested is denied\n"
        });
    }
    (text, exit)
}

const NOT_DENIED: &str = "
\"not denied\": to have no effect, the call named something impossible (a datum dated 2010; a response plan or a record that
does not exist). AWS rejected that, but not for a missing permission. AWS does not document which it checks first: only a drill,
or the first minute of metrics, proves the permission.
";

const NOT_TRIED: &str = "
\"not tried\": ssm:CreateOpsItem and sns:Publish have no dry run and would page people: run bothends drill
";

/// Names the sinks whose delivery only a drill can test.
pub(super) fn untried(config: &Config) -> Option<String> {
    let only_by_drill = |sink: &&SinkSettings| match sink.vendor {
        // Its start is tried with a response plan that does not exist.
        Vendor::IncidentManager { .. } => false,
        Vendor::OpsCenter | Vendor::Sns { .. } | Vendor::Webhook(_) => true,
    };
    let ids: Vec<&str> = config.sinks.iter().filter(only_by_drill).map(|sink| sink.id.as_str()).collect();
    (!ids.is_empty())
        .then(|| format!("\ndelivery to {} was not tested: run bothends drill\n", ids.join(", ")))
}

fn exit(verdicts: impl Iterator<Item = PermissionVerdict>, nothing_found: bool) -> Exit {
    let mut exit = if nothing_found { Exit::Success } else { Exit::BadNews };
    for verdict in verdicts {
        match verdict {
            PermissionVerdict::Allowed | PermissionVerdict::NotDenied | PermissionVerdict::NotTried => {}
            PermissionVerdict::Failed if exit == Exit::Success => exit = Exit::BadNews,
            PermissionVerdict::Failed => {}
            PermissionVerdict::Denied | PermissionVerdict::NoCredentials => exit = Exit::Permission,
        }
    }
    exit
}

fn place(text: &mut String, outcome: &TrialOutcome) {
    let TrialOutcome { at, identity, tried, findings: _, plans: _ } = outcome;
    match identity {
        Some(CallerIdentity { account, arn }) => {
            line(text, format_args!("\nAWS {at}: account {account}, {arn}"));
        }
        None => line(text, format_args!("\nAWS {at}")),
    }
    let row = |(call, on, verdict): (&str, String, &str)| [call.to_owned(), on, verdict.to_owned()];
    let head = row(("call", "on".to_owned(), "allowed?"));
    let rows: Vec<[String; 3]> = std::iter::once(head)
        .chain(
            merged(tried)
                .into_iter()
                .map(|(tried, on)| row((tried.call.permission(), on, tried.verdict.as_str()))),
        )
        .collect();
    for row in aligned(&rows, 3) {
        line(text, format_args!("  {row}"));
    }
}

/// One row for a call with the same result for several response plans.
fn merged(tried: &[Tried]) -> Vec<(&Tried, String)> {
    let mut rows: Vec<(&Tried, Vec<&str>)> = Vec::new();
    for one in tried {
        match rows.iter_mut().find(|(row, _)| row.call == one.call && row.verdict == one.verdict) {
            Some((_, on)) if on.contains(&one.on.as_str()) => {}
            Some((_, on)) => on.push(&one.on),
            None => rows.push((one, vec![&one.on])),
        }
    }
    let on = |on: Vec<&str>| match on.as_slice() {
        [one, _, ..] => format!("{one} and {} more", on.len() - 1),
        _ => on.concat(),
    };
    rows.into_iter().map(|(tried, all)| (tried, on(all))).collect()
}

/// The missing statements, and the policy they belong in.
fn to_add(text: &mut String, outcome: &TrialOutcome) {
    let TrialOutcome { at, identity, tried, findings: _, plans: _ } = outcome;
    let statements = statements(tried);
    if statements.is_empty() {
        return;
    }
    // A role that could not be assumed has no identity.
    let whose = match identity {
        Some(CallerIdentity { account: _, arn }) => arn.as_str(),
        None => "the credentials in use",
    };
    line(text, format_args!("\nto be added to the policy of {whose}, for what is denied {at}"));
    for statement in &statements {
        match serde_json::to_string(statement) {
            Ok(json) => line(text, format_args!("  {json}")),
            Err(error) => line(text, format_args!("  cannot write JSON: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_has_the_form_of_a_records_id_and_is_never_repeated() {
        let nonce = nonce();
        let lengths: Vec<_> = nonce.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12], "{nonce}");
        assert!(nonce.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit()), "{nonce}");
        assert_ne!(nonce, super::nonce());
    }
}
