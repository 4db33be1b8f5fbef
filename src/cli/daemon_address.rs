//! The way to a daemon: its control socket, its listener, or a URL.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::unit;
use crate::config::{self, DEFAULT_PATH};
use crate::http::client::{Answer, Client, ClientError, Server, masked};
use crate::http::listener::{DEFAULT_SOCKET, socket};
use crate::process::environment;

/// Why the daemon gave no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// It could not be asked.
    Client(ClientError),
    /// It answered with this HTTP status, and this text.
    Answered(u16, String),
    /// Its answer is not what was asked for.
    Unfit(String),
}

/// The answer of the daemon at this URL, or else of the host's own. `ask` asks the daemon at one address.
pub(super) fn ask_daemon<T>(
    config: &Path,
    url: Option<&str>,
    way: &Way,
    ask: impl Fn(&Client) -> Result<T, Failure>,
) -> Result<T, String> {
    let own = url.is_none().then(|| own_socket(config, &environment())).flatten();
    own.and_then(|path| ask_socket(path, &ask)).unwrap_or_else(|| ask_listener(config, url, way, &ask))
}

/// The body of a whole answer.
pub(super) fn whole(answer: Result<Answer, ClientError>) -> Result<String, Failure> {
    match answer {
        Ok(Answer { code: 200, body }) => Ok(body),
        Ok(Answer { code, body }) => Err(Failure::Answered(code, body)),
        Err(error) => Err(Failure::Client(error)),
    }
}

/// What a listener asks for beyond its address.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub(super) struct Way {
    /// With an https:// URL: the authorities of its certificate (PEM), instead of this host's store.
    #[arg(long, value_name = "FILE")]
    pub(super) ca: Option<PathBuf>,
    /// The file with the token that the listener asks for ([http] token_file).
    #[arg(long, value_name = "FILE")]
    pub(super) token_file: Option<PathBuf>,
}

impl Way {
    fn client(&self, server: Server) -> Result<Client, String> {
        let Self { ca, token_file } = self;
        let mut client = Client::new(server);
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
pub(super) fn own_socket(config: &Path, env: &BTreeMap<String, String>) -> Option<PathBuf> {
    socket(env).or_else(|| (config == Path::new(DEFAULT_PATH)).then(|| DEFAULT_SOCKET.into()))
}

/// The daemon's answer. `None` if its listener should be asked instead: nothing listens here, the socket is closed to this user
/// (only root and the daemon's own may connect), or it is busy.
fn ask_socket<T>(path: PathBuf, ask: &impl Fn(&Client) -> Result<T, Failure>) -> Option<Result<T, String>> {
    match ask(&Client::new(Server::Socket(path))) {
        Ok(answer) => Some(Ok(answer)),
        Err(Failure::Client(error @ ClientError::Silent { .. })) => Some(Err(format!("{error}; {SILENT}"))),
        Err(Failure::Unfit(why)) => Some(Err(why)),
        Err(
            Failure::Answered(_, _)
            | Failure::Client(
                ClientError::Unreachable { .. }
                | ClientError::Broken { .. }
                | ClientError::NotUnderstood { .. }
                | ClientError::NotTrusted { .. }
                | ClientError::NoTls { .. },
            ),
        ) => None,
    }
}

/// The answer at this URL, or else at the configuration's [http] listen.
fn ask_listener<T>(
    config: &Path,
    url: Option<&str>,
    way: &Way,
    ask: &impl Fn(&Client) -> Result<T, Failure>,
) -> Result<T, String> {
    if let Some(url) = url {
        let server = Server::parse(url).map_err(|error| format!("--url: {error}"))?;
        return ask_at(&server, true, way, ask);
    }
    // Other mistakes in the configuration do not matter here.
    let http = config::listener(config, &environment());
    let server = Server::listening_at(http.listen, http.protection.tls.is_some());
    let unread = unread(config, &server);
    // The default file need not be readable for every user; a file that was named should be.
    if let Some(unread) = unread.as_ref().filter(|_| config != Path::new(DEFAULT_PATH)) {
        complain!("{unread}");
    }
    ask_at(&server, false, way, ask)
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

/// The answer of this daemon.
fn ask_at<T>(
    server: &Server,
    given: bool,
    way: &Way,
    ask: &impl Fn(&Client) -> Result<T, Failure>,
) -> Result<T, String> {
    ask(&way.client(server.clone())?).map_err(|failure| {
        let error = match failure {
            Failure::Unfit(why) => return why,
            Failure::Answered(code, body) => {
                let first = body.lines().next().unwrap_or_default();
                let shown: String = first.chars().filter(|c| !c.is_control()).take(200).collect();
                let hint = if code == 401 { "; name the file with its token: --token-file" } else { "" };
                return format!("the daemon at {server} answered HTTP {code}: {shown}{hint}");
            }
            Failure::Client(error) => error,
        };
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
    })
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
    use crate::http::client::PATIENCE;

    fn status(client: &Client) -> Result<String, Failure> {
        whole(client.ask("GET /status", PATIENCE))
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
        let server = Server::listening_at(frozen.local_addr().unwrap(), false);
        let [own, given] =
            [false, true].map(|given| ask_at(&server, given, &Way::default(), &status).unwrap_err());
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
        assert_eq!(ask_socket(path.clone(), &status), None);
        let frozen = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let text = ask_socket(path.clone(), &status).unwrap().unwrap_err();
        assert!(text.contains("no answer came within 5 s") && text.contains("systemctl status"), "{text}");
        drop(frozen);
        assert_eq!(ask_socket(path, &status), None, "nobody listens");
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
        let ask =
            |url: &str, way| ask_daemon(Path::new("/nonexistent"), Some(url), &way, status).unwrap_err();
        let why = ask("http://192.0.2.1:9846", way(None, Some("/nonexistent")));
        assert!(why.starts_with("--token-file: ") && why.contains("clear text"), "{why}");
        let why = ask("https://192.0.2.1:9846", way(Some("/nonexistent"), None));
        assert!(why.starts_with("--ca: /nonexistent"), "{why}");
    }
}
