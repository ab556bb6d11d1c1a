//! A transaction that writes: how it is sent until its outcome is known, and what its answers mean.

use aws_sdk_dynamodb::error::{BuildError, ProvideErrorMetadata as _, SdkError};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    AttributeValue, CancellationReason, ConditionCheck, Put, ReturnConsumedCapacity,
    TransactWriteItem, Update,
};

use super::items::Item;
use super::{Table, units};
use crate::backoff::Backoff;
use crate::call::CallLog;
use crate::error::Failure;
use crate::sdk::failure;

/// There is no such item.
pub(super) const ABSENT: &str = "attribute_not_exists(PK)";
/// There is.
pub(super) const PRESENT: &str = "attribute_exists(PK)";

/// What became of a transaction.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is written.
    Committed,
    /// It is not, and never will be: read again and decide again.
    StartAgain,
}

impl Table {
    /// Sends a transaction until its outcome is known. A repetition is the same request under
    /// the same token, which DynamoDB applies at most once; only the caller's deadline bounds
    /// their number.
    ///
    /// # Errors
    /// A failure of ours, or an outcome that stays unknown.
    pub(super) async fn transact(
        &self,
        doing: &'static str,
        actions: Result<Vec<TransactWriteItem>, BuildError>,
        token: String,
        log: &mut CallLog,
    ) -> Result<Outcome, Failure> {
        let actions = actions.map_err(|error| Failure::caused(doing, error))?;
        let request = self
            .commits
            .transact_write_items()
            .set_transact_items(Some(actions))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .client_request_token(token);
        let mut backoff = Backoff::default();
        let mut unknown = false;
        loop {
            // Should the call be cut off in here, nobody will know.
            log.outcome_unknown = true;
            let answer = request.clone().send().await;
            let (answer, error) = match answer {
                Ok(answer) => {
                    log.write_units += units(answer.consumed_capacity());
                    (Answer::Committed, None)
                }
                Err(error) => (Answer::of(&error), Some(error)),
            };
            unknown |= answer == Answer::Unknown;
            log.outcome_unknown = unknown;
            log.conflicts += u32::from(matches!(answer, Answer::Conflict | Answer::Refused));
            let next = answer.next(unknown);
            match (next, error) {
                (Next::Done, _) => {
                    log.outcome_unknown = false;
                    return Ok(Outcome::Committed);
                }
                (Next::StartAgain, _) => return Ok(Outcome::StartAgain),
                (Next::Replay, _) => {
                    log.replays += 1;
                    backoff.pause().await;
                }
                (Next::Stop, Some(error)) => return Err(failure(doing, error)),
                (Next::Stop, None) => return Err(Failure::new(doing)),
            }
        }
    }
}

/// What one answer to the transaction says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// It is applied.
    Committed,
    /// Cancelled, because a condition does not hold (any more).
    ConditionFailed,
    /// Cancelled, because another transaction was at one of the items, or by a throttle.
    Conflict,
    /// Refused whole by a throttle.
    Refused,
    /// Nothing: no answer, none that can be read, or one that leaves it open.
    Unknown,
    /// A request that we should not have sent.
    Fault,
}

/// The codes of the actions that a transaction was cancelled for.
pub(super) fn failed(reasons: &[CancellationReason]) -> Vec<&str> {
    reasons.iter().filter_map(|reason| reason.code()).filter(|&code| code != "None").collect()
}

/// Whether they are all of another transaction at an item, or of a throttle: to be tried again.
pub(super) fn are_temporary(codes: &[&str]) -> bool {
    let is_temporary = |&code: &&str| {
        matches!(code, "TransactionConflict" | "ThrottlingError" | "ProvisionedThroughputExceeded")
    };
    !codes.is_empty() && codes.iter().all(is_temporary)
}

/// What to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Done,
    StartAgain,
    Replay,
    Stop,
}

impl Answer {
    fn of(error: &SdkError<TransactWriteItemsError>) -> Self {
        let SdkError::ServiceError(answer) = error else {
            return match error {
                SdkError::ConstructionFailure(_) => Self::Fault,
                _ => Self::Unknown,
            };
        };
        let status = answer.raw().status().as_u16();
        match answer.err() {
            TransactWriteItemsError::TransactionCanceledException(cancelled) => {
                Self::of_reasons(cancelled.cancellation_reasons())
            }
            error => match error.code() {
                // A success that could not be read, an error that says nothing.
                _ if !(400..500).contains(&status) => Self::Unknown,
                None | Some("TransactionInProgressException" | "InternalServerError") => {
                    Self::Unknown
                }
                Some(
                    "ThrottlingException"
                    | "RequestLimitExceeded"
                    | "ProvisionedThroughputExceededException",
                ) => Self::Refused,
                Some(_) => Self::Fault,
            },
        }
    }

    fn of_reasons(reasons: &[CancellationReason]) -> Self {
        let codes = failed(reasons);
        if codes.contains(&"ConditionalCheckFailed") {
            Self::ConditionFailed
        } else if are_temporary(&codes) {
            Self::Conflict
        } else {
            Self::Fault
        }
    }

    /// `unknown`: whether an earlier answer of the attempt, or this one, left the outcome open.
    fn next(self, unknown: bool) -> Next {
        match self {
            Self::Committed => Next::Done,
            Self::Unknown => Next::Replay,
            Self::Fault => Next::Stop,
            // A cancelled repetition does not prove that the delayed original is dead: it may
            // land later, and starting again could commit twice.
            Self::ConditionFailed if unknown => Next::Stop,
            Self::Conflict | Self::Refused if unknown => Next::Replay,
            Self::ConditionFailed | Self::Conflict | Self::Refused => Next::StartAgain,
        }
    }
}

pub(super) type Values<const N: usize> = [(&'static str, AttributeValue); N];

fn values<const N: usize>(values: Values<N>) -> Option<Item> {
    (N > 0).then(|| values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

pub(super) fn put<const N: usize>(
    table: &str,
    item: Item,
    condition: &str,
    bound: Values<N>,
) -> Result<TransactWriteItem, BuildError> {
    let put = Put::builder().table_name(table).set_item(Some(item)).condition_expression(condition);
    let put = put.set_expression_attribute_values(values(bound)).build()?;
    Ok(TransactWriteItem::builder().put(put).build())
}

pub(super) fn update<const N: usize>(
    table: &str,
    key: Item,
    expression: &str,
    condition: &str,
    bound: Values<N>,
) -> Result<TransactWriteItem, BuildError> {
    let update = Update::builder()
        .table_name(table)
        .set_key(Some(key))
        .update_expression(expression)
        .condition_expression(condition)
        .set_expression_attribute_values(values(bound))
        .build()?;
    Ok(TransactWriteItem::builder().update(update).build())
}

pub(super) fn check<const N: usize>(
    table: &str,
    key: Item,
    condition: &str,
    bound: Values<N>,
) -> Result<TransactWriteItem, BuildError> {
    let check = ConditionCheck::builder()
        .table_name(table)
        .set_key(Some(key))
        .condition_expression(condition)
        .set_expression_attribute_values(values(bound))
        .build()?;
    Ok(TransactWriteItem::builder().condition_check(check).build())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reasons(codes: &[&str]) -> Vec<CancellationReason> {
        codes.iter().map(|code| CancellationReason::builder().code(*code).build()).collect()
    }

    #[test]
    fn cancellation_reasons_are_read_in_the_protocols_order() {
        let rows: [(&[&str], Answer); 10] = [
            (&["None", "ConditionalCheckFailed"], Answer::ConditionFailed),
            (&["ConditionalCheckFailed", "TransactionConflict"], Answer::ConditionFailed),
            (&["ConditionalCheckFailed", "ValidationError"], Answer::ConditionFailed),
            (&["None", "TransactionConflict"], Answer::Conflict),
            (&["ThrottlingError", "None", "ProvisionedThroughputExceeded"], Answer::Conflict),
            (&["TransactionConflict", "ValidationError"], Answer::Fault),
            (&["ItemCollectionSizeLimitExceeded"], Answer::Fault),
            (&["SomethingNew"], Answer::Fault),
            (&["None", "None"], Answer::Fault),
            (&[], Answer::Fault),
        ];
        for (codes, expected) in rows {
            assert_eq!(Answer::of_reasons(&reasons(codes)), expected, "{codes:?}");
        }
    }

    #[test]
    fn after_an_unknown_outcome_nothing_starts_again() {
        let rows = [
            (Answer::Committed, Next::Done, Next::Done),
            (Answer::ConditionFailed, Next::StartAgain, Next::Stop),
            (Answer::Conflict, Next::StartAgain, Next::Replay),
            (Answer::Refused, Next::StartAgain, Next::Replay),
            (Answer::Unknown, Next::Replay, Next::Replay),
            (Answer::Fault, Next::Stop, Next::Stop),
        ];
        for (answer, first, later) in rows {
            assert_eq!(answer.next(false), first, "{answer:?}");
            assert_eq!(answer.next(true), later, "{answer:?}");
        }
    }
}
