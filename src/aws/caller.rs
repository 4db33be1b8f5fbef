//! How a sink calls AWS: from one place, in a sink's terms.

use std::sync::Arc;

use super::connection::{AwsConnections, Connection, Place};
use super::errors::{Failure, FailureKind};
use super::exchange::Exchange;
use super::permission::Call;
use crate::incident::sink::SinkError;

/// A Region, called with one role, by a sink.
pub(super) struct Caller {
    connections: AwsConnections,
    place: Place,
}

impl Caller {
    pub(super) fn new(connections: AwsConnections, place: Place) -> Self {
        Self { connections, place }
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// The connection, if there is a Region.
    pub(super) async fn connection(&self, about: Call) -> Result<Arc<Connection>, SinkError> {
        let connection = self.connections.at(&self.place).await;
        match &connection.place.region {
            Some(_) => Ok(connection),
            None => {
                let failure = Failure::no_region(about);
                self.connections.renew_after(&failure, &connection);
                Err(sink_error(failure, false))
            }
        }
    }

    /// Puts a call's result in a sink's terms, and has credentials that were not accepted loaded afresh.
    pub(super) fn settle<T>(
        &self,
        connection: &Arc<Connection>,
        result: Result<(T, Exchange), Failure>,
    ) -> Result<T, SinkError> {
        self.outcome(connection, result.map(|(value, _)| value))
    }

    /// The same of what took any number of calls.
    pub(super) fn outcome<T>(
        &self,
        connection: &Arc<Connection>,
        result: Result<T, Failure>,
    ) -> Result<T, SinkError> {
        result.inspect(|_| connection.accepted()).map_err(|failure| {
            let renewed = self.connections.renew_after(&failure, connection);
            sink_error(failure, renewed)
        })
    }
}

/// `renewed`: the credentials were good until now and are loaded afresh, so that the same again may well do.
pub(super) fn sink_error(failure: Failure, renewed: bool) -> SinkError {
    let what = failure.text.clone();
    match failure.kind {
        FailureKind::Throttled { retry_after } => {
            SinkError::Temporary { what, retry_after, source: Some(Arc::new(failure)) }
        }
        FailureKind::CredentialsRefused if renewed => {
            SinkError::Temporary { what, retry_after: None, source: Some(Arc::new(failure)) }
        }
        FailureKind::TimedOut
        | FailureKind::Unreachable
        | FailureKind::ServiceFault
        | FailureKind::Contended
        | FailureKind::Garbage => {
            SinkError::Temporary { what, retry_after: None, source: Some(Arc::new(failure)) }
        }
        FailureKind::Denied
        | FailureKind::CredentialsRefused
        | FailureKind::CredentialsMissing
        | FailureKind::Rejected => SinkError::Rejected { what, source: Some(Arc::new(failure)) },
        FailureKind::NotFound => SinkError::NotFound,
        FailureKind::TokenKnown => SinkError::TokenKnown,
    }
}
