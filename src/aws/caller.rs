//! How a sink calls AWS: within the shared budget, with results as a sink's errors.

use std::collections::BTreeSet;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use super::budget::{SharedBudget, Turn, Urgency};
use super::connection::{AwsConnection, AwsConnections};
use super::errors::{Failure, FailureClass, FailureKind};
use super::permission::Call;
use super::timing::Exchange;
use crate::domain::names::AwsPlace;
use crate::incident::sink::SinkError;

/// A service in a Region, called with one role by one sink.
pub(super) struct Caller {
    connections: AwsConnections,
    place: AwsPlace,
    budget: Arc<SharedBudget>,
    /// The calls that were refused at their last try.
    refused: Mutex<BTreeSet<Call>>,
}

/// A connection for one call whose turn it is.
pub(super) struct InTurn {
    connection: Arc<AwsConnection>,
    turn: Turn,
}

impl Deref for InTurn {
    type Target = AwsConnection;

    fn deref(&self) -> &AwsConnection {
        &self.connection
    }
}

impl Caller {
    pub(super) fn new(connections: AwsConnections, place: AwsPlace, service: &'static str) -> Self {
        let budget = connections.budget(service, &place);
        Self { connections, place, budget, refused: Mutex::default() }
    }

    pub(super) fn place(&self) -> &AwsPlace {
        &self.place
    }

    /// Waits for the call's turn and returns the connection, if there is a Region. A call that was refused at its last try gets
    /// freshly read credentials: whatever the refusal was, better ones may exist by now.
    pub(super) async fn connection(&self, about: Call, urgency: Urgency) -> Result<InTurn, SinkError> {
        let Some(turn) = Arc::clone(&self.budget).turn(urgency).await else {
            let what = format!(
                "{about} {}: not sent within 25 s, because AWS throttles or more urgent calls are waiting; it is retried",
                self.place
            );
            return Err(SinkError::Temporary { what, retry_after: None, source: None });
        };
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner).contains(&about);
        let connection = if refused {
            self.connections.at_anew(&self.place).await
        } else {
            self.connections.at(&self.place).await
        };
        match &connection.place.region {
            Some(_) => Ok(InTurn { connection, turn }),
            None => {
                let failure = Failure::no_region(about);
                self.connections.renew_after(&failure, &connection);
                Err(sink_error(failure, false))
            }
        }
    }

    /// Converts a call's result to a sink's, and discards credentials that were not accepted.
    pub(super) fn settle<T>(
        &self,
        in_turn: &InTurn,
        about: Call,
        result: Result<(T, Exchange), Failure>,
    ) -> Result<T, SinkError> {
        {
            let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
            match &result {
                Err(failure) if failure.kind.is_refusal() => refused.insert(about),
                Ok(_) | Err(_) => refused.remove(&about),
            };
        }
        let InTurn { connection, turn } = in_turn;
        match result {
            Ok((value, _)) => {
                connection.accepted();
                Ok(value)
            }
            Err(failure) => {
                if let FailureKind::Throttled { .. } = failure.kind {
                    turn.throttled();
                }
                let renewed = self.connections.renew_after(&failure, connection);
                Err(sink_error(failure, renewed))
            }
        }
    }
}

/// `renewed`: the credentials worked until now and are being reloaded, so a retry may succeed.
pub(super) fn sink_error(failure: Failure, renewed: bool) -> SinkError {
    let what = failure.text.clone();
    let retry_after = failure.kind.retry_after();
    match failure.kind.class() {
        FailureClass::Permission if renewed && failure.kind == FailureKind::CredentialsRefused => {
            SinkError::Temporary { what, retry_after, source: Some(Arc::new(failure)) }
        }
        FailureClass::Temporary => {
            SinkError::Temporary { what, retry_after, source: Some(Arc::new(failure)) }
        }
        FailureClass::Permission | FailureClass::Rejected => {
            SinkError::Rejected { what, source: Some(Arc::new(failure)) }
        }
        FailureClass::NotFound => SinkError::NotFound,
        FailureClass::TokenKnown => SinkError::TokenKnown,
    }
}
