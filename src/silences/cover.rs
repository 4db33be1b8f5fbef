//! What a silence covers, tunnel by tunnel: whether another one still covers what ends, and what a reload takes out of one.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::domain::names::TunnelId;
use crate::domain::plan::{Plan, TunnelPlan, VpnPlan};
use crate::domain::scope::ParentKind;
use crate::domain::silence::{Silence, SilenceScope};
use crate::domain::time::Stamp;

/// What a silence that is still on covers of one that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// All of it.
    All,
    /// Some of its tunnels.
    Part,
}

/// The silence that goes on for longest of those that cover what has ended; if none covers all of it, of those that cover a part.
pub fn still<'a>(
    ended: &SilenceScope,
    others: &'a [Silence],
    plan: &Plan,
    now: Stamp,
) -> Option<(&'a Silence, Extent)> {
    let tunnels = tunnels(ended, plan);
    let extent = |other: &Silence| {
        let covered = self::tunnels(&other.of, plan);
        // The site's own incident is silenced by a silence of the site alone.
        let is_wide_enough = *ended != SilenceScope::Site || other.of == SilenceScope::Site;
        match tunnels.intersection(&covered).count() {
            0 => None,
            some if some == tunnels.len() && is_wide_enough => Some(Extent::All),
            _ => Some(Extent::Part),
        }
    };
    let active = others.iter().filter(|other| other.is_active(now));
    let found = active.filter_map(|other| Some((other, extent(other)?)));
    found.max_by_key(|(other, extent)| (*extent == Extent::All, other.until, std::cmp::Reverse(other.id)))
}

/// What a silence no longer covers after a reload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lost {
    /// What it silences has left the configuration, or has another name there.
    Everything,
    /// Connections that are still watched, by their names.
    Connections(Vec<Arc<str>>),
}

/// What a silence covered by the plan of before and does not by this one; `None` if that is nothing.
pub fn lost(of: &SilenceScope, before: &Plan, plan: &Plan) -> Option<Lost> {
    let (covered, covers) = (tunnels(of, before), tunnels(of, plan));
    if covered.is_empty() || *of == SilenceScope::Site {
        return None;
    } else if covers.is_empty() {
        return Some(Lost::Everything);
    }
    let uncovered: BTreeSet<&TunnelId> = covered.difference(&covers).collect();
    let has_one = |vpn: &&Arc<VpnPlan>| vpn.tunnels.iter().any(|tunnel| uncovered.contains(&tunnel.id));
    let lost: Vec<_> = plan.vpns.iter().filter(has_one).map(|vpn| Arc::clone(&vpn.name)).collect();
    (!lost.is_empty()).then_some(Lost::Connections(lost))
}

fn tunnels(of: &SilenceScope, plan: &Plan) -> BTreeSet<TunnelId> {
    let is_covered = |vpn: &VpnPlan, tunnel: &TunnelPlan| match of {
        SilenceScope::Site => true,
        SilenceScope::Connection(id) => *id == vpn.id,
        SilenceScope::Tunnel(id) => *id == tunnel.id,
        SilenceScope::Parent(id) => match id.kind {
            ParentKind::Site => true,
            ParentKind::Uplink => tunnel.uplink.as_ref() == Some(&id.name),
            ParentKind::Group => {
                plan.parents.iter().any(|parent| parent.id == *id && parent.vpns.contains(&vpn.id))
            }
        },
    };
    let all = plan.vpns.iter().flat_map(|vpn| vpn.tunnels.iter().map(move |tunnel| (vpn, tunnel)));
    all.filter(|(vpn, tunnel)| is_covered(vpn, tunnel)).map(|(_, tunnel)| tunnel.id.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::scope::ParentId;
    use crate::domain::silence::FromNow;
    use crate::domain::silence::SilenceId;
    use crate::silences::tests::{at, plan};

    const NOW: &str = "2027-03-01T12:00:00Z";

    fn paris() -> SilenceScope {
        parent(ParentKind::Group, "paris")
    }

    fn parent(kind: ParentKind, name: &str) -> SilenceScope {
        SilenceScope::Parent(ParentId { kind, site: "milan 1".into(), name: name.into() })
    }

    fn vpn(index: usize) -> SilenceScope {
        SilenceScope::Connection(plan().vpns[index].id.clone())
    }

    fn tunnel(index: usize) -> SilenceScope {
        SilenceScope::Tunnel(plan().vpns[index].tunnels[0].id.clone())
    }

    fn silence(id: u32, of: SilenceScope, from: &str, until: &str) -> Silence {
        Silence {
            id: SilenceId(id),
            of,
            from: at(from),
            until: at(until),
            weekly: None,
            reason: "a new line".into(),
            by: 0,
            added: at(from),
            from_now: FromNow::default(),
        }
    }

    fn found(ended: &SilenceScope, others: &[Silence]) -> Option<(u32, Extent)> {
        still(ended, others, &plan(), at(NOW)).map(|(by, extent)| (by.id.0, extent))
    }

    #[test]
    fn what_ends_may_be_covered_by_another_silence_that_is_on() {
        let (from, until) = ("2027-03-01T11:00:00Z", "2027-03-01T14:00:00Z");
        let of = |id, of: SilenceScope| silence(id, of, from, until);
        assert_eq!(found(&vpn(0), &[of(3, SilenceScope::Site)]), Some((3, Extent::All)));
        assert_eq!(found(&vpn(0), &[of(3, paris())]), Some((3, Extent::All)));
        assert_eq!(found(&vpn(0), &[of(3, vpn(0))]), Some((3, Extent::All)));
        assert_eq!(found(&tunnel(0), &[of(3, vpn(0))]), Some((3, Extent::All)));
        assert_eq!(found(&vpn(2), &[of(3, paris())]), None);
        assert_eq!(found(&vpn(0), &[of(3, vpn(1))]), None);
        assert_eq!(found(&paris(), &[of(3, vpn(1))]), Some((3, Extent::Part)));
        assert_eq!(found(&paris(), &[of(3, vpn(1)), of(4, SilenceScope::Site)]), Some((4, Extent::All)));
        let each = [of(3, vpn(0)), of(4, vpn(1)), of(5, vpn(2))];
        assert_eq!(found(&SilenceScope::Site, &each), Some((3, Extent::Part)));
        assert_eq!(found(&vpn(0), &[silence(3, vpn(0), until, "2027-03-01T15:00:00Z")]), None, "to come");
        let longer = silence(4, vpn(0), from, "2027-03-01T15:00:00Z");
        assert_eq!(found(&vpn(0), &[of(3, vpn(0)), longer, of(5, vpn(0))]), Some((4, Extent::All)));
    }

    #[test]
    fn a_reload_takes_out_what_has_gone_or_another_name_and_what_leaves_a_group() {
        let before = plan();
        let mut renamed = plan();
        renamed.parents.retain(|parent| parent.id.kind != ParentKind::Group);
        assert_eq!(lost(&paris(), &before, &renamed), Some(Lost::Everything));
        assert_eq!(lost(&paris(), &before, &before), None);
        assert_eq!(lost(&paris(), &renamed, &renamed), None, "it matched nothing before");
        let mut smaller = plan();
        smaller.vpns.remove(0);
        assert_eq!(lost(&vpn(0), &before, &smaller), Some(Lost::Everything));
        assert_eq!(lost(&tunnel(0), &before, &smaller), Some(Lost::Everything));
        assert_eq!(lost(&SilenceScope::Site, &before, &smaller), None);
        assert_eq!(lost(&paris(), &before, &smaller), None, "what is not watched needs no silence");
        let mut left = plan();
        for parent in &mut left.parents {
            Arc::make_mut(parent).vpns.remove(&before.vpns[1].id);
        }
        assert_eq!(lost(&paris(), &before, &left), Some(Lost::Connections(vec!["Rome".into()])));
    }

    #[test]
    fn a_silence_of_an_uplink_covers_the_tunnels_over_it() {
        let over = |name: &str| {
            let mut plan = plan();
            let tunnel = &mut Arc::make_mut(&mut plan.vpns[0]).tunnels[0];
            Arc::make_mut(tunnel).uplink = Some(name.into());
            plan
        };
        let wan1 = parent(ParentKind::Uplink, "wan1");
        assert_eq!(lost(&wan1, &over("wan1"), &over("wan1")), None);
        assert_eq!(lost(&wan1, &over("wan1"), &over("wan2")), Some(Lost::Everything));
    }
}
