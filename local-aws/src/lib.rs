//! `DynamoDB`, S3, KMS and an API Gateway listener in one process on loopback, over real HTTP. The
//! function runs unmodified against them, in tests and on laptops. No build of the function contains
//! this crate.
//!
//! * [`Stack`] starts the three services and has their endpoints.
//! * [`api_gateway`] turns HTTP into the event that the function receives, and its response into
//!   HTTP.
//! * [`Faults`] sits under an SDK client and loses, delays, repeats and rejects calls, which no
//!   local engine does by itself.

pub mod api_gateway;
mod clock;
mod dynamodb;
mod faults;
mod file;
mod kms;
mod listener;
mod partition;
mod s3;
mod stack;

pub use faults::{Call, Fault, Faults};
pub use stack::{ACCESS_KEY_ID, Options, SECRET_ACCESS_KEY, Stack};

/// The account that owns the KMS keys. It is also the caller's account unless the request names
/// another one.
pub const DEFAULT_ACCOUNT: &str = "012345678910";
