//! Whatever happens, `status` ends with a code of a monitoring plugin: also when the program has a bug. A panic would abort it, and a
//! shell makes 134 of that, which Nagios takes for CRITICAL without a text.

use std::panic::{self, PanicHookInfo};

use super::nagios;
use super::watch::leave_screen;
use crate::cli::terminal;
use crate::http::summary::Level;
use crate::process::Exit;

/// From here on a panic prints `UNKNOWN` and exits with 3.
pub(super) fn guard(nagios: bool) {
    panic::set_hook(Box::new(move |panic| {
        leave_screen();
        // If even this cannot be printed, only the exit code is left.
        let _ = terminal::printed(&words(panic, nagios));
        std::process::exit(i32::from(Exit::Unknown.code()));
    }));
}

/// The place only: what a panic says may be of foreign origin.
fn words(panic: &PanicHookInfo<'_>, nagios: bool) -> String {
    let place = panic.location().map(|at| format!(" at {}:{}", at.file(), at.line())).unwrap_or_default();
    unknown(
        &format!("internal error{place} in bothends {}: please report it", env!("CARGO_PKG_VERSION")),
        nagios,
    )
}

/// The output where the state cannot be learned.
pub(super) fn unknown(why: &str, nagios: bool) -> String {
    if nagios {
        nagios::output(Level::Unknown, why, &[], &[])
    } else {
        let why = crate::cli::layout::harmless(why).replace('|', "/");
        format!("{}: {why}\n", Level::Unknown.word())
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    const CHILD: &str = "BOTHENDS_TEST_OF_A_PANIC";

    #[test]
    fn a_panic_is_unknown_and_exits_with_3() {
        if std::env::var_os(CHILD).is_some() {
            guard(true);
            let nothing: Vec<u8> = Vec::new();
            _ = nothing[nothing.len()];
            return;
        }
        let name = "cli::status::guard::tests::a_panic_is_unknown_and_exits_with_3";
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name])
            .env(CHILD, "1")
            .output()
            .unwrap();
        let said = String::from_utf8(child.stdout).unwrap();
        assert_eq!(child.status.code(), Some(3), "{said}");
        let line = said.lines().find(|line| line.contains("BOTHENDS")).unwrap_or_default();
        assert!(line.contains("BOTHENDS UNKNOWN - internal error at src/cli/status/guard.rs:"), "{said}");
        assert!(!line.contains("unwrap"), "{line}");
    }

    #[test]
    fn no_text_is_read_as_performance_data() {
        assert_eq!(unknown("Milan | primary\n|", false), "UNKNOWN: Milan / primary /\n");
        assert_eq!(unknown("Milan | primary", true), "BOTHENDS UNKNOWN - Milan / primary\n");
    }
}
