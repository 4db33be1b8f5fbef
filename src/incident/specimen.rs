//! Example messages, to test a template before there is an incident.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use crate::domain::board::{
    Child, Incident, IncidentId, IncidentState, TimelineChange, Trouble, TunnelSnapshot,
};
use crate::domain::carrying::Carrying;
use crate::domain::cause::Cause;
use crate::domain::names::{Destination, End, Kind, Role, SinkId, TunnelId, VpnId};
use crate::domain::plan::SinkPlan;
use crate::domain::scope::{ParentId, ParentKind, Scope};
use crate::domain::story::{Scene, Story};
use crate::domain::time::{Now, Stamp};
use crate::domain::verdict::{Assessment, AwsEvidence, Evidence, LocalEvidence, Verdict, View};

use super::drill::Drill;
use super::message::{Change, Message, Occasion, compose};
use super::settings::{SinkRules, VpnSettings};

/// The members that every message has.
pub const MEMBERS: [&str; 33] = [
    "id",
    "key",
    "change",
    "at",
    "site",
    "scope",
    "scope_name",
    "vpn_id",
    "vpn_name",
    "kind",
    "severity",
    "impact",
    "title",
    "short",
    "text",
    "news",
    "caution",
    "causes",
    "since",
    "flow",
    "traffic",
    "ends",
    "likely",
    "steps",
    "withheld",
    "sender",
    "links",
    "incident",
    "began",
    "opened",
    "tunnels",
    "children",
    "timeline",
];
/// The members that only some messages have.
pub const SOMETIMES: [&str; 8] = [
    "resolved",
    "follows",
    "runbook_url",
    "notes",
    "drill",
    "worsened_after_close",
    "tunnels_left_out",
    "children_left_out",
];

/// Which of the optional members are present.
#[derive(Clone, Copy)]
struct With {
    runbook_url: bool,
    notes: bool,
    follows: bool,
}

/// None, each alone, and all.
const WITH: [With; 5] = [
    With { runbook_url: false, notes: false, follows: false },
    With { runbook_url: true, notes: false, follows: false },
    With { runbook_url: false, notes: true, follows: false },
    With { runbook_url: false, notes: false, follows: true },
    With { runbook_url: true, notes: true, follows: true },
];

/// A message of every change and kind, of a connection and of each kind of parent, with and without the optional members, and a
/// drill's.
pub fn specimens(at: Stamp) -> Vec<Message> {
    let mut messages = Vec::new();
    for with in WITH {
        let settings = settings(with);
        for kind in Kind::ALL {
            let incident = incident(kind, with, at);
            let messages_of_kind = Change::ALL.map(|change| {
                let occasion =
                    Occasion { sink: &settings.sink.destination, change, generation: 0, sent_upto: 0, at };
                compose(&incident, &settings, occasion)
            });
            messages.extend(messages_of_kind);
            for parent in ParentKind::ALL.into_iter().filter(|_| kind != Kind::Degraded) {
                let incident = of_parent(parent, kind, with, at);
                messages.extend(Change::ALL.map(|change| {
                    let sink = &settings.sink.destination;
                    let occasion = Occasion { sink, change, generation: 0, sent_upto: 0, at };
                    compose(&incident, &settings, occasion)
                }));
            }
            let drill =
                Drill { site: Arc::clone(&settings.site), vpn: vpn(), vpn_name: NAME.into(), kind, at };
            messages.extend([Change::Opened, Change::Resolved].map(|it| drill.message(&settings, it, at)));
        }
    }
    messages
}

const NAME: &str = "A \"VPN\" connection, primary";

fn vpn() -> VpnId {
    VpnId::new("vpn-0123456789abcdef0")
}

fn settings(with: With) -> SinkRules {
    let vpn_settings = VpnSettings {
        region: "eu-west-1".into(),
        runbook_url: with.runbook_url.then(|| "https://wiki.example.com/vpn".into()),
        notes: with.notes.then(|| "Call the \"NOC\".\nThen wait.".into()),
        ..VpnSettings::default()
    };
    SinkRules {
        sink: SinkPlan {
            id: SinkId::new("webhook"),
            destination: Destination::new("specimen"),
            kinds: Kind::ALL.into(),
            scopes: None,
        },
        site: "milan-1".into(),
        plan: "".into(),
        impact: BTreeMap::new(),
        vpns: BTreeMap::from([(vpn(), vpn_settings)]),
        parents: BTreeMap::new(),
    }
}

fn incident(kind: Kind, with: With, at: Stamp) -> Incident {
    let now = Now { wall: at, ..Now::default() };
    let tunnels: Vec<_> = [11, 12].map(|last| snapshot(last, now)).into();
    let related = IncidentId { scope: vpn().into(), kind, opened: at };
    let scene = Scene {
        site: "milan-1".into(),
        name: NAME.into(),
        tunnels: tunnels.clone(),
        children: Vec::new(),
        related: with.follows.then_some(related),
    };
    let mut story = Story::open(vpn().into(), kind, scene, now);
    let TunnelSnapshot { id, name, .. } = tunnels[0].clone();
    let (assessment, carrying) = (Assessment::Down, Carrying::of(Assessment::Down));
    story.add(TimelineChange::Assessment { tunnel: id, name, assessment, carrying }, at);
    Incident { state: IncidentState::Open, ..(**story.incident()).clone() }
}

/// A parent's: one of its connections is down, with a cause, and one is not.
fn of_parent(parent: ParentKind, kind: Kind, with: With, at: Stamp) -> Incident {
    let id = ParentId { kind: parent, site: "milan-1".into(), name: "wan \"1\"".into() };
    let trouble = Trouble { kind: Some(kind), since: at, cause: Some(Cause::UplinkDown) };
    let child = |vpn, name: &str, trouble| Child { vpn, name: name.into(), trouble };
    let other = VpnId::new("vpn-0123456789abcdef1");
    let related = IncidentId { scope: Scope::Parent(id.clone()), kind, opened: at };
    let scene = Scene {
        site: "milan-1".into(),
        name: Arc::clone(&id.name),
        tunnels: Vec::new(),
        children: vec![child(vpn(), NAME, Some(trouble)), child(other, "another", None)],
        related: with.follows.then_some(related),
    };
    let now = Now { wall: at, ..Now::default() };
    let mut story = Story::open(Scope::Parent(id), kind, scene, now);
    let (down, back) = (vec![NAME.into()], vec!["another".into()]);
    story.add(TimelineChange::Children { down, back, troubled: 1, of: 2 }, at);
    Incident::clone(story.incident())
}

fn snapshot(last: u8, now: Now) -> TunnelSnapshot {
    let view = |evidence| View { verdict: Verdict::Down, since: now, evidence };
    TunnelSnapshot {
        id: TunnelId { vpn: vpn(), outside_ip: IpAddr::V4(Ipv4Addr::new(203, 0, 113, last)) },
        name: format!("tunnel {last}").into(),
        role: Role::Active,
        local: view(Evidence::Local(LocalEvidence { losses_in_row: 10, ..LocalEvidence::default() })),
        aws: view(Evidence::Aws(AwsEvidence {
            words: Some("TunnelState 0".into()),
            ..AwsEvidence::default()
        })),
        assessment: Assessment::Disputed(End::Local),
        carrying: Carrying::of(Assessment::Disputed(End::Local)),
        diagnosis: None,
        quality: Default::default(),
        quality_since: None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const AT: Stamp = Stamp::from_secs(1_795_341_600);

    #[test]
    fn the_members_of_all_messages_are_listed() {
        let names = |message: &Message| -> BTreeSet<String> {
            message.data.as_object().unwrap().keys().cloned().collect()
        };
        let all: Vec<_> = specimens(AT).iter().map(names).collect();
        let in_every = all.iter().skip(1).fold(all[0].clone(), |known, names| &known & names);
        let in_any = all.iter().fold(BTreeSet::new(), |known, names| &known | names);
        assert_eq!(in_every, MEMBERS.map(str::to_owned).into());
        let sometimes = &in_any - &in_every;
        // No specimen worsened after a person closed it, which only a sink that keeps records sees, or has more tunnels or
        // connections than fit.
        let rare = ["tunnels_left_out", "children_left_out", "worsened_after_close"].map(str::to_owned);
        assert_eq!(&sometimes | &rare.into(), SOMETIMES.map(str::to_owned).into());
    }

    #[test]
    fn there_is_one_of_every_change_kind_and_scope_and_a_drills() {
        let seen: BTreeSet<_> = specimens(AT)
            .iter()
            .map(|message| (message.change, message.kind, message.scope.word(), message.drill))
            .collect();
        let of_parents = Change::ALL.len() * (Kind::ALL.len() - 1) * ParentKind::ALL.len();
        assert_eq!(seen.len(), Change::ALL.len() * Kind::ALL.len() + 2 * Kind::ALL.len() + of_parents);
    }
}
