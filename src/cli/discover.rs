//! `bothends discover`: a configuration from what AWS says of VPN connections.

mod json;
mod proposal;
#[cfg(test)]
mod tests;
mod toml;

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};

use self::proposal::{Proposal, Scope};
use crate::aws::{self, AwsConnections, AwsSettings, Question, Trouble, Which};
use crate::config::texts;
use crate::probe::carriers;
use crate::process::Exit;

/// The file belongs to whoever asked; the daemon's group may read it.
const MODE: u32 = 0o640;
/// Names the session of an assumed role, in CloudTrail too.
const SESSION: &str = "discover";

/// The arguments.
#[derive(Debug, Args)]
pub(super) struct Discover {
    /// The VPN connections, such as vpn-0123456789abcdef0.
    #[arg(value_name = "VPN_ID", required_unless_present = "tag", conflicts_with = "tag")]
    ids: Vec<String>,
    /// All VPN connections with this tag; * and ? in VALUE are wildcards of AWS's.
    #[arg(long, value_name = "KEY=VALUE")]
    tag: Option<String>,
    /// Their Region; else AWS_REGION or the profile's.
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    /// The role to ask with; else the credentials of AWS's own chain as they are.
    #[arg(long, value_name = "ARN")]
    role_arn: Option<String>,
    /// What to print.
    #[arg(long, value_enum, default_value_t = Format::Toml)]
    format: Format,
    /// Write it to FILE, which must not exist yet, instead of printing it.
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A commented configuration.
    Toml,
    /// The same for scripts, in the configuration's names.
    Json,
}

pub(super) fn run(arguments: &Discover) -> Exit {
    let question = match question(arguments) {
        Ok(question) => question,
        Err(problems) => {
            for problem in problems {
                complain!("{problem}");
            }
            return Exit::Usage;
        }
    };
    // Said before AWS is asked; that the file is not there is made sure of when it is made.
    if let Some(file) = arguments.write.as_deref().filter(|file| fs::symlink_metadata(file).is_ok()) {
        complain!("{}", exists(file));
        return Exit::BadNews;
    }
    let discovered = match ask(&question) {
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
    let scope = Scope { role_arn: question.role_arn.clone(), carriers: &|address| carriers(address) };
    let proposal = match Proposal::of(&discovered, &scope) {
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
    let text = match arguments.format {
        Format::Toml => toml::render(&proposal),
        Format::Json => match json::render(&proposal) {
            Ok(json) => json,
            Err(error) => {
                complain!("cannot write JSON: {error}");
                return Exit::Internal;
            }
        },
    };
    match &arguments.write {
        None => printed(&text),
        Some(file) => written(file, &text),
    }
}

/// Everything that is wrong with the arguments, or what is to be asked.
fn question(arguments: &Discover) -> Result<Question, Vec<String>> {
    let Discover { ids, tag, region, role_arn, format: _, write: _ } = arguments;
    let mut problems = Vec::new();
    let mut wrong = |what: &str, found: &str, allowed: &str| {
        problems.push(format!("{what}: found {found:?}, allowed: {allowed}"));
    };
    let mut checked =
        |what: &str, text: &Option<String>, rule: fn(&str) -> Result<Arc<str>, &'static str>| {
            let text = text.as_deref()?;
            rule(text).map_err(|allowed| wrong(what, text, allowed)).ok()
        };
    let region = checked("--region", region, texts::region);
    let role_arn = checked("--role-arn", role_arn, texts::role_arn);
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
            let known = |id: &String| texts::vpn_id(id).map_err(|allowed| wrong("VPN_ID", id, allowed)).ok();
            Which::Ids(ids.iter().filter_map(known).collect())
        }
    };
    if problems.is_empty() { Ok(Question { region, role_arn, which }) } else { Err(problems) }
}

fn ask(question: &Question) -> Result<Result<aws::Discovered, Vec<Trouble>>, Exit> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| {
        complain!("cannot start: {error}");
        Exit::Internal
    })?;
    let connections = AwsConnections::load(AwsSettings::from_env(SESSION)).map_err(|error| {
        complain!("{error}");
        Exit::Configuration
    })?;
    Ok(runtime.block_on(aws::discover(&connections, question)))
}

fn exit_of(troubles: &[Trouble]) -> Exit {
    let permission = |trouble: &Trouble| match trouble {
        Trouble::Failed(failure) => failure.kind.is_of_permission(),
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

fn printed(text: &str) -> Exit {
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => Exit::Success,
        Err(error) => {
            complain!("cannot print the configuration: {error}");
            Exit::BadNews
        }
    }
}

fn written(file: &Path, text: &str) -> Exit {
    match write(file, text) {
        Ok(()) => {
            let shown = file.display();
            complain!("{shown} is written; read it, then: bothends check --config {shown}");
            Exit::Success
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            complain!("{}", exists(file));
            Exit::BadNews
        }
        Err(error) => {
            complain!("cannot write {}: {error}", file.display());
            if error.kind() == io::ErrorKind::PermissionDenied { Exit::Permission } else { Exit::BadNews }
        }
    }
}

/// Makes the file with the whole text in it, or none.
fn write(file: &Path, text: &str) -> io::Result<()> {
    let mut open = OpenOptions::new().write(true).create_new(true).mode(MODE).open(file)?;
    let all = open.write_all(text.as_bytes()).and_then(|()| open.sync_all());
    if all.is_err() {
        // What is not whole is of no use; that it cannot be removed either is the lesser news.
        let _ = fs::remove_file(file);
    }
    all
}

fn exists(file: &Path) -> String {
    format!(
        "{} exists and is left as it is; name a file that does not exist, or move that one away",
        file.display()
    )
}
