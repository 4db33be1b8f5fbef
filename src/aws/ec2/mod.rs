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
use super::exchange::Exchange;
use super::permission::Call;
use super::poller::{Heard, Remark, Watch};
use crate::domain::event::{Reading, Telemetry, TelemetryStatus};
use crate::domain::names::{TunnelId, VpnId};

/// Connections per call. Each makes some 20 KB of the answer, and the answer is bounded.
const PER_CALL: usize = 50;

/// Asks about every connection that is watched.
///
/// One id that AWS does not know fails the whole call, so such ids are left out and the others are asked about again.
pub(super) async fn ask(connection: &Connection, watch: &Watch) -> Result<Heard, Failure> {
    let ec2 = connection.ec2.as_ref().ok_or_else(|| Failure::no_region(Call::DescribeVpnConnections))?;
    let mut heard: Option<Heard> = None;
    for batch in watch.vpns.chunks(PER_CALL) {
        let ids: BTreeSet<VpnId> = batch.iter().map(|(vpn, _)| vpn.clone()).collect();
        let Described { known, exchange } = describe(ec2, ids).await?;
        let Some(date) = exchange.date else {
            let what = "the answer has no Date";
            return Err(Failure::garbage(Call::DescribeVpnConnections, &connection.place, what));
        };
        let heard = heard.get_or_insert_with(|| Heard::at(exchange.asked, date));
        for (vpn, tunnels) in batch {
            if let Some(Known::Described(described)) = known.get(vpn) {
                let configured = watch.configured.get(vpn).map_or(&[][..], Vec::as_slice);
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
    known: BTreeMap<VpnId, Known>,
    exchange: Exchange,
}

/// What EC2 says of one connection.
#[derive(Clone)]
enum Known {
    /// AWS has no such connection.
    NotFound,
    /// AWS described it.
    Described(VpnConnection),
}

async fn describe(ec2: &Ec2, mut ids: BTreeSet<VpnId>) -> Result<Described, Failure> {
    let mut known = BTreeMap::new();
    loop {
        let failure = match ec2.describe(&ids).await {
            Ok((connections, exchange)) => {
                let described =
                    connections.into_iter().map(|c| (VpnId::new(c.id.as_str()), Known::Described(c)));
                known.extend(described);
                return Ok(Described { known, exchange });
            }
            Err(failure) if failure.kind == FailureKind::NotFound => failure,
            Err(failure) => return Err(failure),
        };
        let named = |id: &&VpnId| failure.text.contains(id.as_str());
        let mut missing: Vec<VpnId> = ids.iter().filter(named).cloned().collect();
        if missing.is_empty() {
            // AWS names the ids it misses; if it does not, those whose lone question fails are missing.
            missing = missing_alone(ec2, &ids).await?;
        }
        ids.retain(|id| !missing.contains(id));
        let some_missing = !missing.is_empty();
        known.extend(missing.into_iter().map(|id| (id, Known::NotFound)));
        match failure.exchange {
            Some(exchange) if ids.is_empty() => return Ok(Described { known, exchange }),
            Some(_) if some_missing => {}
            Some(_) | None => return Err(failure),
        }
    }
}

/// Which of these ids AWS does not know, asked one by one.
async fn missing_alone(ec2: &Ec2, ids: &BTreeSet<VpnId>) -> Result<Vec<VpnId>, Failure> {
    let mut missing = Vec::new();
    for id in ids {
        match ec2.describe(&BTreeSet::from([id.clone()])).await {
            Ok(_) => {}
            Err(failure) if failure.kind == FailureKind::NotFound => missing.push(id.clone()),
            Err(failure) => return Err(failure),
        }
    }
    Ok(missing)
}

/// What the answer says of one tunnel, and what is worth a word to people.
fn read(tunnel: &TunnelId, known: Option<&Known>) -> (Reading, Option<Remark>) {
    let connection = match known {
        None => {
            let what = format!("EC2's answer leaves out {}", tunnel.vpn);
            return (Reading::Garbage, Some(Remark::garbage(what)));
        }
        Some(Known::NotFound) => return (Reading::Gone, None),
        Some(Known::Described(connection)) => connection,
    };
    if matches!(connection.state.as_str(), "deleting" | "deleted") {
        return (Reading::Gone, None);
    }
    let Some(telemetry) = connection.telemetry.iter().find(|t| t.outside_ip == Some(tunnel.outside_ip))
    else {
        let remark = (connection.state == "available")
            .then(|| Remark::advice(format!("EC2 says nothing of the state of {tunnel}")));
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
    let message: Arc<str> = Arc::from(message.as_str());
    (Reading::Telemetry(Telemetry { status, message, last_status_change: *last_status_change }), remark)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tunnel() -> TunnelId {
        TunnelId { vpn: VpnId::new("vpn-0123456789abcdef0"), outside_ip: "203.0.113.11".parse().unwrap() }
    }

    fn described(state: &str, outside_ip: &str, status: &str) -> Known {
        Known::Described(VpnConnection {
            id: tunnel().vpn.as_str().to_owned(),
            state: state.to_owned(),
            name: None,
            configuration: None,
            telemetry: vec![TunnelTelemetry {
                outside_ip: outside_ip.parse().ok(),
                status: status.to_owned(),
                message: "IPSEC IS DOWN".to_owned(),
                last_status_change: None,
            }],
        })
    }

    fn status(known: &Known) -> Reading {
        read(&tunnel(), Some(known)).0
    }

    #[test]
    fn a_connection_that_is_going_or_unknown_is_gone() {
        assert_eq!(status(&described("deleting", "203.0.113.11", "DOWN")), Reading::Gone);
        assert_eq!(status(&described("deleted", "203.0.113.11", "DOWN")), Reading::Gone);
        assert_eq!(status(&Known::NotFound), Reading::Gone);
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
    fn a_tunnel_of_which_ec2_says_nothing_is_unknown_and_that_is_told() {
        let (reading, remark) = read(&tunnel(), Some(&described("available", "203.0.113.99", "UP")));
        assert!(matches!(reading, Reading::Telemetry(t) if t.status == TelemetryStatus::Other));
        assert!(remark.unwrap().text.contains("of the state of"));
    }

    #[test]
    fn a_connection_that_the_answer_leaves_out_is_garbage() {
        assert_eq!(read(&tunnel(), None).0, Reading::Garbage);
    }
}
