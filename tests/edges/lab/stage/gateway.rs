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
    /// The namespace with this name in iproute2.
    pub(super) fn named(name: String) -> Self {
        let namespace = Arc::new(File::open(format!("/run/netns/{name}")).unwrap());
        Self { name, namespace }
    }

    /// Its name in iproute2.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Runs something on a thread in the namespace. What it opens stays in there.
    pub(super) fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let enter_and_work = || {
            move_into_link_name_space(self.namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            work()
        };
        thread::scope(|scope| scope.spawn(enter_and_work).join()).unwrap_or_else(|panic| resume_unwind(panic))
    }
}
