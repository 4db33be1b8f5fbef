mod course;
mod links;
mod opening;
mod parents;
mod side;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::super::settings::Metrics;
use super::*;
use crate::domain::board::{IncidentId, TimelineChange, TimelineEntry, TunnelSnapshot};
use crate::domain::carrying::CannotTell;
use crate::domain::cause::{Clue, Confidence};
use crate::domain::names::{Destination, End, SinkId, SourceKind, TunnelId, VpnId};
use crate::domain::plan::{Route, SinkPlan};
use crate::domain::quality::{Bound, Degradation};
use crate::domain::sensor::Refusal;
use crate::domain::side::Lead;
use crate::domain::stopped::began;
use crate::domain::time::Now;
use crate::domain::verdict::{Assessment, AwsEvidence, Evidence, LocalEvidence, View};
use crate::incident::sink::DESCRIPTION_MAX;

/// 2026-11-22, noon.
const NOON: Stamp = Stamp::from_secs(1_795_348_800);
const VPN: &str = "vpn-0123456789abcdef0";

/// Noon and a little.
fn after(secs: u64) -> Now {
    Now::default().after(Duration::from_secs(1_795_348_800 + secs))
}

fn before(secs: u64) -> Now {
    let noon = after(0);
    Now { mono: noon.mono - Duration::from_secs(secs), wall: noon.wall - Duration::from_secs(secs) }
}

fn address(last: u8) -> IpAddr {
    [203, 0, 113, last].into()
}

fn settings() -> SinkRules {
    let route = |last: u8| {
        let route = Route {
            inside_ip: [169, 254, last, 1].into(),
            source_ip: [169, 254, last, 2].into(),
            interface: Some(format!("vti{}", last - 10).into()),
            fwmark: None,
        };
        (address(last), Arc::new(route))
    };
    let vpn = VpnSettings {
        region: "eu-west-1".into(),
        runbook_url: Some("https://wiki.example.com/vpn".into()),
        notes: Some("Circuit 4711 of Telco, +39 02 555 0100.".into()),
        metrics: Some(Metrics { namespace: "BothEnds".into(), region: "eu-west-1".into() }),
        routes: BTreeMap::from([route(11), route(12)]),
    };
    SinkRules {
        sink: SinkPlan {
            id: SinkId::new("incident_manager"),
            destination: Destination::new("0123"),
            kinds: Kind::ALL.into(),
            scopes: None,
        },
        site: "milan-1".into(),
        plan: "arn:aws:ssm-incidents::123456789012:response-plan/bothends".into(),
        impact: BTreeMap::new(),
        vpns: BTreeMap::from([(VpnId::new(VPN), vpn)]),
        parents: BTreeMap::new(),
    }
}

fn tunnel(
    last: u8,
    (local, loss): (Verdict, Option<Loss>),
    (aws, words): (Verdict, &str),
    assessment: Assessment,
) -> TunnelSnapshot {
    let last_reply = match local {
        Verdict::Unknown(_) => None,
        Verdict::Up | Verdict::Down => Some(before(31)),
    };
    TunnelSnapshot {
        diagnosis: None,
        id: TunnelId { vpn: VpnId::new(VPN), outside_ip: address(last) },
        name: format!("tunnel {}", last - 10).into(),
        role: Role::Active,
        local: View {
            verdict: local,
            since: before(28),
            evidence: Evidence::Local(LocalEvidence {
                last_reply,
                stopped: last_reply.filter(|_| local == Verdict::Down),
                last_loss: loss,
                ..LocalEvidence::default()
            }),
        },
        aws: View {
            verdict: aws,
            since: before(20),
            evidence: Evidence::Aws(AwsEvidence {
                source: Some(SourceKind::Ec2),
                as_of: Some(before(20).wall),
                as_of_here: Some(before(20)),
                changed: Some(if aws == Verdict::Up { before(86_400) } else { before(45) }.wall),
                words: Some(words.into()),
            }),
        },
        assessment,
        carrying: Carrying::of(assessment),
        quality: Default::default(),
        quality_since: None,
    }
}

const TIMED_OUT: (Verdict, Option<Loss>) = (Verdict::Down, Some(Loss::Timeout));
const ANSWERED: (Verdict, Option<Loss>) = (Verdict::Up, None);
const IPSEC_DOWN: (Verdict, &str) = (Verdict::Down, "DOWN, IPSEC IS DOWN");
const AWS_UP: (Verdict, &str) = (Verdict::Up, "UP, 2 BGP ROUTES");

fn agreed(last: u8) -> TunnelSnapshot {
    tunnel(last, TIMED_OUT, IPSEC_DOWN, Assessment::Down)
}

fn healthy(last: u8) -> TunnelSnapshot {
    tunnel(last, ANSWERED, AWS_UP, Assessment::Healthy)
}

/// Up at both ends, and slow.
fn slow(last: u8) -> TunnelSnapshot {
    let (rtt, usual) = (Duration::from_micros(212_345), Duration::from_micros(11_900));
    let quality = Quality::Degraded(Degradation::Latency { rtt, bound: Bound::Usual(usual) });
    TunnelSnapshot { quality, quality_since: Some(before(300)), ..healthy(last) }
}

fn bgp_down(last: u8) -> TunnelSnapshot {
    let carrying = Carrying::NotCarrying(NotCarrying::BgpDown);
    let ipsec_up = (Verdict::Down, "DOWN, IPSEC IS UP");
    TunnelSnapshot { carrying, ..tunnel(last, ANSWERED, ipsec_up, Assessment::Down) }
}

fn incident(kind: Kind, tunnels: Vec<TunnelSnapshot>) -> Incident {
    Incident {
        id: IncidentId { scope: VpnId::new(VPN).into(), kind, opened: NOON },
        site: "milan-1".into(),
        name: "Milan DC, primary".into(),
        state: IncidentState::Open,
        began: began(kind, &tunnels, after(0)),
        found_at: None,
        withheld: None,
        children: Vec::new(),
        tunnels,
        timeline: vec![TimelineEntry { seq: 0, at: NOON, what: TimelineChange::Opened, repeats: 0 }],
        related: None,
        worsened: 0,
        revision: 1,
    }
}

/// The mail and the text message.
fn mail(incident: &Incident) -> String {
    let account = Account::new(incident, &settings());
    assert!(account.short.len() <= 160 && account.short.is_ascii(), "{}", account.short);
    assert!(account.steps.len() <= 3);
    assert!(account.markdown(DESCRIPTION_MAX).len() <= DESCRIPTION_MAX);
    let text = account.plain(&[]);
    // The addresses of the graphs have a test of their own.
    let lines: Vec<&str> = text.lines().filter(|line| !line.contains("#metricsV2")).collect();
    format!("SMS: {}\n\n{}", account.short, lines.join("\n"))
}

#[test]
fn in_markdown_and_what_does_not_fit_goes_in_order() {
    let account = Account::new(&incident(Kind::Outage, vec![agreed(11), agreed(12)]), &settings());
    let whole = account.markdown(8000);
    assert!(whole.contains("#metricsV2") && whole.ends_with(KEPT_CURRENT));
    let item = account.markdown(DESCRIPTION_MAX);
    assert!(item.len() <= DESCRIPTION_MAX && !item.contains("#metricsV2"));
    insta::assert_snapshot!(item, @r#"
    **[milan-1] Milan DC, primary (vpn-0123456789abcdef0): outage — tunnel 1 (203.0.113.11) and tunnel 2 (203.0.113.12) down**

    Down since 2026-11-22 11:59:29 UTC (the last reply).

    **No traffic flows: no tunnel of this connection works.**

    - **tunnel 1 (203.0.113.11)**: down at both ends
      - this site: down, probes are not answered; last reply 2026-11-22 11:59:29 UTC
      - AWS: down since 2026-11-22 11:59:15 UTC ("DOWN, IPSEC IS DOWN" at 2026-11-22 11:59:40 UTC)
    - **tunnel 2 (203.0.113.12)**: down at both ends
      - this site: down, probes are not answered; last reply 2026-11-22 11:59:29 UTC
      - AWS: down since 2026-11-22 11:59:15 UTC ("DOWN, IPSEC IS DOWN" at 2026-11-22 11:59:40 UTC)

    **Likely:** this site's uplink, IPsec daemon or firewall, which all tunnels share. AWS replaces one tunnel endpoint at a time.

    **Do first:**

    1. Uplink: does this gateway reach the Internet (`ping` a host there)? If not, call the provider.
    2. IPsec: `swanctl --list-sas`. No IKE SA to 203.0.113.11: is the IPsec daemon running (`systemctl status strongswan`), and what does its log say?
    3. AWS: open the connection in the console (Tunnel details), and the AWS Health Dashboard of the Region.

    **Runbook:** https://wiki.example.com/vpn

    **Notes:** Circuit 4711 of Telco, +39 02 555 0100.

    Sent by bothends 0.1.0 at site milan-1.
    - [VPN connection in the AWS console](https://console.aws.amazon.com/vpc/home?region=eu-west-1#VpnConnectionDetails:VpnConnectionId=vpn-0123456789abcdef0)

    _Kept current by bothends. Anything written below this line stays._
    "#);
    let long = Account { notes: Some("ü".repeat(2000)), ..account.clone() };
    assert!(long.markdown(DESCRIPTION_MAX).contains(&"ü".repeat(199)), "notes are shortened, not dropped");
    for max in [100, 500, 1000, 8000] {
        let text = long.markdown(max);
        assert!(text.len() <= max && text.ends_with(KEPT_CURRENT), "{} of {max}", text.len());
    }
}

#[test]
fn what_people_wrote_below_the_line_stays() {
    let (first, second) = (format!("first\n\n{KEPT_CURRENT}"), format!("second\n\n{KEPT_CURRENT}"));
    assert_eq!(merged("", &first), Some(first.clone()));
    assert_eq!(merged(&first, &first), None);
    assert_eq!(merged(&first, &second), Some(second.clone()));
    let noted = format!("{first}\n\nCarrier called, ticket 12.");
    assert_eq!(merged(&noted, &second), Some(format!("{second}\n\nCarrier called, ticket 12.")));
    let planned = "What the response plan says.";
    let both = merged(planned, &first).unwrap();
    assert_eq!(both, format!("{first}\n\n{planned}"));
    assert_eq!(merged(&both, &first), None);
}

/// Never claim that traffic flows unless a tunnel is carrying; never that it does not where one may.
#[test]
fn whether_traffic_flows_follows_the_tunnels() {
    let ways = [
        (Carrying::Carrying, "flows"),
        (Carrying::NotCarrying(NotCarrying::BothEndsDown), "does_not_flow"),
        (Carrying::NotCarrying(NotCarrying::BgpDown), "does_not_flow"),
        (Carrying::NotCarrying(NotCarrying::LocalDown), "does_not_flow"),
        (Carrying::NotCarrying(NotCarrying::AwsDown), "does_not_flow"),
        (Carrying::CannotTell(CannotTell::BgpUnconfirmed), "cannot_tell"),
        (Carrying::CannotTell(CannotTell::Disputed), "cannot_tell"),
        (Carrying::CannotTell(CannotTell::AwsUnknown), "cannot_tell"),
        (Carrying::CannotTell(CannotTell::Starting), "cannot_tell"),
        (Carrying::CannotTell(CannotTell::LocalUnknown), "cannot_tell"),
    ];
    for (carrying, flow) in ways {
        let other = TunnelSnapshot { carrying, ..healthy(12) };
        let account = Account::new(&incident(Kind::RedundancyLost, vec![agreed(11), other]), &settings());
        assert_eq!(account.flow, flow, "{carrying:?}: {}", account.traffic);
        assert_eq!(account.traffic.contains("Traffic still flows"), flow == "flows");
        assert_eq!(account.traffic.starts_with("No traffic"), flow == "does_not_flow");
        if flow != "flows" {
            assert!(!account.steps.join(" ").contains("No rush"), "{:?}", account.steps);
        }
    }
}
