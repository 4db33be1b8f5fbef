//! The files shipped with the program match it: completions, man pages, unit, package.

mod docs;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use bothends::catalogue::MessageId;
use bothends::cli::Arguments;
use bothends::config::needs::UNIT;
use bothends::health::Code;
use bothends::process::{Exit, Granted};
use bothends::telemetry::metric;
use clap::CommandFactory;
use clap_complete::{Generator, Shell};

fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &str) -> String {
    fs::read_to_string(file(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The value of a setting of a unit, from its one line.
fn setting(unit: &str, name: &str) -> Option<String> {
    unit.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).map(str::to_owned)
}

#[test]
fn the_shell_completions_match_the_programs_arguments() {
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        let mut made = Vec::new();
        let mut command = Arguments::command();
        command.set_bin_name("bothends");
        command.build();
        shell.generate(&command, &mut made);
        let made = String::from_utf8(made).unwrap();
        let path = format!("packaging/completions/{}", shell.file_name("bothends"));
        if std::env::var_os("BOTHENDS_WRITE").is_some() {
            fs::write(file(&path), &made).unwrap();
        }
        assert_eq!(read(&path), made, "{path} is out of date: BOTHENDS_WRITE=1 cargo test --test package");
    }
}

#[test]
fn the_man_page_has_every_command_and_every_option() {
    let page = read("packaging/man/bothends.1.md");
    let command = Arguments::command();
    let mut missing = Vec::new();
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        let row = format!("| `bothends {}", sub.get_name());
        let line = page.lines().find(|line| line.starts_with(&row)).unwrap_or_default();
        if line.is_empty() {
            missing.push(row);
        }
        // Each command of a command has a row of its own.
        for inner in sub.get_subcommands().filter(|inner| inner.get_name() != "help") {
            let row = format!("| `bothends {} {}", sub.get_name(), inner.get_name());
            let line = page.lines().find(|line| line.starts_with(&row)).unwrap_or(&row);
            let options = inner.get_arguments().filter_map(|argument| argument.get_long());
            missing.extend(
                options.map(|long| format!("--{long}")).filter(|option| !line.contains(option.as_str())),
            );
        }
        let options = sub.get_arguments().filter_map(|argument| argument.get_long());
        missing
            .extend(options.map(|long| format!("--{long}")).filter(|option| !line.contains(option.as_str())));
    }
    for long in command.get_arguments().filter_map(|argument| argument.get_long()) {
        if !page.contains(&format!("--{long}")) {
            missing.push(format!("--{long}"));
        }
    }
    assert!(missing.is_empty(), "bothends.1.md does not mention {missing:?}");
}

#[test]
fn the_man_page_and_the_documentation_have_every_exit_code() {
    let page = read("packaging/man/bothends.1.md");
    let documentation = read("docs/exit-codes.md");
    for exit in
        [Exit::Success, Exit::BadNews, Exit::Usage, Exit::Internal, Exit::Permission, Exit::Configuration]
    {
        let row = format!("| `{}` |", exit.code());
        assert!(page.contains(&row), "no {row}");
        let row = format!("\n| {} |", exit.code());
        assert!(documentation.contains(&row), "no {row}");
    }
    let never = setting(&read("systemd/bothends.service"), "RestartPreventExitStatus").unwrap();
    for code in never.split_whitespace() {
        assert!(documentation.contains(&format!("\n| {code} |")), "no {code}");
    }
}

#[test]
fn the_man_pages_can_be_built_and_contain_every_key() {
    let directory = tempfile::tempdir().unwrap();
    let made =
        Command::new("python3").arg(file("packaging/man/man.py")).arg(directory.path()).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let page = fs::read_to_string(directory.path().join("bothends.toml.5")).unwrap();
    let keys: BTreeSet<_> = read("config/bothends.toml")
        .lines()
        .filter_map(|line| line.trim_start_matches(['#', ' ']).split_once(" = "))
        .map(|(key, _)| key.trim().to_owned())
        .filter(|key| !key.is_empty() && key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'))
        .collect();
    assert!(keys.len() > 30, "{keys:?}");
    for key in keys {
        assert!(page.contains(&format!("\\fB{key}\\fR")), "bothends.toml(5) has no {key}");
    }
    assert!(!page.contains("](") && !page.contains("```"), "Markdown is left in it");
}

#[test]
fn the_unit_restarts_after_every_failure_that_a_restart_can_fix() {
    let unit = read("systemd/bothends.service");
    let never: BTreeSet<u8> = setting(&unit, "RestartPreventExitStatus")
        .unwrap()
        .split_whitespace()
        .map(|code| code.parse().unwrap())
        .collect();
    // systemd's own codes, for a group, a sandbox or a credential that is unavailable (systemd.exec(5): EXIT_GROUP,
    // EXIT_NAMESPACE, EXIT_CREDENTIALS). Not EXIT_USER: a user from a directory becomes available with the network.
    let of_drop_ins = [216, 226, 243];
    let beyond_mending = [Exit::Usage, Exit::Permission, Exit::Configuration].map(Exit::code);
    assert_eq!(never, beyond_mending.into_iter().chain(of_drop_ins).collect());
    assert_eq!(setting(&unit, "Restart").as_deref(), Some("on-failure"));
    assert_eq!(
        setting(&unit, "StartLimitIntervalSec").as_deref(),
        Some("0"),
        "systemd never stops restarting it"
    );
}

#[test]
fn the_unit_grants_what_check_says() {
    let unit = read("systemd/bothends.service");
    let memory = setting(&unit, "MemoryMax").unwrap();
    let mebibytes: u64 = memory.strip_suffix('M').unwrap().parse().unwrap();
    let files = setting(&unit, "LimitNOFILE").unwrap().parse().unwrap();
    assert_eq!(UNIT, Granted { files, memory: Some(mebibytes * 1024 * 1024) });
    // Memory contains credentials.
    assert_eq!(setting(&unit, "LimitCORE").as_deref(), Some("0"));
    assert_eq!(setting(&unit, "OOMPolicy").as_deref(), Some("continue"));
    assert_eq!(setting(&unit, "TasksMax").as_deref(), Some("256"));
}

#[test]
fn the_slowest_configuration_starts_in_time() {
    let allowed = setting(&read("systemd/bothends.service"), "TimeoutStartSec").unwrap();
    let allowed: u64 = allowed.strip_suffix('s').unwrap().parse().unwrap();
    // docs/configuration.md: `interval` and `timeout` of [probe]; a test of the configuration checks these.
    let documented = read("docs/configuration.md");
    assert!(documented.contains(r#"`"100ms"` to `"60s"`, between echoes in calm"#));
    assert!(documented.contains(r#"`"100ms"` to `"10s"`; a later reply is late"#));
    assert!(allowed >= 2 * (60 + 10), "{allowed}");
}

#[test]
fn every_drop_in_says_where_it_goes() {
    let mut seen = 0;
    for entry in fs::read_dir(file("systemd/drop-ins")).unwrap() {
        let path = entry.unwrap().path();
        let (name, text) =
            (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(&path).unwrap());
        assert!(
            text.contains(&format!("/usr/share/bothends/drop-ins/{name} /etc/systemd/system/")),
            "{name}"
        );
        assert!(text.contains("\n[Service]\n"), "{name}");
        seen += 1;
    }
    assert!(seen >= 4, "{seen}");
}

#[test]
fn a_removal_reads_the_journal_records_of_open_incidents() {
    let id = setting(&read("packaging/deb/prerm"), "STAYS_OPEN");
    assert_eq!(id.as_deref(), Some(MessageId::RECORD_STAYS_OPEN.id));
}

#[test]
fn the_debian_changelog_begins_with_this_version() {
    let top = read("packaging/deb/changelog").lines().next().unwrap().to_owned();
    assert!(top.starts_with(concat!("bothends (", env!("CARGO_PKG_VERSION"), "-")), "{top}");
}

/// The alerts of the shipped rules, each with its expression.
fn alerts() -> Vec<(String, String)> {
    let rules = read("packaging/prometheus/rules.yaml");
    let of = |line: &str, key: &str| line.trim_start().strip_prefix(key).map(|value| value.trim().to_owned());
    let names = rules.lines().filter_map(|line| of(line, "- alert:"));
    let expressions = rules.lines().filter_map(|line| of(line, "expr:"));
    let alerts: Vec<_> = names.zip(expressions).collect();
    assert!(alerts.len() > 10, "{alerts:?}");
    alerts
}

#[test]
fn the_rules_name_existing_metrics_and_codes_and_every_code_has_an_alert() {
    let metrics: BTreeSet<_> = metric::ALL.iter().map(|metric| metric.name).collect();
    let codes: BTreeSet<_> = Code::ALL.iter().map(|code| code.entry().word).collect();
    let (mut left_out, mut named) = (BTreeSet::new(), BTreeSet::new());
    let alerts = alerts();
    for (alert, expression) in &alerts {
        for word in expression.split(|c: char| c != '_' && !c.is_ascii_alphanumeric()) {
            assert!(!word.starts_with("bothends_") || metrics.contains(word), "{alert} names {word}");
        }
        for (operator, leaves_out) in [("code!~", true), ("code=~", false), ("code=", false)] {
            let words = if leaves_out { &mut left_out } else { &mut named };
            for list in expression.split(&format!("{operator}\"")).skip(1) {
                words.extend(list.split('"').next().unwrap().split('|'));
            }
        }
    }
    for word in left_out.iter().chain(&named) {
        assert!(codes.contains(word), "there is no code {word}");
    }
    // The alert on any problem leaves out codes with an alert of their own: these are covered by a metric.
    let by_metric =
        ["observe", "clock_off", "reload_refused", "no_aws_data", "aws_evidence_old", "aws_evidence_unclear"];
    named.extend(by_metric);
    assert_eq!(left_out, named);
}
