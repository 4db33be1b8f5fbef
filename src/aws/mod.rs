//! Everything that talks to AWS: the pollers behind AWS's verdict, Incident Manager, OpsCenter and SNS as sinks,
//! CloudWatch as a metric sink. No other module names a type of the SDK.
//!
//! | what | where, the ground first |
//! |---|---|
//! | what is called and which permission it needs | [`Call`] in `permission` |
//! | what AWS's answers say of time, and how far our clock is off; AWS's words | `timing` ([`AwsClock`]), `words` |
//! | what a source is asked and says | `source` |
//! | how it is reached, and how answers are bounded | `http`, `guard` |
//! | where credentials come from, why there are none, how long they last | `credentials` |
//! | what a call's failure means | `errors` |
//! | how a call is made; those whose SDK crate is too heavy | `exchange`, `by_hand` |
//! | who calls: Region and role, each with its clients | `connection` |
//! | AWS's view of the tunnels | [`poller`], which asks `cloudwatch` and `ec2` |
//! | what AWS says of connections that are not configured yet | [`discover()`] |
//! | a sink's turn, and the traits of `incident` and `publish` | `budget`, `caller`; [`IncidentManager`], [`OpsCenter`], [`Sns`], [`CloudWatchMetrics`] |
//! | which calls that a configuration needs are allowed | [`trial`] |
//!
//! The SDK's own retries are off: pollers, reconcilers and the publisher have their own back-off. The one exception is
//! a wrong clock of ours, which the SDK learns from a refusal and which `exchange` therefore tries once more at once.

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
mod timing;
pub mod trial;
mod words;

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
