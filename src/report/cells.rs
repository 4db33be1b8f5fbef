//! What counts, of a tunnel or a connection, from moment to moment: as both ends agree, as our end says, as AWS says.

use crate::domain::cause::Cause;
use crate::domain::names::End;
use crate::domain::silence::SilenceId;
use crate::domain::verdict::Assessment;
use crate::history::{Period, Said, Span, State};

/// By whose word something counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Column {
    /// What both ends agree on.
    Both,
    /// Our end alone.
    Local,
    /// AWS alone.
    Aws,
}

impl Column {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Both, Self::Local, Self::Aws];
}

/// A stretch of time in which the same counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    /// When.
    pub period: Period,
    /// What counts; `None`: it was not observed.
    pub counted: Option<Counted>,
}

/// What counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// As both ends agree: `Up` where both say Up, `Down` where both say Down or agree that BGP is, `Unknown` otherwise.
    pub both: Said,
    /// As our end says.
    pub local: Said,
    /// As AWS says.
    pub aws: Said,
    /// Why it does not work.
    pub cause: Option<Cause>,
    /// The silence that covers it.
    pub silence: Option<SilenceId>,
}

impl Counted {
    const UNKNOWN: Self =
        Self { both: Said::Unknown, local: Said::Unknown, aws: Said::Unknown, cause: None, silence: None };

    /// What one column says.
    pub const fn said(&self, column: Column) -> Said {
        match column {
            Column::Both => self.both,
            Column::Local => self.local,
            Column::Aws => self.aws,
        }
    }

    fn of_tunnel(state: State) -> Self {
        let State { local, aws, assessment, cause, silence } = state;
        let both = match assessment {
            Assessment::Healthy => Said::Up,
            Assessment::Down => Said::Down,
            Assessment::Disputed(End::Local | End::Aws)
            | Assessment::Unconfirmed(End::Local | End::Aws)
            | Assessment::Blind => Said::Unknown,
        };
        Self { both, local, aws, cause, silence }
    }
}

/// The cells of one tunnel.
pub(super) fn of_tunnel(spans: &[Span]) -> Vec<Cell> {
    let mut cells = Vec::with_capacity(spans.len());
    for Span { period, state } in spans {
        push(&mut cells, *period, state.map(Counted::of_tunnel));
    }
    cells
}

/// The cells of a connection from those of its used tunnels, which all cover the same period.
pub(super) fn of_connection(tunnels: &[Vec<Cell>]) -> Vec<Cell> {
    let mut cells = Vec::new();
    let mut rest: Vec<&[Cell]> = tunnels.iter().map(Vec::as_slice).collect();
    let Some(mut at) = rest.iter().filter_map(|cells| cells.first()).map(|cell| cell.period.from).min()
    else {
        return cells;
    };
    let mut now: Vec<Option<Counted>> = vec![None; rest.len()];
    loop {
        let mut until = None;
        for (rest, now) in rest.iter_mut().zip(&mut now) {
            while let Some((first, behind)) = rest.split_first()
                && first.period.until <= at
            {
                *rest = behind;
            }
            let cell = rest.first();
            *now = cell.and_then(|cell| cell.counted);
            until = cell.map(|cell| cell.period.until).into_iter().chain(until).min();
        }
        let Some(until) = until else { return cells };
        push(&mut cells, Period { from: at, until }, together(&now));
        at = until;
    }
}

/// What counts of a connection at one moment. It is up by a column as soon as one of its tunnels is, and down when all are.
fn together(tunnels: &[Option<Counted>]) -> Option<Counted> {
    let observed = || tunnels.iter().flatten();
    observed().next()?;
    let says = |column| {
        let mut said = tunnels.iter().map(|tunnel| tunnel.unwrap_or(Counted::UNKNOWN).said(column));
        let all_down = said.clone().all(|said| said == Said::Down);
        match (said.any(|said| said == Said::Up), all_down) {
            (true, _) => Said::Up,
            (false, true) => Said::Down,
            (false, false) => Said::Unknown,
        }
    };
    let mut causes: Vec<Cause> = observed().filter_map(|tunnel| tunnel.cause).collect();
    causes.sort_by_key(|cause| *cause == Cause::Unknown);
    let all_silenced = observed().all(|tunnel| tunnel.silence.is_some());
    Some(Counted {
        both: says(Column::Both),
        local: says(Column::Local),
        aws: says(Column::Aws),
        cause: causes.first().copied(),
        silence: observed().find_map(|tunnel| tunnel.silence).filter(|_| all_silenced),
    })
}

fn push(cells: &mut Vec<Cell>, period: Period, counted: Option<Counted>) {
    match cells.last_mut() {
        Some(last) if last.counted == counted => last.period.until = period.until,
        Some(_) | None => cells.push(Cell { period, counted }),
    }
}
