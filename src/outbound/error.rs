//! Why there is no connection: at which host, and what to do. Which authorities to trust is the caller's to say.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use rustls::{CertificateError, InvalidMessage};

/// Alerts that refuse a handshake (RFC 8446, section 6.2).
const ALERTS: [(u8, &str); 8] = [
    (40, "handshake_failure"),
    (47, "illegal_parameter"),
    (48, "unknown_ca"),
    (49, "access_denied"),
    (50, "decode_error"),
    (70, "protocol_version"),
    (80, "internal_error"),
    (112, "unrecognized_name"),
];

/// A connection that failed.
#[derive(Debug, Clone)]
pub struct ConnectError {
    /// The host and port to be reached.
    pub target: String,
    /// The proxy on the way, with its variable and without its password.
    pub proxy: Option<String>,
    /// The file of the trusted authorities, if it is not the system's store.
    pub authorities: Option<PathBuf>,
    /// What went wrong.
    pub what: What,
}

/// The step that failed, and how.
#[derive(Debug, Clone)]
pub enum What {
    /// The URL, or the proxy's URL, names no host.
    NoHost,
    /// The name lookup failed: of the proxy, or of the target if there is no proxy.
    Unresolved(Arc<io::Error>),
    /// No TCP connection.
    Unconnected(Arc<io::Error>),
    /// The proxy answered CONNECT with a status other than 2xx. For 407 it matters whether credentials were sent.
    ProxyRefused {
        /// The HTTP status.
        status: StatusCode,
        /// The variable that names the proxy.
        variable: &'static str,
        /// Whether the variable contains a user name.
        with_credentials: bool,
        /// Whether it offers the Basic scheme (RFC 7617); a proxy that names no scheme may accept it.
        basic: bool,
    },
    /// The proxy's answer to CONNECT is not HTTP, or broke off.
    ProxyUnclear(Arc<hyper::Error>),
    /// The peer's certificate is not accepted.
    Certificate(Certificate),
    /// The peer refused TLS, or speaks another protocol.
    Tls(TlsFault),
    /// The connection broke in the handshake. `large`: after a ClientHello longer than one packet, and before any answer.
    HandshakeBroken {
        /// Whether the ClientHello was longer than one packet.
        large: bool,
        /// The error of the connection.
        source: Arc<io::Error>,
    },
    /// Timed out.
    TimedOut {
        /// The step that timed out.
        stage: ConnectStage,
        /// The time waited.
        after: Duration,
    },
}

/// A step that can time out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectStage {
    /// The TCP connection.
    Tcp,
    /// The proxy's answer to CONNECT.
    Proxy,
    /// The TLS handshake.
    Tls {
        /// Whether the ClientHello was longer than one packet.
        large: bool,
    },
}

/// Why a certificate is not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Certificate {
    /// No trusted authority has signed it.
    Untrusted,
    /// It has expired.
    Expired,
    /// It is not valid yet.
    NotYetValid,
    /// It is for another host.
    OtherName,
    /// It was revoked.
    Revoked,
    /// It is malformed, or uses something that is not supported.
    Unusable,
}

/// Why there is no TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TlsFault {
    /// The answer is not TLS.
    NotTls,
    /// An alert (RFC 8446, section 6) ended the handshake.
    Alert(u8),
    /// No version or parameters in common, or a violation of the protocol.
    Incompatible,
}

impl ConnectError {
    /// Whether only more time would have helped.
    pub const fn is_timeout(&self) -> bool {
        match self.what {
            What::TimedOut { .. } => true,
            What::NoHost
            | What::Unresolved(_)
            | What::Unconnected(_)
            | What::ProxyRefused { .. }
            | What::ProxyUnclear(_)
            | What::Certificate(_)
            | What::Tls(_)
            | What::HandshakeBroken { .. } => false,
        }
    }

    /// Whether a middlebox may have rejected the size of the ClientHello.
    pub(super) const fn may_be_of_size(&self) -> bool {
        match self.what {
            What::HandshakeBroken { large, .. }
            | What::TimedOut { stage: ConnectStage::Tls { large }, .. } => large,
            What::TimedOut { stage: ConnectStage::Tcp | ConnectStage::Proxy, .. }
            | What::NoHost
            | What::Unresolved(_)
            | What::Unconnected(_)
            | What::ProxyRefused { .. }
            | What::ProxyUnclear(_)
            | What::Certificate(_)
            | What::Tls(_) => false,
        }
    }
}

impl Certificate {
    // Errors that the library adds later count as unusable.
    pub(super) fn of(error: &CertificateError) -> Self {
        use CertificateError as E;
        if matches!(error, E::UnknownIssuer) {
            Self::Untrusted
        } else if matches!(error, E::Expired | E::ExpiredContext { .. }) {
            Self::Expired
        } else if matches!(error, E::NotValidYet | E::NotValidYetContext { .. }) {
            Self::NotYetValid
        } else if matches!(error, E::NotValidForName | E::NotValidForNameContext { .. }) {
            Self::OtherName
        } else if matches!(error, E::Revoked) {
            Self::Revoked
        } else {
            Self::Unusable
        }
    }
}

impl fmt::Display for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Untrusted => "it is not signed by a CA that is trusted here",
            Self::Expired => "it has expired, or this host's clock is ahead",
            Self::NotYetValid => "it is not valid yet, or this host's clock is behind",
            Self::OtherName => "it is for another host name",
            Self::Revoked => "it has been revoked",
            Self::Unusable => "it is malformed or uses an unsupported feature",
        })
    }
}

impl TlsFault {
    // Errors that the library adds later count as violations of the protocol.
    pub(super) fn of(error: &rustls::Error) -> Self {
        if let rustls::Error::AlertReceived(alert) = error {
            Self::Alert(u8::from(*alert))
        } else if matches!(error, rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)) {
            Self::NotTls
        } else {
            Self::Incompatible
        }
    }
}

impl fmt::Display for TlsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotTls => {
                f.write_str("what answers there does not speak TLS; is it another service, or a captive portal?")
            }
            Self::Alert(number) => {
                write!(f, "the other side refused TLS (alert {number}")?;
                if let Some((_, name)) = ALERTS.iter().find(|(known, _)| known == number) {
                    write!(f, ", {name}")?;
                }
                f.write_str("); a firewall or a TLS-inspecting proxy on the path may do this")
            }
            Self::Incompatible => f.write_str(
                "both sides found no common TLS, or the other violated the protocol; at least TLS 1.2 is needed",
            ),
        }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { target, proxy, authorities: _, what } = self;
        // The host to which the TCP connection goes.
        let first = proxy.as_ref().map_or_else(|| target.clone(), |proxy| format!("the proxy {proxy}"));
        let through = proxy.as_ref().map(|proxy| format!(" through the proxy {proxy}")).unwrap_or_default();
        match what {
            What::NoHost => write!(f, "{first} is no host that can be called"),
            What::Unresolved(error) => {
                write!(f, "no address found for {first} ({error}): check the name and this host's DNS")
            }
            What::Unconnected(error) => write!(f, "no connection to {first}: {}", io_text(error)),
            What::ProxyRefused { status, variable, with_credentials, basic } => {
                write!(f, "{first} refused a connection to {target} ({status}); ")?;
                match status.as_u16() {
                    407 if !basic => f.write_str(
                        "it does not accept Basic authentication (NTLM and Kerberos are not supported): let it \
                         allow this host without authentication, or name another proxy",
                    ),
                    407 if *with_credentials => {
                        write!(f, "correct the user name and password in {variable}")
                    }
                    407 => write!(
                        f,
                        "it wants a user name and password: {variable}=http://USER:PASSWORD@HOST:PORT (Basic only)"
                    ),
                    401 | 403 | 451 => f.write_str("have the proxy allow CONNECT to that host and port"),
                    502..=504 => {
                        f.write_str("it could not reach that host itself: check its Internet access and DNS")
                    }
                    _ => write!(f, "check that {variable} names an HTTP proxy that allows CONNECT"),
                }
            }
            What::ProxyUnclear(_) => write!(
                f,
                "{first} gave no HTTP answer to CONNECT {target}; is it an HTTP proxy, and http:// or https:// right?"
            ),
            What::Certificate(why) => {
                write!(f, "the certificate shown by {target}{through} is not accepted: {why}")
            }
            What::Tls(fault) => write!(f, "no TLS with {target}{through}: {fault}"),
            What::HandshakeBroken { large: true, source } => write!(
                f,
                "the connection to {target}{through} broke in the TLS handshake, before any answer ({}): a \
                 firewall on the path may not accept a ClientHello that is longer than one packet",
                io_text(source)
            ),
            What::HandshakeBroken { large: false, source } => write!(
                f,
                "the connection to {target}{through} broke in the TLS handshake ({}): a firewall or proxy on the \
                 path may not allow TLS to this host",
                io_text(source)
            ),
            What::TimedOut { stage, after } => {
                let after = after.as_secs_f32();
                match stage {
                    ConnectStage::Tcp => write!(f, "no connection to {first} within {after:.0} s"),
                    ConnectStage::Proxy => {
                        write!(f, "{first} did not answer CONNECT {target} within {after:.0} s")
                    }
                    ConnectStage::Tls { large } => {
                        write!(f, "no TLS with {target}{through} within {after:.0} s")?;
                        f.write_str(if *large {
                            ": a firewall on the path may drop a ClientHello that is longer than one packet"
                        } else {
                            ""
                        })
                    }
                }
            }
        }
    }
}

impl Error for ConnectError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.what {
            What::Unresolved(error)
            | What::Unconnected(error)
            | What::HandshakeBroken { source: error, .. } => Some(error.as_ref()),
            What::ProxyUnclear(error) => Some(error.as_ref()),
            What::NoHost
            | What::ProxyRefused { .. }
            | What::Certificate(_)
            | What::Tls(_)
            | What::TimedOut { .. } => None,
        }
    }
}

/// The system's message without the number that Rust appends; plain words where the library has only an error kind.
pub fn io_text(error: &io::Error) -> String {
    use io::ErrorKind as Kind;
    let plain = [
        (Kind::ConnectionRefused, "connection refused"),
        (Kind::ConnectionReset, "connection reset"),
        (Kind::ConnectionAborted, "connection aborted"),
        (Kind::BrokenPipe, "connection closed"),
        (Kind::UnexpectedEof, "connection closed"),
        (Kind::HostUnreachable, "no route to host"),
        (Kind::NetworkUnreachable, "network is unreachable"),
        (Kind::TimedOut, "connection timed out"),
    ];
    let known = plain.into_iter().find(|(kind, _)| *kind == error.kind());
    known.map_or_else(|| error.to_string(), |(_, text)| text.to_owned())
}
