//! What happened while AWS could not be reached: our end's view as seen at the time, and AWS's view from its metric afterwards.
//!
//! Where both ends were Down at the same time for long enough to open an incident, there was one that nobody was paged for. If
//! it is over it is only recorded. The conditions are those of [`super::condition`], except that unknown counts as absent: a
//! minute without a datapoint says nothing, and neither does an end that was not asked.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

use super::event::{Datapoint, Remembered};
use super::names::{Kind, Role, TunnelId};
use super::plan::{IncidentRules, VpnPlan};
use super::time::{Moment, Now, Stamp};

/// The history of one used tunnel at both ends.
#[derive(Debug, Clone, PartialEq)]
pub struct TunnelPast {
    /// The tunnel.
    pub tunnel: TunnelId,
    /// Its role.
    pub role: Role,
    /// Whether our end counts: it has seen the tunnel Up at least once.
    pub answers: bool,
    /// When our end was Down.
    pub local: Spans,
    /// When AWS's end was Down.
    pub aws: Spans,
}

/// An incident that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastIncident {
    /// Its kind.
    pub kind: Kind,
    /// Since when both ends were Down.
    pub began: Moment,
    /// When that ended.
    pub ended: Moment,
    /// The tunnels that were Down at both ends, each with the span.
    pub tunnels: Vec<(TunnelId, Span)>,
}

/// When AWS had a tunnel Down. A datapoint of 0 covers its whole period; a fraction does not say which part. `answered` and
/// `date` are the same moment on our monotonic clock and on AWS's.
pub fn down_by_aws(points: &[Datapoint], answered: Moment, date: Stamp) -> Spans {
    let here = |stamp: Stamp| answered - date.since(stamp) + stamp.since(date);
    let down = points.iter().filter(|point| point.value == 0.0);
    Spans::of(
        down.map(|point| Span { from: here(point.stamp), to: here((point.stamp + point.period).min(date)) }),
    )
}

/// The incidents of that time, oldest first: the condition held for `open_after` without a break, and for as long within
/// `cut_off`. Spans less than `resolve_after` apart are one incident, as they would have been live.
pub fn incidents(seen: &[TunnelPast], cut_off: &Spans, rules: &IncidentRules) -> Vec<PastIncident> {
    let agreed: Vec<Spans> = seen.iter().map(|tunnel| tunnel.local.and(&tunnel.aws)).collect();
    let active = seen.iter().zip(&agreed).filter(|(tunnel, _)| tunnel.role == Role::Active);
    let an_active_is_down = active.fold(Spans::default(), |any, (_, agreed)| any.or(agreed));
    // Where our end has no vote, nothing contradicts AWS.
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
            // One end alone cannot be confirmed afterwards, and quality needs no AWS.
            Kind::OneSided | Kind::Degraded => continue,
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

//--- spans of time, and sets of them

/// From a moment (included) to another (excluded).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// Its first moment.
    pub from: Moment,
    /// Its end.
    pub to: Moment,
}

impl Span {
    /// Its length.
    pub fn length(self) -> Duration {
        self.to.since(self.from)
    }
}

/// Spans in order, neither overlapping nor adjacent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spans(Vec<Span>);

impl Spans {
    /// The union of `spans`.
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

    /// The union of both.
    pub fn or(&self, other: &Self) -> Self {
        Self::of(self.iter().chain(other.iter()))
    }

    /// The intersection of both.
    pub fn and(&self, other: &Self) -> Self {
        let overlap = |a: Span, b: Span| Span { from: a.from.max(b.from), to: a.to.min(b.to) };
        Self::of(self.iter().flat_map(|a| other.iter().map(move |b| overlap(a, b))))
    }

    /// This without the other.
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

    /// Groups of spans with gaps of less than `apart` between them.
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

/// CloudWatch shows a minute of `TunnelState` some minutes late: wait this long, so that the last minutes are there.
const HISTORY_IS_WHOLE_AFTER: Duration = Duration::from_secs(300);
/// The pause after a refusal. The history does not go away, so there is no hurry.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(60);
/// A question that was neither answered nor refused is lost.
const QUESTION_LOST_AFTER: Duration = Duration::from_secs(180);
/// CloudWatch keeps minutes for 15 days (GetMetricData, API Reference); a day less, because clocks differ.
const HISTORY_KEPT: Duration = Duration::from_secs(14 * 24 * 3600);
/// A datapoint is stamped with the start of its minute: the one in which the outage began lies before it.
const PERIOD: Duration = Duration::from_secs(60);
/// A line may flap for days while AWS is out of reach: more spans would add nothing.
const SPANS_MAX: usize = 512;

/// What our end saw while AWS could not be reached, kept until AWS's own history has arrived.
#[derive(Debug, Default)]
pub struct CutOff {
    /// Since when AWS has been asked without an answer.
    since: Option<Moment>,
    /// When the question of the last answer was sent, and the time on AWS's clock.
    heard: Option<(Moment, Stamp)>,
    gaps: Vec<Span>,
    /// Tunnels that are locally Down, since when, and whether a gap overlaps with that.
    down: BTreeMap<TunnelId, (Moment, bool)>,
    /// When a tunnel was locally Down, as far as a gap overlaps with it.
    was_down: BTreeMap<TunnelId, Vec<Span>>,
    /// Kinds with an incident that was open during a gap: it is known at the sinks.
    already_open: BTreeSet<Kind>,
    /// When to ask for the history.
    due: Option<Moment>,
    asking: bool,
}

/// What our end saw meanwhile.
#[derive(Debug, Default)]
pub struct Meanwhile {
    /// When AWS could not be reached.
    pub gaps: Spans,
    /// When each tunnel was locally Down.
    pub down: BTreeMap<TunnelId, Spans>,
    /// See [`CutOff`].
    pub already_open: BTreeSet<Kind>,
}

impl CutOff {
    /// Starts with what an earlier run saw without AWS's view, and could not clear up any more.
    pub fn resumed_from(remembered: &Remembered, plan: &VpnPlan, now: Now) -> Self {
        let at = |stamp: Stamp| now.mono - now.wall.since(stamp) + stamp.since(now.wall);
        let of_plan = remembered.unheard.iter().filter(|unheard| unheard.tunnel.vpn == plan.id);
        let already_open =
            remembered.incidents.iter().filter(|incident| incident.id.scope.vpn() == Some(&plan.id));
        let mut cut_off = Self::default();
        for unheard in of_plan {
            // Evidence grew stale for this long before it was called stale.
            let since = at(unheard.since) - plan.aws.stale_after;
            let down = unheard.down.iter().map(|(from, to)| Span { from: at(*from), to: at(*to) });
            let down: Vec<Span> = down.filter(|span| span.to > since).collect();
            cut_off.resume(
                &unheard.tunnel,
                since,
                down,
                already_open.clone().map(|incident| incident.id.kind),
            );
        }
        cut_off
    }

    /// An earlier run had no answer from AWS since then, and saw this tunnel Down meanwhile.
    pub fn resume(
        &mut self,
        tunnel: &TunnelId,
        since: Moment,
        down: Vec<Span>,
        already_open: impl Iterator<Item = Kind>,
    ) {
        if down.is_empty() {
            return;
        }
        self.since = Some(self.since.map_or(since, |known| known.min(since)));
        self.was_down.entry(tunnel.clone()).or_default().extend(down);
        self.already_open.extend(already_open);
    }

    /// AWS did not answer, or refused to.
    pub fn refused(&mut self, now: Moment) {
        let heard = self.heard.map(|(asked, _)| asked);
        self.since.get_or_insert(heard.unwrap_or(now));
        self.down.values_mut().for_each(|(_, touched)| *touched = true);
    }

    /// AWS answered a question that was sent at `asked`.
    pub fn answered(&mut self, asked: Moment, date: Stamp, now: Moment) {
        self.heard = Some((asked, date));
        let Some(since) = self.since.take() else { return };
        let lasts = self.down.values().any(|(_, touched)| *touched);
        if !lasts && self.was_down.is_empty() {
            self.already_open.clear();
            return;
        }
        self.gaps.push(Span { from: since, to: now });
        let due = if lasts { now } else { now + HISTORY_IS_WHOLE_AFTER };
        self.due = Some(self.due.map_or(due, |known| known.min(due)));
    }

    /// Our end's view at `now`: since when each tunnel is Down, and for which kinds an incident is open.
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
            self.already_open.extend(open);
        }
    }

    /// When to ask for the history.
    pub const fn due(&self) -> Option<Moment> {
        self.due
    }

    /// The range to ask for, if that is due; it counts as asked.
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

    /// The history was answered: returns what our end saw meanwhile, and clears it. `None` if it was not asked for.
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
            already_open: std::mem::take(&mut self.already_open),
        })
    }
}

#[cfg(test)]
mod tests;
