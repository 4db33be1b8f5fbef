//! The way to a daemon: its control socket, its listener, or a URL.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};

use crate::cli::unit;
use crate::config::{self, DEFAULT_PATH};
use crate::http::client::{self, Answer, ClientError, PATIENCE, Server};
use crate::http::listener::{DEFAULT_SOCKET, socket};
use crate::process::environment;

/// The body of the answer of the daemon at this URL, or else of the host's own.
pub(super) fn ask_daemon(config: &Path, url: Option<&str>) -> Result<String, String> {
    let own = url.is_none().then(|| own_socket(config, &environment())).flatten();
    own.and_then(ask_socket).unwrap_or_else(|| ask_listener(config, url))
}

/// The control socket to ask: that of the unit in whose environment this runs, else the host's own daemon's. `None` if another
/// configuration is given, which means another daemon.
fn own_socket(config: &Path, env: &BTreeMap<String, String>) -> Option<PathBuf> {
    socket(env).or_else(|| (config == Path::new(DEFAULT_PATH)).then(|| DEFAULT_SOCKET.into()))
}

/// The body of the daemon's answer. `None` if its listener should be asked instead: nothing listens here, the socket is closed to
/// this user (only root and the daemon's own may connect), or it is busy.
fn ask_socket(path: PathBuf) -> Option<Result<String, String>> {
    match client::ask(&Server::Socket(path), QUESTION, PATIENCE) {
        Ok(Answer { code: 200, body }) => Some(Ok(body)),
        Err(error @ ClientError::Silent { .. }) => Some(Err(format!("{error}; {SILENT}"))),
        Ok(_)
        | Err(
            ClientError::Unreachable { .. } | ClientError::Broken { .. } | ClientError::NotUnderstood { .. },
        ) => None,
    }
}

/// The body of the answer at this URL, or else at the configuration's [http] listen.
fn ask_listener(config: &Path, url: Option<&str>) -> Result<String, String> {
    if let Some(url) = url {
        return address(url).and_then(|address| ask(address, true));
    }
    // Other mistakes in the configuration do not matter here.
    let address = config::listener(config, &environment());
    let unread = unread(config, address);
    // The default file need not be readable for every user; a file that was named should be.
    if let Some(unread) = unread.as_ref().filter(|_| config != Path::new(DEFAULT_PATH)) {
        complain!("{unread}");
    }
    ask(address, false)
        .map_err(|why| format!("{why}{}", unread.map(|unread| format!("; {unread}")).unwrap_or_default()))
}

/// Why the configuration cannot be read, and the address that is tried instead of its [http] listen.
fn unread(path: &Path, address: SocketAddr) -> Option<String> {
    let why = config::unread(path)?;
    Some(format!(
        "{} cannot be read ({why}), so its [http] listen is unknown; trying {address}",
        path.display()
    ))
}

/// What to do when the host's own daemon does not answer.
const SILENT: &str = "see `systemctl status bothends`; a daemon that is stopped or stuck watches no tunnel until systemd's watchdog \
                      starts it anew, within 30 s, or `systemctl restart bothends` does";

const QUESTION: &str = "GET /status";

/// The body of the answer of the daemon at this address.
fn ask(address: SocketAddr, given: bool) -> Result<String, String> {
    let answer = client::ask(&Server::listening_at(address), QUESTION, PATIENCE).map_err(|error| {
        let refused = |source: &io::Error| source.kind() == io::ErrorKind::ConnectionRefused;
        match &error {
            // The URL may lead to another host: advice about this host's service would mislead.
            _ if given => error.to_string(),
            ClientError::Unreachable { source, .. }
                if refused(source)
                    && let Some(why) = unit::why_not_running() =>
            {
                format!("{why} (nothing listens at {address})")
            }
            ClientError::Silent { .. } => format!("{error}; {SILENT}"),
            ClientError::Unreachable { .. }
            | ClientError::Broken { .. }
            | ClientError::NotUnderstood { .. } => {
                format!("{error}; if the daemon listens elsewhere, name it with --url")
            }
        }
    })?;
    if answer.code == 200 {
        Ok(answer.body)
    } else {
        let body = answer.body.lines().next().unwrap_or_default();
        let shown: String = body.chars().filter(|c| !c.is_control()).take(200).collect();
        Err(format!("the daemon at {address} answered HTTP {}: {shown}", answer.code))
    }
}

/// `http://127.0.0.1:9846`, with or without its scheme, path and port.
fn address(url: &str) -> Result<SocketAddr, String> {
    const FORM: &str = "expected http://ADDRESS:PORT, such as http://127.0.0.1:9846";
    let wrong = |why: &str| format!("--url: invalid value {:?}: {why}; {FORM}", masked(url));
    let rest = match url.split_once("://") {
        Some(("http", rest)) => rest,
        Some(("https", _)) => return Err(wrong("the daemon speaks plain HTTP only")),
        Some(_) => return Err(wrong("unknown scheme")),
        None => url,
    };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if host.contains('@') {
        return Err(wrong("the daemon asks for no user and no password"));
    }
    let has_port =
        host.rsplit_once(':').is_some_and(|(before, _)| !before.contains(':') || before.ends_with(']'));
    let with_port = if has_port { host.to_owned() } else { format!("{host}:9846") };
    let mut found = with_port.to_socket_addrs().map_err(|error| wrong(&error.to_string()))?;
    found.next().ok_or_else(|| wrong("the name has no address"))
}

/// The text with every URL [`masked`], those without a scheme included.
pub(super) fn with_urls_masked(text: &str) -> String {
    let word = |word: &str| {
        let (quotes, inner) = word.split_at(word.len() - word.trim_start_matches(['\'', '"', '`']).len());
        let has_password = inner.rsplit_once('@').is_some_and(|(before, _)| before.contains(':'));
        if has_password { format!("{quotes}{}", masked(inner)) } else { word.to_owned() }
    };
    text.split_inclusive(char::is_whitespace).map(word).collect()
}

/// The URL without its user and password, which are secret.
pub(super) fn masked(url: &str) -> String {
    let begin = url.find("://").map_or(0, |end| end + "://".len());
    let (scheme, rest) = url.split_at(begin);
    match rest.rsplit_once('@') {
        Some((_, behind)) => format!("{scheme}***@{behind}"),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_a_url_is_not_repeated() {
        for url in
            ["http://noc:hunter2@127.0.0.1:9846", "noc:hunter2@127.0.0.1", "https://noc:hun@ter2@127.0.0.1/"]
        {
            let why = address(url).unwrap_err();
            assert!(!why.contains("hun") && !why.contains("noc") && why.contains("***@127.0.0.1"), "{why}");
        }
    }

    #[test]
    fn a_url_in_the_wrong_argument_is_masked_as_well() {
        let text =
            with_urls_masked("error: unexpected argument 'http://noc:hunter2@gw1' found\n\nUsage: a@b\n");
        assert_eq!(text, "error: unexpected argument 'http://***@gw1' found\n\nUsage: a@b\n");
        assert_eq!(with_urls_masked("argument 'noc:hun@ter2@gw1' found\n"), "argument '***@gw1' found\n");
    }

    #[test]
    fn only_the_hosts_own_daemon_gets_advice_about_its_service() {
        let frozen = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let [own, given] = [false, true].map(|given| ask(frozen.local_addr().unwrap(), given).unwrap_err());
        assert!(own.starts_with(&format!("{given}; see `systemctl status bothends`")), "{own}");
        assert!(!given.contains("systemctl") && !given.contains("watches"), "{given}");
    }

    #[test]
    fn the_hosts_own_daemon_is_asked_at_its_socket_and_another_is_not() {
        let unit = BTreeMap::from([("RUNTIME_DIRECTORY".to_owned(), "/run/other".to_owned())]);
        let (own, other) = (Path::new(DEFAULT_PATH), Path::new("/etc/other.toml"));
        assert_eq!(own_socket(own, &BTreeMap::new()), Some(DEFAULT_SOCKET.into()));
        assert_eq!(own_socket(own, &unit), Some("/run/other/control.sock".into()));
        assert_eq!(own_socket(other, &unit), Some("/run/other/control.sock".into()));
        assert_eq!(own_socket(other, &BTreeMap::new()), None);
    }

    #[test]
    fn the_listener_is_asked_if_nothing_answers_at_the_socket_but_not_if_the_daemon_hangs() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control.sock");
        assert_eq!(ask_socket(path.clone()), None);
        let frozen = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let text = ask_socket(path.clone()).unwrap().unwrap_err();
        assert!(text.contains("no answer came within 5 s") && text.contains("systemctl status"), "{text}");
        drop(frozen);
        assert_eq!(ask_socket(path), None, "nobody listens");
    }

    #[test]
    fn a_configuration_that_cannot_be_read_is_named() {
        let address = "127.0.0.1:9847".parse().unwrap();
        let text = unread(Path::new("/nowhere/bothends.toml"), address).unwrap();
        assert!(text.starts_with("/nowhere/bothends.toml cannot be read (No such file"), "{text}");
        assert!(text.ends_with("trying 127.0.0.1:9847"), "{text}");
        assert_eq!(unread(tempfile::NamedTempFile::new().unwrap().path(), address), None);
    }

    #[test]
    fn a_pipe_in_place_of_the_configuration_is_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let pipe = directory.path().join("bothends.toml");
        let fifo = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, fifo, rustix::fs::Mode::RUSR, 0).unwrap();
        let text = unread(&pipe, "127.0.0.1:9846".parse().unwrap()).unwrap();
        assert!(text.contains("cannot be read (it is a pipe, not a regular file)"), "{text}");
    }

    #[test]
    fn a_url_leads_to_an_address_with_or_without_scheme_path_and_port() {
        for (url, leads_to) in [
            ("http://127.0.0.1:9847", "127.0.0.1:9847"),
            ("http://127.0.0.1", "127.0.0.1:9846"),
            ("127.0.0.1:1/status", "127.0.0.1:1"),
            ("http://[::1]:9847/", "[::1]:9847"),
            ("http://[::1]/", "[::1]:9846"),
        ] {
            assert_eq!(address(url).unwrap().to_string(), leads_to, "{url}");
        }
        for (url, says) in [
            ("https://127.0.0.1:9846", "plain HTTP only"),
            ("unix:///run/x", "unknown scheme"),
            ("http://127.0.0.1:70000", "invalid port"),
            ("", "expected http://"),
        ] {
            let why = address(url).unwrap_err();
            assert!(why.contains(says) && why.contains("--url"), "{why}");
        }
    }
}
