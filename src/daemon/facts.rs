//! Where the facts go: journal, Prometheus, store, publisher. Nothing here waits: it runs on the driver's thread.

use std::sync::{Arc, Mutex, PoisonError};

use crate::config::Config;
use crate::domain::fact::Fact;
use crate::publish::shell::Feed;
use crate::store::Store;
use crate::telemetry::names::Names;
use crate::telemetry::prometheus::Prometheus;
use crate::telemetry::wording;

/// What a reload changes of the way the facts take.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    shared: Arc<Mutex<FactTakers>>,
}

#[derive(Debug)]
struct FactTakers {
    names: Names,
    publisher: Option<Feed>,
}

/// The driver's end.
pub(super) struct FactSink {
    shared: Arc<Mutex<FactTakers>>,
    store: Store,
    prometheus: Arc<Prometheus>,
}

/// Both ends.
pub(super) fn channel(config: &Config, store: Store, prometheus: Arc<Prometheus>) -> (Facts, FactSink) {
    let shared = Arc::new(Mutex::new(FactTakers { names: Names::from(&*config.plan), publisher: None }));
    let sink = FactSink { shared: Arc::clone(&shared), store, prometheus };
    (Facts { shared }, sink)
}

impl Facts {
    /// Records are worded with these names from here on.
    pub(super) fn set_names(&self, names: Names) {
        self.lock().names = names;
    }

    /// Minutes go to this publisher from here on; the one before ends when it has sent what it has.
    pub(super) fn set_publisher(&self, publisher: Option<Feed>) {
        self.lock().publisher = publisher;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, FactTakers> {
        // What is shared is valid after every statement, so a panic elsewhere spoils nothing.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FactSink {
    /// As the driver takes it.
    pub(super) fn into_closure(self) -> Box<dyn FnMut(Fact)> {
        Box::new(move |fact| self.take(&fact))
    }

    fn take(&self, fact: &Fact) {
        self.store.record(fact);
        self.prometheus.count(fact);
        let record = {
            let shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(publisher) = &shared.publisher {
                publisher.record(fact);
            }
            wording::record(fact, &shared.names)
        };
        if let Some(record) = record {
            record.emit();
        }
    }
}
