//! The settings of a sink of type `webhook`. Named files are examined: a missing file, or a secret that everybody can read,
//! should be found before the first page.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::files::Surroundings;
use super::files::{self, ReadBy};
use super::patterns;
use super::problem;
use super::problem::Notes;
use super::quantity::DurationBounds;
use super::section::Section;
use crate::access::{self, Secret};
use crate::settings::{WebhookBody, WebhookPreset, WebhookSettings, WebhookUrl};

pub(super) const KEYS: &[&str] = &[
    "url",
    "url_file",
    "url_credential",
    "preset",
    "template_file",
    "headers",
    "secret_file",
    "secret_credential",
    "signing_secret_file",
    "signing_secret_credential",
    "ca_file",
    "allow_http",
    "timeout",
    "repeat_every",
];

/// Shorter than the dispatcher's own limit of a minute.
const TIMEOUT: DurationBounds = DurationBounds::new(Duration::from_secs(1), Duration::from_secs(30));
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
const REPEAT: DurationBounds = DurationBounds::new(Duration::from_secs(10), Duration::from_secs(3600));
/// Alertmanager's senders repeat every minute; it considers an alert resolved at its endsAt.
const REPEAT_OF_ALERTMANAGER: Duration = Duration::from_secs(60);
/// The size of a template; the longest ready one takes a fiftieth of it.
const TEMPLATE_MAX: u64 = 256 * 1024;
/// PagerDuty's address for events (Events API v2; accounts in the EU have another).
const PAGERDUTY: &str = "https://events.pagerduty.com/v2/enqueue";
/// The directory in which systemd puts the credentials of our unit by default.
const CREDENTIALS: &str = "/run/credentials/bothends.service";
/// A header with one of these in its name, such as `X-Auth-Token` or `X-Api-Key`, has a secret value.
const SECRET_HEADERS: [&str; 7] =
    ["authorization", "cookie", "credential", "key", "password", "secret", "token"];
/// Hosts whose addresses are secrets themselves.
const SECRET_HOSTS: [&str; 2] = ["hooks.slack.com", "hooks.slack-gov.com"];

/// Reads the settings; `None` if a required one is invalid or missing.
pub(super) fn read(
    section: &Section<'_>,
    surroundings: &Surroundings<'_>,
    notes: &mut Notes,
) -> Option<WebhookSettings> {
    let preset = section.text("preset", &patterns::PRESET, notes);
    let template = template(section, surroundings.reader, notes);
    let (secret, signing_secret) = (
        secret(section, surroundings, "secret", notes),
        secret(section, surroundings, "signing_secret", notes),
    );
    let allow_http = section.flag("allow_http", notes).unwrap_or(false);
    let ca_file = section.text("ca_file", &patterns::FILE_PATH, notes);
    if let Some(path) = &ca_file {
        files::look(section, "ca_file", path, surroundings.reader, notes);
    }
    let url = url(section, surroundings, preset, allow_http, notes);
    let headers = headers(section, secret.is_some(), notes);
    let timeout = section.duration("timeout", &TIMEOUT, notes).unwrap_or(TIMEOUT_DEFAULT);
    let repeat_every = section.duration("repeat_every", &REPEAT, notes);
    let repeats = (preset == Some(WebhookPreset::Alertmanager)).then_some(REPEAT_OF_ALERTMANAGER);
    if preset == Some(WebhookPreset::PagerDuty) && secret.is_none() && !sets_any(section, SECRET) {
        section.missing(
            "secret_file",
            "a file with PagerDuty's integration key, or secret_credential",
            notes,
        );
    }
    let body = match (preset, template) {
        (Some(_), Some(_)) => {
            section.wrong("template_file", "cannot be used together with preset; set one of them", notes);
            None
        }
        (Some(preset), None) => Some(WebhookBody::Preset(preset)),
        (None, Some(template)) => Some(template),
        (None, None) => {
            if !section.sets("preset") && !section.sets("template_file") {
                let allowed = format!("{}; or template_file", patterns::PRESET.allowed);
                section.missing("preset", &allowed, notes);
            }
            None
        }
    };
    let lost = |read: &Option<PathBuf>, keys: [&str; 2]| read.is_none() && sets_any(section, keys);
    if lost(&secret, SECRET) || lost(&signing_secret, ["signing_secret_file", "signing_secret_credential"]) {
        return None;
    }
    let settings = WebhookSettings {
        url: url?,
        body: body?,
        headers,
        secret,
        signing_secret,
        ca_file,
        allow_http,
        timeout,
        repeat_every: repeat_every.or(repeats),
    };
    for (what, message) in (surroundings.trial)(&settings) {
        let key = key_of(section, what);
        // A problem of a file is reported once.
        if !notes.has(&section.path(&key)) {
            section.wrong(&key, message, notes);
        }
    }
    Some(settings)
}

/// The key that names the file of this secret in a trial.
fn key_of(section: &Section<'_>, what: &str) -> String {
    let keys = [format!("{what}_file"), format!("{what}_credential")];
    keys.into_iter().find(|key| section.sets(key)).unwrap_or_else(|| what.to_owned())
}

const SECRET: [&str; 2] = ["secret_file", "secret_credential"];

fn sets_any(section: &Section<'_>, keys: [&str; 2]) -> bool {
    keys.iter().any(|key| section.sets(key))
}

fn url(
    section: &Section<'_>,
    surroundings: &Surroundings<'_>,
    preset: Option<WebhookPreset>,
    allow_http: bool,
    notes: &mut Notes,
) -> Option<WebhookUrl> {
    let plain = section.text("url", &patterns::URL, notes);
    let secret = secret(section, surroundings, "url", notes);
    match (plain, secret) {
        (Some(_), Some(_)) => {
            section.wrong(
                "url",
                "cannot be used together with url_file or url_credential; set one of them",
                notes,
            );
            None
        }
        (None, Some(path)) => Some(WebhookUrl::Secret(path)),
        (Some(url), None) => {
            if let Some(what) = unfit(&url, allow_http) {
                section.wrong("url", what, notes);
                return None;
            }
            Some(WebhookUrl::Plain(url))
        }
        (None, None) if section.sets("url") || sets_any(section, ["url_file", "url_credential"]) => None,
        (None, None) if preset == Some(WebhookPreset::PagerDuty) => Some(WebhookUrl::Plain(PAGERDUTY.into())),
        (None, None) => {
            section.missing(
                "url",
                "the address to post to; or url_file or url_credential, if that is a secret",
                notes,
            );
            None
        }
    }
}

/// The problem of an address in the configuration, which many users may read: it must not be a secret.
fn unfit(url: &str, allow_http: bool) -> Option<&'static str> {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.split(':').next().unwrap_or_default().trim_end_matches('.');
    if authority.contains('@') {
        Some("contains a user name or password; put it into a file: secret_file and headers")
    } else if SECRET_HOSTS.iter().any(|secret| host.eq_ignore_ascii_case(secret))
        || access::secret_in(url, &[Secret::Webhook]).is_some()
    {
        Some("is itself a secret; put it into a file and name that in url_file")
    } else if access::has_secret_query(url) {
        Some("contains a secret in its query string; put the address into a file and name that in url_file")
    } else if url.starts_with("http://") && !allow_http {
        Some("is plain HTTP, readable by anybody on the path; use https://, or set allow_http = true")
    } else {
        None
    }
}

/// The file of a secret: `<what>_file`, or the credential `<what>_credential`.
fn secret(
    section: &Section<'_>,
    surroundings: &Surroundings<'_>,
    what: &str,
    notes: &mut Notes,
) -> Option<PathBuf> {
    let (file, credential) = (format!("{what}_file"), format!("{what}_credential"));
    let path = section.text(&file, &patterns::FILE_PATH, notes);
    let name = section.text(&credential, &patterns::CREDENTIAL, notes);
    let pasted = |text: Option<&str>| text.is_some_and(problem::looks_like_secret);
    let both = [(&file, path.as_deref().and_then(Path::to_str)), (&credential, name.as_deref())];
    // Later messages would show the path.
    if let Some((key, _)) = both.into_iter().find(|(_, text)| pasted(*text)) {
        let what =
            "looks like the secret itself (not shown); put the secret into a file and name that file here";
        section.wrong(key, what, notes);
        return None;
    }
    match (path, name) {
        (Some(_), Some(_)) => {
            section.wrong(
                &credential,
                format!("cannot be used together with {file}; set one of them"),
                notes,
            );
            None
        }
        (Some(path), None) => {
            files::look_at_secret(section, &file, &path, surroundings.reader, notes);
            Some(path)
        }
        (None, Some(name)) => {
            // They exist only where systemd runs the unit; "bothends check" by hand does not see them.
            let directory = surroundings.env.get("CREDENTIALS_DIRECTORY");
            let path = Path::new(directory.map_or(CREDENTIALS, String::as_str)).join(&*name);
            if directory.is_some() {
                files::look_at_secret(section, &credential, &path, surroundings.reader, notes);
            }
            Some(path)
        }
        (None, None) => None,
    }
}

fn template(section: &Section<'_>, reader: &ReadBy, notes: &mut Notes) -> Option<WebhookBody> {
    let path = section.text("template_file", &patterns::FILE_PATH, notes)?;
    let text = match access::read_regular(&path, TEMPLATE_MAX) {
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(_) => {
                section.wrong("template_file", format!("{} is not UTF-8 text", path.display()), notes);
                return None;
            }
        },
        Err(unread) => {
            section.wrong("template_file", files::cannot_be_read(&path, &unread.into()), notes);
            return None;
        }
    };
    files::look(section, "template_file", &path, reader, notes);
    if let Err(error) = minijinja::Environment::new().add_template("template", &text) {
        section.wrong("template_file", format!("{} is not a valid template: {error}", path.display()), notes);
        return None;
    }
    Some(WebhookBody::Template { path, text: Arc::from(text) })
}

fn headers(section: &Section<'_>, has_secret: bool, notes: &mut Notes) -> Vec<(String, String)> {
    let listed = section.texts("headers", &patterns::HEADER, notes).unwrap_or_default();
    for header in &listed {
        let (name, value) = &header.value;
        let named = value.contains("{secret}");
        let what = if named && !has_secret && !sets_any(section, SECRET) {
            "names {secret}, and there is no secret_file or secret_credential"
        } else if !named && is_secret(name) {
            "holds a secret, by its name; put it into a file, name that in secret_file, and write {secret} here"
        } else {
            continue;
        };
        let what = super::problem::ProblemKind::Other(what.to_owned());
        notes.problem(header.place.clone(), header.path.as_str(), what);
    }
    listed.into_iter().map(|header| header.value).collect()
}

fn is_secret(header: &str) -> bool {
    let header = header.to_lowercase();
    SECRET_HEADERS.iter().any(|word| header.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_is_a_secret_or_holds_one_is_unfit() {
        for (url, says) in [
            ("https://user@hook.example.com/", "user name or password"),
            ("https://hooks.slack.com/whatever/comes", "is itself a secret"),
            ("https://HOOKS.slack.com:443/services/T0/B0/x", "is itself a secret"),
            ("https://discord.com/api/webhooks/1/x", "is itself a secret"),
            ("https://example.com/x?token=abc", "in its query string"),
            ("http://example.com/x", "plain HTTP"),
        ] {
            assert!(
                unfit(url, false).is_some_and(|what| what.contains(says)),
                "{url}: {:?}",
                unfit(url, false)
            );
        }
        assert_eq!(unfit("https://alertmanager.example.com:9093/api/v2/alerts?team=net", false), None);
        assert_eq!(unfit("http://alertmanager.example.com/", true), None);
    }
}
