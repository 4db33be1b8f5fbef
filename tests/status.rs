//! `bothends status` as a program: its output, its exit code and its terminal, against daemons that answer, hang or talk nonsense.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

/// Longer than any step takes, so that a test that hangs fails.
const DEADLINE: Duration = Duration::from_secs(60);

fn status(site: &str, traffic: &str) -> Value {
    let verdict = if traffic == "flows" { "up" } else { "down" };
    let at = "2026-11-22T10:00:00Z";
    let tunnel = |n: u8| {
        json!({
            "outside_ip": format!("203.0.113.{n}"), "name": format!("tunnel {n}"), "role": "active",
            "assessment": if verdict == "up" { "healthy" } else { "down" }, "assessed_since": at,
            "carrying": if verdict == "up" { "carrying" } else { "not_carrying" },
            "local": { "verdict": verdict, "since": at,
                       "evidence": { "losses_in_row": 0, "replies_in_row": 9, "loss_percent": 0.0, "median_rtt_ms": 11.9 } },
            "aws": { "verdict": verdict, "since": at, "age_seconds": 21.0, "words": "1 BGP ROUTES" },
            "checks": [],
        })
    };
    json!({
        "site": site, "version": "0.1.0", "mode": "raise", "at": at, "ready": true,
        "vpns": [{
            "id": "vpn-0a", "name": "Milan | DC", "routing": "bgp", "traffic": traffic, "tunnels": [tunnel(1), tunnel(2)],
            "phases": { "outage": "clear", "redundancy_lost": "clear", "one_sided": "clear" },
        }],
        "incidents": [], "sources": [], "problems": [],
    })
}

fn http(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// What answers at a loopback address. The answer can be changed.
struct Daemon {
    address: SocketAddr,
    answer: Arc<Mutex<Vec<u8>>>,
}

impl Daemon {
    fn answering(answer: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let answer = Arc::new(Mutex::new(answer));
        let answers = Arc::clone(&answer);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut request = [0; 4096];
                _ = stream.read(&mut request);
                let answer = answers.lock().unwrap().clone();
                // The client may have read enough.
                _ = stream.write_all(&answer);
            }
        });
        Self { address, answer }
    }

    fn of(status: &Value) -> Self {
        Self::answering(http(&status.to_string()))
    }

    fn says(&self, answer: Vec<u8>) {
        *self.answer.lock().unwrap() = answer;
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

fn bothends(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bothends"));
    command.args(arguments).env_remove("NO_COLOR").stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> Output {
    bothends(arguments).output().unwrap()
}

fn first_line(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned()
}

/// A report is no report if half of it is missing; a reader that stops early has read enough.
#[test]
fn a_full_disk_is_a_failure_and_a_closed_pipe_is_none() {
    let head = r#"{"entry":"history","version":1,"site":"milan-1","at":"2026-11-22T10:00:00Z"}"#;
    let daemon = Daemon::answering(http(&format!("{head}\n{{\"end\":true}}\n")));
    let url = daemon.url();
    let report = || bothends(&["report", "--url", &url]);
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = report().stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("cannot write to standard output: ") && said.lines().count() == 1, "{said}");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = report().stdout(writer).output().unwrap();
    assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()));
}

#[test]
fn as_a_plugin_each_state_has_its_word_its_code_and_its_numbers() {
    for (traffic, word, code) in [("flows", "OK", 0), ("does_not_flow", "CRITICAL", 2)] {
        let daemon = Daemon::of(&status("milan-1", traffic));
        let output = run(&["status", "--nagios", "--url", &daemon.url()]);
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        let line = first_line(&output);
        assert!(line.starts_with(&format!("BOTHENDS {word} - ")), "{line}");
        let (_, numbers) = line.split_once(" | ").unwrap();
        assert!(numbers.contains("'Milan / DC/tunnel 1 loss'=0%;;;0;100"), "{line}");
        assert_eq!(line.matches('|').count(), 1, "{line}");
    }
}

#[test]
fn what_is_wrong_elsewhere_does_not_count_for_the_service_of_a_connection() {
    let with = |change: &dyn Fn(&mut Value)| {
        let mut status = status("milan-1", "flows");
        status["ready"] = json!(false);
        change(&mut status);
        let daemon = Daemon::of(&status);
        [&[][..], &["--vpn", "vpn-0a"]].map(|which| {
            let output = run(&[&["status", "--nagios", "--url", &daemon.url()], which].concat());
            (output.status.code(), first_line(&output))
        })
    };
    let [all, one] = with(&|status| {
        status["problems"] = json!([{
            "code": "sink_rejects", "component": "sink pager", "severity": "failed", "title": "A sink rejects what it is sent",
            "text": "403 Forbidden", "first_step": "Fix it.",
        }]);
    });
    assert_eq!((all.0, one.0), (Some(1), Some(0)), "a sink rejects: {all:?} {one:?}");
    assert!(all.1.starts_with("BOTHENDS WARNING - A sink rejects") && one.1.starts_with("BOTHENDS OK - "));
    let [all, one] = with(&|status| {
        let mut other = status["vpns"][0].clone();
        (other["id"], other["traffic"]) = (json!("vpn-0b"), json!("cannot_tell"));
        status["vpns"].as_array_mut().unwrap().push(other);
    });
    assert_eq!((all.0, one.0), (Some(3), Some(0)), "another connection is starting: {all:?} {one:?}");
    let [all, one] = with(&|status| status["stuck"] = json!(true));
    assert_eq!((all.0, one.0), (Some(3), Some(3)), "the core is stuck: {all:?} {one:?}");
    assert!(one.1.starts_with("BOTHENDS UNKNOWN - the daemon's core is stuck"), "{one:?}");
}

#[test]
fn as_a_plugin_every_failure_is_3_and_says_why_first() {
    let frozen = TcpListener::bind("127.0.0.1:0").unwrap();
    let frozen = format!("http://{}", frozen.local_addr().unwrap());
    let daemons = [
        http("{\"site\":"),
        http("[]"),
        http(&"[".repeat(100_000)),
        http("\u{1b}[2J|x=1"),
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n".to_vec(),
        b"HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\n|a=1".to_vec(),
        b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{}".to_vec(),
        Vec::new(),
    ]
    .map(Daemon::answering);
    let milan = Daemon::of(&status("milan-1", "flows"));
    let mut lines: Vec<Vec<String>> =
        daemons.iter().map(|daemon| vec!["--url".to_owned(), daemon.url()]).collect();
    let more = [
        vec!["--url", "http://127.0.0.1:1"],
        vec!["--url", &frozen],
        vec!["--url", "ftp://127.0.0.1"],
        vec!["--url", "http://nowhere.invalid:9846"],
        vec!["--jsn"],
        vec!["--json"],
        vec!["--fleet"],
        vec!["--fleet", "@/nonexistent"],
        vec!["--color", "pink"],
        vec!["--url", "http://a|b"],
    ];
    lines.extend(more.iter().map(|line| line.iter().map(|word| (*word).to_owned()).collect()));
    let url = milan.url();
    lines.push(["--url", &url, "--vpn", "Rome"].map(str::to_owned).to_vec());
    for line in lines {
        let words: Vec<&str> =
            ["status", "--nagios"].into_iter().chain(line.iter().map(String::as_str)).collect();
        let output = run(&words);
        assert_eq!(output.status.code(), Some(3), "{words:?}: {output:?}");
        let first = first_line(&output);
        assert!(first.starts_with("BOTHENDS UNKNOWN - ") && first.len() > 30, "{words:?}: {output:?}");
        assert!(!first.contains(['|', '\u{1b}']), "{words:?}: {first:?}");
    }
}

#[test]
fn as_a_plugin_whose_reader_has_gone_it_says_unknown_and_otherwise_the_state() {
    let daemon = Daemon::of(&status("milan-1", "flows"));
    for (form, code) in [("--nagios", 3), ("--json", 0)] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ended =
            bothends(&["status", form, "--url", &daemon.url()]).stdout(writer).stderr(Stdio::null()).status();
        assert_eq!(ended.unwrap().code(), Some(code), "{form}");
    }
    // Without any standard output it still ends with a code of a plugin.
    let bare = Command::new("sh")
        .args(["-c", "exec \"$0\" status --nagios --url \"$1\" >&- 2>&-"])
        .args([env!("CARGO_BIN_EXE_bothends"), &daemon.url()])
        .status();
    assert!(bare.unwrap().code().is_some_and(|code| code <= 3));
}

#[test]
fn the_worst_site_of_a_fleet_decides() {
    let [rome, milan] = [("rome", "flows"), ("milan", "does_not_flow")]
        .map(|(site, traffic)| Daemon::of(&status(site, traffic)));
    let gone = "http://127.0.0.1:1";
    let run = |urls: &[&str]| run(&[&["status", "--fleet"], urls].concat());
    assert_eq!(run(&[&rome.url()]).status.code(), Some(0));
    let with_gone = run(&[&rome.url(), gone]);
    assert_eq!(with_gone.status.code(), Some(3), "{with_gone:?}");
    assert_eq!(first_line(&with_gone), "UNKNOWN: 2 sites: 1 unknown, 1 healthy");
    let all = run(&[&rome.url(), gone, &milan.url()]);
    assert_eq!(all.status.code(), Some(2));
    let text = String::from_utf8(all.stdout).unwrap();
    let order: Vec<_> = text.lines().skip(3).map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(order, ["DOWN", "UNKNOWN", "HEALTHY"], "{text}");
    let json = run(&[&milan.url(), gone, "--json"]);
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((&json["sites"][0]["site"], &json["sites"][1]["level"]), (&json!("milan"), &json!("unknown")));
}

/// A program that runs, killed at the end and after [`DEADLINE`].
struct Running {
    child: Child,
    said: mpsc::Receiver<String>,
}

impl Running {
    /// Passes on what it prints up to each of these bytes.
    fn start(command: &mut Command, until: u8) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let (says, said) = mpsc::channel();
        thread::spawn(move || {
            loop {
                let mut bytes = Vec::new();
                if out.read_until(until, &mut bytes).unwrap_or(0) == 0
                    || says.send(String::from_utf8_lossy(&bytes).into_owned()).is_err()
                {
                    return;
                }
            }
        });
        Self { child, said }
    }

    fn line(&self) -> String {
        self.said.recv_timeout(DEADLINE).expect("it prints")
    }

    /// Everything up to this text.
    fn up_to(&self, text: &str) -> String {
        let mut all = String::new();
        while !all.contains(text) {
            all.push_str(&self.line());
        }
        all
    }

    fn code(mut self) -> Option<i32> {
        // It ends: its output does.
        while self.said.recv_timeout(DEADLINE).is_ok() {}
        _ = self.child.kill();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

#[test]
fn watching_into_a_pipe_is_a_line_for_each_change_and_ends_with_the_last_state() {
    let daemon = Daemon::of(&status("milan-1", "flows"));
    let running = Running::start(&mut bothends(&["status", "--watch", "1", "--url", &daemon.url()]), b'\n');
    let line = |running: &Running| running.line().split_once(' ').unwrap().1.trim_end().to_owned();
    assert_eq!(line(&running), "milan-1 HEALTHY: 1 connection, 2 tunnels");
    daemon.says(http(&status("milan-1", "does_not_flow").to_string()));
    assert_eq!(line(&running), "milan-1 DOWN: Milan | DC (vpn-0a): no tunnel carries traffic");
    daemon.says(Vec::new());
    assert!(line(&running).starts_with("UNKNOWN: "));
    daemon.says(http(&status("milan-1", "does_not_flow").to_string()));
    assert!(line(&running).starts_with("milan-1 DOWN: "), "it answers again");
    let pid = Pid::from_raw(i32::try_from(running.child.id()).unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    assert_eq!(running.code(), Some(2));
}

#[test]
fn watching_on_a_terminal_redraws_in_place_and_gives_the_terminal_back() {
    let daemon = Daemon::of(&status("milan-1", "flows"));
    // script(1) makes a pseudo-terminal; what comes at its standard input is typed there.
    let typed = format!(
        "stty cols 60 rows 12; exec '{}' status --watch 1 --url {}",
        env!("CARGO_BIN_EXE_bothends"),
        daemon.url()
    );
    let mut command = Command::new("script");
    command
        .args(["-qec", &typed, "/dev/null"])
        .env("TERM", "xterm")
        .env_remove("NO_COLOR")
        .stdin(Stdio::piped());
    let mut running = Running::start(&mut command, b'\n');
    let begun = running.up_to("HEALTHY:");
    assert!(begun.contains("\x1b[?1049h") && begun.contains("\x1b[H"), "{begun:?}");
    assert!(begun.contains("\x1b[32mHEALTHY:\x1b[0m"), "a terminal has colours: {begun:?}");
    daemon.says(http(&status("milan-1", "does_not_flow").to_string()));
    running.up_to("DOWN:");
    let mut keyboard = running.child.stdin.take().unwrap();
    keyboard.write_all(b"\x03").unwrap();
    let mut rest = String::new();
    while let Ok(more) = running.said.recv_timeout(DEADLINE) {
        rest.push_str(&more);
    }
    assert!(rest.trim_end().ends_with("\x1b[?1049l"), "{rest:?}");
    assert_eq!(running.code(), Some(2), "that of the last state");
}

/// A terminal that runs this command, in which what is printed comes in pieces up to the end of each progress line.
fn on_a_terminal(arguments: &str, directory: &str) -> Running {
    let typed = format!("exec '{}' {arguments}", env!("CARGO_BIN_EXE_bothends"));
    let mut command = Command::new("script");
    command.args(["-qec", &typed, "/dev/null"]).env("TERM", "xterm").env("RUNTIME_DIRECTORY", directory);
    command.env_remove("NO_COLOR").stdin(Stdio::piped());
    Running::start(&mut command, b'K')
}

/// A history of nothing.
const NO_HISTORY: &str = "{\"entry\":\"history\",\"version\":1,\"site\":\"milan-1\",\"at\":\"2026-12-01T00:00:00Z\"}\n{\"end\":true}\n";

#[test]
fn a_command_that_waits_says_on_a_terminal_for_what_and_removes_that_before_its_answer() {
    for (arguments, awaited, answer, says) in [
        ("status", "asking the daemon", status("milan-1", "flows").to_string(), "HEALTHY"),
        ("report", "reading the history", NO_HISTORY.to_owned(), "milan-1"),
        (
            "reload",
            "waiting until the new configuration is in force",
            r#"{"outcome":"in_force","vpns":1,"tunnels":2,"notes":[]}"#.to_owned(),
            "the configuration is in force",
        ),
        (
            "silence list",
            "waiting for the daemon's answer",
            r#"{"outcome":"listed","silences":[]}"#.to_owned(),
            "no silences",
        ),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("control.sock")).unwrap();
        let running = on_a_terminal(arguments, directory.path().to_str().unwrap());
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 4096];
        _ = stream.read(&mut request).unwrap();
        // It is answered once it has said that it waits.
        let waiting = running.line();
        assert!(waiting.contains(&format!("\r{awaited} … ")), "{arguments}: {waiting:?}");
        assert!(waiting.ends_with(" s\x1b[K"), "{arguments}: {waiting:?}");
        stream.write_all(&http(&answer)).unwrap();
        drop(stream);
        let mut rest = String::new();
        while let Ok(more) = running.said.recv_timeout(DEADLINE) {
            rest.push_str(&more);
        }
        let (line, printed) = rest.rsplit_once("\r\x1b[K").unwrap_or_else(|| panic!("{arguments}: {rest:?}"));
        assert!(!line.contains(says) && printed.contains(says), "{arguments}: {rest:?}");
    }
}

#[test]
fn what_a_program_reads_has_no_line_that_says_what_is_waited_for() {
    let frozen = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", frozen.local_addr().unwrap());
    // Each gives up only long after such a line would have come.
    let on_terminals = ["--nagios", "--json", "--nagios --fleet", "--json --fleet"].map(|form| {
        let at = if form.ends_with("--fleet") { url.clone() } else { format!("--url {url}") };
        (form, on_a_terminal(&format!("status {form} {at}"), "/nonexistent"))
    });
    let in_a_pipe = run(&["status", "--url", &url]);
    assert_eq!(String::from_utf8_lossy(&in_a_pipe.stderr), "");
    for (form, running) in on_terminals {
        let mut all = String::new();
        while let Ok(more) = running.said.recv_timeout(DEADLINE) {
            all.push_str(&more);
        }
        assert!(all.contains("UNKNOWN") || all.contains("unknown"), "{form}: {all:?}");
        assert!(!all.contains("asking") && !all.contains('\x1b'), "{form}: {all:?}");
    }
}

#[test]
fn colours_come_only_when_they_are_wanted() {
    let daemon = Daemon::of(&status("milan-1", "flows"));
    let coloured = |arguments: &[&str]| {
        let output = run(&[&["status", "--url", &daemon.url()], arguments].concat());
        output.stdout.contains(&0x1b)
    };
    assert!(!coloured(&[]) && !coloured(&["--color", "never"]) && coloured(&["--color", "always"]));
}
