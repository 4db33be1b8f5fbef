//! What is written as lines is read back as it was, and what is no history is said to be none.

use proptest::prelude::*;

use super::*;
use crate::domain::scope::{ParentId, ParentKind};

fn stamps() -> impl Strategy<Value = Stamp> {
    (-62_135_596_800_000_i64..253_402_300_799_999).prop_map(Stamp::from_millis)
}

fn texts() -> impl Strategy<Value = Arc<str>> {
    any::<String>().prop_map(Into::into)
}

fn of<T: Copy + fmt::Debug + 'static>(all: &'static [T]) -> impl Strategy<Value = T> {
    prop::sample::select(all)
}

fn tunnels() -> impl Strategy<Value = TunnelId> {
    ("vpn-[0-9a-f]{1,8}", any::<IpAddr>())
        .prop_map(|(vpn, outside_ip)| TunnelId { vpn: VpnId::new(vpn), outside_ip })
}

fn parents() -> impl Strategy<Value = ParentId> {
    (of(&ParentKind::ALL), "[a-z/]{1,8}", "[a-z]{1,8}").prop_map(|(kind, site, name)| match kind {
        ParentKind::Site => ParentId { kind, site: site.as_str().into(), name: site.into() },
        ParentKind::Group | ParentKind::Uplink => ParentId { kind, site: site.into(), name: name.into() },
    })
}

fn ids() -> impl Strategy<Value = IncidentId> {
    let scope = prop_oneof![
        tunnels().prop_map(|tunnel| Scope::Connection(tunnel.vpn)),
        parents().prop_map(Scope::Parent)
    ];
    (scope, of(&Kind::ALL), stamps()).prop_map(|(scope, kind, opened)| IncidentId { scope, kind, opened })
}

fn withholdings() -> impl Strategy<Value = Withheld> {
    prop_oneof![
        parents().prop_map(Withheld::Explained),
        any::<u32>().prop_map(|id| Withheld::Silenced(SilenceId(id)))
    ]
}

fn whats() -> impl Strategy<Value = What> {
    let named = || (tunnels(), texts());
    let names = || prop::collection::vec(texts(), 0..3);
    prop_oneof![
        prop::sample::select(vec![
            What::Opened,
            What::Confirmed,
            What::Released,
            What::Clearing,
            What::Reopened,
            What::Resolved,
            What::Unwatched,
            What::HandedOver,
            What::Missed,
        ]),
        "[a-z_]{1,9}".prop_map(|sink| What::Adopted { sink: SinkId::new(sink) }),
        (named(), of(&ENDS), of(&Said::ALL), prop::option::of(texts()), prop::option::of(stamps()))
            .prop_map(|(tunnel, end, to, why, as_of)| What::Verdict { tunnel, end, to, why, as_of }),
        (named(), of(&Assessment::ALL), of(&Carries::ALL))
            .prop_map(|(tunnel, to, carrying)| What::Assessment { tunnel, to, carrying }),
        (named(), of(&Cause::ALL), of(&CONFIDENCES)).prop_map(|(tunnel, to, confidence)| What::Cause {
            tunnel,
            to,
            confidence
        }),
        (named(), texts()).prop_map(|(tunnel, to)| What::Quality { tunnel, to }),
        (names(), names(), any::<u32>(), any::<u32>())
            .prop_map(|(down, back, troubled, of)| What::Children { down, back, troubled, of }),
        withholdings().prop_map(|by| What::Withheld { by }),
    ]
}

fn then() -> impl Strategy<Value = TunnelThen> {
    let said = || (of(&Said::ALL), stamps());
    let cause = prop::option::of(of(&Cause::ALL));
    (
        (tunnels(), texts(), of(&ROLES)),
        (said(), said(), prop::option::of(stamps())),
        (of(&Assessment::ALL), cause),
    )
        .prop_map(|((id, name, role), (local, aws, aws_changed), (assessment, cause))| TunnelThen {
            id,
            name,
            role,
            local,
            aws,
            aws_changed,
            assessment,
            cause,
        })
}

fn incidents() -> impl Strategy<Value = Recalled> {
    let state = prop_oneof![
        Just(IncidentState::Open),
        stamps().prop_map(|at| IncidentState::Resolved { at }),
        stamps().prop_map(|at| IncidentState::Unwatched { at }),
    ];
    let happened = (any::<u32>(), stamps(), whats(), any::<u32>())
        .prop_map(|(seq, at, what, repeats)| Happened { seq, at, what, repeats });
    (
        (ids(), texts(), state, stamps()),
        (prop::option::of("[a-z_]{1,9}"), prop::option::of(withholdings()), prop::option::of(ids())),
        (any::<u32>(), prop::collection::vec(then(), 0..3), prop::collection::vec(happened, 0..5)),
    )
        .prop_map(
            |((id, name, state, began), (found_at, withheld, related), (worsened, tunnels, timeline))| {
                let found_at = found_at.map(SinkId::new);
                Recalled { id, name, state, began, found_at, withheld, related, worsened, tunnels, timeline }
            },
        )
}

fn changes() -> impl Strategy<Value = Change> {
    let cause = || prop::option::of(of(&Cause::ALL));
    let silence = || prop::option::of(any::<u32>().prop_map(SilenceId));
    prop_oneof![
        (of(&ENDS), of(&Said::ALL), of(&Said::ALL)).prop_map(|(end, from, to)| Change::Verdict {
            end,
            from,
            to
        }),
        (of(&Assessment::ALL), of(&Assessment::ALL)).prop_map(|(from, to)| Change::Assessment { from, to }),
        (cause(), cause()).prop_map(|(from, to)| Change::Cause { from, to }),
        (silence(), silence()).prop_map(|(from, to)| Change::Silenced { from, to }),
        (of(&Said::ALL), of(&Said::ALL), of(&Assessment::ALL), cause(), silence(), any::<bool>()).prop_map(
            |(local, aws, assessment, cause, silence, afresh)| {
                Change::Left { was: State { local, aws, assessment, cause, silence }, afresh }
            }
        ),
    ]
}

fn entries() -> impl Strategy<Value = Entry> {
    let rtt = prop::option::of(any::<u32>().prop_map(|micros| Duration::from_micros(micros.into())));
    prop_oneof![
        (stamps(), stamps(), prop::option::of(stamps())).prop_map(|(from, until, recorded_since)| {
            Entry::Watched(Watch { period: Period { from, until }, recorded_since })
        }),
        (stamps(), tunnels(), changes()).prop_map(|(at, tunnel, change)| Entry::Change {
            at,
            tunnel,
            change
        }),
        incidents().prop_map(|incident| Entry::Incident(Arc::new(incident))),
        (ids(), "[a-z_]{1,9}", stamps()).prop_map(|(incident, sink, at)| Entry::Paged {
            incident,
            sink: SinkId::new(sink),
            at
        }),
        (stamps(), tunnels(), any::<u32>(), any::<u32>(), rtt).prop_map(
            |(at, tunnel, answered, lost, median_rtt)| Entry::Minute(Minute {
                at,
                tunnel,
                answered,
                lost,
                median_rtt
            })
        ),
    ]
}

fn presents() -> impl Strategy<Value = Present> {
    let now = (
        (tunnels(), texts(), texts(), of(&ROLES)),
        (of(&Said::ALL), of(&Said::ALL), of(&Assessment::ALL)),
        (prop::option::of(of(&Cause::ALL)), prop::option::of(any::<u32>().prop_map(SilenceId))),
    )
        .prop_map(|((id, vpn_name, name, role), (local, aws, assessment), (cause, silenced))| {
            TunnelNow { id, vpn_name, name, role, local, aws, assessment, cause, silenced }
        });
    (stamps(), texts(), prop::collection::vec(now, 0..3)).prop_map(|(at, site, tunnels)| Present {
        at,
        site,
        tunnels,
    })
}

fn read(text: &str) -> Result<(Present, Vec<Entry>), HistoryError> {
    let mut reader = LineReader::default();
    let mut entries = Vec::new();
    for line in text.lines() {
        entries.extend(reader.line(line)?);
    }
    Ok((reader.end()?, entries))
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(present in presents(), entries in prop::collection::vec(entries(), 0..8)) {
        let mut text = String::new();
        head(&present, &mut text);
        entries.iter().for_each(|one| entry(one, &mut text));
        prop_assert_eq!(text.lines().count(), 1 + present.tunnels.len() + entries.len(), "a line each");
        prop_assert!(matches!(read(&text), Err(HistoryError::CutShort)), "{}", text);
        end(None, &mut text);
        prop_assert_eq!(read(&text).unwrap(), (present, entries));
    }

    #[test]
    fn any_text_is_an_error_and_no_panic(lines in prop::collection::vec(any::<String>(), 0..4)) {
        let text = format!("{HEAD}\n{}\n", lines.join("\n"));
        prop_assert!(read(&text).is_err());
    }
}

const HEAD: &str = r#"{"entry":"history","version":1,"site":"milan-1","at":"2026-12-01T00:00:00Z"}"#;

fn error(lines: &[&str]) -> String {
    read(&lines.join("\n")).unwrap_err().to_string()
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    assert_eq!(error(&[]), "the history was cut short; try again");
    assert_eq!(error(&[r#"{"site":"milan-1"}"#]), "this is no history of bothends");
    let later = HEAD.replace("\"version\":1", "\"version\":2");
    assert_eq!(
        error(&[&later]),
        "the history has shape 2, and this release knows 1; use the release of the daemon"
    );
    let wrong = r#"{"entry":"watched","from":"today","until":"2026-12-01T00:00:00Z"}"#;
    let text = error(&[HEAD, wrong]);
    assert!(text.starts_with("line 2 of the history cannot be read: \"today\" is no time"), "{text}");
    let wrong = r#"{"entry":"verdict","at":"2026-12-01T00:00:00Z","vpn":"vpn-1","tunnel":"203.0.113.1","end":"aws","from":"up","to":"gone"}"#;
    assert_eq!(
        error(&[HEAD, wrong]),
        "line 2 of the history cannot be read: \"gone\" is none of up, down, unknown"
    );
    assert_eq!(
        error(&[HEAD, r#"{"end":false,"problem":"store: the disk is full"}"#]),
        "the daemon cannot read its history: store: the disk is full"
    );
    let after = error(&[HEAD, r#"{"end":true}"#, wrong]);
    assert_eq!(after, "line 3 of the history cannot be read: it comes after the end");
}

#[test]
fn entries_and_keys_of_a_later_release_are_skipped() {
    let later = r#"{"entry":"weather","at":"2026-12-01T00:00:00Z","rain":true}"#;
    let more =
        r#"{"entry":"watched","from":"2026-12-01T00:00:00Z","until":"2026-12-01T00:00:01Z","by":"two"}"#;
    let (_, entries) = read(&[HEAD, later, more, r#"{"end":true,"took_ms":3}"#].join("\n")).unwrap();
    assert_eq!(entries.len(), 1);
}

#[test]
fn the_lines_are_those_of_the_documentation() {
    let documented = include_str!("../../../docs/history.md");
    let lines: Vec<&str> = documented.lines().filter(|line| line.starts_with("{\"")).collect();
    let (present, entries) = read(&lines.join("\n")).unwrap();
    let mut text = String::new();
    head(&present, &mut text);
    entries.iter().for_each(|one| entry(one, &mut text));
    end(None, &mut text);
    assert_eq!(text.lines().collect::<Vec<_>>(), lines);
    let kinds: std::collections::BTreeSet<&str> =
        lines.iter().filter_map(|line| line.split('"').nth(3)).collect();
    assert_eq!(kinds.len(), 10, "every kind has an example: {kinds:?}");
}
