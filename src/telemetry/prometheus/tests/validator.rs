//! A strict reader of Prometheus' text format 0.0.4, for tests.

use std::collections::{BTreeMap, BTreeSet};

/// A valid exposition's samples, by series as written.
pub(super) type Samples = BTreeMap<String, f64>;

type Labels = Vec<(String, String)>;

/// Reads an exposition, or says what is wrong with it.
pub(super) fn validate(text: &str) -> Result<Samples, String> {
    if !text.ends_with('\n') {
        return Err("the last line has no end".to_owned());
    }
    let mut reader = Reader::default();
    for line in text.lines() {
        reader.line(line).map_err(|error| format!("{error}, in {line:?}"))?;
    }
    for (family, kind) in &reader.types {
        if !reader.helped.contains(family) {
            return Err(format!("{family} has no HELP"));
        }
        if kind == "histogram" {
            histogram(family, &reader.samples)?;
        }
    }
    Ok(reader.samples)
}

#[derive(Default)]
struct Reader {
    helped: BTreeSet<String>,
    types: BTreeMap<String, String>,
    closed: BTreeSet<String>,
    current: String,
    samples: Samples,
}

impl Reader {
    fn line(&mut self, line: &str) -> Result<(), String> {
        if line.is_empty() {
            return Ok(());
        }
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (family, help) = rest.split_once(' ').ok_or("HELP without text")?;
            self.enter(family)?;
            if help.is_empty() || !self.helped.insert(family.to_owned()) {
                return Err("HELP twice, or empty".to_owned());
            }
            return Ok(());
        }
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (family, kind) = rest.split_once(' ').ok_or("TYPE without a type")?;
            self.enter(family)?;
            if !["counter", "gauge", "histogram"].contains(&kind) {
                return Err("not a type in use".to_owned());
            }
            return match self.types.insert(family.to_owned(), kind.to_owned()) {
                None => Ok(()),
                Some(_) => Err("TYPE twice".to_owned()),
            };
        }
        if line.starts_with('#') {
            return Err("a comment that nobody wrote".to_owned());
        }
        self.sample(line)
    }

    /// A family's lines stand together.
    fn enter(&mut self, family: &str) -> Result<(), String> {
        if self.current != family {
            let left = std::mem::replace(&mut self.current, family.to_owned());
            self.closed.insert(left);
        }
        if self.closed.contains(family) { Err("the family is scattered".to_owned()) } else { Ok(()) }
    }

    fn sample(&mut self, line: &str) -> Result<(), String> {
        let name_end = line.find(['{', ' ']).ok_or("no value")?;
        let (name, rest) = line.split_at(name_end);
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Err("not a name".to_owned());
        }
        let kind = self.types.get(&self.current).ok_or("a sample before its TYPE")?;
        let of_family = match kind.as_str() {
            "histogram" => name
                .strip_prefix(self.current.as_str())
                .is_some_and(|s| ["_bucket", "_sum", "_count"].contains(&s)),
            _ => name == self.current,
        };
        if !of_family {
            return Err(format!("a sample among those of {}", self.current));
        }
        let (labels, value) = match rest.strip_prefix('{') {
            None => (Vec::new(), rest),
            Some(rest) => labels(rest)?,
        };
        let names: BTreeSet<_> = labels.iter().map(|(name, _)| name).collect();
        if names.len() != labels.len() {
            return Err("a label twice".to_owned());
        }
        let value = match value.strip_prefix(' ').ok_or("no space before the value")? {
            "+Inf" => f64::INFINITY,
            "-Inf" => f64::NEG_INFINITY,
            number => number.parse().map_err(|_| "not a number")?,
        };
        let series = line[..line.rfind(' ').unwrap_or(line.len())].to_owned();
        match self.samples.insert(series, value) {
            None => Ok(()),
            Some(_) => Err("a series twice".to_owned()),
        }
    }
}

/// Label pairs up to the closing brace, and what comes after it.
fn labels(mut rest: &str) -> Result<(Labels, &str), String> {
    let mut labels = Vec::new();
    loop {
        let (name, after) = rest.split_once("=\"").ok_or("a label without a value")?;
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Err(format!("{name:?} is no label"));
        }
        let mut value = String::new();
        let mut chars = after.char_indices();
        let end = loop {
            match chars.next().ok_or("a label value without an end")? {
                (at, '"') => break at,
                (_, '\\') => match chars.next() {
                    Some((_, 'n')) => value.push('\n'),
                    Some((_, c @ ('\\' | '"'))) => value.push(c),
                    _ => return Err("an escape that does not exist".to_owned()),
                },
                (_, c) => value.push(c),
            }
        };
        labels.push((name.to_owned(), value));
        let after = &after[end + 1..];
        if let Some(after) = after.strip_prefix('}') {
            return Ok((labels, after));
        }
        rest = after.strip_prefix(',').ok_or("no comma between labels")?;
    }
}

/// Buckets never fall, end in +Inf, and agree with `_count`; `_sum` is there.
fn histogram(family: &str, samples: &Samples) -> Result<(), String> {
    for (count_series, count) in samples.iter().filter(|(s, _)| s.starts_with(&format!("{family}_count"))) {
        let labels = count_series.trim_start_matches(&format!("{family}_count"));
        let inner = labels.trim_start_matches('{').trim_end_matches('}');
        let mut buckets: Vec<(f64, f64)> = samples
            .iter()
            .filter(|(s, _)| s.starts_with(&format!("{family}_bucket")) && s.contains(inner))
            .filter_map(|(s, n)| {
                let le = s.split("le=\"").nth(1)?.split('"').next()?;
                Some((if le == "+Inf" { f64::INFINITY } else { le.parse().ok()? }, *n))
            })
            .collect();
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        if buckets.windows(2).any(|pair| pair[0].1 > pair[1].1) {
            return Err(format!("{family}: buckets fall"));
        }
        if buckets.last() != Some(&(f64::INFINITY, *count)) {
            return Err(format!("{family}: the bucket +Inf is not the count"));
        }
        if !samples.contains_key(&format!("{family}_sum{labels}")) {
            return Err(format!("{family}: no sum"));
        }
    }
    Ok(())
}

#[test]
fn the_validator_refuses_what_prometheus_would_refuse() {
    let head = "# HELP a b.\n# TYPE a gauge\n";
    for (bad, why) in [
        (format!("{head}a 1"), "end"),
        (format!("{head}a 1\na 2\n"), "twice"),
        (format!("{head}{head}a 1\n"), "twice"),
        (format!("{head}a{{x=\"\\q\"}} 1\n"), "escape"),
        (format!("{head}a{{x=\"1\",x=\"2\"}} 1\n"), "twice"),
        (format!("{head}b 1\n"), "among"),
        (format!("{head}a one\n"), "number"),
        ("a 1\n".to_owned(), "before"),
        ("# TYPE a gauge\na 1\n".to_owned(), "HELP"),
        (format!("{head}# HELP c d.\n# TYPE c gauge\nc 1\na 1\n"), "among"),
        (
            "# HELP h h.\n# TYPE h histogram\nh_bucket{le=\"+Inf\"} 2\nh_sum 1\nh_count 3\n".to_owned(),
            "count",
        ),
    ] {
        let refused = validate(&bad);
        assert!(refused.as_ref().is_err_and(|error| error.contains(why)), "{bad:?}: {refused:?}");
    }
}
