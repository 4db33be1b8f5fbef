//! Real HTTP over loopback, within limits small enough to be met.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::*;
use crate::domain::names::End;
use crate::domain::status::Status;
use crate::domain::time::{Now, Stamp};
use crate::fixture;
use crate::health::overview::ShownProblems;
use crate::history::{Change, Entry, Period, Present, Said, Wanted};
use crate::http::client::{self, Server};
use crate::http::history::{Parts, ask};
use crate::http::listener::{bind, bind_socket};
use crate::http::routes::{About, Hosts, ReloadAnswer, ReloadRequest, Sources};
use crate::http::silences::{SilenceAnswer, SilenceQuestion, SilenceRequest};
use crate::http::status_json::StatusJson;

/// Longer than any step takes, so that a test that hangs fails.
const DEADLINE: Duration = Duration::from_secs(30);

const WIDE: Limits = Limits {
    connections: 16,
    per_peer: 16,
    header: Duration::from_secs(20),
    answer: Duration::from_secs(20),
    connection: Duration::from_secs(20),
    ending: Duration::from_secs(20),
};

/// What the answers are made of, for as long as this is kept.
struct Kept {
    sources: Sources,
    _status: watch::Sender<Arc<Status>>,
    _about: watch::Sender<About>,
}

fn kept(now: fn() -> Now) -> Kept {
    let (status, status_seen) = watch::channel(Arc::new(fixture::status()));
    let (about, about_seen) = watch::channel(About { version: "0.1.0", mode: "raise" });
    let sources = Sources {
        status: status_seen,
        problems: watch::channel(ShownProblems::default()).1,
        records: crate::records::Records::default(),
        about: about_seen,
        metrics: Arc::new(|status: &Status, _, _| {
            ("text/plain; version=0.0.4", format!("# {}\n", status.site))
        }),
        history: Arc::new(remembered),
        hosts: Hosts::default(),
        now,
    };
    Kept { sources, _status: status, _about: about }
}

/// Something in two parts; a disk that fails; or a reading too many.
fn remembered(wanted: Wanted) -> Option<Parts> {
    let (parts, taken) = mpsc::channel(2);
    let watched = Entry::Watched(Period { from: wanted.since, until: fixture::after(30).wall });
    let lost = Entry::Change {
        at: fixture::after(12).wall,
        tunnel: fixture::tunnel(1),
        change: Change::Verdict { end: End::Local, from: Said::Up, to: Said::Down },
    };
    parts.try_send(Ok(vec![watched])).unwrap();
    let second = if wanted.minutes { Err("the disk fails".to_owned()) } else { Ok(vec![lost]) };
    parts.try_send(second).unwrap();
    (wanted.since > Stamp::default()).then_some(taken)
}

struct World {
    address: SocketAddr,
    end: Option<oneshot::Sender<()>>,
    served: JoinHandle<()>,
    _kept: Kept,
}

async fn world(limits: Limits, now: fn() -> Now) -> World {
    let listener: TcpListener = bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let address = listener.local_addr().unwrap();
    let kept = kept(now);
    let (end, ends) = oneshot::channel();
    let served = tokio::spawn(serve(listener, App::public(kept.sources.clone()), limits, async move {
        _ = ends.await;
    }));
    World { address, end: Some(end), served, _kept: kept }
}

impl World {
    async fn ask(&self, head: &str) -> String {
        asked(TcpStream::connect(self.address).await.unwrap(), head).await
    }
}

async fn asked(mut stream: impl AsyncRead + AsyncWrite + Unpin, head: &str) -> String {
    stream.write_all(format!("{head}\r\nHost: localhost\r\n\r\n").as_bytes()).await.unwrap();
    rest(&mut stream).await
}

/// Everything up to the connection's end.
async fn rest(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut text = String::new();
    time::timeout(DEADLINE, stream.read_to_string(&mut text)).await.unwrap().unwrap();
    text
}

fn just_after() -> Now {
    fixture::after(31)
}

fn much_later() -> Now {
    fixture::after(300)
}

#[tokio::test]
async fn every_path_answers_in_its_type() {
    let world = world(WIDE, just_after).await;
    for (path, content_type, body) in [
        ("/metrics", "text/plain; version=0.0.4", "# milan-1\n"),
        ("/healthz", "text/plain; charset=utf-8", "ok\n"),
        ("/readyz", "text/plain; charset=utf-8", "ready\n"),
        ("/status", "application/json", "\"site\":\"milan-1\""),
    ] {
        let answer = world.ask(&format!("GET {path} HTTP/1.1")).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.to_lowercase().contains(&format!("content-type: {content_type}\r\n")), "{answer}");
        assert!(answer.contains(body), "{answer}");
    }
}

/// The history that a client reads: its present and entries, or what is wrong.
async fn history(world: &World, since: Stamp, minutes: bool) -> Result<(Present, Vec<Entry>), String> {
    let server = Server::Tcp(world.address);
    let read = move || {
        let mut entries = Vec::new();
        let present = ask(&server, since, minutes, DEADLINE, |entry| entries.push(entry));
        present.map(|present| (present, entries)).map_err(|error| error.to_string())
    };
    tokio::task::spawn_blocking(read).await.unwrap()
}

#[tokio::test]
async fn the_history_comes_in_lines_and_is_read_back() {
    let world = world(WIDE, just_after).await;
    let since = fixture::after(1).wall;
    let (present, entries) = history(&world, since, false).await.unwrap();
    assert_eq!(present, Present::of(&fixture::status()));
    assert_eq!(present.tunnels.len(), 2);
    assert_eq!(entries.len(), 2, "{entries:?}");
    assert_eq!(entries[0], Entry::Watched(Period { from: since, until: fixture::after(30).wall }));

    let answer = world.ask("GET /history?since=2025-11-01T00:00:00Z HTTP/1.1").await;
    assert!(answer.to_lowercase().contains("content-type: application/x-ndjson\r\n"), "{answer}");
    assert!(answer.contains("\n{\"end\":true}\n"), "{answer}");
}

#[tokio::test]
async fn a_history_that_cannot_be_read_to_its_end_is_no_history() {
    let world = world(WIDE, just_after).await;
    let since = fixture::after(1).wall;
    assert_eq!(
        history(&world, since, true).await.unwrap_err(),
        "the daemon cannot read its history: the disk fails"
    );
    let error = history(&world, Stamp::default(), false).await.unwrap_err();
    assert!(error.contains("too many read the history at once") && error.contains("503"), "{error}");
    let error = history(&world, fixture::after(31).wall, false).await.unwrap_err();
    assert!(
        error.contains("this time has not come") && error.contains("expected /history?since="),
        "{error}"
    );
    let answer = world.ask("GET /history HTTP/1.1").await;
    assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer}");
    assert!(answer.contains("since is missing; expected /history?since=2026-12-01T00:00:00Z"), "{answer}");
}

#[tokio::test]
async fn another_path_is_404_and_another_method_405() {
    let world = world(WIDE, just_after).await;
    for path in ["/", "/metricsx", "/status/", "/metrics/x"] {
        let answer = world.ask(&format!("GET {path} HTTP/1.1")).await;
        assert!(answer.starts_with("HTTP/1.1 404 Not Found\r\n"), "{path}: {answer}");
    }
    let answer = world.ask("POST /metrics HTTP/1.1\r\nContent-Length: 0").await;
    assert!(answer.starts_with("HTTP/1.1 405 Method Not Allowed\r\n"), "{answer}");
    assert!(answer.to_lowercase().contains("allow: get,head\r\n"), "{answer}");
    let head = world.ask("HEAD /metrics HTTP/1.1").await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.ends_with("\r\n\r\n"), "{head}");
}

#[tokio::test]
async fn a_stuck_core_is_neither_healthy_nor_ready() {
    let world = world(WIDE, much_later).await;
    for path in ["/healthz", "/readyz"] {
        let answer = world.ask(&format!("GET {path} HTTP/1.1")).await;
        assert!(answer.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{answer}");
        assert!(answer.contains("stuck: no status from the core for 270 s"), "{answer}");
    }
}

#[tokio::test]
async fn a_client_that_never_finishes_its_head_is_cut() {
    let world = world(Limits { header: Duration::from_millis(100), ..WIDE }, just_after).await;
    let mut slow = TcpStream::connect(world.address).await.unwrap();
    slow.write_all(b"GET /metrics HTTP/1.1\r\nHost:").await.unwrap();
    let told = rest(&mut slow).await;
    assert!(told.is_empty() || told.starts_with("HTTP/1.1 408"), "{told}");
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_cut() {
    let world = world(Limits { connection: Duration::from_millis(100), ..WIDE }, just_after).await;
    let mut silent = TcpStream::connect(world.address).await.unwrap();
    assert_eq!(rest(&mut silent).await, "");
}

#[tokio::test]
async fn clients_that_ask_nothing_make_room_for_one_that_asks() {
    let world = world(Limits { connections: 3, per_peer: 3, ..WIDE }, just_after).await;
    let mut silent = Vec::new();
    for _ in 0..3 {
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHo").await.unwrap();
        silent.push(stream);
    }
    for _ in 0..2 {
        let answer = world.ask("GET /readyz HTTP/1.1").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    }
    // It was the first to come, and is cut for the first that asked; the second found the place of that one free.
    assert!(ended(&mut silent[0]).await);
    silent[2].write_all(b"st: localhost\r\n\r\n").await.unwrap();
    assert!(rest(&mut silent[2]).await.starts_with("HTTP/1.1 200 OK\r\n"));
}

/// Whether a connection comes to an end without an answer.
async fn ended(stream: &mut TcpStream) -> bool {
    let mut byte = [0];
    matches!(time::timeout(DEADLINE, stream.read(&mut byte)).await.unwrap(), Ok(0) | Err(_))
}

#[tokio::test]
async fn where_everybody_is_being_answered_one_more_is_turned_away_until_one_is_slow() {
    let limits = Limits { connections: 2, per_peer: 2, ..WIDE };
    let peer = Some(IpAddr::from([127, 0, 0, 1]));
    let mut tasks = JoinSet::new();
    let mut taken = |state| {
        let task = tasks.spawn(std::future::pending::<()>());
        Taken { peer, state: Arc::new(Mutex::new(state)), task }
    };
    let answered = ConnectionState::Answered(clock::now().mono);
    let mut places = Slots { limits, taken: vec![taken(ConnectionState::Asked), taken(answered)] };
    assert!(!places.make_room_for(peer));
    places.limits.answer = Duration::ZERO;
    assert!(places.make_room_for(peer));
    // Whoever waits for his answer is not slow to take it.
    assert_eq!(
        places.taken.iter().map(|taken| *lock(&taken.state)).collect::<Vec<_>>(),
        [ConnectionState::Asked]
    );
    // A share of one address leaves the rest to others.
    let mut places = Slots { limits: Limits { per_peer: 1, ..limits }, taken: vec![taken(answered)] };
    assert!(!places.make_room_for(peer));
    assert!(places.make_room_for(Some([192, 0, 2, 1].into())));
}

#[tokio::test]
async fn whoever_asks_by_a_name_that_is_not_ours_learns_nothing() {
    let world = world(WIDE, just_after).await;
    for path in ["/status", "/metrics", "/readyz", "/nowhere"] {
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nHost: rebound.example:9846\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let answer = rest(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 421 Misdirected Request\r\n"), "{answer}");
        assert!(answer.contains("[http] hosts") && !answer.contains("milan"), "{answer}");
    }
    for authority in [world.address.to_string(), "localhost:9846".to_owned()] {
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        let head = format!("GET http://{authority}/readyz HTTP/1.1\r\nHost: {authority}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        assert!(rest(&mut stream).await.starts_with("HTTP/1.1 200 OK\r\n"), "{authority}");
    }
    let mut old = TcpStream::connect(world.address).await.unwrap();
    old.write_all(b"GET /readyz HTTP/1.0\r\n\r\n").await.unwrap();
    assert!(rest(&mut old).await.starts_with("HTTP/1.0 200 OK\r\n"));
}

#[tokio::test]
async fn shutdown_ends_idle_connections_and_closes_the_listener() {
    let mut world = world(WIDE, just_after).await;
    let mut idle = TcpStream::connect(world.address).await.unwrap();
    assert!(world.ask("GET /healthz HTTP/1.1").await.starts_with("HTTP/1.1 200"));
    drop(world.end.take());
    assert_eq!(rest(&mut idle).await, "");
    time::timeout(DEADLINE, &mut world.served).await.unwrap().unwrap();
    assert!(TcpStream::connect(world.address).await.is_err());
}

#[tokio::test]
async fn the_blocking_client_reads_what_listener_and_socket_serve() {
    let world = world(WIDE, just_after).await;
    let door = door(WIDE).await;
    for server in [Server::listening_at(world.address), Server::Socket(door.path())] {
        let ask = move || client::ask(&server, "GET /status", client::PATIENCE);
        let answer = tokio::task::spawn_blocking(ask).await.unwrap().unwrap();
        assert_eq!(answer.code, 200);
        assert_eq!(serde_json::from_str::<StatusJson>(&answer.body).unwrap().site, "milan-1");
    }
}

/// The control socket.
struct Door {
    directory: TempDir,
    reloads: mpsc::Receiver<ReloadRequest>,
    silences: mpsc::Receiver<SilenceRequest>,
    end: Option<oneshot::Sender<()>>,
    served: JoinHandle<()>,
    _kept: Kept,
}

async fn door(limits: Limits) -> Door {
    let directory = tempfile::tempdir().unwrap();
    let listener = bind_socket(&directory.path().join("control.sock")).unwrap();
    let kept = kept(just_after);
    let (reloads, reloads_in) = mpsc::channel(limits.connections);
    let (silences, silences_in) = mpsc::channel(limits.connections);
    let (end, ends) = oneshot::channel();
    let app = App::control(kept.sources.clone(), reloads, silences);
    let served = tokio::spawn(serve(listener, app, limits, async move {
        _ = ends.await;
    }));
    Door { directory, reloads: reloads_in, silences: silences_in, end: Some(end), served, _kept: kept }
}

const RELOAD: &str = "POST /reload HTTP/1.1\r\nContent-Length: 0";

impl Door {
    fn path(&self) -> PathBuf {
        self.directory.path().join("control.sock")
    }

    async fn connect(&self) -> UnixStream {
        connected(&self.path()).await
    }

    /// Somebody who asks for a reload and waits.
    async fn waiting(&mut self) -> (ReloadRequest, UnixStream) {
        let mut stream = self.connect().await;
        stream.write_all(format!("{RELOAD}\r\nHost: localhost\r\n\r\n").as_bytes()).await.unwrap();
        (self.reloads.recv().await.unwrap(), stream)
    }
}

async fn connected(path: &Path) -> UnixStream {
    UnixStream::connect(path).await.unwrap()
}

#[tokio::test]
async fn a_reload_is_asked_for_on_the_control_socket_alone_and_waits_for_its_outcome() {
    let mut door = door(WIDE).await;
    for (answer, code, body) in [
        (
            ReloadAnswer::InForce { vpns: 1, tunnels: 2, notes: Vec::new() },
            "200 OK",
            r#"{"outcome":"in_force","vpns":1,"tunnels":2,"notes":[]}"#,
        ),
        (
            ReloadAnswer::Refused { problems: vec!["a".to_owned()] },
            "422 Unprocessable Entity",
            r#"{"outcome":"refused","problems":["a"]}"#,
        ),
    ] {
        let (request, mut stream) = door.waiting().await;
        request.answer.send(answer).unwrap();
        let told = rest(&mut stream).await;
        assert!(told.starts_with(&format!("HTTP/1.1 {code}\r\n")) && told.ends_with(body), "{told}");
    }
    let read = asked(door.connect().await, "GET /reload HTTP/1.1").await;
    assert!(read.starts_with("HTTP/1.1 405 Method Not Allowed\r\n"), "{read}");
    let world = world(WIDE, just_after).await;
    for method in ["GET", "POST"] {
        let answer = world.ask(&format!("{method} /reload HTTP/1.1\r\nContent-Length: 0")).await;
        assert!(answer.starts_with("HTTP/1.1 404 Not Found\r\n"), "{answer}");
    }
}

/// A whole request with a body.
fn with_body(head: &str, body: &str) -> String {
    format!("{head} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

const ADD: &str = r#"{"targets":[{"scope":"site"}],"from":"2026-12-01T02:00:00Z","until":"2026-12-01T04:00:00Z","weekly":null,"reason":"work"}"#;

#[tokio::test]
async fn a_silence_is_asked_for_on_the_control_socket_alone_by_the_user_that_the_kernel_names() {
    let mut door = door(WIDE).await;
    let own = crate::process::user();
    let mut stream = door.connect().await;
    stream.write_all(with_body("POST /silences", ADD).as_bytes()).await.unwrap();
    let SilenceRequest { what, answer } = door.silences.recv().await.unwrap();
    let SilenceQuestion::Add { wanted, by } = what else { panic!("{what:?}") };
    assert_eq!((&*wanted.reason, by), ("work", own));
    answer.send(SilenceAnswer::Added { silences: Vec::new(), unsaved: None }).unwrap();
    let answered = rest(&mut stream).await;
    assert!(answered.starts_with("HTTP/1.1 200 OK\r\n"), "{answered}");
    assert!(answered.ends_with(r#"{"outcome":"added","silences":[],"unsaved":null}"#), "{answered}");

    let mut stream = door.connect().await;
    stream.write_all(with_body("DELETE /silences/3", "").as_bytes()).await.unwrap();
    let SilenceRequest { what, answer } = door.silences.recv().await.unwrap();
    assert_eq!(what, SilenceQuestion::End { id: crate::domain::silence::SilenceId(3), by: own });
    drop(answer);
    assert!(rest(&mut stream).await.ends_with(r#"{"outcome":"ending"}"#));

    let world = world(WIDE, just_after).await;
    for method in ["GET", "POST"] {
        let answer = world.ask(&format!("{method} /silences HTTP/1.1\r\nContent-Length: 0")).await;
        assert!(answer.starts_with("HTTP/1.1 404 Not Found\r\n"), "{answer}");
    }
}

#[tokio::test]
async fn a_request_for_a_silence_that_is_wrong_or_too_long_is_refused_and_reaches_nobody() {
    let mut door = door(WIDE).await;
    let long = ADD.replace("work", &"x".repeat(64 * 1024));
    let other_keys = ADD.replace("reason", "why");
    for (request, code, problem) in [
        (with_body("POST /silences", ""), 422, "this is no request to add silences"),
        (with_body("POST /silences", &other_keys), 422, "unknown field `why`"),
        (with_body("POST /silences", &long), 422, "the request cannot be read"),
        (with_body("DELETE /silences/first", ""), 422, "is no number of a silence"),
        (with_body("DELETE /silences", ""), 405, ""),
    ] {
        let mut stream = door.connect().await;
        // It may be answered before it has said everything.
        _ = stream.write_all(request.as_bytes()).await;
        let mut told = Vec::new();
        _ = time::timeout(DEADLINE, stream.read_to_end(&mut told)).await.unwrap();
        let told = String::from_utf8(told).unwrap();
        assert!(told.starts_with(&format!("HTTP/1.1 {code} ")) && told.contains(problem), "{told}");
    }
    assert!(door.silences.try_recv().is_err());
}

#[tokio::test]
async fn whatever_is_read_on_the_listener_is_read_on_the_control_socket() {
    let door = door(WIDE).await;
    for path in ["/metrics", "/healthz", "/readyz", "/status"] {
        let answer = asked(door.connect().await, &format!("GET {path} HTTP/1.1")).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    }
}

#[tokio::test]
async fn garbage_and_what_does_not_end_harm_nothing_on_the_control_socket() {
    let mut door = door(Limits { header: Duration::from_millis(100), ..WIDE }).await;
    let body = format!("{RELOAD}000000\r\nHost: localhost\r\n\r\n").into_bytes();
    let long = [body.clone(), vec![b'x'; 1 << 20]].concat();
    for garbage in
        [b"reload\n".to_vec(), b"\xff\xfe\0\n".to_vec(), vec![b'x'; 1 << 20], b"POST /rel".to_vec()]
    {
        let mut stream = door.connect().await;
        // It may be cut off before it has said everything.
        _ = stream.write_all(&garbage).await;
        _ = time::timeout(DEADLINE, stream.read_to_end(&mut Vec::new())).await.unwrap();
    }
    // A body is not read, however long it is.
    for request in [body, long] {
        let mut stream = door.connect().await;
        let sending = tokio::spawn(async move {
            _ = stream.write_all(&request).await;
            let mut told = Vec::new();
            _ = time::timeout(DEADLINE, stream.read_to_end(&mut told)).await.unwrap();
            told
        });
        door.reloads.recv().await.unwrap().answer.send(ReloadAnswer::Busy).unwrap();
        let told = String::from_utf8(sending.await.unwrap()).unwrap();
        assert!(told.is_empty() || told.starts_with("HTTP/1.1 503"), "{told}");
    }
    let (request, mut stream) = door.waiting().await;
    drop(request);
    assert!(rest(&mut stream).await.ends_with(r#"{"outcome":"ending"}"#));
}

#[tokio::test]
async fn whoever_says_nothing_makes_room_for_a_reload_and_whoever_waits_for_one_does_not() {
    let mut door = door(Limits { connections: 2, per_peer: 2, answer: Duration::ZERO, ..WIDE }).await;
    let _silent = [door.connect().await, door.connect().await];
    let (first, mut one) = door.waiting().await;
    let (second, mut other) = door.waiting().await;
    let busy = rest(&mut door.connect().await).await;
    assert!(busy.starts_with("HTTP/1.1 503") && busy.ends_with("too many connections\n"), "{busy}");
    for (request, stream) in [(first, &mut one), (second, &mut other)] {
        request.answer.send(ReloadAnswer::Busy).unwrap();
        assert!(rest(stream).await.ends_with(r#"{"outcome":"busy"}"#));
    }
}

#[tokio::test]
async fn a_client_that_leaves_before_its_answer_keeps_nobody_waiting() {
    let mut door = door(Limits { connections: 1, per_peer: 1, ..WIDE }).await;
    let (request, stream) = door.waiting().await;
    drop(stream);
    let reloads = async {
        // What was asked for is done all the same.
        drop(request);
        door.reloads.recv().await.unwrap().answer.send(ReloadAnswer::Busy).unwrap();
    };
    let path = door.directory.path().join("control.sock");
    let next = async {
        loop {
            let told = asked(connected(&path).await, RELOAD).await;
            if told.ends_with(r#"{"outcome":"busy"}"#) {
                return;
            }
            assert!(told.ends_with("too many connections\n"), "{told}");
            tokio::task::yield_now().await;
        }
    };
    time::timeout(DEADLINE, async { tokio::join!(reloads, next) }).await.unwrap();
}

#[tokio::test]
async fn whoever_waits_for_a_reload_while_the_daemon_ends_is_told_so_and_whoever_hangs_is_cut() {
    let mut door = door(Limits { ending: Duration::from_millis(500), ..WIDE }).await;
    let (request, mut stream) = door.waiting().await;
    let (_hangs, _waits_on) = door.waiting().await;
    drop(door.end.take());
    drop(request);
    assert!(rest(&mut stream).await.ends_with(r#"{"outcome":"ending"}"#));
    time::timeout(Duration::from_secs(10), &mut door.served).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_client_that_has_not_asked_in_full_does_not_hold_up_the_end() {
    let mut world = world(Limits::TCP, just_after).await;
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    // One that has been answered shows that the first has been accepted before.
    stream.write_all(b"GET /met").await.unwrap();
    assert!(world.ask("GET /healthz HTTP/1.1").await.starts_with("HTTP/1.1 200 OK\r\n"));
    drop(world.end.take());
    time::timeout(Duration::from_secs(3), &mut world.served).await.unwrap().unwrap();
}
