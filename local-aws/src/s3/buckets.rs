//! Buckets and listings of objects.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use s3s::dto::{
    BucketLocationConstraint, CommonPrefix, CreateBucketInput, CreateBucketOutput,
    DeleteBucketInput, DeleteBucketOutput, EncodingType, GetBucketLocationInput,
    GetBucketLocationOutput, HeadBucketInput, HeadBucketOutput, ListBucketsInput,
    ListBucketsOutput, ListObjectsInput, ListObjectsOutput, ListObjectsV2Input,
    ListObjectsV2Output, Object,
};
use s3s::{S3, S3Error, S3Request, S3Response, S3Result, s3_error};

use super::listing::{Page, Query, page};
use super::service::Objects;

/// The largest page, and the default.
const MAX_KEYS: i32 = 1000;

/// The beginning of every continuation token, so that a key is not accepted as one.
const TOKEN: &[u8] = b"\x01local-aws ";

impl Objects {
    /// Creates the bucket if it does not exist.
    pub(super) async fn ensure_bucket(&self, bucket: &str) -> io::Result<()> {
        if !s3s::path::check_bucket_name(bucket) {
            let message = format!("{bucket:?} is no name for a bucket");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        tokio::fs::create_dir_all(self.root.join(bucket)).await?;
        self.index.write().await.create_bucket(bucket).map_err(io::Error::other)
    }

    pub(super) async fn create_bucket(
        &self,
        request: S3Request<CreateBucketInput>,
    ) -> S3Result<S3Response<CreateBucketOutput>> {
        let bucket = request.input.bucket;
        if self.index.read().await.bucket(&bucket).is_ok() {
            return Err(s3_error!(BucketAlreadyOwnedByYou));
        }
        self.ensure_bucket(&bucket).await.map_err(S3Error::internal_error)?;
        let location = Some(format!("/{bucket}"));
        Ok(S3Response::new(CreateBucketOutput { location }))
    }

    pub(super) async fn delete_bucket(
        &self,
        request: S3Request<DeleteBucketInput>,
    ) -> S3Result<S3Response<DeleteBucketOutput>> {
        self.index.write().await.delete_bucket(&request.input.bucket)?;
        self.blobs.delete_bucket(request).await
    }

    pub(super) async fn head_bucket(
        &self,
        request: S3Request<HeadBucketInput>,
    ) -> S3Result<S3Response<HeadBucketOutput>> {
        self.index.read().await.bucket(&request.input.bucket)?;
        let bucket_region = Some(self.region.clone());
        Ok(S3Response::new(HeadBucketOutput { bucket_region, ..Default::default() }))
    }

    /// For `us-east-1` the constraint is absent.
    pub(super) async fn get_bucket_location(
        &self,
        request: S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        self.index.read().await.bucket(&request.input.bucket)?;
        let location_constraint = (self.region != "us-east-1")
            .then(|| BucketLocationConstraint::from(self.region.clone()));
        Ok(S3Response::new(GetBucketLocationOutput { location_constraint }))
    }

    pub(super) async fn list_buckets(
        &self,
        request: S3Request<ListBucketsInput>,
    ) -> S3Result<S3Response<ListBucketsOutput>> {
        let index = self.index.read().await;
        let mut response = self.blobs.list_buckets(request).await?;
        if let Some(buckets) = &mut response.output.buckets {
            buckets.retain(|it| it.name.as_ref().is_some_and(|name| index.bucket(name).is_ok()));
            buckets.sort_by(|one, other| one.name.cmp(&other.name));
        }
        Ok(response)
    }

    pub(super) async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = request.input;
        let max_keys = page_size(input.max_keys)?;
        check_encoding(input.encoding_type.as_ref())?;
        let token = input.continuation_token.as_deref().map(read_token).transpose()?;
        let index = self.index.read().await;
        let after = token.as_deref().or(input.start_after.as_deref());
        let page = page(
            index.bucket(&input.bucket)?,
            Query {
                prefix: input.prefix.as_deref().unwrap_or_default(),
                delimiter: input.delimiter.as_deref(),
                after: after.unwrap_or_default(),
                limit: usize::try_from(max_keys).unwrap_or_default(),
            },
        );
        let count = page.objects.len() + page.common_prefixes.len();
        Ok(S3Response::new(ListObjectsV2Output {
            common_prefixes: Some(common_prefixes(&page)),
            contents: Some(contents(&page)),
            continuation_token: input.continuation_token,
            delimiter: input.delimiter,
            is_truncated: Some(page.next.is_some()),
            key_count: i32::try_from(count).ok(),
            max_keys: Some(max_keys),
            name: Some(input.bucket),
            next_continuation_token: page.next.as_deref().map(write_token),
            prefix: input.prefix,
            start_after: input.start_after,
            ..Default::default()
        }))
    }

    pub(super) async fn list_objects(
        &self,
        request: S3Request<ListObjectsInput>,
    ) -> S3Result<S3Response<ListObjectsOutput>> {
        let input = request.input;
        let max_keys = page_size(input.max_keys)?;
        check_encoding(input.encoding_type.as_ref())?;
        let index = self.index.read().await;
        let page = page(
            index.bucket(&input.bucket)?,
            Query {
                prefix: input.prefix.as_deref().unwrap_or_default(),
                delimiter: input.delimiter.as_deref(),
                after: input.marker.as_deref().unwrap_or_default(),
                limit: usize::try_from(max_keys).unwrap_or_default(),
            },
        );
        Ok(S3Response::new(ListObjectsOutput {
            common_prefixes: Some(common_prefixes(&page)),
            contents: Some(contents(&page)),
            is_truncated: Some(page.next.is_some()),
            marker: input.marker,
            max_keys: Some(max_keys),
            name: Some(input.bucket),
            // Without a delimiter the client uses the last key.
            next_marker: page.next.filter(|_| input.delimiter.is_some()),
            delimiter: input.delimiter,
            prefix: input.prefix,
            ..Default::default()
        }))
    }
}

fn page_size(max_keys: Option<i32>) -> S3Result<i32> {
    let max_keys = max_keys.unwrap_or(MAX_KEYS);
    if max_keys < 0 {
        return Err(s3_error!(
            InvalidArgument,
            "Argument maxKeys must be an integer between 0 and 2147483647"
        ));
    }
    Ok(max_keys.min(MAX_KEYS))
}

fn check_encoding(encoding: Option<&EncodingType>) -> S3Result<()> {
    match encoding.map(EncodingType::as_str) {
        None | Some(EncodingType::URL) => Ok(()),
        Some(_) => Err(s3_error!(InvalidArgument, "Invalid Encoding Method specified in Request")),
    }
}

/// The token of the page after `key`.
fn write_token(key: &str) -> String {
    STANDARD.encode([TOKEN, key.as_bytes()].concat())
}

fn read_token(token: &str) -> S3Result<String> {
    let bytes = STANDARD.decode(token).ok();
    let key = bytes.as_deref().and_then(|bytes| bytes.strip_prefix(TOKEN));
    key.and_then(|key| String::from_utf8(key.to_vec()).ok())
        .ok_or_else(|| s3_error!(InvalidArgument, "The continuation token provided is incorrect"))
}

fn contents(page: &Page<'_>) -> Vec<Object> {
    let object = |(key, record): &(&str, &super::record::Record)| Object {
        e_tag: Some(record.e_tag()),
        key: Some((*key).to_owned()),
        last_modified: Some(record.modified()),
        size: i64::try_from(record.size).ok(),
        storage_class: Some(record.listed_class()),
        ..Default::default()
    };
    page.objects.iter().map(object).collect()
}

fn common_prefixes(page: &Page<'_>) -> Vec<CommonPrefix> {
    let common_prefix = |prefix: &String| CommonPrefix { prefix: Some(prefix.clone()) };
    page.common_prefixes.iter().map(common_prefix).collect()
}
