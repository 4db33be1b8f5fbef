//! What happened while AWS could not be reached: our end's view as it was seen, AWS's as its metric tells it afterwards.
//!
//! Where both ends were Down at the same time for long enough to open an incident, there was one, and nobody was told. If it is
//! over nobody is paged for it any more: it is recorded. The conditions are those of [`super::condition`], except that what is
//! not known is not there: a minute without a datapoint says nothing, and neither does an end that was not asked.

use std::time::Duration;

use super::event::Datapoint;
use super::names::{Kind, Role, TunnelId};
use super::plan::IncidentRules;
use super::span::{Span, Spans};
use super::time::{Moment, Stamp};

/// What both ends have of one tunnel that is not unused.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// Which.
    pub tunnel: TunnelId,
    /// What it is for.
    pub role: Role,
    /// Whether our end has a say: it has seen the tunnel Up at least once.
    pub answers: bool,
    /// When our end was Down.
    pub local: Spans,
    /// When AWS's end was.
    pub aws: Spans,
}

/// A stretch of time in which a kind's condition held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Past {
    /// Which kind.
    pub kind: Kind,
    /// Since when both ends were Down.
    pub began: Moment,
    /// When they ceased to be.
    pub ended: Moment,
    /// The tunnels that both ends had Down in it, and from when to when.
    pub tunnels: Vec<(TunnelId, Span)>,
}

/// When AWS says that a tunnel was Down. A datapoint of 0 says so of its whole period; a fraction does not say of which part.
/// `answered` and `date` are one moment on our monotonic clock and on AWS's.
pub fn down_by_aws(points: &[Datapoint], answered: Moment, date: Stamp) -> Spans {
    let here = |stamp: Stamp| answered - date.since(stamp) + stamp.since(date);
    let down = points.iter().filter(|point| point.value == 0.0);
    Spans::of(
        down.map(|point| Span { from: here(point.stamp), to: here((point.stamp + point.period).min(date)) }),
    )
}

/// The incidents that there were, oldest first: those whose condition held for `open_after` at a stretch, and as long
/// within `cut_off`. Stretches that are less than `resolve_after` apart are one, as they would have been.
pub fn incidents(seen: &[Seen], cut_off: &Spans, rules: &IncidentRules) -> Vec<Past> {
    let agreed: Vec<Spans> = seen.iter().map(|tunnel| tunnel.local.and(&tunnel.aws)).collect();
    let active = seen.iter().zip(&agreed).filter(|(tunnel, _)| tunnel.role == Role::Active);
    let an_active_is_down = active.fold(Spans::default(), |any, (_, agreed)| any.or(agreed));
    // Where our end has no say AWS's word is not contradicted.
    let not_carrying = |tunnel: &Seen| if tunnel.answers { tunnel.local.clone() } else { tunnel.aws.clone() };
    let none_carries =
        seen.iter().map(not_carrying).reduce(|all, tunnel| all.and(&tunnel)).unwrap_or_default();
    let outage = an_active_is_down.and(&none_carries);
    let redundancy_lost = an_active_is_down.without(&outage);
    let mut past = Vec::new();
    for kind in Kind::ALL {
        let held = match kind {
            Kind::Outage => &outage,
            Kind::RedundancyLost => &redundancy_lost,
            // Of what one end alone says there is nothing to agree on afterwards.
            Kind::OneSided => continue,
        };
        let Some(open_after) = rules.open_after(kind) else { continue };
        for group in held.grouped(rules.resolve_after) {
            past.extend(incident(kind, &group, open_after, cut_off, seen, &agreed));
        }
    }
    past.sort_by_key(|past| (past.began, past.kind));
    past
}

fn incident(
    kind: Kind,
    group: &[Span],
    open_after: Duration,
    cut_off: &Spans,
    seen: &[Seen],
    agreed: &[Spans],
) -> Option<Past> {
    let long = |span: Span| span.length() >= open_after;
    let unseen = Spans::of(group.iter().copied()).and(cut_off);
    if !group.iter().copied().any(long) || !unseen.iter().any(long) {
        return None;
    }
    let (began, ended) = (group.first()?.from, group.last()?.to);
    let whole = Spans::of([Span { from: began, to: ended }]);
    let tunnels = seen.iter().zip(agreed).filter_map(|(tunnel, agreed)| {
        let within = agreed.and(&whole);
        let (first, last) = (within.iter().next()?, within.iter().last()?);
        Some((tunnel.tunnel.clone(), Span { from: first.from, to: last.to }))
    });
    Some(Past { kind, began, ended, tunnels: tunnels.collect() })
}

#[cfg(test)]
mod tests;
