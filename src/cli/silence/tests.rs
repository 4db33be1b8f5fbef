use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixListener;
use std::thread;

use clap::Parser as _;

use super::*;
use crate::http::silences::TargetJson;

/// The answer of a daemon that answers this and closes, and the request that it got.
fn asked(what: &str, body: &str, answer: &str) -> (Result<SilenceAnswer, String>, String) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control.sock");
    let listener = UnixListener::bind(&path).unwrap();
    thread::scope(|scope| {
        let daemon = scope.spawn(|| {
            let (mut stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut head, mut length) = (String::new(), 0);
            while !head.ends_with("\r\n\r\n") {
                let from = head.len();
                reader.read_line(&mut head).unwrap();
                if let Some(value) = head[from..].strip_prefix("Content-Length: ") {
                    length = value.trim().parse().unwrap();
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            format!("{} {}", head.lines().next().unwrap(), String::from_utf8(body).unwrap())
        });
        let answer = ask(&path, what, body).map_err(|error| error.to_string());
        (answer, daemon.join().unwrap())
    })
}

fn http(code: u16, body: &str) -> String {
    format!("HTTP/1.1 {code} Whatever\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

#[test]
fn a_request_arrives_with_its_body_and_every_outcome_is_understood() {
    let refused = SilenceAnswer::Refused { problem: "a".to_owned() };
    let answer = http(422, r#"{"outcome":"refused","problem":"a"}"#);
    assert_eq!(
        asked("POST /silences", "{}", &answer),
        (Ok(refused), "POST /silences HTTP/1.1 {}".to_owned())
    );
    let (busy, request) = asked("DELETE /silences/3", "", &http(503, "too many connections\n"));
    assert_eq!((busy, request.as_str()), (Ok(SilenceAnswer::Busy), "DELETE /silences/3 HTTP/1.1 "));
    let (ending, _) = asked("GET /silences", "", &http(503, r#"{"outcome":"ending"}"#));
    assert_eq!(ending, Ok(SilenceAnswer::Ending));
}

#[test]
fn a_foreign_answer_is_an_error_that_says_what_to_do() {
    let problem = |answer: &str| asked("GET /silences", "", answer).0.unwrap_err();
    let older = problem(&http(404, "try /metrics\n"));
    assert!(older.contains("knows no silences; restart it"), "{older}");
    for answer in [String::new(), http(200, "{\"outcome\":\"sideways\"}"), "hello\n".to_owned()] {
        let broken = problem(&answer);
        assert!(broken.contains("`bothends silence list` shows whether it was done"), "{answer:?}: {broken}");
    }
}

#[test]
fn without_a_daemon_nothing_is_silenced_and_that_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let error = ask(&directory.path().join("control.sock"), "GET /silences", "").unwrap_err();
    let text = error.to_string();
    assert!(text.contains("systemctl status bothends") && text.ends_with("Nothing is silenced"), "{text}");
    assert_eq!(error.exit(), Exit::BadNews);
}

fn parsed(line: &str) -> Result<AddArguments, clap::Error> {
    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        add: AddArguments,
    }
    Line::try_parse_from(std::iter::once("add").chain(line.split(' '))).map(|line| line.add)
}

#[test]
fn a_silence_needs_a_target_an_end_and_a_reason() {
    for wrong in [
        "--for 2h --reason work",
        "--site --reason work",
        "--site --for 2h",
        "--site --for 2h --until 04:00 --reason work",
    ] {
        assert!(parsed(wrong).is_err(), "{wrong}");
    }
    let all = "--site --vpn a --vpn b --tunnel 203.0.113.1 --group paris --uplink wan1 --for 2h --weekly --tz UTC --reason work";
    let (wanted, _) = parsed(all).unwrap().wanted().unwrap();
    let targets: Vec<TargetJson> = wanted.targets.into_iter().map(Into::into).collect();
    assert_eq!(
        serde_json::to_string(&targets).unwrap(),
        r#"[{"scope":"site"},{"scope":"connection","name":"a"},{"scope":"connection","name":"b"},{"scope":"tunnel","name":"203.0.113.1"},{"scope":"group","name":"paris"},{"scope":"uplink","name":"wan1"}]"#
    );
    assert_eq!((wanted.from, wanted.until), (None, Until::After(std::time::Duration::from_secs(7200))));
    assert_eq!(wanted.weekly.as_deref(), Some("UTC"));
}

fn silence() -> SilenceJson {
    SilenceJson {
        id: 3,
        scope: "connection".to_owned(),
        of: "vpn-0123456789abcdef0".to_owned(),
        name: "Milan DC".to_owned(),
        matches: true,
        active: true,
        no_window: None,
        from: "2026-12-01T01:00:00Z".to_owned(),
        until: "2026-12-01T03:00:00Z".to_owned(),
        weekly: None,
        reason: "the \u{1b}[31mnew line".to_owned(),
        by_uid: 0,
        added: "2026-12-01T00:59:00Z".to_owned(),
    }
}

fn utc() -> Times {
    Times::of(Some("UTC"), zones).unwrap()
}

#[test]
fn what_was_added_is_said_with_its_end_and_that_a_twin_does_not_know_it() {
    let planned = SilenceJson { id: 4, active: false, weekly: Some("Europe/Rome".to_owned()), ..silence() };
    let text = added(&[silence(), planned], &utc());
    let mut lines = text.lines();
    assert_eq!(
        lines.next().unwrap(),
        "silence 3: Milan DC (vpn-0123456789abcdef0): silenced until 2026-12-01 03:00 UTC"
    );
    assert_eq!(
        lines.next().unwrap(),
        "silence 4: Milan DC (vpn-0123456789abcdef0): silenced from 2026-12-01 01:00 UTC until 2026-12-01 03:00 UTC, and every \
         week at this hour (Europe/Rome)"
    );
    assert!(text.contains("on the other host of a pair, add it as well"), "{text}");
}

#[test]
fn the_list_says_what_is_active_and_what_matches_nothing_and_no_text_controls_the_terminal() {
    let gone = SilenceJson { id: 12, matches: false, weekly: Some("UTC".to_owned()), ..silence() };
    let text = table(&[silence(), gone], &utc());
    let unknown = "its time zone is not known to this host";
    let lost = SilenceJson {
        active: false,
        no_window: Some(unknown.to_owned()),
        weekly: Some("Europe/Rome".to_owned()),
        ..silence()
    };
    let lost = table(&[lost], &utc());
    assert!(lost.contains(&format!("  {unknown}, every week (Europe/Rome)  ")), "{lost}");
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[0].starts_with("id  state "), "{text}");
    assert!(lines[1].starts_with("3   active ") && lines[1].ends_with("\u{fffd}[31mnew line"), "{text}");
    assert!(lines[2].starts_with("12  matches nothing, every week (UTC)  2026-12-01 01:00 UTC"), "{text}");
    assert_eq!(table(&[], &utc()), "no silences\n");
}

#[test]
fn what_is_silenced_is_named_and_by_its_id_once_the_configuration_does_not_have_it() {
    let named = |scope: &str, of: &str, name: &str| {
        let (scope, of, name) = (scope.to_owned(), of.to_owned(), name.to_owned());
        target(&SilenceJson { scope, of, name, ..silence() })
    };
    assert_eq!(named("site", "site", "milan-1"), "the whole site");
    assert_eq!(named("uplink", "uplink/milan-1/wan1", "wan1"), "uplink wan1");
    assert_eq!(named("connection", "vpn-0a", "vpn-0a"), "vpn-0a");
    assert_eq!(named("tunnel", "vpn-0a 203.0.113.11", "Milan, tunnel 1"), "Milan, tunnel 1 (203.0.113.11)");
    assert_eq!(named("tunnel", "vpn-0a 203.0.113.11", "vpn-0a 203.0.113.11"), "tunnel vpn-0a 203.0.113.11");
}

#[test]
fn of_several_numbers_none_is_ended_if_one_is_wrong_and_what_was_ended_before_a_failure_is_said() {
    let ids = |ids: &[u32]| ids.iter().copied().collect::<BTreeSet<u32>>();
    assert_eq!(unknown(&ids(&[2, 3]), &ids(&[1, 2, 3])), None);
    let one = unknown(&ids(&[2, 99]), &ids(&[2, 3])).unwrap();
    assert_eq!(one, "there is no silence 99; there are 2, 3. None was ended");
    let none = unknown(&ids(&[2, 99]), &ids(&[])).unwrap();
    assert_eq!(none, "there is no silence 2, 99; there is none at all. None was ended");
    assert_eq!(done_before(&ids(&[2, 3, 4]), 0), None);
    assert_eq!(done_before(&ids(&[2, 3, 4]), 1).unwrap(), "ended before that: 2; not tried: 4");
    assert_eq!(done_before(&ids(&[2, 3, 4]), 2).unwrap(), "ended before that: 2, 3");
}

#[test]
fn the_end_of_a_silence_says_what_silences_the_same_still() {
    let rome = SilenceJson {
        id: 2,
        scope: "connection".to_owned(),
        of: "vpn-0c".to_owned(),
        name: "Rome".to_owned(),
        ..silence()
    };
    let still = |whole| StillSilenced { by: 3, until: "2026-12-01T11:33:00Z".to_owned(), whole };
    assert_eq!(
        ended(&rome, Some(&still(true)), &utc()),
        "silence 2 has ended; Rome (vpn-0c) is still silenced by silence 3 until 2026-12-01 11:33 UTC"
    );
    assert_eq!(
        ended(&rome, Some(&still(false)), &utc()),
        "silence 2 has ended; Rome (vpn-0c) is still silenced in part by silence 3 until 2026-12-01 11:33 UTC"
    );
    assert_eq!(ended(&rome, None, &utc()), "silence 2 has ended: Rome (vpn-0c) is no longer silenced");
    let planned = SilenceJson { active: false, ..rome };
    assert_eq!(ended(&planned, None, &utc()), "silence 2 of Rome (vpn-0c) is removed; its time had not come");
}

#[test]
fn every_answer_has_its_exit_code() {
    let exit = |answer| finish(Ok(answer), &utc());
    let problem = || "x".to_owned();
    assert_eq!(exit(SilenceAnswer::Added { silences: vec![], unsaved: Some(problem()) }), Exit::Success);
    assert_eq!(
        exit(SilenceAnswer::Ended { silence: Box::new(silence()), still: None, unsaved: None }),
        Exit::Success
    );
    assert_eq!(exit(SilenceAnswer::Refused { problem: problem() }), Exit::Usage);
    assert_eq!(exit(SilenceAnswer::NotAllowed { problem: problem() }), Exit::Permission);
    assert_eq!(exit(SilenceAnswer::Ending), Exit::BadNews);
    assert_eq!(exit(SilenceAnswer::Busy), Exit::BadNews);
}
