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
use crate::health::Health;
use crate::http::listener::bind;

/// Longer than any step takes, so that a test that hangs fails.
const DEADLINE: Duration = Duration::from_secs(30);

const WIDE: Limits =
    Limits { connections: 16, header: Duration::from_secs(20), connection: Duration::from_secs(20) };

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
        problems: Health::default().watch(),
        about: about_seen,
        metrics: Arc::new(|status: &Status, _| ("text/plain; version=0.0.4", format!("# {}\n", status.site))),
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
        stream.write_all(format!("{head}\r\nHost: x\r\n\r\n").as_bytes()).await.unwrap();
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
        assert!(answer.contains("stuck: the core has said nothing for 270 s"), "{answer}");
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
async fn a_connection_too_many_is_turned_away_and_a_freed_slot_serves_again() {
    let world = world(Limits { connections: 1, ..WIDE }, just_after).await;
    let holder = TcpStream::connect(world.address).await.unwrap();
    let mut refused = TcpStream::connect(world.address).await.unwrap();
    let told = rest(&mut refused).await;
    assert!(told.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{told}");
    assert!(told.ends_with("\r\n\r\ntoo many connections\n"), "{told}");
    drop(holder);
    time::timeout(DEADLINE, async {
        loop {
            let mut stream = TcpStream::connect(world.address).await.unwrap();
            // A connection that is turned away may be reset under the request's first bytes.
            _ = stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await;
            let mut answer = String::new();
            if stream.read_to_string(&mut answer).await.is_ok() && answer.starts_with("HTTP/1.1 200") {
                return;
            }
        }
    })
    .await
    .unwrap();
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
