//! Everything that talks to AWS: the pollers behind AWS's verdict, Incident Manager, OpsCenter and SNS as sinks,
//! CloudWatch as a metric sink. No other module names a type of the SDK.
//!
//! | what | where |
//! |---|---|
//! | who calls: credentials, Region, role, endpoint, proxy, CA | `connection`, `credentials`, `http`, `endpoint` |
//! | what is called and which permission it needs | [`Call`] in `permission` |
//! | calls to services whose SDK crate is too heavy | `by_hand` |
//! | how a call is made and what its failure means | `exchange`, `errors` |
//! | what AWS's clock reads, and how far ours is off | [`AwsClock`] in `offset` |
//! | AWS's view of the tunnels | [`poller`], fed by `cloudwatch` and `ec2` |
//! | what AWS says of connections that are not configured yet | [`discover()`] |
//! | which calls that a configuration needs are allowed | [`trial`] |
//! | the traits of `incident` and `publish` | [`IncidentManager`], [`OpsCenter`], [`Sns`], [`CloudWatchMetrics`] |
//!
//! The SDK's own retries are off: pollers, reconcilers and the publisher have their own back-off. The one exception is
//! a wrong clock of ours, which the SDK learns from a refusal and which `exchange` therefore tries once more at once.

mod api;
mod budget;
mod by_hand;
mod caller;
mod cloudwatch;
mod connection;
mod credentials;
mod ec2;
mod endpoint;
mod errors;
mod exchange;
mod guard;
mod http;
mod incident_manager;
mod metrics;
mod offset;
mod ops_center;
mod permission;
pub mod poller;
mod sns;
mod source;
mod timing;
pub mod trial;
mod words;

pub use connection::{AwsConnections, ConnectionSettings, StaticCredentials};
pub use credentials::Outlook;
pub use ec2::discover::{Discovered, DiscoveredTunnel, DiscoveredVpn, Question, Trouble, Which, discover};
pub use endpoint::partition;
pub use errors::{Failure, FailureKind};
pub use http::HttpSettingsError;
pub use incident_manager::IncidentManager;
pub use metrics::CloudWatchMetrics;
pub use offset::{AwsClock, ClockOffset};
pub use ops_center::OpsCenter;
pub use permission::Call;
pub use sns::Sns;
