//! Real HTTP over loopback, within limits small enough to be met.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::*;
use crate::domain::status::Status;
use crate::domain::time::Now;
use crate::fixture;
use crate::health::overview::ShownProblems;
use crate::http::listener::bind;

/// Longer than any step takes, so that a test that hangs fails.
const DEADLINE: Duration = Duration::from_secs(30);

const WIDE: Limits = Limits {
    connections: 16,
    per_peer: 16,
    header: Duration::from_secs(20),
    answer: Duration::from_secs(20),
    connection: Duration::from_secs(20),
};

struct World {
    address: SocketAddr,
    end: Option<oneshot::Sender<()>>,
    served: JoinHandle<()>,
    _status: watch::Sender<Arc<Status>>,
    _about: watch::Sender<About>,
}

async fn world(limits: Limits, now: fn() -> Now) -> World {
    let listener = bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let address = listener.local_addr().unwrap();
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
        hosts: Hosts::default(),
        now,
    };
    let (end, ends) = oneshot::channel();
    let served = tokio::spawn(serve(listener, sources, limits, async move {
        _ = ends.await;
    }));
    World { address, end: Some(end), served, _status: status, _about: about }
}

impl World {
    async fn ask(&self, head: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(format!("{head}\r\nHost: localhost\r\n\r\n").as_bytes()).await.unwrap();
        rest(&mut stream).await
    }
}

/// Everything up to the connection's end.
async fn rest(stream: &mut TcpStream) -> String {
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
    let peer = IpAddr::from([127, 0, 0, 1]);
    let mut tasks = JoinSet::new();
    let mut taken = |by: IpAddr| {
        let (asked, task) = (Arc::new(AtomicBool::new(true)), tasks.spawn(std::future::pending::<()>()));
        Taken { by, since: clock::now().mono, asked, task }
    };
    let mut places = Places { limits, taken: vec![taken(peer), taken(peer)] };
    assert!(!places.have_room_for(peer));
    places.limits.answer = Duration::ZERO;
    assert!(places.have_room_for(peer));
    assert_eq!(places.taken.len(), 1);
    // A share of one address leaves the rest to others.
    let mut places = Places { limits: Limits { per_peer: 1, ..limits }, taken: vec![taken(peer)] };
    assert!(!places.have_room_for(peer));
    assert!(places.have_room_for([192, 0, 2, 1].into()));
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
async fn the_blocking_client_reads_what_the_listener_serves() {
    let world = world(WIDE, just_after).await;
    let address = world.address;
    let answer =
        tokio::task::spawn_blocking(move || crate::http::client::get(address, "/status")).await.unwrap();
    let answer = answer.unwrap();
    assert_eq!(answer.code, 200);
    let status: crate::http::status_json::StatusJson = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(status.site, "milan-1");
}
