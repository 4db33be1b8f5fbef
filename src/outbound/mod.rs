//! Connections to other hosts: through the proxy of the environment, over TLS, each failure with its own type.
//!
//! | what | where |
//! |---|---|
//! | which proxy the environment names, and what is wrong with the variable | `proxy` |
//! | TCP to the first address that answers, CONNECT and the TLS handshake, in this order; trusted authorities, key exchange | `dial` |
//! | which library does the cryptography | `crypto` |
//! | what went wrong, at which host, and what to do | `error` |

mod crypto;
mod dial;
mod error;
mod proxy;

pub use crypto::provider as crypto_provider;
pub use dial::{Dialer, KEY_EXCHANGE_VARIABLE, KeyExchange, Outbound, Stream, Trust};
pub use error::{Certificate, ConnectError, ConnectStage, TlsFault, What, io_text};
pub use proxy::{Proxies, Proxy, ProxyVariable};
