//! `[[incident.sink]]`, and the destination of each sink.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::files::Surroundings;
use super::patterns::{self, Rule};
use super::problem::{Notes, Provenance};
use super::section::Section;
use super::settings::{PossibleIncident, SinkSettings, Vendor};
use super::vpns::VpnReader;
use super::webhook;
use crate::domain::names::{Destination, Kind, SinkId, VpnId};
use crate::domain::plan::ParentPlan;
use crate::domain::scope::Scope;
use crate::settings::{WebhookBody, WebhookSettings, WebhookUrl};

/// Incident Manager's scale, from critical to no impact.
const IMPACT: std::ops::RangeInclusive<u32> = 1..=5;

/// The types of sinks.
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

    /// The keys of this type that not every type has.
    const fn keys(self) -> &'static [&'static str] {
        match self {
            Self::IncidentManager => &["response_plan", "region", "role_arn"],
            Self::OpsCenter => &["region", "role_arn"],
            Self::Sns => &["topic_arn", "role_arn"],
            Self::Webhook => webhook::KEYS,
        }
    }

    /// The key with the destination.
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
    hint: super::hints::of_text,
    allowed: "\"incident_manager\", \"ops_center\", \"sns\", \"webhook\"",
    parse: |text| Type::ALL.into_iter().find(|known| known.as_str() == text),
};

/// Reads the sinks one by one and detects duplicates.
#[derive(Debug, Default)]
pub(super) struct SinkReader {
    pub(super) settings: Vec<SinkSettings>,
    of_type: BTreeMap<Type, usize>,
    ids: BTreeMap<SinkId, Provenance>,
    targets: BTreeMap<(String, Scope, Kind), String>,
}

/// The settings that sinks refer to.
#[derive(Clone, Copy)]
pub(super) struct Beside<'a> {
    /// The connections; all of them, if everything is `complete`.
    pub(super) vpns: &'a VpnReader,
    /// What they share.
    pub(super) parents: &'a [Arc<ParentPlan>],
    pub(super) complete: bool,
    /// The Region of `[aws]`.
    pub(super) region: Option<&'a str>,
    pub(super) surroundings: &'a Surroundings<'a>,
}

impl SinkReader {
    /// Reads one sink and keeps it if it is valid.
    pub(super) fn read(&mut self, section: &Section<'_>, beside: &Beside<'_>, notes: &mut Notes) {
        let Beside { vpns, parents, complete, region: default_region, surroundings } = *beside;
        if !section.is_table() {
            return;
        }
        let kind_of_sink = section.required("type", &TYPE, notes);
        if let Some(kind_of_sink) = kind_of_sink {
            strangers(kind_of_sink, section, notes);
        }
        let name = section.text("name", &patterns::PLAIN_NAME, notes);
        let region = section.text("region", &patterns::REGION, notes);
        let role_arn = section.text("role_arn", &patterns::ROLE_ARN, notes);
        let kinds = section.texts("kinds", &patterns::KIND, notes);
        let only = section.texts("vpns", &patterns::VPN_ID, notes);
        let impact = impact(&section.section("impact"), notes);
        for vpn in only.iter().flatten().filter(|vpn| complete && !vpns.names(&vpn.value)) {
            let what = super::problem::ProblemKind::Other(format!(
                "there is no [[vpn]] with the id {}{}",
                vpn.value,
                vpns.known()
            ));
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
            id: self.next_id(kind_of_sink, name, section, notes),
            destination: destination(&vendor, region.as_deref().or(default_region), role_arn.as_deref()),
            vendor,
            region,
            role_arn,
            kinds: kinds.map_or_else(
                || Kind::BY_DEFAULT.into(),
                |kinds| kinds.into_iter().map(|kind| kind.value).collect(),
            ),
            scopes: only.map(|only| scopes(only.into_iter().map(|vpn| vpn.value).collect(), parents)),
            impact,
        };
        self.claim_targets(&settings, kind_of_sink.target(), section, beside, notes);
        self.settings.push(settings);
    }

    /// The name of a sink. A sink with a configured name is counted too, so that naming one does not rename the others.
    fn next_id(
        &mut self,
        kind_of_sink: Type,
        name: Option<Arc<str>>,
        section: &Section<'_>,
        notes: &mut Notes,
    ) -> SinkId {
        let count = self.of_type.entry(kind_of_sink).or_default();
        *count += 1;
        let key = if name.is_some() { "name" } else { "type" };
        let id = match (name, *count) {
            (Some(name), _) => SinkId::new(name),
            (None, 1) => SinkId::new(kind_of_sink.as_str()),
            (None, count) => SinkId::new(format!("{}-{count}", kind_of_sink.as_str())),
        };
        match self.ids.entry(id.clone()) {
            Entry::Vacant(free) => {
                free.insert(section.place(key));
            }
            Entry::Occupied(taken) => {
                let what = format!(
                    "the sink would be called \"{id}\", like the one at {}; give it another name",
                    taken.get()
                );
                section.wrong(key, what, notes);
            }
        }
        id
    }

    /// Two sinks must not keep records of the same incident at the same destination: each would adopt the other's.
    fn claim_targets(
        &mut self,
        settings: &SinkSettings,
        key: &str,
        section: &Section<'_>,
        beside: &Beside<'_>,
        notes: &mut Notes,
    ) {
        let mut first_clash = None;
        for incident in settings.taken(beside.vpns.settings.keys(), beside.parents) {
            let here = format!("{} at {}", section.path(key), section.place(key));
            let target = (target(settings, &incident), incident.of, incident.kind);
            if let Some(there) = self.targets.get(&target) {
                let (_, of, kind) = target;
                first_clash.get_or_insert_with(|| (there.clone(), of, kind));
            } else {
                self.targets.insert(target, here);
            }
        }
        if let Some((there, of, kind)) = first_clash {
            let (place, kind) = (place(&settings.vendor), kind.as_str());
            let what = match of {
                Scope::Connection(vpn) => format!("sends {kind} of {vpn} to the same {place} as {there}"),
                Scope::Parent(parent) => format!(
                    "sends {kind} of the {} {} to the same {place} as {there}: each takes a connection of it; give one another \
                     destination or other kinds, or make them one sink",
                    parent.kind.as_str(),
                    parent.name
                ),
            };
            section.wrong(key, what, notes);
        }
    }
}

/// The connections of a sink, and each parent of one of them: a sink that sends a connection's incidents sends those that
/// explain them.
fn scopes(only: BTreeSet<VpnId>, parents: &[Arc<ParentPlan>]) -> BTreeSet<Scope> {
    let of_it = parents.iter().filter(|parent| !parent.vpns.is_disjoint(&only));
    let of_it: Vec<_> = of_it.map(|parent| Scope::Parent(parent.id.clone())).collect();
    only.into_iter().map(Scope::Connection).chain(of_it).collect()
}

/// The target that must be unique. Different placeholders of plans may lead to the same one.
fn target(settings: &SinkSettings, incident: &PossibleIncident) -> String {
    match &settings.vendor {
        Vendor::IncidentManager { .. } => settings.target_of(incident),
        Vendor::OpsCenter | Vendor::Sns { .. } | Vendor::Webhook(_) => {
            settings.destination.as_str().to_owned()
        }
    }
}

/// The name of a sink's target.
const fn place(vendor: &Vendor) -> &'static str {
    match vendor {
        Vendor::IncidentManager { .. } => "response plan",
        Vendor::OpsCenter => "OpsCenter",
        Vendor::Sns { .. } => "topic",
        Vendor::Webhook(_) => "address, with the same body, headers and secret,",
    }
}

/// Reports keys that only other types of sinks have.
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

//--- the identity of a sink, whatever its name and its place in the files

/// The destination of a sink. The store keeps it: it must be the same in every release.
///
/// Files count by their path: a changed secret or template does not change the destination. The Region is the sink's own or
/// that of `[aws]`; for a plan and a topic the ARN holds everything.
pub(super) fn destination(vendor: &Vendor, region: Option<&str>, role_arn: Option<&str>) -> Destination {
    let mut parts = vec![vendor.as_str().to_owned()];
    match vendor {
        Vendor::IncidentManager { response_plan } => parts.push(response_plan.to_string()),
        Vendor::OpsCenter => {
            parts.extend([region, role_arn].map(|text| text.unwrap_or_default().to_owned()));
        }
        Vendor::Sns { topic_arn } => parts.push(topic_arn.to_string()),
        Vendor::Webhook(webhook) => parts.extend(of_webhook(webhook)),
    }
    digest(&parts)
}

/// Many services share one address and identify the account by the body, a header or the secret.
fn of_webhook(webhook: &WebhookSettings) -> Vec<String> {
    let WebhookSettings {
        url,
        body,
        headers,
        secret,
        signing_secret: _,
        ca_file: _,
        allow_http: _,
        timeout: _,
        repeat_every: _,
    } = webhook;
    let text = |path: &Path| path.display().to_string();
    let mut parts = match url {
        WebhookUrl::Plain(url) => vec!["url".to_owned(), url.to_string()],
        WebhookUrl::Secret(path) => vec!["url_file".to_owned(), text(path)],
    };
    parts.extend(match body {
        WebhookBody::Preset(preset) => ["preset".to_owned(), preset.as_str().to_owned()],
        WebhookBody::Template { path, text: _ } => ["template_file".to_owned(), text(path)],
    });
    parts.push(secret.as_deref().map(text).unwrap_or_default());
    let mut headers: Vec<_> =
        headers.iter().map(|(name, value)| format!("{}: {value}", name.to_lowercase())).collect();
    headers.sort();
    parts.extend(headers);
    parts
}

/// Half a SHA-256 in hexadecimal: the store holds a digest, and no secret of an address.
fn digest(parts: &[String]) -> Destination {
    let mut hash = Sha256::new();
    for part in parts {
        // The length first, so that different lists of parts never give the same bytes.
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let hash = hash.finalize();
    Destination::new(hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect::<String>())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::settings::WebhookPreset;

    fn webhook() -> WebhookSettings {
        WebhookSettings {
            url: WebhookUrl::Plain("https://events.pagerduty.com/v2/enqueue".into()),
            body: WebhookBody::Preset(WebhookPreset::PagerDuty),
            headers: vec![("X-Team".into(), "network".into()), ("X-Site".into(), "milan".into())],
            secret: Some("/etc/bothends/key".into()),
            signing_secret: None,
            ca_file: None,
            allow_http: false,
            timeout: Duration::from_secs(10),
            repeat_every: None,
        }
    }

    fn of(webhook: WebhookSettings) -> Destination {
        destination(&Vendor::Webhook(Box::new(webhook)), None, None)
    }

    #[test]
    fn a_webhook_is_its_address_body_secrets_file_and_headers_and_nothing_else() {
        let same = [
            WebhookSettings { timeout: Duration::from_secs(1), ..webhook() },
            WebhookSettings { repeat_every: Some(Duration::from_secs(60)), ..webhook() },
            WebhookSettings { signing_secret: Some("/etc/bothends/signing".into()), ..webhook() },
            WebhookSettings {
                headers: vec![("x-site".into(), "milan".into()), ("x-team".into(), "network".into())],
                ..webhook()
            },
        ];
        for same in same {
            assert_eq!(of(same.clone()), of(webhook()), "{same:?}");
        }
        let template = |text: &str| WebhookSettings {
            body: WebhookBody::Template { path: "/etc/bothends/body.j2".into(), text: text.into() },
            ..webhook()
        };
        assert_eq!(of(template("{}")), of(template("{ }")));
        let others = [
            WebhookSettings {
                url: WebhookUrl::Plain("https://events.eu.pagerduty.com/".into()),
                ..webhook()
            },
            WebhookSettings {
                url: WebhookUrl::Secret("https://events.pagerduty.com/v2/enqueue".into()),
                ..webhook()
            },
            WebhookSettings { body: WebhookBody::Preset(WebhookPreset::Slack), ..webhook() },
            template("{}"),
            WebhookSettings { secret: Some("/etc/bothends/other".into()), ..webhook() },
            WebhookSettings { secret: None, ..webhook() },
            WebhookSettings { headers: vec![("X-Team".into(), "network".into())], ..webhook() },
        ];
        for other in others {
            assert_ne!(of(other.clone()), of(webhook()), "{other:?}");
        }
    }

    #[test]
    fn ops_center_is_its_region_and_role_and_a_plan_or_a_topic_is_its_arn() {
        let ops_center = |region, role| destination(&Vendor::OpsCenter, region, role);
        assert_ne!(ops_center(Some("eu-west-1"), None), ops_center(Some("eu-west-2"), None));
        assert_ne!(ops_center(None, Some("eu-west-1")), ops_center(Some("eu-west-1"), None));
        let arn = "arn:aws:sns:eu-west-1:123456789012:bothends";
        let topic = |region| destination(&Vendor::Sns { topic_arn: arn.into() }, region, None);
        assert_eq!(topic(None), topic(Some("eu-west-2")));
        let plan = Vendor::IncidentManager { response_plan: arn.into() };
        assert_ne!(destination(&plan, None, None), topic(None));
    }

    #[test]
    fn a_destination_is_the_same_in_every_release() {
        let topic = Vendor::Sns { topic_arn: "arn:aws:sns:eu-west-1:123456789012:bothends".into() };
        assert_eq!(destination(&topic, None, None).as_str(), "38480594edddb3d38253c83fe72530b9");
        assert_eq!(of(webhook()).as_str(), "da8483d95a8ec2288436f9f1fc7c12b1");
    }
}
