//! EC2's view of the tunnels, `DescribeVpnConnections`, and the maintenance of their endpoints, `GetVpnTunnelReplacementStatus`.

mod answer;
pub(super) mod discover;
pub(super) mod rounds;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use hyper::body::Bytes;

use self::answer::{Garbled, Pieces, TunnelAddresses, TunnelTelemetry, VpnConnection};
use super::by_hand::{Api, ByHand, Draft, ErrorAnswer, form};
use super::connection::AwsConnection;
use super::errors::{Failure, FailureKind};
use super::permission::Call;
use super::source::{Agreement, Coverage, Remark, SourceAnswer};
use super::text::{MESSAGE_MAX, line};
use super::timing::Exchange;
use crate::domain::event::{Reading, Telemetry, TelemetryStatus};
use crate::domain::maintenance::Maintenance;
use crate::domain::names::{Role, TunnelId, VpnId};
use crate::domain::plan::{TunnelPlan, Vantage};
use crate::domain::time::Stamp;

/// Connections per call. Each adds about 20 KB to the answer, whose size is limited.
const PER_CALL: usize = 50;

/// Asks about every watched connection.
///
/// Ids that AWS does not know are `Gone`.
pub(super) async fn ask(connection: &AwsConnection, coverage: &Coverage) -> Result<SourceAnswer, Failure> {
    let ec2 = Ec2::at(connection).ok_or_else(|| Failure::no_region(Call::DescribeVpnConnections))?;
    let mut answer: Option<SourceAnswer> = None;
    for batch in coverage.vpns.chunks(PER_CALL) {
        let ids: BTreeSet<VpnId> = batch.iter().map(|(vpn, _)| vpn.clone()).collect();
        let DescribedVpns { known, exchange } = describe(&ec2, ids).await?;
        let Some(date) = exchange.date else {
            let what = "the answer has no Date";
            return Err(Failure::garbage(Call::DescribeVpnConnections, &connection.place, what));
        };
        let answer = answer.get_or_insert_with(|| SourceAnswer::at(exchange.asked, date));
        for (vpn, tunnels) in batch {
            if let Some(Presence::Described(described)) = known.get(vpn) {
                let configured = coverage.configured.get(vpn).map_or(&[][..], Vec::as_slice);
                answer.addresses.extend(compare(vpn, configured, described));
            }
            for tunnel in tunnels {
                let (reading, remark) = read(tunnel, known.get(vpn));
                answer.readings.push((tunnel.clone(), reading));
                answer.remarks.extend(remark);
            }
        }
    }
    answer.ok_or_else(|| {
        Failure::garbage(Call::DescribeVpnConnections, &connection.place, "nothing is watched here")
    })
}

/// EC2's answer about some connections.
struct DescribedVpns {
    known: BTreeMap<VpnId, Presence>,
    exchange: Exchange,
}

/// EC2's answer about one connection.
#[derive(Clone)]
enum Presence {
    /// AWS has no such connection.
    NotFound,
    /// AWS described it.
    Described(VpnConnection),
}

/// One unknown id fails the whole call. Which one it is follows from a query by filter, which finds the existing ones; the error
/// message, which names it, is text for people.
async fn describe(ec2: &Ec2, ids: BTreeSet<VpnId>) -> Result<DescribedVpns, Failure> {
    let described = |connections: Vec<VpnConnection>| -> BTreeMap<VpnId, Presence> {
        connections.into_iter().map(|c| (VpnId::new(c.id.as_str()), Presence::Described(c))).collect()
    };
    let failure = match ec2.describe(&ids).await {
        Ok((connections, exchange)) => return Ok(DescribedVpns { known: described(connections), exchange }),
        Err(failure) if failure.kind == FailureKind::NotFound => failure,
        Err(failure) => return Err(failure),
    };
    if let (1, Some(exchange)) = (ids.len(), failure.exchange) {
        let known = ids.into_iter().map(|id| (id, Presence::NotFound)).collect();
        return Ok(DescribedVpns { known, exchange });
    }
    let (connections, exchange) = ec2.find(&ids).await?;
    let mut known = described(connections);
    if ids.iter().all(|id| known.contains_key(id)) {
        // The two answers contradict each other.
        return Err(failure);
    }
    for id in ids {
        known.entry(id).or_insert(Presence::NotFound);
    }
    Ok(DescribedVpns { known, exchange })
}

/// The answer about one tunnel, and a remark if people should know something.
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
        let unlisted = Telemetry {
            status: TelemetryStatus::Other,
            message: "".into(),
            last_status_change: None,
            accepted_routes: None,
        };
        return (Reading::Telemetry(unlisted), remark);
    };
    let TunnelTelemetry { outside_ip: _, status, message, last_status_change, accepted_routes } = telemetry;
    let (status, remark) = match status.as_str() {
        "UP" => (TelemetryStatus::Up, None),
        "DOWN" => (TelemetryStatus::Down, None),
        _ => {
            let what = format!("EC2's status of {tunnel} is neither UP nor DOWN");
            (TelemetryStatus::Other, Some(Remark::garbage(what)))
        }
    };
    let message: Arc<str> = line(message, MESSAGE_MAX).into();
    let telemetry = Telemetry {
        status,
        message,
        last_status_change: *last_status_change,
        accepted_routes: *accepted_routes,
    };
    (Reading::Telemetry(telemetry), remark)
}

/// The version of the EC2 API that the names in `answer` are of.
const API_VERSION: &str = "2016-11-15";
/// The common prefix of all requests for connections.
const HEAD: [(&str, &str); 2] = [("Action", "DescribeVpnConnections"), ("Version", API_VERSION)];
const API: Api = Api {
    service_id: "EC2",
    host: "ec2",
    signing_name: "ec2",
    error: |body| answer::error(body).map(|(code, message)| ErrorAnswer { code, message, existing: None }),
    longest_answer: 8 << 20,
};

/// A client for two operations, called by hand: `aws-sdk-ec2` takes minutes and gigabytes to compile.
///
/// The answer of `DescribeVpnConnections` contains pre-shared keys: it is read and parsed here, and dropped.
#[derive(Debug)]
pub(in crate::aws) struct Ec2(Arc<ByHand>);

impl Ec2 {
    /// `None` without a Region.
    pub(in crate::aws) fn at(connection: &AwsConnection) -> Option<Self> {
        connection.by_hand(&API).map(Self)
    }

    /// Asks about these connections.
    ///
    /// # Errors
    /// `NotFound` if AWS does not know one of them.
    async fn describe(&self, ids: &BTreeSet<VpnId>) -> Result<(Vec<VpnConnection>, Exchange), Failure> {
        self.ask(question(ids)).await
    }

    /// Asks which of these connections exist, and about them.
    ///
    /// # Errors
    /// Never `NotFound`: an empty answer is valid.
    async fn find(&self, ids: &BTreeSet<VpnId>) -> Result<(Vec<VpnConnection>, Exchange), Failure> {
        self.ask(question_by_filter(ids)).await
    }

    /// Asks about the connections with this tag. AWS treats `*` and `?` in the value as wildcards.
    ///
    /// # Errors
    /// Never `NotFound`: an empty answer is valid.
    async fn describe_tagged(
        &self,
        key: &str,
        value: &str,
    ) -> Result<(Vec<VpnConnection>, Exchange), Failure> {
        self.ask(question_by_tag(key, value)).await
    }

    /// Tests the permission without asking: the answer would contain secrets that nobody needs for that.
    ///
    /// # Errors
    /// `Denied` without the permission.
    pub(in crate::aws) async fn dry_run(&self) -> Result<(), Failure> {
        dry(self.ask(form(HEAD.into_iter().chain([("DryRun", "true")]))).await)
    }

    /// Asks about the maintenance of a tunnel's endpoint.
    ///
    /// # Errors
    /// `Denied` without the permission, which may be granted per connection.
    async fn maintenance(&self, tunnel: &TunnelId) -> Result<(Maintenance, Exchange), Failure> {
        let read = |pieces| answer::maintenance(&mut Pieces::new(pieces));
        self.0.call(Call::GetVpnTunnelReplacementStatus, draft(question_on(tunnel, None)), read).await
    }

    /// Tests the permission to ask about the maintenance of a tunnel's endpoint.
    ///
    /// # Errors
    /// `Denied` without the permission.
    pub(in crate::aws) async fn dry_run_on(&self, tunnel: &TunnelId) -> Result<(), Failure> {
        let read = |_: Vec<Bytes>| Ok::<_, Garbled>(());
        let body = question_on(tunnel, Some(("DryRun", "true")));
        dry(self.0.call(Call::GetVpnTunnelReplacementStatus, draft(body), read).await)
    }

    async fn ask(&self, body: String) -> Result<(Vec<VpnConnection>, Exchange), Failure> {
        self.0.call(Call::DescribeVpnConnections, draft(body), parsed).await
    }
}

const fn draft(body: String) -> Draft {
    Draft { content_type: "application/x-www-form-urlencoded", target: None, body }
}

/// "If you have the required permissions, the error response is DryRunOperation" (EC2 API Reference).
fn dry<T>(answer: Result<T, Failure>) -> Result<(), Failure> {
    match answer {
        Err(failure) if failure.code() == Some("DryRunOperation") => Ok(()),
        Ok(_) => Ok(()),
        Err(failure) => Err(failure),
    }
}

/// Asks about the maintenance of a tunnel's endpoint; returns the answer with its Date.
pub(super) async fn maintenance(
    connection: &AwsConnection,
    tunnel: &TunnelId,
) -> Result<(Maintenance, Stamp), Failure> {
    const CALL: Call = Call::GetVpnTunnelReplacementStatus;
    let ec2 = Ec2::at(connection).ok_or_else(|| Failure::no_region(CALL))?;
    let (maintenance, exchange) = ec2.maintenance(tunnel).await?;
    let no_date = || Failure::garbage(CALL, &connection.place, "the answer has no Date");
    Ok((maintenance, exchange.date.ok_or_else(no_date)?))
}

fn parsed(pieces: Vec<Bytes>) -> Result<Vec<VpnConnection>, Garbled> {
    let mut pieces = Pieces::new(pieces);
    let connections = answer::connections(&mut pieces);
    for piece in pieces.into_inner() {
        // Overwritten unless shared; the HTTP client may still share its read buffer.
        if let Ok(mut owned) = piece.try_into_mut() {
            owned.fill(0);
        }
    }
    connections
}

/// The request in the form of EC2's Query API.
fn question(ids: &BTreeSet<VpnId>) -> String {
    let ids: Vec<_> = ids
        .iter()
        .enumerate()
        .map(|(index, id)| (format!("VpnConnectionId.{}", index + 1), id.as_str()))
        .collect();
    form(HEAD.into_iter().chain(ids.iter().map(|(name, id)| (name.as_str(), *id))))
}

fn question_on(tunnel: &TunnelId, more: Option<(&str, &str)>) -> String {
    let outside_ip = tunnel.outside_ip.to_string();
    let parameters = [
        ("Action", Call::GetVpnTunnelReplacementStatus.action()),
        ("Version", API_VERSION),
        ("VpnConnectionId", tunnel.vpn.as_str()),
        ("VpnTunnelOutsideIpAddress", outside_ip.as_str()),
    ];
    form(parameters.into_iter().chain(more))
}

fn question_by_filter(ids: &BTreeSet<VpnId>) -> String {
    let values: Vec<_> = ids
        .iter()
        .enumerate()
        .map(|(index, id)| (format!("Filter.1.Value.{}", index + 1), id.as_str()))
        .collect();
    let values = values.iter().map(|(name, id)| (name.as_str(), *id));
    form(HEAD.into_iter().chain([("Filter.1.Name", "vpn-connection-id")]).chain(values))
}

fn question_by_tag(key: &str, value: &str) -> String {
    let name = format!("tag:{key}");
    form(HEAD.into_iter().chain([("Filter.1.Name", name.as_str()), ("Filter.1.Value.1", value)]))
}

//--- AWS's addresses compared with the configured ones

/// Compares AWS's addresses with the configured ones; `None` if the answer has none to compare.
///
/// Our own end (`source_ip`) is not compared: there may be reasons to send from another address than AWS proposes.
fn compare(vpn: &VpnId, configured: &[Arc<TunnelPlan>], described: &VpnConnection) -> Option<Agreement> {
    if described.state != "available" {
        return None;
    }
    let theirs = theirs(described);
    if theirs.is_empty() {
        return None;
    }
    let listed = joined(theirs.keys());
    let mut complaints = Vec::new();
    for tunnel in configured {
        let outside_ip = tunnel.id.outside_ip;
        match theirs.get(&outside_ip) {
            None => complaints.push(format!("it has no tunnel with the configured outside_ip {outside_ip}")),
            Some(Some(inside)) if tunnel.role != Role::Unused && is_probed(tunnel) => {
                let ends = joined([inside.inside_v4.aws, inside.inside_v6.aws].iter().flatten());
                if !ends.is_empty() && !inside.has_inside(tunnel.route.inside_ip) {
                    complaints.push(format!(
                        "its end inside the tunnel {outside_ip} is {ends}, not the configured inside_ip {}",
                        tunnel.route.inside_ip
                    ));
                }
            }
            Some(Some(_) | None) => {}
        }
    }
    let unknown = theirs.keys().filter(|ip| !configured.iter().any(|tunnel| tunnel.id.outside_ip == **ip));
    complaints.extend(unknown.map(|ip| format!("its tunnel {ip} is not configured")));
    let complaint = (!complaints.is_empty()).then(|| {
        format!(
            "AWS's addresses are not those of the configuration: {}; EC2 lists {listed}; `bothends discover {vpn}` \
             prints them as a configuration",
            complaints.join("; ")
        )
    });
    Some(Agreement { vpn: vpn.clone(), complaint })
}

/// Whether AWS's inside address is probed, and so configured.
fn is_probed(tunnel: &TunnelPlan) -> bool {
    match tunnel.through.vantage {
        Vantage::Gateway => true,
        Vantage::Behind { .. } => false,
    }
}

/// AWS's tunnels by outside address; with the inside addresses if its configuration for the gateway could be parsed.
fn theirs(described: &VpnConnection) -> BTreeMap<IpAddr, Option<TunnelAddresses>> {
    let listed = described.telemetry.iter().filter_map(|telemetry| telemetry.outside_ip);
    let mut theirs: BTreeMap<IpAddr, Option<TunnelAddresses>> = listed.map(|ip| (ip, None)).collect();
    if let Some(Ok(tunnels)) = &described.configuration {
        theirs.extend(tunnels.iter().filter_map(|tunnel| Some((tunnel.outside_ip?, Some(*tunnel)))));
    }
    theirs
}

fn joined<'a>(addresses: impl IntoIterator<Item = &'a IpAddr>) -> String {
    addresses.into_iter().map(IpAddr::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::answer::{Garbled, Inside, TunnelTelemetry};
    use super::*;
    use crate::domain::names::TunnelId;
    use crate::domain::plan::Route;

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
                accepted_routes: None,
            }],
            order: Vec::new(),
        })
    }

    fn status(known: &Presence) -> Reading {
        read(&tunnel(), Some(known)).0
    }

    #[test]
    fn a_deleting_or_unknown_connection_is_gone() {
        assert_eq!(status(&described("deleting", "203.0.113.11", "DOWN")), Reading::Gone);
        assert_eq!(status(&described("deleted", "203.0.113.11", "DOWN")), Reading::Gone);
        assert_eq!(status(&Presence::NotFound), Reading::Gone);
    }

    #[test]
    fn the_status_and_its_message_are_passed_on() {
        for (message, expected) in
            [("UP", TelemetryStatus::Up), ("DOWN", TelemetryStatus::Down), ("", TelemetryStatus::Other)]
        {
            let Reading::Telemetry(telemetry) = status(&described("available", "203.0.113.11", message))
            else {
                panic!("{message} is telemetry");
            };
            assert_eq!((telemetry.status, &*telemetry.message), (expected, "IPSEC IS DOWN"));
        }
    }

    #[test]
    fn a_message_is_one_bounded_line_whatever_the_answer_contains() {
        let mut known = described("available", "203.0.113.11", "DOWN");
        let Presence::Described(connection) = &mut known else { panic!("it is described") };
        connection.telemetry[0].message =
            format!("IPSEC\u{1b}[2J IS\u{202e} DOWN\n{}", "x".repeat(1_000_000));
        let Reading::Telemetry(telemetry) = status(&known) else { panic!("it is telemetry") };
        assert!(telemetry.message.starts_with("IPSEC [2J IS DOWN x"), "{}", telemetry.message);
        assert!(telemetry.message.chars().count() <= MESSAGE_MAX + 1);
    }

    #[test]
    fn a_tunnel_missing_from_ec2s_answer_is_unknown_and_reported() {
        let (reading, remark) = read(&tunnel(), Some(&described("available", "203.0.113.99", "UP")));
        assert!(matches!(reading, Reading::Telemetry(t) if t.status == TelemetryStatus::Other));
        assert!(remark.unwrap().text.contains("EC2 gives no state for"));
    }

    #[test]
    fn a_connection_that_the_answer_leaves_out_is_garbage() {
        assert_eq!(read(&tunnel(), None).0, Reading::Garbage);
    }

    #[test]
    fn the_form_names_every_connection_by_number() {
        let ids = ["vpn-0a", "vpn-0b"].map(VpnId::new).into();
        assert_eq!(
            question(&ids),
            "Action=DescribeVpnConnections&Version=2016-11-15&VpnConnectionId.1=vpn-0a&VpnConnectionId.2=vpn-0b"
        );
    }

    #[test]
    fn maintenance_is_asked_of_one_tunnel() {
        assert_eq!(
            question_on(&tunnel(), Some(("DryRun", "true"))),
            "Action=GetVpnTunnelReplacementStatus&Version=2016-11-15&VpnConnectionId=vpn-0123456789abcdef0\
             &VpnTunnelOutsideIpAddress=203.0.113.11&DryRun=true"
        );
    }

    #[test]
    fn a_filter_names_every_connection_as_a_value() {
        let ids = ["vpn-0a", "vpn-0b"].map(VpnId::new).into();
        assert_eq!(
            question_by_filter(&ids),
            "Action=DescribeVpnConnections&Version=2016-11-15&Filter.1.Name=vpn-connection-id&Filter.1.Value.1=vpn-0a\
             &Filter.1.Value.2=vpn-0b"
        );
    }

    #[test]
    fn a_tag_is_encoded_whatever_it_holds() {
        assert_eq!(
            question_by_tag("Stand ort", "Zürich & Bern=*"),
            "Action=DescribeVpnConnections&Version=2016-11-15&Filter.1.Name=tag%3AStand%20ort\
             &Filter.1.Value.1=Z%C3%BCrich%20%26%20Bern%3D%2A"
        );
    }

    fn vpn() -> VpnId {
        VpnId::new("vpn-0123456789abcdef0")
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn configured(outside: &str, inside: &str, role: Role) -> Arc<TunnelPlan> {
        Arc::new(TunnelPlan {
            id: TunnelId { vpn: vpn(), outside_ip: ip(outside) },
            name: outside.into(),
            role,
            route: Arc::new(Route {
                inside_ip: ip(inside),
                source_ip: ip("192.0.2.1"),
                interface: None,
                fwmark: None,
            }),
            through: Default::default(),
            uplink: None,
            sensors: Default::default(),
        })
    }

    fn available(telemetry: &[&str], tunnels: &[(&str, &str)]) -> VpnConnection {
        let telemetry = telemetry
            .iter()
            .map(|outside| TunnelTelemetry { outside_ip: Some(ip(outside)), ..TunnelTelemetry::default() });
        let tunnel = |(outside, inside): &(&str, &str)| TunnelAddresses {
            outside_ip: Some(ip(outside)),
            inside_v4: Inside { aws: Some(ip(inside)), ours: None },
            ..TunnelAddresses::default()
        };
        VpnConnection {
            state: "available".to_owned(),
            configuration: Some(Ok(tunnels.iter().map(tunnel).collect())),
            telemetry: telemetry.collect(),
            ..VpnConnection::default()
        }
    }

    fn complaint(configured: &[Arc<TunnelPlan>], described: &VpnConnection) -> Option<String> {
        compare(&vpn(), configured, described).unwrap().complaint
    }

    #[test]
    fn addresses_that_agree_are_no_complaint_and_an_unused_tunnel_is_configured_too() {
        let ours = [
            configured("203.0.113.11", "169.254.10.1", Role::Active),
            configured("203.0.113.12", "169.254.99.1", Role::Unused),
        ];
        let theirs = available(
            &["203.0.113.11", "203.0.113.12"],
            &[("203.0.113.11", "169.254.10.1"), ("203.0.113.12", "169.254.11.1")],
        );
        assert_eq!(complaint(&ours, &theirs), None);
        let by_telemetry_alone = VpnConnection { configuration: Some(Err(Garbled::Truncated)), ..theirs };
        assert_eq!(complaint(&ours, &by_telemetry_alone), None);
    }

    #[test]
    fn every_address_that_differs_is_named_with_what_aws_lists() {
        let ours = [
            configured("203.0.113.11", "169.254.10.5", Role::Active),
            configured("203.0.113.99", "169.254.11.1", Role::Standby),
        ];
        let theirs = available(&["203.0.113.12"], &[("203.0.113.11", "169.254.10.1")]);
        insta::assert_snapshot!(complaint(&ours, &theirs).unwrap(), @r"
        AWS's addresses are not those of the configuration: its end inside the tunnel 203.0.113.11 is 169.254.10.1, not the configured inside_ip 169.254.10.5; it has no tunnel with the configured outside_ip 203.0.113.99; its tunnel 203.0.113.12 is not configured; EC2 lists 203.0.113.11, 203.0.113.12; `bothends discover vpn-0123456789abcdef0` prints them as a configuration
        ");
    }

    #[test]
    fn without_addresses_to_compare_there_is_no_complaint() {
        let ours = [configured("203.0.113.11", "169.254.10.1", Role::Active)];
        assert_eq!(compare(&vpn(), &ours, &available(&[], &[])), None);
        let going = VpnConnection { state: "deleting".to_owned(), ..available(&["203.0.113.12"], &[]) };
        assert_eq!(compare(&vpn(), &ours, &going), None);
    }
}
