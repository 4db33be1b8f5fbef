//! What a configuration entails: the figures that `bothends check` prints beside it.

use std::time::Duration;

use crate::domain::names::SourceId;
use crate::domain::plan::{Plan, ProbeRules, VpnPlan};

use super::settings::{AwsDefaults, CloudWatchSettings, VpnDetails};

/// AWS's bills are by the month; this one has 30 days.
const MONTH: Duration = Duration::from_secs(30 * 24 * 3600);
/// No echo is overdue sooner; on lines of up to 25 ms it is when one becomes overdue.
const OVERDUE_MIN: Duration = Duration::from_millis(100);
/// `TunnelUp`, `PacketLoss`, `RoundTripTime`, `BothEndsDown`.
const METRICS_PER_TUNNEL: usize = 4;
/// `Heartbeat`, once by connection and once by connection and site.
const METRICS_PER_VPN: usize = 2;

/// From a break to the local Down, on a line of up to 25 ms: the first echo is lost half an interval after the break and
/// overdue soon after, the others follow under suspicion, and the oldest must be past its timeout.
pub(super) fn locally_down_after(rules: &ProbeRules) -> Duration {
    let overdue = rules.timeout.min(OVERDUE_MIN);
    let further = rules.down_after.get() - 1;
    let all_overdue = match further.checked_sub(1) {
        None => overdue,
        Some(gaps) => overdue + rules.suspect_interval * gaps + overdue,
    };
    rules.interval / 2 + all_overdue.max(rules.timeout)
}

/// Calls a month, one per interval.
pub(super) fn calls_a_month(interval: Duration) -> u64 {
    let calls = MONTH.as_millis() / interval.as_millis().max(1);
    u64::try_from(calls).unwrap_or(u64::MAX)
}

/// The connections a poller speaks for.
pub(super) fn asked_by<'p>(plan: &'p Plan, source: &SourceId) -> impl Iterator<Item = &'p VpnPlan> {
    plan.vpns.iter().map(AsRef::as_ref).filter(|vpn| vpn.aws.sources.contains(source))
}

/// The tunnels a poller speaks for.
pub(super) fn tunnels_asked_by(plan: &Plan, source: &SourceId) -> usize {
    asked_by(plan, source).map(|vpn| vpn.used_tunnels().count()).sum()
}

/// Custom metrics, each name with its dimensions being one.
pub(super) fn custom_metrics(plan: &Plan) -> usize {
    plan.vpns.iter().map(|vpn| METRICS_PER_VPN + METRICS_PER_TUNNEL * vpn.used_tunnels().count()).sum()
}

/// `PutMetricData` calls a month; a call takes 1,000 metrics.
pub(super) fn puts_a_month(settings: &CloudWatchSettings, metrics: usize) -> u64 {
    calls_a_month(settings.interval) * u64::try_from(metrics.div_ceil(1000)).unwrap_or(u64::MAX)
}

/// Why alarms beside the connection cannot see the daemon's metrics, by the key that says so: CloudWatch reads those of the
/// alarm's own Region and account (user guide, "Using Amazon CloudWatch alarms"). What the SDK's own chain would say is
/// not known, and nothing is said of it.
pub(super) fn metrics_elsewhere(
    vpn: &VpnDetails,
    aws: &AwsDefaults,
    metrics: &CloudWatchSettings,
) -> Vec<(&'static str, String)> {
    let so = "CloudWatch alarms beside the connection (alarms.yaml) will not see its heartbeat and will fire falsely";
    let mut why = Vec::new();
    let here = vpn.region.as_ref().or(aws.region.as_ref());
    let there = metrics.region.as_ref().or(aws.region.as_ref());
    if let (Some(here), Some(there)) = (here, there)
        && here != there
    {
        why.push(("region", format!("is {here}, and the daemon's metrics go to {there}: {so}")));
    }
    let (here, there) = (account(vpn.role_arn.as_deref()), account(metrics.role_arn.as_deref()));
    if here != there {
        why.push((
            "role_arn",
            format!("AWS is asked about it in {here}, and the daemon's metrics go to {there}: if these are different accounts, {so}"),
        ));
    }
    why
}

/// Whose account a role leads to.
fn account(role_arn: Option<&str>) -> String {
    role_arn
        .and_then(|role| role.split(':').nth(4))
        .map_or_else(|| "the daemon's own account".to_owned(), |account| format!("account {account}"))
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::config::rules::PROBE_DEFAULT;

    #[test]
    fn with_the_defaults_a_dead_tunnel_is_down_after_two_seconds_and_a_bit() {
        assert_eq!(locally_down_after(&PROBE_DEFAULT), Duration::from_millis(2_300));
    }

    #[test]
    fn one_lost_echo_still_has_its_timeout() {
        let rules = ProbeRules { down_after: NonZeroU32::MIN, ..PROBE_DEFAULT };
        assert_eq!(locally_down_after(&rules), Duration::from_millis(1_500));
        let rules = ProbeRules { timeout: Duration::from_secs(10), ..PROBE_DEFAULT };
        assert_eq!(locally_down_after(&rules), Duration::from_millis(10_500));
    }

    #[test]
    fn a_call_a_minute_is_43_200_a_month() {
        assert_eq!(calls_a_month(Duration::from_secs(60)), 43_200);
    }
}
