//! EC2's view of the tunnels: `DescribeVpnConnections`.

mod addresses;
mod answer;
mod call;
pub(super) mod discover;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use answer::{TunnelTelemetry, VpnConnection};
pub(super) use call::Ec2;

use super::connection::Connection;
use super::errors::{Failure, FailureKind};
use super::permission::Call;
use super::source::{Coverage, Heard, Remark};
use super::timing::Exchange;
use super::words::{MESSAGE_MAX, line};
use crate::domain::event::{Reading, Telemetry, TelemetryStatus};
use crate::domain::names::{TunnelId, VpnId};

/// Connections per call. Each makes some 20 KB of the answer, and the answer is bounded.
const PER_CALL: usize = 50;

/// Asks about every connection that is watched.
///
/// Ids that AWS does not know are `Gone`.
pub(super) async fn ask(connection: &Connection, coverage: &Coverage) -> Result<Heard, Failure> {
    let ec2 = Ec2::at(connection).ok_or_else(|| Failure::no_region(Call::DescribeVpnConnections))?;
    let mut heard: Option<Heard> = None;
    for batch in coverage.vpns.chunks(PER_CALL) {
        let ids: BTreeSet<VpnId> = batch.iter().map(|(vpn, _)| vpn.clone()).collect();
        let Described { known, exchange } = describe(&ec2, ids).await?;
        let Some(date) = exchange.date else {
            let what = "the answer has no Date";
            return Err(Failure::garbage(Call::DescribeVpnConnections, &connection.place, what));
        };
        let heard = heard.get_or_insert_with(|| Heard::at(exchange.asked, date));
        for (vpn, tunnels) in batch {
            if let Some(Presence::Described(described)) = known.get(vpn) {
                let configured = coverage.configured.get(vpn).map_or(&[][..], Vec::as_slice);
                heard.addresses.extend(addresses::compare(vpn, configured, described));
            }
            for tunnel in tunnels {
                let (reading, remark) = read(tunnel, known.get(vpn));
                heard.readings.push((tunnel.clone(), reading));
                heard.remarks.extend(remark);
            }
        }
    }
    heard.ok_or_else(|| {
        Failure::garbage(Call::DescribeVpnConnections, &connection.place, "nothing is watched here")
    })
}

/// What EC2 says of some connections.
struct Described {
    known: BTreeMap<VpnId, Presence>,
    exchange: Exchange,
}

/// What EC2 says of one connection.
#[derive(Clone)]
enum Presence {
    /// AWS has no such connection.
    NotFound,
    /// AWS described it.
    Described(VpnConnection),
}

/// One id that AWS does not know fails the whole call. Which one that is follows from asking by a filter, which finds those that
/// there are; the message, which names it, is for people.
async fn describe(ec2: &Ec2, ids: BTreeSet<VpnId>) -> Result<Described, Failure> {
    let described = |connections: Vec<VpnConnection>| -> BTreeMap<VpnId, Presence> {
        connections.into_iter().map(|c| (VpnId::new(c.id.as_str()), Presence::Described(c))).collect()
    };
    let failure = match ec2.describe(&ids).await {
        Ok((connections, exchange)) => return Ok(Described { known: described(connections), exchange }),
        Err(failure) if failure.kind == FailureKind::NotFound => failure,
        Err(failure) => return Err(failure),
    };
    if let (1, Some(exchange)) = (ids.len(), failure.exchange) {
        let known = ids.into_iter().map(|id| (id, Presence::NotFound)).collect();
        return Ok(Described { known, exchange });
    }
    let (connections, exchange) = ec2.find(&ids).await?;
    let mut known = described(connections);
    if ids.iter().all(|id| known.contains_key(id)) {
        // Both answers cannot be right.
        return Err(failure);
    }
    for id in ids {
        known.entry(id).or_insert(Presence::NotFound);
    }
    Ok(Described { known, exchange })
}

/// What the answer says of one tunnel, and what is worth a word to people.
fn read(tunnel: &TunnelId, known: Option<&Presence>) -> (Reading, Option<Remark>) {
    let connection = match known {
        None => {
            let what = format!("EC2's answer leaves out {}", tunnel.vpn);
            return (Reading::Garbage, Some(Remark::garbage(what)));
        }
        Some(Presence::NotFound) => return (Reading::Gone, None),
        Some(Presence::Described(connection)) => connection,
    };
    if matches!(connection.state.as_str(), "deleting" | "deleted") {
        return (Reading::Gone, None);
    }
    let Some(telemetry) = connection.telemetry.iter().find(|t| t.outside_ip == Some(tunnel.outside_ip))
    else {
        let remark = (connection.state == "available")
            .then(|| Remark::advice(format!("EC2 gives no state for {tunnel}")));
        let unlisted =
            Telemetry { status: TelemetryStatus::Other, message: "".into(), last_status_change: None };
        return (Reading::Telemetry(unlisted), remark);
    };
    let TunnelTelemetry { outside_ip: _, status, message, last_status_change } = telemetry;
    let (status, remark) = match status.as_str() {
        "UP" => (TelemetryStatus::Up, None),
        "DOWN" => (TelemetryStatus::Down, None),
        _ => {
            let what = format!("EC2's status of {tunnel} is neither UP nor DOWN");
            (TelemetryStatus::Other, Some(Remark::garbage(what)))
        }
    };
    let message: Arc<str> = line(message, MESSAGE_MAX).into();
    (Reading::Telemetry(Telemetry { status, message, last_status_change: *last_status_change }), remark)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tunnel() -> TunnelId {
        TunnelId { vpn: VpnId::new("vpn-0123456789abcdef0"), outside_ip: "203.0.113.11".parse().unwrap() }
    }

    fn described(state: &str, outside_ip: &str, status: &str) -> Presence {
        Presence::Described(VpnConnection {
            id: tunnel().vpn.as_str().to_owned(),
            state: state.to_owned(),
            name: None,
            static_routes: None,
            configuration: None,
            telemetry: vec![TunnelTelemetry {
                outside_ip: outside_ip.parse().ok(),
                status: status.to_owned(),
                message: "IPSEC IS DOWN".to_owned(),
                last_status_change: None,
            }],
            order: Vec::new(),
        })
    }

    fn status(known: &Presence) -> Reading {
        read(&tunnel(), Some(known)).0
    }

    #[test]
    fn a_connection_that_is_going_or_unknown_is_gone() {
        assert_eq!(status(&described("deleting", "203.0.113.11", "DOWN")), Reading::Gone);
        assert_eq!(status(&described("deleted", "203.0.113.11", "DOWN")), Reading::Gone);
        assert_eq!(status(&Presence::NotFound), Reading::Gone);
    }

    #[test]
    fn the_status_and_its_message_are_passed_on() {
        for (said, expected) in
            [("UP", TelemetryStatus::Up), ("DOWN", TelemetryStatus::Down), ("", TelemetryStatus::Other)]
        {
            let Reading::Telemetry(telemetry) = status(&described("available", "203.0.113.11", said)) else {
                panic!("{said} is telemetry");
            };
            assert_eq!((telemetry.status, &*telemetry.message), (expected, "IPSEC IS DOWN"));
        }
    }

    #[test]
    fn a_message_is_one_bounded_line_whatever_the_answer_holds() {
        let mut known = described("available", "203.0.113.11", "DOWN");
        let Presence::Described(connection) = &mut known else { panic!("it is described") };
        connection.telemetry[0].message =
            format!("IPSEC\u{1b}[2J IS\u{202e} DOWN\n{}", "x".repeat(1_000_000));
        let Reading::Telemetry(telemetry) = status(&known) else { panic!("it is telemetry") };
        assert!(telemetry.message.starts_with("IPSEC [2J IS DOWN x"), "{}", telemetry.message);
        assert!(telemetry.message.chars().count() <= MESSAGE_MAX + 1);
    }

    #[test]
    fn a_tunnel_of_which_ec2_says_nothing_is_unknown_and_that_is_told() {
        let (reading, remark) = read(&tunnel(), Some(&described("available", "203.0.113.99", "UP")));
        assert!(matches!(reading, Reading::Telemetry(t) if t.status == TelemetryStatus::Other));
        assert!(remark.unwrap().text.contains("EC2 gives no state for"));
    }

    #[test]
    fn a_connection_that_the_answer_leaves_out_is_garbage() {
        assert_eq!(read(&tunnel(), None).0, Reading::Garbage);
    }
}
