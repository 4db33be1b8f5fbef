//! The gateway's network namespace, and threads inside it.

use std::fs::File;
use std::os::fd::AsFd as _;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// A network namespace; it outlives its name as long as this is held.
#[derive(Clone)]
pub(crate) struct Gateway {
    name: String,
    namespace: Arc<File>,
}

impl Gateway {
    /// The namespace that iproute2 knows by this name.
    pub(super) fn named(name: String) -> Self {
        let namespace = Arc::new(File::open(format!("/run/netns/{name}")).unwrap());
        Self { name, namespace }
    }

    /// What iproute2 calls it.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Does something on a thread in here. What it opens stays in here.
    pub(super) fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let enter_and_work = || {
            move_into_link_name_space(self.namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            work()
        };
        thread::scope(|scope| scope.spawn(enter_and_work).join()).unwrap_or_else(|panic| resume_unwind(panic))
    }
}
