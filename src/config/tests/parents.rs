//! What several connections share.

use std::time::Duration;

use crate::config::needs::Needs;
use crate::config::tests::{Files, OTHER_VPN, SINK, VPN, load_text};
use crate::config::{Config, PossibleIncident, describe};
use crate::domain::names::{Kind, VpnId};
use crate::domain::scope::Scope;

const FIRST: &str = "vpn-0123456789abcdef0";
const SECOND: &str = "vpn-0123456789abcdef1";
const THIRD: &str = "vpn-0123456789abcdef2";

fn third() -> String {
    OTHER_VPN
        .replace(SECOND, THIRD)
        .replace("203.0.113.21", "203.0.113.31")
        .replace("169.254.20", "169.254.30")
}

fn loaded(text: &str) -> Config {
    load_text(text).unwrap_or_else(|rejection| panic!("{rejection}\n{text}"))
}

/// Each parent with the last digits of its connections.
fn parents(text: &str) -> Vec<String> {
    let config = loaded(text);
    let last = |vpn: &VpnId| vpn.as_str()[vpn.as_str().len() - 1..].to_owned();
    let parents = config.plan.parents.iter();
    parents
        .map(|parent| {
            format!("{}: {}", parent.id, parent.vpns.iter().map(last).collect::<Vec<_>>().join(" "))
        })
        .collect()
}

const UPLINKS: &str = r#"
[[uplink]]
name = "wan1"
interface = "eth0"
references = ["192.0.2.1"]
[[uplink]]
name = "wan2"
interface = "eth1"
references = ["192.0.2.1"]
"#;

#[test]
fn the_site_is_the_parent_of_two_connections_and_of_one_there_is_none() {
    assert_eq!(parents(&format!("{VPN}{OTHER_VPN}{SINK}")), ["site/gateway-1: 0 1"]);
    assert_eq!(parents(&format!("{VPN}{SINK}")), [""; 0]);
    let one_over_an_uplink = format!("[[uplink]]\nreferences = [\"192.0.2.1\"]\n{VPN}{SINK}");
    assert_eq!(parents(&one_over_an_uplink), [""; 0]);
}

#[test]
fn an_uplink_is_the_parent_of_the_connections_whose_used_tunnels_go_over_it() {
    let unused = "[[vpn.tunnel]]\noutside_ip = \"203.0.113.32\"\ninside_ip = \"169.254.31.1\"\nsource_ip = \"169.254.31.2\"\n\
                  uplink = \"wan2\"\nrole = \"unused\"\n";
    let over = |second: &str| {
        let third = third();
        format!(
            "{UPLINKS}{VPN}uplink = \"wan1\"\n{OTHER_VPN}uplink = \"{second}\"\n{third}uplink = \"wan1\"\n{unused}{SINK}"
        )
    };
    assert_eq!(parents(&over("wan1")), ["uplink/gateway-1/wan1: 0 1 2", "site/gateway-1: 0 1 2"]);
    assert_eq!(parents(&over("wan2")), ["uplink/gateway-1/wan1: 0 2", "site/gateway-1: 0 1 2"]);
}

#[test]
fn an_only_uplink_is_that_of_all_tunnels_and_needs_no_name() {
    let text = format!("[[uplink]]\nreferences = [\"192.0.2.1\"]\n{VPN}{OTHER_VPN}{SINK}");
    assert_eq!(parents(&text), ["uplink/gateway-1/uplink: 0 1", "site/gateway-1: 0 1"]);
    let named = text.replace(OTHER_VPN, &format!("{OTHER_VPN}uplink = \"uplink\"\n"));
    assert_eq!(parents(&named), parents(&text));
    assert_eq!(parents(&format!("[path]\nenabled = false\n{text}")), ["site/gateway-1: 0 1"]);
}

#[test]
fn what_is_seen_from_behind_the_gateway_goes_over_an_uplink_that_another_tunnel_is_looked_at() {
    let behind = format!(
        "[[vpn]]\nid = \"{SECOND}\"\nvantage = \"behind\"\n[[vpn.through]]\nhost = \"10.0.0.10\"\nsource = \"192.168.1.20\"\n\
         required = true\n[[vpn.tunnel]]\noutside_ip = \"203.0.113.21\"\n"
    );
    let other =
        behind.replace(SECOND, THIRD).replace("203.0.113.21", "203.0.113.31").replace("0.10\"", "0.11\"");
    let uplink = "[[uplink]]\nname = \"wan1\"\nreferences = [\"192.0.2.1\"]\n";
    assert_eq!(
        parents(&format!("{uplink}{VPN}{behind}{SINK}")),
        ["uplink/gateway-1/wan1: 0 1", "site/gateway-1: 0 1"]
    );
    let nobody_looks = parents(&format!("{uplink}{behind}{other}{SINK}"));
    assert_eq!(nobody_looks, ["site/gateway-1: 1 2"]);
}

#[test]
fn groups_of_all_files_are_parents_of_their_connections() {
    let group = |name: &str, vpns: [&str; 2]| format!("[[group]]\nname = \"{name}\"\nvpns = {vpns:?}\n");
    let fourth =
        third().replace(THIRD, "vpn-0123456789abcdef3").replace(".31\"", ".41\"").replace(".30.", ".40.");
    let files = Files::new(&format!("{}{VPN}{OTHER_VPN}{SINK}", group("rome", [FIRST, THIRD])))
        .with("b.toml", format!("{}{}{fourth}", group("paris", [SECOND, "vpn-0123456789abcdef3"]), third()));
    let config = files.load(&[]).unwrap();
    let ids: Vec<_> = config.plan.parents.iter().map(|parent| parent.id.to_string()).collect();
    assert_eq!(ids, ["group/gateway-1/paris", "group/gateway-1/rome", "site/gateway-1"]);
    let vpns: Vec<_> = config.plan.parents[1].vpns.iter().map(VpnId::as_str).collect();
    assert_eq!(vpns, [FIRST, THIRD]);
}

#[test]
fn a_connection_that_a_lost_file_may_hold_is_not_called_unknown() {
    let group = format!("[[group]]\nname = \"paris\"\nvpns = [\"{FIRST}\", \"{SECOND}\"]\n");
    let files = Files::new(&format!("{group}{VPN}{SINK}")).with("b.toml", "[[vpn]\n");
    let reported = files.problems(&[]);
    assert!(reported.starts_with("conf.d/b.toml:1: is not TOML"), "{reported}");
    assert_eq!(reported.lines().count(), 1, "{reported}");
}

#[test]
fn a_parents_incident_closes_by_the_rules_of_all_and_not_by_a_connections_own() {
    let text = format!(
        "[incident]\nresolve_after = \"7m\"\n{VPN}[vpn.incident]\nresolve_after = \"1m\"\n{OTHER_VPN}{SINK}"
    );
    let config = loaded(&text);
    assert_eq!(config.plan.parents[0].incident.resolve_after, Duration::from_secs(420));
    assert_eq!(config.plan.vpns[0].incident.resolve_after, Duration::from_secs(60));
}

#[test]
fn a_sink_takes_each_parent_of_a_connection_that_it_takes() {
    let group = format!("[[group]]\nname = \"paris\"\nvpns = [\"{FIRST}\", \"{SECOND}\"]\n");
    let scopes = |only: &str| {
        let config = loaded(&format!("{group}{VPN}{OTHER_VPN}{}{SINK}{only}", third()));
        let scopes = config.plan.sinks[0].scopes.clone();
        scopes.map(|scopes| scopes.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    assert_eq!(scopes(""), None);
    assert_eq!(
        scopes(&format!("vpns = [\"{FIRST}\"]\n")).unwrap(),
        [FIRST, "group/gateway-1/paris", "site/gateway-1"]
    );
    assert_eq!(scopes(&format!("vpns = [\"{THIRD}\"]\n")).unwrap(), [THIRD, "site/gateway-1"]);
}

#[test]
fn two_sinks_may_share_a_destination_if_they_take_no_parent_of_one_kind() {
    let one = |vpn: &str, kind: &str| format!("{SINK}vpns = [\"{vpn}\"]\nkinds = [\"{kind}\"]\n");
    let text = format!("{VPN}{OTHER_VPN}{}{}", one(FIRST, "outage"), one(SECOND, "redundancy_lost"));
    assert_eq!(loaded(&text).sinks.len(), 2);
    let text = format!("{VPN}{OTHER_VPN}{}{}", one(FIRST, "outage"), one(SECOND, "outage"));
    insta::assert_snapshot!(Files::new(&text).problems(&[]), @"bothends.toml:24: incident.sink[1].response_plan: sends outage of the site gateway-1 to the same response plan as incident.sink[0].response_plan at bothends.toml:18: each takes a connection of it; give one another destination or other kinds, or make them one sink");
}

/// The name of the plan of each incident that the sink takes.
fn plans(template: &str, more: &str) -> Vec<String> {
    let sink = SINK.replace("bothends-{vpn_id}-{kind}", template);
    let config = loaded(&format!("{more}{VPN}{OTHER_VPN}{sink}kinds = [\"outage\", \"degraded\"]\n"));
    let sink = &config.sinks[0];
    let plan = |incident: &PossibleIncident| {
        let target = sink.target_of(incident);
        format!("{}: {}", incident.of, target.rsplit('/').next().unwrap())
    };
    config.taken_by(sink).iter().map(plan).collect()
}

#[test]
fn of_a_parent_a_response_plan_is_filled_in_with_its_scope_or_its_first_connection() {
    let uplink =
        "[site]\nname = \"Milan / {kind} #1\"\n[[uplink]]\nname = \"wan.1\"\nreferences = [\"192.0.2.1\"]\n";
    assert_eq!(
        plans("be-{scope}-{kind}", uplink),
        [
            format!("{FIRST}: be-{FIRST}-outage"),
            format!("{FIRST}: be-{FIRST}-degraded"),
            format!("{SECOND}: be-{SECOND}-outage"),
            format!("{SECOND}: be-{SECOND}-degraded"),
            "uplink/Milan / {kind} #1/wan.1: be-uplink-wan-1-outage".to_owned(),
            "site/Milan / {kind} #1: be-site-Milan----kind---1-outage".to_owned(),
        ]
    );
    assert_eq!(plans("{vpn_id}-{kind}", "")[4..], [format!("site/gateway-1: {FIRST}-outage")]);
    assert_eq!(plans("all", "")[4..], ["site/gateway-1: all"]);
}

#[test]
fn a_parent_is_never_degraded() {
    let config = loaded(&format!("{VPN}{OTHER_VPN}{SINK}kinds = [\"degraded\"]\n"));
    let taken = config.taken_by(&config.sinks[0]);
    let of_vpn = |vpn: &str| PossibleIncident {
        of: Scope::Connection(VpnId::new(vpn)),
        vpn: VpnId::new(vpn),
        kind: Kind::Degraded,
    };
    assert_eq!(taken, [of_vpn(FIRST), of_vpn(SECOND)]);
}

#[test]
fn a_parents_incident_is_reckoned_with_in_what_a_configuration_needs() {
    let needs = |more: &str| Needs::of(&loaded(&format!("{more}{VPN}{OTHER_VPN}{SINK}"))).memory;
    let group = format!("[[group]]\nname = \"paris\"\nvpns = [\"{FIRST}\", \"{SECOND}\"]\n");
    assert_eq!(needs(&group) - needs(""), 160 * 1024);
}

#[test]
fn the_page_lists_each_parent_with_its_connections_and_where_its_incidents_go() {
    let group = format!("[[group]]\nname = \"paris\"\nvpns = [\"{FIRST}\", \"{THIRD}\"]\n");
    let third = third();
    let text = format!(
        "{group}{UPLINKS}{VPN}uplink = \"wan1\"\n{OTHER_VPN}uplink = \"wan2\"\n{third}uplink = \"wan2\"\n{}kinds = [\"outage\"]\n",
        SINK.replace("{vpn_id}", "{scope}")
    );
    let page = describe(&Files::new(&text).read(&[]).unwrap());
    let part = |from: &str| {
        let at = page.find(from).unwrap_or_else(|| panic!("no {from:?} in\n{page}"));
        page[at..].split("\n\n").next().unwrap().to_owned()
    };
    insta::assert_snapshot!([part("parents "), part("sink ")].join("\n"), @r"
    parents     group paris: vpn-0123456789abcdef0, vpn-0123456789abcdef2
                  the outage of one, while another works, is the group's redundancy_lost; the outage of all is its outage
                uplink wan2: vpn-0123456789abcdef1, vpn-0123456789abcdef2
                site gateway-1: every connection
    sink        incident_manager
      vpn-0123456789abcdef0 outage          impact 1  arn:aws:ssm-incidents::123456789012:response-plan/bothends-vpn-0123456789abcdef0-outage
      vpn-0123456789abcdef1 outage          impact 1  arn:aws:ssm-incidents::123456789012:response-plan/bothends-vpn-0123456789abcdef1-outage
      vpn-0123456789abcdef2 outage          impact 1  arn:aws:ssm-incidents::123456789012:response-plan/bothends-vpn-0123456789abcdef2-outage
      group paris           outage          impact 1  arn:aws:ssm-incidents::123456789012:response-plan/bothends-group-paris-outage
      uplink wan2           outage          impact 1  arn:aws:ssm-incidents::123456789012:response-plan/bothends-uplink-wan2-outage
      site gateway-1        outage          impact 1  arn:aws:ssm-incidents::123456789012:response-plan/bothends-site-gateway-1-outage
    ");
}

#[test]
fn of_a_group_the_page_says_what_the_outage_of_one_connection_is_and_its_impact() {
    let text =
        format!("[[group]]\nname = \"paris\"\nvpns = [\"{FIRST}\", \"{SECOND}\"]\n{VPN}{OTHER_VPN}{SINK}");
    let page = describe(&Files::new(&text).read(&[]).unwrap());
    let line = "the outage of one, while another works, is the group's redundancy_lost (impact 3); the outage of all is its outage\n";
    assert!(page.contains(line), "{page}");
}

#[test]
fn of_one_connection_the_page_has_no_parents() {
    let page = describe(&Files::new(&format!("{VPN}{SINK}")).read(&[]).unwrap());
    assert!(!page.contains("parents"), "{page}");
}
