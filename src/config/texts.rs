//! The rules of single texts, for who writes a configuration. What breaks a rule gets it back in an operator's words.

use std::sync::Arc;

use crate::domain::names::VpnId;

use super::patterns;
use super::section::Rule;

/// `vpn.id`.
///
/// # Errors
/// What is allowed.
pub fn vpn_id(text: &str) -> Result<VpnId, &'static str> {
    obeyed(&patterns::VPN_ID, text)
}

/// `vpn.name`, `vpn.tunnel.name`.
///
/// # Errors
/// What is allowed.
pub fn label(text: &str) -> Result<Arc<str>, &'static str> {
    obeyed(&patterns::LABEL, text)
}

/// `region`.
///
/// # Errors
/// What is allowed.
pub fn region(text: &str) -> Result<Arc<str>, &'static str> {
    obeyed(&patterns::REGION, text)
}

/// `role_arn`.
///
/// # Errors
/// What is allowed.
pub fn role_arn(text: &str) -> Result<Arc<str>, &'static str> {
    obeyed(&patterns::ROLE_ARN, text)
}

fn obeyed<T>(rule: &Rule<T>, text: &str) -> Result<T, &'static str> {
    (rule.parse)(text).ok_or(rule.allowed)
}
