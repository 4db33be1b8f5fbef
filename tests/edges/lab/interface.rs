//! Interfaces come and go while the daemon runs.

use super::stage::{Config, OTHER_OUTSIDE, OTHER_VPN, Stage};

const DEVICE: &str = "other0";

#[test]
fn a_tunnel_is_down_while_its_interface_is_gone_and_up_once_it_is_recreated() {
    let further = format!(
        "[[vpn]]
id = '{OTHER_VPN}'
name = 'Other office'
[[vpn.tunnel]]
name = 'tunnel'
outside_ip = '{OTHER_OUTSIDE}'
inside_ip = '169.254.30.1'
source_ip = '169.254.30.2'
interface = '{DEVICE}'"
    );
    let stage = Stage::up(&Config { further, ..Config::default() });
    make(&stage);
    stage.eventually("it is Healthy", || stage.assessment(OTHER_OUTSIDE) == "healthy");

    stage.lab.ip("cgw", &format!("link del {DEVICE}"));
    stage.eventually("our end says Down", || stage.assessment(OTHER_OUTSIDE) == "disputed");
    let local = stage.tunnel(OTHER_OUTSIDE).unwrap().local;
    assert_eq!((&*local.verdict, local.evidence.last_loss.as_deref()), ("down", Some("no_path")));

    make(&stage);
    stage.eventually("it is Healthy again", || stage.assessment(OTHER_OUTSIDE) == "healthy");
    assert_eq!(stage.aws.pages(), 0);
}

/// Creates the device, and AWS's end of it.
fn make(stage: &Stage) {
    stage.lab.ip("cgw", &format!("link add {DEVICE} type veth peer name {DEVICE} netns {{lab}}-vpc"));
    for (node, end) in [("vpc", 1), ("cgw", 2)] {
        stage.lab.ip(node, &format!("addr add 169.254.30.{end}/30 dev {DEVICE}"));
        stage.lab.ip(node, &format!("link set {DEVICE} up"));
    }
}
