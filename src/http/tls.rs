//! The certificate of the listener: read from its files, and until when it is valid.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, InconsistentKeys, RootCertStore, ServerConfig};
use sha2::{Digest as _, Sha256};

use crate::access::{NoSecret, Unread, read_regular, read_secret};
use crate::domain::time::Stamp;
use crate::outbound::crypto_provider;
use crate::settings::TlsFiles;

/// A chain has a few certificates of some kilobytes.
const CHAIN_MAX: u64 = 256 * 1024;

/// A certificate with its key, ready for handshakes.
#[derive(Clone)]
pub struct Tls {
    /// For a handshake.
    pub config: Arc<ServerConfig>,
    /// When the certificate expires; `None` if that cannot be read from it.
    pub expires: Option<Expiry>,
    /// Of both files, to see whether they have changed.
    digest: [u8; 32],
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("expires", &self.expires).finish_non_exhaustive()
    }
}

/// When a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expiry {
    /// From.
    pub begins: Stamp,
    /// Until.
    pub ends: Stamp,
}

/// A certificate is renewed this long before it expires, unless it lives for days only; then a third of its life before.
const RENEWED: Duration = Duration::from_secs(7 * 24 * 3600);

impl Expiry {
    /// Whether it should have been renewed by now.
    pub fn is_near(&self, now: Stamp) -> bool {
        let lasts = self.ends.since(self.begins);
        self.ends.since(now) < RENEWED.min(lasts / 3)
    }
}

/// What is wrong with the listener's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileFault {
    /// A file does not exist, or is not readable for us.
    OutOfReach(String),
    /// The files are unusable.
    Wrong(String),
}

impl fmt::Display for FileFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfReach(what) | Self::Wrong(what) => f.write_str(what),
        }
    }
}

impl From<NoSecret> for FileFault {
    fn from(fault: NoSecret) -> Self {
        match fault {
            NoSecret::OutOfReach(what) => Self::OutOfReach(what),
            NoSecret::Wrong(what) => Self::Wrong(what),
        }
    }
}

impl Tls {
    /// Reads the files. Blocks for as long as the disk does.
    ///
    /// # Errors
    /// A file cannot be read, everybody can read the key, or they are no certificate and its key.
    pub fn read(files: &TlsFiles) -> Result<Self, FileFault> {
        let chain = read_chain(&files.certificate)?;
        let key = read_secret(&files.key)?;
        Self::of(&chain, &key, files)
    }

    fn of(
        chain: &[u8],
        key: &str,
        TlsFiles { certificate, key: key_file }: &TlsFiles,
    ) -> Result<Self, FileFault> {
        let wrong = |path: &Path, what: &str| FileFault::Wrong(format!("{}: {what}", path.display()));
        let digest = Sha256::new().chain_update(chain).chain_update([0]).chain_update(key).finalize().into();
        let not_pem = |_| wrong(certificate, "is not well-formed PEM");
        let chain: Vec<_> =
            CertificateDer::pem_slice_iter(chain).collect::<Result<_, _>>().map_err(not_pem)?;
        let Some(leaf) = chain.first().cloned() else {
            return Err(wrong(certificate, "has no certificate in PEM"));
        };
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|_| {
            wrong(key_file, "has no private key in PEM that can be used; one with a pass phrase cannot")
        })?;
        let config = ServerConfig::builder_with_provider(Arc::new(crypto_provider()))
            .with_safe_default_protocol_versions()
            .map(|builder| builder.with_no_client_auth())
            .and_then(|builder| builder.with_single_cert(chain, key));
        let mut config = config.map_err(|error| {
            if matches!(error, rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) {
                wrong(key_file, &format!("is not the key of {}", certificate.display()))
            } else if matches!(error, rustls::Error::InvalidCertificate(_)) {
                wrong(certificate, "the certificate cannot be parsed")
            } else {
                wrong(certificate, &format!("cannot be used with {}: {error}", key_file.display()))
            }
        })?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // A scrape is one connection of one request: tickets to resume its session would only cost.
        config.send_tls13_tickets = 0;
        Ok(Self { config: Arc::new(config), expires: expiry(&leaf), digest })
    }

    /// Whether the files have not changed in between.
    pub fn is_same(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

fn read_chain(path: &Path) -> Result<Vec<u8>, FileFault> {
    read_regular(path, CHAIN_MAX).map_err(|unread| {
        let what =
            format!("{} cannot be read: {unread}; fix the path, or let the daemon read it", path.display());
        match unread {
            Unread::Failed(_) => FileFault::OutOfReach(what),
            Unread::NotRegular(_) | Unread::TooLong => FileFault::Wrong(what),
        }
    })
}

/// The first and last second of a certificate. Its verification looks at them before anything else, and its errors name them: so
/// no parser of certificates is needed besides the one that TLS has.
fn expiry(certificate: &CertificateDer<'_>) -> Option<Expiry> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone().into_owned()).ok()?;
    let provider = Arc::new(crypto_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().ok()?;
    let name = ServerName::from(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let refused_at = |seconds| {
        let at = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        match verifier.verify_server_cert(certificate, &[], &name, &[], at) {
            Err(rustls::Error::InvalidCertificate(refused)) => Some(refused),
            Ok(_) | Err(_) => None,
        }
    };
    let Some(CertificateError::NotValidYetContext { not_before, .. }) = refused_at(0) else { return None };
    let Some(CertificateError::ExpiredContext { not_after, .. }) = refused_at(AFTER_ALL) else { return None };
    let stamp = |time: UnixTime| i64::try_from(time.as_secs()).ok().map(Stamp::from_secs);
    Some(Expiry { begins: stamp(not_before)?, ends: stamp(not_after)? })
}

/// The year 10000: no certificate names a later time (RFC 5280, 4.1.2.5).
const AFTER_ALL: u64 = 253_402_300_800;
