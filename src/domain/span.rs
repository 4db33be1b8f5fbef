//! Stretches of time, and sets of them.

use std::time::Duration;

use super::time::Moment;

/// From a moment up to and excluding another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// Its first moment.
    pub from: Moment,
    /// Its end.
    pub to: Moment,
}

impl Span {
    /// How long it is.
    pub fn length(self) -> Duration {
        self.to.since(self.from)
    }
}

/// Spans in order, none of which touches another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spans(Vec<Span>);

impl Spans {
    /// The set of what lies in any of `spans`.
    pub fn of(spans: impl IntoIterator<Item = Span>) -> Self {
        let mut spans: Vec<Span> = spans.into_iter().filter(|span| span.from < span.to).collect();
        spans.sort_unstable();
        let mut set: Vec<Span> = Vec::with_capacity(spans.len());
        for span in spans {
            match set.last_mut() {
                Some(last) if span.from <= last.to => last.to = last.to.max(span.to),
                Some(_) | None => set.push(span),
            }
        }
        Self(set)
    }

    /// Each span.
    pub fn iter(&self) -> impl Iterator<Item = Span> {
        self.0.iter().copied()
    }

    /// What lies in either.
    pub fn or(&self, other: &Self) -> Self {
        Self::of(self.iter().chain(other.iter()))
    }

    /// What lies in both.
    pub fn and(&self, other: &Self) -> Self {
        let overlap = |a: Span, b: Span| Span { from: a.from.max(b.from), to: a.to.min(b.to) };
        Self::of(self.iter().flat_map(|a| other.iter().map(move |b| overlap(a, b))))
    }

    /// What lies in this and not in the other.
    pub fn without(&self, other: &Self) -> Self {
        let mut left = Vec::new();
        for span in self.iter() {
            let mut from = span.from;
            for cut in other.iter().filter(|cut| cut.from < span.to && cut.to > span.from) {
                left.push(Span { from, to: cut.from });
                from = cut.to;
            }
            left.push(Span { from, to: span.to });
        }
        Self::of(left)
    }

    /// In groups: two that are less than `apart` from each other are in one.
    pub fn grouped(&self, apart: Duration) -> Vec<Vec<Span>> {
        let mut groups: Vec<Vec<Span>> = Vec::new();
        for span in self.iter() {
            match groups.last_mut() {
                Some(group) if group.last().is_some_and(|last| span.from.since(last.to) < apart) => {
                    group.push(span);
                }
                Some(_) | None => groups.push(vec![span]),
            }
        }
        groups
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spans(pairs: &[(i64, i64)]) -> Spans {
        let at = Moment::from_nanos;
        Spans::of(pairs.iter().map(|(from, to)| Span { from: at(*from), to: at(*to) }))
    }

    #[test]
    fn what_touches_is_one_and_what_is_empty_is_none() {
        assert_eq!(spans(&[(5, 7), (1, 3), (3, 5), (9, 9), (8, 6)]), spans(&[(1, 7)]));
    }

    #[test]
    fn a_group_ends_where_the_next_is_far() {
        let groups = spans(&[(0, 10), (12, 20), (30, 40)]).grouped(Duration::from_nanos(10));
        assert_eq!(groups.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1]);
    }

    proptest! {
        #[test]
        fn sets_are_what_their_moments_are(
            a in prop::collection::vec((0_i64..30, 0_i64..30), 0..6),
            b in prop::collection::vec((0_i64..30, 0_i64..30), 0..6),
        ) {
            let (a, b) = (spans(&a), spans(&b));
            let has = |set: &Spans, at: i64| {
                set.iter().any(|span| (span.from.as_nanos()..span.to.as_nanos()).contains(&at))
            };
            for at in 0..30 {
                prop_assert_eq!(has(&a.or(&b), at), has(&a, at) || has(&b, at));
                prop_assert_eq!(has(&a.and(&b), at), has(&a, at) && has(&b, at));
                prop_assert_eq!(has(&a.without(&b), at), has(&a, at) && !has(&b, at));
            }
        }
    }
}
