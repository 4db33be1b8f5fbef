//! Rows as the domain's types.

use rusqlite::Row;

use crate::domain::event::SeenUp;
use crate::domain::names::{CheckId, CheckKind, TunnelId, VpnId};
use crate::domain::plan::{OwnEnd, RouteKey};
use crate::domain::rollup::Rollup;
use crate::domain::time::Stamp;
use crate::store::codec;

/// The columns of [`rollup`].
pub(super) const ROLLUP: &str =
    "vpn, outside_ip, minute, replies, late, lost, faults, rtt, up, both_ends_down";

pub(super) fn text(row: &Row<'_>, column: usize) -> rusqlite::Result<String> {
    row.get(column)
}

/// The first five columns, for a message.
pub(super) fn describe(row: &Row<'_>) -> rusqlite::Result<String> {
    Ok((0..5).map(|column| text(row, column)).collect::<rusqlite::Result<Vec<_>>>()?.join(" "))
}

pub(super) fn tunnel(vpn: String, outside_ip: &str) -> Option<TunnelId> {
    Some(TunnelId { vpn: VpnId::new(vpn), outside_ip: outside_ip.parse().ok()? })
}

/// `None` if its words are not known.
pub(super) fn seen_up(row: &Row<'_>) -> rusqlite::Result<Option<SeenUp>> {
    let (end, check, inside_ip) = (text(row, 0)?, text(row, 1)?, text(row, 2)?);
    let Some(tunnel) = tunnel(text(row, 3)?, &text(row, 4)?) else { return Ok(None) };
    Ok(match (end.as_str(), inside_ip.parse()) {
        ("aws", _) => Some(SeenUp::Aws(tunnel)),
        ("local", Ok(inside_ip)) if check == CheckKind::Inside.as_str() => {
            let interface = Some(text(row, 6)?).filter(|name| !name.is_empty()).map(Into::into);
            let own = text(row, 5)?.parse().ok().map(|source_ip| OwnEnd { source_ip, interface });
            Some(SeenUp::Local(CheckId { tunnel, kind: CheckKind::Inside }, RouteKey { inside_ip, own }))
        }
        (_, _) => None,
    })
}

/// `None` if its words are not known.
pub(super) fn rollup(row: &Row<'_>) -> rusqlite::Result<Option<Rollup>> {
    let rtt: Option<String> = row.get(7)?;
    let (Some(tunnel), Ok(rtt)) =
        (tunnel(text(row, 0)?, &text(row, 1)?), rtt.map_or(Ok(Vec::new()), |rtt| codec::read_rtt(&rtt)))
    else {
        return Ok(None);
    };
    Ok(Some(Rollup {
        tunnel,
        minute: Stamp::from_millis(row.get(2)?),
        replies: row.get(3)?,
        late: row.get(4)?,
        lost: row.get(5)?,
        faults: row.get(6)?,
        rtt,
        up: row.get(8)?,
        both_ends_down: row.get(9)?,
    }))
}
