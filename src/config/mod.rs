//! Text → domain types: "parse, don't validate". What comes out of [`load`] needs no further check.
//!
//! Files are read in order ([`files`]), each is walked once along the [`schema`] with its line numbers kept
//! ([`document`]), the crate `config` merges the single tables and the environment ([`merge`]), and the merged values are
//! read into domain types ([`build`]). No step stops at the first problem: all of them are told at once, each with file,
//! line, key, what was found and what is allowed.

mod build;
mod consequences;
mod describe;
mod document;
mod duration;
mod environment;
mod files;
mod globals;
mod merge;
mod patterns;
mod problem;
mod rules;
mod schema;
mod section;
mod settings;
mod sinks;
mod size;
#[cfg(test)]
mod tests;
mod vpns;
mod webhook;

use std::collections::BTreeMap;
use std::path::Path;

pub use self::describe::describe;
pub use self::problem::{Place, Problem, Rejection, Warning, What};
pub use self::settings::{
    AwsSettings, CloudWatchSettings, Config, HttpSettings, Mode, SinkSettings, StoreSettings, Vendor,
    VpnSettings, WebhookBody, WebhookPreset, WebhookSettings, WebhookUrl,
};

use self::problem::Notes;
use self::schema::{RENAMED, Renamed};

/// Reads the configuration: `path`, then `conf.d/*.toml` beside it in lexical order, then the variables
/// `BOTHENDS_SECTION__KEY` of `env`.
///
/// `STATE_DIRECTORY` in `env` gives the store its place, the kernel's host name gives the site its name, where the
/// configuration does not.
///
/// # Errors
/// Every problem of the whole configuration at once.
pub fn load(path: &Path, env: &BTreeMap<String, String>) -> Result<Config, Rejection> {
    load_in(path, &Surroundings { env, host_name: files::host_name(), renamed: RENAMED })
}

/// What the configuration depends on besides its files.
struct Surroundings<'a> {
    env: &'a BTreeMap<String, String>,
    host_name: Option<String>,
    renamed: &'a [Renamed],
}

fn load_in(path: &Path, surroundings: &Surroundings<'_>) -> Result<Config, Rejection> {
    let mut notes = Notes::default();
    let files = files::read(path, &mut notes);
    let documents: Vec<_> = files
        .iter()
        .filter_map(|file| document::parse(&file.path, &file.text, surroundings.renamed, &mut notes))
        .collect();
    let variables = environment::overrides(surroundings.env, &mut notes);
    let complete = notes.files_complete();

    let merged = merge::merge(path, documents, variables, &mut notes);
    let config = build::config(&merged, &build::Inputs { surroundings, complete }, &mut notes);
    notes.finish(config, files.into_iter().map(|file| file.path).collect())
}
