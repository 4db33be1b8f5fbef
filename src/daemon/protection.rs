//! The files that protect the listener: what is wrong with them, at the start and while the daemon runs.

use super::any_sink::Reach;
use crate::clock;
use crate::health::{Component, Health, Problem};
use crate::http::protection::{Finding, ProtectedBy, Protection, ProtectionFault};
use crate::http::tls::FileFault;
use crate::settings::ProtectionFiles;

/// What is wrong with the files, a line each. `reach` says whether files that cannot be read count.
pub fn listener_faults(files: &ProtectionFiles, reach: Reach) -> Vec<String> {
    let Err(mut faults) = Protection::read(files) else { return Vec::new() };
    faults.retain(|ProtectionFault { part: _, fault }| match (fault, reach) {
        (FileFault::Wrong(_), _) | (FileFault::OutOfReach(_), Reach::Daemon) => true,
        (FileFault::OutOfReach(_), Reach::Other) => false,
    });
    lines(&faults)
}

pub(super) fn lines(faults: &[ProtectionFault]) -> Vec<String> {
    faults.iter().map(ToString::to_string).collect()
}

/// States what the listener's files were found to be.
pub(super) fn report(health: Health) -> impl FnMut(ProtectedBy, Finding) + Send {
    move |part, finding| {
        let component = match part {
            ProtectedBy::Certificate => Component::ListenerCertificate,
            ProtectedBy::Token => Component::ListenerToken,
        };
        let problem = match finding {
            Finding::Sound => {
                health.clear(&component);
                return;
            }
            Finding::Unusable(fault) => Problem::listener_file_failing(ProtectionFault { part, fault }),
            Finding::Expires(at) => Problem::certificate_expiring(at, clock::wall()),
        };
        health.set(component, problem);
    }
}
