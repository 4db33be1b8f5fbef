//! The page that `bothends check` prints.

use crate::config::describe;
use crate::config::tests::{Files, OTHER_VPN, SINK, VPN};

fn page(text: &str) -> String {
    let mut loaded = Files::new(text).read(&[]).unwrap();
    loaded.files = vec!["/etc/bothends/bothends.toml".into()];
    describe(&loaded)
}

#[test]
fn a_short_configuration_means_this() {
    insta::assert_snapshot!(page(&format!("{VPN}{SINK}")), @r"
    read        /etc/bothends/bothends.toml
    site        gateway-1
    mode        raise: incidents go to the sinks

    connection  vpn-0123456789abcdef0 (vpn-0123456789abcdef0), routing not configured
      active    tunnel 1 (203.0.113.11): echo 169.254.10.2 -> 169.254.10.1

    probing     an echo every 1s, every 200ms under suspicion, answered in time within 1s
                Down after 10 overdue echoes in a row, Up after 5 replies
                a dead tunnel is locally Down about 2.3 s after the break
    quality     degraded after 1m of loss over 5%, round trips far above the usual,
                or jitter far above the usual
    incidents   outage opens after 30s, redundancy_lost after 2m, one_sided after 15m, degraded after 5m
                resolved once over for 5m; nothing opens in the first 2m after the start
                an outage pages no earlier than 32.3 s after the break, and not before AWS says Down as well

    AWS         CloudWatch TunnelState in the Region of the SDK's own chain: vpn-0123456789abcdef0
                  about 43200 calls a month, 43200 metrics requested; more while in doubt
                asked every 1m, every 15s while in doubt; AWS data older than 10m is ignored

    evidence    only probes and AWS

    sink        incident_manager
      vpn-0123456789abcdef0 outage          impact 1  arn:aws:ssm-incidents::123456789012:response-plan/bothends-vpn-0123456789abcdef0-outage
      vpn-0123456789abcdef0 redundancy_lost impact 3  arn:aws:ssm-incidents::123456789012:response-plan/bothends-vpn-0123456789abcdef0-redundancy_lost
      vpn-0123456789abcdef0 one_sided       impact 2  arn:aws:ssm-incidents::123456789012:response-plan/bothends-vpn-0123456789abcdef0-one_sided

    metrics     namespace BothEnds, every 1m
                6 custom metrics, about 43200 PutMetricData calls a month
    listener    http://127.0.0.1:9846/ with /metrics, /status, /healthz, /readyz
    store       /var/lib/bothends/bothends.db
                at most 64MB, history of 90d
    ");
}

#[test]
fn a_long_configuration_means_this() {
    let text = format!(
        r#"
[site]
votes_if_address = "192.0.2.100"
name = "milan-1"
[aws]
region = "eu-west-1"
ec2_telemetry = true
[incident]
mode = "observe"
[cloudwatch]
enabled = false
{VPN}name = "tunnel B"
interface = "ipsec0"
role = "standby"
[[vpn.tunnel]]
outside_ip = "203.0.113.13"
inside_ip = "fd00::1"
source_ip = "fd00::2"
[[vpn.tunnel]]
outside_ip = "203.0.113.14"
inside_ip = "169.254.30.1"
source_ip = "169.254.30.2"
role = "unused"
[vpn.incident]
one_sided_after = "off"
{other}{SINK}region = "eu-central-1"
kinds = ["outage", "one_sided"]
impact = {{ outage = 2 }}
"#,
        other = OTHER_VPN.replace(
            "[[vpn.tunnel]]",
            "name = \"Rome\"\nrunbook_url = \"https://wiki.example.com/vpn\"\nnotes = \"first\\nsecond\"\n\
             region = \"eu-south-1\"\n[vpn.labels]\nenvironment = \"prod\"\nteam = \"network\"\n[[vpn.tunnel]]"
        ),
    );
    insta::assert_snapshot!(page(&text), @r#"
    read        /etc/bothends/bothends.toml
    site        milan-1
                probes and votes only while this host holds 192.0.2.100
    mode        observe: incidents are detected and recorded, nothing is sent

    connection  vpn-0123456789abcdef0 (vpn-0123456789abcdef0), routing not configured
      standby   tunnel B (203.0.113.11): echo 169.254.10.2 -> 169.254.10.1 on ipsec0
      active    tunnel 2 (203.0.113.13): echo fd00::2 -> fd00::1
      unused    tunnel 3 (203.0.113.14): not probed
      probing     an echo every 1s, every 200ms under suspicion, answered in time within 1s
                  Down after 10 overdue echoes in a row, Up after 5 replies
                  a dead tunnel is locally Down about 2.3 s after the break
      quality     degraded after 1m of loss over 5%, round trips far above the usual,
                  or jitter far above the usual
      incidents   outage opens after 30s, redundancy_lost after 2m, one_sided never, degraded after 5m
                  resolved once over for 5m; nothing opens in the first 2m after the start
                  an outage pages no earlier than 32.3 s after the break, and not before AWS says Down as well

    connection  Rome (vpn-0123456789abcdef1), routing not configured
      active    tunnel 1 (203.0.113.21): echo 169.254.20.2 -> 169.254.20.1
      labels    environment = "prod"
                team = "network"
      runbook   https://wiki.example.com/vpn
      note      first
      note      second
      probing     an echo every 1s, every 200ms under suspicion, answered in time within 1s
                  Down after 10 overdue echoes in a row, Up after 5 replies
                  a dead tunnel is locally Down about 2.3 s after the break
      quality     degraded after 1m of loss over 5%, round trips far above the usual,
                  or jitter far above the usual
      incidents   outage opens after 30s, redundancy_lost after 2m, one_sided after 15m, degraded after 5m
                  resolved once over for 5m; nothing opens in the first 2m after the start
                  an outage pages no earlier than 32.3 s after the break, and not before AWS says Down as well

    parents     site milan-1: every connection

    AWS         CloudWatch TunnelState in eu-south-1: vpn-0123456789abcdef1
                  about 43200 calls a month, 43200 metrics requested; more while in doubt
                CloudWatch TunnelState in eu-west-1: vpn-0123456789abcdef0
                  about 43200 calls a month, 86400 metrics requested; more while in doubt
                EC2 DescribeVpnConnections in eu-south-1: vpn-0123456789abcdef1
                  about 43200 calls a month; more while in doubt
                EC2 DescribeVpnConnections in eu-west-1: vpn-0123456789abcdef0
                  about 43200 calls a month; more while in doubt
                asked every 1m, every 15s while in doubt; AWS data older than 10m is ignored

    evidence    only probes and AWS

    sink        incident_manager in eu-central-1
      vpn-0123456789abcdef0 outage          impact 2  arn:aws:ssm-incidents::123456789012:response-plan/bothends-vpn-0123456789abcdef0-outage
      vpn-0123456789abcdef0 one_sided       impact 2  arn:aws:ssm-incidents::123456789012:response-plan/bothends-vpn-0123456789abcdef0-one_sided
      vpn-0123456789abcdef1 outage          impact 2  arn:aws:ssm-incidents::123456789012:response-plan/bothends-vpn-0123456789abcdef1-outage
      vpn-0123456789abcdef1 one_sided       impact 2  arn:aws:ssm-incidents::123456789012:response-plan/bothends-vpn-0123456789abcdef1-one_sided
      site milan-1          outage          impact 2  arn:aws:ssm-incidents::123456789012:response-plan/bothends-vpn-0123456789abcdef0-outage
      site milan-1          one_sided       impact 2  arn:aws:ssm-incidents::123456789012:response-plan/bothends-vpn-0123456789abcdef0-one_sided

    metrics     none go to CloudWatch
    listener    http://127.0.0.1:9846/ with /metrics, /status, /healthz, /readyz
    store       /var/lib/bothends/bothends.db
                at most 64MB, history of 90d
    "#);
}

#[test]
fn the_sensors_are_shown_with_whom_they_ask() {
    let evidence = |text: &str| {
        let page = page(text);
        page.split("evidence    ").nth(1).unwrap().split("\n\n").next().unwrap().to_owned()
    };
    let uplinks = "[[uplink]]\nname = \"wan1\"\ninterface = \"eth0\"\nreferences = [\"192.0.2.1\", \"192.0.2.2\"]\n\
                   [[uplink]]\nname = \"wan2\"\nsource = \"198.51.100.9\"\nreferences = [\"192.0.2.3\"]\n";
    insta::assert_snapshot!(evidence(&format!(
        "[ipsec]\n[bgp]\ndaemon = \"bird\"\n[mtu]\n{uplinks}{VPN}uplink = \"wan1\"\nipsec_socket = \"/run/charon2.vici\"\n\
         [vpn.bgp]\nrequired = true\n{OTHER_VPN}uplink = \"wan2\"\n{SINK}"
    )), @r"
    ipsec: strongSwan at /run/charon.vici, /run/charon2.vici
                bgp: BIRD at /run/bird/bird.ctl; a tunnel of vpn-0123456789abcdef0 without a session is Down
                path: echoes to AWS's outside addresses over wan1 on eth0, and the hops when a tunnel goes down; references 192.0.2.1, 192.0.2.2
                path: echoes to AWS's outside addresses over wan2 from 198.51.100.9, and the hops when a tunnel goes down; reference 192.0.2.3
                mtu: the largest packet that passes through each tunnel, every 1h
    ");
    insta::assert_snapshot!(evidence(&format!(
        "[ipsec]\nsource = \"kernel\"\n[bgp]\ndaemon = \"frr\"\nrequired = true\n[path]\n{VPN}interface = \"ipsec0\"\n{SINK}"
    )), @r"
    ipsec: the kernel's counters of the tunnels' interfaces
                bgp: FRR by /usr/bin/vtysh; a tunnel without a session is Down
                path: echoes to AWS's outside addresses, and the hops when a tunnel goes down; no references: a dead uplink looks like a dead path to AWS
    ");
}

#[test]
fn a_secret_is_not_shown() {
    let vpn = VPN.replace("[[vpn]]", "[[vpn]]\nrunbook_url = \"https://noc:hunter2@wiki.example.com\"\nnotes = \"AKIAIOSFODNN7EXAMPLE\\nat night\"");
    let page = page(&format!("{vpn}{SINK}"));
    for shown in [
        "runbook   (holds a secret, not shown here)",
        "note      (holds a secret, not shown here)",
        "note      at night",
    ] {
        assert!(page.contains(shown), "{shown:?} is not in\n{page}");
    }
    assert!(!page.contains("hunter2") && !page.contains("AKIA"), "{page}");
}
