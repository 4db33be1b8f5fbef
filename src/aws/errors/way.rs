//! Why AWS was not reached, by the types that the HTTP client puts into the chain of causes.

use std::error::Error;

use aws_smithy_runtime_api::client::result::ConnectorError;

use crate::aws::http::NoAnswer;
use crate::aws::words;
use crate::outbound::{Certificate, ConnectError, What, io_words};

/// Whether time ran out, and what happened, where, and what to do.
pub(super) fn words(error: &(dyn Error + 'static)) -> (bool, String) {
    let find = || words::chain(error);
    if let Some(error) = find().find_map(|error| error.downcast_ref::<ConnectError>()) {
        return (error.is_timeout(), unconnected(error));
    }
    if let Some(error) = find().find_map(|error| error.downcast_ref::<NoAnswer>()) {
        return (true, error.to_string());
    }
    if let Some(error) = find().find_map(|error| error.downcast_ref::<hyper::Error>()) {
        let what = if error.is_parse() {
            "the answer is not HTTP; a proxy or firewall on the way may have changed it".to_owned()
        } else {
            // Of what is not the system's the library gives no more than words.
            let io = words::chain(error).find_map(|error| error.downcast_ref::<std::io::Error>());
            let how = io.map_or_else(|| words::deepest(error), io_words);
            format!("the connection broke before the answer was complete ({how})")
        };
        return (false, what);
    }
    let timed_out =
        find().filter_map(|error| error.downcast_ref::<ConnectorError>()).any(ConnectorError::is_timeout);
    let what = if timed_out { "no answer in time" } else { "no connection" };
    (timed_out, format!("{what}: {}", words::deepest(error)))
}

/// The words of a connection that did not come about, and where trust in a certificate is given.
fn unconnected(error: &ConnectError) -> String {
    match (&error.what, &error.authorities) {
        (What::Certificate(Certificate::Untrusted), None) => format!(
            "{error}; if a proxy or firewall inspects TLS here, name a PEM file with its CA certificate in AWS_CA_BUNDLE (ca_bundle of \
             a profile is not read), or add it to this host's store (update-ca-certificates)"
        ),
        (What::Certificate(Certificate::Untrusted), Some(file)) => format!(
            "{error}; only the CAs in {} (AWS_CA_BUNDLE) are trusted: add the one that signed it",
            file.display()
        ),
        (What::HandshakeBroken { large: true, .. }, _) => {
            format!("{error}; set [aws] tls_key_exchange = \"classic\"")
        }
        (
            What::Certificate(_)
            | What::NoHost
            | What::Unresolved(_)
            | What::Unconnected(_)
            | What::ProxyRefused { .. }
            | What::ProxyUnclear(_)
            | What::Tls(_)
            | What::HandshakeBroken { large: false, .. }
            | What::TimedOut { .. },
            _,
        ) => error.to_string(),
    }
}
