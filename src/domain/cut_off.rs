//! What our end saw while AWS could not be reached, kept until AWS's own history has been had.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

use super::event::Remembered;
use super::names::{Kind, TunnelId};
use super::plan::VpnPlan;
use super::span::{Span, Spans};
use super::time::{Moment, Now, Stamp};

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

/// One connection's time without AWS.
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
