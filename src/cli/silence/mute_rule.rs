//! The call of the AWS CLI that mutes the alarms of packaging/aws/alarms.yaml for the time of a silence (PutAlarmMuteRule,
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutAlarmMuteRule.html>).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::domain::names::VpnId;
use crate::domain::plan::Plan;
use crate::domain::silence::SilenceScope;
use crate::domain::time::Stamp;
use crate::silences::{NewSilence, Refusal, Zones, connections, local};

/// The alarms of a connection that notify somebody: what stands after `bothends-<id>-` in their names.
const ALARMS: [&str; 4] = ["outage", "redundancy_lost", "one_sided", "unwatched"];
/// Of these, what one silenced tunnel explains. That every tunnel is down is news all the same.
const ALARMS_OF_TUNNEL: [&str; 1] = ["redundancy_lost"];
/// "Each mute rule can target up to 100 specific alarms by name."
const TARGETS_MAX: usize = 100;
const MINUTE: Duration = Duration::from_secs(60);

/// When a rule mutes.
struct Schedule {
    /// Distinguishes it from the other rules of one silence.
    suffix: &'static str,
    expression: String,
    zone: Arc<str>,
    length: Duration,
    /// Since when it counts, if the next time is not meant.
    start: Option<Stamp>,
}

/// The calls, each for up to [`TARGETS_MAX`] alarms of one Region.
///
/// # Errors
/// What is wrong with the silence.
pub(super) fn calls(
    wanted: &NewSilence,
    plan: &Plan,
    now: Stamp,
    zones: Zones,
) -> Result<Vec<String>, Refusal> {
    let scopes = wanted.check(plan, now, zones)?;
    let mut alarms = BTreeMap::<Option<Arc<str>>, BTreeSet<String>>::new();
    for of in &scopes {
        let kinds = match of {
            SilenceScope::Site | SilenceScope::Parent(_) | SilenceScope::Connection(_) => &ALARMS[..],
            SilenceScope::Tunnel(_) => &ALARMS_OF_TUNNEL,
        };
        for vpn in connections(of, plan) {
            let names = kinds.iter().map(|kind| format!("bothends-{vpn}-{kind}"));
            alarms.entry(region(plan, &vpn)).or_default().extend(names);
        }
    }
    let (from, _) = wanted.window(now);
    let mut calls = Vec::new();
    for schedule in schedules(wanted, now, zones)? {
        for (region, names) in &alarms {
            let names: Vec<_> = names.iter().collect();
            for (part, names) in names.chunks(TARGETS_MAX).enumerate() {
                let name = format!("{}{}-{}", rule_name(plan, &scopes, from), schedule.suffix, part + 1);
                calls.push(call(&name, region.as_deref(), wanted, &schedule, names));
            }
        }
    }
    Ok(calls)
}

/// Where a connection, and so its alarms, are.
fn region(plan: &Plan, vpn: &VpnId) -> Option<Arc<str>> {
    plan.vpn(vpn)?.aws.sources.iter().find_map(|source| source.place.region.clone())
}

/// `bothends-milan-1-group-paris-20261201T0200`: the same silence gives the same name, and so replaces its rule; another one has
/// another name, for a rule that is replaced would no longer mute what it did. Several targets, and a target of which the name shows
/// less than it is, are told apart by a hash. At most 160 characters: AWS takes 255.
fn rule_name(plan: &Plan, scopes: &BTreeSet<SilenceScope>, from: Stamp) -> String {
    let site = plain(&plan.site);
    let target = match scopes.iter().collect::<Vec<_>>().as_slice() {
        [SilenceScope::Site] => "site".to_owned(),
        [SilenceScope::Connection(vpn)] => told_apart(plain(vpn.as_str()), vpn.as_str(), scopes),
        [SilenceScope::Parent(parent)] => {
            let whole = format!("{}-{}", parent.kind.as_str(), parent.name);
            told_apart(plain(&whole), &whole, scopes)
        }
        [SilenceScope::Tunnel(tunnel)] => {
            format!("tunnel-{}-{}", plain(&tunnel.outside_ip.to_string()), hash(scopes))
        }
        several => format!("{}-targets-{}", several.len(), hash(scopes)),
    };
    let at = local(from, &TimeZone::UTC).map(|at| at.strftime("%Y%m%dT%H%M").to_string());
    format!("bothends-{site}-{target}-{}", at.unwrap_or_default())
}

/// `shown`, with a hash if that is less than `whole`.
fn told_apart(shown: String, whole: &str, scopes: &BTreeSet<SilenceScope>) -> String {
    if shown == whole { shown } else { format!("{shown}-{}", hash(scopes)) }
}

/// Letters, digits and hyphens alone.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(64).collect()
}

/// Of all targets, in eight digits; the same in every version.
fn hash(scopes: &BTreeSet<SilenceScope>) -> String {
    let mut hash = Sha256::new();
    for scope in scopes {
        hash.update(scope.to_string());
        hash.update([0_u8]);
    }
    hash.finalize().iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

fn schedules(wanted: &NewSilence, now: Stamp, zones: Zones) -> Result<Vec<Schedule>, Refusal> {
    let (from, until) = wanted.window(now);
    let end = full_minute(until);
    let mut schedules = Vec::new();
    // What has begun is muted from the next minute but one on: a rule begins at a time to come.
    let begun = from <= now;
    if wanted.weekly.is_none() || begun {
        let begin = if begun { now.minute() + MINUTE * 2 } else { from.minute() };
        if let Some(at) = local(begin, &TimeZone::UTC).filter(|_| begin < end) {
            schedules.push(Schedule {
                suffix: "",
                expression: format!("at({})", at.strftime("%Y-%m-%dT%H:%M")),
                zone: "UTC".into(),
                length: end.since(begin),
                start: None,
            });
        }
    }
    if let Some(zone) = &wanted.weekly {
        let clocks = zones(zone).ok_or_else(|| Refusal::Zone(Arc::clone(zone)))?;
        let begin = from.minute();
        let at = local(begin, &clocks).ok_or(Refusal::TooFarAhead)?;
        let day = at.strftime("%a").to_string().to_uppercase();
        let in_a_week = from.since(now) > Duration::from_secs(7 * 24 * 3600);
        schedules.push(Schedule {
            suffix: "-weekly",
            expression: format!("cron({} {} * * {day})", at.minute(), at.hour()),
            zone: Arc::clone(zone),
            length: end.since(begin),
            start: in_a_week.then_some(begin),
        });
    }
    Ok(schedules)
}

/// The next full minute, or this one.
fn full_minute(at: Stamp) -> Stamp {
    if at.minute() == at { at } else { at.minute() + MINUTE }
}

fn call(
    name: &str,
    region: Option<&str>,
    wanted: &NewSilence,
    schedule: &Schedule,
    alarms: &[&String],
) -> String {
    let Schedule { suffix: _, expression, zone, length, start } = schedule;
    let minutes = length.as_secs() / 60;
    let duration = match (minutes / 60, minutes % 60) {
        (0, minutes) => format!("PT{minutes}M"),
        (hours, 0) => format!("PT{hours}H"),
        (hours, minutes) => format!("PT{hours}H{minutes}M"),
    };
    let rule = json!({ "Schedule": { "Expression": expression, "Duration": duration, "Timezone": &**zone } });
    let mut call = "aws cloudwatch put-alarm-mute-rule".to_owned();
    let mut option = |name: &str, value: &str| _ = write!(call, " \\\n  --{name} {}", quoted(value));
    if let Some(region) = region {
        option("region", region);
    }
    option("name", name);
    option("description", wanted.reason.trim());
    option("rule", &rule.to_string());
    option("mute-targets", &json!({ "AlarmNames": alarms }).to_string());
    if let Some(start) = start {
        option("start-date", &crate::clock::rfc3339(*start));
    }
    call
}

/// As one word for a shell.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests;
