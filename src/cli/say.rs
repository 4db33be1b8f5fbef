//! Words to the person at the terminal.
//!
//! Whoever reads no further, as in `bothends check | head`, has read enough: that neither changes how a command ends nor
//! ends one half way, as the standard library's macros do.

use std::fmt::Arguments;
use std::io::{self, Write};

/// A line to standard output.
macro_rules! say {
    ($($words:tt)*) => { $crate::cli::say::text(format_args!("{}\n", format_args!($($words)*))) };
}

/// A line to standard error: what is wrong, what was left out, what to do.
macro_rules! complain {
    ($($words:tt)*) => { $crate::cli::say::aside(format_args!("{}\n", format_args!($($words)*))) };
}

/// Text to standard output as it is, at once.
pub(super) fn text(text: Arguments<'_>) {
    let mut out = io::stdout().lock();
    let _ = out.write_fmt(text).and_then(|()| out.flush());
}

/// Text to standard error as it is.
pub(super) fn aside(text: Arguments<'_>) {
    let _ = io::stderr().lock().write_fmt(text);
}
