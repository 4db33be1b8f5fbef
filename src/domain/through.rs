//! What hosts behind a tunnel say about it.
//!
//! A host in the VPC is probed over the tunnel's own way, with a check of its own. A group of hosts answers while `min` of them
//! are Up, and does not once too many are Down for that. A group that is required has a vote beside AWS's inside address: any
//! vote for Down is Down, Up needs all of them. Other groups never vote; they show whether what lies behind a working tunnel
//! can be reached.
//!
//! # From behind the gateway
//! A host behind the gateway cannot probe a tunnel: the gateway chooses it. What it sees is the connection.
//!
//! | the required hosts | the connection has | our end says of each tunnel |
//! |---|---|---|
//! | do not answer | any number of tunnels | Down: whichever the gateway chose does not carry |
//! | answer | one used tunnel | Up |
//! | answer | more | Unknown ([`Why::Shared`]): one of them carries, and a reply does not name it |
//! | never answered, fault | any number | Unknown, for that reason |
//!
//! A tunnel whose state is shared is healthy where AWS says Up of it: a reply came, and AWS says it can have come this way. Where
//! AWS says Down the reply must have come another way: nothing contradicts AWS, and nothing confirms it, so lost redundancy is
//! never agreed on from here. That the connection does not work is: then every tunnel is Down by our end, and AWS's Down of an
//! active one agrees. A working but idle tunnel that AWS calls up by mistake cannot be found from here.
//!
//! An answered echo went through, so that of a connection with BGP AWS's Down is not the BGP session's alone: the rule that
//! a reply proves only IPsec holds for the inside address.

use std::net::IpAddr;

use super::plan::{ThroughGroup, Vantage};
use super::verdict::{Verdict, Why};

/// What one group of hosts says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThroughState {
    /// Whether the group has a vote.
    pub required: bool,
    /// How many must answer.
    pub min: usize,
    /// The hosts in the order of the configuration, and what the check of each says.
    pub hosts: Vec<(IpAddr, Verdict)>,
    /// A check of it is in doubt: what the group says may be about to change.
    pub suspect: bool,
}

impl ThroughState {
    /// The state of a group, by the checks of its hosts: a verdict, and whether it is in doubt.
    pub fn of(group: &ThroughGroup, check: impl Fn(IpAddr) -> Option<(Verdict, bool)>) -> Self {
        let checks: Vec<_> = group
            .routes
            .iter()
            .filter_map(|route| check(route.inside_ip).map(|said| (route.inside_ip, said)))
            .collect();
        Self {
            required: group.required,
            min: group.min,
            suspect: checks.iter().any(|(_, (_, suspect))| *suspect),
            hosts: checks.into_iter().map(|(host, (verdict, _))| (host, verdict)).collect(),
        }
    }

    /// How many answer.
    pub fn answering(&self) -> usize {
        self.count(|verdict| verdict == Verdict::Up)
    }

    /// How many have answered and no longer do.
    pub fn silent(&self) -> usize {
        self.count(|verdict| verdict == Verdict::Down)
    }

    /// How many have never answered.
    pub fn never_answered(&self) -> usize {
        self.count(|verdict| verdict == Verdict::Unknown(Why::NeverAnswered))
    }

    /// Up if enough answer, Down if too many do not, else Unknown for the reason of the first that does not say.
    pub fn verdict(&self) -> Verdict {
        let unknown = self.hosts.iter().map(|(_, verdict)| *verdict).find(|verdict| match verdict {
            Verdict::Up | Verdict::Down => false,
            Verdict::Unknown(_) => true,
        });
        if self.answering() >= self.min {
            Verdict::Up
        } else if self.hosts.len() - self.silent() < self.min {
            Verdict::Down
        } else {
            unknown.unwrap_or(Verdict::Unknown(Why::Starting))
        }
    }

    fn count(&self, is: impl Fn(Verdict) -> bool) -> usize {
        self.hosts.iter().filter(|(_, verdict)| is(*verdict)).count()
    }
}

/// What our end says of a tunnel, by what its checks say together.
pub const fn of_this_tunnel(vantage: Vantage, said: Verdict) -> Verdict {
    match (vantage, said) {
        (Vantage::Behind { shared: true }, Verdict::Up) => Verdict::Unknown(Why::Shared),
        (Vantage::Gateway | Vantage::Behind { .. }, said) => said,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::plan::Route;
    use super::*;

    const NEVER: Verdict = Verdict::Unknown(Why::NeverAnswered);

    fn state(min: usize, verdicts: &[Verdict]) -> ThroughState {
        let route = |n| {
            Arc::new(Route {
                inside_ip: [10, 0, 0, n].into(),
                source_ip: [169, 254, 10, 2].into(),
                interface: None,
                fwmark: None,
            })
        };
        let routes = (0..verdicts.len()).map(|n| route(u8::try_from(n).unwrap())).collect();
        let group = ThroughGroup { routes, min, required: true };
        ThroughState::of(&group, |host| match host {
            IpAddr::V4(host) => verdicts.get(usize::from(host.octets()[3])).map(|verdict| (*verdict, false)),
            IpAddr::V6(_) => None,
        })
    }

    #[test]
    fn a_group_answers_while_enough_hosts_do_and_is_down_once_too_few_can() {
        const UP: Verdict = Verdict::Up;
        const DOWN: Verdict = Verdict::Down;
        for (min, verdicts, expected) in [
            (1, &[UP][..], UP),
            (1, &[DOWN], DOWN),
            (1, &[NEVER], NEVER),
            (1, &[DOWN, UP], UP),
            (1, &[DOWN, DOWN], DOWN),
            (1, &[DOWN, NEVER], NEVER),
            (2, &[UP, DOWN, UP], UP),
            (2, &[UP, DOWN, NEVER], NEVER),
            (2, &[DOWN, DOWN, NEVER], DOWN),
            (2, &[DOWN, UP, DOWN], DOWN),
        ] {
            assert_eq!(state(min, verdicts).verdict(), expected, "{min} of {verdicts:?}");
        }
    }

    #[test]
    fn hosts_are_counted_by_what_their_checks_say() {
        let state = state(1, &[Verdict::Up, Verdict::Down, NEVER, Verdict::Unknown(Why::Starting)]);
        assert_eq!((state.answering(), state.silent(), state.never_answered()), (1, 1, 1));
    }

    #[test]
    fn from_behind_a_reply_is_of_one_tunnel_only_if_there_is_only_one() {
        let (alone, shared) = (Vantage::Behind { shared: false }, Vantage::Behind { shared: true });
        assert_eq!(of_this_tunnel(Vantage::Gateway, Verdict::Up), Verdict::Up);
        assert_eq!(of_this_tunnel(alone, Verdict::Up), Verdict::Up);
        assert_eq!(of_this_tunnel(shared, Verdict::Up), Verdict::Unknown(Why::Shared));
        for said in [Verdict::Down, NEVER] {
            assert_eq!(of_this_tunnel(shared, said), said);
        }
    }
}
