//! The other writers (sections 6 and 7): settings, deletions, the purge, re-creation and the
//! sweeper.

use crate::Protocol;
use crate::deleter::{Deleter, delete_image, tags_of};
use crate::mutants::Mutant;
use crate::state::{Actor, State};
use crate::store::{BodyKey, Digest, Digests, Item, Key, Meta, RepoId, Rev, Store, Tag};

/// An actor that runs concurrently with the pushes.
#[derive(Debug, Clone)]
pub enum Other {
    /// These operations, in this order. One that is rejected changes nothing.
    Script(&'static [Operation]),
    /// Deletes this image as section 7.2 says: reads first, then one transaction.
    Deleter(Digest),
    /// Sweeps one body.
    Sweeper,
}

/// Another API's call that is one transaction, whatever it read before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Changes the settings: a new `rev`.
    SetImmutable(bool),
    /// Deletes the repository, if it is empty.
    Delete,
    /// Deletes the repository with its images.
    ForceDelete,
    /// Removes the items of earlier incarnations.
    Purge,
    /// Creates the repository, if there is none.
    Create {
        /// Whether its tags are immutable.
        is_immutable: bool,
    },
    /// Deletes a tag.
    DeleteTag(Tag),
    /// Deletes an image with its tags, if no index needs it.
    DeleteImage(Digest),
}

/// How far a sweep has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the results of its reads so far")]
pub enum Sweeper {
    Idle,
    HasListed(BodyKey),
    MayDelete(BodyKey),
    Done,
}

/// A step of another actor than a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OtherStep {
    /// The script's next operation.
    Run(Operation),
    /// The deletion's next read, or its transaction.
    GoOn,
    /// The sweeper lists and picks this body.
    Pick(BodyKey),
    /// The sweeper does nothing.
    Rest,
}

impl Operation {
    fn run(self, store: &mut Store, protocol: &Protocol) {
        match self {
            Self::Purge => {
                let living = store.meta().map(|meta| meta.repo_id);
                store.0.retain(|key, _| key.life().is_none_or(|life| Some(life) == living));
            }
            Self::Create { is_immutable } if store.meta().is_none() => {
                store.put(Key::Meta, Item::Meta(Meta::new(RepoId(2), is_immutable)));
            }
            _ => {
                if let Some(meta) = store.meta() {
                    self.run_inside(meta, store, protocol);
                }
            }
        }
    }

    fn run_inside(self, meta: Meta, store: &mut Store, protocol: &Protocol) {
        match self {
            Self::SetImmutable(immutable) => {
                if let Some(meta) = store.meta_mut() {
                    meta.immutable = immutable;
                    meta.rev.change += u8::from(!protocol.has(Mutant::SettingsKeepTheirRev));
                }
            }
            Self::Delete if meta.image_count > 0 => {}
            Self::Delete | Self::ForceDelete => store.remove(Key::Meta),
            Self::DeleteTag(tag) => {
                if let Some(item) = store.tag(meta.repo_id, tag) {
                    store.remove(Key::Tag(meta.repo_id, tag));
                    if let Some(image) = store.image_mut(meta.repo_id, item.digest) {
                        image.tag_count = image.tag_count.wrapping_sub(1);
                    }
                }
            }
            Self::DeleteImage(digest) => {
                let is_child = store.images(meta.repo_id).any(|(_, i)| i.children.contains(digest));
                if let Some(image) = store.image(meta.repo_id, digest).filter(|_| !is_child) {
                    let tags = tags_of(digest, meta.repo_id, store);
                    delete_image(meta.repo_id, digest, image, &tags, store, protocol);
                }
            }
            Self::Purge | Self::Create { .. } => {}
        }
    }
}

impl Actor {
    /// The steps that another actor than a push can take now.
    pub(crate) fn other_steps(
        &self,
        other: &Other,
        protocol: &Protocol,
        state: &State,
    ) -> Vec<OtherStep> {
        match (self, other) {
            (Self::Script(next), Other::Script(script)) => {
                script.get(*next).map(|&operation| OtherStep::Run(operation)).into_iter().collect()
            }
            (Self::Deleter(deleter), _) if *deleter != Deleter::Done => vec![OtherStep::GoOn],
            (Self::Sweeper(Sweeper::Idle), _) => {
                let picks_any = protocol.has(Mutant::SweepBodiesOfAnyAge);
                let old = state.bodies.iter().filter(|&&body| picks_any || state.is_old(body));
                old.map(|&body| OtherStep::Pick(body)).chain([OtherStep::Rest]).collect()
            }
            (Self::Sweeper(Sweeper::HasListed(_) | Sweeper::MayDelete(_)), _) => {
                vec![OtherStep::GoOn]
            }
            _ => Vec::new(),
        }
    }

    /// Takes a step of another actor than a push.
    pub(crate) fn other_step(
        self,
        step: OtherStep,
        other: &Other,
        protocol: &Protocol,
        state: &mut State,
    ) -> Option<Self> {
        Some(match (self, step) {
            (Self::Script(next), OtherStep::Run(operation)) => {
                operation.run(&mut state.store, protocol);
                Self::Script(next + 1)
            }
            (Self::Deleter(deleter), OtherStep::GoOn) => {
                let Other::Deleter(digest) = *other else { return None };
                Self::Deleter(deleter.go_on(digest, protocol, state))
            }
            (Self::Sweeper(_), OtherStep::Pick(body)) => Self::Sweeper(Sweeper::HasListed(body)),
            (Self::Sweeper(_), OtherStep::Rest) => Self::Sweeper(Sweeper::Done),
            (Self::Sweeper(sweeper), OtherStep::GoOn) => {
                Self::Sweeper(sweeper.go_on(protocol, state))
            }
            _ => return None,
        })
    }
}

impl Sweeper {
    /// Reads the row that the body's key names, then deletes the body unless the row names it.
    fn go_on(self, protocol: &Protocol, state: &mut State) -> Self {
        match self {
            Self::HasListed(body) => {
                let row = state.read(Key::Image(body.repo_id, body.digest));
                let named = row.and_then(Item::image).and_then(|row| row.body_key);
                let keeps = named == Some(body) && !protocol.has(Mutant::SweepWithoutReading);
                if keeps { Self::Done } else { Self::MayDelete(body) }
            }
            Self::MayDelete(body) => {
                state.bodies.remove(&body);
                Self::Done
            }
            Self::Idle | Self::Done => Self::Done,
        }
    }
}

impl Meta {
    /// META of a repository that was just created.
    pub(crate) fn new(repo_id: RepoId, immutable: bool) -> Self {
        Self {
            repo_id,
            rev: Rev { life: repo_id, change: 1 },
            immutable,
            image_count: 0,
            del_epoch: 0,
            big_indexes: Digests::default(),
        }
    }
}
