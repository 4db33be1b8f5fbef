//! `[probe]` and `[incident]`, and what a connection says otherwise, key by key.

use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::domain::plan::{IncidentRules, ProbeRules};

use super::duration::{DurationBounds, ShownDuration};
use super::problem::Notes;
use super::section::Section;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

const INTERVAL: DurationBounds = DurationBounds::new(Duration::from_millis(100), MINUTE);
const SUSPECT_INTERVAL: DurationBounds = DurationBounds::new(Duration::from_millis(50), MINUTE);
const TIMEOUT: DurationBounds = DurationBounds::new(Duration::from_millis(100), Duration::from_secs(10));
const RUN: RangeInclusive<u32> = 1..=1000;

/// Longer than an hour nobody means to go without a page.
const OPEN_AFTER: DurationBounds = DurationBounds::new(Duration::ZERO, HOUR);
/// Below some minutes AWS's evidence is too old to tell one-sided from late; seconds are for trying it out.
const ONE_SIDED_AFTER: DurationBounds =
    DurationBounds::new(Duration::from_secs(1), Duration::from_secs(24 * 3600));
/// Flapping doubles it up to an hour, so that more makes no sense; seconds are for trying it out.
const RESOLVE_AFTER: DurationBounds = DurationBounds::new(Duration::from_secs(1), HOUR);
const START_GRACE: DurationBounds = DurationBounds::new(Duration::ZERO, HOUR);

/// Where nothing is said.
pub(super) const PROBE_DEFAULT: ProbeRules = ProbeRules {
    interval: Duration::from_secs(1),
    suspect_interval: Duration::from_millis(200),
    timeout: Duration::from_secs(1),
    down_after: NonZeroU32::new(10).expect("ten is not zero, as the compiler has checked"),
    up_after: NonZeroU32::new(5).expect("five is not zero, as the compiler has checked"),
};

/// Where nothing is said.
pub(super) const INCIDENT_DEFAULT: IncidentRules = IncidentRules {
    open_after_outage: Duration::from_secs(30),
    open_after_redundancy_lost: Duration::from_secs(120),
    one_sided_after: Some(Duration::from_secs(900)),
    resolve_after: Duration::from_secs(300),
    start_grace: Duration::from_secs(120),
};

/// `base` with what `section` says otherwise.
pub(super) fn probe(section: &Section<'_>, base: ProbeRules, notes: &mut Notes) -> ProbeRules {
    let interval = section.duration("interval", &INTERVAL, notes).unwrap_or(base.interval);
    let rules = ProbeRules {
        interval,
        // Where nothing is said, a faster pace in calm takes the pace under suspicion along.
        suspect_interval: section
            .duration("suspect_interval", &SUSPECT_INTERVAL, notes)
            .unwrap_or(base.suspect_interval.min(interval)),
        timeout: section.duration("timeout", &TIMEOUT, notes).unwrap_or(base.timeout),
        down_after: run(section, "down_after", notes).unwrap_or(base.down_after),
        up_after: run(section, "up_after", notes).unwrap_or(base.up_after),
    };
    not_longer(section, ("suspect_interval", rules.suspect_interval), ("interval", rules.interval), notes);
    rules
}

/// `base` with what `section` says otherwise.
pub(super) fn incident(section: &Section<'_>, base: IncidentRules, notes: &mut Notes) -> IncidentRules {
    let open_after = section.section("open_after");
    IncidentRules {
        open_after_outage: open_after
            .duration("outage", &OPEN_AFTER, notes)
            .unwrap_or(base.open_after_outage),
        open_after_redundancy_lost: open_after
            .duration("redundancy_lost", &OPEN_AFTER, notes)
            .unwrap_or(base.open_after_redundancy_lost),
        one_sided_after: section
            .duration_or_off("one_sided_after", &ONE_SIDED_AFTER, notes)
            .unwrap_or(base.one_sided_after),
        resolve_after: section.duration("resolve_after", &RESOLVE_AFTER, notes).unwrap_or(base.resolve_after),
        start_grace: section.duration("start_grace", &START_GRACE, notes).unwrap_or(base.start_grace),
    }
}

/// Notes it if `short` is longer than `long`, once: where one of the two was set.
pub(super) fn not_longer(
    section: &Section<'_>,
    short: (&str, Duration),
    long: (&str, Duration),
    notes: &mut Notes,
) {
    if short.1 <= long.1 {
        return;
    }
    let said = |key: &str| if section.sets(key) { "" } else { " (not set here)" };
    let blamed = [short.0, long.0].into_iter().find(|key| section.sets(key));
    if let Some(key) = blamed {
        let what = format!(
            "{} = \"{}\"{} must not be longer than {} = \"{}\"{}: set both",
            short.0,
            ShownDuration(short.1),
            said(short.0),
            long.0,
            ShownDuration(long.1),
            said(long.0),
        );
        section.wrong(key, what, notes);
    }
}

fn run(section: &Section<'_>, key: &str, notes: &mut Notes) -> Option<NonZeroU32> {
    section.count(key, RUN, notes).and_then(NonZeroU32::new)
}
