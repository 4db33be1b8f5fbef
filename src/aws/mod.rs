//! Everything that talks to AWS: the pollers behind AWS's verdict, Incident Manager, OpsCenter and SNS as sinks,
//! CloudWatch as a metric sink. No other module names a type of the SDK.
//!
//! | what | where, the ground first |
//! |---|---|
//! | the calls and the permission that each needs | [`Call`] in `permission` |
//! | AWS's clock and how far ours is off; AWS's texts, made safe to show | `timing` ([`AwsClock`]), `text` |
//! | what a source is asked and answers | `source` |
//! | the HTTP client, and the bounds on answers | `http`, `guard` |
//! | where credentials come from, why there are none, when they expire | `credentials` |
//! | what a call's failure means | `errors` |
//! | how a call is made with the SDK, and without its heaviest crates | `exchange`, `by_hand` |
//! | the clients of each Region and role | `connection` |
//! | AWS's view of the tunnels | [`poller`], which asks `cloudwatch` and `ec2` |
//! | AWS's view of connections that are not configured yet | [`discover()`] |
//! | how sinks share a call budget, and the traits of `incident` and `publish` | `budget`, `caller`; [`IncidentManager`],
//! [`OpsCenter`], [`Sns`], [`CloudWatchMetrics`] |
//! | whether the calls that a configuration needs are allowed | [`trial`] |
//!
//! The SDK's own retries are off: pollers, reconcilers and the publisher have their own back-off. The one exception is a refusal
//! because our clock is wrong: the SDK corrects its clock by it, and `exchange` retries once, at once.

mod budget;
mod by_hand;
mod caller;
mod cloudwatch;
mod connection;
mod credentials;
mod ec2;
mod errors;
mod exchange;
mod guard;
mod http;
mod incident_manager;
mod ops_center;
mod permission;
pub mod poller;
mod sns;
mod source;
mod text;
mod timing;
pub mod trial;

pub use self::by_hand::partition;
pub use self::timing::{AwsClock, ClockOffset};
pub use cloudwatch::CloudWatchMetrics;
pub use connection::{AwsConnections, ConnectionSettings, StaticCredentials};
pub use credentials::Outlook;
pub use ec2::discover::{
    DiscoverQuery, Discovered, DiscoveredTunnel, DiscoveredVpn, Trouble, Which, discover,
};
pub use errors::{Failure, FailureClass, FailureKind};
pub use http::HttpSettingsError;
pub use incident_manager::IncidentManager;
pub use ops_center::OpsCenter;
pub use permission::Call;
pub use sns::Sns;
