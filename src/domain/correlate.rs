//! Both views of a tunnel put together.
//!
//! | local \ aws | Up | Down | Unknown |
//! |---|---|---|---|
//! | Up | Healthy | Disputed(aws) | Blind |
//! | Down | Disputed(local) | **Down** | Unconfirmed(local) |
//! | Unknown | Blind | Unconfirmed(aws) | Blind |

use super::carrying::{CannotTell, Carrying, NotCarrying};
use super::names::End;
use super::verdict::{Assessment, Verdict};

/// The table, without a wildcard.
pub const fn correlate(local: Verdict, aws: Verdict) -> Assessment {
    match (local, aws) {
        (Verdict::Up, Verdict::Up) => Assessment::Healthy,
        (Verdict::Up, Verdict::Down) => Assessment::Disputed(End::Aws),
        (Verdict::Up, Verdict::Unknown(_)) => Assessment::Blind,
        (Verdict::Down, Verdict::Up) => Assessment::Disputed(End::Local),
        (Verdict::Down, Verdict::Down) => Assessment::Down,
        (Verdict::Down, Verdict::Unknown(_)) => Assessment::Unconfirmed(End::Local),
        (Verdict::Unknown(_), Verdict::Up) => Assessment::Blind,
        (Verdict::Unknown(_), Verdict::Down) => Assessment::Unconfirmed(End::Aws),
        (Verdict::Unknown(_), Verdict::Unknown(_)) => Assessment::Blind,
    }
}

/// The table, with what is agreed by [`carrying::judge`](super::carrying::judge): AWS's Down agrees with a local Down only if it
/// speaks of a moment after the local Down began, or the first of a row ([`downs`](super::downs); an old AWS Down and a one-second blip
/// are not an agreement), and where
/// BGP is down both ends agree although our echoes are answered.
pub const fn assess(local: Verdict, aws: Verdict, carrying: Carrying) -> Assessment {
    match (correlate(local, aws), carrying) {
        (_, Carrying::CannotTell(CannotTell::Unused)) => Assessment::Blind,
        (_, Carrying::NotCarrying(NotCarrying::BothEndsDown | NotCarrying::BgpDown)) => Assessment::Down,
        (Assessment::Down, Carrying::Carrying | Carrying::NotCarrying(_) | Carrying::CannotTell(_)) => {
            Assessment::Unconfirmed(End::Local)
        }
        (
            assessment @ (Assessment::Healthy
            | Assessment::Disputed(_)
            | Assessment::Unconfirmed(_)
            | Assessment::Blind),
            Carrying::Carrying | Carrying::NotCarrying(_) | Carrying::CannotTell(_),
        ) => assessment,
    }
}

#[cfg(test)]
mod tests {
    use super::super::verdict::Why;
    use super::*;

    const UNKNOWN: Verdict = Verdict::Unknown(Why::Stale);

    #[test]
    fn the_table_holds_in_all_nine_cells() {
        let table = [
            (Verdict::Up, Verdict::Up, Assessment::Healthy),
            (Verdict::Up, Verdict::Down, Assessment::Disputed(End::Aws)),
            (Verdict::Up, UNKNOWN, Assessment::Blind),
            (Verdict::Down, Verdict::Up, Assessment::Disputed(End::Local)),
            (Verdict::Down, Verdict::Down, Assessment::Down),
            (Verdict::Down, UNKNOWN, Assessment::Unconfirmed(End::Local)),
            (UNKNOWN, Verdict::Up, Assessment::Blind),
            (UNKNOWN, Verdict::Down, Assessment::Unconfirmed(End::Aws)),
            (UNKNOWN, UNKNOWN, Assessment::Blind),
        ];
        for (local, aws, expected) in table {
            assert_eq!(correlate(local, aws), expected, "local {local}, aws {aws}");
        }
    }

    #[test]
    fn both_ends_agree_on_down_only_where_the_table_of_carrying_says_so() {
        let assessed = |local, aws, carrying| assess(local, aws, carrying);
        let (agreed, bgp) = (NotCarrying::BothEndsDown, NotCarrying::BgpDown);
        let table = [
            (Verdict::Down, Verdict::Down, Carrying::NotCarrying(agreed), Assessment::Down),
            (
                Verdict::Down,
                Verdict::Down,
                Carrying::NotCarrying(NotCarrying::LocalDown),
                Assessment::Unconfirmed(End::Local),
            ),
            (Verdict::Up, Verdict::Down, Carrying::NotCarrying(bgp), Assessment::Down),
            (
                Verdict::Up,
                Verdict::Down,
                Carrying::CannotTell(CannotTell::BgpUnconfirmed),
                Assessment::Disputed(End::Aws),
            ),
            (UNKNOWN, Verdict::Down, Carrying::CannotTell(CannotTell::Unused), Assessment::Blind),
        ];
        for (local, aws, carrying, expected) in table {
            assert_eq!(assessed(local, aws, carrying), expected, "{local}, {aws}, {carrying:?}");
        }
    }
}
