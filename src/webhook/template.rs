//! The body: a minijinja template whose values are written as JSON. A template that renders to nothing sends nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde_json::{Value, json};

use super::secret::Hidden;
use crate::domain::time::Stamp;
use crate::incident::message::Message;
use crate::settings::{WebhookBody, WebhookPreset};

/// Limit on a template's work (a unit is an instruction, or 64 bytes): an endless loop, or a text repeated a billion times, costs
/// milliseconds and some megabytes. A preset needs some hundreds.
const FUEL: u64 = 100_000;

/// The template's name in error messages.
const NAME: &str = "template";

/// A template that parses.
pub(super) struct Template<'t>(Environment<'t>);

impl<'t> Template<'t> {
    /// Parses it.
    pub(super) fn parse(body: &'t WebhookBody) -> Result<Self, String> {
        let mut environment = Environment::new();
        environment.set_auto_escape_callback(|_| AutoEscape::Json);
        environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        environment.set_fuel(Some(FUEL));
        let added = environment.add_template(NAME, text(body));
        added.map_err(|error| format!("is not a valid template ({error}); fix it"))?;
        Ok(Self(environment))
    }

    /// The names it looks up that neither the template nor minijinja defines.
    pub(super) fn names(&self) -> BTreeSet<String> {
        let Ok(template) = self.0.get_template(NAME) else { return BTreeSet::new() };
        let mut names: BTreeSet<_> = template.undeclared_variables(false).into_iter().collect();
        for (global, _) in self.0.globals() {
            names.remove(global);
        }
        names
    }

    /// The body, or `None` to send nothing. `lasts`: how long an open alert stays open without another message.
    pub(super) fn render(
        &self,
        message: &Message,
        secret: Option<&str>,
        now: Stamp,
        lasts: Option<Duration>,
    ) -> Result<Option<String>, String> {
        let mut context = message.data.clone();
        context["now"] = json!(time(now));
        if let Some(lasts) = lasts {
            context["ends_at"] = json!(time(now + lasts));
        }
        if let Some(secret) = secret {
            context["secret"] = json!(secret);
        }
        let rendered = self.0.get_template(NAME).and_then(|template| template.render(Serde(context)));
        let rendered = rendered.map_err(|error| {
            let mut hidden = Hidden::default();
            hidden.secret(secret.unwrap_or_default());
            let what = error.to_string();
            let line = error.line().unwrap_or_default();
            let what = if hidden.is_in(&what) { format!("{}, line {line}", error.kind()) } else { what };
            format!("the template cannot be filled in ({what}); fix it")
        })?;
        if rendered.trim().is_empty() {
            return Ok(None);
        }
        let wrong = |error| format!("the template does not produce valid JSON ({error}); fix it");
        let body: Value = serde_json::from_str(&rendered).map_err(wrong)?;
        Ok(Some(body.to_string()))
    }
}

fn text(body: &WebhookBody) -> &str {
    match body {
        WebhookBody::Preset(WebhookPreset::PagerDuty) => include_str!("templates/pagerduty.json.j2"),
        WebhookBody::Preset(WebhookPreset::Slack) => include_str!("templates/slack.json.j2"),
        WebhookBody::Preset(WebhookPreset::Alertmanager) => include_str!("templates/alertmanager.json.j2"),
        WebhookBody::Template { path: _, text } => text,
    }
}

/// RFC 3339, in UTC.
fn time(at: Stamp) -> String {
    jiff::Timestamp::from_millisecond(at.as_millis())
        .map_or_else(|_| at.as_millis().to_string(), |time| time.to_string())
}
