//! Whether traffic gets through, and when AWS replaces an endpoint, in the words of `bothends status` and the status page. They go by the
//! words of `/status`, which is all that `bothends status` has.

/// Of a connection, by its `traffic`.
pub fn traffic_words(traffic: &str) -> &'static str {
    match traffic {
        "flows" => "traffic flows",
        "does_not_flow" => "no traffic",
        _ => "cannot tell whether traffic flows",
    }
}

/// Of a tunnel, by its `carrying` and `carrying_why`.
pub fn carrying_words(carrying: &str, why: Option<&str>) -> &'static str {
    match (carrying, why) {
        ("carrying", _) => "carries traffic",
        ("not_carrying", Some("bgp_down")) => "carries no traffic, BGP is down",
        ("not_carrying", _) => "carries no traffic",
        (_, Some("unused")) => "not used",
        (_, Some("bgp_unconfirmed")) => "cannot tell whether it carries traffic, BGP may be down",
        (_, _) => "cannot tell whether it carries traffic",
    }
}

/// What AWS says of the replacement of a tunnel's endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replacement {
    /// It is announced for a time.
    Dated,
    /// It is announced without a time.
    Undated,
    /// The permission to ask is missing.
    Denied,
}

/// The sentence, in two parts: the time, if there is one, stands between them.
pub const fn replacement_words(replacement: Replacement) -> [&'static str; 2] {
    match replacement {
        Replacement::Dated => {
            ["AWS replaces its endpoint soon after ", ", unless you apply the maintenance before"]
        }
        Replacement::Undated => ["AWS has announced a replacement of its endpoint, without a date", ""],
        Replacement::Denied => [
            "whether AWS will replace its endpoint is unknown: the permission ec2:GetVpnTunnelReplacementStatus is missing",
            "",
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::carrying::{CannotTell, Carrying, NotCarrying, Traffic};

    #[test]
    fn each_word_of_the_status_has_its_words() {
        let traffic = [Traffic::Flows, Traffic::DoesNotFlow, Traffic::CannotTell];
        assert_eq!(
            traffic.map(|traffic| traffic_words(traffic.as_str())),
            ["traffic flows", "no traffic", "cannot tell whether traffic flows"]
        );
        let words = |carrying: Carrying| carrying_words(carrying.as_str(), carrying.why());
        assert_eq!(words(Carrying::Carrying), "carries traffic");
        assert_eq!(words(Carrying::NotCarrying(NotCarrying::BgpDown)), "carries no traffic, BGP is down");
        for why in [NotCarrying::BothEndsDown, NotCarrying::LocalDown, NotCarrying::AwsDown] {
            assert_eq!(words(Carrying::NotCarrying(why)), "carries no traffic");
        }
        assert_eq!(words(Carrying::CannotTell(CannotTell::Unused)), "not used");
        assert_eq!(
            words(Carrying::CannotTell(CannotTell::BgpUnconfirmed)),
            "cannot tell whether it carries traffic, BGP may be down"
        );
        for why in
            [CannotTell::Disputed, CannotTell::AwsUnknown, CannotTell::Starting, CannotTell::LocalUnknown]
        {
            assert_eq!(words(Carrying::CannotTell(why)), "cannot tell whether it carries traffic");
        }
    }
}
