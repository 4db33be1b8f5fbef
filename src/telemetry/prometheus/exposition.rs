//! Prometheus' text format 0.0.4, written:
//! <https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>.

use std::fmt::Write as _;

use crate::settings::Labels;
use crate::telemetry::metric::Metric;

/// The text so far. Every family is written in one go, with its HELP and TYPE.
#[derive(Debug, Default)]
pub(super) struct Exposition {
    text: String,
}

impl Exposition {
    /// A family with one value per set of label values, these in the order of [`Metric::labels`]. Without samples nothing
    /// is written.
    pub(super) fn family<V, const N: usize>(
        &mut self,
        metric: &Metric,
        samples: impl IntoIterator<Item = ([V; N], f64)>,
    ) where
        V: AsRef<str>,
    {
        const NONE: &Labels = &Labels::new();
        self.family_with(metric, samples.into_iter().map(|(values, value)| (values, NONE, value)));
    }

    /// The same where each sample has further labels of its own.
    pub(super) fn family_with<'l, V, const N: usize>(
        &mut self,
        metric: &Metric,
        samples: impl IntoIterator<Item = ([V; N], &'l Labels, f64)>,
    ) where
        V: AsRef<str>,
    {
        let mut samples = samples.into_iter().peekable();
        if samples.peek().is_none() {
            return;
        }
        self.head(metric);
        for (values, more, value) in samples {
            self.sample(metric, &values, more, value);
        }
    }

    /// A family without labels.
    pub(super) fn single(&mut self, metric: &Metric, value: f64) {
        self.family(metric, [([""; 0], value)]);
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }

    fn head(&mut self, metric: &Metric) {
        let Metric { name, kind, labels: _, help } = metric;
        let help = help.replace('\\', r"\\").replace('\n', r"\n");
        // Writing to a String never fails.
        _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {}", kind.as_str());
    }

    fn sample<V: AsRef<str>>(&mut self, metric: &Metric, values: &[V], more: &Labels, value: f64) {
        debug_assert_eq!(metric.labels.len(), values.len(), "{}", metric.name);
        self.text.push_str(metric.name);
        let ours = metric.labels.iter().zip(values).map(|(label, value)| (*label, value.as_ref()));
        let labels = ours.chain(more.iter().map(|(label, value)| (&**label, &**value)));
        let mut before = '{';
        for (label, value) in labels {
            self.text.push(before);
            before = ',';
            self.text.push_str(label);
            self.text.push_str("=\"");
            push_label_value(&mut self.text, value);
            self.text.push('"');
        }
        if before == ',' {
            self.text.push('}');
        }
        self.text.push(' ');
        push_number(&mut self.text, value);
        self.text.push('\n');
    }
}

fn push_label_value(text: &mut String, value: &str) {
    for c in value.chars() {
        match c {
            '\\' => text.push_str(r"\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str(r"\n"),
            other => text.push(other),
        }
    }
}

fn push_number(text: &mut String, value: f64) {
    if value.is_infinite() {
        text.push_str(if value > 0.0 { "+Inf" } else { "-Inf" });
    } else {
        // Writing to a String never fails; Rust's NaN is Prometheus' NaN.
        _ = write!(text, "{value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::metric;

    #[test]
    fn a_label_value_is_escaped_as_the_format_wants_it() {
        let mut out = Exposition::default();
        out.family(&metric::SINK_PENDING, [(["a\\b\"c\nd"], 2.0)]);
        assert_eq!(out.into_text().lines().last(), Some(r#"bothends_sink_pending{sink="a\\b\"c\nd"} 2"#));
    }

    #[test]
    fn numbers_beyond_the_finite_are_written_in_prometheus_words() {
        let written = [f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 0.25].map(|value| {
            let mut text = String::new();
            push_number(&mut text, value);
            text
        });
        assert_eq!(written, ["+Inf", "-Inf", "NaN", "0.25"]);
    }

    #[test]
    fn own_labels_stand_after_ours_and_are_escaped_likewise() {
        let own = Labels::from([("team".into(), "a\"b".into()), ("environment".into(), "prod".into())]);
        let mut out = Exposition::default();
        out.family_with(&metric::SINK_PENDING, [(["x"], &own, 2.0), (["y"], &Labels::new(), 1.0)]);
        let text = out.into_text();
        let lines: Vec<_> = text.lines().skip(2).collect();
        assert_eq!(
            lines,
            [
                r#"bothends_sink_pending{sink="x",environment="prod",team="a\"b"} 2"#,
                r#"bothends_sink_pending{sink="y"} 1"#
            ]
        );
    }

    #[test]
    fn a_family_without_samples_leaves_no_trace() {
        let mut out = Exposition::default();
        out.family(&metric::SINK_PENDING, None::<([&str; 1], f64)>);
        assert_eq!(out.into_text(), "");
    }
}
