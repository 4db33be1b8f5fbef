//! Every key. The walk, the environment and the test of the documentation all use this one list.

/// A key of a table.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) shape: Shape,
}

/// What a key holds.
#[derive(Debug)]
pub(super) enum Shape {
    /// One value.
    Scalar,
    /// A list of values.
    List,
    /// A table of its own, `[name]`.
    Table(&'static [Key]),
    /// A list of tables, `[[name]]`.
    Tables(&'static [Key]),
    /// A table, `[name]`, whose keys are the operator's own; each holds one value.
    Own,
}

/// A key that was renamed. It is read under its new name, with a warning.
#[derive(Debug)]
pub(super) struct Renamed {
    /// Its former path, without indices, such as `vpn.tunnel.inside`.
    pub(super) from: &'static str,
    /// Its new name, in the same table.
    pub(super) to: &'static str,
}

/// The keys that were renamed less than a major version ago.
pub(super) const RENAMED: &[Renamed] = &[];

/// The prefix of variables that override keys.
pub(super) const PREFIX: &str = "BOTHENDS";
/// The separator between the names of a path in them.
pub(super) const SEPARATOR: &str = "__";

const fn scalar(name: &'static str) -> Key {
    Key { name, shape: Shape::Scalar }
}

const fn list(name: &'static str) -> Key {
    Key { name, shape: Shape::List }
}

const fn table(name: &'static str, keys: &'static [Key]) -> Key {
    Key { name, shape: Shape::Table(keys) }
}

const fn tables(name: &'static str, keys: &'static [Key]) -> Key {
    Key { name, shape: Shape::Tables(keys) }
}

const fn own(name: &'static str) -> Key {
    Key { name, shape: Shape::Own }
}

/// The whole configuration.
pub(super) const ROOT: &[Key] = &[
    table("site", &[scalar("name"), scalar("votes_if_address")]),
    own("labels"),
    table(
        "aws",
        &[
            scalar("region"),
            scalar("poll_interval"),
            scalar("suspect_poll_interval"),
            scalar("stale_after"),
            scalar("ec2_telemetry"),
            scalar("tls_key_exchange"),
        ],
    ),
    table("probe", PROBE),
    table("quality", QUALITY),
    table("ipsec", &[scalar("source"), scalar("socket")]),
    table(
        "bgp",
        &[
            scalar("daemon"),
            scalar("socket"),
            scalar("vtysh"),
            scalar("required"),
            list("monitored_prefixes"),
        ],
    ),
    table("path", &[scalar("enabled")]),
    table("mtu", &[scalar("interval")]),
    tables("uplink", &[scalar("name"), scalar("interface"), scalar("source"), list("references")]),
    tables("vpn", VPN),
    tables("group", &[scalar("name"), list("vpns")]),
    table(
        "incident",
        &[
            scalar("mode"),
            table("open_after", OPEN_AFTER),
            scalar("one_sided_after"),
            scalar("resolve_after"),
            scalar("start_grace"),
            tables("sink", SINK),
        ],
    ),
    table(
        "cloudwatch",
        &[scalar("enabled"), scalar("namespace"), scalar("interval"), scalar("region"), scalar("role_arn")],
    ),
    table("http", &[scalar("listen"), list("hosts")]),
    table("store", &[scalar("path"), scalar("max_size"), scalar("keep")]),
];

const PROBE: &[Key] = &[
    scalar("interval"),
    scalar("suspect_interval"),
    scalar("timeout"),
    scalar("down_after"),
    scalar("up_after"),
];

const QUALITY: &[Key] = &[scalar("max_loss"), scalar("max_rtt"), scalar("max_jitter"), scalar("after")];

const OPEN_AFTER: &[Key] = &[scalar("outage"), scalar("redundancy_lost"), scalar("degraded")];

const VPN: &[Key] = &[
    scalar("id"),
    scalar("name"),
    scalar("runbook_url"),
    scalar("notes"),
    scalar("routing"),
    scalar("vantage"),
    scalar("region"),
    scalar("role_arn"),
    own("labels"),
    tables("tunnel", TUNNEL),
    tables("through", THROUGH),
    table("probe", PROBE),
    table("quality", QUALITY),
    table("bgp", &[scalar("required"), list("monitored_prefixes")]),
    table(
        "incident",
        &[
            table("open_after", OPEN_AFTER),
            scalar("one_sided_after"),
            scalar("resolve_after"),
            scalar("start_grace"),
        ],
    ),
];

const TUNNEL: &[Key] = &[
    scalar("name"),
    scalar("outside_ip"),
    scalar("inside_ip"),
    scalar("source_ip"),
    scalar("interface"),
    scalar("vrf"),
    scalar("fwmark"),
    scalar("role"),
    scalar("uplink"),
    scalar("ipsec_socket"),
    tables("through", THROUGH),
];

const THROUGH: &[Key] = &[list("host"), scalar("source"), scalar("required"), scalar("min")];

const SINK: &[Key] = &[
    scalar("type"),
    scalar("name"),
    scalar("response_plan"),
    scalar("topic_arn"),
    scalar("url"),
    scalar("url_file"),
    scalar("url_credential"),
    scalar("preset"),
    scalar("template_file"),
    list("headers"),
    scalar("secret_file"),
    scalar("secret_credential"),
    scalar("signing_secret_file"),
    scalar("signing_secret_credential"),
    scalar("ca_file"),
    scalar("allow_http"),
    scalar("timeout"),
    scalar("repeat_every"),
    list("kinds"),
    list("vpns"),
    scalar("region"),
    scalar("role_arn"),
    table("impact", &[scalar("outage"), scalar("redundancy_lost"), scalar("one_sided"), scalar("degraded")]),
];

/// The key of this name.
pub(super) fn find<'k>(keys: &'k [Key], name: &str) -> Option<&'k Key> {
    keys.iter().find(|key| key.name == name)
}

/// The paths of the scalar keys that lie in single tables only, such as `incident.open_after.outage`: each exists once, so a
/// variable can name it.
pub(super) fn single_scalars() -> Vec<String> {
    fn collect(at: &str, keys: &[Key], found: &mut Vec<String>) {
        for key in keys {
            let path = join(at, key.name);
            match key.shape {
                Shape::Scalar => found.push(path),
                Shape::Table(keys) => collect(&path, keys, found),
                Shape::List | Shape::Tables(_) | Shape::Own => {}
            }
        }
    }
    let mut found = Vec::new();
    collect("", ROOT, &mut found);
    found
}

/// The paths of the tables that have a key of this name, without indices. Single tables inside others are left out: they
/// override the ones outside.
pub(super) fn homes_of(name: &str) -> Vec<String> {
    fn collect(at: &str, keys: &[Key], name: &str, found: &mut Vec<String>) {
        for key in keys {
            let path = join(at, key.name);
            let inner = match key.shape {
                Shape::Tables(keys) => keys,
                Shape::Table(keys) if at.is_empty() => keys,
                Shape::Table(_) | Shape::Scalar | Shape::List | Shape::Own => continue,
            };
            if find(inner, name).is_some() {
                found.push(path.clone());
            }
            collect(&path, inner, name, found);
        }
    }
    let mut found = Vec::new();
    collect("", ROOT, name, &mut found);
    found
}

/// The path of `key` in the table at `at`.
pub(super) fn join(at: &str, key: &str) -> String {
    if at.is_empty() { key.to_owned() } else { format!("{at}.{key}") }
}

/// The variable that overrides the key at `path`.
pub(super) fn variable(path: &str) -> String {
    format!("{PREFIX}_{}", path.to_ascii_uppercase().replace('.', SEPARATOR))
}

/// The name that was most likely meant by `typed`.
pub(super) fn nearest<'n>(typed: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    // A third of the letters wrong is a typing error; more is another word.
    let limit = (typed.chars().count() / 3).max(1);
    names
        .map(|name| (strsim::levenshtein(typed, name), name))
        .filter(|(edits, _)| *edits <= limit)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_a_typo_away_and_not_another_word() {
        let names = ["interval", "suspect_interval", "timeout"];
        assert_eq!(nearest("intervall", names.into_iter()), Some("interval"));
        assert_eq!(nearest("timout", names.into_iter()), Some("timeout"));
        assert_eq!(nearest("down_after", names.into_iter()), None);
        assert_eq!(nearest("", names.into_iter()), None);
    }

    #[test]
    fn a_variable_can_name_scalars_of_single_tables_only() {
        let scalars = single_scalars();
        assert!(scalars.contains(&"aws.region".to_owned()));
        assert!(scalars.contains(&"incident.open_after.outage".to_owned()));
        assert!(!scalars.iter().any(|path| path.starts_with("vpn") || path.contains("sink")));
    }

    #[test]
    fn a_key_knows_where_it_belongs() {
        assert_eq!(homes_of("poll_interval"), ["aws"]);
        assert_eq!(homes_of("one_sided"), [""; 0]);
        assert_eq!(homes_of("region"), ["aws", "vpn", "incident.sink", "cloudwatch"]);
    }
}
