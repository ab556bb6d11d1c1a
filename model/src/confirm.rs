//! The confirmation of a rejection (section 4), because items that were read one by one may show a
//! state that never existed.

use crate::Protocol;
use crate::call::Call;
use crate::decision::{Decision, Seen, Snapshot, decide};
use crate::mutants::Mutant;
use crate::push::{Push, PushSpec};
use crate::store::{Digests, Item, Key};

/// How many of a big index's missing children a confirmation can read again. In the service 97;
/// here one of two, so that the rule about the others is exercised.
const CONFIRMED_CHILDREN: usize = 1;

impl Push {
    /// Section 4: one snapshot of everything that the decision depends on, and the decision from
    /// it.
    pub(crate) fn confirm(&mut self, call: &mut Call<'_>) -> Option<()> {
        let repo_id = self.repo_id?;
        let (spec, before) = (call.spec, self.seen);
        let again = if spec.is_big_index {
            Digests::of(&before.missing.iter().take(CONFIRMED_CHILDREN).collect::<Vec<_>>())
        } else {
            spec.children
        };
        let tag_key = spec.tag.map(|tag| Key::Tag(repo_id, tag));
        let image_key = Key::Image(repo_id, spec.digest);
        let keys = [Key::Meta, image_key].into_iter().chain(tag_key);
        let children = again.iter().map(|child| Key::Image(repo_id, child));
        if keys.chain(children).any(|key| call.state.is_contended(key)) {
            return None;
        }
        let store = &call.state.store;
        let mut seen = Snapshot {
            meta: store.meta().into(),
            tag: tag_key.map_or(Seen::Unread, |key| store.get(key).and_then(Item::tag).into()),
            image: store.image(repo_id, spec.digest).map(|image| image.tag_count).into(),
            ..Snapshot::default()
        };
        for child in again.iter() {
            seen.look_for(child, store.image(repo_id, child).is_some());
        }
        let is_current = seen.meta.there().is_some_and(|meta| meta.repo_id == repo_id);
        if spec.is_big_index && is_current {
            let unseen = before.missing.without(again);
            if !unseen.is_empty() && seen.missing.is_empty() {
                self.start_again(None, call);
                return Some(());
            }
            seen.missing = seen.missing.and(unseen);
            if !call.protocol.has(Mutant::TrustChildrenThatTheSnapshotLacks)
                && seen.lacks_the_children_of(spec, &before, call.protocol)
            {
                self.start_again(None, call);
                return Some(());
            }
        }
        self.seen = seen;
        self.conclude(true, call);
        Some(())
    }
}

impl Snapshot {
    /// A limit of the repository rejects an image only if all its children exist, and the
    /// confirmation of a big index does not read the children that trip 1 found. They still exist
    /// if no image was deleted since META was read, because META was read before them.
    fn lacks_the_children_of(
        &self,
        spec: PushSpec,
        before: &Snapshot,
        protocol: &Protocol,
    ) -> bool {
        let limits = &protocol.scenario.limits;
        let Decision::Refuse(answer) = decide(spec, limits, None, self) else { return false };
        let del_epoch = |seen: &Snapshot| seen.meta.there().map(|meta| meta.del_epoch);
        let were_found = !spec.children.is_empty() && before.looked_for == spec.children;
        answer.is_limit_of_repository() && !(were_found && del_epoch(self) == del_epoch(before))
    }
}
