//! A server with a certificate of a private CA. It answers 503 to everything: enough to show that TLS was established.
//!
//! The certificates in `tls/` are made for these tests, valid for a hundred years, and useless otherwise; the CA's key
//! was deleted.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, Stream};

#[cfg(feature = "tls-aws-lc")]
use rustls::crypto::aws_lc_rs as crypto;
#[cfg(all(feature = "tls-ring", not(feature = "tls-aws-lc")))]
use rustls::crypto::ring as crypto;

const ANSWER: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// Its thread ends with the process.
pub(super) struct TlsServer {
    pub(super) url: String,
}

impl TlsServer {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let config = Arc::new(config());
        std::thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                // A client that does not trust us hangs up in the middle.
                drop(answer(Arc::clone(&config), connection));
            }
        });
        Self { url }
    }
}

fn config() -> ServerConfig {
    let certificate = CertificateDer::from_pem_slice(include_bytes!("tls/server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("tls/server.key")).unwrap();
    ServerConfig::builder_with_provider(Arc::new(crypto::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap()
}

fn answer(config: Arc<ServerConfig>, mut socket: TcpStream) -> std::io::Result<()> {
    let mut tls = ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut stream = Stream::new(&mut tls, &mut socket);
    read_request(&mut BufReader::new(&mut stream))?;
    stream.write_all(ANSWER)?;
    stream.flush()?;
    tls.send_close_notify();
    tls.complete_io(&mut socket)?;
    Ok(())
}

/// Reads to the end: closing a connection with unread data resets it, and the answer is lost.
fn read_request(stream: &mut impl BufRead) -> std::io::Result<()> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        match line.trim_end().to_lowercase().split_once(':') {
            Some(("content-length", value)) => length = value.trim().parse().unwrap(),
            Some(_) => {}
            None if line.trim_end().is_empty() => break,
            None => {}
        }
    }
    std::io::copy(&mut stream.take(length), &mut std::io::sink())?;
    Ok(())
}
