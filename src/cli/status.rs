//! `bothends status`: the state of the running daemon, as a page, as JSON, and as an exit code that monitoring systems
//! understand; of many daemons with `--fleet`.
//!
//! Every failure to learn the state exits with [`Exit::Unknown`] and a first line on standard output: monitoring systems do not show
//! a plugin's standard error, and take a code above 3 for "down".

mod fleet;
mod guard;
mod json;
mod nagios;
mod only;
mod perfdata;
#[cfg(test)]
mod perfdata_reader;
mod shared;
mod table;
mod times;
mod watch;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use self::fleet::asking::{Ask, AskLimits, ask_all};
use self::fleet::{Fleet, Sites};
use self::guard::{guard, unknown};
use self::only::only;
use self::table::render;
use self::watch::{Look, View, watch};
use super::daemon_address::{Failure, Way, ask_daemon, whole, with_urls_masked};
use super::progress::Progress;
use super::sheet::Screen;
use super::style::ColorChoice;
use super::terminal;
use crate::clock;
use crate::http::client::{Client, PATIENCE};
use crate::http::status_json::StatusJson;
use crate::http::summary::{Level, Summary, sentence, summary};
use crate::process::Exit;

/// The arguments.
#[derive(Debug, Args)]
pub(super) struct StatusArguments {
    /// As JSON, for scripts; docs/status.schema.json describes it.
    #[arg(long)]
    json: bool,
    /// As a plugin of Nagios, Icinga or Centreon: one line with performance data, then the reasons.
    #[arg(long, conflicts_with_all = ["json", "watch"])]
    nagios: bool,
    /// Only this connection, by its id or name; problems of other parts of the daemon do not count.
    #[arg(long, value_name = "ID_OR_NAME")]
    vpn: Option<String>,
    /// Show it again every so many seconds until Ctrl-C; into a pipe or file, a line for each change.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2", conflicts_with = "json",
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    watch: Option<u64>,
    /// Ask many daemons, a line each, the worst first: their URLs, or @FILE with a URL in each line.
    #[arg(long, value_name = "URL", num_args = 1.., conflicts_with_all = ["url", "vpn"])]
    fleet: Vec<String>,
    /// When to use colours.
    #[arg(long, value_name = "WHEN", value_enum, default_value_t)]
    color: ColorChoice,
    /// Address of the daemon; default: its control socket, else [http] listen of the configuration, else http://127.0.0.1:9846.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    #[command(flatten)]
    way: Way,
}

/// The option that makes a plugin of the command.
const NAGIOS: &str = "--nagios";

/// How it is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Page,
    Json,
    Nagios,
}

pub(super) fn run(config: &Path, arguments: StatusArguments) -> Exit {
    let StatusArguments { json, nagios, vpn, watch, fleet, color, url, way } = arguments;
    guard(nagios);
    let form = match (nagios, json) {
        (true, _) => Form::Nagios,
        (false, true) => Form::Json,
        (false, false) => Form::Page,
    };
    if fleet.is_empty() {
        let look = look_at_one(config.to_owned(), url, way, vpn.clone());
        return match watch {
            Some(seconds) => keep_watching(seconds, color, look),
            None => {
                let asked = waited_for("asking the daemon", form, &look);
                finish(asked.map(|site| site.printed(form, color, vpn.is_some())), form)
            }
        };
    }
    let fleet = match Fleet::of(&fleet) {
        Ok(fleet) => fleet,
        Err(why) => return finish(Err(why), form),
    };
    let sites = fleet.urls.len();
    let look = look_at_fleet(config.to_owned(), way, fleet);
    match watch {
        Some(seconds) => keep_watching(seconds, color, look),
        None => {
            let asked = waited_for(&format!("asking {sites} sites"), form, &look);
            finish(asked.and_then(|sites| printed_fleet(sites, form, color)), form)
        }
    }
}

/// The outcome of a look. What a program reads is not interrupted by a line that says what is waited for.
fn waited_for<T>(what: &str, form: Form, look: &Look<T>) -> Result<T, String> {
    let _progress = match form {
        Form::Page => Some(Progress::start(what)),
        Form::Json | Form::Nagios => None,
    };
    look()
}

/// The state of one daemon.
struct One {
    status: StatusJson,
    summary: Summary,
    /// As the daemon sent it; `None` if only a part of it was asked for.
    answer: Option<String>,
}

fn look_at_one(config: PathBuf, url: Option<String>, way: Way, vpn: Option<String>) -> Look<One> {
    Arc::new(move || {
        let answer = ask_daemon(&config, url.as_deref(), &way, question)?;
        let status = read(&answer)?;
        let (status, answer) = match &vpn {
            Some(vpn) => (only(status, vpn)?, None),
            None => (status, Some(answer)),
        };
        Ok(One { summary: summary(&status), status, answer })
    })
}

fn look_at_fleet(config: PathBuf, way: Way, fleet: Fleet) -> Look<Sites> {
    let ask: Arc<Ask> = Arc::new(move |url: &str| read(&ask_daemon(&config, Some(url), &way, question)?));
    Arc::new(move || {
        let at = clock::wall();
        Ok(Sites::new(at, ask_all(&fleet.urls, &ask, AskLimits::default())))
    })
}

/// The body of a daemon's `/status`.
fn question(client: &Client) -> Result<String, Failure> {
    whole(client.ask("GET /status", PATIENCE))
}

/// The daemon's answer, if it is one.
fn read(answer: &str) -> Result<StatusJson, String> {
    serde_json::from_str(answer).map_err(|error| {
        let version = env!("CARGO_PKG_VERSION");
        format!("unexpected response from the daemon ({error}); this is bothends {version}: is the daemon another version?")
    })
}

impl One {
    /// The level, and what is printed.
    fn printed(self, form: Form, color: ColorChoice, of_one_vpn: bool) -> (Level, String) {
        let Self { status, summary, answer } = self;
        let text = match form {
            Form::Page => joined(&render(&status, &summary, Screen::of_stdout(color))),
            Form::Json => {
                let answer = answer.or_else(|| serde_json::to_string(&status).ok()).unwrap_or_default();
                json::escaped(&answer) + "\n"
            }
            Form::Nagios => {
                let (text, data) = (sentence(&summary.reasons, &status), perfdata::data(&status, of_one_vpn));
                // The first is in the first line.
                let lines = if summary.reasons.len() > 1 { summary.reasons.as_slice() } else { &[] };
                nagios::output(summary.level, &text, lines, &data)
            }
        };
        (summary.level, text)
    }
}

impl View for One {
    fn level(&self) -> Level {
        self.summary.level
    }

    fn page(&self, screen: Screen) -> Vec<String> {
        render(&self.status, &self.summary, screen)
    }

    fn states(&self) -> Vec<(String, Level, String)> {
        let text = sentence(&self.summary.reasons, &self.status);
        vec![(self.status.site.clone(), self.summary.level, text)]
    }
}

fn printed_fleet(sites: Sites, form: Form, color: ColorChoice) -> Result<(Level, String), String> {
    let level = sites.level();
    let text = match form {
        Form::Page => joined(&sites.page(Screen::of_stdout(color))),
        Form::Json => {
            let text = serde_json::to_string(&sites.json()).map_err(|error| error.to_string())?;
            json::escaped(&text) + "\n"
        }
        Form::Nagios => sites.nagios(),
    };
    Ok((level, text))
}

fn joined(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// Prints the state, or why it cannot be learned.
fn finish(learned: Result<(Level, String), String>, form: Form) -> Exit {
    let is_plugin = form == Form::Nagios;
    let (level, text) = learned.unwrap_or_else(|why| (Level::Unknown, unknown(&why, is_plugin)));
    match terminal::printed(&text) {
        Ok(()) => level.exit(),
        // A plugin whose text is lost has said nothing; a person who closes the pipe has read enough.
        Err(_) if is_plugin => Exit::Unknown,
        Err(_) => level.exit(),
    }
}

/// Watches; the exit code is that of the last state.
fn keep_watching<V: View>(seconds: u64, color: ColorChoice, look: Look<V>) -> Exit {
    let Ok(runtime) = terminal::runtime() else { return finish(Err("cannot start".to_owned()), Form::Page) };
    let watched = runtime.block_on(watch(Duration::from_secs(seconds), color, look));
    // A daemon that does not answer is not waited for.
    runtime.shutdown_background();
    match watched {
        Ok(level) => level.exit(),
        Err(error) => finish(Err(format!("cannot listen for signals: {error}")), Form::Page),
    }
}

/// Whether an argument makes a plugin of the command, however wrong the others are.
pub(super) fn is_plugin(argument: &OsStr) -> bool {
    argument.as_encoded_bytes().starts_with(NAGIOS.as_bytes())
}

/// A wrong option or argument of `status`: the first line goes to standard output for monitoring systems, the whole text to
/// standard error as with other commands.
pub(super) fn misused(error: &clap::Error, nagios: bool) -> Exit {
    let text = with_urls_masked(&error.to_string());
    let first = text.lines().next().unwrap_or_default();
    complain!("{}", text.trim_end());
    let form = if nagios { Form::Nagios } else { Form::Page };
    finish(Err(first.trim_start_matches("error: ").to_owned()), form)
}

#[cfg(test)]
mod tests;
