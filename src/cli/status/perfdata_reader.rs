//! A reader of performance data for tests, written from the guidelines and not from what writes it.

/// Perfdata as the guidelines describe it, read character by character: labels and values, warn, crit, min, max.
pub(super) fn read(text: &str) -> Vec<(String, Vec<String>)> {
    let mut rest = text;
    let mut found = Vec::new();
    while !rest.is_empty() {
        let (label, after) = match rest.strip_prefix('\'') {
            Some(mut inside) => {
                let mut label = String::new();
                loop {
                    let end = inside.find('\'').expect("a quote that is not closed");
                    label.push_str(&inside[..end]);
                    inside = &inside[end + 1..];
                    let Some(doubled) = inside.strip_prefix('\'') else { break };
                    label.push('\'');
                    inside = doubled;
                }
                (label, inside)
            }
            None => {
                let end = rest.find('=').expect("a label without a value");
                assert!(!rest[..end].contains([' ', '\'']), "{rest:?}");
                (rest[..end].to_owned(), &rest[end..])
            }
        };
        assert!(!label.is_empty() && !label.contains(['=', '|']), "{label:?}");
        let after = after.strip_prefix('=').expect("a label is followed by =");
        let end = after.find(' ').unwrap_or(after.len());
        let fields: Vec<String> = after[..end].split(';').map(str::to_owned).collect();
        assert!(fields.len() <= 5, "{fields:?}");
        let number = fields[0].trim_end_matches("ms").trim_end_matches('s').trim_end_matches('%');
        assert!(fields[0] == "U" || number.parse::<f64>().is_ok(), "{fields:?}");
        assert!(fields[0] == "U" || number.chars().all(|c| matches!(c, '0'..='9' | '.' | '-')), "{fields:?}");
        for bound in &fields[1..] {
            assert!(bound.is_empty() || bound.parse::<f64>().is_ok(), "{fields:?}");
        }
        found.push((label, fields));
        rest = after[end..].trim_start_matches(' ');
    }
    found
}
