//! The initial state of a stand-in: the account, its keys and its VPN connections; and the switches for what AWS leaves
//! open.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::clock::Epoch;
use super::tunnels::{ConfigurationView, ConnectionState};

#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    /// Twelve digits.
    pub(crate) account: String,
    /// Any other Region is rejected, as AWS rejects one that does not exist.
    pub(crate) regions: Vec<String>,
    pub(crate) credentials: Vec<Credential>,
    /// ARNs of roles that anyone here may assume.
    pub(crate) roles: Vec<String>,
    pub(crate) vpns: Vec<Vpn>,
    pub(crate) response_plans: Vec<ResponsePlan>,
    /// ARNs of SNS topics.
    pub(crate) topics: Vec<String>,
    /// ARNs; none means an account that has never set up Incident Manager.
    pub(crate) replication_sets: Vec<String>,
    /// The Regions of each replication set; none means all Regions.
    pub(crate) replication_regions: Vec<String>,
    pub(crate) switches: Switches,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Credential {
    pub(crate) access_key_id: String,
    pub(crate) secret_access_key: String,
    #[serde(default)]
    pub(crate) session_token: Option<String>,
    /// Their principal's ARN.
    pub(crate) principal: String,
    #[serde(default)]
    pub(crate) expires_at: Option<Epoch>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Vpn {
    pub(crate) id: String,
    #[serde(default = "default_region")]
    pub(crate) region: String,
    #[serde(default)]
    pub(crate) name: Option<String>,
    /// Tags besides `Name`.
    #[serde(default)]
    pub(crate) tags: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) static_routes: bool,
    #[serde(default)]
    pub(crate) state: ConnectionState,
    #[serde(default)]
    pub(crate) configuration: ConfigurationView,
    pub(crate) tunnels: Vec<Tunnel>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tunnel {
    pub(crate) outside_ip: String,
    /// IPv4, or IPv6 in a connection that carries it.
    pub(crate) inside_cidr: String,
    /// AWS's end, if it is not the first address of the block.
    #[serde(default)]
    pub(crate) vpn_gateway_inside: Option<IpAddr>,
    /// The customer's end, if it is not the second.
    #[serde(default)]
    pub(crate) customer_gateway_inside: Option<IpAddr>,
    pub(crate) pre_shared_key: String,
    #[serde(default = "yes")]
    pub(crate) up: bool,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResponsePlan {
    pub(crate) arn: String,
    #[serde(default = "default_title")]
    pub(crate) title: String,
    #[serde(default = "default_impact")]
    pub(crate) impact: u8,
    #[serde(default)]
    pub(crate) dedupe_string: Option<String>,
}

/// Behaviour that AWS does not document, or that varies from day to day. Times are in seconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Switches {
    /// What `StartIncident` does with a known client token and different parameters.
    pub(crate) known_token: KnownToken,
    /// How long a client token is remembered; null: for ever.
    pub(crate) token_memory: Option<f64>,
    /// The lag of `ListIncidentRecords`.
    pub(crate) list_lag: f64,
    /// Whether `StartIncident` merges into an open record with the plan's dedupe string.
    pub(crate) merge_by_dedupe_string: bool,
    /// Whether TunnelState has no datapoints for minutes in which a tunnel was down throughout.
    pub(crate) silent_while_down: bool,
    /// How long after its end a minute appears in TunnelState.
    pub(crate) metric_lag: f64,
    /// Whether the current minute already appears, as the average so far.
    pub(crate) partial_minutes: bool,
    /// The lag of EC2's telemetry.
    pub(crate) ec2_lag: f64,
    /// The dimensions of TunnelState.
    pub(crate) tunnel_dimensions: TunnelDimensions,
    /// The largest page of ListMetrics.
    pub(crate) metrics_per_page: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TunnelDimensions {
    /// VpnId and TunnelIpAddress, or either alone.
    Any,
    /// TunnelIpAddress alone, and VpnId alone for the aggregate.
    AddressAlone,
    /// TunnelIpAddress alone, and nothing else.
    NoAggregate,
    /// VpnId, TunnelIpAddress and one that nobody expects.
    Others,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum KnownToken {
    OldArn,
    Conflict,
    NewRecord,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            account: "123456789012".to_owned(),
            regions: vec![default_region()],
            credentials: vec![Credential {
                access_key_id: "AKIASTANDINEXAMPLE01".to_owned(),
                secret_access_key: "a-secret-that-only-the-stand-in-knows".to_owned(),
                session_token: None,
                principal: "arn:aws:iam::123456789012:user/gateway".to_owned(),
                expires_at: None,
            }],
            roles: vec![],
            vpns: vec![],
            response_plans: vec![],
            topics: vec![],
            replication_sets: vec!["arn:aws:ssm-incidents::123456789012:replication-set/stand-in".to_owned()],
            replication_regions: vec![],
            switches: Switches::default(),
        }
    }
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            known_token: KnownToken::OldArn,
            token_memory: None,
            list_lag: 0.0,
            merge_by_dedupe_string: true,
            silent_while_down: false,
            metric_lag: 0.0,
            partial_minutes: false,
            ec2_lag: 0.0,
            tunnel_dimensions: TunnelDimensions::Any,
            metrics_per_page: 500,
        }
    }
}

fn default_region() -> String {
    "eu-west-1".to_owned()
}

fn default_title() -> String {
    "The response plan's own title".to_owned()
}

fn default_impact() -> u8 {
    3
}

fn yes() -> bool {
    true
}
