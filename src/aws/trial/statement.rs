//! What a call that was tried needs, and the statement of an IAM policy that gives it: as narrow as packaging/aws/daemon-role.yaml has it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::verdict::Verdict;
use crate::aws::permission::Call;
use crate::domain::names::AwsPlace;

/// What a call must be allowed on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    resources: Vec<String>,
    condition: Option<(&'static str, String)>,
}

impl Grant {
    /// On one resource; where there is none, on nothing that can be named.
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

/// One call that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// The call.
    pub call: Call,
    /// What it was about, in a few words.
    pub on: String,
    /// What came of it.
    pub verdict: Verdict,
    /// What the call needs.
    pub grant: Grant,
}

/// A statement, as JSON has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Statement {
    effect: &'static str,
    action: Vec<&'static str>,
    resource: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<BTreeMap<&'static str, BTreeMap<&'static str, String>>>,
}

/// The statements to add for what was denied: one for all that is allowed on the same.
pub fn statements<'a>(tried: impl IntoIterator<Item = &'a Tried>) -> Vec<Statement> {
    let mut grants: Vec<(&Grant, Vec<&'static str>)> = Vec::new();
    for Tried { call, on: _, verdict, grant } in tried {
        // It needs no permission (STS API Reference): what stands in its way is another call.
        if *call == Call::GetCallerIdentity {
            continue;
        }
        match verdict {
            Verdict::Denied => {}
            Verdict::Allowed
            | Verdict::NotDenied
            | Verdict::NoCredentials
            | Verdict::NotTried
            | Verdict::Failed => continue,
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
