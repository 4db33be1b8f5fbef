//! A webhook receiver: real HTTP/1.1, over TLS if wanted, which records each request and answers as scripted; and a
//! proxy to reach it through.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use bothends::clock;
use bothends::domain::time::Moment;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;

#[cfg(feature = "tls-aws-lc")]
use rustls::crypto::aws_lc_rs as crypto;
#[cfg(all(feature = "tls-ring", not(feature = "tls-aws-lc")))]
use rustls::crypto::ring as crypto;

/// The CA of the receiver's certificate, for `localhost`.
pub(crate) const AUTHORITY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/edges/aws/tls/authority.pem");

#[derive(Clone, Debug)]
pub(crate) enum Reaction {
    /// With this status and these headers.
    Status(u16, &'static str),
    /// With this status and this body.
    Says(u16, &'static str),
    /// It accepts the message and closes without an answer.
    Lost,
    /// It stays silent for longer than any client waits.
    Silent,
}

/// A request as received.
#[derive(Clone, Debug)]
pub(crate) struct Posted {
    /// `POST /path`.
    pub(crate) line: String,
    /// Lower-case names.
    headers: Vec<(String, String)>,
    pub(crate) body: String,
    /// Its answer.
    pub(crate) status: Option<u16>,
    pub(crate) at: Moment,
}

impl Posted {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

#[derive(Default)]
struct State {
    posted: Vec<Posted>,
    reactions: VecDeque<Reaction>,
    /// When no scripted reaction is left.
    last: Option<Reaction>,
}

/// Its threads end with the process.
pub(crate) struct Receiver {
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
}

impl Receiver {
    pub(crate) fn start(listener: TcpListener, tls: bool) -> Self {
        let port = listener.local_addr().unwrap().port();
        let url = format!("{}://localhost:{port}", if tls { "https" } else { "http" });
        let state = Arc::<Mutex<State>>::default();
        let config = tls.then(|| Arc::new(config()));
        let served = Arc::clone(&state);
        thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                let (state, config) = (Arc::clone(&served), config.clone());
                // A client that does not trust us hangs up in the middle.
                thread::spawn(move || drop(serve(socket, config, &state)));
            }
        });
        Self { url, state }
    }

    /// The answers to the next requests, one each.
    pub(crate) fn reacts(&self, reactions: &[Reaction]) {
        self.state.lock().unwrap().reactions.extend(reactions.iter().cloned());
    }

    /// The answer to all further requests.
    pub(crate) fn reacts_always(&self, reaction: Option<Reaction>) {
        self.state.lock().unwrap().last = reaction;
    }

    pub(crate) fn posted(&self) -> Vec<Posted> {
        self.state.lock().unwrap().posted.clone()
    }

    /// The messages that it accepted, whether or not it said so.
    pub(crate) fn arrived(&self) -> Vec<Posted> {
        self.posted().into_iter().filter(|posted| posted.status.is_none_or(|status| status < 300)).collect()
    }

    /// The messages that it confirmed.
    pub(crate) fn taken(&self) -> Vec<Posted> {
        self.posted().into_iter().filter(|posted| posted.status.is_some_and(|status| status < 300)).collect()
    }
}

fn config() -> ServerConfig {
    let certificate = CertificateDer::from_pem_slice(include_bytes!("aws/tls/server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("aws/tls/server.key")).unwrap();
    ServerConfig::builder_with_provider(Arc::new(crypto::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap()
}

fn serve(socket: TcpStream, tls: Option<Arc<ServerConfig>>, state: &Mutex<State>) -> io::Result<()> {
    match tls {
        None => answer(socket, state),
        Some(config) => {
            let connection = ServerConnection::new(config).map_err(io::Error::other)?;
            answer(StreamOwned::new(connection, socket), state)
        }
    }
}

fn answer(stream: impl Read + Write, state: &Mutex<State>) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let (line, headers) = head(&mut stream)?;
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.map_or(0, |(_, value)| value.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    let reaction = {
        let mut state = state.lock().unwrap();
        let reaction = state.reactions.pop_front().or_else(|| state.last.clone());
        let reaction = reaction.unwrap_or(Reaction::Status(202, ""));
        let status = match reaction {
            Reaction::Status(status, _) | Reaction::Says(status, _) => Some(status),
            Reaction::Lost | Reaction::Silent => None,
        };
        state.posted.push(Posted {
            line,
            headers,
            body: String::from_utf8(body).unwrap(),
            status,
            at: clock::now().mono,
        });
        reaction
    };
    let (status, headers, text) = match reaction {
        Reaction::Lost => return Ok(()),
        Reaction::Silent => {
            thread::sleep(Duration::from_secs(40));
            return Ok(());
        }
        Reaction::Status(status, headers) => (status, headers, "ok"),
        Reaction::Says(status, text) => (status, "", text),
    };
    let stream = stream.get_mut();
    let length = text.len();
    write!(
        stream,
        "HTTP/1.1 {status} Such\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{text}"
    )?;
    stream.flush()
}

/// The request line without its protocol, and its headers.
fn head(stream: &mut impl BufRead) -> io::Result<(String, Vec<(String, String)>)> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let first = line.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let Some((name, value)) = line.trim_end().split_once(':') else { return Ok((first, headers)) };
        headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
}

/// A proxy that forwards bytes to the target of CONNECT, and records that target.
pub(crate) fn proxy(listener: TcpListener) -> Arc<Mutex<Vec<String>>> {
    let asked = Arc::<Mutex<Vec<String>>>::default();
    let written = Arc::clone(&asked);
    thread::spawn(move || {
        for socket in listener.incoming().map_while(Result::ok) {
            let written = Arc::clone(&written);
            thread::spawn(move || forward(socket, &written));
        }
    });
    asked
}

fn forward(client: TcpStream, asked: &Mutex<Vec<String>>) -> io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    let (line, _) = head(&mut reader)?;
    asked.lock().unwrap().push(line.clone());
    let target = line.strip_prefix("CONNECT ").ok_or(io::ErrorKind::InvalidData)?;
    let server = TcpStream::connect(target)?;
    (&client).write_all(b"HTTP/1.1 200 Connected\r\n\r\n")?;
    let (mut to, mut from) = (server.try_clone()?, client.try_clone()?);
    thread::spawn(move || io::copy(&mut reader, &mut to));
    io::copy(&mut &server, &mut from)?;
    client.shutdown(std::net::Shutdown::Both)
}
