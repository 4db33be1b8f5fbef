//! Makes the calls of a trial at one place and records the results: the permission that each needs, and what the answer shows
//! about it.

use std::collections::BTreeMap;
use std::error::Error;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use serde::Serialize;

use crate::aws::connection::AwsConnection;
use crate::aws::errors::{Failure, FailureKind};
use crate::aws::exchange::{Capture, call};
use crate::aws::permission::Call;
use crate::domain::names::{AwsPlace, Kind};
use crate::domain::scope::Scope;

/// A throttled call is repeated, at most this often: a check makes more calls at once than the daemon.
const ATTEMPTS: u32 = 4;
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait, whatever AWS says about when to come back.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// The results of a trial.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrialOutcome {
    /// The place, completed by the SDK's own chain, and the role.
    pub at: String,
    /// Our identity there.
    pub identity: Option<CallerIdentity>,
    /// The calls, in order.
    pub tried: Vec<Tried>,
    /// What is wrong, and what to do.
    pub findings: Vec<String>,
    /// The existing response plans.
    pub plans: Vec<SeenPlan>,
}

/// Our identity, as AWS sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallerIdentity {
    /// The account.
    pub account: String,
    /// The user or role.
    pub arn: String,
}

/// Nothing else can be tried at this place.
pub(super) struct Stop;

/// Makes calls at one place and records the results.
pub(super) struct Trier {
    pub(super) connection: Arc<AwsConnection>,
    tried: Vec<Tried>,
    findings: Vec<String>,
    pub(super) plans: Vec<SeenPlan>,
    /// AWS does not answer, or keeps throttling: waiting for each further answer would take minutes.
    silent: bool,
}

impl Trier {
    pub(super) fn new(connection: Arc<AwsConnection>) -> Self {
        Self { connection, tried: Vec::new(), findings: Vec::new(), plans: Vec::new(), silent: false }
    }

    /// Makes one call. `None` if it was skipped or has no answer; recorded either way.
    pub(super) async fn attempt<T, Sent>(
        &mut self,
        call: Call,
        on: &str,
        grant: Grant,
        meant: Meant,
        send: impl Fn() -> Sent,
    ) -> Option<Result<T, FailureKind>>
    where
        Sent: Future<Output = Result<T, Failure>>,
    {
        if self.silent {
            self.skip(call, on, grant);
            return None;
        }
        let result = patiently(send).await;
        let kind = result.as_ref().map(|_| ()).map_err(|failure| failure.kind);
        let verdict = PermissionVerdict::of(meant, kind);
        // The same about another response plan is in the table, and in the statement to add.
        let repeated = self.tried.iter().any(|tried| tried.call == call && tried.verdict == verdict);
        self.tried.push(Tried { call, on: on.to_owned(), verdict, grant });
        match result {
            Ok(value) => Some(Ok(value)),
            Err(failure) => {
                let throttled = matches!(failure.kind, FailureKind::Throttled { .. });
                self.silent |= throttled || !failure.kind.reached_aws();
                match verdict {
                    PermissionVerdict::Allowed | PermissionVerdict::NotDenied => {}
                    PermissionVerdict::Denied | PermissionVerdict::NoCredentials if repeated => {}
                    PermissionVerdict::Denied
                    | PermissionVerdict::NoCredentials
                    | PermissionVerdict::NotTried
                    | PermissionVerdict::Failed => {
                        self.find(failure.text);
                    }
                }
                Some(Err(failure.kind))
            }
        }
    }

    /// Determines our identity, and with it whether the role can be assumed.
    pub(super) async fn identity(&mut self) -> Result<Option<CallerIdentity>, Stop> {
        let connection = Arc::clone(&self.connection);
        let place = &connection.place;
        let nothing_else = |what: &str| format!("{what}; nothing else was tried {place}");
        if place.region.is_none() {
            self.skip(Call::GetCallerIdentity, "", Grant::on(None));
            self.find(nothing_else(&Failure::no_region(Call::GetCallerIdentity).text));
            return Err(Stop);
        }
        let request = connection.sts.get_caller_identity();
        let send = |capture| request.clone().customize().interceptor(capture).send();
        let answer = patiently(|| sent(Call::GetCallerIdentity, &connection, send)).await;
        let verdict =
            PermissionVerdict::of(Meant::Answer, answer.as_ref().map(|_| ()).map_err(|failure| failure.kind));
        let unassumed = answer.as_ref().err().and_then(Failure::unassumed);
        match (unassumed.or(place.role_arn.as_deref()), &answer) {
            // The role of the configuration or of a profile.
            (Some(role), _) => {
                let grant = Grant::on(Some(role));
                self.tried.push(Tried { call: Call::AssumeRole, on: role.to_owned(), verdict, grant });
            }
            // It needs no permission: success proves nothing.
            (None, Ok(_)) => {}
            (None, Err(_)) => {
                let (call, grant) = (Call::GetCallerIdentity, Grant::on(None));
                self.tried.push(Tried { call, on: String::new(), verdict, grant });
            }
        }
        let failure = match answer {
            Ok(answer) => {
                let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
                return Ok(Some(CallerIdentity { account: text(answer.account()), arn: text(answer.arn()) }));
            }
            Err(failure) => failure,
        };
        // If STS is unreachable other services may still be; without credentials nothing can be called.
        let without = match verdict {
            PermissionVerdict::Denied | PermissionVerdict::NoCredentials => true,
            PermissionVerdict::Allowed
            | PermissionVerdict::NotDenied
            | PermissionVerdict::NotTried
            | PermissionVerdict::Failed => place.role_arn.is_some(),
        };
        if without {
            self.find(nothing_else(&failure.text));
            return Err(Stop);
        }
        self.find(failure.text);
        Ok(None)
    }

    /// Records that a call was not tried.
    pub(super) fn skip(&mut self, call: Call, on: &str, grant: Grant) {
        self.tried.push(Tried { call, on: on.to_owned(), verdict: PermissionVerdict::NotTried, grant });
    }

    /// Adds to the row of the last call.
    pub(super) fn row_says(&mut self, call: Call, on: &str) {
        if let Some(tried) = self.tried.iter_mut().rev().find(|tried| tried.call == call) {
            on.clone_into(&mut tried.on);
        }
    }

    pub(super) fn find(&mut self, what: String) {
        if !self.findings.contains(&what) {
            self.findings.push(what);
        }
    }

    pub(super) fn take(&mut self, part: Self) {
        let Self { connection: _, tried, findings, plans, silent: _ } = part;
        self.tried.extend(tried);
        self.plans.extend(plans);
        for finding in findings {
            self.find(finding);
        }
    }

    pub(super) fn done(self, identity: Option<CallerIdentity>) -> TrialOutcome {
        let Self { connection, tried, findings, plans, silent: _ } = self;
        TrialOutcome { at: connection.place.to_string(), identity, tried, findings, plans }
    }
}

/// Makes a call, and repeats it when AWS throttles it.
async fn patiently<T, Sent>(send: impl Fn() -> Sent) -> Result<T, Failure>
where
    Sent: Future<Output = Result<T, Failure>>,
{
    let mut wait = FIRST_WAIT;
    for _ in 1..ATTEMPTS {
        match send().await {
            Err(Failure { kind: FailureKind::Throttled { retry_after }, .. }) => {
                tokio::time::sleep(retry_after.unwrap_or(wait).min(LONGEST_WAIT)).await;
                wait *= 2;
            }
            other => return other,
        }
    }
    send().await
}

/// One call through the SDK.
pub(super) async fn sent<T, E, Sent>(
    of: Call,
    connection: &AwsConnection,
    send: impl Fn(Capture) -> Sent,
) -> Result<T, Failure>
where
    E: Error + ProvideErrorMetadata + Send + Sync + 'static,
    Sent: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
{
    call(of, &connection.place, send).await.map(|(value, _)| value)
}

//--- the permission of a call, and the IAM policy statement that grants it, as narrow as in
//--- packaging/aws/daemon-role.yaml

/// The resource of a permission.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    resources: Vec<String>,
    condition: Option<(&'static str, String)>,
}

impl Grant {
    /// On one resource; `None` if no resource can be named.
    pub fn on(resource: Option<&str>) -> Self {
        Self { resources: vec![resource.unwrap_or("*").to_owned()], condition: None }
    }

    /// On any of these.
    pub fn on_any(resources: Vec<String>) -> Self {
        Self { resources, condition: None }
    }

    /// The action can be limited to a Region and no further.
    pub fn in_region(place: &AwsPlace) -> Self {
        Self::if_equal("aws:RequestedRegion", place.region.as_deref().unwrap_or_default())
    }

    /// The action cannot be limited to resources, but by this condition.
    pub fn if_equal(key: &'static str, value: &str) -> Self {
        Self { resources: vec!["*".to_owned()], condition: Some((key, value.to_owned())) }
    }
}

/// One call of the trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// The call.
    pub call: Call,
    /// What it was about, in a few words.
    pub on: String,
    /// The verdict.
    pub verdict: PermissionVerdict,
    /// The permission's resource.
    pub grant: Grant,
}

/// A statement of an IAM policy, for JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Statement {
    effect: &'static str,
    action: Vec<&'static str>,
    resource: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<BTreeMap<&'static str, BTreeMap<&'static str, String>>>,
}

/// The statements to add for what was denied: one for all actions on the same resource.
pub fn statements<'a>(tried: impl IntoIterator<Item = &'a Tried>) -> Vec<Statement> {
    let mut grants: Vec<(&Grant, Vec<&'static str>)> = Vec::new();
    for Tried { call, on: _, verdict, grant } in tried {
        // It needs no permission (STS API Reference): another call prevents it.
        if *call == Call::GetCallerIdentity {
            continue;
        }
        match verdict {
            PermissionVerdict::Denied => {}
            PermissionVerdict::Allowed
            | PermissionVerdict::NotDenied
            | PermissionVerdict::NoCredentials
            | PermissionVerdict::NotTried
            | PermissionVerdict::Failed => continue,
        }
        let action = call.permission();
        match grants.iter_mut().find(|(known, _)| *known == grant) {
            Some((_, actions)) if actions.contains(&action) => {}
            Some((_, actions)) => actions.push(action),
            None => grants.push((grant, vec![action])),
        }
    }
    let statement = |(grant, action): (&Grant, Vec<&'static str>)| Statement {
        effect: "Allow",
        action,
        resource: grant.resources.clone(),
        condition: grant
            .condition
            .as_ref()
            .map(|(key, value)| BTreeMap::from([("StringEquals", BTreeMap::from([(*key, value.clone())]))])),
    };
    grants.into_iter().map(statement).collect()
}

//--- what an answer shows about a permission

/// The expected result of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meant {
    /// An answer.
    Answer,
    /// An answer, if its object exists.
    AnswerIfThere,
    /// A refusal: its object cannot exist.
    Refusal,
}

/// What a trial shows about a permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PermissionVerdict {
    /// AWS carried out the call.
    Allowed,
    /// AWS refused it as expected, and not for lack of a permission.
    NotDenied,
    /// A permission is missing.
    Denied,
    /// There are no credentials, or AWS does not accept them.
    NoCredentials,
    /// It was not tried.
    NotTried,
    /// Another error: nothing is known.
    Failed,
}

impl PermissionVerdict {
    /// The verdict of an answer.
    pub fn of(meant: Meant, answer: Result<(), FailureKind>) -> Self {
        match answer {
            Ok(()) => Self::Allowed,
            Err(FailureKind::Denied) => Self::Denied,
            Err(
                FailureKind::CredentialsRefused
                | FailureKind::CredentialsMissing
                | FailureKind::CredentialsFailed,
            ) => Self::NoCredentials,
            Err(FailureKind::NotFound) => match meant {
                Meant::Refusal | Meant::AnswerIfThere => Self::NotDenied,
                Meant::Answer => Self::Failed,
            },
            Err(FailureKind::Rejected | FailureKind::TokenKnown | FailureKind::Contended) => match meant {
                Meant::Refusal => Self::NotDenied,
                Meant::Answer | Meant::AnswerIfThere => Self::Failed,
            },
            Err(
                FailureKind::Throttled { .. }
                | FailureKind::TimedOut
                | FailureKind::Unreachable
                | FailureKind::ServiceFault
                | FailureKind::Garbage,
            ) => Self::Failed,
        }
    }

    /// The text in the table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::NotDenied => "not denied",
            Self::Denied => "denied",
            Self::NoCredentials => "no credentials",
            Self::NotTried => "not tried",
            Self::Failed => "failed",
        }
    }
}

/// Response plans covered by one statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Family {
    /// The resource of the statement: the plan's ARN, with `*` in place of the kind.
    pub granted: String,
    /// The ARN of a plan that does not exist, covered as well if `granted` has a `*`.
    pub nobodys_plan: String,
    /// The id of a record that does not exist.
    pub nobodys_record: String,
    /// The plans.
    pub plans: Vec<PlanUse>,
}

/// A response plan and its use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanUse {
    /// Its ARN.
    pub arn: String,
    /// The incidents that it starts.
    pub serves: Vec<(Scope, Kind)>,
}

/// An existing response plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenPlan {
    /// The plan and its use.
    pub plan: PlanUse,
    /// Its dedupe string.
    pub dedupe: Option<String>,
}

impl Family {
    pub(super) fn name(&self) -> &str {
        name(&self.granted)
    }

    /// The resource to grant, and the plan that stands for it in the trial.
    pub(super) fn to_start(&self) -> Vec<String> {
        if self.granted.contains('*') {
            return vec![self.granted.clone()];
        }
        vec![self.granted.clone(), format!("{}-check-*", self.granted)]
    }

    /// IAM identifies a record by its own ARN or by its plan's.
    pub(super) fn with_records(&self) -> Vec<String> {
        vec![self.granted.clone(), records(&self.granted, "*")]
    }
}

impl PlanUse {
    pub(super) fn name(&self) -> &str {
        name(&self.arn)
    }

    pub(super) fn serves(&self) -> String {
        served(&self.serves)
    }
}

/// The incidents of plans, by the plans' names.
type ByPlan<'a> = BTreeMap<&'a str, Vec<(Scope, Kind)>>;

/// Where different incidents may be merged into one: while a record with a dedupe string is open, Incident Manager starts no
/// other with the same string (API Reference, `IncidentTemplate`).
pub fn folds<'a>(plans: impl IntoIterator<Item = &'a SeenPlan>) -> Vec<String> {
    let mut by_string: BTreeMap<&str, ByPlan<'_>> = BTreeMap::new();
    for SeenPlan { plan, dedupe } in plans {
        let Some(dedupe) = dedupe else { continue };
        let serves = by_string.entry(dedupe).or_default().entry(name(&plan.arn)).or_default();
        for one in &plan.serves {
            if !serves.contains(one) {
                serves.push(one.clone());
            }
        }
    }
    let text = |(string, plans): (&str, ByPlan<'_>)| {
        let serves: Vec<_> = plans.values().flatten().cloned().collect();
        let of = served(&serves);
        let names: Vec<_> = plans.into_keys().collect();
        let what = match names.as_slice() {
            [_] if serves.len() < 2 => return None,
            [plan] => format!(
                "the response plan {plan} has the dedupe string {string:?} and serves different incidents ({of})"
            ),
            plans => format!(
                "the response plans {} have the same dedupe string {string:?} ({of})",
                plans.join(", ")
            ),
        };
        Some(format!(
            "{what}: while one of them is open, Incident Manager merges the others into it, and nobody is paged \
             for them; give each connection, group, uplink, site and kind its own \
             plan ({{scope}} and {{kind}} in response_plan), and each plan its own dedupe string"
        ))
    };
    by_string.into_iter().filter_map(text).collect()
}

fn served(serves: &[(Scope, Kind)]) -> String {
    let each = serves.iter().map(|(of, kind)| format!("{} of {of}", kind.as_str()));
    each.collect::<Vec<_>>().join(", ")
}

/// The last part of an ARN.
pub(super) fn name(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

/// The ARN of a plan's record, or a pattern of such ARNs.
pub(super) fn records(plan: &str, record: &str) -> String {
    format!("{}/{record}", plan.replacen(":response-plan/", ":incident-record/", 1))
}
