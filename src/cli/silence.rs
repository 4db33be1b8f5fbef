//! `bothends silence`: planned times in which incidents are recorded and not sent, added, listed and ended at the control socket of
//! the running daemon.

mod mute_rule;
mod time;

use std::collections::BTreeSet;
use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args, Subcommand};

use self::time::{Times, Window, shown};
use super::progress::Progress;
use super::terminal;
use crate::clock;
use crate::config;
use crate::http::client::{self, Answer, ClientError, Server};
use crate::http::listener::{DEFAULT_SOCKET, socket};
use crate::http::silences::{AddJson, SILENCES_PATH, SILENCES_PATIENCE, SilenceAnswer, StillSilenced};
use crate::http::status_json::SilenceJson;
use crate::process::{Exit, environment};
use crate::silences::{NewSilence, Target, Until, zones};

/// The arguments.
#[derive(Debug, Args)]
pub(super) struct SilenceArguments {
    #[command(subcommand)]
    command: SilenceCommand,
}

#[derive(Debug, Subcommand)]
enum SilenceCommand {
    /// Add a silence for each target. Only this daemon: the other host of a pair needs its own.
    Add(AddArguments),
    /// List the silences that are not over.
    List {
        /// As JSON, for scripts.
        #[arg(long)]
        json: bool,
    },
    /// End silences now. What is still down by both ends is sent.
    End {
        /// Their numbers, as `bothends silence list` shows them.
        #[arg(required = true, value_name = "ID")]
        ids: Vec<u32>,
    },
}

/// What to silence, when and why.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("target").required(true).multiple(true).args(["site", "vpn", "tunnel", "group", "uplink"]))]
#[command(group = ArgGroup::new("end").required(true).args(["length", "until"]))]
struct AddArguments {
    /// Everything that this daemon watches.
    #[arg(long)]
    site: bool,
    /// A connection, by its id or name. Each target option may be given several times.
    #[arg(long, value_name = "ID_OR_NAME")]
    vpn: Vec<String>,
    /// A tunnel, by its outside address, or by its connection, a slash, and that.
    #[arg(long, value_name = "[VPN/]OUTSIDE_IP")]
    tunnel: Vec<String>,
    /// A group ([[group]]), by its name.
    #[arg(long, value_name = "NAME")]
    group: Vec<String>,
    /// What goes over an uplink ([[uplink]]), by its name.
    #[arg(long, value_name = "NAME")]
    uplink: Vec<String>,
    /// How long: 90m, 2h, 1d12h. At most 7 days.
    #[arg(long = "for", value_name = "DURATION")]
    length: Option<String>,
    /// When it ends: 2026-12-01T04:00:00Z, "2026-12-01 04:00", 2026-12-01 for 00:00 of that day, or 04:00 for the next time that
    /// clocks show it.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// When it begins, in the same forms; default: now.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// It comes back every week, at the same hour of the time zone, until it is ended.
    #[arg(long)]
    weekly: bool,
    /// The time zone of times without one and of --weekly, such as Europe/Berlin; default: this host's.
    #[arg(long, value_name = "ZONE")]
    tz: Option<String>,
    /// Why: one line, for those who wonder why no page came.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Instead of adding it, print the AWS CLI call that mutes the alarms of alarms.yaml for the same time. The daemon is not asked.
    #[arg(long)]
    print_mute_rule: bool,
}

pub(super) fn run(config: &Path, SilenceArguments { command }: SilenceArguments) -> Exit {
    match command {
        SilenceCommand::Add(arguments) => match arguments.wanted() {
            Err(problem) => {
                complain!("{problem}");
                Exit::Usage
            }
            Ok((wanted, _)) if arguments.print_mute_rule => print_mute_rule(config, &wanted),
            Ok((wanted, times)) => add(wanted, &times),
        },
        SilenceCommand::List { json } => list(json),
        SilenceCommand::End { ids } => end(&ids),
    }
}

impl AddArguments {
    fn wanted(&self) -> Result<(NewSilence, Times), time::TimeError> {
        let Self {
            site,
            vpn,
            tunnel,
            group,
            uplink,
            length,
            until,
            from,
            weekly,
            tz,
            reason,
            print_mute_rule: _,
        } = self;
        let times = Times::of(tz.as_deref(), zones)?;
        let window = Window { from: from.as_deref(), until: until.as_deref(), length: length.as_deref() };
        let (from, until) = times.window(window, clock::wall())?;
        let named = [
            (vpn, Target::Vpn as fn(String) -> Target),
            (tunnel, Target::Tunnel),
            (group, Target::Group),
            (uplink, Target::Uplink),
        ];
        let named = named.into_iter().flat_map(|(names, target)| names.iter().cloned().map(target));
        let wanted = NewSilence {
            targets: site.then_some(Target::Site).into_iter().chain(named).collect(),
            from,
            until,
            weekly: if *weekly { Some(times.name()?) } else { None },
            reason: reason.as_str().into(),
        };
        Ok((wanted, times))
    }
}

fn print_mute_rule(config: &Path, wanted: &NewSilence) -> Exit {
    let loaded = match config::load(config, &environment()) {
        Ok(loaded) => loaded,
        Err(rejection) => {
            complain!("{rejection}");
            return Exit::Configuration;
        }
    };
    match mute_rule::calls(wanted, &loaded.config.plan, clock::wall(), zones) {
        Ok(calls) if calls.is_empty() => {
            complain!("no call: the silence ends before a rule could begin, one to two minutes from now");
            Exit::Usage
        }
        Ok(calls) => {
            for call in calls {
                say!("{call}");
            }
            complain!(
                "run it with an operator's credentials (cloudwatch:PutAlarmMuteRule on the rule and on each alarm), not on the \
                 gateway; it mutes the alarms of /usr/share/bothends/aws/alarms.yaml, and nothing of the daemon's own"
            );
            Exit::Success
        }
        Err(refusal) => {
            complain!("{refusal}");
            Exit::Usage
        }
    }
}

fn add(wanted: NewSilence, times: &Times) -> Exit {
    let NewSilence { targets, from, until, weekly, reason } = wanted;
    let (until, length_seconds) = match until {
        Until::At(at) => (Some(clock::rfc3339(at)), None),
        Until::After(length) => {
            (None, Some(length.as_secs().saturating_add(u64::from(length.subsec_nanos() > 0))))
        }
    };
    let request = AddJson {
        targets: targets.into_iter().map(Into::into).collect(),
        from: from.map(clock::rfc3339),
        until,
        length_seconds,
        weekly: weekly.as_deref().map(str::to_owned),
        reason: reason.to_string(),
    };
    let body = match serde_json::to_string(&request) {
        Ok(body) => body,
        Err(error) => {
            complain!("cannot write the request: {error}");
            return Exit::Internal;
        }
    };
    finish(waited_for(&control_socket(), &format!("POST {SILENCES_PATH}"), &body), times)
}

fn list(json: bool) -> Exit {
    // What a program reads is not interrupted by a line that says what is waited for.
    let ask = if json { ask } else { waited_for };
    match ask(&control_socket(), &format!("GET {SILENCES_PATH}"), "") {
        Ok(SilenceAnswer::Listed { silences }) if json => match serde_json::to_string(&silences) {
            Ok(text) => {
                say!("{text}");
                Exit::Success
            }
            Err(error) => {
                complain!("cannot write the list: {error}");
                Exit::Internal
            }
        },
        answer => finish(answer, &Times::here()),
    }
}

/// Ends each, after a look whether there are all of them: a wrong number ends none. What fails later stops the rest.
fn end(ids: &[u32]) -> Exit {
    let (path, times) = (control_socket(), Times::here());
    let ids: BTreeSet<u32> = ids.iter().copied().collect();
    let there: BTreeSet<u32> = match waited_for(&path, &format!("GET {SILENCES_PATH}"), "") {
        Ok(SilenceAnswer::Listed { silences }) => silences.iter().map(|silence| silence.id).collect(),
        answer => return finish(answer, &times),
    };
    if let Some(problem) = unknown(&ids, &there) {
        complain!("{problem}");
        return Exit::Usage;
    }
    for (index, id) in ids.iter().enumerate() {
        let exit = finish(waited_for(&path, &format!("DELETE {SILENCES_PATH}/{id}"), ""), &times);
        if exit != Exit::Success {
            if let Some(done) = done_before(&ids, index) {
                complain!("{done}");
            }
            return exit;
        }
    }
    Exit::Success
}

/// What to say of the numbers that no silence has.
fn unknown(ids: &BTreeSet<u32>, there: &BTreeSet<u32>) -> Option<String> {
    let wrong = numbers(ids.difference(there))?;
    let known = match numbers(there) {
        Some(known) => format!("there are {known}"),
        None => "there is none at all".to_owned(),
    };
    Some(format!("there is no silence {wrong}; {known}. None was ended"))
}

/// What was ended, and what was not tried, when the one at this place failed.
fn done_before(ids: &BTreeSet<u32>, index: usize) -> Option<String> {
    let ended = numbers(ids.iter().take(index))?;
    let rest = numbers(ids.iter().skip(index + 1)).map(|rest| format!("; not tried: {rest}"));
    Some(format!("ended before that: {ended}{}", rest.unwrap_or_default()))
}

fn numbers<'n>(ids: impl IntoIterator<Item = &'n u32>) -> Option<String> {
    let ids: Vec<String> = ids.into_iter().map(ToString::to_string).collect();
    (!ids.is_empty()).then(|| ids.join(", "))
}

fn control_socket() -> PathBuf {
    socket(&environment()).unwrap_or_else(|| PathBuf::from(DEFAULT_SOCKET))
}

/// Why there is no answer.
#[derive(Debug)]
enum SilenceError {
    /// Nobody listens there.
    NotRunning { path: PathBuf, source: std::io::Error },
    /// Only root and the daemon's user may ask.
    NotAllowed { path: PathBuf, source: std::io::Error },
    /// The daemon did not answer in time.
    NoAnswer { waited: std::time::Duration },
    /// The connection broke, or the response is not an answer.
    Broken { path: PathBuf, why: String },
    /// The daemon is of a version without silences.
    NotSupported,
}

impl SilenceError {
    const fn exit(&self) -> Exit {
        match self {
            Self::NotAllowed { .. } => Exit::Permission,
            Self::NotRunning { .. } | Self::NoAnswer { .. } | Self::Broken { .. } | Self::NotSupported => {
                Exit::BadNews
            }
        }
    }
}

impl fmt::Display for SilenceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRunning { path, source } => write!(
                f,
                "no daemon listens at {}: {source}; is it running (`systemctl status bothends`)? Nothing is silenced",
                path.display()
            ),
            Self::NotAllowed { path, source } => write!(
                f,
                "cannot ask the daemon at {}: {source}; run as root, or as the user that bothends runs as",
                path.display()
            ),
            Self::NoAnswer { waited } => write!(
                f,
                "the daemon has not answered within {} s; `systemctl status bothends` shows its state, and `bothends silence list` \
                 whether it was done",
                waited.as_secs()
            ),
            Self::Broken { path, why } => write!(
                f,
                "the daemon at {} broke off, or gave an answer of another version: {why}; `bothends silence list` shows whether it \
                 was done",
                path.display()
            ),
            Self::NotSupported => f.write_str(
                "the daemon is another version and knows no silences; restart it: systemctl restart bothends",
            ),
        }
    }
}

/// The same as [`ask`]; a terminal says meanwhile what is waited for.
fn waited_for(path: &Path, what: &str, body: &str) -> Result<SilenceAnswer, SilenceError> {
    let _progress = Progress::start("waiting for the daemon's answer");
    ask(path, what, body)
}

/// Asks the daemon at this control socket.
fn ask(path: &Path, what: &str, body: &str) -> Result<SilenceAnswer, SilenceError> {
    let broken = |why: String| SilenceError::Broken { path: path.to_owned(), why };
    let answer = client::send(&Server::Socket(path.to_owned()), what, body, SILENCES_PATIENCE);
    let Answer { code, body } = answer.map_err(|error| {
        let path = path.to_owned();
        match error {
            ClientError::Unreachable { source, .. } if source.kind() == ErrorKind::PermissionDenied => {
                SilenceError::NotAllowed { path, source }
            }
            ClientError::Unreachable { source, .. } => SilenceError::NotRunning { path, source },
            ClientError::Silent { waited, .. } => SilenceError::NoAnswer { waited },
            ClientError::Broken { source, .. } => broken(source.to_string()),
            ClientError::NotUnderstood { why, .. } => broken(why.to_owned()),
            // There is no TLS at a socket.
            error @ (ClientError::NotTrusted { .. } | ClientError::NoTls { .. }) => broken(error.to_string()),
        }
    })?;
    match (serde_json::from_str(&body), code) {
        (Ok(answer), _) => Ok(answer),
        // The server turned the connection away.
        (Err(_), 503) => Ok(SilenceAnswer::Busy),
        (Err(_), 404 | 405) => Err(SilenceError::NotSupported),
        (Err(error), _) => Err(broken(error.to_string())),
    }
}

/// Says what the daemon answered.
fn finish(answer: Result<SilenceAnswer, SilenceError>, times: &Times) -> Exit {
    match answer {
        Ok(SilenceAnswer::Listed { silences }) => {
            terminal::text(format_args!("{}", table(&silences, times)));
            Exit::Success
        }
        Ok(SilenceAnswer::Added { silences, unsaved }) => {
            terminal::text(format_args!("{}", added(&silences, times)));
            if let Some(why) = unsaved {
                complain!(
                    "warning: NOT SAVED: {why}. It is in force, and written as soon as the disk works; until then a restart of the \
                     daemon loses it"
                );
            }
            Exit::Success
        }
        Ok(SilenceAnswer::Ended { silence, still, unsaved }) => {
            let mut page = String::new();
            terminal::line(&mut page, format_args!("{}", ended(&silence, still.as_ref(), times)));
            terminal::text(format_args!("{page}"));
            if let Some(why) = unsaved {
                complain!(
                    "warning: NOT SAVED: {why}. It is over, and removed from the disk as soon as that works; until then a restart \
                     of the daemon brings it back"
                );
            }
            Exit::Success
        }
        Ok(SilenceAnswer::Refused { problem }) => {
            complain!("{problem}");
            complain!("nothing was changed");
            Exit::Usage
        }
        Ok(SilenceAnswer::NotAllowed { problem }) => {
            complain!("{problem}");
            Exit::Permission
        }
        Ok(SilenceAnswer::Ending) => {
            complain!(
                "the daemon is stopping; after its start, `bothends silence list` shows whether it was done"
            );
            Exit::BadNews
        }
        Ok(SilenceAnswer::Busy) => {
            complain!("too many requests to the daemon at once; try again");
            Exit::BadNews
        }
        Err(error) => {
            complain!("{error}");
            error.exit()
        }
    }
}

/// That a silence has ended, and whether what it silenced is silenced all the same.
fn ended(silence: &SilenceJson, still: Option<&StillSilenced>, times: &Times) -> String {
    let SilenceJson { id, active, .. } = silence;
    let what = target(silence);
    match still {
        Some(StillSilenced { by, until, whole }) => {
            let part = if *whole { "" } else { "in part " };
            format!(
                "silence {id} has ended; {what} is still silenced {part}by silence {by} until {}",
                shown(until, times)
            )
        }
        None if *active => format!("silence {id} has ended: {what} is no longer silenced"),
        None => format!("silence {id} of {what} is removed; its time had not come"),
    }
}

/// What was added, and what that means.
fn added(silences: &[SilenceJson], times: &Times) -> String {
    let mut page = String::new();
    for silence in silences {
        let SilenceJson { id, active, from, until, weekly, .. } = silence;
        let what = target(silence);
        let (from, until) = (shown(from, times), shown(until, times));
        let when = if *active {
            format!("silenced until {until}")
        } else {
            format!("silenced from {from} until {until}")
        };
        let again = weekly
            .as_ref()
            .map_or_else(String::new, |zone| format!(", and every week at this hour ({zone})"));
        terminal::line(&mut page, format_args!("silence {id}: {what}: {when}{again}"));
    }
    page.push_str(
        "Incidents that open meanwhile are recorded and not sent; what both ends still call down at the end is sent then.\n\
         This daemon alone knows it: on the other host of a pair, add it as well. Alarms in CloudWatch: --print-mute-rule.\n",
    );
    page
}

/// What it silences: `the whole site`, `uplink wan1`, `Milan DC (vpn-…)`, `Milan DC, tunnel 1 (203.0.113.11)`.
fn target(silence: &SilenceJson) -> String {
    let SilenceJson { scope, of, name, .. } = silence;
    match scope.as_str() {
        "site" => "the whole site".to_owned(),
        "connection" if name == of => of.clone(),
        "connection" => format!("{name} ({of})"),
        "tunnel" if name == of => format!("tunnel {of}"),
        "tunnel" => format!("{name} ({})", of.rsplit(' ').next().unwrap_or(of)),
        scope => format!("{scope} {name}"),
    }
}

/// The silences as a table.
fn table(silences: &[SilenceJson], times: &Times) -> String {
    if silences.is_empty() {
        return "no silences\n".to_owned();
    }
    let head = ["id", "state", "from", "until", "what", "by uid", "reason"].map(str::to_owned);
    let rows = silences.iter().map(|silence| {
        let SilenceJson {
            id,
            scope: _,
            of: _,
            name: _,
            matches,
            active,
            no_window,
            from,
            until,
            weekly,
            reason,
            by_uid,
            added: _,
        } = silence;
        let state = match (active, no_window, matches) {
            (_, _, false) => "matches nothing",
            (_, Some(why), true) => why,
            (true, None, true) => "active",
            (false, None, true) => "planned",
        };
        let state = match weekly {
            Some(zone) => format!("{state}, every week ({zone})"),
            None => state.to_owned(),
        };
        let (from, until) = (shown(from, times), shown(until, times));
        [id.to_string(), state, from, until, target(silence), by_uid.to_string(), reason.clone()]
    });
    let rows: Vec<_> = std::iter::once(head).chain(rows).collect();
    let mut page = String::new();
    for row in terminal::aligned(&rows, 7) {
        terminal::line(&mut page, format_args!("{row}"));
    }
    page
}

#[cfg(test)]
mod tests;
