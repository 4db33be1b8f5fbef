//! The HTTP client that every AWS call goes through: proxy, trusted authorities, keep-alive.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aws_smithy_http_client::pool::{Client, ConnectionPool};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

#[cfg(feature = "tls-aws-lc")]
const CRYPTO: CryptoMode = CryptoMode::AwsLc;
#[cfg(all(feature = "tls-ring", not(feature = "tls-aws-lc")))]
const CRYPTO: CryptoMode = CryptoMode::Ring;
#[cfg(not(any(feature = "tls-aws-lc", feature = "tls-ring")))]
compile_error!("choose a TLS provider: feature tls-aws-lc or tls-ring");

/// Connections to one host. Every source, sink and the publisher may have one call under way at the same host, and a
/// call that hangs must not keep another waiting; more than this is a mistake somewhere.
const MAX_CONNECTIONS_PER_HOST: usize = 16;
/// An idle connection whose path has died is found out before the next poll wants to use it.
const TCP_KEEPALIVE: Duration = Duration::from_secs(20);

/// The client: the proxy variables of the environment, and the authorities in `ca_bundle` in place of the system's, as
/// `AWS_CA_BUNDLE` has it with AWS's own tools. Without a bundle the system's authorities are trusted (`SSL_CERT_FILE`
/// and `SSL_CERT_DIR` are honoured). That there are any matters only if there is `tls` to be spoken.
pub(super) fn client(ca_bundle: Option<&Path>, tls: bool) -> Result<Client, HttpSettingsError> {
    let trusted = match ca_bundle {
        Some(path) => TrustStore::empty().with_pem_certificate(read_bundle(path)?),
        None if system_trusts_anybody() => TrustStore::default(),
        None if tls => return Err(HttpSettingsError::NoAuthority),
        // To take the system's would be a warning of the SDK's.
        None => TrustStore::empty(),
    };
    let context = TlsContext::builder()
        .with_trust_store(trusted)
        .build()
        .map_err(|error| HttpSettingsError::Client { source: Arc::new(error) })?;
    let pool = ConnectionPool::builder()
        .max_connections_per_host(MAX_CONNECTIONS_PER_HOST)
        .tcp_keepalive(TCP_KEEPALIVE)
        .proxy_config(ProxyConfig::from_env())
        .tls_provider(Provider::Rustls(CRYPTO))
        .tls_context(context)
        .build_https()
        .map_err(|error| HttpSettingsError::Client { source: Arc::new(error) })?;
    Client::new(&pool).map_err(|error| HttpSettingsError::Client { source: Arc::new(error) })
}

/// Without an authority the SDK warns, and then every handshake fails.
fn system_trusts_anybody() -> bool {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    !roots.is_empty()
}

/// Whether anything may be called over TLS: everything is, unless every endpoint is given and plain, as it is with a stand-in
/// for AWS.
pub(super) fn speaks_tls(endpoint_url: Option<&str>, env: &BTreeMap<String, String>) -> bool {
    let is_plain = |url: &str| url.trim_start().to_ascii_lowercase().starts_with("http://");
    if let Some(url) = endpoint_url {
        return !is_plain(url);
    }
    // AWS_ENDPOINT_URL and AWS_ENDPOINT_URL_SERVICE, as the SDKs' reference guide has them.
    let ignored = env
        .get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")
        .is_some_and(|ignored| ignored.eq_ignore_ascii_case("true"));
    let of_all = env.get("AWS_ENDPOINT_URL").is_some_and(|url| is_plain(url));
    let of_services = env
        .iter()
        .filter(|(name, url)| name.starts_with("AWS_ENDPOINT_URL_") && !url.is_empty())
        .all(|(_, url)| is_plain(url));
    ignored || !of_all || !of_services
}

/// Reads a bundle and makes sure that every certificate in it can be used: the SDK would panic on one that cannot.
fn read_bundle(path: &Path) -> Result<Vec<u8>, HttpSettingsError> {
    let bundle = |what: BundleProblem| HttpSettingsError::Bundle { path: path.to_owned(), what };
    let pem = std::fs::read(path).map_err(|error| bundle(BundleProblem::Unreadable(Arc::new(error))))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| bundle(BundleProblem::NotPem(error.to_string())))?;
        roots.add(certificate).map_err(|error| bundle(BundleProblem::NotACertificate(error.to_string())))?;
    }
    if roots.is_empty() {
        return Err(bundle(BundleProblem::Empty));
    }
    Ok(pem)
}

/// Why there is no HTTP client to talk to AWS with. A person must act.
#[derive(Debug, Clone)]
pub enum HttpSettingsError {
    /// The file that `AWS_CA_BUNDLE` names is of no use.
    Bundle {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: BundleProblem,
    },
    /// Nobody is trusted on this host, so that no TLS connection can come about.
    NoAuthority,
    /// The client could not be built.
    Client {
        /// The cause.
        source: Arc<dyn Error + Send + Sync>,
    },
}

/// What is wrong with a bundle of certificates.
#[derive(Debug, Clone)]
pub enum BundleProblem {
    /// It cannot be read.
    Unreadable(Arc<io::Error>),
    /// It is not well-formed PEM.
    NotPem(String),
    /// A certificate in it cannot be parsed.
    NotACertificate(String),
    /// There is no certificate in it.
    Empty,
}

impl fmt::Display for HttpSettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bundle { path, what } => {
                write!(f, "AWS_CA_BUNDLE names {}: ", path.display())?;
                match what {
                    BundleProblem::Unreadable(error) => write!(f, "it cannot be read: {error}"),
                    BundleProblem::NotPem(error) => write!(f, "it is not well-formed PEM: {error}"),
                    BundleProblem::NotACertificate(error) => {
                        write!(f, "a certificate in it cannot be parsed: {error}")
                    }
                    BundleProblem::Empty => f.write_str("there is no certificate in it"),
                }
            }
            Self::NoAuthority => f.write_str(
                "no certification authority is trusted on this host, so no TLS connection to AWS can come about: apt install \
                 ca-certificates (or name a bundle in AWS_CA_BUNDLE; if SSL_CERT_FILE or SSL_CERT_DIR are set, they name no \
                 certificate)",
            ),
            Self::Client { source } => write!(f, "the HTTP client for AWS could not be built: {source}"),
        }
    }
}

impl Error for HttpSettingsError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Bundle { what: BundleProblem::Unreadable(error), .. } => Some(error.as_ref()),
            Self::Bundle { .. } | Self::NoAuthority => None,
            Self::Client { source } => Some(source.as_ref()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(content: &[u8]) -> String {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        client(Some(file.path()), true).unwrap_err().to_string()
    }

    #[test]
    fn a_bundle_that_would_make_the_sdk_panic_is_refused_with_its_path() {
        assert!(refusal(b"").contains("no certificate"));
        assert!(refusal(b"hello").contains("no certificate"));
        let garbage = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(refusal(garbage).contains("cannot be parsed"));
        let torn = b"-----BEGIN CERTIFICATE-----\n!!!!\n";
        assert!(refusal(torn).contains("AWS_CA_BUNDLE names /"));
    }

    #[test]
    fn a_bundle_that_is_not_there_is_said_to_be_unreadable() {
        let error = client(Some(Path::new("/nonexistent/ca.pem")), true).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/ca.pem: it cannot be read"));
        assert!(error.source().is_some());
    }

    #[test]
    fn tls_is_spoken_unless_every_endpoint_is_plain() {
        let speaks = |endpoint: Option<&str>, env: &[(&str, &str)]| {
            let env = env.iter().map(|(name, url)| ((*name).to_owned(), (*url).to_owned())).collect();
            speaks_tls(endpoint, &env)
        };
        let plain = ("AWS_ENDPOINT_URL", "http://127.0.0.1:4566");
        assert!(speaks(None, &[]));
        assert!(speaks(None, &[("AWS_ENDPOINT_URL", "https://localhost:4566")]));
        assert!(
            speaks(None, &[("AWS_ENDPOINT_URL_CLOUDWATCH", "http://127.0.0.1:4566")]),
            "the others are AWS's"
        );
        assert!(speaks(None, &[plain, ("AWS_ENDPOINT_URL_STS", "https://sts.eu-west-1.amazonaws.com")]));
        assert!(speaks(None, &[plain, ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")]));
        assert!(speaks(Some("https://localhost"), &[plain]));
        assert!(!speaks(None, &[plain]));
        assert!(!speaks(
            None,
            &[plain, ("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:4567"), ("AWS_ENDPOINT_URL_SSM", "")]
        ));
        assert!(!speaks(Some("http://localhost"), &[]));
    }
}
