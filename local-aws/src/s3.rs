//! S3: s3s speaks the protocol and checks signatures, s3s-fs keeps the bytes, an index of our
//! own keeps what s3s-fs cannot.
//!
//! s3s-fs makes the key a file name (which ends at 255 bytes), drops the encryption headers,
//! refuses archive classes and replaces an object before it has checked its checksum. So the
//! bytes of every put go under a name of their own, and the object is what its record says:
//! writing the record is the one step that makes a put happen.

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

/// Opens the objects in `directory`, or in a temporary one that goes with the service, and
/// creates the buckets that are not there yet.
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
