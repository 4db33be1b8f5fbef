//! Times for people.

/// The time without fractions of a second, and without its date if `near` has the same.
pub(super) fn short(time: &str, near: &str) -> String {
    let whole = match time.split_once('.') {
        Some((whole, _)) => format!("{whole}Z"),
        None => time.to_owned(),
    };
    match (whole.split_once('T'), near.split_once('T')) {
        (Some((day, clock)), Some((today, _))) if day == today => clock.to_owned(),
        _ => whole,
    }
}
