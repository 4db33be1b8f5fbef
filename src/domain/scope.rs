//! What an incident is about: one connection, or something shared whose failure explains many.

use std::fmt;
use std::sync::Arc;

use super::names::VpnId;

/// What an incident is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// One VPN connection.
    Connection(VpnId),
    /// Something shared by several connections.
    Parent(ParentId),
}

/// Something shared whose failure explains that of several connections.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ParentId {
    /// What it is.
    pub kind: ParentKind,
    /// The site. Two sites may have an uplink of one name and send to one sink.
    pub site: Arc<str>,
    /// Its name, unique among those of its kind at the site. A site's is its own.
    pub name: Arc<str>,
}

/// What is shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ParentKind {
    /// Connections that back each other up.
    Group,
    /// A way to AWS's outside addresses.
    Uplink,
    /// Everything that this daemon watches.
    Site,
}

/// What is known of a parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParentState {
    /// It works.
    Up,
    /// It does not.
    Down,
    /// The evidence does not say.
    Unknown,
}

impl ParentState {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Up, Self::Down, Self::Unknown];

    /// The word used in metrics and `/status`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Unknown => "unknown",
        }
    }
}

impl ParentKind {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Group, Self::Uplink, Self::Site];

    /// The word used in the configuration, metrics, logs and `/status`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Group => "group",
            Self::Uplink => "uplink",
            Self::Site => "site",
        }
    }
}

impl Scope {
    /// The connection, if it is one.
    pub const fn vpn(&self) -> Option<&VpnId> {
        match self {
            Self::Connection(vpn) => Some(vpn),
            Self::Parent(_) => None,
        }
    }

    /// The parent, if it is one.
    pub const fn parent(&self) -> Option<&ParentId> {
        match self {
            Self::Connection(_) => None,
            Self::Parent(parent) => Some(parent),
        }
    }

    /// The word for what it is, used in metrics, logs and `/status`.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Connection(_) => "connection",
            Self::Parent(parent) => parent.kind.as_str(),
        }
    }

    /// Reads what [`fmt::Display`] writes; what is no parent is a connection's id.
    pub fn parse(text: &str) -> Self {
        let parent = || {
            let (kind, rest) = text.split_once('/')?;
            let kind = ParentKind::ALL.into_iter().find(|known| known.as_str() == kind)?;
            let (site, name) = match kind {
                ParentKind::Site => (rest, rest),
                // A plain name has no slash; a site's may have one.
                ParentKind::Group | ParentKind::Uplink => rest.rsplit_once('/')?,
            };
            Some(ParentId { kind, site: site.into(), name: name.into() })
        };
        parent().map_or_else(|| Self::Connection(VpnId::new(text)), Self::Parent)
    }
}

impl From<VpnId> for Scope {
    fn from(vpn: VpnId) -> Self {
        Self::Connection(vpn)
    }
}

/// As it is stored, and as it identifies an incident at a sink: the id of a connection, `uplink/<site>/<name>`,
/// `group/<site>/<name>` or `site/<site>`.
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connection(vpn) => vpn.fmt(f),
            Self::Parent(parent) => parent.fmt(f),
        }
    }
}

impl fmt::Display for ParentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            ParentKind::Group | ParentKind::Uplink => {
                write!(f, "{}/{}/{}", self.kind.as_str(), self.site, self.name)
            }
            ParentKind::Site => write!(f, "{}/{}", self.kind.as_str(), self.site),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let parent =
            |kind, name: &str| Scope::Parent(ParentId { kind, site: "milan / 1".into(), name: name.into() });
        let scopes = [
            Scope::Connection(VpnId::new("vpn-0123456789abcdef0")),
            parent(ParentKind::Group, "paris"),
            parent(ParentKind::Uplink, "wan1"),
            parent(ParentKind::Site, "milan / 1"),
        ];
        let texts: Vec<String> = scopes.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            ["vpn-0123456789abcdef0", "group/milan / 1/paris", "uplink/milan / 1/wan1", "site/milan / 1"]
        );
        assert_eq!(texts.iter().map(|text| Scope::parse(text)).collect::<Vec<_>>(), scopes);
    }
}
