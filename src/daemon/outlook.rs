//! Credentials that nobody renews are said to expire before they do.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval, timeout};

use super::clock_offset;
use crate::aws::{AwsConnections, Outlook};
use crate::health::{Code, Component, Health, Problem};

const LOOK_EVERY: Duration = Duration::from_secs(60);

/// A source of credentials that hangs is asked again later.
const GIVE_UP_AFTER: Duration = Duration::from_secs(50);

/// Looks for ever.
pub(super) async fn keep(connections: AwsConnections, health: Health) {
    let mut stated = BTreeSet::new();
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let now = clock_offset::as_cloudwatch_judges(&connections).now.wall;
        let Ok(outlooks) = timeout(GIVE_UP_AFTER, connections.outlooks(now)).await else { continue };
        let mut expiring = BTreeSet::new();
        for (role, outlook) in outlooks {
            match outlook {
                Outlook::Good => {}
                Outlook::Expiring(at) => {
                    let component = Component::credentials(role.as_deref());
                    health.set(component.clone(), problem(role.as_deref(), at.as_millis()));
                    expiring.insert(component);
                }
            }
        }
        // What is no longer in use does not expire.
        for component in stated.difference(&expiring) {
            health.clear(component);
        }
        stated = expiring;
    }
}

fn problem(role: Option<&str>, at: i64) -> Problem {
    let at =
        jiff::Timestamp::from_millisecond(at).map_or_else(|_| "soon".to_owned(), |at| format!("at {at}"));
    let whose = role.unwrap_or("the daemon's own identity");
    Problem::new(
        Code::CredentialsExpiring,
        format!("the credentials of {whose} expire {at} and cannot be renewed"),
    )
}
