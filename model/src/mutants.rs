//! The protocol without one of its conditions, updates or rules: what each of them is for.

use crate::decision::Answer;
use crate::explore::Action;
use crate::expressions::{Condition, Update};
use crate::rows::ROWS;
use crate::scenario::Scenario;
use crate::{Protocol, scenarios};

/// What is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mutant {
    /// A condition of a row of section 3.
    DropCondition(&'static str, Condition),
    /// An update of a row of section 3.
    DropUpdate(&'static str, Update),
    /// Section 1: `rev` is a counter, which repeats after a delete and re-create.
    RevIsACounter,
    /// Section 3: row 4' asks for the digest that was seen instead of the push.
    TagMovesIfSameDigest,
    /// Section 3: rows 5 and 6 on one item are not merged.
    TwoActionsOnAChild,
    /// Section 2: a remembered repository id is not compared with META's.
    TrustTheRememberedId,
    /// Section 2: a big index's children are read in the batch.
    ReadChildrenInTheBatch,
    /// Section 2: a big index's children are read by plain reads.
    ReadChildrenPlainly,
    /// Section 4: this answer is given straight from trip 1.
    AnswerUnconfirmed(Answer),
    /// Beyond section 4: a limit is answered for a big index whose children the snapshot lacks.
    TrustChildrenThatTheSnapshotLacks,
    /// Section 4: a 4xx is read off the cancellation reasons.
    AnswerFromACancellation,
    /// Section 5: `DynamoDB` does not know a repeated token.
    NoToken,
    /// Section 5: after an unknown outcome, start again instead of replaying.
    RetryBlindly,
    /// Section 5: after an unknown outcome, look whether the own write is there.
    DecideByReading,
    /// Section 5: start again after a cancelled replay.
    StartAgainAfterUnknown,
    /// Section 6: the body is not acknowledged when the transaction is sent.
    CommitBeforeTheBody,
    /// Section 2: attempts use one body although the repository's life has changed.
    KeepTheBodyOfAnotherLife,
    /// Section 6: `PutImage` deletes its body after a failure.
    DeleteTheBodyAfterAFailure,
    /// Section 6: the sweeper does not wait.
    SweepBodiesOfAnyAge,
    /// Section 6: the sweeper does not read the row.
    SweepWithoutReading,
    /// Section 7: settings change without a new `rev`.
    SettingsKeepTheirRev,
    /// Section 7: a deletion does not count `delEpoch`.
    DeleterKeepsDelEpoch,
    /// Section 7: a deletion does not compare `bigIndexes`.
    DeleterIgnoresBigIndexes,
    /// Section 7: a deletion does not compare `tagCount`.
    DeleterIgnoresTagCount,
    /// Section 7: a deletion does not compare the digests of tags.
    DeleterIgnoresDigestOfTags,
    /// Section 7: a deletion does not compare `refCount`.
    DeleterIgnoresRefCount,
}

/// All of them: each condition and update of [`ROWS`] in turn, then the rules.
#[must_use]
pub fn all() -> Vec<Mutant> {
    let conditions = ROWS.iter().flat_map(|row| {
        row.conditions.iter().map(|&condition| Mutant::DropCondition(row.name, condition))
    });
    let updates = ROWS
        .iter()
        .flat_map(|row| row.updates.iter().map(|&update| Mutant::DropUpdate(row.name, update)));
    conditions.chain(updates).chain(RULES).collect()
}

const RULES: [Mutant; 28] = [
    Mutant::RevIsACounter,
    Mutant::TagMovesIfSameDigest,
    Mutant::TwoActionsOnAChild,
    Mutant::TrustTheRememberedId,
    Mutant::ReadChildrenInTheBatch,
    Mutant::ReadChildrenPlainly,
    Mutant::AnswerUnconfirmed(Answer::ImageTagAlreadyExists),
    Mutant::AnswerUnconfirmed(Answer::ReferencedImagesNotFound),
    Mutant::AnswerUnconfirmed(Answer::TooManyImages),
    Mutant::AnswerUnconfirmed(Answer::TooManyBigIndexes),
    Mutant::AnswerUnconfirmed(Answer::TooManyTags),
    Mutant::TrustChildrenThatTheSnapshotLacks,
    Mutant::AnswerFromACancellation,
    Mutant::NoToken,
    Mutant::RetryBlindly,
    Mutant::DecideByReading,
    Mutant::StartAgainAfterUnknown,
    Mutant::CommitBeforeTheBody,
    Mutant::KeepTheBodyOfAnotherLife,
    Mutant::DeleteTheBodyAfterAFailure,
    Mutant::SweepBodiesOfAnyAge,
    Mutant::SweepWithoutReading,
    Mutant::SettingsKeepTheirRev,
    Mutant::DeleterKeepsDelEpoch,
    Mutant::DeleterIgnoresBigIndexes,
    Mutant::DeleterIgnoresTagCount,
    Mutant::DeleterIgnoresDigestOfTags,
    Mutant::DeleterIgnoresRefCount,
];

/// How a mutant was found out.
#[derive(Debug)]
pub struct Catch {
    /// Where.
    pub scenario: &'static str,
    /// What does not hold.
    pub invariant: &'static str,
    /// The steps that lead there.
    pub trace: Vec<Action>,
}

impl Mutant {
    /// Looks in every scenario: at whole transactions first, then item by item.
    #[must_use]
    pub fn caught(self) -> Option<Catch> {
        let torn = scenarios::all().into_iter().map(Scenario::item_by_item);
        self.caught_in(scenarios::all()).or_else(|| self.caught_in(torn))
    }

    /// Looks in these scenarios.
    #[must_use]
    pub fn caught_in(self, scenarios: impl IntoIterator<Item = Scenario>) -> Option<Catch> {
        scenarios.into_iter().find_map(|scenario| {
            let name = scenario.name;
            let report = Protocol { scenario, mutant: Some(self) }.explore();
            let (invariant, trace) = report.violations.into_iter().next()?;
            Some(Catch { scenario: name, invariant, trace })
        })
    }

    /// Why nothing can go wrong without it, for those that no scenario tells from the protocol.
    #[must_use]
    pub fn is_equivalent_because(self) -> Option<&'static str> {
        match self {
            Self::DropCondition("2'", Condition::Present) => Some(
                "tagCount < :tagLimit is false of an item that is not there; it says what is meant",
            ),
            Self::DropCondition("3", Condition::Absent) => {
                Some("a manifest is there only beside its image, and row 2 fails then")
            }
            Self::DropCondition("5" | "5+6", Condition::Present) => {
                Some("the tag is as it was seen (row 4'), so its image exists")
            }
            Self::TagMovesIfSameDigest => {
                Some("which push made the tag name the digest does not matter to what is written")
            }
            _ => None,
        }
    }
}
