//! What is decided from a request's headers before its operation runs.

use axum::http::HeaderMap;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::path::S3Path;
use s3s::{S3Result, s3_error};

use crate::{ACCESS_KEY_ID, DEFAULT_ACCOUNT, SECRET_ACCESS_KEY};

/// Names and values of user-defined metadata, in bytes.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html>
const MAX_METADATA: usize = 2048;

/// It knows a single access key.
pub(super) struct Auth;

#[async_trait::async_trait]
impl S3Auth for Auth {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        if access_key != ACCESS_KEY_ID {
            return Err(s3_error!(
                InvalidAccessKeyId,
                "The AWS Access Key Id you provided does not exist in our records."
            ));
        }
        Ok(SecretKey::from(SECRET_ACCESS_KEY))
    }
}

pub(super) struct Access;

#[async_trait::async_trait]
impl S3Access for Access {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        if context.credentials().is_none() {
            return Err(s3_error!(AccessDenied, "Access Denied"));
        }
        let headers = context.headers();
        check_owner(headers, "x-amz-expected-bucket-owner")?;
        check_owner(headers, "x-amz-source-expected-bucket-owner")?;
        if matches!(context.s3_path(), S3Path::Object { .. }) {
            check_object_headers(headers)?;
        }
        Ok(())
    }
}

/// Every bucket is the default account's.
fn check_owner(headers: &HeaderMap, name: &str) -> S3Result<()> {
    let Some(owner) = headers.get(name) else { return Ok(()) };
    let owner = owner.as_bytes();
    if owner.len() != 12 || !owner.iter().all(u8::is_ascii_digit) {
        return Err(s3_error!(
            InvalidBucketOwnerAWSAccountID,
            "The value of the expected bucket owner parameter must be an AWS account ID"
        ));
    }
    if owner != DEFAULT_ACCOUNT.as_bytes() {
        return Err(s3_error!(AccessDenied, "Access Denied"));
    }
    Ok(())
}

/// Headers that S3 rejects on a bucket with the settings that new buckets have, over HTTP.
fn check_object_headers(headers: &HeaderMap) -> S3Result<()> {
    let any = |beginning: &str| headers.keys().any(|name| name.as_str().starts_with(beginning));
    let customer_key = "server-side-encryption-customer-";
    if any(&format!("x-amz-{customer_key}")) || any(&format!("x-amz-copy-source-{customer_key}")) {
        return Err(s3_error!(
            InvalidRequest,
            "Requests specifying Server Side Encryption with Customer provided keys must be made \
             over a secure connection."
        ));
    }
    if any("x-amz-object-lock-") {
        return Err(s3_error!(InvalidRequest, "Bucket is missing Object Lock Configuration"));
    }
    let acl = headers.get("x-amz-acl");
    if any("x-amz-grant-") || acl.is_some_and(|acl| acl != "bucket-owner-full-control") {
        return Err(s3_error!(AccessControlListNotSupported, "The bucket does not allow ACLs"));
    }
    if headers.contains_key("x-amz-write-offset-bytes") {
        return Err(s3_error!(
            NotImplemented,
            "A header you provided implies functionality that is not implemented"
        ));
    }
    let metadata = headers.iter().filter_map(|(name, value)| {
        name.as_str().strip_prefix("x-amz-meta-").map(|name| name.len() + value.len())
    });
    if metadata.sum::<usize>() > MAX_METADATA {
        return Err(s3_error!(
            MetadataTooLarge,
            "Your metadata headers exceed the maximum allowed metadata size"
        ));
    }
    Ok(())
}
