//! The sweeper: deletes bodies in S3 that no image refers to. It is a separate function, because a
//! push must not have the right to delete.
//!
//! A push puts a large manifest into S3 before it commits, under a key that names the call. If it
//! then does not commit, or another push of the image did, the body is an orphan; so are those of
//! an image that was deleted and of a repository that was purged.
//!
//! A body may be deleted once it is [`SWEPT_AFTER`] old and its image's item, read consistently, is
//! not there or refers to another (docs/SEMANTICS.md). Nothing can refer to it later: only the call
//! that its key names may, a call ends within 28 seconds, and DynamoDB rejects a request whose
//! signature is older than five minutes. A day is more than two hundred times as long, so that
//! differences between the clocks of S3 and Lambda do not matter.

use std::time::Duration;

use aws_config::SdkConfig;
use futures_util::stream::{self, StreamExt as _};
use serde::Serialize;
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use crate::config::SweeperConfig;
use crate::failure::{Failure, causes};
use crate::stores::manifests::{self, Manifests, StoredBody};
use crate::stores::table::items::{body_key_from_item, image_key};
use crate::stores::table::{Table, Usage};

/// The least age of a body that is deleted.
pub const SWEPT_AFTER: Duration = Duration::from_hours(24);

/// Bodies that are checked concurrently.
const AT_ONCE: usize = 32;

/// The sweeper, with the table that it reads and the bucket that it cleans.
#[derive(Debug)]
pub struct Sweeper {
    table: Table,
    manifests: Manifests,
}

/// What a run did, for the log and as the function's response.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Swept {
    /// Bodies deleted.
    pub orphans: u64,
    /// Bodies kept, because their images refer to them.
    pub referenced: u64,
    /// Bodies kept, because they are younger than [`SWEPT_AFTER`].
    pub young: u64,
    /// Objects kept, because no push wrote them: their keys have another form.
    pub foreign: u64,
    /// Bodies kept, because the table or S3 failed.
    pub failed: u64,
    /// Whether the run listed the whole bucket before its deadline.
    pub complete: bool,
}

/// The result for one body.
enum Fate {
    Orphan,
    Referenced,
    Young,
    Foreign,
}

impl Sweeper {
    /// The sweeper in the account and region that `aws` names. Makes no call.
    #[must_use]
    pub fn new(config: SweeperConfig, aws: &SdkConfig) -> Self {
        Self {
            table: Table::new(aws, config.table),
            manifests: Manifests::new(aws, config.manifest_bucket),
        }
    }

    /// Deletes all orphans that were written before `before` (since 1970), as far as `deadline`
    /// lets it. Writes the run's one event: `error` with the first cause where something failed,
    /// else `info`.
    ///
    /// A run begins at a random key and continues at the first key after the last, so that runs
    /// that are cut off reach every body in time.
    ///
    /// # Errors
    /// The first failure of the table or of S3. All other orphans are deleted nevertheless.
    pub async fn sweep(&self, before: Duration, deadline: Instant) -> Result<Swept, Failure> {
        let began = Instant::now();
        let mut run = Run::default();
        let start = format!("{}{}", manifests::PREFIX, Uuid::new_v4());
        let round = async {
            self.sweep_between(&start, None, before, &mut run).await
                && self.sweep_between("", Some(&start), before, &mut run).await
        };
        let complete = timeout_at(deadline, round).await.unwrap_or(false);
        let swept = Swept { complete, ..run.swept };
        swept.report(run.failure.as_ref(), began.elapsed());
        run.failure.map_or(Ok(swept), Err)
    }

    /// Whether all keys after `after`, up to `until`, were listed.
    async fn sweep_between(
        &self,
        after: &str,
        until: Option<&str>,
        before: Duration,
        run: &mut Run,
    ) -> bool {
        let mut after = after.to_owned();
        loop {
            let mut page = match self.manifests.list(&after).await {
                Ok(page) => page,
                Err(failure) => {
                    run.fail(failure);
                    return false;
                }
            };
            page.retain(|body| until.is_none_or(|until| *body.key <= *until));
            let Some(last) = page.last() else { return true };
            after.clone_from(&last.key);
            let fates: Vec<_> = page.iter().map(|body| self.look_at(body, before)).collect();
            let mut fates = stream::iter(fates).buffer_unordered(AT_ONCE);
            while let Some(fate) = fates.next().await {
                run.count(fate);
            }
        }
    }

    async fn look_at(&self, body: &StoredBody, before: Duration) -> Result<Fate, Failure> {
        let Some((repo_id, digest)) = manifests::image_of(&body.key) else {
            return Ok(Fate::Foreign);
        };
        if body.written >= before {
            return Ok(Fate::Young);
        }
        let usage = &mut Usage::default();
        let image = self.table.get("reading an image", image_key(repo_id, &digest), usage).await?;
        let body_key = image.map(body_key_from_item).transpose()?.flatten();
        if body_key.is_some_and(|key| key == body.key) {
            return Ok(Fate::Referenced);
        }
        self.manifests.delete(&body.key).await?;
        Ok(Fate::Orphan)
    }
}

#[derive(Default)]
struct Run {
    swept: Swept,
    failure: Option<Failure>,
}

impl Run {
    fn count(&mut self, fate: Result<Fate, Failure>) {
        let swept = &mut self.swept;
        match fate {
            Ok(Fate::Orphan) => swept.orphans += 1,
            Ok(Fate::Referenced) => swept.referenced += 1,
            Ok(Fate::Young) => swept.young += 1,
            Ok(Fate::Foreign) => swept.foreign += 1,
            Err(failure) => {
                swept.failed += 1;
                self.fail(failure);
            }
        }
    }

    fn fail(&mut self, failure: Failure) {
        self.failure.get_or_insert(failure);
    }
}

impl Swept {
    fn report(&self, failure: Option<&Failure>, total: Duration) {
        macro_rules! event {
            ($level:expr) => {
                tracing::event!(
                    $level,
                    orphans = self.orphans,
                    referenced = self.referenced,
                    young = self.young,
                    foreign = self.foreign,
                    failed = self.failed,
                    complete = self.complete,
                    total_ms = u64::try_from(total.as_millis()).unwrap_or(u64::MAX),
                    aws_error_code = failure.and_then(|failure| failure.aws_code.as_deref()),
                    cause = failure.map(|failure| causes(failure)),
                    "sweep"
                )
            };
        }
        if failure.is_some() {
            event!(tracing::Level::ERROR);
        } else {
            event!(tracing::Level::INFO);
        }
    }
}
