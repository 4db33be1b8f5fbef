//! The sensor of each kind, as the configuration wants it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use futures_util::future::join_all;

use super::bgp::BgpSensor;
use super::ipsec::IpsecSensor;
use super::mtu::MtuSensor;
use super::path::PathSensor;
use super::trace::TraceSensor;
use super::{Sensor, Subject};
use crate::domain::names::TunnelId;
use crate::domain::sensor::{Finding, SensorKind, Unavailable};
use crate::settings::{IpsecSettings, SensorSettings};

/// The sensor of a kind.
#[derive(Debug)]
pub enum AnySensor {
    /// One for each socket: tunnels may have IKE daemons of their own.
    Ipsec {
        /// That of `[ipsec]`.
        own: IpsecSensor,
        /// By socket, for tunnels that name one.
        others: BTreeMap<Arc<Path>, IpsecSensor>,
    },
    /// See [`BgpSensor`].
    Bgp(BgpSensor),
    /// See [`PathSensor`].
    Path(PathSensor),
    /// See [`TraceSensor`].
    Trace(TraceSensor),
    /// See [`MtuSensor`].
    Mtu(MtuSensor),
}

impl AnySensor {
    /// `None` where the configuration has none of this kind.
    pub fn of(kind: SensorKind, settings: &SensorSettings) -> Option<Self> {
        Some(match kind {
            SensorKind::Ipsec => {
                let own = IpsecSensor::new(settings.ipsec.as_ref()?);
                Self::Ipsec { own, others: BTreeMap::new() }
            }
            SensorKind::Bgp => Self::Bgp(BgpSensor::new(settings.bgp.as_ref()?)),
            SensorKind::Path => Self::Path(PathSensor),
            SensorKind::Trace => Self::Trace(TraceSensor),
            SensorKind::Mtu => Self::Mtu(MtuSensor::default()),
        })
    }
}

impl Sensor for AnySensor {
    async fn look(&mut self, subjects: &[Arc<Subject>]) -> Vec<Finding> {
        match self {
            Self::Ipsec { own, others } => ipsec(own, others, subjects).await,
            Self::Bgp(sensor) => sensor.look(subjects).await,
            Self::Path(sensor) => sensor.look(subjects).await,
            Self::Trace(sensor) => sensor.look(subjects).await,
            Self::Mtu(sensor) => sensor.look(subjects).await,
        }
    }
}

/// Asks each socket about its tunnels, all at once: one that hangs must not cost the others their answer.
async fn ipsec(
    own: &mut IpsecSensor,
    others: &mut BTreeMap<Arc<Path>, IpsecSensor>,
    subjects: &[Arc<Subject>],
) -> Vec<Finding> {
    let mut groups: BTreeMap<Option<Arc<Path>>, Vec<Arc<Subject>>> = BTreeMap::new();
    for subject in subjects {
        groups.entry(subject.ipsec_socket.clone()).or_default().push(Arc::clone(subject));
    }
    for socket in groups.keys().flatten() {
        let settings = || IpsecSettings::Vici { socket: socket.to_path_buf() };
        others.entry(Arc::clone(socket)).or_insert_with(|| IpsecSensor::new(&settings()));
    }
    others.retain(|socket, _| groups.contains_key(&Some(Arc::clone(socket))));
    let mut sensors: BTreeMap<Option<Arc<Path>>, &mut IpsecSensor> =
        others.iter_mut().map(|(socket, sensor)| (Some(Arc::clone(socket)), sensor)).collect();
    sensors.insert(None, own);
    let looks = sensors.into_iter().filter_map(|(socket, sensor)| {
        let subjects = groups.get(&socket)?;
        Some(async move {
            let findings = sensor.look(subjects).await;
            subjects.iter().map(|subject| subject.tunnel.clone()).zip(findings).collect::<Vec<_>>()
        })
    });
    let found: BTreeMap<TunnelId, Finding> = join_all(looks).await.into_iter().flatten().collect();
    let missing = Finding::Ipsec(Err(Unavailable::TimedOut));
    subjects.iter().map(|subject| found.get(&subject.tunnel).unwrap_or(&missing).clone()).collect()
}

/// Asks the daemons of this host once, those of `[ipsec]` and `[bgp]`: a finding per tunnel and daemon. Nothing is sent to another
/// host.
pub async fn look_once(settings: &SensorSettings) -> Vec<(TunnelId, Finding)> {
    let look = async |kind| match AnySensor::of(kind, settings) {
        Some(mut sensor) => sensor.look(&settings.subjects).await,
        None => Vec::new(),
    };
    let (ipsec, bgp) = tokio::join!(look(SensorKind::Ipsec), look(SensorKind::Bgp));
    let named = |findings: Vec<Finding>| {
        settings.subjects.iter().map(|subject| subject.tunnel.clone()).zip(findings).collect::<Vec<_>>()
    };
    [named(ipsec), named(bgp)].concat()
}
