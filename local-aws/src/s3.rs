//! S3: s3s has the protocol and verifies signatures, s3s-fs stores the bytes, and an index of this
//! crate stores what s3s-fs does not.
//!
//! s3s-fs uses the key as a file name, which is limited to 255 bytes. It drops the encryption
//! headers, rejects archive classes and replaces an object before it has verified the checksum. So
//! the bytes of every put get a new file name, and the object's record names the file. A put takes
//! effect when its record is written.

mod access;
mod buckets;
mod checksums;
mod conditions;
mod copies;
mod deletions;
mod index;
mod listing;
mod multipart;
mod objects;
mod record;
mod restoration;
mod service;

use std::io;
use std::path::Path;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use s3s::service::{S3Service, S3ServiceBuilder};

use crate::kms::Keys;
use access::{Access, Auth};
use service::Objects;

/// Opens the objects in `directory`, or in a temporary directory that ends with the service, and
/// creates the buckets that do not exist.
pub(crate) async fn open<'a>(
    directory: Option<&Path>,
    region: &str,
    buckets: impl IntoIterator<Item = &'a str>,
    keys: Keys,
) -> io::Result<Router> {
    let objects = Objects::open(directory, region, keys)?;
    for bucket in buckets {
        objects.ensure_bucket(bucket).await?;
    }
    let mut service = S3ServiceBuilder::new(objects);
    service.set_auth(Auth);
    service.set_access(Access);
    Ok(Router::new().fallback(respond).with_state(service.build()))
}

async fn respond(State(service): State<S3Service>, request: Request) -> Response {
    match service.call(request.map(s3s::Body::http_body_unsync)).await {
        // s3s gives it the body of an error.
        Ok(response) if response.status() == StatusCode::NOT_MODIFIED => {
            StatusCode::NOT_MODIFIED.into_response()
        }
        Ok(response) => response.into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
