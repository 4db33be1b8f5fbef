//! Samples and their statistics.

use super::put::Datum;

/// The samples of one datum or of one period.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Samples {
    count: f64,
    sum: f64,
    minimum: f64,
    maximum: f64,
    /// Each value and its count; None once a statistic set, which has lost them, is among the samples.
    values: Option<Vec<(f64, f64)>>,
}

/// A statistic that `GetMetricData` supports.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Statistic {
    SampleCount,
    Sum,
    Minimum,
    Maximum,
    Average,
    /// From 0 to 100.
    Percentile(f64),
}

impl Samples {
    pub(super) fn of(datum: &Datum) -> Self {
        if let Some(set) = &datum.statistic_values {
            return Self {
                count: set.sample_count,
                sum: set.sum,
                minimum: set.minimum,
                maximum: set.maximum,
                values: None,
            };
        }
        let values =
            datum.values.clone().or_else(|| datum.value.map(|value| vec![value])).unwrap_or_default();
        let counts = datum.counts.clone().unwrap_or_else(|| vec![1.0; values.len()]);
        Self::counted(values.into_iter().zip(counts).collect())
    }

    pub(super) fn one(value: f64) -> Self {
        Self::counted(vec![(value, 1.0)])
    }

    fn counted(values: Vec<(f64, f64)>) -> Self {
        Self {
            count: values.iter().map(|(_, count)| count).sum(),
            sum: values.iter().map(|(value, count)| value * count).sum(),
            minimum: values.iter().map(|(value, _)| *value).fold(f64::INFINITY, f64::min),
            maximum: values.iter().map(|(value, _)| *value).fold(f64::NEG_INFINITY, f64::max),
            values: Some(values),
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.sum += other.sum;
        self.minimum = self.minimum.min(other.minimum);
        self.maximum = self.maximum.max(other.maximum);
        self.values = self.values.take().zip(other.values).map(|(mut all, more)| {
            all.extend(more);
            all
        });
    }

    /// None if the samples do not contain it.
    pub(super) fn statistic(&self, statistic: Statistic) -> Option<f64> {
        match statistic {
            Statistic::SampleCount => Some(self.count),
            Statistic::Sum => Some(self.sum),
            Statistic::Minimum => Some(self.minimum),
            Statistic::Maximum => Some(self.maximum),
            Statistic::Average => (self.count > 0.0).then(|| self.sum / self.count),
            Statistic::Percentile(percent) => self.percentile(percent),
        }
    }

    /// The nearest rank.
    fn percentile(&self, percent: f64) -> Option<f64> {
        let mut values = self.values.clone()?;
        values.sort_by(|a, b| a.0.total_cmp(&b.0));
        let rank = self.count * percent / 100.0;
        let mut seen = 0.0;
        for (value, count) in &values {
            seen += count;
            if seen >= rank {
                return Some(*value);
            }
        }
        values.last().map(|(value, _)| *value)
    }
}

impl Statistic {
    /// `Average`, `p99.9`, …; None for what is not a statistic, or not one that the stand-in computes.
    pub(super) fn parse(name: &str) -> Option<Self> {
        match name {
            "SampleCount" => Some(Self::SampleCount),
            "Sum" => Some(Self::Sum),
            "Minimum" => Some(Self::Minimum),
            "Maximum" => Some(Self::Maximum),
            "Average" => Some(Self::Average),
            _ => {
                let digits =
                    name.strip_prefix('p').filter(|d| d.bytes().all(|b| b.is_ascii_digit() || b == b'.'))?;
                digits.parse().ok().filter(|percent| (0.0..=100.0).contains(percent)).map(Self::Percentile)
            }
        }
    }
}
