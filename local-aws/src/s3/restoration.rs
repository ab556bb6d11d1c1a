//! Restores archived objects.

use std::time::Duration;

use s3s::dto::{RestoreObjectInput, RestoreObjectOutput, Tier, Timestamp, TimestampFormat};
use s3s::{S3Error, S3Request, S3Response, S3Result, s3_error};

use super::objects::check_version;
use super::service::Objects;
use crate::clock;

impl Objects {
    /// Restores at once. A `Bulk` restoration stays ongoing forever.
    pub(super) async fn restore_object(
        &self,
        request: S3Request<RestoreObjectInput>,
    ) -> S3Result<S3Response<RestoreObjectOutput>> {
        let input = request.input;
        check_version(input.version_id.as_deref())?;
        let wanted = input.restore_request.unwrap_or_default();
        let mut index = self.index.write().await;
        let mut record = index.object(&input.bucket, &input.key)?.clone();
        if !record.headers.archived() {
            return Err(s3_error!(
                InvalidObjectState,
                "Restore is not allowed for the object's current storage class"
            ));
        }
        let tier = wanted.glacier_job_parameters.map(|job| job.tier).or(wanted.tier);
        record.restore = Some(if tier.is_some_and(|tier| tier.as_str() == Tier::BULK) {
            r#"ongoing-request="true""#.to_owned()
        } else {
            // Dates end with the year 9999.
            let days =
                wanted.days.and_then(|days| u32::try_from(days).ok()).unwrap_or(1).min(36_500);
            let expiry = Timestamp::from(clock::now() + Duration::from_hours(24) * days);
            let mut date = Vec::new();
            expiry.format(TimestampFormat::HttpDate, &mut date).map_err(S3Error::internal_error)?;
            let date = String::from_utf8_lossy(&date);
            format!(r#"ongoing-request="false", expiry-date="{date}""#)
        });
        index.put(&input.bucket, &input.key, record)?;
        Ok(S3Response::new(RestoreObjectOutput::default()))
    }
}
