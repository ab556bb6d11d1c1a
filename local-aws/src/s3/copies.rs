//! Copies objects.

use axum::http::{HeaderMap, HeaderValue};
use s3s::dto::{CopyObjectInput, CopyObjectOutput, CopySource, ETagCondition, MetadataDirective};
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};

use super::conditions::{ReadConditions, WriteConditions, take_source_conditions};
use super::index::Index;
use super::objects::{check_version, new_blob};
use super::record::{give_encryption, take_headers};
use super::service::Objects;

impl Objects {
    pub(super) async fn copy_object(
        &self,
        mut request: S3Request<CopyObjectInput>,
    ) -> S3Result<S3Response<CopyObjectOutput>> {
        let write_conditions = write_conditions(&request.headers)?;
        let input = &mut request.input;
        check_directive(input.metadata_directive.as_ref())?;
        if is_copy_to_itself(input) && !changes_something(input) {
            return Err(s3_error!(
                InvalidRequest,
                "This copy request is illegal because it is trying to copy an object to itself \
                 without changing the object's metadata, storage class, website redirect location \
                 or encryption attributes."
            ));
        }
        let headers = self.with_key(take_headers!(input)?)?;
        let bucket = input.bucket.clone();
        let blob = new_blob();
        let key = std::mem::replace(&mut input.key, blob.clone());
        let conditions = take_source_conditions!(input);
        let mut response = {
            let index = self.index.read().await;
            self.source(&index, &mut input.copy_source, &conditions)?;
            index.bucket(&bucket)?;
            self.blobs.copy_object(request).await?
        };
        let result = response.output.copy_object_result.as_ref();
        let e_tag = result.and_then(|result| result.e_tag.clone());
        let written = self.commit(&bucket, &key, blob, e_tag, &headers, &write_conditions).await?;
        if let Some(result) = response.output.copy_object_result.as_mut() {
            result.e_tag = Some(written.e_tag);
            result.last_modified = Some(written.modified);
        }
        give_encryption!(headers => response.output);
        Ok(response)
    }

    /// Replaces the key of `source` by the name of its bytes.
    ///
    /// # Errors
    /// If the source cannot be read.
    pub(super) fn source(
        &self,
        index: &Index,
        source: &mut CopySource,
        conditions: &ReadConditions,
    ) -> S3Result<()> {
        let CopySource::Bucket { bucket, key, version_id } = source else {
            return Err(s3_error!(NotImplemented));
        };
        check_version(version_id.as_deref())?;
        let record = index.object(bucket, key)?;
        conditions.check_source(record)?;
        if !record.readable() {
            return Err(s3_error!(InvalidObjectState));
        }
        self.check_decryption(&record.headers)?;
        *key = record.blob.as_str().into();
        *version_id = None;
        Ok(())
    }
}

fn check_directive(directive: Option<&MetadataDirective>) -> S3Result<()> {
    match directive.map(MetadataDirective::as_str) {
        None | Some(MetadataDirective::COPY | MetadataDirective::REPLACE) => Ok(()),
        Some(_) => Err(s3_error!(InvalidArgument, "Unknown metadata directive.")),
    }
}

fn is_copy_to_itself(input: &CopyObjectInput) -> bool {
    match &input.copy_source {
        CopySource::Bucket { bucket, key, .. } => {
            (&**bucket, &**key) == (&*input.bucket, &*input.key)
        }
        _ => false,
    }
}

fn changes_something(input: &CopyObjectInput) -> bool {
    let directive = input.metadata_directive.as_ref().map(MetadataDirective::as_str);
    directive == Some(MetadataDirective::REPLACE)
        || input.storage_class.is_some()
        || input.server_side_encryption.is_some()
        || input.website_redirect_location.is_some()
}

/// s3s 0.14.1 does not read these headers of a copy.
fn write_conditions(headers: &HeaderMap) -> S3Result<WriteConditions> {
    let condition = |name: &str| {
        let value = headers.get(name).map(HeaderValue::as_bytes);
        value.map(ETagCondition::parse_http_header).transpose()
    };
    match (condition("if-match"), condition("if-none-match")) {
        (Ok(if_match), Ok(if_none_match)) => WriteConditions::new(if_match, if_none_match),
        _ => Err(s3_error!(InvalidArgument, "If-Match and If-None-Match are entity tags")),
    }
}
