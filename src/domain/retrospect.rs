//! What happened while AWS could not be reached: our end's view as it was seen, AWS's as its metric tells it afterwards.
//!
//! Where both ends were Down at the same time for long enough to open an incident, there was one, and nobody was told. If it is
//! over nobody is paged for it any more: it is recorded. The conditions are those of [`super::condition`], except that what is
//! not known is not there: a minute without a datapoint says nothing, and neither does an end that was not asked.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

use super::event::{Datapoint, Remembered};
use super::names::{Kind, Role, TunnelId};
use super::plan::{IncidentRules, VpnPlan};
use super::time::{Moment, Now, Stamp};

/// What both ends have of one tunnel that is not unused.
#[derive(Debug, Clone, PartialEq)]
pub struct TunnelPast {
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
pub struct PastIncident {
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
pub fn incidents(seen: &[TunnelPast], cut_off: &Spans, rules: &IncidentRules) -> Vec<PastIncident> {
    let agreed: Vec<Spans> = seen.iter().map(|tunnel| tunnel.local.and(&tunnel.aws)).collect();
    let active = seen.iter().zip(&agreed).filter(|(tunnel, _)| tunnel.role == Role::Active);
    let an_active_is_down = active.fold(Spans::default(), |any, (_, agreed)| any.or(agreed));
    // Where our end has no say AWS's word is not contradicted.
    let not_carrying =
        |tunnel: &TunnelPast| if tunnel.answers { tunnel.local.clone() } else { tunnel.aws.clone() };
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
    seen: &[TunnelPast],
    agreed: &[Spans],
) -> Option<PastIncident> {
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
    Some(PastIncident { kind, began, ended, tunnels: tunnels.collect() })
}

//--- stretches of time, and sets of them

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

/// CloudWatch shows a minute of `TunnelState` some minutes late: of what is over its last minutes are waited for.
const HISTORY_IS_WHOLE_AFTER: Duration = Duration::from_secs(300);
/// After a refusal the history is asked for again; it runs away from nobody.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(60);
/// A question that was neither answered nor refused is lost.
const QUESTION_LOST_AFTER: Duration = Duration::from_secs(180);
/// CloudWatch keeps minutes for 15 days (GetMetricData, API Reference); a day less, because clocks differ.
const HISTORY_KEPT: Duration = Duration::from_secs(14 * 24 * 3600);
/// A datapoint is stamped with the start of its minute: the one in which it all began lies before.
const PERIOD: Duration = Duration::from_secs(60);
/// A line that flaps for days without AWS: more would say the same.
const SPANS_MAX: usize = 512;

/// What our end saw while AWS could not be reached, kept until AWS's own history has been had.
#[derive(Debug, Default)]
pub struct CutOff {
    /// Since when AWS has not answered, although it was asked.
    since: Option<Moment>,
    /// When AWS was asked what it answered last, and what its clock read then.
    heard: Option<(Moment, Stamp)>,
    gaps: Vec<Span>,
    /// Tunnels that are locally Down, since when, and whether a gap has touched that.
    down: BTreeMap<TunnelId, (Moment, bool)>,
    /// When a tunnel was locally Down, where a gap has touched that.
    was_down: BTreeMap<TunnelId, Vec<Span>>,
    /// Kinds of which an incident was open during a gap: people know.
    told: BTreeSet<Kind>,
    /// When the history is to be asked for.
    due: Option<Moment>,
    asking: bool,
}

/// What our end saw.
#[derive(Debug, Default)]
pub struct Meanwhile {
    /// When AWS could not be reached.
    pub gaps: Spans,
    /// When each tunnel was locally Down.
    pub down: BTreeMap<TunnelId, Spans>,
    /// See [`CutOff`].
    pub told: BTreeSet<Kind>,
}

impl CutOff {
    /// With what an earlier run saw while it could not hear AWS, and could not find out about any more.
    pub fn resumed_from(remembered: &Remembered, plan: &VpnPlan, now: Now) -> Self {
        let at = |stamp: Stamp| now.mono - now.wall.since(stamp) + stamp.since(now.wall);
        let of_plan = remembered.unheard.iter().filter(|unheard| unheard.tunnel.vpn == plan.id);
        let told = remembered.incidents.iter().filter(|incident| incident.id.vpn == plan.id);
        let mut cut_off = Self::default();
        for unheard in of_plan {
            // Evidence grew stale before it was called so.
            let since = at(unheard.since) - plan.aws.stale_after;
            let down = unheard.down.iter().map(|(from, to)| Span { from: at(*from), to: at(*to) });
            let down: Vec<Span> = down.filter(|span| span.to > since).collect();
            cut_off.resume(&unheard.tunnel, since, down, told.clone().map(|incident| incident.id.kind));
        }
        cut_off
    }

    /// An earlier run had not heard AWS since then, and saw this tunnel Down meanwhile.
    pub fn resume(
        &mut self,
        tunnel: &TunnelId,
        since: Moment,
        down: Vec<Span>,
        told: impl Iterator<Item = Kind>,
    ) {
        if down.is_empty() {
            return;
        }
        self.since = Some(self.since.map_or(since, |known| known.min(since)));
        self.was_down.entry(tunnel.clone()).or_default().extend(down);
        self.told.extend(told);
    }

    /// AWS did not answer, or refused to.
    pub fn refused(&mut self, now: Moment) {
        let heard = self.heard.map(|(asked, _)| asked);
        self.since.get_or_insert(heard.unwrap_or(now));
        self.down.values_mut().for_each(|(_, touched)| *touched = true);
    }

    /// AWS answered what it was asked at `asked`.
    pub fn answered(&mut self, asked: Moment, date: Stamp, now: Moment) {
        self.heard = Some((asked, date));
        let Some(since) = self.since.take() else { return };
        let lasts = self.down.values().any(|(_, touched)| *touched);
        if !lasts && self.was_down.is_empty() {
            self.told.clear();
            return;
        }
        self.gaps.push(Span { from: since, to: now });
        let due = if lasts { now } else { now + HISTORY_IS_WHOLE_AFTER };
        self.due = Some(self.due.map_or(due, |known| known.min(due)));
    }

    /// How our end sees the tunnels at `now`, as since when each is Down; and of which kinds an incident is open.
    pub fn note(
        &mut self,
        tunnels: impl Iterator<Item = (TunnelId, Option<Moment>)>,
        open: impl Iterator<Item = Kind>,
        now: Moment,
    ) {
        let cut_off = self.since.is_some();
        for (tunnel, down_since) in tunnels {
            match (down_since, self.down.remove(&tunnel)) {
                (Some(since), before) => {
                    let touched = cut_off || before.is_some_and(|(_, touched)| touched);
                    self.down.insert(tunnel, (since, touched));
                }
                (None, Some((from, true))) => {
                    let spans = self.was_down.entry(tunnel).or_default();
                    spans.push(Span { from, to: now });
                    if spans.len() > SPANS_MAX {
                        spans.remove(0);
                    }
                }
                (None, Some((_, false)) | None) => {}
            }
        }
        if cut_off {
            self.told.extend(open);
        }
    }

    /// When to ask for the history.
    pub const fn due(&self) -> Option<Moment> {
        self.due
    }

    /// What to ask for, if that is due; it counts as asked.
    pub fn ask(&mut self, now: Moment) -> Option<Range<Stamp>> {
        if self.due.is_none_or(|due| due > now) {
            return None;
        }
        let (asked, date) = self.heard?;
        self.due = Some(now + QUESTION_LOST_AFTER);
        self.asking = true;
        let to = date + now.since(asked);
        let first = self.was_down.values().flatten().map(|span| span.from);
        let first = first.chain(self.down.values().map(|(since, _)| *since)).min().unwrap_or(now);
        Some(to - (now.since(first) + PERIOD).min(HISTORY_KEPT)..to)
    }

    /// The history was refused.
    pub fn history_refused(&mut self, now: Moment) {
        if std::mem::take(&mut self.asking) {
            self.due = Some(now + ASK_AGAIN_AFTER);
        }
    }

    /// The history was answered: gives what our end saw meanwhile, and forgets it. `None` if it was not asked for.
    pub fn history_answered(&mut self, now: Moment) -> Option<Meanwhile> {
        if !std::mem::take(&mut self.asking) {
            return None;
        }
        self.due = None;
        let mut down: BTreeMap<TunnelId, Vec<Span>> = std::mem::take(&mut self.was_down);
        for (tunnel, (since, touched)) in &mut self.down {
            if std::mem::take(touched) {
                down.entry(tunnel.clone()).or_default().push(Span { from: *since, to: now });
            }
        }
        Some(Meanwhile {
            gaps: Spans::of(std::mem::take(&mut self.gaps)),
            down: down.into_iter().map(|(tunnel, spans)| (tunnel, Spans::of(spans))).collect(),
            told: std::mem::take(&mut self.told),
        })
    }
}

#[cfg(test)]
mod tests;
