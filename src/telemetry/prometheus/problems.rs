//! One series per problem that is or was open. One that is over stays, at 0, so that `changes()` and tables show what was.

use std::collections::BTreeMap;

use super::exposition::Exposition;
use crate::health::Code;
use crate::health::overview::OpenProblem;
use crate::telemetry::metric;

/// So many series are kept; beyond that those of problems that are over go first. Reloads can name ever other components.
const SERIES_MAX: usize = 2000;

/// Whether each problem that a scrape has seen is open.
#[derive(Debug, Default)]
pub(super) struct Series(BTreeMap<(Code, String), bool>);

impl Series {
    /// Takes in what is open now.
    pub(super) fn see(&mut self, open: &[OpenProblem]) {
        self.0.values_mut().for_each(|is_open| *is_open = false);
        self.0.extend(open.iter().map(|of| ((of.problem.code, of.component.to_string()), true)));
        let mut over = self.0.len().saturating_sub(SERIES_MAX);
        self.0.retain(|_, is_open| {
            let goes = !*is_open && over > 0;
            over -= usize::from(goes);
            !goes
        });
    }

    pub(super) fn write(&self, out: &mut Exposition) {
        let samples = self.0.iter().map(|((code, component), is_open)| {
            ([code.entry().word, component.as_str()], f64::from(u8::from(*is_open)))
        });
        out.family(&metric::PROBLEM, samples);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::{Component, Problem};

    fn open(sink: usize) -> OpenProblem {
        let component = Component::Sink(format!("webhook-{sink}"));
        OpenProblem { component, problem: Problem::new(Code::SinkRejects, "") }
    }

    #[test]
    fn a_problem_that_is_over_is_0_and_there_is_room_for_what_is_open() {
        let mut series = Series::default();
        series.see(&[open(0)]);
        series.see(&[open(1)]);
        let key = |sink| (Code::SinkRejects, format!("sink webhook-{sink}"));
        assert_eq!((series.0.get(&key(0)), series.0.get(&key(1))), (Some(&false), Some(&true)));
        let many: Vec<_> = (10..10 + SERIES_MAX).map(open).collect();
        series.see(&many);
        assert_eq!(series.0.len(), SERIES_MAX);
        assert!(series.0.values().all(|is_open| *is_open));
    }
}
