//! The protocol without one of its conditions, updates or rules, to show what each of them is for.

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
    /// Section 3: row 4' compares the digest that was read instead of the push.
    TagMovesIfSameDigest,
    /// Section 3: rows 5 and 6 on one item are not merged.
    TwoActionsOnAChild,
    /// Section 2: a remembered repository id is not compared with META's.
    TrustTheRememberedId,
    /// Section 2: a big index's children are read in the batch.
    ReadChildrenInTheBatch,
    /// Section 2: a big index's children are read by plain reads.
    ReadChildrenPlainly,
    /// Section 4: this result is returned directly after trip 1.
    AnswerUnconfirmed(Answer),
    /// Section 4: a limit is returned for a big index whose children the snapshot does not contain.
    TrustChildrenThatTheSnapshotLacks,
    /// Section 4: a 4xx is returned from the cancellation reasons.
    AnswerFromACancellation,
    /// Section 5: `DynamoDB` does not know a repeated token.
    NoToken,
    /// Section 5: after an unknown outcome, the call starts again instead of repeating the request.
    RetryBlindly,
    /// Section 5: after an unknown outcome, the call reads whether its own write is there.
    DecideByReading,
    /// Section 5: the call starts again after a cancelled repetition.
    StartAgainAfterUnknown,
    /// Section 6: the body is not acknowledged when the transaction is sent.
    CommitBeforeTheBody,
    /// Section 2: attempts use one body although the repository was created again.
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

/// All mutants: each condition and update of [`ROWS`] in turn, then the rules.
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

/// How a mutant was caught.
#[derive(Debug)]
pub struct Catch {
    /// The scenario's name.
    pub scenario: &'static str,
    /// The invariant that does not hold.
    pub invariant: &'static str,
    /// The steps that lead there.
    pub trace: Vec<Action>,
}

impl Mutant {
    /// Explores every scenario: with whole transactions first, then item by item.
    #[must_use]
    pub fn caught(self) -> Option<Catch> {
        let torn = scenarios::all().into_iter().map(Scenario::item_by_item);
        self.caught_in(scenarios::all()).or_else(|| self.caught_in(torn))
    }

    /// Explores these scenarios until the mutant is caught.
    #[must_use]
    pub fn caught_in(self, scenarios: impl IntoIterator<Item = Scenario>) -> Option<Catch> {
        scenarios.into_iter().find_map(|scenario| {
            let name = scenario.name;
            let report = Protocol { scenario, mutant: Some(self) }.explore();
            let (invariant, trace) = report.violations.into_iter().next()?;
            Some(Catch { scenario: name, invariant, trace })
        })
    }

    /// Why the mutant breaks nothing, for those that no scenario can distinguish from the protocol.
    #[must_use]
    pub fn is_equivalent_because(self) -> Option<&'static str> {
        match self {
            Self::DropCondition("2'", Condition::Present) => Some(
                "tagCount < :tagLimit is false for a missing item; the condition states the intent",
            ),
            Self::DropCondition("3", Condition::Absent) => {
                Some("a manifest exists only together with its image, and row 2 fails then")
            }
            Self::DropCondition("5" | "5+6", Condition::Present) => {
                Some("the tag is as it was read (row 4'), so its image exists")
            }
            Self::TagMovesIfSameDigest => {
                Some("what is written does not depend on which push wrote the tag's digest")
            }
            _ => None,
        }
    }
}
