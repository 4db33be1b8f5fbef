//! `[[group]]`, and what several connections share: groups, uplinks and the site.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::patterns;
use super::problem::{Notes, ProblemKind, Provenance};
use super::section::{Listed, Merged, Once, Section, distinct};
use super::vpns::VpnReader;
use crate::domain::names::VpnId;
use crate::domain::plan::{IncidentRules, ParentPlan, VpnPlan};
use crate::domain::scope::{ParentId, ParentKind};
use crate::domain::sensor::SensorKind;

/// A `[[group]]`.
#[derive(Debug)]
pub(super) struct Group {
    name: Arc<str>,
    vpns: BTreeSet<VpnId>,
}

/// `[[group]]`. `complete`: every connection is known, if only by its id.
pub(super) fn groups(merged: &Merged, vpns: &VpnReader, complete: bool, notes: &mut Notes) -> Vec<Group> {
    let mut names = Once::default();
    let mut homes: BTreeMap<VpnId, (Provenance, String)> = BTreeMap::new();
    let mut groups = Vec::new();
    for item in &merged.groups {
        let section = Section::item(item, &merged.main);
        if !section.is_table() {
            continue;
        }
        let name = section.required("name", &patterns::PLAIN_NAME, notes);
        if let Some(name) = &name {
            names.claim(name.clone(), &section, "name", notes);
        }
        let members = members(&section, notes);
        let mut own = BTreeMap::new();
        for Listed { value: vpn, place, path } in members {
            let wrong = if !vpns.names(&vpn) && complete {
                Some(format!("there is no [[vpn]] with the id {vpn}{}", vpns.known()))
            } else {
                homes.get(&vpn).map(|(there, other)| {
                    format!("{vpn} is {other} at {there}, too: a connection is in one group at most")
                })
            };
            if let Some(what) = wrong {
                notes.problem(place.clone(), path.clone(), ProblemKind::Other(what));
            }
            own.entry(vpn).or_insert((place, path));
        }
        if let Some(name) = name {
            groups.push(Group { name, vpns: own.keys().cloned().collect() });
        }
        for (vpn, at) in own {
            homes.entry(vpn).or_insert(at);
        }
    }
    groups
}

/// `vpns` of a `[[group]]`.
fn members(section: &Section<'_>, notes: &mut Notes) -> Vec<Listed<VpnId>> {
    let key = "vpns";
    if !section.sets(key) {
        let allowed = "a list of the ids of at least two connections, which back each other up";
        section.missing(key, allowed, notes);
    }
    let members = section.texts(key, &patterns::GROUPED, notes).unwrap_or_default();
    if section.length(key) == 1 {
        let what = "has one connection: a group is of at least two, which back each other up";
        section.wrong(key, what, notes);
    }
    distinct(&members, notes);
    members
}

/// What several connections share, in the order of its ids: the groups, the uplinks that can be judged, and the site.
pub(super) fn parents(
    site: &Arc<str>,
    vpns: &[Arc<VpnPlan>],
    groups: Vec<Group>,
    incident: IncidentRules,
) -> Vec<Arc<ParentPlan>> {
    let id = |kind, name: &Arc<str>| ParentId { kind, site: Arc::clone(site), name: Arc::clone(name) };
    let mut parents: BTreeMap<ParentId, BTreeSet<VpnId>> = groups
        .into_iter()
        .map(|group| (id(ParentKind::Group, &group.name), group.vpns))
        .chain(uplinks(vpns).into_iter().map(|(name, vpns)| (id(ParentKind::Uplink, name), vpns)))
        .collect();
    let used = vpns.iter().filter(|vpn| vpn.used_tunnels().next().is_some());
    parents.insert(id(ParentKind::Site, site), used.map(|vpn| vpn.id.clone()).collect());
    let shared = parents.into_iter().filter(|(_, vpns)| vpns.len() > 1);
    shared.map(|(id, vpns)| Arc::new(ParentPlan { id, vpns, incident })).collect()
}

/// The connections over each uplink. Without echoes to its references nobody can tell whether one works; those of one tunnel
/// speak for all.
fn uplinks(vpns: &[Arc<VpnPlan>]) -> BTreeMap<&Arc<str>, BTreeSet<VpnId>> {
    let over = || {
        let tunnels = vpns.iter().flat_map(|vpn| vpn.used_tunnels().map(move |tunnel| (vpn, tunnel)));
        tunnels.filter_map(|(vpn, tunnel)| Some((tunnel.uplink.as_ref()?, vpn, tunnel)))
    };
    let looked_at: BTreeSet<&Arc<str>> = over()
        .filter(|(_, _, tunnel)| tunnel.sensors.kinds.contains(&SensorKind::Path))
        .map(|(name, _, _)| name)
        .collect();
    let mut uplinks: BTreeMap<_, BTreeSet<VpnId>> = BTreeMap::new();
    for (name, vpn, _) in over().filter(|(name, _, _)| looked_at.contains(name)) {
        uplinks.entry(name).or_default().insert(vpn.id.clone());
    }
    uplinks
}
