//! Deletes objects.

use s3s::dto::{
    DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput, DeletedObject,
    ETagCondition, Error, ObjectIdentifier,
};
use s3s::{S3Error, S3Request, S3Response, S3Result, s3_error};

use super::conditions::check_match;
use super::objects::check_version;
use super::service::Objects;

/// Of a single `DeleteObjects`.
const MAX_KEYS: usize = 1000;

impl Objects {
    pub(super) async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        let input = request.input;
        check_version(input.version_id.as_deref())?;
        if input.if_match_last_modified_time.is_some() || input.if_match_size.is_some() {
            return Err(s3_error!(
                NotImplemented,
                "A header you provided implies functionality that is not implemented"
            ));
        }
        self.delete(&input.bucket, &input.key, input.if_match.as_ref()).await?;
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    pub(super) async fn delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let DeleteObjectsInput { bucket, delete, .. } = request.input;
        self.index.read().await.bucket(&bucket)?;
        let keys = delete.objects.len();
        let nameless = delete.objects.iter().any(|object| object.key.is_empty());
        if keys == 0 || keys > MAX_KEYS || nameless {
            return Err(s3_error!(MalformedXML));
        }
        let (mut deleted, mut errors) = (Vec::new(), Vec::new());
        for object in delete.objects {
            match self.delete_one(&bucket, &object).await {
                Ok(()) => {
                    deleted.push(DeletedObject { key: Some(object.key), ..Default::default() });
                }
                Err(error) => errors.push(Error {
                    code: Some(error.code().as_str().to_owned()),
                    key: Some(object.key),
                    message: error.message().map(str::to_owned),
                    version_id: object.version_id,
                }),
            }
        }
        let deleted = (delete.quiet != Some(true)).then_some(deleted);
        let errors = (!errors.is_empty()).then_some(errors);
        Ok(S3Response::new(DeleteObjectsOutput { deleted, errors, ..Default::default() }))
    }

    async fn delete_one(&self, bucket: &str, object: &ObjectIdentifier) -> S3Result<()> {
        check_version(object.version_id.as_deref())?;
        if !s3s::path::check_key(&object.key) {
            return Err(s3_error!(KeyTooLongError, "Your key is too long"));
        }
        let if_match = object.e_tag.clone().map(ETagCondition::ETag);
        self.delete(bucket, &object.key, if_match.as_ref()).await
    }

    /// A missing object is no error.
    async fn delete(
        &self,
        bucket: &str,
        key: &str,
        if_match: Option<&ETagCondition>,
    ) -> Result<(), S3Error> {
        let mut index = self.index.write().await;
        check_match(if_match, &index, bucket, key)?;
        if let Some(record) = index.remove(bucket, key)? {
            self.remove_blob(bucket, &record.blob).await;
        }
        Ok(())
    }
}
