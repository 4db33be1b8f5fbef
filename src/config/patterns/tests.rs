//! What each pattern takes, and what not.

use super::*;

fn verdicts<T>(rule: &Rule<T>, right: &[&str], wrong: &[&str]) {
    for text in right {
        assert!((rule.parse)(text).is_some(), "{text:?} should be taken as {}", rule.allowed);
    }
    for text in wrong {
        assert!((rule.parse)(text).is_none(), "{text:?} should not be taken as {}", rule.allowed);
    }
}

#[test]
fn regions_of_every_partition_are_known_by_their_form() {
    let right =
        ["eu-west-1", "us-gov-west-1", "cn-north-1", "ap-southeast-7", "us-isob-east-1", "eusc-de-east-1"];
    verdicts(
        &REGION,
        &right,
        &["", "eu-west", "eu-west-1a", "EU-WEST-1", "west-1", "eu--west-1", "eu-west-1 ", "-a-1"],
    );
}

#[test]
fn vpn_ids_have_8_or_17_hexadecimal_digits() {
    verdicts(
        &VPN_ID,
        &["vpn-0123abcd", "vpn-0123456789abcdef0"],
        &[
            "",
            "vpn-",
            "vpn-0123456",
            "vpn-0123456789abcdef",
            "vpn-0123ABCD",
            "vgw-0123abcd",
            "vpn-0123abcg",
            " vpn-0123abcd",
        ],
    );
}

#[test]
fn role_arns_may_have_a_path_and_any_partition() {
    verdicts(
        &ROLE_ARN,
        &[
            "arn:aws:iam::123456789012:role/BothEnds",
            "arn:aws-cn:iam::123456789012:role/ops/site/BothEnds",
            "arn:aws-us-gov:iam::123456789012:role/a+b=c,d.e@f_g-h",
        ],
        &[
            "BothEnds",
            "arn:aws:iam::123456789012:user/me",
            "arn:aws:iam::12345678901:role/BothEnds",
            "arn:aws:iam:eu-west-1:123456789012:role/BothEnds",
            "arn:aws:iam::123456789012:role/",
            "arn:aws:iam::123456789012:role/ops/",
            "arn:gcp:iam::123456789012:role/BothEnds",
        ],
    );
}

#[test]
fn response_plans_may_have_the_two_placeholders_in_their_name_only() {
    let long = format!("arn:aws:ssm-incidents::123456789012:response-plan/{}", "x".repeat(201));
    let long_once_filled =
        format!("arn:aws:ssm-incidents::123456789012:response-plan/{}{{kind}}", "x".repeat(190));
    let long_of_a_parent =
        format!("arn:aws:ssm-incidents::123456789012:response-plan/{}{{scope}}", "x".repeat(130));
    verdicts(
        &RESPONSE_PLAN,
        &[
            "arn:aws:ssm-incidents::123456789012:response-plan/bothends",
            "arn:aws:ssm-incidents::123456789012:response-plan/bothends-{vpn_id}-{kind}",
            "arn:aws:ssm-incidents::123456789012:response-plan/bothends-{scope}-{kind}",
            "arn:aws-cn:ssm-incidents::123456789012:response-plan/a_b",
            "arn:aws-us-gov:ssm-incidents::123456789012:response-plan/{kind}",
        ],
        &[
            "bothends",
            "arn:aws:ssm-incidents::123456789012:response-plan/",
            "arn:aws:ssm-incidents:eu-west-1:123456789012:response-plan/a",
            "arn:aws:ssm-incidents::123456789012:responseplan/a",
            "arn:aws:ssm-incidents::123456789012:response-plan/a/b",
            "arn:aws:ssm-incidents::123456789012:response-plan/{vpn}",
            "arn:aws:ssm-incidents::123456789012:response-plan/{kind",
            "arn:aws:ssm-incidents::{kind}:response-plan/a",
            "arn:aws-iso:ssm-incidents::123456789012:response-plan/a",
            "arn:aws:ssm::123456789012:response-plan/a",
            &long,
            &long_once_filled,
            &long_of_a_parent,
        ],
    );
}

#[test]
fn topics_name_their_region() {
    verdicts(
        &TOPIC_ARN,
        &["arn:aws:sns:eu-west-1:123456789012:vpn-alerts", "arn:aws-cn:sns:cn-north-1:123456789012:a_b.fifo"],
        &[
            "vpn-alerts",
            "arn:aws:sns::123456789012:vpn-alerts",
            "arn:aws:sns:eu-west-1:1234:vpn-alerts",
            "arn:aws:sqs:eu-west-1:123456789012:vpn-alerts",
            "arn:aws:sns:eu-west-1:123456789012:",
            "arn:aws:sns:eu-west-1:123456789012:a.b",
            "arn:aws:sns:eu-west-1:123456789012:topic:9f1c",
        ],
    );
}

#[test]
fn a_namespace_is_not_one_of_aws_own() {
    verdicts(
        &NAMESPACE,
        &["BothEnds", "Net/VPN #1: a.b-c_d", "AWSome"],
        &["", "AWS/VPN", ":x", " x", "Ünï", "a,b", "a\tb"],
    );
}

#[test]
fn names_are_one_line_and_a_site_is_a_dimension_value() {
    verdicts(&LABEL, &["Mailand, primär", "t"], &["", "  ", "a\nb", "a\u{7f}"]);
    verdicts(&SITE_NAME, &["milan-1", "a b"], &["", " a", ":a", "mailänd", "a\tb"]);
    assert!((LABEL.parse)(&"x".repeat(64)).is_some());
    assert!((LABEL.parse)(&"x".repeat(65)).is_none());
}

#[test]
fn addresses_are_those_of_single_hosts() {
    verdicts(
        &HOST_IP,
        &["203.0.113.11", "fd00::1", "169.254.10.1"],
        &[
            "",
            "127.0.0.1",
            "::1",
            "fe80::1",
            "::ffff:10.0.0.1",
            "0.0.0.0",
            "0.1.2.3",
            "::",
            "224.0.0.1",
            "ff02::1",
            "255.255.255.255",
            "169.254.10.1/30",
            "fe80::1%eth0",
            "010.0.0.1",
        ],
    );
}

#[test]
fn an_outside_address_is_no_address_of_the_inside_or_of_the_host_itself() {
    verdicts(
        &OUTSIDE_IP,
        &["203.0.113.11", "10.24.10.0", "2001:db8::1", "fd00::1"],
        &["169.254.10.1", "127.0.0.1", "0.0.0.0", "255.255.255.255", "fe80::1", "::1"],
    );
}

#[test]
fn what_does_not_show_is_in_no_text() {
    for hidden in [
        "\u{202e}",
        "\u{2066}",
        "\u{200b}",
        "\u{feff}",
        "\u{2028}",
        "\u{ad}",
        "\u{e0041}",
        "\u{1b}",
        "\u{85}",
    ] {
        verdicts(&LABEL, &[], &[&format!("a{hidden}b")]);
        verdicts(&NOTES, &[], &[&format!("a{hidden}b")]);
        verdicts(&URL, &[], &[&format!("https://a{hidden}b")]);
        verdicts(&FILE_PATH, &[], &[&format!("/a{hidden}b")]);
    }
    // Joiners belong to some scripts, and to emoji.
    verdicts(&LABEL, &["می\u{200c}خواهم", "👩\u{200d}💻"], &[]);
    assert_eq!((NOTES.parse)("one\r\ntwo\tthree").as_deref(), Some("one\ntwo\tthree"));
    verdicts(&NOTES, &[], &["one\rtwo"]);
}

#[test]
fn interfaces_listeners_paths_and_addresses_of_runbooks() {
    verdicts(
        &INTERFACE,
        &["ipsec0", "eth0.100", "a"],
        &["", ".", "..", "a/b", "a:1", "a b", "sixteen-letters-", "vti1@NONE", "vti1:", "vti1 "],
    );
    verdicts(&LISTEN, &["127.0.0.1:9846", "[::1]:0"], &["localhost:9846", ":9846", "127.0.0.1", "9846"]);
    verdicts(&FILE_PATH, &["/var/lib/bothends/bothends.db"], &["", "bothends.db", "/", "/var/lib/", "/a\n"]);
    verdicts(
        &URL,
        &["https://wiki/vpn", "http://a"],
        &["", "wiki/vpn", "ftp://a", "https://", "https://a b"],
    );
}

#[test]
fn a_zone_is_led_back_to_its_region_by_its_letter() {
    assert_eq!(
        without_zone("eu-west-1a").as_deref(),
        Some("\"eu-west-1a\" is an Availability Zone; write \"eu-west-1\"")
    );
    assert_eq!(without_zone("Frankfurt"), None);
    assert_eq!(without_zone("eu-west-1 ").as_deref(), Some("remove the spaces around it"));
}
