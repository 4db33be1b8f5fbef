//! The single tables: `[site]`, `[aws]`, `[cloudwatch]` and `[store]` for the daemon as a whole; `[probe]` and
//! `[incident]`, which a connection can override key by key.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::patterns;
use super::problem::Notes;
use super::quantity::{DurationBounds, ShownDuration, SizeBounds};
use super::section::Section;
use super::settings::{AwsDefaults, CloudWatchSettings};
use crate::domain::plan::{AwsRules, IncidentRules, ProbeRules, QualityRules};
use crate::settings::StoreSettings;

/// EC2's throttling allows no faster polling, and evidence that is 15 min old is stale.
const POLL_INTERVAL: DurationBounds = DurationBounds::new(Duration::from_secs(5), Duration::from_secs(900));
const SUSPECT_POLL_INTERVAL: DurationBounds =
    DurationBounds::new(Duration::from_secs(2), Duration::from_secs(900));
/// CloudWatch shows a datapoint of `TunnelState` after some minutes; shorter values suit EC2's fresher evidence.
const STALE_AFTER: DurationBounds = DurationBounds::new(Duration::from_secs(10), Duration::from_secs(3600));
const PUT_INTERVAL: DurationBounds = DurationBounds::new(Duration::from_secs(10), Duration::from_secs(300));

/// Below this the incidents of a bad day would leave no room for history; more is a typing error on a router's disk.
const MAX_SIZE: SizeBounds = SizeBounds::new(4_000_000, 10_000_000_000);
const DAY: u64 = 24 * 3600;
/// Openings of the last day are needed.
const KEEP: DurationBounds = DurationBounds::new(Duration::from_secs(DAY), Duration::from_secs(3650 * DAY));

const STATE_DIRECTORY_DEFAULT: &str = "/var/lib/bothends";

/// `site.name`, or the host's.
pub(super) fn site(section: &Section<'_>, host_name: Option<&str>, notes: &mut Notes) -> Arc<str> {
    if section.sets("name") {
        return section.text("name", &patterns::SITE_NAME, notes).unwrap_or_default();
    }
    let Some(name) = host_name.and_then(patterns::SITE_NAME.parse) else {
        section.missing("name", patterns::SITE_NAME.allowed, notes);
        return Arc::default();
    };
    if &*name == "localhost" {
        section.warn(
            "name",
            "not set, and this host is called \"localhost\": set a name that is unique per daemon",
            notes,
        );
    }
    name
}

/// `site.votes_if_address`.
pub(super) fn votes_if_address(section: &Section<'_>, notes: &mut Notes) -> Option<IpAddr> {
    section.text("votes_if_address", &patterns::MOVING_IP, notes)
}

/// `[aws]`; the rules have no sources yet.
pub(super) fn aws(section: &Section<'_>, notes: &mut Notes) -> (AwsDefaults, AwsRules) {
    let settings = AwsDefaults {
        region: section.text("region", &patterns::REGION, notes),
        ec2_telemetry: section.flag("ec2_telemetry", notes).unwrap_or(false),
        key_exchange: section.text("tls_key_exchange", &patterns::KEY_EXCHANGE, notes).unwrap_or_default(),
    };
    let poll_interval =
        section.duration("poll_interval", &POLL_INTERVAL, notes).unwrap_or(Duration::from_secs(60));
    let rules = AwsRules {
        poll_interval,
        // By default the pace in doubt is never slower than the pace in calm.
        suspect_poll_interval: section
            .duration("suspect_poll_interval", &SUSPECT_POLL_INTERVAL, notes)
            .unwrap_or(Duration::from_secs(15).min(poll_interval)),
        stale_after: section.duration("stale_after", &STALE_AFTER, notes).unwrap_or(Duration::from_secs(600)),
        sources: Vec::new(),
    };
    let poll_interval = ("poll_interval", rules.poll_interval);
    not_longer(section, ("suspect_poll_interval", rules.suspect_poll_interval), poll_interval, notes);
    // Otherwise all evidence is stale before the next poll.
    not_longer(section, poll_interval, ("stale_after", rules.stale_after), notes);
    (settings, rules)
}

/// `[cloudwatch]`; `None` if it is turned off.
pub(super) fn cloudwatch(section: &Section<'_>, notes: &mut Notes) -> Option<CloudWatchSettings> {
    let settings = CloudWatchSettings {
        namespace: section
            .text("namespace", &patterns::NAMESPACE, notes)
            .unwrap_or_else(|| "BothEnds".into()),
        interval: section.duration("interval", &PUT_INTERVAL, notes).unwrap_or(Duration::from_secs(60)),
        region: section.text("region", &patterns::REGION, notes),
        role_arn: section.text("role_arn", &patterns::ROLE_ARN, notes),
    };
    section.flag("enabled", notes).unwrap_or(true).then_some(settings)
}

/// `[store]`. systemd names the state directory in `STATE_DIRECTORY`, several with colons between them (systemd.exec(5)).
pub(super) fn store(
    section: &Section<'_>,
    env: &BTreeMap<String, String>,
    spool: bool,
    notes: &mut Notes,
) -> StoreSettings {
    let path = section.text("path", &patterns::FILE_PATH, notes).unwrap_or_else(|| {
        let directory =
            env.get("STATE_DIRECTORY").and_then(|list| list.split(':').find(|one| one.starts_with('/')));
        PathBuf::from(directory.unwrap_or(STATE_DIRECTORY_DEFAULT)).join("bothends.db")
    });
    StoreSettings {
        path,
        max_size: section.size("max_size", &MAX_SIZE, notes).unwrap_or(64_000_000),
        keep: section.duration("keep", &KEEP, notes).unwrap_or(Duration::from_secs(90 * DAY)),
        spool,
    }
}

//--- `[probe]`, `[quality]` and `[incident]`

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

const INTERVAL: DurationBounds = DurationBounds::new(Duration::from_millis(100), MINUTE);
const SUSPECT_INTERVAL: DurationBounds = DurationBounds::new(Duration::from_millis(50), MINUTE);
const TIMEOUT: DurationBounds = DurationBounds::new(Duration::from_millis(100), Duration::from_secs(10));
const RUN: RangeInclusive<u32> = 1..=1000;

/// Nobody wants to wait longer than an hour for a page.
const OPEN_AFTER: DurationBounds = DurationBounds::new(Duration::ZERO, HOUR);
/// Below some minutes AWS's evidence is too old to distinguish one-sided from late; seconds are for testing.
const ONE_SIDED_AFTER: DurationBounds =
    DurationBounds::new(Duration::from_secs(1), Duration::from_secs(24 * 3600));
/// Flapping doubles it up to an hour, so more makes no sense; seconds are for testing.
const RESOLVE_AFTER: DurationBounds = DurationBounds::new(Duration::from_secs(1), HOUR);
const START_GRACE: DurationBounds = DurationBounds::new(Duration::ZERO, HOUR);

/// A longer round trip than the longest `timeout` is a loss.
const MAX_RTT: DurationBounds = DurationBounds::new(Duration::from_millis(1), Duration::from_secs(10));
/// Judged once a second; seconds are for testing.
const QUALITY_AFTER: DurationBounds = DurationBounds::new(Duration::from_secs(1), HOUR);

/// The defaults.
pub(super) const PROBE_DEFAULT: ProbeRules = ProbeRules {
    interval: Duration::from_secs(1),
    suspect_interval: Duration::from_millis(200),
    timeout: Duration::from_secs(1),
    down_after: NonZeroU32::new(10).expect("ten is not zero, as the compiler has checked"),
    up_after: NonZeroU32::new(5).expect("five is not zero, as the compiler has checked"),
};

/// The defaults.
pub(super) const INCIDENT_DEFAULT: IncidentRules = IncidentRules {
    open_after_outage: Duration::from_secs(30),
    open_after_redundancy_lost: Duration::from_secs(120),
    one_sided_after: Some(Duration::from_secs(900)),
    degraded_after: Some(Duration::from_secs(300)),
    resolve_after: Duration::from_secs(300),
    start_grace: Duration::from_secs(120),
};

/// `base`, overridden by `section`.
pub(super) fn probe(section: &Section<'_>, base: ProbeRules, notes: &mut Notes) -> ProbeRules {
    let interval = section.duration("interval", &INTERVAL, notes).unwrap_or(base.interval);
    let rules = ProbeRules {
        interval,
        // By default the pace under suspicion is never slower than the pace in calm.
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

/// `base`, overridden by `section`.
pub(super) fn quality(section: &Section<'_>, base: QualityRules, notes: &mut Notes) -> QualityRules {
    QualityRules {
        max_loss_percent: section.text("max_loss", &patterns::LOSS, notes).unwrap_or(base.max_loss_percent),
        max_rtt: section.duration_or_off("max_rtt", &MAX_RTT, notes).unwrap_or(base.max_rtt),
        max_jitter: section.duration_or_off("max_jitter", &MAX_RTT, notes).unwrap_or(base.max_jitter),
        after: section.duration("after", &QUALITY_AFTER, notes).unwrap_or(base.after),
    }
}

/// `base`, overridden by `section`.
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
        degraded_after: open_after
            .duration_or_off("degraded", &OPEN_AFTER, notes)
            .unwrap_or(base.degraded_after),
        resolve_after: section.duration("resolve_after", &RESOLVE_AFTER, notes).unwrap_or(base.resolve_after),
        start_grace: section.duration("start_grace", &START_GRACE, notes).unwrap_or(base.start_grace),
    }
}

/// Reports that `short` is longer than `long`, once, where one of the two was set.
fn not_longer(section: &Section<'_>, short: (&str, Duration), long: (&str, Duration), notes: &mut Notes) {
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
