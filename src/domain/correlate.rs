//! Both views of a tunnel put together.
//!
//! | local \ aws | Up | Down | Unknown |
//! |---|---|---|---|
//! | Up | Healthy | Disputed(aws) | Blind |
//! | Down | Disputed(local) | **Down** | Unconfirmed(local) |
//! | Unknown | Blind | Unconfirmed(aws) | Blind |

use super::names::End;
use super::time::Moment;
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

/// The table, with the condition on time: AWS's Down agrees with a local Down only if it speaks of a moment after the
/// local Down began. An old AWS Down and a one-second blip are not an agreement.
///
/// `aws_as_of` is the moment AWS's evidence speaks of, on our clock.
pub fn assess(local: Verdict, local_since: Moment, aws: Verdict, aws_as_of: Option<Moment>) -> Assessment {
    match correlate(local, aws) {
        Assessment::Down if aws_as_of.is_none_or(|as_of| as_of <= local_since) => {
            Assessment::Unconfirmed(End::Local)
        }
        assessment @ (Assessment::Healthy
        | Assessment::Down
        | Assessment::Disputed(_)
        | Assessment::Unconfirmed(_)
        | Assessment::Blind) => assessment,
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
    fn both_ends_agree_on_down_only_on_evidence_of_after_the_local_down_began() {
        let began = Moment::from_nanos(100);
        let assess_as_of = |as_of| assess(Verdict::Down, began, Verdict::Down, as_of);
        assert_eq!(assess_as_of(Some(Moment::from_nanos(101))), Assessment::Down);
        assert_eq!(assess_as_of(Some(began)), Assessment::Unconfirmed(End::Local));
        assert_eq!(assess_as_of(Some(Moment::from_nanos(-7))), Assessment::Unconfirmed(End::Local));
        assert_eq!(assess_as_of(None), Assessment::Unconfirmed(End::Local));
    }
}
