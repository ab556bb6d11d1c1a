//! The API's name of a request's operation.

use aws_smithy_runtime_api::client::orchestrator::HttpRequest;

/// The service and the operation. The JSON services name theirs in a header. S3's follow from
/// method, path and query, in the path style that the SDK uses for an IP address.
pub(super) fn name(request: &HttpRequest) -> (&'static str, String) {
    if let Some(target) = request.headers().get("x-amz-target") {
        let (prefix, operation) = target.split_once('.').unwrap_or((target, ""));
        let service = if prefix == "TrentService" { "kms" } else { "dynamodb" };
        return (service, operation.to_owned());
    }
    let uri = request.uri();
    let after_authority = uri.split_once("://").map_or(uri, |(_, rest)| rest);
    let path_and_query = after_authority.split_once('/').map_or("", |(_, rest)| rest);
    let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    let copy = request.headers().contains_key("x-amz-copy-source");
    ("s3", s3(request.method(), !bucket.is_empty(), !key.is_empty(), query, copy).to_owned())
}

fn s3(method: &str, bucket: bool, key: bool, query: &str, copy: bool) -> &'static str {
    let has = |name: &str| {
        query.split('&').any(|pair| pair.split_once('=').map_or(pair, |(name, _)| name) == name)
    };
    match (method, bucket, key) {
        ("GET", false, _) => "ListBuckets",
        ("GET", true, false) if has("location") => "GetBucketLocation",
        ("GET", true, false) if has("list-type") => "ListObjectsV2",
        ("GET", true, false) => "ListObjects",
        ("GET", true, true) if has("uploadId") => "ListParts",
        ("GET", true, true) => "GetObject",
        ("HEAD", true, false) => "HeadBucket",
        ("HEAD", true, true) => "HeadObject",
        ("PUT", true, false) => "CreateBucket",
        ("PUT", true, true) if has("partNumber") && copy => "UploadPartCopy",
        ("PUT", true, true) if has("partNumber") => "UploadPart",
        ("PUT", true, true) if copy => "CopyObject",
        ("PUT", true, true) => "PutObject",
        ("POST", true, false) if has("delete") => "DeleteObjects",
        ("POST", true, true) if has("uploads") => "CreateMultipartUpload",
        ("POST", true, true) if has("uploadId") => "CompleteMultipartUpload",
        ("POST", true, true) if has("restore") => "RestoreObject",
        ("DELETE", true, false) => "DeleteBucket",
        ("DELETE", true, true) if has("uploadId") => "AbortMultipartUpload",
        ("DELETE", true, true) => "DeleteObject",
        _ => "Unknown",
    }
}
