//! One end alone says down: nobody is paged.

use super::stage::{Config, OUTSIDE, Stage};

/// Enough for a false page to appear: incidents open one poll and a second after agreement.
const POLLS: usize = 4;

#[test]
fn with_static_routes_a_down_at_one_end_only_is_disputed_and_does_not_page() {
    let stage = Stage::healthy(&Config { routing: Some("static"), ..Config::default() });
    stage.lab.breaks("icmp", "1");
    stage.lab.breaks("bgp", "2");
    for outside in OUTSIDE {
        stage.eventually("one end says Down", || stage.assessment(outside) == "disputed");
    }
    stage.stays_so_for_polls(POLLS, || {
        assert_eq!(verdicts(&stage, OUTSIDE[0]), ("down".to_owned(), "up".to_owned()));
        assert_eq!(verdicts(&stage, OUTSIDE[1]), ("up".to_owned(), "down".to_owned()));
    });
    assert_eq!(stage.aws.pages(), 0);
    assert_eq!(stage.status().unwrap().incidents, []);
}

/// The local verdict, and AWS's.
fn verdicts(stage: &Stage, outside: &str) -> (String, String) {
    let tunnel = stage.tunnel(outside).unwrap();
    (tunnel.local.verdict, tunnel.aws.verdict)
}
