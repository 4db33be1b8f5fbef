//! Files and variables put together by the crate `config`: of a single table the last one who sets a key has it; the lists
//! of tables grow. Every value keeps the place it comes from.

use std::path::Path;

use ::config::{Config, ConfigError, Environment, Map, Source, Value};

use super::document::{Document, ListedTable};
use super::problem::{Notes, ProblemKind};
use super::provenance::Provenance;
use super::schema::{PREFIX, SEPARATOR};

/// The whole configuration, still as values.
#[derive(Debug)]
pub(super) struct Merged {
    /// The first file, which is blamed for what is missing.
    pub(super) main: Provenance,
    /// The single tables.
    pub(super) tables: Value,
    /// `[[vpn]]` of all files.
    pub(super) vpns: Vec<ListedTable>,
    /// `[[incident.sink]]` of all files.
    pub(super) sinks: Vec<ListedTable>,
}

/// Merges the documents, later over earlier, and the variables over all.
pub(super) fn merge(
    main: &Path,
    documents: Vec<Document>,
    variables: Map<String, String>,
    notes: &mut Notes,
) -> Merged {
    let main = Provenance::file(main);
    let mut builder = Config::builder();
    let (mut vpns, mut sinks) = (Vec::new(), Vec::new());
    for document in documents {
        builder = builder.add_source(Layer(document.tables));
        vpns.extend(document.vpns);
        sinks.extend(document.sinks);
    }
    // `try_parsing` stays off: it would make a number of a name such as "0123".
    let environment = Environment::with_prefix(PREFIX).prefix_separator("_").separator(SEPARATOR);
    let tables = match builder.add_source(environment.source(Some(variables))).build() {
        Ok(merged) => merged.cache,
        Err(error) => {
            notes.problem(main.clone(), "", ProblemKind::Other(format!("cannot be merged: {error}")));
            Value::from(Map::<String, Value>::new())
        }
    };
    Merged { main, tables, vpns, sinks }
}

/// One file's single tables.
#[derive(Debug, Clone)]
struct Layer(Map<String, Value>);

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        Ok(self.0.clone())
    }
}
