//! The rules of single texts, for who writes a configuration. What breaks a rule gets back what is expected, in words.

use std::sync::Arc;

use crate::domain::names::VpnId;

use super::patterns;
use super::section::Rule;

/// `vpn.id`.
///
/// # Errors
/// What is expected.
pub fn vpn_id(text: &str) -> Result<VpnId, &'static str> {
    obeyed(&patterns::VPN_ID, text)
}

/// `vpn.name`, `vpn.tunnel.name`.
///
/// # Errors
/// What is expected.
pub fn label(text: &str) -> Result<Arc<str>, &'static str> {
    obeyed(&patterns::LABEL, text)
}

/// `region`.
///
/// # Errors
/// What is expected.
pub fn region(text: &str) -> Result<Arc<str>, &'static str> {
    obeyed(&patterns::REGION, text)
}

/// `role_arn`.
///
/// # Errors
/// What is expected.
pub fn role_arn(text: &str) -> Result<Arc<str>, &'static str> {
    obeyed(&patterns::ROLE_ARN, text)
}

/// Whether a character does not show, and may make a text read as another: control characters; those that turn the direction
/// of reading (Unicode Standard Annex 9, section 2), in which a name can be made to look like its reverse; spaces of no width,
/// line separators, and tags. Joiners are left alone: some scripts need them.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

fn obeyed<T>(rule: &Rule<T>, text: &str) -> Result<T, &'static str> {
    (rule.parse)(text).ok_or(rule.allowed)
}
