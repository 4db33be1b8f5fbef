//! `[http]`: where the listener is, who may reach it, and what protects it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::files::{self, ReadBy};
use super::patterns;
use super::problem::{self, Notes};
use super::section::Section;
use super::settings::HttpSettings;
use crate::settings::{ProtectionFiles, TlsFiles};

const LISTEN_DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9846);

/// Reads the table.
pub(super) fn read(section: &Section<'_>, reader: &ReadBy, notes: &mut Notes) -> HttpSettings {
    let listen = section.text("listen", &patterns::LISTEN, notes).unwrap_or(LISTEN_DEFAULT);
    let hosts = section.texts("hosts", &patterns::HOST, notes).unwrap_or_default();
    let allow_remote = section.flag("allow_remote", notes).unwrap_or(false);
    let tls = tls(section, reader, notes);
    let token = file(section, "token_file", reader, notes);
    if !listen.ip().to_canonical().is_loopback() {
        let (has_tls, has_token) = (section.sets("tls_certificate"), section.sets("token_file"));
        if !allow_remote {
            section.wrong("listen", not_allowed(listen), notes);
        } else if has_token && !has_tls {
            let what = "without tls_certificate and tls_key the token crosses the network in clear text: set both, or listen on \
                        127.0.0.1 behind a reverse proxy that speaks TLS";
            section.wrong("token_file", what, notes);
        } else if let Some(what) = open_to_others(has_tls, has_token) {
            section.warn("listen", what, notes);
        }
    }
    let hosts = hosts.into_iter().map(|host| host.value).collect();
    HttpSettings { listen, hosts, protection: ProtectionFiles { tls, token } }
}

/// Why `listen` is refused, and the ways that there are.
fn not_allowed(listen: SocketAddr) -> String {
    let reach = if listen.ip().is_unspecified() {
        "is every address of this host, so other hosts can reach it"
    } else {
        "is not a loopback address, so other hosts can reach it"
    };
    format!(
        "{reach}: /status, /metrics and the status page show the names, addresses and state of every tunnel. To read them from \
         elsewhere, keep \"127.0.0.1:{port}\" and use `ssh -L {port}:127.0.0.1:{port} HOST` or a reverse proxy with TLS; or set \
         allow_remote = true, with tls_certificate, tls_key and token_file",
        port = listen.port()
    )
}

/// What others can do with a listener that they reach.
const fn open_to_others(has_tls: bool, has_token: bool) -> Option<&'static str> {
    match (has_tls, has_token) {
        (_, true) => None,
        (true, false) => Some(
            "not a loopback address, and no token_file: everybody who can reach it can read the names, addresses and state of \
             every tunnel",
        ),
        (false, false) => Some(
            "not a loopback address, and neither token_file nor tls_certificate: everybody who can reach it, or listen on the \
             way, can read the names, addresses and state of every tunnel",
        ),
    }
}

/// Both files, or none.
fn tls(section: &Section<'_>, reader: &ReadBy, notes: &mut Notes) -> Option<TlsFiles> {
    let certificate = section.text("tls_certificate", &patterns::FILE_PATH, notes);
    if let Some(path) = &certificate {
        files::look(section, "tls_certificate", path, reader, notes);
    }
    let key = file(section, "tls_key", reader, notes);
    for (set, other, what) in [
        ("tls_certificate", "tls_key", "the file with the private key of tls_certificate"),
        ("tls_key", "tls_certificate", "the file with the certificate of tls_key"),
    ] {
        if section.sets(set) && !section.sets(other) {
            section.missing(other, what, notes);
        }
    }
    Some(TlsFiles { certificate: certificate?, key: key? })
}

/// The file of a secret.
fn file(section: &Section<'_>, key: &str, reader: &ReadBy, notes: &mut Notes) -> Option<PathBuf> {
    let path = section.text(key, &patterns::FILE_PATH, notes)?;
    // Later messages would show the path.
    if path.to_str().is_some_and(problem::looks_like_secret) {
        let what =
            "looks like the secret itself (not shown); put the secret into a file and name that file here";
        section.wrong(key, what, notes);
        return None;
    }
    files::look_at_secret(section, key, &path, reader, notes);
    Some(path)
}
