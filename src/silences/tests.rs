//! The list, its rules, and windows over both changes of the clocks.

use std::collections::BTreeMap;

use super::*;
use crate::config;
use crate::domain::plan::ParentPlan;
use crate::domain::scope::ParentId;

/// Two connections of one group and uplink, in two Regions, and one that is called as another.
pub(crate) fn plan() -> Plan {
    let connection = |id: &str, name: &str, outside: u8, region: &str| {
        format!(
            "[[vpn]]\nid = \"{id}\"\nname = \"{name}\"\nregion = \"{region}\"\n[[vpn.tunnel]]\nname = \"by cable\"\n\
             outside_ip = \"203.0.113.{outside}\"\ninside_ip = \"169.254.{outside}.1\"\nsource_ip = \"169.254.{outside}.2\"\n"
        )
    };
    let text = format!(
        "[site]\nname = \"milan 1\"\n[incident]\nmode = \"observe\"\n{}{}{}",
        connection("vpn-0123456789abcdef0", "Milan DC", 11, "eu-west-1"),
        connection("vpn-0fedcba9876543210", "Rome", 21, "eu-central-1"),
        connection("vpn-00112233", "Rome", 31, "eu-central-1"),
    );
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bothends.toml");
    std::fs::write(&path, text).unwrap();
    let loaded = config::load(&path, &BTreeMap::new()).unwrap();
    let mut plan = Plan::clone(&loaded.config.plan);
    let rules = plan.vpns[0].incident;
    plan.parents = [(ParentKind::Group, "paris"), (ParentKind::Uplink, "wan1")]
        .map(|(kind, name)| {
            let id = ParentId { kind, site: Arc::clone(&plan.site), name: name.into() };
            let vpns = plan.vpns.iter().take(2).map(|vpn| vpn.id.clone()).collect();
            Arc::new(ParentPlan { id, vpns, incident: rules })
        })
        .to_vec();
    plan
}

/// Berlin's clocks: put forward on 2027-03-28 at 02:00, back on 2027-10-31 at 03:00.
pub(crate) fn zones(name: &str) -> Option<TimeZone> {
    match name {
        "Europe/Berlin" => TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").ok(),
        "UTC" => Some(TimeZone::UTC),
        _ => None,
    }
}

pub(crate) fn at(text: &str) -> Stamp {
    Stamp::from_millis(text.parse::<Timestamp>().unwrap().as_millisecond())
}

pub(crate) fn wanted(targets: &[Target], from: &str, until: &str, weekly: Option<&str>) -> NewSilence {
    NewSilence {
        targets: targets.to_vec(),
        from: Some(at(from)),
        until: Until::At(at(until)),
        weekly: weekly.map(Into::into),
        reason: "a new line".into(),
    }
}

const NOW: &str = "2027-03-01T12:00:00Z";

fn site(from: &str, until: &str) -> NewSilence {
    wanted(&[Target::Site], from, until, None)
}

fn add(list: &mut Silences, wanted: &NewSilence) -> Result<Vec<Silence>, Refusal> {
    list.add(wanted, 1000, &plan(), at(NOW), zones)
}

#[test]
fn every_target_gets_a_silence_of_its_own_and_no_number_is_given_twice() {
    let mut list = Silences::new([], 4);
    let targets = [
        Target::Site,
        Target::Vpn("Milan DC".to_owned()),
        Target::Vpn("vpn-0123456789abcdef0".to_owned()),
        Target::Tunnel("203.0.113.21".to_owned()),
        Target::Tunnel("Milan DC/203.0.113.11".to_owned()),
        Target::Group("paris".to_owned()),
        Target::Uplink("wan1".to_owned()),
    ];
    let added = add(&mut list, &wanted(&targets, NOW, "2027-03-01T14:00:00Z", None)).unwrap();
    let texts: Vec<_> = added.iter().map(|silence| format!("{} {}", silence.id, silence.of)).collect();
    assert_eq!(
        texts,
        [
            "5 site",
            "6 group/milan 1/paris",
            "7 uplink/milan 1/wan1",
            "8 vpn-0123456789abcdef0",
            "9 vpn-0123456789abcdef0 203.0.113.11",
            "10 vpn-0fedcba9876543210 203.0.113.21"
        ],
        "what is named twice is silenced once"
    );
    list.end(SilenceId(10)).unwrap();
    let next = add(&mut list, &site(NOW, "2027-03-01T14:00:00Z")).unwrap();
    assert_eq!(next[0].id, SilenceId(11));
}

#[test]
fn what_is_wrong_is_refused_with_what_exists_and_nothing_changes() {
    let hour = "2027-03-01T13:00:00Z";
    let named = |target: Target| wanted(&[target], NOW, hour, None);
    let with_reason = |reason: &str| NewSilence { reason: reason.into(), ..site(NOW, hour) };
    let weekly = |until, zone| wanted(&[Target::Site], NOW, until, Some(zone));
    for (wanted, problem) in [
        (site("2027-03-01T14:00:00Z", hour), "must end after it begins"),
        (site(hour, hour), "must end after it begins"),
        (
            site("2027-03-01T10:00:00Z", "2027-03-01T12:00:00Z"),
            "the end, 2027-03-01 12:00 UTC, is in the past",
        ),
        (site(NOW, "2027-02-28T00:00:00Z"), "the end, 2027-02-28 00:00 UTC, is in the past"),
        (site(NOW, "2027-03-08T12:00:01Z"), "at most 7 days"),
        (site("2028-03-03T12:00:00Z", "2028-03-03T13:00:00Z"), "within a year"),
        (weekly("2027-03-08T12:00:00Z", "UTC"), "shorter than 7 days"),
        (weekly(hour, "Mars/Base"), "time zone \"Mars/Base\" is not known"),
        (with_reason("  "), "needs a reason"),
        (with_reason("two\nlines"), "needs a reason"),
        (with_reason(&"é".repeat(201)), "needs a reason"),
        (wanted(&[], NOW, hour, None), "name what to silence"),
        (
            named(Target::Vpn("Turin".to_owned())),
            "there is no connection \"Turin\"; the configuration in force has vpn-0123456789abcdef0 (Milan DC), vpn-",
        ),
        (
            named(Target::Vpn("Rome".to_owned())),
            "\"Rome\" is more than one connection: choose one of vpn-0fedcba98765",
        ),
        (
            named(Target::Tunnel("Milan DC/203.0.113.21".to_owned())),
            "no tunnel \"Milan DC/203.0.113.21\"; the configuration in force has vpn-0123456789abcdef0/203.0.113.11",
        ),
        (named(Target::Tunnel("one".to_owned())), "there is no tunnel \"one\""),
        (named(Target::Group("wan1".to_owned())), "no group \"wan1\"; the configuration in force has paris"),
        (
            named(Target::Uplink("lte".to_owned())),
            "no uplink shared by two connections \"lte\"; the configuration in force has wan1",
        ),
    ] {
        let mut list = Silences::default();
        let refusal = add(&mut list, &wanted).unwrap_err().to_string();
        assert!(refusal.contains(problem), "{problem:?} is not in {refusal:?}");
        assert_eq!(list, Silences::default());
    }
    for (wanted, what) in [
        (site(NOW, "2027-03-08T12:00:00Z"), "7 days"),
        (with_reason(&"é".repeat(200)), "200 characters"),
        (site("2027-03-01T11:00:00Z", hour), "begun before"),
    ] {
        assert!(add(&mut Silences::default(), &wanted).is_ok(), "{what}");
    }
}

#[test]
fn an_uplink_of_one_connection_is_refused_with_the_connection_to_silence() {
    let mut plan = plan();
    let tunnel = &mut Arc::make_mut(&mut plan.vpns[0]).tunnels[0];
    Arc::make_mut(tunnel).uplink = Some("wan2".into());
    let until = "2027-03-01T14:00:00Z";
    let wanted = wanted(&[Target::Uplink("wan2".to_owned())], NOW, until, None);
    let refusal = wanted.check(&plan, at(NOW), zones).unwrap_err().to_string();
    assert_eq!(refusal, "uplink wan2 carries only Milan DC: silence that (`--vpn`)");
}

#[test]
fn one_that_begins_in_the_past_begins_when_it_is_added_and_a_weekly_one_keeps_its_hour() {
    let (before, until) = ("2027-03-01T11:00:00Z", "2027-03-01T13:00:00Z");
    let added = add(&mut Silences::default(), &site(before, until)).unwrap();
    assert_eq!([added[0].from, added[0].until], [at(NOW), at(until)]);
    let weekly = wanted(&[Target::Site], before, until, Some("UTC"));
    assert_eq!(add(&mut Silences::default(), &weekly).unwrap()[0].from, at(before));
}

#[test]
fn at_most_a_hundred_are_kept_and_what_would_be_too_many_adds_none() {
    let mut list = Silences::default();
    let one = site(NOW, "2027-03-01T14:00:00Z");
    for _ in 0..SILENCES_MAX - 1 {
        add(&mut list, &one).unwrap();
    }
    let two = wanted(&[Target::Site, Target::Uplink("wan1".to_owned())], NOW, "2027-03-01T14:00:00Z", None);
    let before = list.clone();
    assert_eq!(add(&mut list, &two), Err(Refusal::Full { there: SILENCES_MAX - 1 }));
    assert_eq!(list, before);
    add(&mut list, &one).unwrap();
    assert!(add(&mut list, &one).is_err());
}

#[test]
fn an_unknown_number_is_refused_with_those_that_there_are() {
    let mut list = Silences::default();
    let none = list.end(SilenceId(1)).unwrap_err().to_string();
    assert_eq!(none, "there is no silence 1: there is none at all");
    add(&mut list, &site(NOW, "2027-03-01T14:00:00Z")).unwrap();
    assert_eq!(list.end(SilenceId(7)).unwrap_err().to_string(), "there is no silence 7; there are 1");
    assert_eq!(list.end(SilenceId(1)).unwrap().by, 1000);
}

#[test]
fn one_that_is_over_is_removed_and_changes_are_known_ahead() {
    let mut list = Silences::default();
    add(&mut list, &site("2027-03-01T13:00:00Z", "2027-03-01T14:00:00Z")).unwrap();
    add(&mut list, &site(NOW, "2027-03-01T15:00:00Z")).unwrap();
    let next = |list: &Silences, now: &str| list.next_change(at(now), zones);
    assert_eq!(next(&list, NOW), Some(at("2027-03-01T13:00:00Z")));
    assert_eq!(next(&list, "2027-03-01T13:00:00Z"), Some(at("2027-03-01T14:00:00Z")));
    assert_eq!(list.remove_over(at("2027-03-01T13:59:59Z"), zones), []);
    let over = list.remove_over(at("2027-03-01T14:00:00Z"), zones);
    assert_eq!(over.iter().map(|silence| silence.id.0).collect::<Vec<_>>(), [1]);
    assert_eq!(next(&list, "2027-03-01T14:00:00Z"), Some(at("2027-03-01T15:00:00Z")));
    list.remove_over(at("2027-03-01T15:00:00Z"), zones);
    assert_eq!(next(&list, "2027-03-01T15:00:00Z"), None);
}

fn weekly(from: &str, until: &str) -> Silence {
    let mut list = Silences::default();
    let wanted = wanted(&[Target::Site], from, until, Some("Europe/Berlin"));
    add(&mut list, &wanted).unwrap().remove(0)
}

fn window(first: &Silence, now: Stamp) -> Silence {
    let standing = standing(first, now, zones);
    let Standing::Window(window) = standing else { panic!("{standing:?}") };
    window
}

/// The window in which it stands at this time.
fn window_at(first: &Silence, now: &str) -> [String; 2] {
    let window = window(first, at(now));
    [window.from, window.until].map(crate::clock::rfc3339)
}

#[test]
fn a_weekly_silence_keeps_its_hour_over_both_changes_of_the_clocks() {
    // Saturdays from 22:00 to 02:00 in Berlin.
    let first = weekly("2027-03-06T21:00:00Z", "2027-03-07T01:00:00Z");
    for (now, window) in [
        (NOW, ["2027-03-06T21:00:00Z", "2027-03-07T01:00:00Z"]),
        ("2027-03-07T00:59:59Z", ["2027-03-06T21:00:00Z", "2027-03-07T01:00:00Z"]),
        ("2027-03-07T01:00:00Z", ["2027-03-13T21:00:00Z", "2027-03-14T01:00:00Z"]),
        // The night in which the clocks are put forward, and the week after.
        ("2027-03-27T12:00:00Z", ["2027-03-27T21:00:00Z", "2027-03-28T01:00:00Z"]),
        ("2027-03-28T01:00:00Z", ["2027-04-03T20:00:00Z", "2027-04-04T00:00:00Z"]),
        ("2027-10-30T23:00:00Z", ["2027-10-30T20:00:00Z", "2027-10-31T00:00:00Z"]),
        // Back again.
        ("2027-10-31T00:00:00Z", ["2027-11-06T21:00:00Z", "2027-11-07T01:00:00Z"]),
    ] {
        assert_eq!(window_at(&first, now), window, "at {now}");
    }
}

#[test]
fn a_window_in_the_hour_that_the_clocks_skip_begins_as_much_later_and_the_next_one_at_its_hour_again() {
    // Sundays from 02:30 to 02:45 in Berlin.
    let first = weekly("2027-03-07T01:30:00Z", "2027-03-07T01:45:00Z");
    assert_eq!(window_at(&first, "2027-03-25T00:00:00Z"), ["2027-03-28T01:30:00Z", "2027-03-28T01:45:00Z"]);
    assert_eq!(window_at(&first, "2027-03-28T01:45:00Z"), ["2027-04-04T00:30:00Z", "2027-04-04T00:45:00Z"]);
    // The hour that the clocks show twice: the first time.
    assert_eq!(window_at(&first, "2027-10-30T00:00:00Z"), ["2027-10-31T00:30:00Z", "2027-10-31T00:45:00Z"]);
    assert_eq!(window_at(&first, "2027-10-31T00:45:00Z"), ["2027-11-07T01:30:00Z", "2027-11-07T01:45:00Z"]);
}

#[test]
fn windows_of_nearly_a_week_follow_each_other_without_end() {
    let first = weekly("2027-03-01T12:00:00Z", "2027-03-08T11:59:00Z");
    let mut now = at(NOW);
    for _ in 0..60 {
        let window = window(&first, now);
        assert!(now < window.until && window.until.since(window.from) == first.until.since(first.from));
        now = window.until;
    }
}

#[test]
fn a_clock_that_was_wrong_for_a_while_leaves_no_trace() {
    let first = weekly("2027-03-06T21:00:00Z", "2027-03-07T01:00:00Z");
    let mut list = Silences::new([first.clone()], 1);
    for wrong in ["1970-01-01T00:00:00Z", "2100-01-01T00:00:00Z"] {
        assert_eq!(list.remove_over(at(wrong), zones), [], "{wrong}");
        assert_eq!(list.present(at(wrong), zones).len(), 1, "{wrong}");
    }
    assert_eq!(*list.present(at(NOW), zones), [first]);
}

#[test]
fn a_weekly_silence_without_its_zone_has_no_window_after_the_first_and_is_not_over() {
    let first = weekly("2027-03-06T21:00:00Z", "2027-03-07T01:00:00Z");
    let later = at("2027-03-07T01:00:00Z");
    assert!(matches!(standing(&first, at("2027-03-07T00:00:00Z"), |_| None), Standing::Window(_)));
    assert_eq!(standing(&first, later, |_| None), Standing::Unknown(Unknown::Zone));
    assert_eq!(standing(&first, Stamp::from_millis(i64::MAX), zones), Standing::Unknown(Unknown::Date));
    let mut list = Silences::new([first.clone()], 1);
    assert_eq!(list.remove_over(later, |_| None), []);
    assert!(list.present(later, |_| None).is_empty());
    assert_eq!(list.present(later, zones)[0].from, at("2027-03-13T21:00:00Z"), "it is back with its zone");
}

#[test]
fn a_reason_reads_as_it_was_meant() {
    let with_reason =
        |reason: &str| NewSilence { reason: reason.into(), ..site(NOW, "2027-03-01T13:00:00Z") };
    let refused = |reason: &str| add(&mut Silences::default(), &with_reason(reason)).unwrap_err();
    for deceptive in [
        '\u{AD}',
        '\u{61C}',
        '\u{200B}',
        '\u{200D}',
        '\u{200E}',
        '\u{2028}',
        '\u{2029}',
        '\u{202E}',
        '\u{2060}',
        '\u{2066}',
        '\u{2069}',
        '\u{3164}',
        '\u{FEFF}',
        '\u{FFF9}',
        '\u{E0041}',
        '\u{E0100}',
    ] {
        assert_eq!(refused(&format!("a new {deceptive}line")), Refusal::ReasonCharacter(deceptive));
    }
    let text = refused("a\u{202E}b").to_string();
    assert!(text.contains("invisible character U+202E"), "{text}");
    for blank in ["", " ", "\u{A0}\u{3000}", "\u{2800}", "\u{FE0F}"] {
        assert_eq!(refused(blank), Refusal::Reason, "{blank:?}");
    }
    assert_eq!(refused("two\u{85}lines"), Refusal::Reason);
    for plain in
        ["é", "e\u{301}", "回線の移動", "नया तार", "تغيير 4711", "⚠\u{FE0F} new line", "a\u{A0}b", "."]
    {
        assert!(add(&mut Silences::default(), &with_reason(plain)).is_ok(), "{plain}");
    }
}

#[test]
fn a_silence_without_a_beginning_begins_when_it_is_added_and_a_length_is_reckoned_from_there() {
    let asked = |from: Option<&str>, until| NewSilence {
        from: from.map(at),
        until,
        ..site(NOW, "2027-03-01T14:00:00Z")
    };
    let hour = Until::After(Duration::from_secs(3600));
    let at_two = Until::At(at("2027-03-01T14:00:00Z"));
    let (one, two) = ("2027-03-01T13:00:00Z", "2027-03-01T14:00:00Z");
    for (wanted, from, until, from_now) in [
        (asked(None, hour), NOW, one, FromNow { from: true, until: true }),
        (asked(None, at_two), NOW, two, FromNow { from: true, until: false }),
        (asked(Some(one), hour), one, two, FromNow::default()),
        (asked(Some(one), at_two), one, two, FromNow::default()),
    ] {
        let added = add(&mut Silences::default(), &wanted).unwrap().remove(0);
        assert_eq!((added.from, added.until, added.from_now), (at(from), at(until), from_now));
    }
    assert_eq!(
        add(&mut Silences::default(), &asked(None, Until::After(Duration::ZERO))),
        Err(Refusal::Backwards)
    );
}

#[test]
fn what_has_left_the_configuration_matches_nothing() {
    let plan = plan();
    let empty = Plan { vpns: Vec::new(), parents: Vec::new(), ..plan.clone() };
    let targets = [
        Target::Vpn("Milan DC".to_owned()),
        Target::Tunnel("203.0.113.11".to_owned()),
        Target::Group("paris".to_owned()),
        Target::Uplink("wan1".to_owned()),
    ];
    for of in targets.map(|target| target.scope(&plan).unwrap()) {
        assert!(matches(&of, &plan) && !matches(&of, &empty), "{of}");
        assert!(!connections(&of, &plan).is_empty(), "{of}");
    }
    assert!(matches(&SilenceScope::Site, &empty));
    assert_eq!(connections(&SilenceScope::Site, &plan).len(), 3);
}

#[test]
fn this_hosts_zones_are_known_by_name() {
    assert!(super::zones("UTC").is_some());
    assert!(super::zones("Mars/Base").is_none());
}
