use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;

use rustix::net::{AddressFamily, SocketType, bind, connect, listen, socket};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{RootCertStore, ServerConfig, ServerConnection};

use super::*;

const AUTHORITY: &[u8] = include_bytes!("../../../tests/edges/aws/tls/authority.pem");
const LONG: Duration = Duration::from_secs(60);

/// What a server or middlebox does with one connection.
type Act = fn(TcpStream, &Arc<ServerConfig>);

/// A listener that treats its connections by these acts in turn, and all later ones by the last. Its thread ends with the
/// process.
fn standing(acts: &'static [Act]) -> (u16, mpsc::Receiver<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, made) = mpsc::channel();
    let config = Arc::new(server());
    thread::spawn(move || {
        for (index, connection) in listener.incoming().map_while(Result::ok).enumerate() {
            let act = acts[index.min(acts.len() - 1)];
            let config = Arc::clone(&config);
            let _ = sender.send(index);
            thread::spawn(move || act(connection, &config));
        }
    });
    (port, made)
}

fn server() -> ServerConfig {
    let certificate =
        CertificateDer::from_pem_slice(include_bytes!("../../../tests/edges/aws/tls/server.pem"));
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("../../../tests/edges/aws/tls/server.key"));
    ServerConfig::builder_with_provider(Arc::new(crypto::provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.unwrap()], key.unwrap())
        .unwrap()
}

/// Speaks TLS until the client closes.
fn tls(mut connection: TcpStream, config: &Arc<ServerConfig>) {
    let mut tls = ServerConnection::new(Arc::clone(config)).unwrap();
    while tls.complete_io(&mut connection).is_ok_and(|(read, _)| read > 0) {}
}

/// A firewall that expects the whole ClientHello in its first packet: it reads the record's length and resets a longer one (RFC
/// 8446, section 5.1: type, version, length).
fn one_packet(connection: TcpStream, config: &Arc<ServerConfig>) {
    let mut head = [0; 5];
    while connection.peek(&mut head).unwrap() < head.len() {}
    if usize::from(u16::from_be_bytes([head[3], head[4]])) < 1_188 {
        return tls(connection, config);
    }
    reset(connection, config);
}

fn reset(connection: TcpStream, _: &Arc<ServerConfig>) {
    // Only after data arrived: otherwise the connection might seem never to have existed.
    let _ = connection.peek(&mut [0]);
    let socket = socket2::SockRef::from(&connection);
    socket.set_linger(Some(Duration::ZERO)).unwrap();
}

/// The same, but silent.
fn drops_what_is_long(mut connection: TcpStream, config: &Arc<ServerConfig>) {
    let mut head = [0; 5];
    while connection.peek(&mut head).unwrap() < head.len() {}
    if usize::from(u16::from_be_bytes([head[3], head[4]])) < 1_188 {
        return tls(connection, config);
    }
    let _ = connection.read_to_end(&mut Vec::new());
}

fn closes(connection: TcpStream, _: &Arc<ServerConfig>) {
    let _ = connection.shutdown(Shutdown::Write);
    let _ = (&connection).read_to_end(&mut Vec::new());
}

fn greets(mut connection: TcpStream, _: &Arc<ServerConfig>) {
    let _ = connection.write_all(b"220 mail.example.com ESMTP\r\n");
    let _ = connection.read_to_end(&mut Vec::new());
}

fn request(connection: &mut TcpStream) -> String {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") && connection.read(&mut byte).unwrap_or(0) == 1 {
        request.push(byte[0]);
    }
    String::from_utf8(request).unwrap()
}

fn forbids(mut connection: TcpStream, _: &Arc<ServerConfig>) {
    request(&mut connection);
    let _ = connection.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 9\r\n\r\nblocked\r\n");
}

fn wants_a_password(mut connection: TcpStream, config: &Arc<ServerConfig>) {
    if request(&mut connection).contains("proxy-authorization: Basic dXNlcjpwQHNz\r\n") {
        let _ = connection.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        return tls(connection, config);
    }
    let _ = connection.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n");
}

fn wants_ntlm(mut connection: TcpStream, _: &Arc<ServerConfig>) {
    request(&mut connection);
    let _ = connection.write_all(
        b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: NTLM\r\n\
          Proxy-Authenticate: Negotiate\r\nContent-Length: 0\r\n\r\n",
    );
}

fn wants_ntlm_or_a_password(mut connection: TcpStream, _: &Arc<ServerConfig>) {
    request(&mut connection);
    let _ = connection.write_all(
        b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: NTLM, Basic realm=\"x\"\r\n\
          Content-Length: 0\r\n\r\n",
    );
}

fn bad_gateway(mut connection: TcpStream, _: &Arc<ServerConfig>) {
    request(&mut connection);
    let _ = connection.write_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n");
}

fn trust(authority: bool) -> Trust {
    let mut roots = RootCertStore::empty();
    if authority {
        roots.add(CertificateDer::from_pem_slice(AUTHORITY).unwrap()).unwrap();
    }
    Trust::new(roots, None).unwrap()
}

fn dialer(key_exchange: KeyExchange, env: &[(&str, String)]) -> Dialer {
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    Dialer::new(Proxies::from_env(&env).unwrap(), key_exchange)
}

fn at(port: u16) -> Uri {
    format!("https://localhost:{port}/").parse().unwrap()
}

async fn failure(acts: &'static [Act], key_exchange: KeyExchange) -> String {
    let (port, _) = standing(acts);
    let refused = dialer(key_exchange, &[]).connect(&at(port), &trust(true), LONG).await.unwrap_err();
    refused.to_string().replace(&port.to_string(), "PORT")
}

/// ring has no large ClientHello.
#[cfg(feature = "tls-aws-lc")]
mod of_size {
    use super::*;

    #[tokio::test]
    async fn a_reset_of_a_large_hello_is_followed_by_a_small_one_noticed_once_and_remembered() {
        let (port, made) = standing(&[one_packet]);
        let dialer = dialer(KeyExchange::Auto, &[]);
        let first = dialer.connect(&at(port), &trust(true), LONG).await.unwrap();
        let notice = first.notice.unwrap();
        assert!(notice.contains("ClientHello") && notice.contains("tls_key_exchange"), "{notice}");
        let second = dialer.connect(&at(port), &trust(true), LONG).await.unwrap();
        assert_eq!((second.notice, made.iter().take(3).collect()), (None, vec![0, 1, 2]));
        assert!(made.try_recv().is_err(), "the second needs one connection");
    }

    #[tokio::test]
    async fn a_close_after_a_large_hello_is_followed_by_a_small_one_too() {
        let (port, _) = standing(&[closes, tls]);
        let made = dialer(KeyExchange::Auto, &[]).connect(&at(port), &trust(true), LONG).await.unwrap();
        assert!(made.notice.is_some());
    }

    #[tokio::test(start_paused = false)]
    async fn silence_after_a_large_hello_leaves_time_for_a_small_one() {
        let (port, _) = standing(&[drops_what_is_long]);
        let within = Duration::from_secs(10);
        let made = dialer(KeyExchange::Auto, &[]).connect(&at(port), &trust(true), within).await.unwrap();
        assert!(made.notice.is_some());
    }

    #[tokio::test]
    async fn only_the_configured_key_exchange_is_tried() {
        let (port, made) = standing(&[one_packet]);
        let classic = dialer(KeyExchange::Classic, &[]);
        assert!(classic.connect(&at(port), &trust(true), LONG).await.unwrap().notice.is_none());
        classic.set_key_exchange(KeyExchange::Hybrid);
        let refused = classic.connect(&at(port), &trust(true), LONG).await.unwrap_err();
        assert!(matches!(refused.what, What::HandshakeBroken { large: true, .. }), "{refused}");
        assert_eq!(made.iter().take(2).collect::<Vec<_>>(), [0, 1]);
        assert!(made.try_recv().is_err());
    }

    #[tokio::test]
    async fn a_reset_of_both_sizes_is_reported() {
        assert_eq!(
            failure(&[reset], KeyExchange::Auto).await,
            "the connection to localhost:PORT broke in the TLS handshake (connection reset): a firewall or proxy \
             on the path may not allow TLS to this host"
        );
    }
}

#[tokio::test]
async fn an_answer_that_is_not_tls_is_reported_and_not_retried() {
    let (port, made) = standing(&[greets]);
    let refused = dialer(KeyExchange::Auto, &[]).connect(&at(port), &trust(true), LONG).await.unwrap_err();
    assert!(refused.to_string().contains("does not speak TLS"), "{refused}");
    assert_eq!((made.recv(), made.try_recv().is_err()), (Ok(0), true));
}

#[tokio::test]
async fn a_rejected_certificate_is_reported_with_its_reason() {
    let (port, _) = standing(&[tls]);
    let dialer = dialer(KeyExchange::Auto, &[]);
    let refused = dialer.connect(&at(port), &trust(false), LONG).await.unwrap_err();
    assert!(matches!(refused.what, What::Certificate(Certificate::Untrusted)), "{refused}");
}

#[tokio::test]
async fn a_certificate_of_another_host_is_reported_with_the_proxy() {
    let (port, _) = standing(&[wants_a_password]);
    let dialer = dialer(KeyExchange::Auto, &[("ALL_PROXY", format!("http://user:p@ss@127.0.0.1:{port}"))]);
    let url = Uri::from_static("https://ec2.eu-west-1.amazonaws.com/");
    let refused = dialer.connect(&url, &trust(true), LONG).await.unwrap_err().to_string();
    assert!(refused.contains("through the proxy") && refused.contains("for another host name"), "{refused}");
}

#[tokio::test]
async fn a_proxy_that_refuses_is_named_with_its_status_its_variable_and_no_password() {
    for (acts, says) in [
        (&[forbids as Act][..], "(403 Forbidden); have the proxy allow CONNECT"),
        (&[bad_gateway], "(502 Bad Gateway); it could not reach that host itself"),
        (
            &[wants_a_password],
            "(407 Proxy Authentication Required); correct the user name and password in HTTPS_PROXY",
        ),
        (&[wants_ntlm], "it does not accept Basic authentication (NTLM and Kerberos are not supported)"),
        (&[wants_ntlm_or_a_password], "correct the user name and password in HTTPS_PROXY"),
        (&[closes], "gave no HTTP answer to CONNECT"),
        (&[greets], "gave no HTTP answer to CONNECT"),
    ] {
        let (port, _) = standing(acts);
        let proxy = format!("http://user:s3cr3t@localhost:{port}");
        let dialer = dialer(KeyExchange::Auto, &[("HTTPS_PROXY", proxy)]);
        let url = Uri::from_static("https://ec2.eu-west-1.amazonaws.com/");
        let refused = dialer.connect(&url, &trust(true), LONG).await.unwrap_err().to_string();
        assert!(refused.contains(&format!("the proxy http://localhost:{port} (HTTPS_PROXY)")), "{refused}");
        assert!(refused.contains("ec2.eu-west-1.amazonaws.com:443") && refused.contains(says), "{refused}");
        assert!(!refused.contains("s3cr3t") && !refused.contains("user:"), "{refused}");
    }
}

#[tokio::test]
async fn a_proxy_with_a_password_is_used() {
    let (port, _) = standing(&[wants_a_password]);
    let env = [("ALL_PROXY", format!("http://user:p@ss@127.0.0.1:{port}"))];
    // The certificate of the host behind the proxy is for localhost.
    let made = dialer(KeyExchange::Auto, &env).connect(&at(443), &trust(true), LONG).await.unwrap();
    assert!(made.forwarding.is_none());
    let plain = dialer(KeyExchange::Auto, &env);
    let plain = plain.connect(&Uri::from_static("http://monitor.example.com/"), &trust(true), LONG).await;
    assert!(plain.unwrap().forwarding.is_some(), "plain HTTP is the proxy's to forward");
}

#[tokio::test]
async fn a_missing_proxy_is_reported_as_the_failed_connection() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let dialer = dialer(KeyExchange::Auto, &[("https_proxy", closed.to_string())]);
    let refused = dialer.connect(&at(443), &trust(true), LONG).await.unwrap_err().to_string();
    assert_eq!(
        refused,
        format!("no connection to the proxy http://{closed} (https_proxy): connection refused")
    );
}

/// A socket whose queue is full and accepts no connection: SYNs are dropped, as on a route that leads nowhere.
fn dead(ip: Ipv4Addr) -> (SocketAddr, Vec<std::os::fd::OwnedFd>) {
    let listener = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&listener, &SocketAddr::from((ip, 0))).unwrap();
    listen(&listener, 0).unwrap();
    let address = SocketAddr::try_from(rustix::net::getsockname(&listener).unwrap()).unwrap();
    let mut held = vec![listener];
    let full = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    connect(&full, &address).unwrap();
    held.push(full);
    (address, held)
}

#[tokio::test]
async fn a_dead_address_does_not_delay_the_next() {
    let (dead, _held) = dead(Ipv4Addr::new(127, 0, 0, 2));
    let alive = TcpListener::bind("127.0.0.1:0").unwrap();
    let alive = alive.local_addr().map(|address| (address, alive)).unwrap();
    let stream = first([dead, dead, alive.0].into()).await.unwrap();
    assert_eq!(stream.peer_addr().unwrap(), alive.0);
}

#[tokio::test]
async fn a_refusing_address_gives_way_to_the_next_and_the_first_failure_is_reported() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let alive = TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = first([closed, alive.local_addr().unwrap()].into()).await.unwrap();
    assert_eq!(stream.peer_addr().unwrap(), alive.local_addr().unwrap());
    let unroutable = "255.255.255.255:9".parse().unwrap();
    let failure = first([closed, unroutable].into()).await.unwrap_err();
    assert_eq!(failure.kind(), io::ErrorKind::ConnectionRefused);
    assert!(first(VecDeque::new()).await.unwrap_err().to_string().contains("no address"));
}

#[test]
fn address_families_alternate() {
    let addresses = ["[2001:db8::1]:1", "[2001:db8::2]:1", "192.0.2.1:1", "192.0.2.2:1", "192.0.2.3:1"];
    let turns = in_turn(addresses.iter().map(|address| address.parse().unwrap()));
    let turns: Vec<_> = turns.iter().map(ToString::to_string).collect();
    assert_eq!(turns, ["[2001:db8::1]:1", "192.0.2.1:1", "[2001:db8::2]:1", "192.0.2.2:1", "192.0.2.3:1"]);
}

fn hello(hello: Hello) -> usize {
    let trust = Trust::new(RootCertStore::empty(), None).unwrap();
    let name = "ec2.eu-west-1.amazonaws.com".try_into().unwrap();
    let mut connection = rustls::ClientConnection::new(trust.config(hello), name).unwrap();
    let mut sent = Vec::new();
    connection.write_tls(&mut sent).unwrap();
    sent.len()
}

#[test]
fn a_small_hello_fits_one_packet_of_any_path() {
    // RFC 8200, section 5: every IPv6 path carries 1,280 bytes; headers of IPv6 and TCP take 72 of them.
    assert!(hello(Hello::Small) < 1_208, "{}", hello(Hello::Small));
}

#[cfg(feature = "tls-aws-lc")]
#[test]
fn a_large_hello_holds_a_post_quantum_share() {
    // ML-KEM-768's encapsulation key has 1,184 bytes (FIPS 203, table 3).
    assert!(hello(Hello::Large) > 1_184, "{}", hello(Hello::Large));
}

#[test]
fn every_key_exchange_parses_from_its_word() {
    for one in KeyExchange::ALL {
        assert_eq!(KeyExchange::parse(one.as_str()), Some(one));
    }
    assert_eq!(KeyExchange::parse("Classic"), None);
}
