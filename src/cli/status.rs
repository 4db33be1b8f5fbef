//! `bothends status`: the state of the running daemon, as a page, as JSON, and as an exit code that monitoring systems
//! understand.
//!
//! Every failure to learn the state exits with [`Exit::Unknown`] and a first line on standard output: monitoring systems do not show
//! a plugin's standard error, and take a code above 3 for "down".

mod shared;
mod table;
mod times;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;

use self::table::render_table;
use super::{terminal, unit};
use crate::config;
use crate::config::DEFAULT_PATH;
use crate::http::client::{self, Answer, ClientError, PATIENCE, Server, masked};
use crate::http::listener::{DEFAULT_SOCKET, socket};
use crate::http::status_json::StatusJson;
use crate::http::summary::{Summary, summary};
use crate::process::{Exit, environment};

/// The arguments.
#[derive(Debug, Args)]
pub(super) struct StatusArguments {
    /// As JSON, for scripts.
    #[arg(long)]
    json: bool,
    /// Address of the daemon; default: its control socket, else [http] listen of the configuration, else http://127.0.0.1:9846.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

pub(super) fn run(config: &Path, arguments: &StatusArguments) -> Exit {
    let StatusArguments { json, url } = arguments;
    let own = url.is_none().then(|| own_socket(config, &environment())).flatten();
    let answer = own.and_then(ask_socket).unwrap_or_else(|| ask_listener(config, url.as_deref()));
    let answer = match answer {
        Ok(answer) => answer,
        Err(why) => return unknown(&why),
    };
    let status = match serde_json::from_str::<StatusJson>(&answer) {
        Ok(status) => status,
        Err(error) => {
            let version = env!("CARGO_PKG_VERSION");
            return unknown(&format!(
                "unexpected response from the daemon ({error}); this is bothends {version}: is the daemon another version?"
            ));
        }
    };
    let Summary { level, reasons } = summary(&status);
    if *json {
        say!("{answer}");
    } else {
        let text = format!("{}: {}\n{}", level.word(), headline(&status, &reasons), render_table(&status));
        terminal::text(format_args!("{}", plain(&text)));
    }
    level.exit()
}

/// The control socket to ask: that of the unit in whose environment this runs, else the host's own daemon's. `None` if another
/// configuration is given, which means another daemon.
pub(super) fn own_socket(config: &Path, env: &BTreeMap<String, String>) -> Option<PathBuf> {
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
            ClientError::Unreachable { .. }
            | ClientError::Broken { .. }
            | ClientError::NotUnderstood { .. }
            | ClientError::NotTrusted { .. }
            | ClientError::NoTls { .. },
        ) => None,
    }
}

/// The body of the answer at this URL, or else at the configuration's [http] listen.
fn ask_listener(config: &Path, url: Option<&str>) -> Result<String, String> {
    if let Some(url) = url {
        let server = Server::parse(url).map_err(|error| format!("--url: {error}"))?;
        return ask(&server, true);
    }
    // Other mistakes in the configuration do not matter here.
    let http = config::listener(config, &environment());
    let server = Server::listening_at(http.listen, http.protection.tls.is_some());
    let unread = unread(config, &server);
    // The default file need not be readable for every user; a file that was named should be.
    if let Some(unread) = unread.as_ref().filter(|_| config != Path::new(DEFAULT_PATH)) {
        complain!("{unread}");
    }
    ask(&server, false)
        .map_err(|why| format!("{why}{}", unread.map(|unread| format!("; {unread}")).unwrap_or_default()))
}

/// A wrong option or argument of `status`: the first line goes to standard output for monitoring systems, the whole text to
/// standard error as with other commands.
pub(super) fn misused(error: &clap::Error) -> Exit {
    let text = with_urls_masked(&error.to_string());
    let first = text.lines().next().unwrap_or_default();
    complain!("{}", text.trim_end());
    unknown(first.trim_start_matches("error: "))
}

fn unknown(why: &str) -> Exit {
    say!("UNKNOWN: {}", plain(why));
    Exit::Unknown
}

/// Monitoring systems read what follows a bar as performance data.
fn plain(text: &str) -> String {
    text.replace('|', "/")
}

fn headline(status: &StatusJson, reasons: &[String]) -> String {
    let (vpns, tunnels) = (status.vpns.len(), status.vpns.iter().map(|vpn| vpn.tunnels.len()).sum());
    let counted = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    match reasons {
        [] => format!("{}, {}", counted(vpns, "connection"), counted(tunnels, "tunnel")),
        [first] => first.clone(),
        [first, more @ ..] => format!("{first} (and {} more)", more.len()),
    }
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
fn ask(server: &Server, given: bool) -> Result<String, String> {
    let answer = client::ask(server, QUESTION, PATIENCE).map_err(|error| {
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
        Err(format!("the daemon at {server} answered HTTP {}: {shown}", answer.code))
    }
}

/// The text with every URL [`masked`], those without a scheme included.
fn with_urls_masked(text: &str) -> String {
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
        let [own, given] = [false, true].map(|given| ask(&server, given).unwrap_err());
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
    fn no_text_is_read_as_performance_data() {
        assert_eq!(plain("Milan | primary\n|"), "Milan / primary\n/");
    }
}
