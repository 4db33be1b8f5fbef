//! The command on a real store's file, and what it says where it cannot report.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::time::Duration;

use clap::Parser;
use tempfile::TempDir;

use super::*;
use crate::domain::fact::Fact;
use crate::domain::names::{End, TunnelId, VpnId};
use crate::domain::side::Side;
use crate::domain::time::{Now, Stamp};
use crate::domain::verdict::{Assessment, Evidence, LocalEvidence, Verdict, View, Why};
use crate::settings::StoreSettings;
use crate::store::StoreEngine;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    report: ReportArguments,
}

/// The arguments after `bothends report`.
fn arguments(line: &[&str]) -> ReportArguments {
    Line::try_parse_from(["report"].iter().chain(line)).unwrap().report
}

/// The report, or what is wrong with the exit code.
fn run(line: &[&str]) -> Result<String, (Exit, String)> {
    report(Path::new("/nonexistent/bothends.toml"), &arguments(line)).map_err(|error| match error {
        ReportError::Usage(why) => (Exit::Usage, why),
        ReportError::Source(error) => (error.exit(), error.to_string()),
        ReportError::Output(why) => (Exit::BadNews, why),
        ReportError::Internal(why) => (Exit::Internal, why),
    })
}

/// 2024-11-10T00:00:00Z: it is past wherever the tests run.
const BEGIN: Stamp = Stamp::from_secs(1_731_196_800);

fn tunnel() -> TunnelId {
    TunnelId { vpn: VpnId::new("vpn-0a1b2c3d4e5f60718"), outside_ip: [198, 51, 100, 1].into() }
}

/// A store that saw one tunnel for an hour: up after a minute, down from the 30th to the 40th.
fn store() -> (TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bothends.db");
    let settings = StoreSettings {
        path: path.clone(),
        keep: Duration::from_secs(90 * 86_400),
        max_size: 64 * 1024 * 1024,
        spool: false,
    };
    let begin = Now { wall: BEGIN, ..Now::default() };
    let minute = |minutes: u64| begin.after(Duration::from_secs(60 * minutes));
    let (mut engine, _) = StoreEngine::open(&settings, begin).unwrap();
    let starting = Verdict::Unknown(Why::Starting);
    let view = |verdict, at| View { verdict, since: at, evidence: Evidence::Local(LocalEvidence::default()) };
    let steps = [
        (1, (starting, Assessment::Blind), (Verdict::Up, Assessment::Healthy)),
        (30, (Verdict::Up, Assessment::Healthy), (Verdict::Down, Assessment::Down)),
        (40, (Verdict::Down, Assessment::Down), (Verdict::Up, Assessment::Healthy)),
    ];
    let mut facts: Vec<(u64, Fact)> = (0..=60).map(|at| (at, Fact::Watched { at: minute(at) })).collect();
    for (when, (from, assessed), (to, assessment)) in steps {
        let at = minute(when);
        let view = view(to, at);
        for end in [End::Local, End::Aws] {
            facts.push((when, Fact::ViewChanged { tunnel: tunnel(), end, from, view: view.clone(), at }));
        }
        facts.push((
            when,
            Fact::AssessmentChanged {
                tunnel: tunnel(),
                from: assessed,
                to: assessment,
                local: view.clone(),
                aws: view,
                side: Side::Unknown,
                at,
            },
        ));
    }
    facts.sort_by_key(|(when, _)| *when);
    for (when, fact) in facts {
        engine.record(&fact, minute(when));
    }
    engine.commit(minute(60)).unwrap();
    drop(engine);
    let path = path.to_str().unwrap().to_owned();
    (directory, path)
}

const HOUR: [&str; 4] = ["--since", "2024-11-10T00:00:00Z", "--until", "2024-11-10T02:00:00Z"];

#[test]
fn a_stores_file_is_accounted_for_without_a_daemon() {
    let (_directory, path) = store();
    let line = [&HOUR[..], &["--tz", "UTC", "--store", &path]].concat();
    let text = run(&line).unwrap();
    // 10 of 59 minutes down; half of the two hours was not observed.
    for part in
        ["2024-11-10 00:00 to 2024-11-10 02:00 (UTC), 2 h.", "83.050 %", "50.000 %", "0:10:00", "1:00:00"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(text.contains("2024-11-10 00:30:00  2024-11-10 00:40:00  10 min"), "{text}");
}

#[test]
fn every_format_is_made_of_a_stores_file() {
    let (_directory, path) = store();
    let begins = [
        ("text", "bothends: report\n"),
        ("markdown", "# bothends: report\n"),
        ("html", "<!DOCTYPE html>"),
        ("json", "{\n  \"site\": \"\","),
        ("csv", "vpn,tunnel,name,"),
        ("csv-outages", "vpn,tunnel,name,"),
    ];
    for (format, begin) in begins {
        let line = [&HOUR[..], &["--tz", "UTC", "--store", &path, "--format", format]].concat();
        let made = run(&line).unwrap();
        assert!(made.starts_with(begin), "{format}: {made}");
    }
    let line = [&HOUR[..], &["--tz", "UTC", "--store", &path, "--would-have-paged"]].concat();
    let made = run(&line).unwrap();
    assert!(made.contains("/nonexistent/bothends.toml cannot be read"), "{made}");
    assert!(made.contains("0 incidents opened; 0 would have been sent."), "{made}");
}

#[test]
fn what_the_history_does_not_have_is_a_wrong_argument() {
    let (_directory, path) = store();
    let wrong =
        |more: &[&str]| run(&[&HOUR[..], &["--tz", "UTC", "--store", &path], more].concat()).unwrap_err();
    assert_eq!(
        wrong(&["--vpn", "office"]),
        (
            Exit::Usage,
            "--vpn office: the history has no such connection; without a daemon give its id, vpn-…"
                .to_owned()
        )
    );
    assert!(wrong(&["--incident", "vpn-"]).1.starts_with("--incident vpn-: the history has no incident"));
    let people = "--incident is for people to read: give --format text, markdown or html";
    assert_eq!(wrong(&["--incident", "x", "--format", "csv"]), (Exit::Usage, people.to_owned()));
    assert_eq!(wrong(&["--would-have-paged", "--format", "csv-outages"]).0, Exit::Usage);
}

#[test]
fn wrong_times_and_zones_are_wrong_arguments() {
    for line in [
        &["--since", "yesterday"][..],
        &["--since", "2024-11-02", "--until", "2024-11-01"],
        &["--month", "november"],
        &["--tz", "Mars/Olympus"],
    ] {
        let (exit, why) = run(line).unwrap_err();
        assert_eq!(exit, Exit::Usage, "{why}");
        assert!(why.starts_with(line[0]) || why.starts_with("the period ends before it begins"), "{why}");
    }
    for line in [&["--month", "2026-11", "--since", "1d"][..], &["--months", "0"], &["--format", "pdf"]] {
        assert!(Line::try_parse_from(["report"].iter().chain(line)).is_err(), "{line:?}");
    }
}

#[test]
fn a_file_that_is_no_store_is_refused_with_its_name() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing.db").to_str().unwrap().to_owned();
    let (exit, why) = run(&["--store", &missing]).unwrap_err();
    assert_eq!(exit, Exit::BadNews, "{why}");
    assert!(why.starts_with("--store: ") && why.contains("missing.db"), "{why}");
    let other = directory.path().join("notes.txt");
    fs::write(&other, "not a database, and longer than the header of one: ".repeat(20)).unwrap();
    let (exit, why) = run(&["--store", other.to_str().unwrap()]).unwrap_err();
    assert_eq!(exit, Exit::BadNews, "{why}");
    assert!(why.contains("notes.txt"), "{why}");
    assert!(fs::read_to_string(&other).unwrap().starts_with("not a database"), "it is untouched");
}

/// A daemon that answers every question with this, and hands out what it was asked.
fn daemon(answer: String) -> (String, std::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (questions, asked) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut line = String::new();
            BufReader::new(&stream).read_line(&mut line).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            if questions.send(line).is_err() {
                return;
            }
        }
    });
    (url, asked)
}

fn answer(code: u16, body: &str) -> String {
    format!("HTTP/1.1 {code} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

/// A tunnel that is up, in runs from and until these minutes of 2024-11-10.
fn history(runs: &[(u32, u32)], more: &str) -> String {
    let runs = runs.iter().map(|(from, until)| {
        format!(
            "{{\"entry\":\"watched\",\"from\":\"2024-11-10T00:{from:02}:00Z\",\"until\":\"2024-11-10T00:{until:02}:00Z\"}}\n"
        )
    });
    let head = r#"{"entry":"history","version":1,"site":"rome","at":"2024-11-10T00:50:00Z"}
{"entry":"tunnel","vpn":"vpn-0a","vpn_name":"office","tunnel":"203.0.113.1","name":"tunnel 1","role":"standby","local":"up","aws":"up","assessment":"healthy","cause":null,"silenced":null}
"#;
    format!("{head}{}{more}{{\"end\":true}}\n", runs.collect::<String>())
}

/// From 00:20 on.
fn asked_of(url: &str, more: &[&str]) -> Result<String, (Exit, String)> {
    run(&[&["--since", "2024-11-10T00:20:00Z", "--tz", "UTC", "--url", url], more].concat())
}

#[test]
fn a_daemons_history_ends_with_its_present_and_has_names_and_roles() {
    let (url, asked) = daemon(answer(200, &history(&[(0, 50)], "")));
    let text = asked_of(&url, &[]).unwrap();
    for part in [
        "bothends: report of rome\n",
        "2024-11-10 00:20 to 2024-11-10 00:50 (UTC), 30 min, until now.",
        "office                    100 %    100 %  100 %     100 %\n",
        "- tunnel 1 (standby)      100 %",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(asked.recv().unwrap().starts_with("GET /history?since=2024-11-10T00:20:00Z&minutes=false "));
    assert!(asked.try_recv().is_err(), "one question is enough while the run lasts");
    assert!(asked_of(&url, &["--vpn", "office"]).is_ok());
    assert_eq!(
        asked_of(&url, &["--vpn", "rome"]).unwrap_err(),
        (Exit::Usage, "--vpn rome: no connection has this id or name; there are: office (vpn-0a)".to_owned())
    );
}

#[test]
fn the_daemon_is_asked_once_and_says_itself_what_was_so_when_the_period_began() {
    let up = r#"{"entry":"verdict","at":"2024-11-10T00:30:01Z","vpn":"vpn-0a","tunnel":"203.0.113.1","end":"local","from":"unknown","to":"up"}
"#;
    let (url, asked) = daemon(answer(200, &history(&[(0, 30), (30, 50)], up)));
    asked_of(&url, &[]).unwrap();
    assert!(asked.recv().unwrap().contains("since=2024-11-10T00:20:00Z"));
    assert!(asked.try_recv().is_err());
}

#[test]
fn a_daemon_without_a_history_is_bad_news_with_what_to_do() {
    for (answer, says) in [
        (answer(404, "not found"), "it is of an older release; restart it after the upgrade"),
        (answer(503, "too many"), "the daemon refuses its history: too many (HTTP 503)"),
        (answer(200, "<html></html>\n"), "this is no history of bothends"),
        (
            answer(200, &history(&[], "").replace("{\"end\":true}\n", "")),
            "the history was cut short; try again",
        ),
    ] {
        let (url, _asked) = daemon(answer);
        let (exit, why) = asked_of(&url, &[]).unwrap_err();
        assert_eq!(exit, Exit::BadNews, "{why}");
        assert!(why.contains(says), "{why}");
    }
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (exit, why) = asked_of(&format!("http://{free}"), &[]).unwrap_err();
    assert_eq!(exit, Exit::BadNews);
    assert!(why.contains("cannot connect") || why.contains(&free.to_string()), "{why}");
    assert!(asked_of("ftp://gw1", &[]).unwrap_err().1.contains("unknown scheme"));
}
