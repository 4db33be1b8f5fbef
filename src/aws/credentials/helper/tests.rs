use std::path::Path;

use rustix::process::{Pid, test_kill_process};

use super::*;

const CREDENTIALS: &str = r#"{"Version": 1, "AccessKeyId": "AKIDEXAMPLE", "SecretAccessKey": "sEcrEt", "SessionToken": "tOkEn", "Expiration": "2999-05-02T18:36:00+00:00"}"#;

async fn outcome(command: &str) -> Provided {
    Arc::new(Helper::new(command)).credentials().await
}

async fn refusal(command: &str) -> String {
    outcome(command).await.unwrap_err().to_string()
}

#[tokio::test]
async fn printed_credentials_are_provided_with_their_expiry() {
    let credentials = outcome(&format!("echo '{CREDENTIALS}'")).await.unwrap();
    assert_eq!((credentials.access_key_id(), credentials.session_token()), ("AKIDEXAMPLE", Some("tOkEn")));
    assert!(credentials.expiry().is_some());
}

#[tokio::test]
async fn a_failing_program_is_shown_with_its_first_line_and_no_secret() {
    let error = refusal("echo 'x509: certificate has expired' >&2; echo more >&2; exit 3").await;
    assert_eq!(error, "credential_process failed with exit code 3, saying \"x509: certificate has expired\"");
    let error = refusal("echo 'bad answer {\"SecretAccessKey\": \"wJalrXUtn\"}' >&2; exit 1").await;
    assert!(!error.contains("wJalr"), "{error}");
    assert_eq!(refusal("kill -9 $$").await, "credential_process was ended by a signal");
}

#[test]
fn malformed_output_is_an_error_and_never_credentials_without_expiry() {
    let changed = |from: &str, to: &str| understood(CREDENTIALS.replace(from, to).as_bytes()).map(drop);
    assert_eq!(changed("", ""), Ok(()));
    assert_eq!(changed(r#", "Expiration": "2999-05-02T18:36:00+00:00""#, ""), Ok(()));
    for (from, to, says) in [
        (r#""2999-05-02T18:36:00+00:00""#, "32472144000", "must be a time"),
        (r#""2999-05-02T18:36:00+00:00""#, r#""32472144000""#, "must be a time"),
        (r#""2999-05-02T18:36:00+00:00""#, "null", "must be a time"),
        (r#""2999-05-02T18:36:00+00:00""#, r#""""#, "must be a time"),
        (r#""2999-05-02T18:36:00+00:00""#, r#""next week""#, "must be a time"),
        ("2999-05-02", "2001-05-02", "have expired"),
        ("Expiration", "expiration", "\"Expiration\" must be written so"),
        ("Expiration", "EXPIRATION", "\"Expiration\" must be written so"),
        ("AccessKeyId", "accessKeyId", "\"AccessKeyId\" must be written so"),
        ("SecretAccessKey", "secretaccesskey", "\"SecretAccessKey\" must be written so"),
        ("SessionToken", "sessiontoken", "\"SessionToken\" must be written so"),
        ("\"Version\": 1", "\"Version\": \"1\"", "the number 1"),
        ("\"Version\": 1", "\"Version\": 2", "the number 1"),
        ("\"Version\": 1,", "", "the number 1"),
        ("\"sEcrEt\"", "17", "is no text"),
        ("\"tOkEn\"", "17", "is no text"),
        ("\"AKIDEXAMPLE\"", "\"\"", "is missing"),
        ("}", "", "not JSON"),
    ] {
        let error = changed(from, to).unwrap_err();
        assert!(error.contains(says), "{from} as {to}: {error}");
    }
    assert!(understood(b"[]").is_err());
    assert!(understood(b"").is_err());
}

#[tokio::test]
async fn concurrent_callers_share_one_run() {
    let dir = tempfile::tempdir().unwrap();
    let runs = dir.path().join("runs");
    for ends in ["exit 0", "exit 1"] {
        std::fs::write(&runs, "").unwrap();
        let command = format!("echo run >> {}; echo '{CREDENTIALS}'; {ends}", runs.display());
        let helpers = Helpers::default();
        let mut asked = tokio::task::JoinSet::new();
        for _ in 0..20 {
            let provider = helpers.provider(&command);
            asked.spawn(async move { provider.provide_credentials().await.is_ok() });
        }
        let answers = asked.join_all().await;
        assert!(answers.iter().all(|ok| *ok == (ends == "exit 0")), "{answers:?}");
        // Neither an answer nor a failure lets the next caller start it again at once.
        drop(helpers.provider(&command).provide_credentials().await);
        assert_eq!(std::fs::read_to_string(&runs).unwrap().lines().count(), 1, "{ends}");
    }
}

/// The ids of the program and of a child, once the program has written them.
async fn processes(file: &Path) -> Vec<Pid> {
    loop {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let ids: Vec<Pid> = text.lines().filter_map(|id| Pid::from_raw(id.parse().ok()?)).collect();
        if ids.len() == 2 {
            return ids;
        }
        tokio::task::yield_now().await;
    }
}

async fn gone(ids: &[Pid]) {
    let is_zombie = |id: &Pid| {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", id.as_raw_nonzero())).unwrap_or_default();
        stat.rsplit_once(')').is_none_or(|(_, rest)| rest.trim_start().starts_with('Z'))
    };
    while ids.iter().any(|id| test_kill_process(*id).is_ok() && !is_zombie(id)) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_program_that_hangs_is_killed_with_its_children_at_the_time_limit() {
    let dir = tempfile::tempdir().unwrap();
    let ids = dir.path().join("ids");
    let command = format!("sleep 1000 & echo $! > {0}; echo $$ >> {0}; sleep 1000", ids.display());
    let error = refusal(&command).await;
    assert_eq!(error, "credential_process gave no answer within 10 s and was ended");
    if let Ok(text) = std::fs::read_to_string(&ids) {
        let ids: Vec<Pid> = text.lines().filter_map(|id| Pid::from_raw(id.parse().ok()?)).collect();
        gone(&ids).await;
    }
}

#[test]
fn a_program_does_not_outlive_its_runtime() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ids");
    let command = format!("sleep 1000 & echo $! > {0}; echo $$ >> {0}; sleep 1000", file.display());
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let first = runtime();
    let ids = first.block_on(async {
        let asked = tokio::spawn(Arc::new(Helper::new(&command)).credentials());
        let ids = processes(&file).await;
        asked.abort();
        ids
    });
    drop(first);
    runtime().block_on(gone(&ids));
}

#[tokio::test]
async fn a_program_that_prints_without_end_costs_no_memory_and_is_killed() {
    let error = refusal("while :; do echo 0123456789012345678901234567890123456789; done").await;
    assert_eq!(error, "credential_process printed far more than credentials");
    // The beginning of a long error output is kept, and the rest does not block the program.
    let talkative = "head -c 1000000 /dev/zero | tr '\\0' '\\n' >&2";
    let credentials = outcome(&format!("echo first >&2; {talkative}; echo '{CREDENTIALS}'")).await.unwrap();
    assert_eq!(credentials.access_key_id(), "AKIDEXAMPLE");
}

#[tokio::test]
async fn processes_left_running_do_not_delay_the_answer() {
    let credentials = outcome(&format!("sleep 1000 & echo '{CREDENTIALS}'")).await.unwrap();
    assert_eq!(credentials.access_key_id(), "AKIDEXAMPLE");
}
