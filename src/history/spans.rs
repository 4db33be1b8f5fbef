//! What was so of each tunnel at each moment of a period: entries and the present become spans without gaps.
//!
//! | what is remembered | the time in question is |
//! |---|---|
//! | it lies in no period of watching | unobserved |
//! | it lies in two: the clock was set back, and nobody knows which entry speaks of which | unobserved |
//! | it lies before the first change in a period of watching | what that change was *from* |
//! | it lies after a change whose `to` is the next one's `from`, or that has no next one | that `to` |
//! | it lies between changes that do not follow from each other | unobserved |
//! | it lies after the tunnel left the configuration or came out of use, and before its next change | unobserved |
//! | it lies in a period without changes, and everything is recorded since a change before it, or until one after it | that one's `to` or `from`; of two that do not follow from each other, unobserved |
//! | it lies in another period without changes, between a change's `to` and an equal `from`, or before a `from` that is not how a run begins | that |
//! | it lies in the period of the present, and nothing has changed in it | as it is now |
//! | it lies in a period in which a run begins, of which this end has recorded nothing, but the other has | as a run begins: unknown |
//! | it lies in another period in which nothing changed | unobserved |
//!
//! Without a change a tunnel has no cause and is not silenced. The order of the entries does not matter.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Change, Entry, Period, Present, Said, State, TunnelNow, Watch};
use crate::domain::cause::Cause;
use crate::domain::names::{End, TunnelId};
use crate::domain::silence::SilenceId;
use crate::domain::time::Stamp;
use crate::domain::verdict::Assessment;

/// A run that ends this shortly before the present is the present's: its end is written once a minute.
const WRITTEN_WITHIN: Duration = Duration::from_secs(120);

/// What was so of every tunnel over a period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spans {
    period: Period,
    tunnels: BTreeMap<TunnelId, Vec<Span>>,
}

/// A stretch of time in which nothing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// When.
    pub period: Period,
    /// What was so; `None`: it was not observed.
    pub state: Option<State>,
}

impl Period {
    /// How long it is; zero if its end lies before its beginning.
    pub fn length(&self) -> Duration {
        self.until.since(self.from)
    }

    /// What both have in common, if anything.
    pub fn overlap(&self, other: Self) -> Option<Self> {
        let both = Self { from: self.from.max(other.from), until: self.until.min(other.until) };
        (both.from < both.until).then_some(both)
    }
}

impl Spans {
    /// Reads the history. Entries from before `period` help: they say what was so at its beginning. `present` is what is so now; offline
    /// it has no tunnels.
    pub fn of<'a>(entries: impl IntoIterator<Item = &'a Entry>, present: &Present, period: Period) -> Self {
        let mut watched = BTreeMap::new();
        let mut changes: BTreeMap<&TunnelId, Vec<(Stamp, &Change)>> = BTreeMap::new();
        for entry in entries {
            match entry {
                Entry::Watched(Watch { period, recorded_since }) => {
                    let (until, since) =
                        watched.entry(period.from).or_insert((period.until, *recorded_since));
                    *until = period.until.max(*until);
                    *since = (*since).max(*recorded_since);
                }
                Entry::Change { at, tunnel, change } => {
                    changes.entry(tunnel).or_default().push((*at, change));
                }
                Entry::Incident(_) | Entry::Paged { .. } | Entry::Minute(_) => {}
            }
        }
        let now: BTreeMap<&TunnelId, &TunnelNow> =
            present.tunnels.iter().map(|tunnel| (&tunnel.id, tunnel)).collect();
        for id in now.keys() {
            changes.entry(id).or_default();
        }
        let mut runs = runs(&watched);
        if let Some(last) = runs.last_mut().filter(|_| !now.is_empty()) {
            last.running = last.period.until + WRITTEN_WITHIN >= present.at && last.period.from <= present.at;
        }
        let tunnels = changes.into_iter().map(|(id, mut changes)| {
            // What changes at the moment of a reload changed before it.
            changes.sort_by_key(|(at, change)| match change {
                Change::Left { was: _, afresh } => (*at, if *afresh { 1 } else { 2 }),
                Change::Verdict { .. }
                | Change::Assessment { .. }
                | Change::Cause { .. }
                | Change::Silenced { .. } => (*at, 0),
            });
            let now = Now { at: present.at, tunnel: now.get(id).copied() };
            (id.clone(), spans_of(&changes, &runs, now, period))
        });
        Self { period, tunnels: tunnels.collect() }
    }

    /// The period that was asked for.
    pub const fn period(&self) -> Period {
        self.period
    }

    /// The spans of a tunnel, oldest first: each begins where the one before ends, the first at the beginning of the period, the last ends
    /// at its end. None for a tunnel that the history does not know.
    pub fn tunnel(&self, id: &TunnelId) -> &[Span] {
        self.tunnels.get(id).map_or(&[], Vec::as_slice)
    }

    /// Every tunnel of the history or the present, in the order of their ids.
    pub fn tunnels(&self) -> impl Iterator<Item = (&TunnelId, &[Span])> {
        self.tunnels.iter().map(|(id, spans)| (id, spans.as_slice()))
    }
}

/// A period of watching, as far as it is of no other as well.
#[derive(Debug, Clone, Copy)]
struct Run {
    period: Period,
    /// Where the next thing begins that may have changes of its own.
    next: Option<Stamp>,
    /// Whether it begins where the period does.
    is_whole: bool,
    /// Since when every change is recorded, where that is known …
    since: Option<Stamp>,
    /// … and until when: where another recording begins.
    recorded_until: Option<Stamp>,
    /// Whether it lasts.
    running: bool,
}

impl Run {
    /// What belongs to it, of things in the order of time.
    fn part_of<T>(self, things: &[T], at: impl Fn(&T) -> Stamp) -> &[T] {
        let begin = things.partition_point(|thing| at(thing) < self.period.from);
        let end = self.next.map_or(things.len(), |next| things.partition_point(|thing| at(thing) < next));
        things.get(begin..end.max(begin)).unwrap_or_default()
    }
}

/// What belongs to one run alone, oldest first.
fn runs(watched: &BTreeMap<Stamp, (Stamp, Option<Stamp>)>) -> Vec<Run> {
    let mut edges: Vec<(Stamp, i32)> = Vec::with_capacity(watched.len() * 2);
    for (from, (until, _)) in watched.iter().filter(|(from, (until, _))| *from < until) {
        edges.extend([(*from, 1), (*until, -1)]);
    }
    edges.sort_unstable();
    let (mut covered, mut runs, mut begun) = (0, Vec::<Run>::new(), None);
    for (at, step) in edges {
        if let Some(from) = begun.filter(|from| *from < at)
            && covered == 1
        {
            let mut before = watched.range(..=from).rev();
            runs.push(Run {
                period: Period { from, until: at },
                next: None,
                is_whole: watched.contains_key(&from),
                since: before.find(|(_, (until, _))| *until > from).and_then(|(_, (_, since))| *since),
                recorded_until: None,
                running: false,
            });
        }
        // What comes from here on is of two runs, and says nothing of the one before.
        if let Some(last) = runs.last_mut().filter(|_| covered == 1 && step > 0) {
            last.next = last.next.or(Some(at));
        }
        covered += step;
        begun = Some(at);
    }
    let begins: Vec<Stamp> = runs.iter().skip(1).map(|run| run.period.from).collect();
    for (run, next) in runs.iter_mut().zip(begins) {
        run.next = Some(run.next.map_or(next, |own| own.min(next)));
    }
    let mut later: Option<Run> = None;
    for run in runs.iter_mut().rev() {
        run.recorded_until = later.and_then(|later| match later.since == run.since {
            true => later.recorded_until,
            false => Some(later.period.from),
        });
        later = Some(*run);
    }
    runs
}

/// The present as far as it is about one tunnel.
#[derive(Debug, Clone, Copy)]
struct Now<'a> {
    at: Stamp,
    /// `None`: it is not in the configuration.
    tunnel: Option<&'a TunnelNow>,
}

/// The spans of one tunnel; its changes are in the order of time.
fn spans_of(changes: &[(Stamp, &Change)], runs: &[Run], now: Now<'_>, period: Period) -> Vec<Span> {
    let mut spans = Sequence { spans: Vec::new(), filled: period.from, period };
    let chains = Chains::of(changes, runs, now);
    for run in runs.iter().filter(|run| run.period.overlap(period).is_some()) {
        chains.in_run(*run).sweep(run.period, |part, state| spans.add(part, state));
    }
    spans.finish()
}

/// Spans as they are put together.
struct Sequence {
    spans: Vec<Span>,
    filled: Stamp,
    period: Period,
}

impl Sequence {
    fn add(&mut self, part: Period, state: Option<State>) {
        let Some(part) = part.overlap(Period { from: self.filled, until: self.period.until }) else { return };
        self.push(Period { from: self.filled, until: part.from }, None);
        self.push(part, state);
        self.filled = part.until;
    }

    fn push(&mut self, period: Period, state: Option<State>) {
        if period.from >= period.until {
            return;
        }
        match self.spans.last_mut() {
            Some(last) if last.state == state => last.period.until = period.until,
            Some(_) | None => self.spans.push(Span { period, state }),
        }
    }

    fn finish(mut self) -> Vec<Span> {
        self.push(Period { from: self.filled, until: self.period.until }, None);
        self.spans
    }
}

/// One thing that changes, over one run: since when it was what, oldest first; `None` where that is not recorded.
type Track<T> = Vec<(Stamp, Option<T>)>;

/// When something changed, what was so before, and what since; `None`: it is not watched.
type Step<T> = (Stamp, Option<T>, Option<T>);

/// A change, or several at one moment: what was so before, and since.
#[derive(Debug, Clone, Copy)]
struct Link<T> {
    at: Stamp,
    from: Option<T>,
    to: Option<T>,
}

/// All that is recorded of one thing, oldest first.
struct Chain<T> {
    links: Vec<Link<T>>,
    /// What is so when a run of the daemon begins.
    start: T,
}

/// All that is recorded of one tunnel.
struct Chains {
    local: Chain<Said>,
    aws: Chain<Said>,
    assessment: Chain<Assessment>,
    cause: Chain<Option<Cause>>,
    silence: Chain<Option<SilenceId>>,
}

impl Chains {
    fn of(changes: &[(Stamp, &Change)], runs: &[Run], now: Now<'_>) -> Self {
        let (mut local, mut aws, mut assessment) = (Vec::new(), Vec::new(), Vec::new());
        let (mut cause, mut silence) = (Vec::new(), Vec::new());
        // What is older than all that was watched may be the last change before that.
        let early = runs.first().map_or(0, |run| changes.partition_point(|(at, _)| *at < run.period.from));
        let early = changes.get(..early).unwrap_or_default();
        let in_runs = runs.iter().map(|run| run.part_of(changes, |(at, _)| *at));
        for part in [early].into_iter().chain(in_runs) {
            // What left in this run and has not changed since. With the first change the tunnel is back, and the rest is as it begins.
            let (mut local_gone, mut aws_gone, mut both_gone) = (false, false, false);
            for (at, change) in part {
                match change {
                    Change::Verdict { end: End::Local, from, to } => {
                        local.push((*at, Some(*from), Some(*to)));
                        local_gone = false;
                    }
                    Change::Verdict { end: End::Aws, from, to } => {
                        aws.push((*at, Some(*from), Some(*to)));
                        aws_gone = false;
                    }
                    Change::Assessment { from, to } => {
                        assessment.push((*at, Some(*from), Some(*to)));
                        both_gone = false;
                    }
                    Change::Cause { .. } | Change::Silenced { .. } | Change::Left { .. } => {}
                }
                match change {
                    Change::Verdict { .. } | Change::Assessment { .. } => {
                        if std::mem::take(&mut local_gone) {
                            local.push((*at, None, Some(Said::Unknown)));
                        }
                        if std::mem::take(&mut aws_gone) {
                            aws.push((*at, None, Some(Said::Unknown)));
                        }
                        if std::mem::take(&mut both_gone) {
                            assessment.push((*at, None, Some(Assessment::Blind)));
                        }
                    }
                    Change::Cause { from, to } => cause.push((*at, Some(*from), Some(*to))),
                    Change::Silenced { from, to } => silence.push((*at, Some(*from), Some(*to))),
                    Change::Left { was, afresh } => {
                        let State { local: ours, aws: theirs, assessment: both, cause: why, silence: by } =
                            *was;
                        local.push((*at, Some(ours), afresh.then_some(Said::Unknown)));
                        aws.push((*at, Some(theirs), afresh.then_some(Said::Unknown)));
                        assessment.push((*at, Some(both), afresh.then_some(Assessment::Blind)));
                        cause.push((*at, Some(why), Some(None)));
                        silence.push((*at, Some(by), Some(None)));
                        (local_gone, aws_gone, both_gone) = (!afresh, !afresh, !afresh);
                    }
                }
            }
        }
        let mut local = Chain { links: links(&local), start: Said::Unknown };
        let mut aws = Chain { links: links(&aws), start: Said::Unknown };
        let mut assessment = Chain { links: links(&assessment), start: Assessment::Blind };
        let mut cause = Chain { links: links(&cause), start: None };
        let mut silence = Chain { links: links(&silence), start: None };
        let running = runs.last().is_some_and(|run| run.running);
        match now.tunnel {
            Some(tunnel) if running => {
                local.anchor(now.at, Some(tunnel.local));
                aws.anchor(now.at, Some(tunnel.aws));
                assessment.anchor(now.at, Some(tunnel.assessment));
                cause.anchor(now.at, Some(tunnel.cause));
                silence.anchor(now.at, Some(tunnel.silenced));
            }
            // It left the configuration while the daemon did not run, or that was not recorded.
            None if running && !local.links.is_empty() => local.anchor(now.at, None),
            None if running && !aws.links.is_empty() => aws.anchor(now.at, None),
            Some(_) | None => {}
        }
        Self { local, aws, assessment, cause, silence }
    }

    /// What was so over one run.
    fn in_run(&self, run: Run) -> Tracks {
        let Self { local, aws, assessment, cause, silence } = self;
        let begins = [local.begins_in(run), aws.begins_in(run), assessment.begins_in(run)];
        // Something begins as a run does, and nothing in the midst of one.
        let is_start = run.is_whole && begins.contains(&Some(true)) && !begins.contains(&Some(false));
        Tracks {
            local: local.track(run, is_start),
            aws: aws.track(run, is_start),
            assessment: assessment.track(run, is_start),
            cause: cause.track(run, true),
            silence: silence.track(run, true),
        }
    }
}

impl<T: Copy + Ord> Chain<T> {
    /// What is so now is a link, too.
    fn anchor(&mut self, at: Stamp, so: Option<T>) {
        let place = self.links.partition_point(|link| link.at <= at);
        self.links.insert(place, Link { at, from: so, to: so });
    }

    /// Whether its first link in this run is the first of a run; `None` if there is none.
    fn begins_in(&self, run: Run) -> Option<bool> {
        run.part_of(&self.links, |link| link.at).first().map(|first| first.from == Some(self.start))
    }

    /// What was so over one run. Without a link in it, and where the links around it do not tell, it is as at the start of a run if that
    /// may be presumed.
    fn track(&self, run: Run, is_start: bool) -> Track<T> {
        let inside = run.part_of(&self.links, |link| link.at);
        let Some(first) = inside.first() else {
            let start = is_start.then_some(self.start);
            return vec![(run.period.from, self.between(run).or(start))];
        };
        let nexts = inside.iter().skip(1).map(Some).chain([None]);
        let since = inside.iter().zip(nexts).map(|(link, next)| {
            let so = link.to.filter(|to| next.is_none_or(|next| next.from == Some(*to)));
            (link.at, so)
        });
        [(run.period.from, first.from)].into_iter().chain(since).collect()
    }

    /// What was so over a run without links. A period of watching ends within a run of the daemon, too, and what was so goes on.
    fn between(&self, run: Run) -> Option<T> {
        let next = self.links.partition_point(|link| link.at < run.period.from);
        let before = next.checked_sub(1).and_then(|last| self.links.get(last));
        let next = self.links.get(next);
        if let Some(since) = run.since {
            let before = before.filter(|link| since <= link.at);
            let next = next.filter(|link| run.recorded_until.is_none_or(|until| link.at < until));
            return match (before, next) {
                (Some(before), Some(next)) => before.to.filter(|to| next.from == Some(*to)),
                (Some(before), None) => before.to,
                (None, Some(next)) => next.from,
                (None, None) => None,
            };
        }
        let next = next.and_then(|next| next.from)?;
        match before {
            Some(before) => (before.to == Some(next)).then_some(next),
            // A run that began later would begin otherwise.
            None => (next != self.start).then_some(next),
        }
    }
}

/// What was so of a tunnel, over one run.
struct Tracks {
    local: Track<Said>,
    aws: Track<Said>,
    assessment: Track<Assessment>,
    cause: Track<Option<Cause>>,
    silence: Track<Option<SilenceId>>,
}

impl Tracks {
    /// Hands out the run, part by part.
    fn sweep(&self, run: Period, mut each: impl FnMut(Period, Option<State>)) {
        let Self { local, aws, assessment, cause, silence } = self;
        let mut at = run.from;
        let (mut local, mut aws, mut assessment) =
            (Cursor::of(local), Cursor::of(aws), Cursor::of(assessment));
        let (mut cause, mut silence) = (Cursor::of(cause), Cursor::of(silence));
        while at < run.until {
            let (local, next_local) = local.at(at);
            let (aws, next_aws) = aws.at(at);
            let (assessment, next_assessment) = assessment.at(at);
            let (cause, next_cause) = cause.at(at);
            let (silence, next_silence) = silence.at(at);
            let state = match (local, aws, assessment, silence) {
                (Some(local), Some(aws), Some(assessment), Some(silence)) => {
                    Some(State { local, aws, assessment, cause: cause.flatten(), silence })
                }
                (None, _, _, _) | (_, None, _, _) | (_, _, None, _) | (_, _, _, None) => None,
            };
            let next = [next_local, next_aws, next_assessment, next_cause, next_silence];
            let until = next.into_iter().flatten().min().map_or(run.until, |next| next.min(run.until));
            each(Period { from: at, until }, state);
            at = until;
        }
    }
}

/// Goes along a track.
struct Cursor<'a, T> {
    rest: &'a [(Stamp, Option<T>)],
    so: Option<T>,
}

impl<'a, T: Copy> Cursor<'a, T> {
    const fn of(track: &'a [(Stamp, Option<T>)]) -> Self {
        Self { rest: track, so: None }
    }

    /// What is so at a moment that is not before the last one asked for, and when that changes.
    fn at(&mut self, at: Stamp) -> (Option<T>, Option<Stamp>) {
        while let Some(((since, so), rest)) = self.rest.split_first()
            && *since <= at
        {
            (self.so, self.rest) = (*so, rest);
        }
        (self.so, self.rest.first().map(|(since, _)| *since))
    }
}

/// Changes in the order of time, those of one moment as one.
fn links<T: Copy + Ord>(changes: &[Step<T>]) -> Vec<Link<T>> {
    changes.chunk_by(|(a, ..), (b, ..)| a == b).filter_map(link).collect()
}

/// The changes of one moment, in whatever order they were: what is left more often than it is entered was so before. `None`: they end
/// where they began, and say nothing of before and after.
fn link<T: Copy + Ord>(changes: &[Step<T>]) -> Option<Link<T>> {
    let (at, ..) = changes.first()?;
    let mut balance: BTreeMap<Option<T>, i64> = BTreeMap::new();
    for (_, from, to) in changes {
        *balance.entry(*from).or_default() += 1;
        *balance.entry(*to).or_default() -= 1;
    }
    balance.retain(|_, count| *count != 0);
    let one = |wanted: i64| balance.iter().find(|(_, count)| **count == wanted).and_then(|(so, _)| *so);
    match balance.len() {
        0 => None,
        2 => Some(Link { at: *at, from: one(1), to: one(-1) }),
        _ => Some(Link { at: *at, from: None, to: None }),
    }
}

#[cfg(test)]
mod tests;
