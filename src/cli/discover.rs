//! `bothends discover`: generates a configuration from AWS's answer about VPN connections.

mod proposal;
mod render;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};

use self::proposal::{Proposal, ProposalContext};
use super::terminal;
use crate::access::User;
use crate::aws::{self, AwsConnections, ConnectionSettings, DiscoverQuery, FailureClass, Trouble, Which};
use crate::config::{self, SERVICE, patterns};
use crate::outbound::{KEY_EXCHANGE_VARIABLE, KeyExchange};
use crate::probe::carriers;
use crate::process::{self, Exit};

/// The user who ran this owns the file; its group (the daemon's in /etc/bothends) may read it, whatever the umask.
const MODE: u32 = 0o640;
/// Names the session of an assumed role, in CloudTrail too.
const SESSION: &str = "discover";

/// The arguments.
#[derive(Debug, Args)]
pub(super) struct DiscoverArguments {
    /// The VPN connections, such as vpn-0123456789abcdef0; required without --tag.
    #[arg(value_name = "VPN_ID", required_unless_present = "tag", conflicts_with = "tag")]
    ids: Vec<String>,
    /// All VPN connections with this tag; VALUE may contain the wildcards * and ?.
    #[arg(long, value_name = "KEY=VALUE")]
    tag: Option<String>,
    /// Their Region; default: AWS_REGION or the profile's.
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    /// Assume this role for the query, and configure it for the daemon; default: your AWS credentials as they are.
    #[arg(long, value_name = "ARN")]
    role_arn: Option<String>,
    /// What to print.
    #[arg(long, value_enum, default_value_t = Format::Toml)]
    format: Format,
    /// Write to FILE instead of printing; FILE must not exist.
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A configuration with comments.
    Toml,
    /// The same keys as JSON, for scripts.
    Json,
}

pub(super) fn run(arguments: &DiscoverArguments) -> Exit {
    let query = match query(arguments) {
        Ok(query) => query,
        Err(problems) => {
            for problem in problems {
                complain!("{problem}");
            }
            return Exit::Usage;
        }
    };
    // Checked before AWS is asked, for an early answer; creating the file makes sure of it.
    if let Some(file) = arguments.write.as_deref().filter(|file| fs::symlink_metadata(file).is_ok()) {
        complain!("{}", exists(file));
        return Exit::BadNews;
    }
    let discovered = match ask(&query) {
        Ok(Ok(discovered)) => discovered,
        Ok(Err(troubles)) => {
            for trouble in &troubles {
                complain!("{}", trouble.text());
            }
            return exit_of(&troubles);
        }
        Err(exit) => return exit,
    };
    for left_out in &discovered.left_out {
        complain!("left out: {left_out}");
    }
    let context =
        ProposalContext { role_arn: query.role_arn.clone(), carriers: &|address| carriers(address) };
    let proposal = match Proposal::of(&discovered, &context) {
        Ok(proposal) => proposal,
        Err(clashes) => {
            for clash in clashes {
                complain!("{clash}");
            }
            return Exit::BadNews;
        }
    };
    for warning in &proposal.warnings {
        complain!("warning: {warning}");
    }
    let toml = render::toml(&proposal);
    // Never print a configuration that `check` would refuse, whatever AWS answered.
    if let Err(rejection) = config::of_text("(discovered)", &toml) {
        complain!(
            "AWS's answer makes a configuration that `bothends check` refuses; configure these tunnels by hand:"
        );
        complain!("{rejection}");
        return Exit::BadNews;
    }
    let text = match arguments.format {
        Format::Toml => toml,
        Format::Json => match render::json(&proposal) {
            Ok(json) => json,
            Err(error) => {
                complain!("cannot write JSON: {error}");
                return Exit::Internal;
            }
        },
    };
    match &arguments.write {
        None => {
            terminal::text(format_args!("{text}"));
            Exit::Success
        }
        Some(file) => written(file, &text),
    }
}

/// The query, or everything that is wrong with the arguments.
fn query(arguments: &DiscoverArguments) -> Result<DiscoverQuery, Vec<String>> {
    let DiscoverArguments { ids, tag, region, role_arn, format: _, write: _ } = arguments;
    let mut problems = Vec::new();
    let mut wrong = |what: &str, found: &str, allowed: &str| {
        problems.push(format!("{what}: invalid value {found:?}; expected {allowed}"));
    };
    let mut checked =
        |what: &str, text: &Option<String>, rule: fn(&str) -> Result<Arc<str>, &'static str>| {
            let text = text.as_deref()?;
            rule(text).map_err(|allowed| wrong(what, text, allowed)).ok()
        };
    let region = checked("--region", region, patterns::region);
    let role_arn = checked("--role-arn", role_arn, patterns::role_arn);
    let which = match tag {
        Some(tag) => match tag.split_once('=') {
            Some((key, value)) if !key.is_empty() => {
                Which::Tagged { key: key.to_owned(), value: value.to_owned() }
            }
            Some(_) | None => {
                wrong("--tag", tag, "a tag's key and value, such as Site=milan-1");
                Which::Ids(BTreeSet::new())
            }
        },
        None => {
            let known =
                |id: &String| patterns::vpn_id(id).map_err(|allowed| wrong("VPN_ID", id, allowed)).ok();
            Which::Ids(ids.iter().filter_map(known).collect())
        }
    };
    if problems.is_empty() { Ok(DiscoverQuery { region, role_arn, which }) } else { Err(problems) }
}

fn ask(query: &DiscoverQuery) -> Result<Result<aws::Discovered, Vec<Trouble>>, Exit> {
    let runtime = terminal::runtime()?;
    let settings =
        ConnectionSettings { key_exchange: key_exchange()?, ..ConnectionSettings::from_env(SESSION) };
    let connections = AwsConnections::load(settings).map_err(|error| {
        complain!("{error}");
        Exit::Configuration
    })?;
    let discovered = terminal::unless_interrupted(runtime, "asking AWS", aws::discover(&connections, query))?;
    for notice in connections.notices() {
        complain!("warning: {notice}");
    }
    Ok(discovered)
}

/// From the environment, as the daemon would take it: there need be no configuration yet.
fn key_exchange() -> Result<KeyExchange, Exit> {
    let Ok(word) = std::env::var(KEY_EXCHANGE_VARIABLE) else { return Ok(KeyExchange::default()) };
    KeyExchange::parse(&word).ok_or_else(|| {
        complain!(
            "{KEY_EXCHANGE_VARIABLE}: invalid value {word:?}; set it to auto, hybrid or classic, or unset it"
        );
        Exit::Usage
    })
}

fn exit_of(troubles: &[Trouble]) -> Exit {
    let permission = |trouble: &Trouble| match trouble {
        Trouble::Failed { failure, asked: _ } => failure.kind.class() == FailureClass::Permission,
        Trouble::NoRegion | Trouble::Found(_) => false,
    };
    if troubles.iter().any(|trouble| matches!(trouble, Trouble::NoRegion)) {
        Exit::Usage
    } else if troubles.iter().any(permission) {
        Exit::Permission
    } else {
        Exit::BadNews
    }
}

fn written(file: &Path, text: &str) -> Exit {
    let share = |open: &File| readable_by(open, User::named(SERVICE).as_ref(), process::user());
    match write(file, text, share) {
        Ok(warning) => {
            let shown = file.display();
            if let Some(warning) = warning {
                complain!("warning: {warning}");
            }
            complain!("wrote {shown}; review it, then run: bothends check --config {shown}");
            Exit::Success
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            complain!("{}", exists(file));
            Exit::BadNews
        }
        Err(error) => {
            let advice = if error.kind() == io::ErrorKind::NotFound {
                "; its directory does not exist: make it first, or install the package"
            } else {
                ""
            };
            complain!("cannot write {}: {error}{advice}", file.display());
            if error.kind() == io::ErrorKind::PermissionDenied { Exit::Permission } else { Exit::BadNews }
        }
    }
}

/// Creates the file with the whole text, or not at all. A `share` that the file system refuses is only a warning.
fn write(file: &Path, text: &str, share: impl FnOnce(&File) -> io::Result<()>) -> io::Result<Option<String>> {
    let mut open = OpenOptions::new().write(true).create_new(true).mode(MODE).open(file)?;
    if let Err(error) = open.write_all(text.as_bytes()).and_then(|()| open.sync_all()) {
        // A partial file is useless. The first error is the one to report.
        let _ = fs::remove_file(file);
        return Err(error);
    }
    let shown = file.display();
    Ok(share(&open).err().map(|error| {
        format!(
            "{shown} is written, but the group {SERVICE} could not be given it ({error}): chgrp {SERVICE} {shown} && chmod 640 {shown}"
        )
    }))
}

/// Lets the service's group read the file, which holds no secret. Root gives the file that group; another user's file has it only
/// if the directory passes on its group.
fn readable_by(file: &File, service: Option<&User>, us: u32) -> io::Result<()> {
    let Some(group) = service.and_then(|service| service.groups().first()) else { return Ok(()) };
    if us == 0 {
        fchown(file, None, Some(*group))?;
    }
    if file.metadata()?.gid() == *group {
        file.set_permissions(Permissions::from_mode(MODE))?;
    }
    Ok(())
}

fn exists(file: &Path) -> String {
    let is_empty = fs::metadata(file).is_ok_and(|metadata| metadata.is_file() && metadata.len() == 0);
    let file = file.display();
    if is_empty {
        return format!(
            "{file} exists and is left as it is; it is empty, as `>` leaves it when a command fails: rm {file}"
        );
    }
    format!("{file} exists and is left as it is; name another file, or move that one away")
}
