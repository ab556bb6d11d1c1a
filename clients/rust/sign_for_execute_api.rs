//! Signs the calls of a stock `aws-sdk-ecr` for API Gateway:
//!
//! ```ignore
//! let aws = aws_config::load_from_env().await;
//! let config = aws_sdk_ecr::config::Builder::from(&aws)
//!     .endpoint_url("https://ID.execute-api.REGION.amazonaws.com/live") // output EndpointUrl
//!     .interceptor(SignForExecuteApi);
//! let ecr = aws_sdk_ecr::Client::from_conf(config.build());
//! ```
//!
//! It needs the crates `aws-sdk-ecr` and `aws-types`.

use std::error::Error;

use aws_sdk_ecr::config::interceptors::BeforeSerializationInterceptorContextRef;
use aws_sdk_ecr::config::{ConfigBag, Intercept};
use aws_types::SigningName;

/// API Gateway accepts only signatures for the service `execute-api`, whatever API is behind it, and
/// responds to others with 403 `InvalidSignatureException`. The SDK signs for `ecr`.
#[derive(Debug)]
pub struct SignForExecuteApi;

impl Intercept for SignForExecuteApi {
    fn name(&self) -> &'static str {
        "SignForExecuteApi"
    }

    fn read_before_execution(
        &self,
        _: &BeforeSerializationInterceptorContextRef<'_>,
        config: &mut ConfigBag,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        config.interceptor_state().store_put(SigningName::from_static("execute-api"));
        Ok(())
    }
}
