//! What an answer says of time: when it was asked for, the time that it was signed with, and its Date.

use std::time::Duration;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;

use crate::domain::time::{Moment, Stamp};

/// A signature is refused when the clocks are more than 5 min apart (SigV4, "Elements of an AWS API request
/// signature"); the SDK takes a refusal for a matter of clocks from 4 min on.
const SKEW_THAT_COUNTS: Duration = Duration::from_secs(4 * 60);

/// What a call's answer says of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Exchange {
    /// When the request left.
    pub(super) asked: Moment,
    /// The time that it was signed with: our wall clock's, as the SDK corrects it by the answer before.
    pub(super) signed: Option<Stamp>,
    /// The answer's Date header.
    pub(super) date: Option<Stamp>,
}

impl Exchange {
    /// What AWS's clock reads at `at`, by this exchange.
    pub(super) fn aws_time(&self, at: Moment) -> Option<Stamp> {
        self.date.map(|date| date + at.since(self.asked))
    }

    /// Whether it was signed with a wrong time. That our clock agrees with AWS's does not say so: it may have been set
    /// right since the answer by which the SDK corrected it.
    pub(super) fn skewed(&self) -> bool {
        let both = self.date.zip(self.signed);
        both.is_some_and(|(date, signed)| date.since(signed).max(signed.since(date)) > SKEW_THAT_COUNTS)
    }
}

/// An answer's Date.
pub(super) fn date_of(response: &HttpResponse) -> Option<Stamp> {
    response.headers().get("date").and_then(parse_date)
}

fn parse_date(header: &str) -> Option<Stamp> {
    parse(header, Format::HttpDate)
}

/// A time such as `20261122T100000Z`, as Signature Version 4 has it.
pub(super) fn parse_basic(header: &str) -> Option<Stamp> {
    let part = |range| header.get(range);
    let (year, month, day) = (part(0..4)?, part(4..6)?, part(6..8)?);
    let (hour, minute, second) = (part(9..11)?, part(11..13)?, part(13..15)?);
    parse(&format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z"), Format::DateTime)
}

fn parse(text: &str, format: Format) -> Option<Stamp> {
    DateTime::from_str(text, format).ok()?.to_millis().ok().map(Stamp::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_header_is_read_as_http_writes_it() {
        assert_eq!(parse_date("Sun, 22 Nov 2026 10:00:00 GMT"), Some(Stamp::from_secs(1_795_341_600)));
        assert_eq!(parse_date("yesterday"), None);
    }

    #[test]
    fn the_time_of_a_signature_is_read_as_it_is_signed() {
        assert_eq!(parse_basic("20261122T100000Z"), Some(Stamp::from_secs(1_795_341_600)));
        assert_eq!(parse_basic("20261122"), None);
    }

    #[test]
    fn aws_time_goes_on_from_the_date_by_our_monotonic_clock() {
        let asked = Moment::from_nanos(5_000_000_000);
        let exchange = Exchange { asked, signed: None, date: Some(Stamp::from_secs(1_000)) };
        assert_eq!(exchange.aws_time(asked + Duration::from_secs(7)), Some(Stamp::from_secs(1_007)));
    }

    #[test]
    fn a_signature_counts_as_of_a_wrong_time_from_four_minutes_on_to_either_side() {
        for (signed, theirs, wrong) in [(0, 239, false), (0, 241, true), (241, 0, true), (239, 0, false)] {
            let exchange = Exchange {
                asked: Moment::ORIGIN,
                signed: Some(Stamp::from_secs(signed)),
                date: Some(Stamp::from_secs(theirs)),
            };
            assert_eq!(exchange.skewed(), wrong, "signed {signed} s, theirs {theirs} s");
        }
    }
}
