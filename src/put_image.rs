//! PutImage: store an image's manifest, give it a tag, or both, in one step that happens or does
//! not.

pub mod decision;
pub mod input;
pub mod push;

use std::pin::Pin;

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt as _, MaybeDone, maybe_done};
use tokio::time::Instant;
use uuid::Uuid;

use crate::App;
use crate::access::Caller;
use crate::backoff::Backoff;
use crate::bodies::{Body, INLINE_BYTES};
use crate::call::Call;
use crate::data_key::{DataKey, Sealing};
use crate::error::{Error, Failure};
use crate::names::Digest;
use crate::repository::RepositoryRecord;
use crate::table::commit::Commit;
use crate::table::read::CONFIRMED_CHILDREN;
use crate::table::transaction::Outcome;
use decision::{Decision, Snapshot, accessible, decide, must_be_confirmed};
use input::Input;
use push::Push;

/// The action's name in IAM.
pub const ACTION: &str = "ecr:PutImage";

/// Rounds of read, decision and commit before a push gives up.
const MAX_ATTEMPTS: u32 = 24;

/// Puts an image; the answer's body.
///
/// # Errors
/// Every exception of the API reference's PutImage, `SerializationException` and
/// `AccessDeniedException`. After any of them but `ServerException` nothing is written to the table.
pub async fn put_image(app: &App, call: &mut Call, body: String) -> Result<String, Error> {
    let input = Input::parse(&body)?;
    drop(body);
    let (registry, name) = (input.registry_id.clone(), input.repository_name.clone());
    let (repository, caller) = call.addressee(ACTION, registry, name, &app.config.region)?;
    call.log.tag.clone_from(&input.image_tag);
    call.log.manifest_bytes = Some(input.image_manifest.len());

    let layer_limit = app.config.quotas.layers_per_image;
    let push = match Push::new(input, repository.clone(), layer_limit, call.answer_limit) {
        Ok(push) => push,
        Err(fault) => {
            let record = app.table.repository(&repository, &mut call.log).await?;
            accessible(record.as_ref(), &caller, &repository, &app.config.region)?;
            return Err(fault);
        }
    };
    call.log.digest = Some(push.digest.clone());
    call.log.media_type = Some(push.manifest.media_type.as_str());
    call.log.layers = Some(push.manifest.layers().len());
    call.log.children = Some(push.manifest.children().len());

    Pushing::new(app, call, caller, &push).run().await?;
    Ok(push.answer)
}

/// A push on its way: what outlives an attempt.
struct Pushing<'a> {
    app: &'a App,
    call: &'a mut Call,
    caller: Caller,
    push: &'a Push,
    put_id: String,
    /// Which layers are missing: asked beside the first read, looked at only when it matters.
    layers: MaybeDone<BoxFuture<'a, Result<Vec<Digest>, Failure>>>,
    /// The new image's body, and the life of the repository that it was stored for.
    body: Option<(String, Body)>,
}

/// How an attempt ended.
enum Attempt {
    Committed,
    /// Somebody else changed what had been read.
    Again,
    /// The repository of this name is not the one that the process remembered.
    Stale,
}

/// A data key that has been asked for.
type PendingKey<'a> = MaybeDone<BoxFuture<'a, Result<DataKey, Error>>>;

impl<'a> Pushing<'a> {
    fn new(app: &'a App, call: &'a mut Call, caller: Caller, push: &'a Push) -> Self {
        let layers = app.layers.missing(&push.repository, push.manifest.layers()).boxed();
        let put_id = Uuid::new_v4().simple().to_string();
        Self { app, call, caller, push, put_id, layers: maybe_done(layers), body: None }
    }

    async fn run(mut self) -> Result<(), Error> {
        let mut backoff = Backoff::default();
        for attempt in 0..MAX_ATTEMPTS {
            self.call.log.attempts += 1;
            match self.attempt(attempt).await? {
                Attempt::Committed => return Ok(()),
                Attempt::Again => backoff.pause().await,
                Attempt::Stale => {}
            }
        }
        Err(Failure::new("committing a push: every attempt met another writer").into())
    }

    async fn attempt(&mut self, attempt: u32) -> Result<Attempt, Error> {
        let (app, push) = (self.app, self.push);
        let began = Instant::now();
        let repo_id = self.repo_id().await?;
        let read = app.table.snapshot(push, &repo_id, &mut self.call.log);
        let mut snapshot = beside(&mut self.layers, read).await?;
        let mut record = self.accessible(&snapshot)?;
        if record.repo_id != repo_id {
            app.table.remember(&push.repository, &record.repo_id);
            return Ok(Attempt::Stale);
        }
        let mut key = self.ask_for_key(&record, &snapshot);
        if snapshot.image.is_none() && push.is_big_index() {
            let missing = app.table.missing_children(push, &repo_id, &mut self.call.log).await?;
            snapshot.missing_children = missing;
        }
        self.call.log.read += began.elapsed();

        let mut decision = self.decide(&record, &snapshot, &mut key).await?;
        if matches!(&decision, Decision::Refuse(error) if must_be_confirmed(error)) {
            let missing = snapshot.missing_children;
            let (read_children, del_epoch) = (snapshot.image.is_none(), record.del_epoch);
            snapshot = app.table.confirm(push, &repo_id, &missing, &mut self.call.log).await?;
            record = self.accessible(&snapshot)?;
            if record.repo_id != repo_id {
                app.table.remember(&push.repository, &record.repo_id);
                return Ok(Attempt::Again);
            }
            if push.is_big_index() && missing.len() > CONFIRMED_CHILDREN {
                if snapshot.missing_children.is_empty() {
                    return Ok(Attempt::Again);
                }
                let unseen = missing.into_iter().skip(CONFIRMED_CHILDREN);
                snapshot.missing_children.extend(unseen);
            }
            decision = self.decide(&record, &snapshot, &mut key).await?;
            // The snapshot lacks the children that were there. They still are if nothing was deleted
            // since they were read; else their absence might have been the answer all the while.
            let holds = match &decision {
                Decision::Commit | Decision::CheckLayers => false,
                Decision::Refuse(Error::LimitExceeded { .. }) if snapshot.image.is_none() => {
                    read_children && record.del_epoch == del_epoch
                }
                Decision::Refuse(_) => true,
            };
            if push.is_big_index() && !holds {
                return Ok(Attempt::Again);
            }
        }
        match decision {
            Decision::Refuse(error) => Err(error),
            // `Pushing::decide` has checked the layers.
            Decision::CheckLayers | Decision::Commit => {
                self.commit(attempt, &record, &snapshot, key).await
            }
        }
    }

    /// The id of the repository: remembered, or read.
    async fn repo_id(&mut self) -> Result<String, Error> {
        let repository = &self.push.repository;
        if let Some(repo_id) = self.app.table.remembered(repository) {
            return Ok(repo_id);
        }
        let read = self.app.table.repository(repository, &mut self.call.log);
        let record = beside(&mut self.layers, read).await?;
        let region = &self.app.config.region;
        let record = accessible(record.as_ref(), &self.caller, repository, region)?;
        self.app.table.remember(repository, &record.repo_id);
        Ok(record.repo_id.clone())
    }

    fn accessible(&mut self, snapshot: &Snapshot) -> Result<RepositoryRecord, Error> {
        let (repository, region) = (&self.push.repository, &self.app.config.region);
        let record = accessible(snapshot.repository.as_ref(), &self.caller, repository, region)
            .inspect_err(|_| self.app.table.forget(repository))?;
        self.call.log.encryption = Some(record.encryption.as_str());
        Ok(record.clone())
    }

    /// Whether an earlier attempt has stored the body for this life of the repository.
    fn has_body(&self, record: &RepositoryRecord) -> bool {
        self.body.as_ref().is_some_and(|(repo_id, _)| *repo_id == record.repo_id)
    }

    /// A new image of a repository with a KMS key needs a data key: it comes while the layers are
    /// looked for.
    fn ask_for_key(
        &self,
        record: &RepositoryRecord,
        snapshot: &Snapshot,
    ) -> Option<PendingKey<'a>> {
        let kms_key = record.encryption.kms_key()?.to_owned();
        if snapshot.image.is_some() || self.has_body(record) {
            return None;
        }
        let (app, repository) = (self.app, &self.push.repository);
        let key = async move {
            let arn = repository.arn(&app.config.region);
            app.data_keys.generate(repository, &arn, &kms_key).await
        };
        Some(maybe_done(key.boxed()))
    }

    async fn decide(
        &mut self,
        record: &RepositoryRecord,
        snapshot: &Snapshot,
        key: &mut Option<PendingKey<'a>>,
    ) -> Result<Decision, Error> {
        let quotas = &self.app.config.quotas;
        let decision = decide(self.push, record, snapshot, None, quotas);
        if !matches!(decision, Decision::CheckLayers) {
            return Ok(decision);
        }
        let began = Instant::now();
        match key {
            Some(key) => beside(key, &mut self.layers).await,
            None => (&mut self.layers).await,
        }
        self.call.log.layers_wait += began.elapsed();
        match Pin::new(&mut self.layers).output_mut() {
            Some(Ok(missing)) => Ok(decide(self.push, record, snapshot, Some(missing), quotas)),
            _ => match Pin::new(&mut self.layers).take_output() {
                Some(Err(failure)) => Err(failure.into()),
                _ => Err(Failure::new("looking for layers").into()),
            },
        }
    }

    async fn commit(
        &mut self,
        attempt: u32,
        record: &RepositoryRecord,
        snapshot: &Snapshot,
        key: Option<PendingKey<'a>>,
    ) -> Result<Attempt, Error> {
        let is_new = snapshot.image.is_none();
        self.call.log.new_image = Some(is_new);
        self.call.log.tag_moved = Some(snapshot.tag.is_some());
        if is_new {
            self.store_body(record, key).await?;
        }
        let began = Instant::now();
        let commit = Commit {
            push: self.push,
            record,
            snapshot,
            body: self.body.as_ref().filter(|_| is_new).map(|(_, body)| body),
            put_id: &self.put_id,
            attempt,
            at: self.call.began_at,
            quotas: &self.app.config.quotas,
        };
        let outcome = self.app.table.commit(&commit, &mut self.call.log).await;
        self.call.log.commit += began.elapsed();
        match outcome? {
            Outcome::Committed => Ok(Attempt::Committed),
            Outcome::StartAgain => Ok(Attempt::Again),
        }
    }

    /// Encrypts the manifest if its repository asks for it, and stores it if it is too large for
    /// an item; once per life of the repository, whatever the number of attempts.
    async fn store_body(
        &mut self,
        record: &RepositoryRecord,
        key: Option<PendingKey<'a>>,
    ) -> Result<(), Error> {
        if self.has_body(record) {
            return Ok(());
        }
        let (app, push) = (self.app, self.push);
        let arn = push.repository.arn(&app.config.region);
        let began = Instant::now();
        let bytes = match record.encryption.kms_key() {
            None => push.manifest_bytes.clone(),
            Some(kms_key) => {
                let key = match key {
                    Some(mut key) => {
                        (&mut key).await;
                        Pin::new(&mut key).take_output()
                    }
                    None => None,
                };
                let key = match key {
                    Some(key) => key?,
                    // The image was there at the read and gone when it was confirmed.
                    None => app.data_keys.generate(&push.repository, &arn, kms_key).await?,
                };
                self.call.log.key_wait += began.elapsed();
                let media_type = push.manifest.media_type.as_str();
                let sealing = Sealing { repository_arn: &arn, digest: &push.digest, media_type };
                Bytes::from(key.seal(sealing, &push.manifest_bytes)?)
            }
        };
        let began = Instant::now();
        let body = if bytes.len() > INLINE_BYTES {
            let (repository, digest) = (&push.repository, &push.digest);
            let content = match record.encryption.kms_key() {
                None => digest.clone(),
                Some(_) => Digest::of(&bytes),
            };
            let (repo_id, put_id) = (&record.repo_id, &self.put_id);
            app.bodies.put(repository, repo_id, digest, put_id, bytes, &content).await?
        } else {
            Body::Inline(bytes)
        };
        self.call.log.commit += began.elapsed();
        self.call.log.stored = Some(body.place());
        self.body = Some((record.repo_id.clone(), body));
        Ok(())
    }
}

/// Drives `background` while `main` runs, and returns when `main` does.
async fn beside<B: Future + Unpin, M: Future>(background: &mut MaybeDone<B>, main: M) -> M::Output {
    let mut main = std::pin::pin!(main);
    std::future::poll_fn(|context| {
        let _ = Pin::new(&mut *background).poll(context);
        main.as_mut().poll(context)
    })
    .await
}
