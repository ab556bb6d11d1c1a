//! `DynamoDB`, S3, KMS and an API Gateway door in one process on loopback, over real HTTP, so that
//! the function runs unmodified against them: for tests and laptops, in no build of the function.
//!
//! * [`Stack`] starts the three services and says where they are.
//! * [`api_gateway`] turns HTTP into the event that the function receives, and its response into
//!   HTTP.
//! * [`Faults`] sits under an SDK client and loses, delays, repeats and refuses calls, which no
//!   local engine does by itself.

pub mod api_gateway;
mod clock;
mod door;
mod dynamodb;
mod faults;
mod file;
mod kms;
mod partition;
mod s3;
mod stack;

pub use faults::{Call, Fault, Faults};
pub use stack::{ACCESS_KEY_ID, Options, SECRET_ACCESS_KEY, Stack};

/// The account that owns the KMS keys, and the caller's where a request names none.
pub const DEFAULT_ACCOUNT: &str = "012345678910";
