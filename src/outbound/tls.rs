//! What TLS is spoken with: whom it trusts, and how keys are agreed on.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, RootCertStore};

#[cfg(feature = "tls-aws-lc")]
use rustls::crypto::aws_lc_rs as crypto;
#[cfg(all(feature = "tls-ring", not(feature = "tls-aws-lc")))]
use rustls::crypto::ring as crypto;
#[cfg(not(any(feature = "tls-aws-lc", feature = "tls-ring")))]
compile_error!("choose a TLS provider: feature tls-aws-lc or tls-ring");

/// Sets the key exchange by itself, for commands that need no configuration; the configuration's own override of `[aws]
/// tls_key_exchange`.
pub const KEY_EXCHANGE_VARIABLE: &str = "BOTHENDS_AWS__TLS_KEY_EXCHANGE";

/// How keys are agreed on. A post-quantum share (X25519MLKEM768, RFC 9794 calls such an exchange a hybrid) makes the ClientHello longer than one packet, which
/// some firewalls do not take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum KeyExchange {
    /// Hybrid; where a connection breaks or falls silent before the first answer to that, classic.
    #[default]
    Auto,
    /// Hybrid only is offered first, and nothing is tried after it.
    Hybrid,
    /// Elliptic curves alone, in a ClientHello of one packet.
    Classic,
}

impl KeyExchange {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Auto, Self::Hybrid, Self::Classic];

    /// The word used in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Hybrid => "hybrid",
            Self::Classic => "classic",
        }
    }

    /// The one of this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == word)
    }
}

/// The size of a ClientHello.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hello {
    /// With a post-quantum share, some 1,700 bytes: two packets.
    Large,
    /// Some 250 bytes.
    Small,
}

/// Whom to trust, ready for a handshake.
#[derive(Debug, Clone)]
pub struct Trust {
    large: Arc<ClientConfig>,
    small: Arc<ClientConfig>,
    file: Option<PathBuf>,
}

impl Trust {
    /// These authorities, and the file that they are from, if it is not the system's store.
    ///
    /// # Errors
    /// If the TLS library has no protocol version in common with itself; a mistake in its features.
    pub fn new(authorities: RootCertStore, file: Option<&Path>) -> Result<Self, rustls::Error> {
        let authorities = Arc::new(authorities);
        Ok(Self {
            large: config(Arc::clone(&authorities), Hello::Large)?,
            small: config(authorities, Hello::Small)?,
            file: file.map(Path::to_owned),
        })
    }

    pub(super) fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    pub(super) fn config(&self, hello: Hello) -> Arc<ClientConfig> {
        match hello {
            Hello::Large => Arc::clone(&self.large),
            Hello::Small => Arc::clone(&self.small),
        }
    }
}

fn config(authorities: Arc<RootCertStore>, hello: Hello) -> Result<Arc<ClientConfig>, rustls::Error> {
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider(hello)))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(authorities)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// The first group is the one for which a key share goes out (RFC 8446, section 4.2.8).
#[cfg(feature = "tls-aws-lc")]
fn provider(hello: Hello) -> CryptoProvider {
    use crypto::kx_group::{SECP256R1, SECP384R1, X25519, X25519MLKEM768};
    let classic = [X25519, SECP256R1, SECP384R1];
    let kx_groups = match hello {
        Hello::Large => [&[X25519MLKEM768][..], &classic].concat(),
        Hello::Small => classic.to_vec(),
    };
    CryptoProvider { kx_groups, ..crypto::default_provider() }
}

/// ring has no post-quantum key exchange.
#[cfg(all(feature = "tls-ring", not(feature = "tls-aws-lc")))]
fn provider(_: Hello) -> CryptoProvider {
    crypto::default_provider()
}

/// For servers of tests.
#[cfg(test)]
pub(super) fn of_tests() -> CryptoProvider {
    crypto::default_provider()
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn every_word_is_read_as_it_is_written() {
        for one in KeyExchange::ALL {
            assert_eq!(KeyExchange::parse(one.as_str()), Some(one));
        }
        assert_eq!(KeyExchange::parse("Classic"), None);
    }
}
