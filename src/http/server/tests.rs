//! Real HTTP over loopback, within limits small enough to be met.

use std::net::{IpAddr, SocketAddr};
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
use crate::http::client::{self, Client, ClientError, Server};
use crate::http::history::{Parts, Reading, ask};
use crate::http::listener::{bind, bind_socket};
use crate::http::routes::{About, Hosts, ReloadAnswer, ReloadRequest, Sources};
use crate::http::silences::{SilenceAnswer, SilenceQuestion, SilenceRequest};
use crate::http::status_json::StatusJson;
use crate::settings::{ProtectionFiles, TlsFiles};

/// Longer than any step takes, so that a test that hangs fails.
const DEADLINE: Duration = Duration::from_secs(30);

const WIDE: Limits = Limits {
    connections: 16,
    per_peer: 16,
    long_lived: 16,
    large: 16,
    turn: Duration::from_secs(20),
    header: Duration::from_secs(20),
    answer: Duration::from_secs(20),
    stalled: Duration::from_secs(20),
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
        pages: Arc::new(crate::http::pages::tests::Stub::default()),
        hosts: Hosts::default(),
        now,
    };
    Kept { sources, _status: status, _about: about }
}

/// Something in two parts; a disk that fails; or nothing, for as long as the client waits.
fn remembered(wanted: Wanted, reading: Reading) -> Parts {
    let (parts, taken) = mpsc::channel(2);
    if wanted.since == Stamp::default() {
        tokio::spawn(async move {
            parts.closed().await;
            drop(reading);
        });
        return taken;
    }
    let watched = Entry::Watched(Period { from: wanted.since, until: fixture::after(30).wall }.into());
    let lost = Entry::Change {
        at: fixture::after(12).wall,
        tunnel: fixture::tunnel(1),
        change: Change::Verdict { end: End::Local, from: Said::Up, to: Said::Down },
    };
    parts.try_send(Ok(vec![watched])).unwrap();
    let second = if wanted.minutes { Err("the disk fails".to_owned()) } else { Ok(vec![lost]) };
    parts.try_send(second).unwrap();
    taken
}

/// Plain HTTP, for everybody.
fn open() -> watch::Receiver<Protection> {
    watch::channel(Protection::default()).1
}

struct World {
    address: SocketAddr,
    end: Option<oneshot::Sender<()>>,
    served: JoinHandle<()>,
    _kept: Kept,
}

async fn world(limits: Limits, now: fn() -> Now) -> World {
    let kept = kept(now);
    world_of(App::public(kept.sources.clone()), limits, kept).await
}

async fn world_of(app: App, limits: Limits, kept: Kept) -> World {
    protected(app, limits, kept, open()).await
}

async fn protected(app: App, limits: Limits, kept: Kept, protection: watch::Receiver<Protection>) -> World {
    let listener: TcpListener = bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (end, ends) = oneshot::channel();
    let served = tokio::spawn(serve(listener, app, protection, limits, async move {
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
    let client = Client::new(Server::listening_at(world.address, false));
    let read = move || {
        let mut entries = Vec::new();
        let present = ask(&client, since, minutes, DEADLINE, |entry| entries.push(entry));
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
    assert_eq!(entries[0], Entry::Watched(Period { from: since, until: fixture::after(30).wall }.into()));

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
    let error = history(&world, fixture::after(31).wall, false).await.unwrap_err();
    assert!(
        error.contains("this time has not come") && error.contains("expected /history?since="),
        "{error}"
    );
    let answer = world.ask("GET /history HTTP/1.1").await;
    assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer}");
    assert!(answer.contains("since is missing; expected /history?since=2026-12-01T00:00:00Z"), "{answer}");
}

/// A client whose history has begun and does not go on.
async fn slow_reader(world: &World) -> TcpStream {
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    let head = "GET /history?since=1970-01-01T00:00:00Z HTTP/1.1\r\nHost: localhost\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut begun = [0; 15];
    time::timeout(DEADLINE, stream.read_exact(&mut begun)).await.unwrap().unwrap();
    assert_eq!(&begun, b"HTTP/1.1 200 OK");
    stream
}

#[tokio::test]
async fn those_who_read_slowly_at_the_listener_keep_nobody_at_the_control_socket_from_the_history() {
    let kept = kept(just_after);
    let (reloads, _reloads) = mpsc::channel(1);
    let (silences, _silences) = mpsc::channel(1);
    let control = App::control(kept.sources.clone(), reloads, silences);
    let (public, limits) = (App::public(kept.sources.clone()), WIDE);
    let control = world_of(control, limits, self::kept(just_after)).await;
    let world = world_of(public, limits, kept).await;
    let mut slow = Vec::new();
    for _ in 0..4 {
        slow.push(slow_reader(&world).await);
    }
    let since = fixture::after(1).wall;
    let error = history(&world, since, false).await.unwrap_err();
    assert!(error.contains("too many read the history at once") && error.contains("503"), "{error}");
    let (_, entries) = history(&control, since, false).await.unwrap();
    assert_eq!(entries.len(), 2);
    // Who leaves makes room.
    drop(slow);
    let room = async {
        while history(&world, since, false).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    time::timeout(DEADLINE, room).await.unwrap();
}

#[tokio::test]
async fn pages_come_with_headers_that_let_nothing_else_in() {
    let world = world(WIDE, just_after).await;
    for (path, body) in [("/", "<!doctype html>the site"), ("/vpn/vpn-0a", "<!doctype html>vpn-0a")] {
        let answer = world.ask(&format!("GET {path} HTTP/1.1")).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with(body), "{answer}");
        for header in [
            "content-type: text/html; charset=utf-8",
            "cache-control: no-store",
            "content-security-policy: default-src 'none'",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
            "cross-origin-resource-policy: same-origin",
        ] {
            assert!(answer.contains(&format!("{header}\r\n")), "{header}: {answer}");
        }
        let head = world.ask(&format!("HEAD {path} HTTP/1.1")).await;
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    }
    let failed = world.ask("GET /vpn/vpn-bad HTTP/1.1").await;
    assert!(failed.starts_with("HTTP/1.1 500 ") && failed.contains("no such field"), "{failed}");
}

#[tokio::test]
async fn news_come_as_a_stream_that_begins_at_once() {
    let world = world(WIDE, just_after).await;
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    stream.write_all(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut text = String::new();
    while !text.contains("data: 7") {
        let mut part = [0; 512];
        let length = time::timeout(DEADLINE, stream.read(&mut part)).await.unwrap().unwrap();
        assert!(length > 0, "ended: {text}");
        text.push_str(std::str::from_utf8(&part[..length]).unwrap());
    }
    assert!(text.contains("content-type: text/event-stream\r\n"), "{text}");
    assert!(text.contains("event: version\ndata: 7\n"), "{text}");
}

#[tokio::test]
async fn another_path_is_404_and_another_method_405() {
    let world = world(WIDE, just_after).await;
    for path in ["/vpn", "/vpn/vpn-0b", "/vpn/vpn-0a/x", "/metricsx", "/status/", "/metrics/x"] {
        let answer = world.ask(&format!("GET {path} HTTP/1.1")).await;
        assert!(answer.starts_with("HTTP/1.1 404 Not Found\r\n"), "{path}: {answer}");
    }
    for path in PATHS {
        for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "SILENCE"] {
            let answer = world.ask(&format!("{method} {path} HTTP/1.1\r\nContent-Length: 0")).await;
            assert!(answer.starts_with("HTTP/1.1 405 Method Not Allowed\r\n"), "{method} {path}: {answer}");
            assert!(answer.to_lowercase().contains("allow: get,head\r\n"), "{method} {path}: {answer}");
        }
    }
    let head = world.ask("HEAD /metrics HTTP/1.1").await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.ends_with("\r\n\r\n"), "{head}");
}

/// The paths of the listener.
const PATHS: [&str; 8] = [
    "/",
    "/vpn/vpn-0a",
    "/events",
    "/history?since=2025-11-01T00:00:00Z",
    "/metrics",
    "/healthz",
    "/readyz",
    "/status",
];

#[tokio::test]
async fn a_head_that_is_too_long_is_refused_and_its_connection_closed() {
    let world = world(WIDE, just_after).await;
    let (long, many) = ("x".repeat(20_000), "X: y\r\n".repeat(200));
    for head in [
        format!("GET /metrics HTTP/1.1\r\nCookie: {long}"),
        format!("GET /metrics HTTP/1.1\r\n{many}Z: z"),
        format!("GET /{long} HTTP/1.1"),
    ] {
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        let head = format!("{head}\r\nHost: localhost\r\n\r\n");
        // What is not read any more resets the connection.
        _ = stream.write_all(head.as_bytes()).await;
        let mut answer = vec![0; 512];
        let read = time::timeout(DEADLINE, stream.read(&mut answer)).await.unwrap().unwrap();
        let answer = String::from_utf8_lossy(&answer[..read]);
        let starts = ["HTTP/1.1 431 Request Header Fields Too Large\r\n", "HTTP/1.1 414 URI Too Long\r\n"];
        assert!(starts.iter().any(|start| answer.starts_with(start)), "{answer}");
        assert!(ended(&mut stream).await);
    }
    assert!(world.ask("GET /healthz HTTP/1.1").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn what_is_no_http_is_refused_and_its_connection_closed() {
    let world = world(WIDE, just_after).await;
    for garbage in [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 TLS"[..], b"SSH-2.0-OpenSSH_9.2\r\n\r\n"]
    {
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        stream.write_all(garbage).await.unwrap();
        let answer = rest(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer}");
    }
}

#[tokio::test]
async fn the_body_of_a_request_is_not_waited_for() {
    let world = world(WIDE, just_after).await;
    // News have no end to wait for.
    for path in PATHS.into_iter().filter(|path| *path != "/events") {
        for body in ["Content-Length: 1000000000", "Transfer-Encoding: chunked"] {
            let answer = world.ask(&format!("GET {path} HTTP/1.1\r\n{body}")).await;
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        }
    }
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
    for server in [Server::listening_at(world.address, false), Server::Socket(door.path())] {
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
    let served = tokio::spawn(serve(listener, app, open(), limits, async move {
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

//--- load

/// A client at another address of loopback.
async fn connected_from(from: [u8; 4], to: SocketAddr) -> TcpStream {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from((from, 0))).unwrap();
    socket.connect(to).await.unwrap()
}

#[tokio::test]
async fn idle_clients_of_every_slot_keep_nobody_from_a_thousand_scrapes() {
    let world =
        world(Limits { header: DEADLINE * 10, connection: DEADLINE * 10, ..Limits::TCP }, just_after).await;
    let mut idle = Vec::new();
    for index in 0..Limits::TCP.connections {
        let from = [127, 0, 0, if index % 2 == 0 { 2 } else { 3 }];
        idle.push(connected_from(from, world.address).await);
    }
    for _ in 0..1_000 {
        let answer = world.ask("GET /metrics HTTP/1.1").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    }
    // One at a time needs one slot; the others stay.
    let mut left = 0;
    for stream in &mut idle {
        left += usize::from(
            stream.try_read(&mut [0]).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock),
        );
    }
    assert!(left >= Limits::TCP.connections / 2, "{left} stay");
}

#[tokio::test]
async fn however_many_connect_no_more_than_the_slots_are_open() {
    let limits = Limits { header: DEADLINE * 10, connection: DEADLINE * 10, ..Limits::TCP };
    let mut world = world(limits, just_after).await;
    let mut idle = Vec::new();
    for index in 0..300_u16 {
        let [high, low] = index.to_be_bytes();
        idle.push(connected_from([127, 1, high, low.max(1)], world.address).await);
    }
    // The first were dropped for the last.
    let (dropped, kept) = idle.split_at_mut(300 - Limits::TCP.connections);
    for stream in dropped {
        assert!(ended(stream).await);
    }
    for stream in &mut *kept {
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        assert!(rest(stream).await.starts_with("HTTP/1.1 200 OK\r\n"));
    }
    drop(world.end.take());
    time::timeout(DEADLINE, &mut world.served).await.unwrap().unwrap();
}

/// More than the kernel keeps for a client that reads nothing (net.ipv4.tcp_wmem, and the client's own small buffer).
const LARGE: usize = 12 * 1024 * 1024;

fn large() -> App {
    let large = || async { "x".repeat(LARGE) };
    App::of_tests(
        axum::Router::new()
            .route("/large", axum::routing::get(large))
            .route("/healthz", axum::routing::get(|| async { "ok" })),
    )
}

/// A client that asks and then reads only the beginning of its answer.
async fn stuck(at: SocketAddr, path: &str) -> TcpStream {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(at).await.unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes()).await.unwrap();
    let mut head = [0; 12];
    time::timeout(DEADLINE, stream.read_exact(&mut head)).await.unwrap().unwrap();
    assert_eq!(&head, b"HTTP/1.1 200");
    stream
}

/// How many bytes come until the connection ends in whatever way.
async fn drained(stream: &mut TcpStream) -> usize {
    let mut bytes = Vec::new();
    _ = time::timeout(DEADLINE, stream.read_to_end(&mut bytes)).await.unwrap();
    bytes.len()
}

#[tokio::test]
async fn large_answers_take_turns_and_one_that_is_not_read_gives_way() {
    let limits = Limits { large: 2, answer: Duration::from_millis(50), ..WIDE };
    let world = world_of(large(), limits, kept(just_after)).await;
    let mut stuck = [stuck(world.address, "/large").await, stuck(world.address, "/large").await];
    let answer = world.ask("GET /large HTTP/1.1").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.len() > LARGE);
    let read = [drained(&mut stuck[0]).await, drained(&mut stuck[1]).await];
    assert_eq!(read.iter().filter(|read| **read >= LARGE).count(), 1, "one of them gave way: {read:?}");
}

#[tokio::test]
async fn where_no_turn_comes_a_request_is_refused_and_checks_are_still_answered() {
    let limits = Limits { large: 2, turn: Duration::from_millis(50), ..WIDE };
    let world = world_of(large(), limits, kept(just_after)).await;
    let _stuck = [stuck(world.address, "/large").await, stuck(world.address, "/large").await];
    let answer = world.ask("GET /large HTTP/1.1").await;
    assert!(answer.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{answer}");
    assert!(answer.to_lowercase().contains("retry-after: 1\r\n"), "{answer}");
    assert!(world.ask("GET /healthz HTTP/1.1").await.starts_with("HTTP/1.1 200 OK\r\n"));
}

//--- long-lived answers

/// A page that stays open: it says "hello", and "more" with each message. Tells when its answer is dropped.
struct Live {
    app: App,
    more: watch::Sender<()>,
    dropped: mpsc::UnboundedReceiver<()>,
}

/// Tells that it is dropped.
struct Told(mpsc::UnboundedSender<()>);

impl Drop for Told {
    fn drop(&mut self) {
        _ = self.0.send(());
    }
}

fn live(chunk: usize) -> Live {
    let (more, more_in) = watch::channel(());
    let (drops, dropped) = mpsc::unbounded_channel();
    let handler = move || {
        let (mut more, told) = (more_in.clone(), Told(drops.clone()));
        async move {
            more.mark_unchanged();
            let text = move |first: bool| {
                let text = if first { "hello\n".to_owned() } else { format!("more\n{}", "x".repeat(chunk)) };
                Ok::<_, Infallible>(text)
            };
            let chunks =
                futures_util::stream::unfold((more, told, true), move |(mut more, told, first)| async move {
                    // An endless one waits for nobody.
                    if !first && chunk == 0 {
                        more.changed().await.ok()?;
                    }
                    Some((text(first), (more, told, false)))
                });
            let mut response = Response::new(axum::body::Body::from_stream(chunks));
            response.extensions_mut().insert(LongLived);
            response
        }
    };
    let router = axum::Router::new().route("/live", axum::routing::get(handler));
    let router = router.route("/healthz", axum::routing::get(|| async { "ok" }));
    Live { app: App::of_tests(router), more, dropped }
}

async fn watching(at: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(at).await.unwrap();
    stream.write_all(b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    assert!(until(&mut stream, "hello\n").await);
    stream
}

/// Whether this comes before the end.
async fn until(stream: &mut TcpStream, what: &str) -> bool {
    let mut text = String::new();
    let mut bytes = [0; 1024];
    while !text.contains(what) {
        match time::timeout(DEADLINE, stream.read(&mut bytes)).await.unwrap() {
            Ok(0) | Err(_) => return false,
            Ok(read) => text.push_str(&String::from_utf8_lossy(&bytes[..read])),
        }
    }
    true
}

#[tokio::test]
async fn a_long_lived_answer_outlives_the_limit_of_other_connections() {
    let live = live(0);
    let limits = Limits { connection: Duration::from_millis(200), ..WIDE };
    let world = world_of(live.app, limits, kept(just_after)).await;
    let mut page = watching(world.address).await;
    let mut later = TcpStream::connect(world.address).await.unwrap();
    assert_eq!(rest(&mut later).await, "");
    live.more.send_replace(());
    assert!(until(&mut page, "more").await);
}

#[tokio::test]
async fn a_long_lived_answer_too_many_replaces_the_oldest() {
    let live = live(0);
    let world = world_of(live.app, Limits { long_lived: 2, ..WIDE }, kept(just_after)).await;
    let mut pages = Vec::new();
    for _ in 0..3 {
        pages.push(watching(world.address).await);
    }
    assert!(ended(&mut pages[0]).await);
    // The slot of one that left is free.
    drop(pages.remove(0));
    drop(pages.remove(0));
    let mut live = live.dropped;
    for _ in 0..2 {
        time::timeout(DEADLINE, live.recv()).await.unwrap().unwrap();
    }
    pages.push(watching(world.address).await);
    assert!(pages[0].try_read(&mut [0]).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock));
}

#[tokio::test]
async fn a_long_lived_answer_makes_room_for_one_who_asks() {
    let live = live(0);
    let world = world_of(live.app, Limits { connections: 2, ..WIDE }, kept(just_after)).await;
    let mut pages = [watching(world.address).await, watching(world.address).await];
    assert!(world.ask("GET /healthz HTTP/1.1").await.starts_with("HTTP/1.1 200 OK\r\n"));
    assert!(ended(&mut pages[0]).await);
    live.more.send_replace(());
    assert!(until(&mut pages[1], "more").await);
}

#[tokio::test]
async fn a_client_that_takes_nothing_of_a_long_lived_answer_is_dropped() {
    let mut live = live(256 * 1024);
    let limits = Limits { stalled: Duration::from_millis(100), ..WIDE };
    let world = world_of(live.app, limits, kept(just_after)).await;
    let _stuck = stuck(world.address, "/live").await;
    time::timeout(DEADLINE, live.dropped.recv()).await.unwrap().unwrap();
}

#[tokio::test]
async fn shutdown_ends_long_lived_answers_at_once() {
    let live = live(0);
    let mut world = world_of(live.app, Limits { ending: DEADLINE * 10, ..WIDE }, kept(just_after)).await;
    let mut page = watching(world.address).await;
    drop(world.end.take());
    assert!(ended(&mut page).await);
    time::timeout(DEADLINE, &mut world.served).await.unwrap().unwrap();
}

//--- TLS and the token

const CERTIFICATES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tls");
const TOKEN: &str = "0123456789abcdef0123";

/// What protects a listener with this certificate and key of tests/tls, and [`TOKEN`]. The token's file goes with the directory.
fn protection(certificate: &str, key: &str) -> (Protection, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let secret = |name: &str, text: Vec<u8>| {
        use std::os::unix::fs::PermissionsExt as _;
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    };
    let key = secret("key", std::fs::read(format!("{CERTIFICATES}/{key}.key")).unwrap());
    let files = ProtectionFiles {
        tls: Some(TlsFiles { certificate: format!("{CERTIFICATES}/{certificate}.pem").into(), key }),
        token: Some(secret("token", TOKEN.into())),
    };
    (Protection::read(&files).unwrap(), directory)
}

/// A listener with TLS and a token.
struct Secured {
    world: World,
    current: watch::Sender<Protection>,
    directory: TempDir,
}

impl Secured {
    async fn new(certificate: &str, limits: Limits) -> Self {
        let (protection, directory) = protection(certificate, "first");
        let (current, seen) = watch::channel(protection);
        let kept = kept(just_after);
        let world = protected(App::public(kept.sources.clone()), limits, kept, seen).await;
        Self { world, current, directory }
    }

    fn url(&self, host: &str) -> Server {
        Server::parse(&format!("https://{host}:{}", self.world.address.port())).unwrap()
    }

    /// A client that trusts the tests' authority.
    fn client(&self, host: &str) -> Client {
        Client::new(self.url(host)).with_ca_file(&Path::new(CERTIFICATES).join("authority.pem")).unwrap()
    }

    fn token(&self) -> PathBuf {
        self.directory.path().join("token")
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    time::timeout(DEADLINE, tokio::task::spawn_blocking(work)).await.unwrap().unwrap()
}

async fn answer(client: Client, what: &'static str) -> Result<client::Answer, ClientError> {
    blocking(move || client.ask(what, client::PATIENCE)).await
}

#[tokio::test]
async fn a_client_with_the_authority_and_the_token_is_answered_over_tls() {
    let secured = Secured::new("first", WIDE).await;
    for host in ["localhost", "127.0.0.1"] {
        let client = secured.client(host).with_token_file(&secured.token()).unwrap();
        let answer = answer(client, "GET /status").await.unwrap();
        assert_eq!(answer.code, 200);
        assert_eq!(serde_json::from_str::<StatusJson>(&answer.body).unwrap().site, "milan-1");
    }
}

#[tokio::test]
async fn without_the_token_only_the_check_of_life_is_answered() {
    let secured = Secured::new("first", WIDE).await;
    for what in
        ["GET /status", "GET /metrics", "GET /readyz", "GET /nowhere", "POST /status", "GET //healthz"]
    {
        let answer = answer(secured.client("localhost"), what).await.unwrap();
        assert_eq!(answer.code, 401, "{what}");
        assert!(answer.body.contains("--token-file") && !answer.body.contains("milan"), "{answer:?}");
    }
    let alive = answer(secured.client("localhost"), "GET /healthz").await.unwrap();
    assert_eq!((alive.code, &*alive.body), (200, "ok\n"));
}

#[tokio::test]
async fn a_certificate_that_is_not_accepted_is_named_with_what_to_do() {
    for (certificate, trusted, host, says) in [
        (
            "first",
            false,
            "localhost",
            "not signed by a CA that is trusted here; give the file of its CA with --ca",
        ),
        (
            "expired",
            true,
            "localhost",
            "has expired, or this host's clock is ahead; renew the file of [http] tls_certificate",
        ),
        ("elsewhere", true, "localhost", "is for another host name; use a name or address that it is for"),
        ("elsewhere", true, "127.0.0.1", "is for another host name"),
    ] {
        let secured = Secured::new(certificate, WIDE).await;
        let client = if trusted { secured.client(host) } else { Client::new(secured.url(host)) };
        let error = answer(client, "GET /status").await.unwrap_err();
        assert!(matches!(error, ClientError::NotTrusted { .. }), "{error:?}");
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[tokio::test]
async fn a_renewed_certificate_serves_the_next_connection() {
    let secured = Secured::new("expired", WIDE).await;
    assert!(answer(secured.client("localhost"), "GET /healthz").await.is_err());
    let (renewed, _directory) = protection("second", "second");
    secured.current.send_replace(renewed);
    assert_eq!(answer(secured.client("localhost"), "GET /healthz").await.unwrap().code, 200);
}

#[tokio::test]
async fn plain_http_at_a_port_with_tls_and_tls_at_one_without_are_named() {
    let secured = Secured::new("first", WIDE).await;
    let answer_in_plain = secured.world.ask("GET /status HTTP/1.1").await;
    assert!(answer_in_plain.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer_in_plain}");
    assert!(
        answer_in_plain.ends_with("\r\n\r\nthis port speaks TLS: use an https:// URL\n"),
        "{answer_in_plain}"
    );
    let plain = world(WIDE, just_after).await;
    let server = Server::parse(&format!("https://localhost:{}", plain.address.port())).unwrap();
    let error = answer(Client::new(server), "GET /status").await.unwrap_err();
    assert!(matches!(error, ClientError::NoTls { .. }), "{error:?}");
    assert!(error.to_string().contains("if its [http] has no tls_certificate, use http://"), "{error}");
}

#[tokio::test]
async fn a_handshake_that_does_not_end_is_cut() {
    let secured = Secured::new("first", Limits { header: Duration::from_millis(100), ..WIDE }).await;
    for begins in [&b""[..], b"\x16", b"\x16\x03\x01\x02\x00\x01\x00", b"G"] {
        let mut slow = TcpStream::connect(secured.world.address).await.unwrap();
        slow.write_all(begins).await.unwrap();
        assert!(ended(&mut slow).await);
    }
}

#[tokio::test]
async fn clients_that_stop_in_the_handshake_make_room_and_end_with_the_daemon() {
    let mut secured = Secured::new("first", Limits { connections: 3, per_peer: 3, ..WIDE }).await;
    let mut slow = Vec::new();
    for _ in 0..3 {
        let mut stream = TcpStream::connect(secured.world.address).await.unwrap();
        stream.write_all(b"\x16\x03\x01").await.unwrap();
        slow.push(stream);
    }
    assert_eq!(answer(secured.client("localhost"), "GET /healthz").await.unwrap().code, 200);
    assert!(ended(&mut slow[0]).await);
    drop(secured.world.end.take());
    assert!(ended(&mut slow[2]).await);
    time::timeout(DEADLINE, &mut secured.world.served).await.unwrap().unwrap();
}

#[tokio::test]
async fn the_token_of_the_listener_is_not_asked_for_at_the_socket() {
    let door = door(WIDE).await;
    let answer = answer(Client::new(Server::Socket(door.path())), "GET /readyz").await.unwrap();
    assert_eq!(answer.code, 200);
}

#[tokio::test]
async fn a_streamed_answer_is_read_to_its_end() {
    let chunks = || async {
        let parts = (0..100).map(|part| Ok::<_, Infallible>(format!("part {part}\n")));
        axum::body::Body::from_stream(futures_util::stream::iter(parts))
    };
    let app = App::of_tests(axum::Router::new().route("/parts", axum::routing::get(chunks)));
    let world = world_of(app, WIDE, kept(just_after)).await;
    let answer = answer(Client::new(Server::listening_at(world.address, false)), "GET /parts").await.unwrap();
    assert_eq!(answer.body.lines().count(), 100);
    assert!(answer.body.ends_with("part 99\n"));
}
