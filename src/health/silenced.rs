//! What is silenced at a time, and by which silence: for `/status` and the metrics. What that means for an incident is the core's
//! decision (`domain::withholding`): it is sent if a tunnel that it is about is not silenced.

use crate::domain::names::Role;
use crate::domain::scope::{ParentId, ParentKind};
use crate::domain::silence::{Silence, SilenceId, SilenceScope};
use crate::domain::status::{ParentStatus, Status, TunnelStatus, VpnStatus};
use crate::domain::time::Stamp;

/// The silences that are active.
#[derive(Debug)]
pub struct Silenced<'a> {
    active: Vec<&'a Silence>,
    parents: &'a [ParentStatus],
}

impl<'a> Silenced<'a> {
    /// Those at this time.
    pub fn of(status: &'a Status, at: Stamp) -> Self {
        let active = status.silences.iter().filter(|silence| silence.is_active(at)).collect();
        Self { active, parents: &status.parents }
    }

    /// The silence of the whole site.
    pub fn site(&self) -> Option<SilenceId> {
        self.by(|of| match of {
            SilenceScope::Site => true,
            SilenceScope::Parent(parent) => parent.kind == ParentKind::Site,
            SilenceScope::Connection(_) | SilenceScope::Tunnel(_) => false,
        })
    }

    /// The silence of a parent: its own, or the site's.
    pub fn parent(&self, id: &ParentId) -> Option<SilenceId> {
        let own = || self.by(|of| matches!(of, SilenceScope::Parent(parent) if parent == id));
        self.site().or_else(own)
    }

    /// The silence of a whole connection: its own, its group's, the site's, or one of each used tunnel.
    pub fn vpn(&self, vpn: &VpnStatus) -> Option<SilenceId> {
        let whole = self.by(|of| match of {
            SilenceScope::Connection(id) => *id == vpn.id,
            SilenceScope::Parent(parent) => parent.kind == ParentKind::Group && self.has(parent, vpn),
            SilenceScope::Site | SilenceScope::Tunnel(_) => false,
        });
        self.site().or(whole).or_else(|| {
            let used = vpn.tunnels.iter().filter(|tunnel| tunnel.role != Role::Unused);
            let each: Option<Vec<_>> = used.map(|tunnel| self.alone(tunnel)).collect();
            each?.into_iter().next()
        })
    }

    /// The silence of a tunnel: its own, its uplink's, or its connection's.
    pub fn tunnel(&self, vpn: &VpnStatus, tunnel: &TunnelStatus) -> Option<SilenceId> {
        self.vpn(vpn).or_else(|| self.alone(tunnel))
    }

    fn alone(&self, tunnel: &TunnelStatus) -> Option<SilenceId> {
        self.by(|of| match of {
            SilenceScope::Tunnel(id) => *id == tunnel.id,
            SilenceScope::Parent(parent) => {
                parent.kind == ParentKind::Uplink && tunnel.uplink.as_ref() == Some(&parent.name)
            }
            SilenceScope::Site | SilenceScope::Connection(_) => false,
        })
    }

    fn has(&self, parent: &ParentId, vpn: &VpnStatus) -> bool {
        let of = self.parents.iter().find(|status| status.id == *parent);
        of.is_some_and(|status| status.vpns.iter().any(|(id, _)| *id == vpn.id))
    }

    fn by(&self, silences: impl Fn(&SilenceScope) -> bool) -> Option<SilenceId> {
        self.active.iter().find(|silence| silences(&silence.of)).map(|silence| silence.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::names::{TunnelId, VpnId};
    use crate::fixture::{self, after};

    fn silenced(of: SilenceScope) -> [bool; 5] {
        let mut status = fixture::site();
        status.silences = [Silence { of, ..fixture::silence() }].into();
        let at = |seconds| {
            let silenced = Silenced::of(&status, after(seconds).wall);
            let vpn = &status.vpns[0];
            let [first, second] = [0, 1].map(|n| silenced.tunnel(vpn, &vpn.tunnels[n]).is_some());
            let uplink = silenced.parent(&fixture::uplink()).is_some();
            [silenced.site().is_some(), uplink, silenced.vpn(vpn).is_some(), first, second]
        };
        assert_eq!((at(9), at(3600)), ([false; 5], [false; 5]), "before and after");
        at(30)
    }

    /// Tunnel 1 goes over the uplink, tunnel 2 does not.
    #[test]
    fn a_silence_covers_what_belongs_to_it() {
        let parent = |kind, name: &str| {
            SilenceScope::Parent(ParentId { kind, site: "milan-1".into(), name: name.into() })
        };
        let vpn = fixture::vpn();
        for (of, covered) in [
            (SilenceScope::Site, [true; 5]),
            (parent(ParentKind::Site, "milan-1"), [true; 5]),
            (parent(ParentKind::Uplink, "wan1"), [false, true, false, true, false]),
            (parent(ParentKind::Uplink, "wan2"), [false; 5]),
            (parent(ParentKind::Group, "hubs"), [false, false, true, true, true]),
            (parent(ParentKind::Group, "others"), [false; 5]),
            (SilenceScope::Connection(vpn.clone()), [false, false, true, true, true]),
            (SilenceScope::Connection(VpnId::new("vpn-0b")), [false; 5]),
            (SilenceScope::Tunnel(fixture::tunnel(2)), [false, false, false, false, true]),
            (SilenceScope::Tunnel(TunnelId { vpn, outside_ip: [192, 0, 2, 9].into() }), [false; 5]),
        ] {
            assert_eq!(silenced(of.clone()), covered, "site, uplink, connection, its tunnels: {of}");
        }
    }

    #[test]
    fn a_connection_is_silenced_if_each_of_its_used_tunnels_is() {
        let mut status = fixture::site();
        let of = |of| Silence { of, ..fixture::silence() };
        let uplink = of(SilenceScope::Parent(fixture::uplink()));
        status.silences = [uplink, of(SilenceScope::Tunnel(fixture::tunnel(2)))].into();
        assert!(Silenced::of(&status, after(30).wall).vpn(&status.vpns[0]).is_some());
        status.silences = [of(SilenceScope::Tunnel(fixture::tunnel(2)))].into();
        assert!(Silenced::of(&status, after(30).wall).vpn(&status.vpns[0]).is_none());
        status.vpns[0].tunnels[0].role = Role::Unused;
        assert!(Silenced::of(&status, after(30).wall).vpn(&status.vpns[0]).is_some());
    }
}
