//! The walls between modules, as in ARCHITECTURE.md. A module may name only the modules below it; files do not import
//! each other in a circle.

#[path = "architecture/imports.rs"]
mod imports;
#[path = "architecture/texts.rs"]
mod texts;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// What every part may stand on.
const GROUND: [&str; 12] = [
    "access",
    "domain",
    "backoff",
    "catalogue",
    "clock",
    "health",
    "history",
    "outbound",
    "process",
    "records",
    "settings",
    "silences",
];

/// The SDK's crates.
const SDK: [&str; 10] = [
    "aws_config",
    "aws_credential_types",
    "aws_runtime",
    "aws_sdk_cloudwatch",
    "aws_sdk_ssmincidents",
    "aws_sdk_sts",
    "aws_smithy_async",
    "aws_smithy_runtime",
    "aws_smithy_types",
    "aws_types",
];

/// What each top-level module may import from the crate, besides the ground.
fn allowed() -> BTreeMap<&'static str, Vec<&'static str>> {
    BTreeMap::from([
        ("config", vec![]),
        ("settings", vec![]),
        ("silences", vec![]),
        ("history", vec![]),
        ("catalogue", vec![]),
        ("outbound", vec![]),
        ("probe", vec![]),
        ("sensors", vec![]),
        ("incident", vec![]),
        ("publish", vec![]),
        ("telemetry", vec![]),
        ("systemd", vec![]),
        ("http", vec![]),
        ("driver", vec![]),
        // Implements `incident`'s and `publish`'s storage traits.
        ("store", vec!["incident::sink", "publish::sink"]),
        // Implements their traits for calls.
        ("aws", vec!["incident", "publish"]),
        ("webhook", vec!["incident"]),
        // The commands, which are composed of parts like the daemon itself.
        ("cli", vec!["aws", "config", "probe", "http", "daemon", "incident", "sensors", "store"]),
        (
            "daemon",
            vec![
                "aws",
                "config",
                "driver",
                "http",
                "incident",
                "probe",
                "publish",
                "sensors",
                "store",
                "systemd",
                "telemetry",
                "webhook",
            ],
        ),
    ])
}

struct Source {
    path: PathBuf,
    /// Only code lines: comments do not import.
    code: String,
}

impl Source {
    /// Its path below `src`.
    fn inside(&self) -> &Path {
        self.path.strip_prefix(src()).unwrap()
    }

    fn module(&self) -> String {
        self.inside()
            .components()
            .next()
            .unwrap()
            .as_os_str()
            .to_str()
            .unwrap()
            .trim_end_matches(".rs")
            .to_owned()
    }

    fn is_test(&self) -> bool {
        let path = self.path.to_str().unwrap();
        path.ends_with("/tests.rs") || path.contains("/tests/")
    }

    /// The code before the tests.
    fn product(&self) -> &str {
        self.code.split("#[cfg(test)]\nmod tests {").next().unwrap()
    }

    /// The crate paths in the code, as `module` or `module::inner`.
    fn named(&self) -> Vec<&str> {
        self.product()
            .split("crate::")
            .skip(1)
            .map(|rest| rest.split([';', '{', ' ', '(', '<', ',', ')']).next().unwrap())
            .collect()
    }
}

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn sources() -> Vec<Source> {
    let mut directories = vec![src()];
    let mut sources = Vec::new();
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let code: Vec<&str> =
                    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
                sources.push(Source { path, code: code.join("\n") });
            }
        }
    }
    assert!(sources.len() > 50, "the sources were not found");
    sources
}

#[test]
fn modules_import_only_the_ground_and_what_is_allowed() {
    let allowed = allowed();
    let mut breaches = Vec::new();
    for source in sources().iter().filter(|source| !source.is_test()) {
        let module = source.module();
        if ["main", "lib", "access", "backoff", "clock", "health", "process", "records", "domain", "fixture"]
            .contains(&module.as_str())
        {
            continue;
        }
        let Some(allowed) = allowed.get(module.as_str()) else {
            breaches.push(format!("{module} is missing in this test's table"));
            continue;
        };
        for named in source.named() {
            let top = named.split("::").next().unwrap();
            let may = top == module
                || GROUND.contains(&top)
                || allowed.iter().any(|path| named == *path || named.starts_with(&format!("{path}::")));
            if !may {
                breaches.push(format!("{} names {named}", source.path.display()));
            }
        }
    }
    assert!(breaches.is_empty(), "{breaches:#?}");
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let sources = sources();
    let files: Vec<_> =
        sources.iter().map(|source| (source.inside().to_owned(), source.code.as_str())).collect();
    let circles = imports::circles(&files);
    assert!(circles.is_empty(), "{circles:#?}");
}

#[test]
fn what_is_said_to_people_is_said_in_the_catalogue() {
    let mut breaches = Vec::new();
    for source in sources().iter().filter(|source| source.module() != "catalogue" && !source.is_test()) {
        let words = texts::own_words(source.product());
        breaches.extend(words.into_iter().map(|words| format!("{}: {words}", source.inside().display())));
    }
    assert!(breaches.is_empty(), "{breaches:#?}");
}

/// These report a problem in the words of an error; every other has a constructor in the catalogue.
const IN_AN_ERRORS_WORDS: [&str; 3] = ["aws/poller.rs", "daemon/prepare.rs", "publish/machine.rs"];

#[test]
fn only_these_report_a_problem_in_the_words_of_an_error() {
    let sources = sources();
    let outside = sources.iter().filter(|source| source.module() != "catalogue" && !source.is_test());
    let reporting = outside.filter(|source| source.product().contains("Problem::of("));
    let mut found: Vec<_> = reporting.map(|source| source.inside().display().to_string()).collect();
    found.sort();
    assert_eq!(found, IN_AN_ERRORS_WORDS);
}

#[test]
fn the_domain_stands_on_nothing_but_std() {
    let foreign = [
        "crate::",
        "tokio",
        "log::",
        "metrics",
        "serde",
        "aws_sdk",
        "std::fs",
        "std::io",
        "std::time::Instant",
        "SystemTime",
        "std::env",
        "std::thread",
        "HashMap",
        "println!",
        "rand",
    ];
    let mut breaches = Vec::new();
    for source in sources().iter().filter(|source| source.module() == "domain" && !source.is_test()) {
        for word in foreign {
            let named = source.product().matches(word).count();
            let own = source.product().matches("crate::domain").count();
            if named > if word == "crate::" { own } else { 0 } {
                breaches.push(format!("{} names {word}", source.path.display()));
            }
        }
    }
    assert!(breaches.is_empty(), "{breaches:#?}");
}

#[test]
fn only_the_aws_module_names_a_type_of_the_sdk() {
    let breaches: Vec<String> = sources()
        .iter()
        .filter(|source| source.module() != "aws")
        .filter(|source| SDK.iter().any(|name| source.product().contains(&format!("{name}::"))))
        .map(|source| source.path.display().to_string())
        .collect();
    assert!(breaches.is_empty(), "{breaches:#?}");
}

#[test]
fn the_main_function_only_parses_and_delegates() {
    let main = sources().into_iter().find(|source| source.module() == "main").unwrap();
    assert!(main.code.lines().count() <= 60);
}
