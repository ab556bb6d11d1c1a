//! The records of all objects: in memory, and in one file each if the stack has a directory.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use axum::body::Bytes;
use s3s::{S3Error, S3Result, s3_error};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::record::Record;
use crate::file;

/// The objects of a bucket by key, which is the order of listings.
pub(super) type Bucket = BTreeMap<String, Record>;

#[derive(Debug)]
pub(super) struct Index {
    /// `<directory>/<bucket>/<SHA-256 of the key>.json` is an object's file.
    directory: Option<PathBuf>,
    buckets: BTreeMap<String, Bucket>,
}

/// A record's file. It contains the key because its name is a digest.
#[derive(Deserialize, Serialize)]
struct RecordFile {
    key: String,
    record: Record,
}

impl Index {
    /// Reads the records in `directory`, or starts in memory.
    pub(super) fn open(directory: Option<PathBuf>) -> io::Result<Self> {
        let mut buckets = BTreeMap::new();
        if let Some(directory) = &directory {
            fs::create_dir_all(directory)?;
            for bucket in fs::read_dir(directory)? {
                let bucket = bucket?;
                let name = bucket.file_name().to_string_lossy().into_owned();
                buckets.insert(name, read_bucket(&bucket.path())?);
            }
        }
        Ok(Index { directory, buckets })
    }

    pub(super) fn bucket(&self, bucket: &str) -> S3Result<&Bucket> {
        self.buckets.get(bucket).ok_or_else(|| s3_error!(NoSuchBucket))
    }

    pub(super) fn object(&self, bucket: &str, key: &str) -> S3Result<&Record> {
        self.bucket(bucket)?.get(key).ok_or_else(|| s3_error!(NoSuchKey))
    }

    pub(super) fn create_bucket(&mut self, bucket: &str) -> S3Result<()> {
        if let Some(directory) = &self.directory {
            fs::create_dir_all(directory.join(bucket)).map_err(S3Error::internal_error)?;
        }
        self.buckets.entry(bucket.to_owned()).or_default();
        Ok(())
    }

    pub(super) fn delete_bucket(&mut self, bucket: &str) -> S3Result<()> {
        if !self.bucket(bucket)?.is_empty() {
            return Err(s3_error!(BucketNotEmpty));
        }
        if let Some(directory) = &self.directory {
            fs::remove_dir(directory.join(bucket)).map_err(S3Error::internal_error)?;
        }
        self.buckets.remove(bucket);
        Ok(())
    }

    /// Makes `record` the object and returns the record that it replaces. The change is durable when
    /// this returns.
    pub(super) fn put(
        &mut self,
        bucket: &str,
        key: &str,
        record: Record,
    ) -> S3Result<Option<Record>> {
        self.bucket(bucket)?;
        if let Some(path) = self.path(bucket, key) {
            let file = RecordFile { key: key.to_owned(), record: record.clone() };
            let content = serde_json::to_vec(&file).map_err(S3Error::internal_error)?;
            file::replace(&path, &content).map_err(S3Error::internal_error)?;
        }
        Ok(self.buckets.entry(bucket.to_owned()).or_default().insert(key.to_owned(), record))
    }

    /// Removes the object and returns its record.
    pub(super) fn remove(&mut self, bucket: &str, key: &str) -> S3Result<Option<Record>> {
        self.bucket(bucket)?;
        if let Some(path) = self.path(bucket, key) {
            file::remove(&path).map_err(S3Error::internal_error)?;
        }
        Ok(self.buckets.get_mut(bucket).and_then(|bucket| bucket.remove(key)))
    }

    fn path(&self, bucket: &str, key: &str) -> Option<PathBuf> {
        let directory = self.directory.as_ref()?;
        let digest = Bytes::copy_from_slice(&Sha256::digest(key));
        Some(directory.join(bucket).join(format!("{digest:x}.json")))
    }
}

fn read_bucket(directory: &Path) -> io::Result<Bucket> {
    let mut bucket = Bucket::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let file: RecordFile = serde_json::from_slice(&fs::read(path)?)?;
            bucket.insert(file.key, file.record);
        }
    }
    Ok(bucket)
}
