//! A profile's `credential_process`: a program that prints credentials, such as `aws_signing_helper` of IAM Roles Anywhere.
//!
//! At most one run at a time per command line, with all its children in a process group, which is killed at the time limit or
//! when the daemon ends. Concurrent callers share the result. The SDK's own provider does none of this: a program that hangs, as
//! it does when the uplink swallows packets, would be started again and again and outlive the daemon.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;
use tokio::sync::watch;

use crate::aws::text::first_line;
use crate::clock;
use crate::domain::time::Moment;
use crate::process::Group;

/// Time limit of one run. A page waits for it at most this long, and is retried within 30 s.
pub(in crate::aws) const LIMIT: Duration = Duration::from_secs(10);
/// A result is reused for this long: four services that need credentials at once start one program, and their retries do not
/// restart one that fails.
const SHARED_FOR: Duration = Duration::from_secs(5);
/// Normal output is about a kilobyte; a session token may have several.
const LONGEST_OUTPUT: u64 = 64 * 1024;
/// The beginning of its error output is shown.
const LONGEST_COMPLAINT: u64 = 4 * 1024;
/// After its exit, a process that it left running may hold its output open; everything has been printed by then.
const AFTER_ITS_END: Duration = Duration::from_millis(500);

/// All credential programs, by command line.
#[derive(Debug, Clone, Default)]
pub(in crate::aws) struct Helpers(Arc<Mutex<BTreeMap<String, Arc<Helper>>>>);

impl Helpers {
    /// The provider for this command line.
    pub(super) fn provider(&self, command: &str) -> HelperProvider {
        let mut helpers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let helper = helpers.entry(command.to_owned()).or_insert_with(|| Arc::new(Helper::new(command)));
        HelperProvider(Arc::clone(helper))
    }
}

/// Provides the credentials that a program prints.
#[derive(Debug)]
pub(super) struct HelperProvider(Arc<Helper>);

impl ProvideCredentials for HelperProvider {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let helper = Arc::clone(&self.0);
        future::ProvideCredentials::new(async move {
            helper.credentials().await.map_err(CredentialsError::provider_error)
        })
    }
}

type Provided = Result<Credentials, HelperError>;

/// One program.
struct Helper {
    command: String,
    state: Mutex<HelperState>,
}

#[derive(Default)]
struct HelperState {
    running: Option<watch::Receiver<Option<Provided>>>,
    last: Option<(Moment, Provided)>,
}

impl Helper {
    fn new(command: &str) -> Self {
        Self { command: command.to_owned(), state: Mutex::default() }
    }

    /// The result of the current run, of one that has just ended, or of a new one.
    async fn credentials(self: Arc<Self>) -> Provided {
        let mut running = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let now = clock::now().mono;
            match (&state.last, &state.running) {
                (Some((at, outcome)), _) if now.since(*at) < SHARED_FOR => return outcome.clone(),
                (_, Some(running)) if running.has_changed().is_ok() => running.clone(),
                (_, Some(_) | None) => {
                    let (result, running) = watch::channel(None);
                    state.running = Some(running.clone());
                    let helper = Arc::clone(&self);
                    // A separate task: a caller that gives up does not end the run for the others.
                    tokio::spawn(async move { helper.run(result).await });
                    running
                }
            }
        };
        match running.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone().unwrap_or(Err(HelperError::new(HelperProblem::Abandoned))),
            Err(_) => Err(HelperError::new(HelperProblem::Abandoned)),
        }
    }

    async fn run(&self, result: watch::Sender<Option<Provided>>) {
        let outcome = run(&self.command).await;
        {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.last = Some((clock::now().mono, outcome.clone()));
            state.running = None;
        }
        result.send_replace(Some(outcome));
    }
}

impl fmt::Debug for Helper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The arguments may contain a secret.
        f.write_str("Helper")
    }
}

async fn run(command: &str) -> Provided {
    let mut program = Command::new("sh");
    program.args(["-c", command]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let started = Group::start(&mut program);
    let mut group = started.map_err(|error| HelperError::new(HelperProblem::NotStarted(error.kind())))?;
    let (output, complaint) = (group.child.stdout.take(), group.child.stderr.take());
    let mut printed = Vec::new();
    let mut complained = Vec::new();
    let ended = {
        let reading =
            async { tokio::try_join!(read(output, &mut printed), drain(complaint, &mut complained)) };
        let mut reading = std::pin::pin!(reading);
        let child = &mut group.child;
        let ending = async {
            tokio::select! {
                read = &mut reading => {
                    read?;
                    Ok(child.wait().await)
                }
                status = child.wait() => {
                    let rest = tokio::time::timeout(AFTER_ITS_END, &mut reading).await;
                    rest.unwrap_or(Ok(((), ())))?;
                    Ok(status)
                }
            }
        };
        tokio::time::timeout(LIMIT, ending).await
    };
    // Kills processes it left running, and itself after the time limit.
    group.kill();
    let stderr = first_line(&String::from_utf8_lossy(&complained));
    let failed = |problem| HelperError { problem, stderr };
    match ended {
        Err(_) => Err(failed(HelperProblem::TooSlow)),
        Ok(Err(TooLong)) => Err(failed(HelperProblem::TooLong)),
        Ok(Ok(Err(error))) => Err(failed(HelperProblem::NotStarted(error.kind()))),
        Ok(Ok(Ok(status))) if !status.success() => Err(failed(HelperProblem::Failed(status))),
        Ok(Ok(Ok(_))) => understood(&printed).map_err(|what| failed(HelperProblem::NotUnderstood(what))),
    }
}

/// The output is longer than credentials can be.
#[derive(Debug)]
struct TooLong;

/// Reads to the end.
async fn read(from: Option<impl AsyncRead + Unpin>, into: &mut Vec<u8>) -> Result<(), TooLong> {
    let Some(from) = from else { return Ok(()) };
    let _ = from.take(LONGEST_OUTPUT).read_to_end(into).await;
    if into.len() as u64 >= LONGEST_OUTPUT { Err(TooLong) } else { Ok(()) }
}

/// Keeps the beginning, and discards the rest: the writer must not block.
async fn drain(from: Option<impl AsyncRead + Unpin>, into: &mut Vec<u8>) -> Result<(), TooLong> {
    let Some(mut from) = from else { return Ok(()) };
    let _ = (&mut from).take(LONGEST_COMPLAINT).read_to_end(into).await;
    let _ = tokio::io::copy(&mut from, &mut tokio::io::sink()).await;
    Ok(())
}

/// Parses the output by the AWS SDKs and Tools Reference Guide ("Process credential provider"). Strict: a misspelt key or an
/// invalid time would turn credentials that expire into ones that never do.
fn understood(printed: &[u8]) -> Result<Credentials, &'static str> {
    let printed: Value = serde_json::from_slice(printed).map_err(|_| "what it printed is not JSON")?;
    let members = printed.as_object().ok_or("what it printed is no JSON object")?;
    for (name, misspelt) in [
        ("Version", "the key \"Version\" must be written so"),
        ("AccessKeyId", "the key \"AccessKeyId\" must be written so"),
        ("SecretAccessKey", "the key \"SecretAccessKey\" must be written so"),
        ("SessionToken", "the key \"SessionToken\" must be written so"),
        ("Expiration", "the key \"Expiration\" must be written so"),
    ] {
        if members.keys().any(|key| key != name && key.eq_ignore_ascii_case(name)) {
            return Err(misspelt);
        }
    }
    if members.get("Version").and_then(Value::as_u64) != Some(1) {
        return Err("\"Version\" must be the number 1");
    }
    let text = |name: &str| members.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let key = text("AccessKeyId").ok_or("\"AccessKeyId\" is missing, or is no text")?;
    let secret = text("SecretAccessKey").ok_or("\"SecretAccessKey\" is missing, or is no text")?;
    let token = match members.get("SessionToken") {
        None => None,
        Some(_) => Some(text("SessionToken").ok_or("\"SessionToken\" is no text, or empty")?),
    };
    let expiry = match members.get("Expiration") {
        None => None,
        Some(_) => {
            let at = text("Expiration").and_then(|text| text.parse::<jiff::Timestamp>().ok());
            let at = at.ok_or("\"Expiration\" must be a time as in \"2026-05-02T18:36:00Z\", in quotes")?;
            if at.as_millisecond() <= clock::wall().as_millis() {
                return Err(
                    "the credentials that it printed have expired (\"Expiration\"); check this host's clock",
                );
            }
            Some(SystemTime::from(at))
        }
    };
    Ok(Credentials::new(key, secret, token.map(str::to_owned), expiry, "credential_process"))
}

/// Why the program gave no credentials.
#[derive(Debug, Clone)]
pub(in crate::aws) struct HelperError {
    problem: HelperProblem,
    /// The beginning of its error output, without anything that looks like a secret.
    stderr: Option<String>,
}

#[derive(Debug, Clone)]
enum HelperProblem {
    NotStarted(std::io::ErrorKind),
    Failed(ExitStatus),
    TooSlow,
    TooLong,
    NotUnderstood(&'static str),
    Abandoned,
}

impl HelperError {
    fn new(problem: HelperProblem) -> Self {
        Self { problem, stderr: None }
    }

    /// The first line of its standard error, bounded, without anything that looks like a secret.
    pub(super) fn stderr(&self) -> Option<&str> {
        self.stderr.as_deref()
    }

    /// Whether it timed out, as opposed to a wrong answer.
    pub(in crate::aws) fn is_timeout(&self) -> bool {
        matches!(self.problem, HelperProblem::TooSlow)
    }
}

impl fmt::Display for HelperError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.problem {
            HelperProblem::NotStarted(why) => write!(f, "credential_process cannot be run: {why}")?,
            HelperProblem::Failed(status) => match status.code() {
                Some(code) => write!(f, "credential_process failed with exit code {code}")?,
                None => write!(f, "credential_process was ended by a signal")?,
            },
            HelperProblem::TooSlow => {
                write!(f, "credential_process gave no answer within {} s and was ended", LIMIT.as_secs())?;
            }
            HelperProblem::TooLong => f.write_str("credential_process printed far more than credentials")?,
            HelperProblem::NotUnderstood(what) => write!(f, "credential_process: {what}")?,
            HelperProblem::Abandoned => f.write_str("credential_process: its run was abandoned")?,
        }
        match self.stderr() {
            Some(stderr) => write!(f, ", saying {stderr:?}"),
            None => Ok(()),
        }
    }
}

impl Error for HelperError {}

#[cfg(test)]
mod tests;
