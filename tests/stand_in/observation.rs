//! What a watcher of real tunnels reports, line by line: `OUTSIDE_IP UP|DOWN [STATUS MESSAGE…]`.

/// One parsed line.
#[derive(Debug, PartialEq)]
pub(super) struct Observation {
    pub(super) outside_ip: String,
    pub(super) up: bool,
    pub(super) message: Option<String>,
}

/// Parses one line; None for any other (empty, a comment, half a line).
pub(super) fn parse(line: &str) -> Option<Observation> {
    let mut words = line.split_whitespace();
    let outside_ip = words.next()?.parse::<std::net::IpAddr>().ok()?.to_string();
    let up = match words.next()? {
        "UP" => true,
        "DOWN" => false,
        _ => return None,
    };
    let message = words.collect::<Vec<_>>().join(" ");
    Some(Observation { outside_ip, up, message: (!message.is_empty()).then_some(message) })
}
