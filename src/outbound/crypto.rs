//! The library that does TLS's cryptography, chosen when the program is built.

use rustls::crypto::CryptoProvider;

#[cfg(feature = "tls-aws-lc")]
pub(super) use rustls::crypto::aws_lc_rs as library;
#[cfg(all(feature = "tls-ring", not(feature = "tls-aws-lc")))]
pub(super) use rustls::crypto::ring as library;
#[cfg(not(any(feature = "tls-aws-lc", feature = "tls-ring")))]
compile_error!("choose a TLS provider: feature tls-aws-lc or tls-ring");

/// It, with everything that it offers.
pub fn provider() -> CryptoProvider {
    library::default_provider()
}
