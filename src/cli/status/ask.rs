//! The way to a daemon: its control socket, its listener, or a URL.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::cli::unit;
use crate::config::{self, DEFAULT_PATH};
use crate::http::client::{ANSWER_MAX, Answer, Client, ClientError, PATIENCE, Server, masked};
use crate::http::listener::{DEFAULT_SOCKET, socket};
use crate::process::environment;

/// The body of the answer of the daemon at this URL, or else of the host's own.
pub(super) fn ask_daemon(config: &Path, url: Option<&str>, way: &Way) -> Result<String, String> {
    let own = url.is_none().then(|| own_socket(config, &environment())).flatten();
    own.and_then(ask_socket).unwrap_or_else(|| ask_listener(config, url, way))
}

/// What a listener asks for beyond its address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Way {
    /// Its certificate's authorities, instead of the host's store.
    pub(super) ca: Option<PathBuf>,
    /// The file with its token.
    pub(super) token_file: Option<PathBuf>,
}

impl Way {
    fn client(&self, server: Server) -> Result<Client, String> {
        let Self { ca, token_file } = self;
        let mut client = Client::new(server).reading_at_most(ANSWER_MAX);
        if let Some(path) = ca {
            client = client.with_ca_file(path).map_err(|error| format!("--ca: {error}"))?;
        }
        if let Some(path) = token_file {
            client = client.with_token_file(path).map_err(|error| format!("--token-file: {error}"))?;
        }
        Ok(client)
    }
}

/// The control socket to ask: that of the unit in whose environment this runs, else the host's own daemon's. `None` if another
/// configuration is given, which means another daemon.
pub(in crate::cli) fn own_socket(config: &Path, env: &BTreeMap<String, String>) -> Option<PathBuf> {
    socket(env).or_else(|| (config == Path::new(DEFAULT_PATH)).then(|| DEFAULT_SOCKET.into()))
}

/// The body of the daemon's answer. `None` if its listener should be asked instead: nothing listens here, the socket is closed to
/// this user (only root and the daemon's own may connect), or it is busy.
fn ask_socket(path: PathBuf) -> Option<Result<String, String>> {
    match Client::new(Server::Socket(path)).ask(QUESTION, PATIENCE) {
        Ok(Answer { code: 200, body }) => Some(Ok(body)),
        Err(error @ ClientError::Silent { .. }) => Some(Err(format!("{error}; {SILENT}"))),
        Ok(_)
        | Err(
            ClientError::Unreachable { .. }
            | ClientError::Broken { .. }
            | ClientError::NotUnderstood { .. }
            | ClientError::NotTrusted { .. }
            | ClientError::NoTls { .. },
        ) => None,
    }
}

/// The body of the answer at this URL, or else at the configuration's [http] listen.
fn ask_listener(config: &Path, url: Option<&str>, way: &Way) -> Result<String, String> {
    if let Some(url) = url {
        let server = Server::parse(url).map_err(|error| format!("--url: {error}"))?;
        return ask(&server, true, way);
    }
    // Other mistakes in the configuration do not matter here.
    let http = config::listener(config, &environment());
    let server = Server::listening_at(http.listen, http.protection.tls.is_some());
    let unread = unread(config, &server);
    // The default file need not be readable for every user; a file that was named should be.
    if let Some(unread) = unread.as_ref().filter(|_| config != Path::new(DEFAULT_PATH)) {
        complain!("{unread}");
    }
    ask(&server, false, way)
        .map_err(|why| format!("{why}{}", unread.map(|unread| format!("; {unread}")).unwrap_or_default()))
}

/// Why the configuration cannot be read, and the address that is tried instead of its [http] listen.
fn unread(path: &Path, server: &Server) -> Option<String> {
    let why = config::unread(path)?;
    Some(format!(
        "{} cannot be read ({why}), so its [http] listen is unknown; trying {server}",
        path.display()
    ))
}

/// What to do when the host's own daemon does not answer.
const SILENT: &str = "see `systemctl status bothends`; a daemon that is stopped or stuck watches no tunnel until systemd's watchdog \
                      starts it anew, within 30 s, or `systemctl restart bothends` does";

const QUESTION: &str = "GET /status";

/// The body of the answer of this daemon.
fn ask(server: &Server, given: bool, way: &Way) -> Result<String, String> {
    let answer = way.client(server.clone())?.ask(QUESTION, PATIENCE).map_err(|error| {
        let refused = |source: &io::Error| source.kind() == io::ErrorKind::ConnectionRefused;
        match &error {
            // The URL may lead to another host: advice about this host's service would mislead.
            _ if given => error.to_string(),
            ClientError::Unreachable { source, .. }
                if refused(source)
                    && let Some(why) = unit::why_not_running() =>
            {
                format!("{why} (nothing listens at {server})")
            }
            ClientError::Silent { .. } => format!("{error}; {SILENT}"),
            ClientError::Unreachable { .. }
            | ClientError::Broken { .. }
            | ClientError::NotUnderstood { .. }
            | ClientError::NotTrusted { .. }
            | ClientError::NoTls { .. } => {
                format!("{error}; if the daemon listens elsewhere, name it with --url")
            }
        }
    })?;
    if answer.code == 200 {
        Ok(answer.body)
    } else {
        let body = answer.body.lines().next().unwrap_or_default();
        let shown: String = body.chars().filter(|c| !c.is_control()).take(200).collect();
        let hint = if answer.code == 401 { "; name the file with its token: --token-file" } else { "" };
        Err(format!("the daemon at {server} answered HTTP {}: {shown}{hint}", answer.code))
    }
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

#[cfg(test)]
mod tests {
    use super::*;

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
        let server = Server::listening_at(frozen.local_addr().unwrap(), false);
        let [own, given] = [false, true].map(|given| ask(&server, given, &Way::default()).unwrap_err());
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
        let server = Server::parse("127.0.0.1:9847").unwrap();
        let text = unread(Path::new("/nowhere/bothends.toml"), &server).unwrap();
        assert!(text.starts_with("/nowhere/bothends.toml cannot be read (No such file"), "{text}");
        assert!(text.ends_with("trying 127.0.0.1:9847"), "{text}");
        assert_eq!(unread(tempfile::NamedTempFile::new().unwrap().path(), &server), None);
    }

    #[test]
    fn a_pipe_in_place_of_the_configuration_is_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let pipe = directory.path().join("bothends.toml");
        let fifo = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, fifo, rustix::fs::Mode::RUSR, 0).unwrap();
        let text = unread(&pipe, &Server::parse("127.0.0.1:9846").unwrap()).unwrap();
        assert!(text.contains("cannot be read (it is a pipe, not a regular file)"), "{text}");
    }

    #[test]
    fn a_token_does_not_cross_the_network_in_clear_text_and_a_missing_file_is_named() {
        let way = |ca: Option<&str>, token: Option<&str>| Way {
            ca: ca.map(Into::into),
            token_file: token.map(Into::into),
        };
        let ask = |url: &str, way| ask_daemon(Path::new("/nonexistent"), Some(url), &way).unwrap_err();
        let why = ask("http://192.0.2.1:9846", way(None, Some("/nonexistent")));
        assert!(why.starts_with("--token-file: ") && why.contains("clear text"), "{why}");
        let why = ask("https://192.0.2.1:9846", way(Some("/nonexistent"), None));
        assert!(why.starts_with("--ca: /nonexistent"), "{why}");
    }
}
