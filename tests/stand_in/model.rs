//! AWS's published models, as reduced by `models/reduce.py`.

use std::collections::BTreeMap;

use regex_lite::Regex;
use serde::Deserialize;

/// One service's operations and shapes.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Model {
    pub(super) metadata: Metadata,
    pub(super) operations: BTreeMap<String, Operation>,
    shapes: BTreeMap<String, Shape>,
    #[serde(skip)]
    patterns: BTreeMap<String, Regex>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Metadata {
    pub(super) api_version: String,
    #[serde(default)]
    pub(super) xml_namespace: String,
    #[serde(default)]
    pub(super) target_prefix: String,
}

#[derive(Deserialize)]
pub(super) struct Operation {
    pub(super) http: Http,
    pub(super) input: Member,
    pub(super) output: Option<Output>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Http {
    pub(super) method: String,
    pub(super) request_uri: String,
    pub(super) response_code: Option<u16>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Output {
    pub(super) shape: String,
    pub(super) result_wrapper: Option<String>,
}

#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Structure,
    List,
    Map,
    String,
    Integer,
    Long,
    Double,
    Float,
    Boolean,
    Timestamp,
    Blob,
}

#[derive(Deserialize)]
pub(super) struct Shape {
    #[serde(rename = "type")]
    pub(super) kind: Kind,
    #[serde(default)]
    pub(super) members: BTreeMap<String, Member>,
    #[serde(default)]
    pub(super) required: Vec<String>,
    #[serde(default)]
    pub(super) union: bool,
    #[serde(default, rename = "enum")]
    pub(super) allowed: Vec<String>,
    pub(super) min: Option<f64>,
    pub(super) max: Option<f64>,
    pattern: Option<String>,
    /// Of a list.
    pub(super) member: Option<Member>,
    /// Of a map.
    pub(super) key: Option<Member>,
    /// Of a map.
    pub(super) value: Option<Member>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Member {
    pub(super) shape: String,
    pub(super) location_name: Option<String>,
    pub(super) location: Option<String>,
}

/// SSM's way, by look-ahead, to require more than blanks in a line.
const NOT_BLANK: &str = r"^(?!\s*$).+";

impl Model {
    /// Reads one of `models/*.json`.
    ///
    /// # Errors
    /// When the text is not a model.
    pub(super) fn parse(text: &str) -> serde_json::Result<Self> {
        let mut model: Self = serde_json::from_str(text)?;
        for shape in model.shapes.values() {
            // A pattern constrains the whole value. The few that this crate cannot compile (look-ahead, `\p`) stay out
            // of the table, and `pattern_holds` then rejects every value for them.
            let Some(pattern) = &shape.pattern else { continue };
            let spoken = if pattern == NOT_BLANK { r".*\S.*" } else { pattern };
            if let Ok(compiled) = Regex::new(&format!("^(?:{spoken})$")) {
                model.patterns.insert(pattern.clone(), compiled);
            }
        }
        Ok(model)
    }

    /// The shape called `name`. The models are closed: every name that is mentioned is in it.
    pub(super) fn shape(&self, name: &str) -> &Shape {
        &self.shapes[name]
    }

    /// The pattern that `text` violates, if any.
    pub(super) fn broken_pattern<'a>(&self, shape: &'a Shape, text: &str) -> Option<&'a str> {
        let pattern = shape.pattern.as_deref()?;
        let holds = self.patterns.get(pattern).is_some_and(|compiled| compiled.is_match(text));
        (!holds).then_some(pattern)
    }
}
