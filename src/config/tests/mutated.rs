//! Any content of the files is accepted or reported, and never ends the process.

use proptest::prelude::*;

use crate::config::schema::RENAMED;
use crate::config::tests::Files;
use crate::config::{describe, document};

const REFERENCE: &str = include_str!("../../../config/bothends.toml");

/// What a slip of the hand leaves behind.
fn slips() -> impl Strategy<Value = String> {
    let words = [
        "",
        "\"",
        "'",
        "[",
        "]",
        "[[",
        "{",
        "}",
        "=",
        ".",
        ",",
        "\n",
        "#",
        "\\",
        "\0",
        "-1",
        "0",
        "1e999",
        "inf",
        "true",
        "2026-01-01",
        "99999999999999999999",
        "\"off\"",
        "[[vpn]]",
        "[vpn]",
        "{vpn_id}",
        "ü",
        "\u{feff}",
        "a.b.c",
    ];
    prop_oneof![prop::sample::select(words.to_vec()).prop_map(str::to_owned), any::<String>()]
}

fn load_and_describe(text: &str) {
    match Files::new(text).read(&[]) {
        Ok(loaded) => assert!(!describe(&loaded).is_empty()),
        Err(rejection) => assert!(!rejection.to_string().is_empty()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_accepted_or_reported(text in any::<String>()) {
        load_and_describe(&text);
    }

    #[test]
    fn a_mutated_reference_is_accepted_or_reported(
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0..12_usize, slips()), 1..6),
        switched_on in any::<bool>(),
    ) {
        let mut text = if switched_on { REFERENCE.replace("\n# ", "\n") } else { REFERENCE.to_owned() };
        for (at, length, slip) in cuts {
            let starts: Vec<_> = text.char_indices().map(|(start, _)| start).collect();
            let (from, to) = (at.index(starts.len()), at.index(starts.len()) + length);
            let end = starts.get(to).copied().unwrap_or(text.len());
            text.replace_range(starts[from]..end, &slip);
            text.push('\n');
        }
        load_and_describe(&text);
    }

    #[test]
    fn a_value_of_any_type_under_any_key_is_accepted_or_reported(
        key in prop::sample::select(vec!["site.name", "aws.region", "vpn", "vpn.tunnel", "incident.sink", "incident.open_after", "probe", "ipsec", "bgp", "path", "mtu", "uplink", "group", "group.vpns", "labels", "vpn.labels", "vpn.bgp", "vpn.tunnel.uplink"]),
        value in prop::sample::select(vec!["1", "\"x\"", "[]", "[[]]", "{}", "[{}]", "[1, {}]", "true", "1.5", "nan", "12:00:00", "[{ tunnel = 1 }]"]),
    ) {
        load_and_describe(&format!("{key} = {value}\n"));
    }
}

#[test]
fn every_list_of_tables_survives_elements_that_are_none() {
    let mut notes = Default::default();
    let path = std::path::Path::new("x");
    let document = document::parse(
        path,
        "vpn = [1, { id = 1 }]\nincident.sink = [{}, []]\nuplink = [1, {}, []]\ngroup = [{}, 1, [], 2]\n",
        RENAMED,
        &mut notes,
    )
    .unwrap();
    let counts = [document.vpns, document.sinks, document.uplinks, document.groups].map(|list| list.len());
    assert_eq!(counts, [2, 2, 3, 4]);
}
