//! One SDK call: timed by AWS's own clock, and repeated once if only our clock was wrong.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextRef,
};
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::errors::{Failure, is_about_the_clock};
use super::permission::Call;
use super::timing::{Exchange, date_of, parse_basic};
use crate::clock;
use crate::domain::names::AwsPlace;

/// The time limit of one call, loading credentials included.
pub(super) const OPERATION_TIMEOUT: Duration = Duration::from_secs(20);

/// Records an [`Exchange`]; added to the call as an interceptor.
#[derive(Debug, Clone, Default)]
pub(super) struct Capture(Arc<Mutex<Option<Exchange>>>);

impl Capture {
    fn get(&self) -> Option<Exchange> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with(&self, change: impl FnOnce(&mut Option<Exchange>)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

#[dyn_dispatch_hint]
impl Intercept for Capture {
    fn name(&self) -> &'static str {
        "Capture"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let signed = context.request().headers().get("x-amz-date").and_then(parse_basic);
        self.with(|exchange| {
            *exchange = Some(Exchange { asked: clock::now().mono, signed, date: None });
        });
        Ok(())
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = date_of(context.response());
        self.with(|exchange| {
            if let Some(exchange) = exchange {
                exchange.date = date;
            }
        });
        Ok(())
    }
}

/// Makes a call. `send` must add the capture to the request as an interceptor.
///
/// The SDK learns from any answer, a refusal included, how far our clock is off, and signs the next request accordingly. With its
/// retries off that next request is ours to make: at once, since only the clock was wrong.
pub(super) async fn call<T, E, Sent>(
    call: Call,
    place: &AwsPlace,
    send: impl Fn(Capture) -> Sent,
) -> Result<(T, Exchange), Failure>
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
    Sent: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
{
    if place.region.is_none() {
        return Err(Failure::no_region(call));
    }
    let mut capture = Capture::default();
    let mut result = send(capture.clone()).await;
    let skewed = capture.get().is_some_and(|exchange| exchange.skewed());
    if skewed && result.as_ref().is_err_and(is_about_the_clock) {
        capture = Capture::default();
        result = send(capture.clone()).await;
    }
    match (result, capture.get()) {
        (Ok(value), Some(exchange)) => Ok((value, exchange)),
        (Ok(_), None) => Err(Failure::garbage(call, place, "the answer came without a request")),
        (Err(error), exchange) => Err(Failure::of(call, place, error).at(exchange)),
    }
}
