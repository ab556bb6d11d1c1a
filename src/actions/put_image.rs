//! PutImage: stores an image's manifest, gives it a tag, or both, in one transaction.

pub(crate) mod body;
mod commit;
pub(crate) mod input;
pub(crate) mod push;
mod rules;
mod snapshot;

use tokio::time::Instant;
use uuid::Uuid;

use crate::api::call::Call;
use crate::api::error::Error;
use crate::app::App;
use crate::background::Background;
use crate::ecr::manifest::MediaType;
use crate::ecr::names::{Digest, RepositoryRef};
use crate::ecr::repository::{Quotas, RepositoryRecord};
use crate::failure::Failure;
use crate::retry::Backoff;
use crate::stores::table::transaction::Outcome;
use body::{Body, PendingKey};
use commit::Commit;
use input::Input;
use push::Push;
use rules::FirstRead;
use snapshot::Snapshot;

/// Rounds of read, check and commit before a push gives up.
const MAX_ATTEMPTS: u32 = 24;

/// Puts an image and returns the response's body.
///
/// # Errors
/// Every exception of the API reference's PutImage, `SerializationException` and
/// `AccessDeniedException`. After any of them but `ServerException` nothing is written to the
/// table.
pub(crate) async fn put_image(app: &App, call: &mut Call, body: String) -> Result<String, Error> {
    let (repository, push) = parse(call, body, &app.config.quotas)?;
    let push = match push {
        Ok(push) => push,
        // Only a caller with access may learn from the error that the repository exists.
        Err(fault) => {
            let record = app.table.repository(&repository, &mut call.log.usage).await?;
            call.accessible(&repository, record.as_ref())?;
            return Err(fault);
        }
    };
    let media_type = Pushing::new(app, call, &push).run().await?;
    call.log.push.media_type = Some(media_type.as_str());
    Ok(push.into_response(media_type))
}

/// Reads the request without calling a store. Returns the repository, and the push or the error
/// that is returned to callers with access.
///
/// # Errors
/// Faults of the request's members, and a request that no AWS account signed.
pub(crate) fn parse(
    call: &mut Call,
    body: String,
    quotas: &Quotas,
) -> Result<(RepositoryRef, Result<Push, Error>), Error> {
    let input = Input::parse(&body)?;
    drop(body);
    let registry = input.registry_id.clone();
    let repository = call.repository(registry, input.repository_name.clone())?;
    let facts = &mut call.log.push;
    facts.tag.clone_from(&input.image_tag);
    facts.manifest_bytes = Some(input.image_manifest.len());
    let push = Push::new(input, repository.clone(), quotas.layers_per_image, call.response_limit);
    if let Ok(push) = &push {
        facts.digest = Some(push.digest.clone());
        facts.media_type = Some(push.manifest.media_type.as_str());
        facts.layers = Some(push.manifest.layers().len());
        facts.children = Some(push.manifest.children().len());
    }
    Ok((repository, push))
}

/// A push in progress: what its attempts share.
struct Pushing<'a> {
    app: &'a App,
    call: &'a mut Call,
    push: &'a Push,
    put_id: String,
    /// The layers are looked for concurrently with the first read.
    layers: Background<'a, Result<Vec<Digest>, Failure>>,
    /// What `layers` found, once it was needed.
    missing_layers: Vec<Digest>,
    /// The new image's body, once it is stored.
    body: Option<Body>,
}

/// How an attempt ended.
enum Attempt {
    /// With an image of this type.
    Committed(MediaType),
    /// Another call changed what had been read.
    Again,
    /// The process remembered the id of another incarnation of the repository.
    Stale,
}

impl<'a> Pushing<'a> {
    fn new(app: &'a App, call: &'a mut Call, push: &'a Push) -> Self {
        let layers = app.layers.missing(&push.repository, push.manifest.layers());
        Self {
            app,
            call,
            push,
            put_id: Uuid::new_v4().simple().to_string(),
            layers: Background::new(layers),
            missing_layers: Vec::new(),
            body: None,
        }
    }

    async fn run(mut self) -> Result<MediaType, Error> {
        let mut backoff = Backoff::default();
        for attempt in 0..MAX_ATTEMPTS {
            self.call.log.push.attempts += 1;
            match self.attempt(attempt).await? {
                Attempt::Committed(media_type) => return Ok(media_type),
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
        let read = snapshot::read(&app.table, push, &repo_id, &mut self.call.log.usage);
        let mut snapshot = self.layers.during(read).await?;
        let Some(record) = self.record(&snapshot, &repo_id)? else { return Ok(Attempt::Stale) };
        // The key is requested while the layers are looked for.
        let mut key = self.ask_for_key(&record, &snapshot);
        if snapshot.image.is_none() && push.is_big_index() {
            let usage = &mut self.call.log.usage;
            snapshot.missing_children =
                snapshot::missing_children(&app.table, push, &repo_id, usage).await?;
        }
        self.call.log.push.read += began.elapsed();

        match self.check(&record, &snapshot, &mut key).await {
            Ok(()) => self.commit(attempt, &record, &snapshot, key).await,
            Err(error) if rules::must_be_confirmed(&error) => {
                self.confirm(attempt, &record, snapshot, key).await
            }
            Err(error) => Err(error),
        }
    }

    /// Reads and checks again, at one instant. Then the push is rejected, commits or starts again.
    async fn confirm(
        &mut self,
        attempt: u32,
        seen: &RepositoryRecord,
        first: Snapshot,
        mut key: Option<PendingKey<'a>>,
    ) -> Result<Attempt, Error> {
        let (app, push, repo_id) = (self.app, self.push, &seen.repo_id);
        let (usage, missing) = (&mut self.call.log.usage, first.missing_children);
        let mut snapshot = snapshot::confirm(&app.table, push, repo_id, &missing, usage).await?;
        let Some(record) = self.record(&snapshot, repo_id)? else { return Ok(Attempt::Again) };
        if push.is_big_index() && !snapshot.add_unconfirmed(missing) {
            return Ok(Attempt::Again);
        }
        let result = self.check(&record, &snapshot, &mut key).await;
        let first =
            FirstRead { children_were_read: first.image.is_none(), del_epoch: seen.del_epoch };
        if !rules::is_proven(push, first, &record, &snapshot, &result) {
            return Ok(Attempt::Again);
        }
        result?;
        self.commit(attempt, &record, &snapshot, key).await
    }

    /// The id of the repository: remembered, or read.
    async fn repo_id(&mut self) -> Result<String, Error> {
        let (app, repository) = (self.app, &self.push.repository);
        if let Some(repo_id) = app.repo_ids.get(repository) {
            return Ok(repo_id);
        }
        let read = app.table.repository(repository, &mut self.call.log.usage);
        let record = self.layers.during(read).await?;
        let record = self.call.accessible(repository, record.as_ref())?;
        app.repo_ids.remember(repository, &record.repo_id);
        Ok(record.repo_id.clone())
    }

    /// The repository's record, where the caller has access; `None` where it is of another
    /// incarnation than the one whose items were read.
    fn record(
        &mut self,
        snapshot: &Snapshot,
        repo_id: &str,
    ) -> Result<Option<RepositoryRecord>, Error> {
        let (repo_ids, repository) = (&self.app.repo_ids, &self.push.repository);
        let record = self
            .call
            .accessible(repository, snapshot.repository.as_ref())
            .inspect_err(|_| repo_ids.forget(repository))?;
        if record.repo_id != repo_id {
            repo_ids.remember(repository, &record.repo_id);
            return Ok(None);
        }
        Ok(Some(record.clone()))
    }

    async fn check(
        &mut self,
        record: &RepositoryRecord,
        snapshot: &Snapshot,
        key: &mut Option<PendingKey<'a>>,
    ) -> Result<(), Error> {
        let quotas = &self.app.config.quotas;
        rules::check(self.push, record, snapshot, quotas)?;
        if snapshot.image.is_some() {
            return Ok(());
        }
        let began = Instant::now();
        let found = match key {
            Some(key) => key.during(self.layers.take()).await,
            None => self.layers.take().await,
        };
        self.call.log.push.layers_wait += began.elapsed();
        if let Some(found) = found {
            self.missing_layers = found?;
        }
        rules::check_new_image(self.push, record, snapshot, &self.missing_layers, quotas)
    }

    async fn commit(
        &mut self,
        attempt: u32,
        record: &RepositoryRecord,
        snapshot: &Snapshot,
        key: Option<PendingKey<'a>>,
    ) -> Result<Attempt, Error> {
        let is_new = snapshot.image.is_none();
        self.call.log.push.new_image = Some(is_new);
        self.call.log.push.tag_moved = Some(snapshot.tag.is_some());
        if is_new && !self.has_body(record) {
            self.store_body(record, key).await?;
        }
        let began = Instant::now();
        let commit = Commit {
            push: self.push,
            record,
            snapshot,
            place: self.body.as_ref().filter(|_| is_new).map(|body| &body.place),
            put_id: &self.put_id,
            attempt,
            at: self.call.began_at,
            quotas: &self.app.config.quotas,
        };
        let outcome = commit.send(&self.app.table, &mut self.call.log.usage).await;
        self.call.log.push.commit += began.elapsed();
        match outcome? {
            Outcome::Committed => Ok(Attempt::Committed(commit.media_type())),
            Outcome::StartAgain => Ok(Attempt::Again),
        }
    }

    /// Whether an earlier attempt has stored the body for this incarnation of the repository.
    fn has_body(&self, record: &RepositoryRecord) -> bool {
        self.body.as_ref().is_some_and(|body| body.repo_id == record.repo_id)
    }

    fn ask_for_key(
        &self,
        record: &RepositoryRecord,
        snapshot: &Snapshot,
    ) -> Option<PendingKey<'a>> {
        if snapshot.image.is_some() || self.has_body(record) {
            return None;
        }
        body::ask_for_key(self.app, &self.push.repository, record)
    }

    async fn store_body(
        &mut self,
        record: &RepositoryRecord,
        key: Option<PendingKey<'a>>,
    ) -> Result<(), Error> {
        let facts = &mut self.call.log.push;
        let place = body::store(self.app, self.push, &self.put_id, record, key, facts).await?;
        facts.stored = Some(place.as_str());
        self.body = Some(Body { repo_id: record.repo_id.clone(), place });
        Ok(())
    }
}
