//! BGP sessions, as this host's BGP daemon has them: BIRD or FRR. A session is a tunnel's if its neighbour is AWS's address inside
//! the tunnel.
//!
//! Both daemons are asked so that nothing can be changed: BIRD in its restricted mode, FRR by vtysh as an unprivileged user.

pub mod bird;
pub mod bird_reply;
pub mod frr;
pub mod frr_json;
pub mod peer;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::{ANSWER_WITHIN, Sensor, Subject};
use crate::domain::sensor::{Finding, Unavailable};
use crate::settings::BgpSettings;
use bird::Bird;
use frr::Frr;
use peer::{BgpPeer, Prefix, PrefixQuestion};

/// All questions of one look must be answered within this time, so that the finding is there within [`ANSWER_WITHIN`].
const LOOK_WITHIN: Duration = ANSWER_WITHIN.saturating_sub(Duration::from_millis(250));

/// One look asks for at most this many prefixes, which takes BIRD 0.2 s and FRR 0.4 s, with answers of half of
/// [`ANSWER_MAX`](super::ANSWER_MAX). The sessions whose prefixes are beyond it have no finding.
const PREFIXES_MAX: usize = 2_000;

/// The sensor of BGP sessions.
#[derive(Debug)]
pub struct BgpSensor(Daemon);

#[derive(Debug)]
enum Daemon {
    Bird(Bird),
    Frr(Frr),
}

impl BgpSensor {
    /// Of this daemon.
    pub fn new(settings: &BgpSettings) -> Self {
        Self(match settings {
            BgpSettings::Bird { socket } => Daemon::Bird(Bird::new(socket)),
            BgpSettings::Frr { vtysh } => Daemon::Frr(Frr::new(vtysh)),
        })
    }

    async fn sessions(&mut self, subjects: &[Arc<Subject>]) -> Result<Vec<SessionFound>, Unavailable> {
        let wanted: Vec<IpAddr> = subjects.iter().map(|subject| subject.inside_ip).collect();
        let found = match &mut self.0 {
            Daemon::Bird(bird) => bird.sessions(&wanted).await?,
            Daemon::Frr(frr) => frr.sessions(&wanted).await?,
        };
        let mut sessions: Vec<SessionFound> =
            subjects.iter().map(|subject| of_neighbour(&found, subject.inside_ip)).collect();
        let (questions, left_out) = questions(subjects, &sessions);
        if !questions.is_empty() {
            let announced = match &mut self.0 {
                Daemon::Bird(bird) => bird.announced(&questions).await?,
                Daemon::Frr(frr) => frr.announced(&questions).await?,
            };
            for (question, announced) in questions.iter().zip(announced) {
                let session = &mut sessions[question.subject];
                match (session.as_mut(), announced) {
                    (Ok(_), Ok(true)) | (Err(_), _) => {}
                    (Ok(found), Ok(false)) => found.session.missing.push(Arc::clone(&question.text)),
                    (Ok(_), Err(why)) => *session = Err(why),
                }
            }
        }
        for subject in left_out {
            sessions[subject] = Err(Unavailable::TooLong);
        }
        Ok(sessions)
    }
}

impl Sensor for BgpSensor {
    async fn look(&mut self, subjects: &[Arc<Subject>]) -> Vec<Finding> {
        if subjects.is_empty() {
            return Vec::new();
        }
        let looked = timeout(LOOK_WITHIN, self.sessions(subjects)).await;
        match &mut self.0 {
            Daemon::Bird(bird) => bird.close(),
            Daemon::Frr(frr) => frr.close(),
        }
        match looked.unwrap_or(Err(Unavailable::TimedOut)) {
            Ok(sessions) => {
                sessions.into_iter().map(|found| Finding::Bgp(found.map(|found| found.session))).collect()
            }
            Err(why) => subjects.iter().map(|_| Finding::Bgp(Err(why))).collect(),
        }
    }
}

type SessionFound = Result<BgpPeer, Unavailable>;

/// The session of this neighbour. One that is switched off counts only if there is no other: it may be a predecessor that was left
/// in the configuration. Where several (in VRFs, say) do not agree whether they are established, none is known to be the tunnel's.
fn of_neighbour(found: &[BgpPeer], neighbour: IpAddr) -> SessionFound {
    let peers = || found.iter().filter(|peer| peer.neighbour == neighbour);
    let on = || peers().filter(|peer| !peer.off);
    let first = on().next().or_else(|| peers().next()).ok_or(Unavailable::NotListed)?;
    if on().any(|peer| peer.session.established != first.session.established) {
        return Err(Unavailable::Invalid);
    }
    Ok(first.clone())
}

/// What to ask about prefixes: about sessions that are established only. Those whose prefixes were too many are left out.
fn questions(subjects: &[Arc<Subject>], sessions: &[SessionFound]) -> (Vec<PrefixQuestion>, Vec<usize>) {
    let (mut questions, mut left_out) = (Vec::new(), Vec::new());
    for (subject, (of, session)) in subjects.iter().zip(sessions).enumerate() {
        let Some(found) = session.as_ref().ok().filter(|found| found.session.established) else { continue };
        if questions.len() + of.monitored_prefixes.len() > PREFIXES_MAX {
            left_out.push(subject);
            continue;
        }
        // A tunnel carries the family of its inside addresses, and its session announces that alone: what is listed for all connections
        // is not missing where it cannot come. What is no prefix is refused by the configuration.
        let prefixes = of.monitored_prefixes.iter().filter_map(|text| Some((text, Prefix::parse(text)?)));
        let prefixes = prefixes.filter(|(_, prefix)| prefix.is_ipv4() == found.neighbour.is_ipv4());
        questions.extend(prefixes.map(|(text, prefix)| PrefixQuestion {
            subject,
            at: Arc::clone(&found.at),
            neighbour: found.neighbour,
            prefix,
            text: Arc::clone(text),
        }));
    }
    (questions, left_out)
}

#[cfg(test)]
mod tests;
