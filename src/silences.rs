//! The list of silences: what may be added to it, and in which window each of them stands. Pure: the time and the time zones come
//! from outside.
//!
//! A silence is kept with its *first* window. Where it comes back every week, the present window is reckoned from the first and the
//! time alone: a clock that was wrong for a while leaves no trace. The hour at which a window begins stays the same on the clocks of
//! its zone, and it lasts as long as the first one. So a window is never empty, neither where the clocks skip its hour: it begins
//! as much later as they skip.

pub mod cover;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, civil};

use crate::domain::names::{TunnelId, VpnId};
use crate::domain::plan::{Plan, VpnPlan};
use crate::domain::scope::ParentKind;
use crate::domain::silence::{FromNow, Silence, SilenceId, SilenceScope};
use crate::domain::time::Stamp;

/// The most silences at a time. A person has an eye on some; a list that nobody reads would hide that pages are held back.
pub const SILENCES_MAX: usize = 100;
/// The longest window.
pub const WINDOW_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// The longest reason, in characters.
pub const REASON_MAX: usize = 200;
/// A window that begins later is taken for a wrong year.
const AHEAD_MAX: Duration = Duration::from_secs(366 * 24 * 3600);
const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

/// Finds a time zone by its name.
pub type Zones = fn(&str) -> Option<TimeZone>;

/// This host's time zones (tzdata).
pub fn zones(name: &str) -> Option<TimeZone> {
    if name == "UTC" { Some(TimeZone::UTC) } else { TimeZone::get(name).ok() }
}

/// What is to be silenced, in the words of who asks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// Everything that the daemon watches.
    Site,
    /// A connection: its id or name.
    Vpn(String),
    /// A tunnel: its outside address, after its connection and a slash or alone.
    Tunnel(String),
    /// A group: its name.
    Group(String),
    /// What goes over an uplink: its name.
    Uplink(String),
}

/// What somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSilence {
    /// What: a silence each.
    pub targets: Vec<Target>,
    /// The beginning of the first window; `None` for at once.
    pub from: Option<Stamp>,
    /// Its end.
    pub until: Until,
    /// The zone in which it comes back every week.
    pub weekly: Option<Arc<str>>,
    /// Why.
    pub reason: Arc<str>,
}

/// The end of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// A date.
    At(Stamp),
    /// So long after the beginning.
    After(Duration),
}

/// Why something asked for is not done. Nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It names nothing to silence.
    NoTarget,
    /// There is none of this name.
    Unknown {
        /// What it should be.
        what: &'static str,
        /// The name.
        name: String,
        /// Those that exist.
        known: Vec<String>,
    },
    /// The name fits several.
    Ambiguous {
        /// What it should be.
        what: &'static str,
        /// The name.
        name: String,
        /// Those that it fits.
        fits: Vec<String>,
    },
    /// The end is not after the beginning.
    Backwards,
    /// The end has passed.
    Past {
        /// The end.
        until: Stamp,
    },
    /// An uplink over which one connection goes is no parent.
    OneConnection {
        /// The uplink's name.
        uplink: String,
        /// The connection's name.
        vpn: Arc<str>,
    },
    /// A window longer than [`WINDOW_MAX`].
    TooLong,
    /// Windows of a week that would join.
    WeekLong,
    /// It begins in more than a year.
    TooFarAhead,
    /// The reason is missing, too long, or no line of text.
    Reason,
    /// The reason has a character that nobody sees, or that changes the order of others.
    ReasonCharacter(char),
    /// The zone is not known.
    Zone(Arc<str>),
    /// There would be more than [`SILENCES_MAX`].
    Full {
        /// How many there are.
        there: usize,
    },
    /// There is no silence of this number.
    NoSuchSilence {
        /// The number.
        id: SilenceId,
        /// Those that exist.
        known: Vec<SilenceId>,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoTarget => {
                f.write_str("name what to silence: --site, --vpn, --tunnel, --group or --uplink")
            }
            Self::Unknown { what, name, known } if known.is_empty() => {
                write!(f, "there is no {what} {name:?}: the configuration in force has none")
            }
            Self::Unknown { what, name, known } => {
                write!(f, "there is no {what} {name:?}; the configuration in force has {}", listed(known))
            }
            Self::Ambiguous { what, name, fits } => {
                write!(f, "{name:?} is more than one {what}: choose one of {}", listed(fits))
            }
            Self::Backwards => f.write_str("a silence must end after it begins"),
            Self::Past { until } => write!(f, "the end, {}, is in the past", shown(*until)),
            Self::OneConnection { uplink, vpn } => {
                write!(f, "uplink {uplink} carries only {vpn}: silence that (`--vpn`)")
            }
            Self::TooLong => f.write_str(
                "a silence lasts at most 7 days; for one that comes back, give its first window and --weekly",
            ),
            Self::WeekLong => f.write_str("a window that comes back every week must be shorter than 7 days"),
            Self::TooFarAhead => f.write_str("a silence begins within a year: check the date"),
            Self::Reason => write!(
                f,
                "a silence needs a reason: one line of 1 to {REASON_MAX} characters, for those who wonder why no page came"
            ),
            Self::ReasonCharacter(character) => write!(
                f,
                "the reason has the invisible character U+{:04X}, and such a character can make it read as something else; type \
                 the reason instead of pasting it",
                u32::from(*character)
            ),
            Self::Zone(zone) => write!(
                f,
                "the time zone {zone:?} is not known on this host; give a name such as Europe/Berlin (package tzdata)"
            ),
            Self::Full { there } => write!(
                f,
                "there are {there} silences, and at most {SILENCES_MAX}: end some first (`bothends silence list`)"
            ),
            Self::NoSuchSilence { id, known } if known.is_empty() => {
                write!(f, "there is no silence {id}: there is none at all")
            }
            Self::NoSuchSilence { id, known } => {
                let known: Vec<_> = known.iter().map(ToString::to_string).collect();
                write!(f, "there is no silence {id}; there are {}", listed(&known))
            }
        }
    }
}

/// `2026-11-30 00:00 UTC`.
fn shown(at: Stamp) -> String {
    let time = Timestamp::from_millisecond(at.as_millis());
    time.map_or_else(|_| "out of range".to_owned(), |time| time.strftime("%Y-%m-%d %H:%M UTC").to_string())
}

/// The first ones; a site may have hundreds.
fn listed(names: &[String]) -> String {
    const SHOWN: usize = 20;
    let shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// All silences that are not over, each in its first window.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Silences {
    first: BTreeMap<SilenceId, Silence>,
    /// The highest number ever given.
    last: u32,
}

impl Silences {
    /// Those that were kept, and the highest number that was ever given.
    pub fn new(first: impl IntoIterator<Item = Silence>, last: u32) -> Self {
        let first: BTreeMap<_, _> = first.into_iter().map(|silence| (silence.id, silence)).collect();
        let highest = first.keys().next_back().map_or(0, |id| id.0);
        Self { first, last: last.max(highest) }
    }

    /// The highest number that was ever given.
    pub const fn last(&self) -> SilenceId {
        SilenceId(self.last)
    }

    /// Each in its present or next window; those that have none are left out.
    pub fn present(&self, now: Stamp, zones: Zones) -> Arc<[Silence]> {
        let windows = self.standings(now, zones).filter_map(|(_, standing)| match standing {
            Standing::Window(window) => Some(window),
            Standing::Over | Standing::Unknown(_) => None,
        });
        windows.collect()
    }

    /// Every one in its first window, and how it stands.
    pub fn standings(&self, now: Stamp, zones: Zones) -> impl Iterator<Item = (&Silence, Standing)> {
        self.first.values().map(move |first| (first, standing(first, now, zones)))
    }

    /// When the next window begins or ends.
    pub fn next_change(&self, now: Stamp, zones: Zones) -> Option<Stamp> {
        let present = self.present(now, zones);
        present.iter().map(|silence| if now < silence.from { silence.from } else { silence.until }).min()
    }

    /// Adds a silence for each target. Returns them in their first windows.
    ///
    /// # Errors
    /// Why none is added.
    pub fn add(
        &mut self,
        wanted: &NewSilence,
        by: u32,
        plan: &Plan,
        now: Stamp,
        zones: Zones,
    ) -> Result<Vec<Silence>, Refusal> {
        let scopes = wanted.check(plan, now, zones)?;
        let there = self.first.len();
        if there + scopes.len() > SILENCES_MAX {
            return Err(Refusal::Full { there });
        }
        let NewSilence { targets: _, from: begins, until: ends, weekly, reason } = wanted;
        let (from, until) = wanted.window(now);
        // What was before it was added was not silenced. The first window of a weekly one says at which hour it comes back.
        let from = if weekly.is_none() { from.max(now) } else { from };
        let from_now =
            FromNow { from: begins.is_none(), until: begins.is_none() && matches!(ends, Until::After(_)) };
        let mut added = Vec::new();
        for of in scopes {
            self.last = self.last.saturating_add(1);
            added.push(Silence {
                id: SilenceId(self.last),
                of,
                from,
                until,
                weekly: weekly.clone(),
                reason: reason.trim().into(),
                by,
                added: now,
                from_now,
            });
        }
        self.first.extend(added.iter().map(|silence| (silence.id, silence.clone())));
        Ok(added)
    }

    /// Removes one.
    ///
    /// # Errors
    /// There is none of this number.
    pub fn end(&mut self, id: SilenceId) -> Result<Silence, Refusal> {
        self.first
            .remove(&id)
            .ok_or_else(|| Refusal::NoSuchSilence { id, known: self.first.keys().copied().collect() })
    }

    /// Removes those that are over, and returns them.
    pub fn remove_over(&mut self, now: Stamp, zones: Zones) -> Vec<Silence> {
        let over = self.first.extract_if(.., |_, first| standing(first, now, zones) == Standing::Over);
        over.map(|(_, silence)| silence).collect()
    }

    /// Adds those of a store that could not be read before. A number that is given here stays: the store gives the other one another.
    pub fn join(&mut self, stored: Self) {
        let Self { first, last } = stored;
        for (id, silence) in first {
            self.first.entry(id).or_insert(silence);
        }
        self.last = self.last.max(last);
    }

    /// The date has jumped: it `is` now what was expected to be another. Returns those that have moved with it.
    pub fn moved(&mut self, expected: Stamp, is: Stamp) -> Vec<Silence> {
        let mut moved = Vec::new();
        for silence in self.first.values_mut() {
            let now = silence.moved(expected, is);
            if now != *silence {
                *silence = now.clone();
                moved.push(now);
            }
        }
        moved
    }
}

/// How a silence stands at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// In its present or next window.
    Window(Silence),
    /// It is over.
    Over,
    /// It comes back, but not known when: it silences nothing meanwhile. Rather a page too many.
    Unknown(Unknown),
}

/// Why the windows of a silence are not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// Its zone is not known now.
    Zone,
    /// The date is out of the range of calendars.
    Date,
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Zone => "its time zone is not known to this host",
            Self::Date => "the date is out of range",
        })
    }
}

impl NewSilence {
    /// The first window, by the time at which it is asked for.
    pub fn window(&self, now: Stamp) -> (Stamp, Stamp) {
        let from = self.from.unwrap_or(now);
        let until = match self.until {
            Until::At(at) => at,
            Until::After(length) => from + length,
        };
        (from, until)
    }

    /// What it silences.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self, plan: &Plan, now: Stamp, zones: Zones) -> Result<BTreeSet<SilenceScope>, Refusal> {
        let Self { targets, from: _, until: _, weekly, reason } = self;
        let (from, until) = self.window(now);
        if until <= now && until != from {
            return Err(Refusal::Past { until });
        } else if until <= from {
            return Err(Refusal::Backwards);
        }
        let length = until.since(from);
        match weekly {
            Some(zone) if zones(zone).is_none() => return Err(Refusal::Zone(Arc::clone(zone))),
            Some(_) if length >= WEEK => return Err(Refusal::WeekLong),
            None if length > WINDOW_MAX => return Err(Refusal::TooLong),
            Some(_) | None => {}
        }
        if from.since(now) > AHEAD_MAX {
            return Err(Refusal::TooFarAhead);
        }
        check_reason(reason.trim())?;
        if targets.is_empty() {
            return Err(Refusal::NoTarget);
        }
        targets.iter().map(|target| target.scope(plan)).collect()
    }
}

/// A line that reads as it was meant: on a terminal, in a journal and in a mail.
fn check_reason(reason: &str) -> Result<(), Refusal> {
    if let Some(character) = reason.chars().find(|character| is_deceptive(*character)) {
        return Err(Refusal::ReasonCharacter(character));
    }
    let is_line = !reason.contains(char::is_control) && reason.chars().any(is_visible);
    if is_line && reason.chars().count() <= REASON_MAX { Ok(()) } else { Err(Refusal::Reason) }
}

/// Whether nobody sees the character, or it changes the order or the lines of others: Default_Ignorable_Code_Point but for the
/// variation selectors of emoji, Bidi_Control, the separators of lines and paragraphs, and the marks of annotations
/// (Unicode 16, DerivedCoreProperties.txt and PropList.txt).
const fn is_deceptive(character: char) -> bool {
    matches!(
        character,
        '\u{AD}'
            | '\u{34F}'
            | '\u{61C}'
            | '\u{115F}'..='\u{1160}'
            | '\u{17B4}'..='\u{17B5}'
            | '\u{180B}'..='\u{180F}'
            | '\u{200B}'..='\u{200F}'
            | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}'
            | '\u{3164}'
            | '\u{FEFF}'
            | '\u{FFA0}'
            | '\u{FFF0}'..='\u{FFFB}'
            | '\u{1BCA0}'..='\u{1BCA3}'
            | '\u{1D173}'..='\u{1D17A}'
            | '\u{E0000}'..='\u{E0FFF}'
    )
}

/// Of the others, those with ink.
fn is_visible(character: char) -> bool {
    // The blank of Braille, and selectors of what stands before them.
    !character.is_whitespace() && !matches!(character, '\u{2800}' | '\u{FE00}'..='\u{FE0F}')
}

impl Target {
    /// What it is in this plan.
    fn scope(&self, plan: &Plan) -> Result<SilenceScope, Refusal> {
        match self {
            Self::Site => Ok(SilenceScope::Site),
            Self::Vpn(name) => Ok(SilenceScope::Connection(connection(plan, name)?.id.clone())),
            Self::Tunnel(name) => tunnel(plan, name).map(SilenceScope::Tunnel),
            Self::Group(name) => parent(plan, ParentKind::Group, name),
            Self::Uplink(name) => parent(plan, ParentKind::Uplink, name),
        }
    }
}

fn connection<'p>(plan: &'p Plan, name: &str) -> Result<&'p VpnPlan, Refusal> {
    let named = |vpn: &VpnPlan| format!("{} ({})", vpn.id, vpn.name);
    let by_id = plan.vpns.iter().find(|vpn| vpn.id.as_str() == name);
    let by_name: Vec<_> = plan.vpns.iter().filter(|vpn| *vpn.name == *name).collect();
    match (by_id, by_name.as_slice()) {
        (Some(vpn), _) => Ok(vpn),
        (None, [vpn]) => Ok(vpn),
        (None, []) => Err(Refusal::Unknown {
            what: "connection",
            name: name.to_owned(),
            known: plan.vpns.iter().map(|vpn| named(vpn)).collect(),
        }),
        (None, fits @ [_, ..]) => Err(Refusal::Ambiguous {
            what: "connection",
            name: name.to_owned(),
            fits: fits.iter().map(|vpn| named(vpn)).collect(),
        }),
    }
}

fn tunnel(plan: &Plan, name: &str) -> Result<TunnelId, Refusal> {
    let written = |id: &TunnelId| format!("{}/{}", id.vpn, id.outside_ip);
    let (of, address) = match name.rsplit_once('/') {
        Some((vpn, address)) => (Some(&connection(plan, vpn)?.id), address),
        None => (None, name),
    };
    let all = plan.vpns.iter().filter(|vpn| of.is_none_or(|of| vpn.id == *of));
    let all: Vec<_> = all.flat_map(|vpn| &vpn.tunnels).map(|tunnel| &tunnel.id).collect();
    let address: Option<IpAddr> = address.parse().ok();
    let fits: Vec<_> = all.iter().filter(|id| Some(id.outside_ip) == address).collect();
    match fits.as_slice() {
        [id] => Ok(TunnelId::clone(id)),
        [] => Err(Refusal::Unknown {
            what: "tunnel",
            name: name.to_owned(),
            known: all.iter().map(|id| written(id)).collect(),
        }),
        [_, ..] => Err(Refusal::Ambiguous {
            what: "tunnel",
            name: name.to_owned(),
            fits: fits.iter().map(|id| written(id)).collect(),
        }),
    }
}

fn parent(plan: &Plan, kind: ParentKind, name: &str) -> Result<SilenceScope, Refusal> {
    let of_kind = || plan.parents.iter().filter(|parent| parent.id.kind == kind);
    let found = of_kind().find(|parent| *parent.id.name == *name);
    let mut over = over_uplink(plan, name);
    if let (None, ParentKind::Uplink, Some(vpn), None) = (found, kind, over.next(), over.next()) {
        return Err(Refusal::OneConnection { uplink: name.to_owned(), vpn: Arc::clone(&vpn.name) });
    }
    found.map(|parent| SilenceScope::Parent(parent.id.clone())).ok_or_else(|| Refusal::Unknown {
        what: match kind {
            ParentKind::Group => "group",
            ParentKind::Uplink => "uplink shared by two connections",
            ParentKind::Site => "site",
        },
        name: name.to_owned(),
        known: of_kind().map(|parent| parent.id.name.to_string()).collect(),
    })
}

/// The connections with a tunnel over the uplink of this name.
fn over_uplink<'p>(plan: &'p Plan, name: &str) -> impl Iterator<Item = &'p Arc<VpnPlan>> {
    let goes_over = move |vpn: &&Arc<VpnPlan>| {
        vpn.used_tunnels().any(|tunnel| tunnel.uplink.as_deref().is_some_and(|uplink| uplink == name))
    };
    plan.vpns.iter().filter(goes_over)
}

/// Whether there is anything in the plan that it silences.
pub fn matches(of: &SilenceScope, plan: &Plan) -> bool {
    match of {
        SilenceScope::Site => true,
        SilenceScope::Parent(id) => plan.parents.iter().any(|parent| parent.id == *id),
        SilenceScope::Connection(id) => plan.vpn(id).is_some(),
        SilenceScope::Tunnel(id) => {
            plan.vpn(&id.vpn).is_some_and(|vpn| vpn.tunnels.iter().any(|tunnel| tunnel.id == *id))
        }
    }
}

/// The connections of a plan that it silences, a tunnel's among them.
pub fn connections(of: &SilenceScope, plan: &Plan) -> BTreeSet<VpnId> {
    match of {
        SilenceScope::Site => plan.vpns.iter().map(|vpn| vpn.id.clone()).collect(),
        SilenceScope::Parent(id) => {
            let parent = plan.parents.iter().find(|parent| parent.id == *id);
            parent.map(|parent| parent.vpns.clone()).unwrap_or_default()
        }
        SilenceScope::Connection(vpn) | SilenceScope::Tunnel(TunnelId { vpn, outside_ip: _ }) => {
            BTreeSet::from([vpn.clone()])
        }
    }
}

/// How a silence stands, by its first window.
pub fn standing(first: &Silence, now: Stamp, zones: Zones) -> Standing {
    if now < first.until {
        return Standing::Window(first.clone());
    }
    let Some(zone) = &first.weekly else { return Standing::Over };
    match zones(zone) {
        None => Standing::Unknown(Unknown::Zone),
        Some(zone) => {
            later_window(first, &zone, now).map_or(Standing::Unknown(Unknown::Date), Standing::Window)
        }
    }
}

fn later_window(first: &Silence, zone: &TimeZone, now: Stamp) -> Option<Silence> {
    let begin = local(first.from, zone)?;
    let length = first.until.since(first.from);
    // Weeks are longer or shorter where the clocks change.
    let passed = i64::try_from(now.since(first.until).as_secs() / WEEK.as_secs()).ok()?;
    let mut windows = (passed..=passed + 2).filter_map(|weeks| {
        let at = begin.checked_add(Span::new().try_days(weeks.checked_mul(7)?).ok()?).ok()?;
        let from = Stamp::from_millis(at.to_zoned(zone.clone()).ok()?.timestamp().as_millisecond());
        Some(Silence { from, until: from + length, ..first.clone() })
    });
    windows.find(|window| now < window.until)
}

/// The date and time on the clocks of a zone.
pub fn local(at: Stamp, zone: &TimeZone) -> Option<civil::DateTime> {
    let at = Timestamp::from_millisecond(at.as_millis()).ok()?;
    Some(at.to_zoned(zone.clone()).datetime())
}

#[cfg(test)]
pub(crate) mod tests;
