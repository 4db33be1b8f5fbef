//! What can be checked of a webhook before the first page: everything but whether its receiver accepts it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::client::{self, Reason};
use super::template::Template;
use crate::access::{NoSecret, Unread, read_regular, read_secret};
use crate::domain::time::Stamp;
use crate::incident::message::Message;
use crate::incident::specimen::{MEMBERS, SOMETIMES, specimens};
use crate::settings::{WebhookSettings, WebhookUrl};

/// The setting that is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The URL, or the file that contains it.
    Url,
    /// The file of the secret.
    Secret,
    /// The file of the signing secret.
    SigningSecret,
    /// The template or preset.
    Template,
    /// The configured headers.
    Headers,
    /// The file of the trusted authorities.
    Authorities,
}

/// Which files can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// The daemon's own: an unreadable file is an error.
    Daemon,
    /// Another user's or another host's: an unreadable file is skipped.
    Other,
}

/// The time of the messages rendered for the check.
const AT: Stamp = Stamp::from_secs(1_795_341_600);
/// Stands for a secret that cannot be read here.
const SOME_SECRET: &str = "secret";
/// The names of a template besides a message's own members.
const BESIDE: [&str; 3] = ["now", "secret", "ends_at"];

/// What is wrong, as far as it shows without posting anything.
pub fn trial(settings: &WebhookSettings, reach: Reach) -> Vec<(Part, String)> {
    let mut wrong = Vec::new();
    let mut secret_of = |part, secret: &Option<PathBuf>| {
        let secret = secret.as_ref()?;
        Some(read(secret, reach).unwrap_or_else(|what| {
            wrong.push((part, what));
            None
        }))
    };
    let secret = secret_of(Part::Secret, &settings.secret);
    secret_of(Part::SigningSecret, &settings.signing_secret);
    let secret = secret.map(|secret| secret.unwrap_or_else(|| SOME_SECRET.to_owned()));
    if let Err(what) = address(settings, reach) {
        wrong.push((Part::Url, what));
    }
    if let Err(what) = settings.own_headers(secret.as_deref()) {
        wrong.push((Part::Headers, what));
    }
    if let Err(what) = template(settings, secret.as_deref()) {
        wrong.push((Part::Template, what));
    }
    if let Some(path) = settings.ca_file.as_deref()
        && (reach == Reach::Daemon || !is_out_of_reach(path))
        && let Err(Reason::Rejected(what) | Reason::Temporary { what, .. }) = client::load(Some(path))
    {
        wrong.push((Part::Authorities, format!("{what}; name a file of certificates in PEM")));
    }
    wrong
}

/// Whether a file does not exist, or is not readable for us.
fn is_out_of_reach(path: &Path) -> bool {
    // Length 0: only tests whether it can be opened.
    matches!(read_regular(path, 0), Err(Unread::Failed(_)))
}

fn read(path: &Path, reach: Reach) -> Result<Option<String>, String> {
    match (read_secret(path), reach) {
        (Ok(text), _) => Ok(Some(text)),
        (Err(NoSecret::OutOfReach(_)), Reach::Other) => Ok(None),
        (Err(NoSecret::OutOfReach(what)), Reach::Daemon) | (Err(NoSecret::Wrong(what)), _) => Err(what),
    }
}

fn address(settings: &WebhookSettings, reach: Reach) -> Result<(), String> {
    let text = match &settings.url {
        WebhookUrl::Plain(url) => Some(url.to_string()),
        WebhookUrl::Secret(path) => read(path, reach)?,
    };
    text.map_or(Ok(()), |text| settings.address(&text).map(drop))
}

/// Renders the template for every change that there may be.
fn template(settings: &WebhookSettings, secret: Option<&str>) -> Result<(), String> {
    let parsed = Template::parse(&settings.body)?;
    let known: BTreeSet<&str> = MEMBERS.into_iter().chain(SOMETIMES).chain(BESIDE).collect();
    let unknown: Vec<_> = parsed.names().into_iter().filter(|name| !known.contains(&**name)).collect();
    if !unknown.is_empty() {
        return Err(format!(
            "names {}, which a message does not have; docs/sinks.md lists the fields",
            unknown.join(", ")
        ));
    }
    specimens(AT).iter().try_for_each(|message| filled(&parsed, settings, message, secret))
}

fn filled(
    parsed: &Template<'_>,
    settings: &WebhookSettings,
    message: &Message,
    secret: Option<&str>,
) -> Result<(), String> {
    let lasts = settings.lasts();
    let Err(what) = parsed.render(message, secret, AT, lasts) else { return Ok(()) };
    let named = parsed.names();
    let absent = |name: &&str| named.contains(*name) && message.data.get(*name).is_none();
    let mut absent: Vec<&str> = SOMETIMES.into_iter().filter(absent).collect();
    absent.extend(["secret"].iter().filter(|name| secret.is_none() && named.contains(**name)));
    absent.extend(["ends_at"].iter().filter(|name| lasts.is_none() && named.contains(**name)));
    let drill = if message.drill { "a drill's " } else { "" };
    let change = message.change.as_str();
    let without = if absent.is_empty() {
        String::new()
    } else {
        format!(" without {}, which a message may lack: see docs/sinks.md", absent.join(", "))
    };
    Err(format!("{what} (for {drill}\"{change}\" of {}{without})", message.kind.as_str()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::{Path, PathBuf};
    use std::time::Duration;

    use super::*;
    use crate::settings::{WebhookBody, WebhookPreset};

    fn settings(body: WebhookBody) -> WebhookSettings {
        WebhookSettings {
            url: WebhookUrl::Plain("https://hook.example.com/".into()),
            body,
            headers: Vec::new(),
            secret: None,
            signing_secret: None,
            ca_file: None,
            allow_http: false,
            timeout: Duration::from_secs(10),
            repeat_every: None,
        }
    }

    fn own(text: &str) -> WebhookSettings {
        settings(WebhookBody::Template { path: "/etc/bothends/body.j2".into(), text: text.into() })
    }

    #[track_caller]
    fn says(settings: &WebhookSettings, part: Part, expected: &str) {
        let wrong = trial(settings, Reach::Daemon);
        assert!(
            matches!(&wrong[..], [(found, what)] if *found == part && what.contains(expected)),
            "{expected:?} in {wrong:?}"
        );
    }

    fn file(directory: &Path, text: &str) -> PathBuf {
        let path = directory.join("file");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    #[test]
    fn a_template_is_rendered_for_every_possible_change() {
        for right in [
            "{}",
            "{% if change == 'resolved' %}{\"at\": {{ resolved }}}{% endif %}",
            "{\"url\": {{ runbook_url | default('') }}, \"t\": [{% for t in tunnels %}{{ t.name }}{% if not loop.last %}, {% endif %}{% endfor %}]}",
        ] {
            assert_eq!(trial(&own(right), Reach::Daemon), []);
        }
        says(&own("{% if x %"), Part::Template, "is not a valid template");
        says(&own("{\"t\": {{ titel }}}"), Part::Template, "names titel, which a message does not have");
        // Looked up only in an `if`, or only for one change, it shows no other way.
        says(&own("{% if chnage == 'resolved' %}{}{% endif %}"), Part::Template, "names chnage");
        says(&own("{{ title }}: {{ text }}"), Part::Template, "does not produce valid JSON");
        says(&own("{% if change == 'unwatched' %}no{% endif %}"), Part::Template, "\"unwatched\" of outage");
        says(&own("{% if kind == 'one_sided' %}no{% endif %}"), Part::Template, "of one_sided");
        says(&own("{% if drill %}no{% endif %}"), Part::Template, "a drill's \"opened\"");
        for sometimes in ["runbook_url", "notes", "follows", "resolved", "drill", "secret", "ends_at"] {
            let text = format!("[{{{{ {sometimes} }}}}]");
            says(&own(&text), Part::Template, &format!("without {sometimes}"));
        }
        // Present only together with something else.
        says(&own("[{% if notes %}{{ runbook_url }}{% endif %}]"), Part::Template, "without runbook_url");
    }

    #[test]
    fn the_presets_render_for_every_possible_change() {
        let directory = tempfile::tempdir().unwrap();
        let key = Some(file(directory.path(), "key"));
        let repeat_every = Some(Duration::from_secs(60));
        for preset in WebhookPreset::ALL {
            let settings = WebhookSettings {
                secret: key.clone(),
                repeat_every,
                ..settings(WebhookBody::Preset(preset))
            };
            assert_eq!(trial(&settings, Reach::Daemon), [], "{preset:?}");
        }
    }

    #[test]
    fn secrets_and_addresses_are_read_as_for_a_message_and_never_shown() {
        let directory = tempfile::tempdir().unwrap();
        let of = |text: &str| file(directory.path(), text);
        says(&WebhookSettings { secret: Some(of("\n")), ..own("{}") }, Part::Secret, "is empty; fill it in");
        says(&WebhookSettings { signing_secret: Some(of("")), ..own("{}") }, Part::SigningSecret, "is empty");
        for (text, expected) in [
            ("not a url", "is not valid; fix it"),
            ("hook.example.com/s3cr3t", "is not valid; fix it"),
            ("ftp://hook.example.com/s3cr3t", "is not https://"),
            ("https:///s3cr3t", "the url"),
            ("http://hook.example.com/s3cr3t", "allow_http"),
            ("https://s3cr3t@hook.example.com/", "contains a user name"),
        ] {
            let settings = WebhookSettings { url: WebhookUrl::Secret(of(text)), ..own("{}") };
            says(&settings, Part::Url, expected);
            assert!(!format!("{:?}", trial(&settings, Reach::Daemon)).contains("s3cr3t"));
        }
        let headers = vec![("Authorization".to_owned(), "Bearer {secret}".to_owned())];
        let settings = WebhookSettings { secret: Some(of("two\nlines")), headers, ..own("{}") };
        says(&settings, Part::Headers, "the header Authorization is invalid with the secret filled in");
    }

    #[test]
    fn authorities_are_loaded_as_for_a_message() {
        let directory = tempfile::tempdir().unwrap();
        for text in ["garbage", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            let ca_file = Some(file(directory.path(), text));
            says(
                &WebhookSettings { ca_file, ..own("{}") },
                Part::Authorities,
                "name a file of certificates in PEM",
            );
        }
    }

    #[test]
    fn files_that_only_the_daemon_can_read_are_skipped() {
        let nowhere = PathBuf::from("/nonexistent/url");
        let settings = WebhookSettings {
            url: WebhookUrl::Secret(nowhere.clone()),
            secret: Some(nowhere.clone()),
            ca_file: Some(nowhere),
            ..own("[{{ secret }}]")
        };
        assert_eq!(trial(&settings, Reach::Other), []);
        let parts: Vec<_> = trial(&settings, Reach::Daemon).into_iter().map(|(part, _)| part).collect();
        assert_eq!(parts, [Part::Secret, Part::Url, Part::Authorities]);
    }
}
