//! A transaction that writes: it is sent until its outcome is known (docs/PROTOCOL.md, section 5).

use aws_sdk_dynamodb::error::{BuildError, ProvideErrorMetadata as _, SdkError};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    AttributeValue, CancellationReason, ConditionCheck, Put, ReturnConsumedCapacity,
    TransactWriteItem, Update,
};

use super::items::Item;
use super::{Table, Usage, units};
use crate::failure::Failure;
use crate::retry::Backoff;
use crate::stores::sdk::failure;

/// The item does not exist.
pub(crate) const ABSENT: &str = "attribute_not_exists(PK)";
/// The item exists.
pub(crate) const PRESENT: &str = "attribute_exists(PK)";

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Committed,
    /// It is not written and never will be: read and check again.
    StartAgain,
}

impl Table {
    /// Sends a transaction until its outcome is known. A repetition is the same request with the
    /// same token, which DynamoDB applies at most once; only the call's deadline limits their
    /// number.
    ///
    /// # Errors
    /// A failure of the service, or an outcome that stays unknown.
    pub(crate) async fn transact(
        &self,
        doing: &'static str,
        actions: Result<Vec<TransactWriteItem>, BuildError>,
        token: String,
        usage: &mut Usage,
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
            // If the deadline cuts the call off in here, the outcome is not known.
            usage.outcome_unknown = true;
            let response = request.clone().send().await;
            let (reply, error) = match response {
                Ok(response) => {
                    usage.write_units += units(response.consumed_capacity());
                    (Reply::Committed, None)
                }
                Err(error) => (Reply::of(&error), Some(error)),
            };
            unknown |= reply == Reply::Unknown;
            usage.outcome_unknown = unknown;
            usage.conflicts += u32::from(matches!(reply, Reply::Conflict | Reply::Throttled));
            let next = reply.next(unknown);
            match (next, error) {
                (Next::Done, _) => {
                    usage.outcome_unknown = false;
                    return Ok(Outcome::Committed);
                }
                (Next::StartAgain, _) => return Ok(Outcome::StartAgain),
                (Next::Replay, _) => {
                    usage.replays += 1;
                    backoff.pause().await;
                }
                (Next::Stop, Some(error)) => return Err(failure(doing, error)),
                (Next::Stop, None) => return Err(Failure::new(doing)),
            }
        }
    }
}

/// What one response says about the transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reply {
    Committed,
    /// Cancelled because a condition does not hold, or no longer holds.
    ConditionFailed,
    /// Cancelled because another transaction held one of the items, or by throttling.
    Conflict,
    /// The whole request was rejected by throttling.
    Throttled,
    /// No response, an unreadable one, or one that leaves the outcome open.
    Unknown,
    /// The request should not have been sent.
    Fault,
}

/// The codes of the actions that a transaction was cancelled because of.
pub(crate) fn failed(reasons: &[CancellationReason]) -> Vec<&str> {
    reasons.iter().filter_map(|reason| reason.code()).filter(|&code| code != "None").collect()
}

/// Whether all are conflicts or throttling, so that the request may be sent again.
pub(crate) fn are_temporary(codes: &[&str]) -> bool {
    let is_temporary = |&code: &&str| {
        matches!(code, "TransactionConflict" | "ThrottlingError" | "ProvisionedThroughputExceeded")
    };
    !codes.is_empty() && codes.iter().all(is_temporary)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Done,
    StartAgain,
    Replay,
    Stop,
}

impl Reply {
    fn of(error: &SdkError<TransactWriteItemsError>) -> Self {
        let SdkError::ServiceError(reply) = error else {
            return match error {
                SdkError::ConstructionFailure(_) => Self::Fault,
                _ => Self::Unknown,
            };
        };
        let status = reply.raw().status().as_u16();
        match reply.err() {
            TransactWriteItemsError::TransactionCanceledException(cancelled) => {
                Self::of_reasons(cancelled.cancellation_reasons())
            }
            error => match error.code() {
                // A success that could not be read, or an error that leaves the outcome open.
                _ if !(400..500).contains(&status) => Self::Unknown,
                None | Some("TransactionInProgressException" | "InternalServerError") => {
                    Self::Unknown
                }
                Some(
                    "ThrottlingException"
                    | "RequestLimitExceeded"
                    | "ProvisionedThroughputExceededException",
                ) => Self::Throttled,
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

    /// `unknown`: whether this reply or an earlier one of the attempt left the outcome open.
    fn next(self, unknown: bool) -> Next {
        match self {
            Self::Committed => Next::Done,
            Self::Unknown => Next::Replay,
            Self::Fault => Next::Stop,
            // A cancelled repetition does not prove that a delayed original is lost: it may still
            // be applied, and starting again could commit twice.
            Self::ConditionFailed if unknown => Next::Stop,
            Self::Conflict | Self::Throttled if unknown => Next::Replay,
            Self::ConditionFailed | Self::Conflict | Self::Throttled => Next::StartAgain,
        }
    }
}

pub(crate) type Values<const N: usize> = [(&'static str, AttributeValue); N];

fn values<const N: usize>(values: Values<N>) -> Option<Item> {
    (N > 0).then(|| values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

pub(crate) fn put<const N: usize>(
    table: &str,
    item: Item,
    condition: &str,
    bound: Values<N>,
) -> Result<TransactWriteItem, BuildError> {
    let put = Put::builder().table_name(table).set_item(Some(item)).condition_expression(condition);
    let put = put.set_expression_attribute_values(values(bound)).build()?;
    Ok(TransactWriteItem::builder().put(put).build())
}

pub(crate) fn update<const N: usize>(
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

pub(crate) fn check<const N: usize>(
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
        let rows: [(&[&str], Reply); 10] = [
            (&["None", "ConditionalCheckFailed"], Reply::ConditionFailed),
            (&["ConditionalCheckFailed", "TransactionConflict"], Reply::ConditionFailed),
            (&["ConditionalCheckFailed", "ValidationError"], Reply::ConditionFailed),
            (&["None", "TransactionConflict"], Reply::Conflict),
            (&["ThrottlingError", "None", "ProvisionedThroughputExceeded"], Reply::Conflict),
            (&["TransactionConflict", "ValidationError"], Reply::Fault),
            (&["ItemCollectionSizeLimitExceeded"], Reply::Fault),
            (&["SomethingNew"], Reply::Fault),
            (&["None", "None"], Reply::Fault),
            (&[], Reply::Fault),
        ];
        for (codes, expected) in rows {
            assert_eq!(Reply::of_reasons(&reasons(codes)), expected, "{codes:?}");
        }
    }

    #[test]
    fn after_an_unknown_outcome_nothing_starts_again() {
        let rows = [
            (Reply::Committed, Next::Done, Next::Done),
            (Reply::ConditionFailed, Next::StartAgain, Next::Stop),
            (Reply::Conflict, Next::StartAgain, Next::Replay),
            (Reply::Throttled, Next::StartAgain, Next::Replay),
            (Reply::Unknown, Next::Replay, Next::Replay),
            (Reply::Fault, Next::Stop, Next::Stop),
        ];
        for (reply, first, later) in rows {
            assert_eq!(reply.next(false), first, "{reply:?}");
            assert_eq!(reply.next(true), later, "{reply:?}");
        }
    }
}
