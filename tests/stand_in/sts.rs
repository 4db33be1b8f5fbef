//! STS: who am I, and be someone else for an hour.

use serde::Deserialize;
use serde_json::{Value, json};

use super::api::Handler;
use super::refusal::Refusal;
use super::settings::Credential;
use super::sigv4::Caller;
use super::state::State;

pub(super) const OPERATIONS: &[(&str, Handler)] =
    &[("AssumeRole", assume_role), ("GetCallerIdentity", get_caller_identity)];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AssumeRole {
    role_arn: String,
    role_session_name: String,
    #[serde(default = "hour")]
    duration_seconds: u32,
}

fn hour() -> u32 {
    3600
}

fn assume_role(state: &mut State, caller: &Caller, input: Value) -> Result<Value, Refusal> {
    let input: AssumeRole = serde_json::from_value(input).map_err(|_| Refusal::Internal)?;
    let name = input.role_arn.rsplit('/').next().unwrap_or_default();
    if !state.settings.roles.contains(&input.role_arn) {
        let action = "AssumeRole".to_owned();
        return Err(Refusal::Denied { principal: caller.principal.clone(), action });
    }
    let account = input.role_arn.split(':').nth(4).unwrap_or_default();
    let session = &input.role_session_name;
    let number = state.credentials.len();
    let credential = Credential {
        access_key_id: format!("ASIASTANDIN{number:09}"),
        secret_access_key: format!("temporary-secret-{number}"),
        session_token: Some(format!("temporary-token-{number}")),
        principal: format!("arn:aws:sts::{account}:assumed-role/{name}/{session}"),
        expires_at: Some(state.clock.now() + f64::from(input.duration_seconds)),
    };
    let answer = json!({
        "Credentials": {
            "AccessKeyId": credential.access_key_id,
            "SecretAccessKey": credential.secret_access_key,
            "SessionToken": credential.session_token,
            "Expiration": credential.expires_at,
        },
        "AssumedRoleUser": { "AssumedRoleId": format!("AROASTANDIN:{session}"), "Arn": credential.principal },
    });
    state.credentials.push(credential);
    Ok(answer)
}

fn get_caller_identity(state: &mut State, caller: &Caller, _: Value) -> Result<Value, Refusal> {
    Ok(json!({ "Account": state.settings.account, "Arn": caller.principal, "UserId": "AIDASTANDIN" }))
}
