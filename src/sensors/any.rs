//! The sensor of each kind, as the configuration wants it.

use std::sync::Arc;

use super::bgp::BgpSensor;
use super::ipsec::IpsecSensor;
use super::mtu::MtuSensor;
use super::path::PathSensor;
use super::trace::TraceSensor;
use super::{Sensor, Subject};
use crate::domain::names::TunnelId;
use crate::domain::sensor::{Finding, SensorKind};
use crate::settings::SensorSettings;

/// The sensor of a kind.
#[derive(Debug)]
pub enum AnySensor {
    /// See [`IpsecSensor`].
    Ipsec(IpsecSensor),
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
            SensorKind::Ipsec => Self::Ipsec(IpsecSensor::new(settings.ipsec.as_ref()?)),
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
            Self::Ipsec(sensor) => sensor.look(subjects).await,
            Self::Bgp(sensor) => sensor.look(subjects).await,
            Self::Path(sensor) => sensor.look(subjects).await,
            Self::Trace(sensor) => sensor.look(subjects).await,
            Self::Mtu(sensor) => sensor.look(subjects).await,
        }
    }
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
