//! `[[incident.sink]]`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::domain::names::{Kind, SinkId, VpnId};

use super::build::Inputs;
use super::patterns;
use super::problem::Notes;
use super::section::{Rule, Section};
use super::settings::{SinkSettings, Vendor};
use super::vpns::Vpns;
use super::webhook;

/// Incident Manager's scale, critical to no impact.
const IMPACT: std::ops::RangeInclusive<u32> = 1..=5;

/// What a sink may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Type {
    IncidentManager,
    OpsCenter,
    Sns,
    Webhook,
}

impl Type {
    const ALL: [Self; 4] = [Self::IncidentManager, Self::OpsCenter, Self::Sns, Self::Webhook];

    /// The word used in the configuration and in the ids of sinks.
    const fn as_str(self) -> &'static str {
        match self {
            Self::IncidentManager => "incident_manager",
            Self::OpsCenter => "ops_center",
            Self::Sns => "sns",
            Self::Webhook => "webhook",
        }
    }

    /// The keys that not every type has, and this one has.
    const fn keys(self) -> &'static [&'static str] {
        match self {
            Self::IncidentManager => &["response_plan", "region", "role_arn"],
            Self::OpsCenter => &["region", "role_arn"],
            Self::Sns => &["topic_arn", "role_arn"],
            Self::Webhook => webhook::KEYS,
        }
    }

    /// The key that says where a sink's incidents go.
    const fn target(self) -> &'static str {
        match self {
            Self::IncidentManager => "response_plan",
            Self::OpsCenter => "region",
            Self::Sns => "topic_arn",
            Self::Webhook => "url",
        }
    }
}

const TYPE: Rule<Type> = Rule {
    allowed: "\"incident_manager\", \"ops_center\", \"sns\", \"webhook\"",
    parse: |text| Type::ALL.into_iter().find(|known| known.as_str() == text),
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
    pub(super) fn read(
        &mut self,
        section: &Section<'_>,
        vpns: &Vpns,
        inputs: &Inputs<'_>,
        notes: &mut Notes,
    ) {
        let Inputs { surroundings, complete } = *inputs;
        if !section.is_table() {
            return;
        }
        let kind_of_sink = section.required("type", &TYPE, notes);
        if let Some(kind_of_sink) = kind_of_sink {
            strangers(kind_of_sink, section, notes);
        }
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
            Some(Type::OpsCenter) => Some(Vendor::OpsCenter),
            Some(Type::Sns) => section
                .required("topic_arn", &patterns::TOPIC_ARN, notes)
                .map(|topic_arn| Vendor::Sns { topic_arn }),
            Some(Type::Webhook) => webhook::read(section, surroundings, notes)
                .map(|settings| Vendor::Webhook(Box::new(settings))),
            None => None,
        };
        let (Some(kind_of_sink), Some(vendor)) = (kind_of_sink, vendor) else { return };
        let settings = SinkSettings {
            id: self.next_id(kind_of_sink),
            vendor,
            region,
            role_arn,
            kinds: kinds
                .map_or_else(|| Kind::ALL.into(), |kinds| kinds.into_iter().map(|kind| kind.value).collect()),
            vpns: only.map(|vpns| vpns.into_iter().map(|vpn| vpn.value).collect::<BTreeSet<_>>()),
            impact,
        };
        self.claim_targets(&settings, kind_of_sink.target(), section, vpns, notes);
        self.settings.push(settings);
    }

    fn next_id(&mut self, kind_of_sink: Type) -> SinkId {
        let count = self.of_type.entry(kind_of_sink).or_default();
        *count += 1;
        match *count {
            1 => SinkId::new(kind_of_sink.as_str()),
            count => SinkId::new(format!("{}-{count}", kind_of_sink.as_str())),
        }
    }

    /// Two sinks must not keep records of the same incident at the same place: each would adopt the other's.
    fn claim_targets(
        &mut self,
        settings: &SinkSettings,
        key: &str,
        section: &Section<'_>,
        vpns: &Vpns,
        notes: &mut Notes,
    ) {
        let plan = settings.plan();
        let pairs = vpns.settings.keys().flat_map(|vpn| Kind::ALL.map(|kind| (vpn, kind)));
        let mut first_clash = None;
        for (vpn, kind) in pairs.filter(|(vpn, kind)| plan.takes(vpn, *kind)) {
            let here = format!("{} at {}", section.path(key), section.place(key));
            let target = (place(settings, vpn, kind), vpn.clone(), kind);
            if let Some(there) = self.targets.get(&target) {
                first_clash.get_or_insert_with(|| (there.clone(), vpn.clone(), kind));
            } else {
                self.targets.insert(target, here);
            }
        }
        if let Some((there, vpn, kind)) = first_clash {
            let what =
                format!("sends {} of {vpn} to the same {} as {there}", kind.as_str(), name(&settings.vendor));
            section.wrong(key, what, notes);
        }
    }
}

/// What tells the places of two sinks apart.
fn place(settings: &SinkSettings, vpn: &VpnId, kind: Kind) -> String {
    match &settings.vendor {
        Vendor::IncidentManager { .. } | Vendor::Sns { .. } => settings.target(vpn, kind),
        Vendor::Webhook(webhook) => format!("{:?}", webhook.url),
        Vendor::OpsCenter => {
            let said = |text: &Option<Arc<str>>| text.as_deref().unwrap_or_default().to_owned();
            format!("OpsCenter {} {}", said(&settings.region), said(&settings.role_arn))
        }
    }
}

/// What a sink's place is called.
const fn name(vendor: &Vendor) -> &'static str {
    match vendor {
        Vendor::IncidentManager { .. } => "response plan",
        Vendor::OpsCenter => "OpsCenter",
        Vendor::Sns { .. } => "topic",
        Vendor::Webhook(_) => "webhook",
    }
}

/// Keys that only other types of sinks have.
fn strangers(kind_of_sink: Type, section: &Section<'_>, notes: &mut Notes) {
    let others = Type::ALL.into_iter().flat_map(Type::keys).collect::<BTreeSet<_>>();
    for key in others {
        if section.sets(key) && !kind_of_sink.keys().contains(key) {
            let has = |kind: &Type| kind.keys().contains(key);
            let owners: Vec<_> =
                Type::ALL.into_iter().filter(has).map(|kind| format!("\"{}\"", kind.as_str())).collect();
            let what = format!(
                "is no key of a sink of type \"{}\"; it is one of {}",
                kind_of_sink.as_str(),
                owners.join(", ")
            );
            section.wrong(key, what, notes);
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
