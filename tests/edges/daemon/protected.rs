//! A listener with TLS and a token, and one under load.

use std::fs::{self, Permissions};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use bothends::http::client::{Answer, Client, ClientError, PATIENCE, Server};
use socket2::{Domain, SockAddr, Socket, Type};

use super::process::Daemon;
use super::site::{MILAN, ONE, Site, TWO, Tunnel, inside};
use super::wait::{until, until_some};

const CERTIFICATES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tls");
const TOKEN: &str = "a-token-that-must-not-be-shown-0123456789";

/// Puts a file in place of another at once, as what renews certificates does.
fn put(site: &Site, name: &str, text: impl AsRef<[u8]>) {
    let new = site.home.file("new");
    fs::write(&new, text).unwrap();
    fs::set_permissions(&new, Permissions::from_mode(0o600)).unwrap();
    fs::rename(new, site.home.file(name)).unwrap();
}

fn certify(site: &Site, certificate: &str, key: &str) {
    put(site, "certificate.pem", fs::read(format!("{CERTIFICATES}/{certificate}.pem")).unwrap());
    put(site, "key.pem", fs::read(format!("{CERTIFICATES}/{key}.key")).unwrap());
}

/// A site whose listener has this certificate of tests/tls, and [`TOKEN`].
fn site(certificate: &str) -> Site {
    let site = Site::new();
    certify(&site, certificate, "first");
    put(&site, "token", TOKEN);
    let [certificate, key, token] =
        ["certificate.pem", "key.pem", "token"].map(|name| site.home.file(name).display().to_string());
    let text = format!(
        "[http]\ntls_certificate = \"{certificate}\"\ntls_key = \"{key}\"\ntoken_file = \"{token}\"\n"
    );
    site.home.add("http.toml", &text);
    site
}

/// What a client with the tests' authority and the token is answered.
fn ask(site: &Site, what: &str) -> Result<Answer, ClientError> {
    let url = format!("https://localhost:{}", site.home.listen.port());
    let client = Client::new(Server::parse(&url).unwrap());
    let client = client.with_ca_file(&Path::new(CERTIFICATES).join("authority.pem")).unwrap();
    let client = client.with_token_file(&site.home.file("token")).unwrap();
    inside(&site.here, || client.ask(what, PATIENCE))
}

/// Waits until `/readyz` says this.
fn until_readyz_says(site: &Site, what: &str) {
    until(&format!("/readyz says {what:?}"), || {
        ask(site, "GET /readyz").is_ok_and(|answer| answer.body.contains(what))
    });
}

#[test]
fn a_renewed_certificate_is_served_without_a_restart_and_a_broken_one_is_a_problem() {
    let site = site("expired");
    let checked = site.run(&["check"]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert!(checked.stdout.contains("https://127.0.0.1:9846/"), "{checked:?}");
    assert!(checked.stderr.contains("has expired (2025-04-01T00:00:00Z) and was not renewed"), "{checked:?}");
    let daemon = site.start();
    let refused = until_some("it listens", || match ask(&site, "GET /readyz") {
        Err(ClientError::Unreachable { .. }) => None,
        answer => Some(answer.unwrap_err()),
    });
    assert!(refused.to_string().contains("it has expired"), "{refused}");
    daemon.until_logged("has expired (2025-04-01T00:00:00Z)");

    certify(&site, "second", "second");
    until("the new certificate is served", || ask(&site, "GET /readyz").is_ok());
    daemon.until_logged("listener certificate: problem ended: ");

    certify(&site, "second", "first");
    until_readyz_says(&site, "is not the key of");
    certify(&site, "first", "first");
    until("the problem has ended", || {
        ask(&site, "GET /readyz").is_ok_and(|answer| !answer.body.contains("listener"))
    });
    let log = daemon.stop();
    assert!(!log.contains(TOKEN) && !checked.stdout.contains(TOKEN), "{log}");
}

#[test]
fn the_token_is_asked_for_over_tls_and_status_says_what_is_missing() {
    let site = site("first");
    let daemon = site.start();
    until("it answers who shows the token", || {
        ask(&site, "GET /status").is_ok_and(|answer| answer.code == 200)
    });
    let status = |authorities: Option<&str>, url: &str| {
        let mut command = site.bare(&["status", "--url", url]);
        if let Some(file) = authorities {
            command.env("SSL_CERT_FILE", format!("{CERTIFICATES}/{file}"));
        }
        site.run_command(command)
    };
    for (authorities, url, says) in [
        (
            None,
            "https://localhost:9846",
            "is not signed by a CA that is trusted here; give the file of its CA with --ca",
        ),
        (Some("authority.pem"), "https://localhost:9846", "HTTP 401: this listener asks for its token"),
        (
            Some("authority.pem"),
            "http://localhost:9846",
            "HTTP 400: this port speaks TLS: use an https:// URL",
        ),
    ] {
        let ended = status(authorities, url);
        assert_eq!(ended.code, Some(3), "{ended:?}");
        assert!(ended.stdout.starts_with("UNKNOWN: ") && ended.stdout.contains(says), "{ended:?}");
    }
    let alive = inside(&site.here, || {
        let url = Server::parse("https://localhost:9846").unwrap();
        let client = Client::new(url).with_ca_file(&Path::new(CERTIFICATES).join("authority.pem")).unwrap();
        client.ask("GET /healthz", PATIENCE).unwrap()
    });
    assert_eq!((alive.code, &*alive.body), (200, "ok\n"));
    // Another token counts without a restart.
    put(&site, "token", "another-token-of-the-tests-9876543210");
    until("the new token is taken in", || ask(&site, "GET /status").is_ok_and(|answer| answer.code == 200));
    let log = daemon.stop();
    assert!(!log.contains(TOKEN) && !log.contains("another-token"), "{log}");
}

#[test]
fn a_file_that_cannot_protect_the_listener_refuses_the_start() {
    let site = site("first");
    certify(&site, "first", "second");
    for command in ["run", "check"] {
        let ended = site.run(&[command]);
        assert_eq!(ended.code, Some(78), "{ended:?}");
        assert!(ended.stderr.contains("key.pem: is not the key of"), "{ended:?}");
    }
    certify(&site, "first", "first");
    fs::set_permissions(site.home.file("token"), Permissions::from_mode(0o644)).unwrap();
    let ended = site.run(&["check"]);
    assert_eq!(ended.code, Some(78), "{ended:?}");
    assert!(ended.stderr.contains("http.token_file: ") && ended.stderr.contains("chmod o-rwx"), "{ended:?}");
    assert!(!ended.stderr.contains(TOKEN), "{ended:?}");
}

/// The numbers of the descriptors for whose events the daemon's thread of this name waits; its first thread has the program's. `None`
/// while it does not wait.
fn awaited(daemon: &Daemon<'_>, name: &str) -> Option<Vec<String>> {
    let process = format!("/proc/{}", daemon.pid());
    let mut tasks = fs::read_dir(format!("{process}/task")).unwrap().map(|task| task.unwrap().path());
    let thread =
        tasks.find(|task| fs::read_to_string(task.join("comm")).is_ok_and(|comm| comm.trim() == name));
    // `NUMBER ARGUMENT…`: epoll_wait's first argument is its own descriptor.
    let call = fs::read_to_string(thread.unwrap().join("syscall")).unwrap();
    let epoll = u32::from_str_radix(call.split_whitespace().nth(1)?.strip_prefix("0x")?, 16).ok()?;
    if fs::read_link(format!("{process}/fd/{epoll}")).ok()?.to_str()? != "anon_inode:[eventpoll]" {
        return None;
    }
    let text = fs::read_to_string(format!("{process}/fdinfo/{epoll}")).ok()?;
    let of = |line: &str| Some(line.strip_prefix("tfd:")?.split_whitespace().next()?.to_owned());
    Some(text.lines().filter_map(of).collect())
}

/// The numbers of the daemon's descriptors that are TCP sockets of its listener: those that listen, and those of clients.
fn at_the_listener(daemon: &Daemon<'_>, port: u16) -> [Vec<String>; 2] {
    let process = format!("/proc/{}", daemon.pid());
    let table = fs::read_to_string(format!("{process}/net/tcp")).unwrap();
    let mut sockets = [Vec::new(), Vec::new()];
    for row in table.lines().skip(1) {
        // `sl local_address rem_address st … inode`; state 0A is LISTEN.
        let columns: Vec<&str> = row.split_whitespace().collect();
        if columns[1].ends_with(&format!(":{port:04X}")) {
            sockets[usize::from(columns[3] != "0A")].push(format!("socket:[{}]", columns[9]));
        }
    }
    let descriptors = fs::read_dir(format!("{process}/fd")).unwrap().map_while(Result::ok);
    let open: Vec<_> = descriptors
        .filter_map(|of| Some((of.file_name().into_string().ok()?, fs::read_link(of.path()).ok()?)))
        .collect();
    sockets.map(|sockets| {
        let ours = |target: &Path| sockets.iter().any(|socket| Path::new(socket) == target);
        open.iter().filter(|(_, target)| ours(target)).map(|(number, _)| number.clone()).collect()
    })
}

/// How many echoes of the tunnel were lost or could not be sent.
fn lost(daemon: &Daemon<'_>, tunnel: &Tunnel) -> f64 {
    let outside = tunnel.outside;
    let of = |outcome| {
        daemon.metric(&format!(
            "bothends_echoes_total{{vpn=\"{MILAN}\",tunnel=\"{outside}\",check=\"inside\",outcome=\"{outcome}\"}}"
        ))
    };
    ["lost_timeout", "lost_no_path", "lost_blocked", "fault"].into_iter().map(of).sum()
}

fn descriptors(daemon: &Daemon<'_>) -> usize {
    fs::read_dir(format!("/proc/{}/fd", daemon.pid())).unwrap().count()
}

/// A client at this address of loopback that asks nothing.
fn idle(from: Ipv4Addr, to: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SockAddr::from(SocketAddr::from((from, 0)))).unwrap();
    socket.connect(&SockAddr::from(to)).unwrap();
    socket.into()
}

#[test]
fn a_thousand_scrapes_among_idle_clients_are_answered_by_another_thread_than_the_one_that_probes() {
    let site = Site::new();
    let daemon = site.start_healthy();
    let files = descriptors(&daemon);
    let lost = || [&ONE, &TWO].map(|tunnel| lost(&daemon, tunnel));
    let lost_before = lost();
    let port = site.home.listen.port();
    inside(&site.here, || {
        let mut clients = Vec::new();
        for index in 0..1_000_u32 {
            // Idle clients keep coming, more than there is room for.
            if index % 5 == 0 {
                let [.., high, low] = index.to_be_bytes();
                clients.push(idle(Ipv4Addr::new(127, 1, high, low.max(1)), site.home.listen));
            }
            let mut scrape = TcpStream::connect(site.home.listen).unwrap();
            scrape.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
            let mut answer = String::new();
            scrape.read_to_string(&mut answer).unwrap();
            assert!(
                answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("\nbothends_ready "),
                "{answer}"
            );
        }
        // Beside the listener's, some connections to AWS may have been opened.
        assert!(descriptors(&daemon) <= files + 64 + 16, "{} after {files}", descriptors(&daemon));
        // What clients do wakes the thread that waits for their sockets, and no other.
        until("the I/O thread waits for the listener and for clients", || {
            let _still_there = idle(Ipv4Addr::new(127, 2, 0, 1), site.home.listen);
            let [listening, connected] = at_the_listener(&daemon, port);
            let Some(io) = awaited(&daemon, "io") else { return false };
            listening.len() == 1 && io.contains(&listening[0]) && connected.iter().any(|one| io.contains(one))
        });
        let probing = until_some("the thread that probes waits", || awaited(&daemon, "bothends"));
        let [listening, connected] = at_the_listener(&daemon, port);
        for socket in listening.iter().chain(&connected) {
            assert!(!probing.contains(socket), "{socket} is one of {probing:?}");
        }
        drop(clients);
    });
    daemon.until_probed_further(MILAN, &ONE);
    assert_eq!(lost(), lost_before, "no echo was lost meanwhile");
    daemon.until_assessed("healthy", &[&ONE, &TWO]);
}
