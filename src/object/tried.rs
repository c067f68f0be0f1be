//! Where a request went.

use std::sync::{Arc, OnceLock};

use aws_sdk_s3::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;

/// Remembers where a request went, which the endpoint's rules decide: for messages.
#[derive(Debug, Clone, Default)]
pub(super) struct Tried(Arc<OnceLock<String>>);

impl Tried {
    pub(super) fn endpoint(&self) -> Option<String> {
        self.0.get().cloned()
    }
}

#[aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint]
impl Intercept for Tried {
    fn name(&self) -> &'static str {
        "Tried"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let uri = context.request().uri();
        if let Some((scheme, rest)) = uri.split_once("://") {
            let authority = rest.split(['/', '?']).next().unwrap_or(rest);
            self.0.get_or_init(|| format!("{scheme}://{authority}"));
        }
        Ok(())
    }
}
