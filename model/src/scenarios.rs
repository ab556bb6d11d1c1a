//! The scenarios: which pushes and other writers run concurrently.

use crate::environment::Operation::{
    self, Create, Delete, DeleteImage, DeleteTag, ForceDelete, Purge, SetImmutable,
};
use crate::environment::Other;
use crate::push::PushSpec;
use crate::scenario::{Scenario, big_index, cold, index, scenario, spilled, tagged, untagged};
use crate::store::Digest::{self, A, B, C, I, J};
use crate::store::Tag::{self, M, V, W, X, Y, Z};

const V_IS_A: &[(Tag, Digest)] = &[(V, A)];

/// All scenarios.
#[must_use]
pub fn all() -> Vec<Scenario> {
    let mut all = races().to_vec();
    all.extend(settings());
    all.extend(deletions());
    all.extend(losses());
    all.extend(big_indexes());
    all
}

/// Races of pushes only.
fn races() -> [Scenario; 9] {
    [
        scenario(
            "immutable: 3 pushes race one tag",
            [tagged(A, V), tagged(B, V), tagged(C, V)],
            [],
        )
        .immutable()
        .attempts(2),
        scenario("mutable: move A>B, A>C, retag A", [tagged(B, V), tagged(C, V), tagged(A, W)], [])
            .holding(&[A])
            .tagged(V_IS_A)
            .attempts(2),
        scenario("same image and tag 3x", [tagged(A, V); 3], []).attempts(2),
        scenario("image limit 1: A, B, C:v", [untagged(A), untagged(B), tagged(C, V)], [])
            .image_limit(1)
            .attempts(2),
        scenario(
            "image limit 1 + delete",
            [tagged(A, V), untagged(B)],
            [Other::Script(&[DeleteImage(B)])],
        )
        .image_limit(1)
        .holding(&[B]),
        scenario(
            "image limit 2, guards uneven",
            [untagged(A), tagged(C, V)],
            [Other::Script(&[DeleteImage(A)])],
        )
        .image_limit(2),
        scenario("tag limit 2: three tags on A", [tagged(A, X), tagged(A, Y), tagged(A, Z)], [])
            .holding(&[A])
            .attempts(2),
        scenario("tag limit 2 + tag moves away", [tagged(A, X), tagged(B, V), tagged(A, Y)], [])
            .holding(&[A, B])
            .tagged(V_IS_A)
            .attempts(2),
        scenario("same digest: 2 untagged + 1 tag", [untagged(A), untagged(A), tagged(A, W)], [])
            .attempts(2),
    ]
}

/// Settings that change during pushes.
fn settings() -> [Scenario; 9] {
    let move_v = || [tagged(B, V), tagged(C, V)];
    [
        scenario("settings MUT>IMM under moves", move_v(), [Other::Script(&[SetImmutable(true)])])
            .holding(&[A])
            .tagged(V_IS_A),
        scenario(
            "settings IMM>MUT>IMM under pushes",
            move_v(),
            [Other::Script(&[SetImmutable(false), SetImmutable(true)])],
        )
        .immutable(),
        scenario(
            "tag A > B while MUT, then IMM",
            [tagged(A, V), tagged(B, V)],
            [Other::Script(&[SetImmutable(true), SetImmutable(false)])],
        )
        .holding(&[A])
        .tagged(V_IS_A),
        scenario(
            "two move v to B, then IMM",
            [tagged(B, V); 2],
            [Other::Script(&[SetImmutable(true)])],
        )
        .holding(&[A])
        .tagged(V_IS_A),
        scenario(
            "tag deleted, then IMM",
            [tagged(B, V), tagged(B, W)],
            [Other::Script(&[DeleteTag(V), SetImmutable(true)])],
        )
        .holding(&[A])
        .tagged(V_IS_A),
        scenario(
            "IMM: tag free, MUT: tag taken",
            move_v(),
            [Other::Script(&[SetImmutable(false)])],
        )
        .immutable(),
        scenario(
            "image limit 1: A twice + delete A",
            [tagged(A, V), tagged(A, W)],
            [Other::Script(&[DeleteImage(A)])],
        )
        .image_limit(1),
        scenario(
            "tag limit 2: same tag twice",
            [tagged(A, Y); 2],
            [Other::Script(&[DeleteTag(X)])],
        )
        .holding(&[A])
        .tagged(&[(X, A)]),
        scenario(
            "IMM index: tag taken, child deleted",
            [index(I, V, &[A]), tagged(B, V)],
            [Other::Script(&[DeleteImage(A)])],
        )
        .immutable()
        .holding(&[A]),
    ]
}

/// Deletions of images, tags and repositories.
fn deletions() -> [Scenario; 11] {
    let ab = [A, B].as_slice();
    [
        scenario(
            "cold + warm, repository recreated",
            [cold(tagged(A, V)), tagged(A, V)],
            [Other::Script(&[Delete, Create { is_immutable: true }])],
        )
        .attempts(2),
        scenario("delete A vs tag A vs move", [tagged(A, W), tagged(B, V)], [Other::Deleter(A)])
            .holding(&[A])
            .tagged(V_IS_A),
        scenario(
            "delete by tag, by digest, re-push",
            [tagged(A, V), tagged(B, V)],
            [Other::Script(&[DeleteTag(V), DeleteImage(A)])],
        )
        .holding(&[A])
        .tagged(V_IS_A),
        scenario(
            "index(ref) vs delete child",
            [index(I, M, ab), tagged(A, X)],
            [Other::Deleter(A)],
        )
        .holding(ab),
        scenario(
            "index(epoch) vs delete child",
            [big_index(I, M, ab), tagged(C, X)],
            [Other::Deleter(A)],
        )
        .holding(ab),
        scenario("index(ref) vs delete child 2", [index(I, M, ab)], [Other::Deleter(B)])
            .holding(ab),
        scenario("index(epoch) vs delete child 2", [big_index(I, M, ab)], [Other::Deleter(B)])
            .holding(ab),
        scenario(
            "index moves the tag of its child",
            [index(I, V, &[A]), tagged(A, W)],
            [Other::Deleter(A)],
        )
        .holding(&[A])
        .tagged(V_IS_A),
        scenario(
            "repository delete + recreate",
            [tagged(A, V), untagged(A)],
            [Other::Script(&[Delete, Create { is_immutable: false }])],
        ),
        scenario(
            "force delete + purge + recreate",
            [index(I, V, &[A]), tagged(B, V)],
            [Other::Script(&[ForceDelete, Purge, Create { is_immutable: false }])],
        )
        .holding(&[A])
        .tagged(V_IS_A),
        scenario(
            "force delete, immutable",
            [tagged(B, V), tagged(A, W)],
            [Other::Script(&[ForceDelete, Purge])],
        )
        .immutable()
        .holding(&[A])
        .tagged(V_IS_A),
    ]
}

/// Requests that are lost and arrive later, and bodies that are swept.
fn losses() -> [Scenario; 7] {
    let late = |name, pushes: &[PushSpec], others: &[Other]| {
        scenario(name, pushes.iter().copied(), others.iter().cloned()).late_copies()
    };
    [
        late(
            "late copies: move + retag + dtag",
            &[tagged(B, V), tagged(A, V)],
            &[Other::Script(&[DeleteTag(V)])],
        )
        .holding(&[A])
        .tagged(V_IS_A),
        late(
            "late copies: push + dimg + settings",
            &[tagged(A, V); 2],
            &[Other::Script(&[DeleteImage(A), SetImmutable(true)])],
        ),
        late(
            "late copies: tag limit",
            &[tagged(A, X), tagged(B, V)],
            &[Other::Script(&[DeleteTag(V)])],
        )
        .holding(&[A])
        .tagged(V_IS_A),
        late("late copies: tag limit, 3 pushes", &[tagged(A, X), tagged(A, Y), tagged(B, V)], &[])
            .holding(&[A, B])
            .tagged(V_IS_A)
            .attempts(2),
        late(
            "spill: 2 pushes, sweeper, dimg",
            &[spilled(A, V); 2],
            &[Other::Sweeper, Other::Script(&[DeleteImage(A)])],
        )
        .attempts(2),
        late(
            "spill: 1 push, sweeper x2, dimg",
            &[spilled(A, V)],
            &[Other::Sweeper, Other::Sweeper, Other::Script(&[DeleteImage(A)])],
        ),
        late(
            "spill vs inline row, sweeper",
            &[spilled(A, V), tagged(A, W)],
            &[Other::Sweeper, Other::Script(&[DeleteTag(W), DeleteImage(A)])],
        )
        .attempts(2),
    ]
}

/// Scenarios for each condition of a big index, for indexes that are deleted, and for a body whose
/// repository is created again.
fn big_indexes() -> [Scenario; 11] {
    const REPLACED: &[Operation] = &[ForceDelete, Purge, Create { is_immutable: false }];
    [
        scenario("big-index limit 1: I, J", [big_index(I, V, &[A]), big_index(J, W, &[A])], [])
            .big_index_limit(1)
            .holding(&[A]),
        scenario(
            "big index: settings MUT>IMM",
            [big_index(I, V, &[B])],
            [Other::Script(&[SetImmutable(true)])],
        )
        .holding(&[A, B])
        .tagged(V_IS_A),
        scenario("big index: image limit 2", [big_index(I, V, &[A]), untagged(B)], [])
            .image_limit(2)
            .holding(&[A]),
        scenario(
            "big index: no child, then all",
            [big_index(I, V, &[A, B]), tagged(A, X), tagged(B, Y)],
            [],
        )
        .attempts(2),
        scenario("big-index limit 1: I twice", [big_index(I, V, &[A]), big_index(I, W, &[A])], [])
            .big_index_limit(1)
            .holding(&[A]),
        scenario(
            "big index: full, never all children",
            [big_index(I, V, &[A, B]), untagged(A), untagged(B)],
            [Other::Script(&[DeleteImage(C), DeleteImage(A)])],
        )
        .image_limit(1)
        .holding(&[C])
        .attempts(2),
        scenario(
            "big index: deleted with its child, then full",
            [big_index(I, V, &[A]), untagged(B), untagged(C)],
            [Other::Script(&[DeleteImage(I), DeleteImage(A)])],
        )
        .image_limit(2)
        .holding(&[A])
        .holding_index(I, &[A], true)
        .tagged(&[(X, I), (Y, I)])
        .attempts(2),
        scenario(
            "delete an index: its child is free",
            [tagged(I, W)],
            [Other::Deleter(I), Other::Deleter(A)],
        )
        .holding(&[A])
        .holding_index(I, &[A], false),
        scenario(
            "delete a big index: its child is free",
            [tagged(I, W)],
            [Other::Deleter(I), Other::Deleter(A)],
        )
        .holding(&[A])
        .holding_index(I, &[A], true),
        scenario(
            "delete an index vs the same pushed again",
            [index(I, V, &[A])],
            [Other::Deleter(I), Other::Deleter(A)],
        )
        .holding(&[A])
        .holding_index(I, &[A], false),
        scenario(
            "spill: repository replaced, sweeper",
            [spilled(A, V)],
            [Other::Sweeper, Other::Script(REPLACED)],
        )
        .late_copies(),
    ]
}
