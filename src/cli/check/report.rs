//! What AWS allows, as text: a table for each place, what else was found, and the statements to add.

use crate::aws::Call;
use crate::aws::trial::{self, CallerIdentity, PermissionVerdict, TrialOutcome, Tried, statements};
use crate::cli::page::{aligned, line};
use crate::config::{Config, SinkSettings, Vendor};
use crate::process::Exit;

/// What is printed, and how the command ends.
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

/// Which sinks' pages were not tried, in people's words.
pub(super) fn untried(config: &Config) -> Option<String> {
    let by_drill_alone = |sink: &&SinkSettings| match sink.vendor {
        // Its start is tried with a response plan that nobody has.
        Vendor::IncidentManager { .. } => false,
        Vendor::OpsCenter | Vendor::Sns { .. } | Vendor::Webhook(_) => true,
    };
    let ids: Vec<&str> = config.sinks.iter().filter(by_drill_alone).map(|sink| sink.id.as_str()).collect();
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

/// One row for a call that came to the same for several response plans.
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

/// The statements that are missing, and where they go.
fn to_add(text: &mut String, outcome: &TrialOutcome) {
    let TrialOutcome { at, identity, tried, findings: _, plans: _ } = outcome;
    let statements = statements(tried);
    if statements.is_empty() {
        return;
    }
    // Where the role could not be assumed there is nobody's name to tell.
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
