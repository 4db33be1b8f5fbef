//! `[[incident.sink]]`.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::names::{Kind, SinkId, VpnId};

use super::patterns;
use super::problem::Notes;
use super::section::{Rule, Section};
use super::settings::{SinkSettings, Vendor};
use super::vpns::Vpns;

/// Incident Manager's scale, critical to no impact.
const IMPACT: std::ops::RangeInclusive<u32> = 1..=5;

/// What a sink may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Type {
    IncidentManager,
}

const TYPE: Rule<Type> = Rule {
    allowed: "\"incident_manager\"",
    parse: |text| (text == "incident_manager").then_some(Type::IncidentManager),
};

/// Reads the sinks one by one and keeps what may exist only once.
#[derive(Debug, Default)]
pub(super) struct Sinks {
    pub(super) settings: Vec<SinkSettings>,
    of_type: BTreeMap<Type, usize>,
    targets: BTreeMap<(String, VpnId, Kind), String>,
}

impl Sinks {
    /// Reads one sink; it is kept if it is whole. Connections are looked up among `vpns`, if all of them are known.
    pub(super) fn read(&mut self, section: &Section<'_>, vpns: &Vpns, complete: bool, notes: &mut Notes) {
        if !section.is_table() {
            return;
        }
        let kind_of_sink = section.required("type", &TYPE, notes);
        let region = section.text("region", &patterns::REGION, notes);
        let role_arn = section.text("role_arn", &patterns::ROLE_ARN, notes);
        let kinds = section.texts("kinds", &patterns::KIND, notes);
        let only = section.texts("vpns", &patterns::VPN_ID, notes);
        let impact = impact(&section.section("impact"), notes);
        for vpn in only.iter().flatten().filter(|vpn| complete && !vpns.names(&vpn.value)) {
            let what = super::problem::What::Other(format!("there is no [[vpn]] with the id {}", vpn.value));
            notes.problem(vpn.place.clone(), vpn.path.as_str(), what);
        }

        let vendor = match kind_of_sink {
            Some(Type::IncidentManager) => section
                .required("response_plan", &patterns::RESPONSE_PLAN, notes)
                .map(|response_plan| Vendor::IncidentManager { response_plan }),
            None => None,
        };
        let (Some(kind_of_sink), Some(vendor)) = (kind_of_sink, vendor) else { return };
        let settings = SinkSettings {
            id: self.next_id(kind_of_sink, &vendor),
            vendor,
            region,
            role_arn,
            kinds: kinds
                .map_or_else(|| Kind::ALL.into(), |kinds| kinds.into_iter().map(|kind| kind.value).collect()),
            vpns: only.map(|vpns| vpns.into_iter().map(|vpn| vpn.value).collect::<BTreeSet<_>>()),
            impact,
        };
        self.claim_targets(&settings, section, vpns, notes);
        self.settings.push(settings);
    }

    fn next_id(&mut self, kind_of_sink: Type, vendor: &Vendor) -> SinkId {
        let count = self.of_type.entry(kind_of_sink).or_default();
        *count += 1;
        match *count {
            1 => SinkId::new(vendor.as_str()),
            count => SinkId::new(format!("{}-{count}", vendor.as_str())),
        }
    }

    /// Two sinks must not keep records of the same incident at the same place: each would adopt the other's.
    fn claim_targets(
        &mut self,
        settings: &SinkSettings,
        section: &Section<'_>,
        vpns: &Vpns,
        notes: &mut Notes,
    ) {
        let plan = settings.plan();
        let pairs = vpns.settings.keys().flat_map(|vpn| Kind::ALL.map(|kind| (vpn, kind)));
        let mut first_clash = None;
        for (vpn, kind) in pairs.filter(|(vpn, kind)| plan.takes(vpn, *kind)) {
            let here = format!("{} at {}", section.path("response_plan"), section.place("response_plan"));
            let target = (settings.response_plan(vpn, kind), vpn.clone(), kind);
            if let Some(there) = self.targets.get(&target) {
                first_clash.get_or_insert_with(|| (there.clone(), vpn.clone(), kind));
            } else {
                self.targets.insert(target, here);
            }
        }
        if let Some((there, vpn, kind)) = first_clash {
            let what = format!("sends {} of {vpn} to the same response plan as {there}", kind.as_str());
            section.wrong("response_plan", what, notes);
        }
    }
}

fn impact(section: &Section<'_>, notes: &mut Notes) -> BTreeMap<Kind, u8> {
    Kind::ALL
        .into_iter()
        .map(|kind| {
            let said =
                section.count(kind.as_str(), IMPACT, notes).and_then(|impact| u8::try_from(impact).ok());
            (kind, said.unwrap_or(kind.default_impact()))
        })
        .collect()
}
