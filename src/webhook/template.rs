//! The body: a template in minijinja whose values are written as JSON. One that comes to nothing for a change sends nothing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde_json::{Value, json};

use super::hidden::Hidden;
use crate::domain::time::Stamp;
use crate::incident::message::Message;

/// What a template may use up, so that a loop without an end, or a text repeated a billion times, costs milliseconds and some
/// megabytes (a unit is an instruction, or 64 bytes). A ready one needs some hundreds.
const FUEL: u64 = 100_000;

/// What errors call it.
const NAME: &str = "template";

/// A ready template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Preset {
    /// PagerDuty Events API v2.
    PagerDuty,
    /// A Slack incoming webhook.
    Slack,
    /// Alertmanager API v2.
    Alertmanager,
}

impl Preset {
    const fn text(self) -> &'static str {
        match self {
            Self::PagerDuty => include_str!("templates/pagerduty.json.j2"),
            Self::Slack => include_str!("templates/slack.json.j2"),
            Self::Alertmanager => include_str!("templates/alertmanager.json.j2"),
        }
    }
}

/// A template's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Arc<str>);

impl From<Preset> for Template {
    fn from(preset: Preset) -> Self {
        Self(preset.text().into())
    }
}

impl Template {
    /// A template of the operator's.
    pub fn new(text: Arc<str>) -> Self {
        Self(text)
    }

    /// What to send; `None` if nothing. `lasts`: how long what is open stays so without another word.
    pub(super) fn render(
        &self,
        message: &Message,
        secret: Option<&str>,
        now: Stamp,
        lasts: Option<Duration>,
    ) -> Result<Option<String>, String> {
        self.parse()?.render(message, secret, now, lasts)
    }

    /// Ready to be filled in.
    pub(super) fn parse(&self) -> Result<Parsed<'_>, String> {
        let mut environment = Environment::new();
        environment.set_auto_escape_callback(|_| AutoEscape::Json);
        environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        environment.set_fuel(Some(FUEL));
        let added = environment.add_template(NAME, &self.0);
        added.map_err(|error| format!("is no template ({error}); correct it"))?;
        Ok(Parsed(environment))
    }
}

/// A template that has been understood.
pub(super) struct Parsed<'t>(Environment<'t>);

impl Parsed<'_> {
    /// The names that it looks up, and that nothing gives: neither itself nor the language.
    pub(super) fn names(&self) -> BTreeSet<String> {
        let Ok(template) = self.0.get_template(NAME) else { return BTreeSet::new() };
        let mut names: BTreeSet<_> = template.undeclared_variables(false).into_iter().collect();
        for (global, _) in self.0.globals() {
            names.remove(global);
        }
        names
    }

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
            let told = error.to_string();
            let line = error.line().unwrap_or_default();
            let told = if hidden.is_in(&told) { format!("{}, line {line}", error.kind()) } else { told };
            format!("the template cannot be filled in ({told}); correct it")
        })?;
        if rendered.trim().is_empty() {
            return Ok(None);
        }
        let wrong = |error| format!("the template comes to no JSON ({error}); correct it");
        let body: Value = serde_json::from_str(&rendered).map_err(wrong)?;
        Ok(Some(body.to_string()))
    }
}

/// RFC 3339, in UTC.
fn time(at: Stamp) -> String {
    jiff::Timestamp::from_millisecond(at.as_millis())
        .map_or_else(|_| at.as_millis().to_string(), |time| time.to_string())
}
