//! What holds for every history.

use proptest::prelude::*;

use super::timeline::{Case, Line, at};
use crate::domain::names::Role;
use crate::history::{Entry, Period};
use crate::report::{Asked, Buckets, Column, Report};

fn case() -> impl Strategy<Value = Case> {
    let role = prop::sample::select(vec![Role::Active, Role::Active, Role::Standby, Role::Unused]);
    let line = ("[UDlaLA?]{1,9}", "[-s]{0,40}", role);
    // The daemon runs for all tunnels or for none.
    let stretch = prop_oneof![1 => Just(None), 4 => prop::collection::vec(line, 3).prop_map(Some)];
    (1..4_usize, prop::collection::vec((1..9_usize, stretch), 1..6)).prop_map(|(tunnels, stretches)| {
        let mut lines = vec![(String::new(), String::new(), Role::Active); tunnels];
        for (length, stretch) in stretches {
            for (place, (codes, silenced, role)) in lines.iter_mut().enumerate() {
                let (more, quiet) = match &stretch {
                    None => (".".repeat(length), "-".repeat(length)),
                    Some(parts) => {
                        let (more, quiet, as_what) = &parts[place];
                        *role = *as_what;
                        (more.chars().cycle().take(length).collect(), format!("{quiet:-<length$}"))
                    }
                };
                codes.push_str(&more);
                silenced.extend(quiet.chars().take(length));
            }
        }
        let lines = lines.into_iter().map(|(codes, silenced, role)| Line { codes, silenced, role });
        Case { lines: lines.collect() }
    })
}

fn report(entries: &[Entry], case: &Case, period: Period) -> Report {
    Report::of(entries, &case.present(), &Asked { period, parts: Vec::new(), vpn: None }).unwrap()
}

fn buckets(report: &Report) -> Vec<Buckets> {
    let of = |column| report.accounts.iter().map(move |account| *account.whole.column(column));
    Column::ALL.into_iter().flat_map(of).collect()
}

proptest! {
    #[test]
    fn buckets_sum_to_the_period_to_the_millisecond(
        case in case(),
        from in -90_000..900_000_i64,
        length in 1..1_800_000_u64,
    ) {
        let begin = at(0).as_millis() + from;
        let from = crate::domain::time::Stamp::from_millis(begin);
        let length = std::time::Duration::from_millis(length);
        let period = Period { from, until: from + length };
        for buckets in buckets(&report(&case.entries(), &case, period)) {
            prop_assert_eq!(buckets.all(), length, "{:?}", buckets);
        }
    }

    #[test]
    fn two_parts_have_what_the_whole_has(case in case(), cut in any::<prop::sample::Index>()) {
        let whole = case.period();
        let millis = usize::try_from(whole.length().as_millis()).unwrap();
        let cut = whole.from + std::time::Duration::from_millis(u64::try_from(cut.index(millis)).unwrap());
        let entries = case.entries();
        let [first, second] = [Period { until: cut, ..whole }, Period { from: cut, ..whole }]
            .map(|part| buckets(&report(&entries, &case, part)));
        let sum: Vec<Buckets> = first.into_iter().zip(second).map(|(a, b)| [a, b].into_iter().sum()).collect();
        prop_assert_eq!(sum, buckets(&report(&entries, &case, whole)));
    }

    #[test]
    fn the_order_of_the_entries_does_not_matter(case in case(), by in any::<prop::sample::Index>()) {
        let entries = case.entries();
        let mut other = entries.clone();
        other.reverse();
        other.rotate_left(by.index(entries.len().max(1)));
        let period = case.period();
        prop_assert_eq!(report(&entries, &case, period), report(&other, &case, period));
    }

    #[test]
    fn what_is_not_observed_is_never_up(case in case()) {
        let period = case.period();
        let stopped = case.lines[0].codes.chars().filter(|code| *code == '.').count();
        for buckets in buckets(&report(&case.entries(), &case, period)) {
            prop_assert!(buckets.unobserved >= std::time::Duration::from_secs(60 * stopped as u64));
        }
    }

    #[test]
    fn outages_are_in_order_and_hold_all_the_time_down(case in case()) {
        for account in &report(&case.entries(), &case, case.period()).accounts {
            let outages: Vec<_> = account.outages.iter().map(|happening| &happening.outage).collect();
            for pair in outages.windows(2) {
                prop_assert!(pair[0].until <= pair[1].from);
            }
            let both = account.whole.both;
            let down: std::time::Duration = outages.iter().map(|outage| outage.down).sum();
            prop_assert_eq!(down, both.down + both.silenced.down);
            for outage in outages {
                prop_assert!(outage.down <= outage.lasted() && outage.silenced <= outage.down);
                prop_assert!(outage.local.is_none_or(|at| at <= outage.until));
            }
        }
    }
}
