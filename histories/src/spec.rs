//! The specification: a repository as one object whose calls happen one after another.

use std::collections::{BTreeMap, BTreeSet};

use stateright::semantics::SequentialSpec;

/// Images that one repository of a history may hold.
pub(crate) const IMAGES: usize = 3;
/// Tags that one image of a history may have.
pub(crate) const TAGS: usize = 2;

/// One of a history's few images. The last is an index of the first.
pub(crate) type Image = usize;
/// One of a history's few tags.
pub(crate) type Tag = usize;

/// A call.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Op {
    Put {
        image: Image,
        tag: Option<Tag>,
    },
    SetMutability {
        immutable: bool,
    },
    DeleteImage(Image),
    DeleteTag(Tag),
    /// Reads everything at one instant.
    Read,
}

/// The result of a call.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Ret {
    Done,
    /// An exception, by its code.
    Refused(String),
    State(Repository),
}

/// The repository's state.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Repository {
    pub(crate) immutable: bool,
    pub(crate) images: BTreeSet<Image>,
    pub(crate) tags: BTreeMap<Tag, Image>,
    /// The image that is an index, and its child.
    pub(crate) index: Option<(Image, Image)>,
}

impl Repository {
    fn put(&mut self, image: Image, tag: Option<Tag>) -> Result<(), &'static str> {
        let stored = self.images.contains(&image);
        let current = tag.and_then(|tag| self.tags.get(&tag).copied());
        if current == Some(image) || (tag.is_none() && stored) {
            return Err("ImageAlreadyExistsException");
        }
        if current.is_some() && self.immutable {
            return Err("ImageTagAlreadyExistsException");
        }
        if stored {
            if self.tags.values().filter(|&&named| named == image).count() >= TAGS {
                return Err("LimitExceededException");
            }
        } else {
            if self
                .index
                .is_some_and(|(index, child)| index == image && !self.images.contains(&child))
            {
                return Err("ReferencedImagesNotFoundException");
            }
            if self.images.len() >= IMAGES {
                return Err("LimitExceededException");
            }
            self.images.insert(image);
        }
        self.tags.extend(tag.map(|tag| (tag, image)));
        Ok(())
    }

    fn delete_image(&mut self, image: Image) -> Result<(), &'static str> {
        let referenced =
            self.index.is_some_and(|(index, child)| child == image && self.images.contains(&index));
        if referenced || !self.images.remove(&image) {
            return Err("not deleted");
        }
        self.tags.retain(|_, named| *named != image);
        Ok(())
    }
}

impl SequentialSpec for Repository {
    type Op = Op;
    type Ret = Ret;

    fn invoke(&mut self, op: &Op) -> Ret {
        let result = match *op {
            Op::Put { image, tag } => self.put(image, tag),
            Op::SetMutability { immutable } => {
                self.immutable = immutable;
                Ok(())
            }
            Op::DeleteImage(image) => self.delete_image(image),
            Op::DeleteTag(tag) => self.tags.remove(&tag).map(drop).ok_or("not deleted"),
            Op::Read => return Ret::State(self.clone()),
        };
        match result {
            Ok(()) => Ret::Done,
            Err(code) => Ret::Refused(code.to_owned()),
        }
    }
}
