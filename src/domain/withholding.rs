//! What withholds the record of a connection's incident: a silence, or a parent that explains it.

use super::board::Withheld;
use super::connection::Connection;
use super::names::Kind;
use super::parents::Parents;
use super::scope::ParentKind;
use super::silence::{Silence, SilenceId, SilenceScope};
use super::time::Now;
use super::tunnel::Tunnel;

/// What withholds an incident of this kind that is open on the connection, or would open now. A silence goes first: what is planned
/// needs no other explanation, and no page for that one.
pub fn withheld(
    connection: &Connection,
    kind: Kind,
    parents: &Parents,
    silences: &[Silence],
    now: Now,
) -> Option<Withheld> {
    let silenced = silenced(connection, kind, parents, silences, now).map(Withheld::Silenced);
    silenced.or_else(|| parents.explains(connection, kind, now.mono).cloned().map(Withheld::Explained))
}

/// The silence of everything that the incident is about.
fn silenced(
    connection: &Connection,
    kind: Kind,
    parents: &Parents,
    silences: &[Silence],
    now: Now,
) -> Option<SilenceId> {
    let active = || silences.iter().filter(|silence| silence.is_active(now.wall));
    let whole = active().find(|silence| is_whole(silence, connection, parents));
    if let Some(silence) = whole {
        return Some(silence.id);
    }
    let of_tunnel = |tunnel: &Tunnel| active().find(|silence| is_of_tunnel(silence, tunnel)).map(|it| it.id);
    let each: Option<Vec<SilenceId>> = connection.concerned(kind).map(of_tunnel).collect();
    each?.into_iter().next()
}

/// The silence that covers a tunnel: that of all of its connection, or else its own.
pub fn silence_of(
    tunnel: &Tunnel,
    connection: &Connection,
    parents: &Parents,
    silences: &[Silence],
    now: Now,
) -> Option<SilenceId> {
    let active = || silences.iter().filter(|silence| silence.is_active(now.wall));
    let whole = active().find(|silence| is_whole(silence, connection, parents));
    whole.or_else(|| active().find(|silence| is_of_tunnel(silence, tunnel))).map(|silence| silence.id)
}

fn is_whole(silence: &Silence, connection: &Connection, parents: &Parents) -> bool {
    match &silence.of {
        SilenceScope::Site => true,
        SilenceScope::Connection(vpn) => *vpn == connection.plan().id,
        SilenceScope::Parent(parent) => match parent.kind {
            ParentKind::Site => true,
            ParentKind::Group => parents.has(parent, &connection.plan().id),
            ParentKind::Uplink => false,
        },
        SilenceScope::Tunnel(_) => false,
    }
}

fn is_of_tunnel(silence: &Silence, tunnel: &Tunnel) -> bool {
    match &silence.of {
        SilenceScope::Tunnel(id) => *id == tunnel.plan().id,
        SilenceScope::Parent(parent) => {
            parent.kind == ParentKind::Uplink && tunnel.plan().uplink.as_ref() == Some(&parent.name)
        }
        SilenceScope::Site | SilenceScope::Connection(_) => false,
    }
}
