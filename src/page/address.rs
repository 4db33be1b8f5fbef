//! Addresses that a browser may follow.

/// Whether the text is one: anything but http and https, such as `javascript:`, may do something else.
pub(super) fn may_be_followed(text: &str) -> bool {
    let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    matches!(scheme.as_deref(), Some("https" | "http"))
}
