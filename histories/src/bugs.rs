//! Planted bugs, which the histories must find, because they would otherwise prove nothing.
//!
//! A bug works between the function and the network. It rewrites the function's transactions, as if
//! their author had forgotten a condition, or returns responses that the function must not trust.

use std::time::Duration;

use fastrand::Rng;
use local_aws::{Call, Fault};
use serde_json::Value;

/// The function that has the bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Culprit {
    Push,
    Sweeper,
    /// A sweeper that ignores the age of a body.
    HurriedSweeper,
}

/// A planted bug.
#[derive(Debug)]
pub(crate) struct Bug {
    pub(crate) name: &'static str,
    pub(crate) culprit: Culprit,
    /// The body that is sent instead.
    pub(crate) rewrite: fn(&Call) -> Option<Vec<u8>>,
    /// A fault that comes with the bug.
    pub(crate) fault: fn(&mut Rng, &Call) -> Option<(&'static str, Fault)>,
}

const fn rewriting(name: &'static str, rewrite: fn(&Call) -> Option<Vec<u8>>) -> Bug {
    Bug { name, culprit: Culprit::Push, rewrite, fault: late }
}

/// Delays commits, so that what their decisions were based on may have changed: a little, or until all
/// other clients have done what they can.
fn late(rng: &mut Rng, call: &Call) -> Option<(&'static str, Fault)> {
    if call.operation != "TransactWriteItems" {
        return None;
    }
    match rng.u8(0..4) {
        0 => None,
        1 => Some(("delayed request", Fault::Delay(Duration::from_millis(rng.u64(0..40))))),
        _ => Some(("held request", Fault::Hold)),
    }
}

/// The bugs, by their names in docs/PROOF.md.
pub(crate) static BUGS: [Bug; 14] = [
    rewriting("row 1 without rev", |call| {
        condition(call, "Update", "#META", "imageCount < :imageLimit", &[":rev"])
    }),
    rewriting("row 1 without the quota of images", |call| {
        condition(call, "Update", "#META", "rev = :rev", &[":imageLimit"])
    }),
    rewriting("no row 1'", |call| without(call, "ConditionCheck", "#META")),
    rewriting("rows 2 and 3 without their condition", |call| {
        let call = unconditional(call, "Put", "IMAGE#")?;
        unconditional(&call, "Put", "MANIFEST#").map(|call| call.body.to_vec())
    }),
    rewriting("row 2' without the quota of tags", |call| {
        condition(call, "Update", "IMAGE#", "attribute_exists(PK)", &[":tagLimit"])
    }),
    rewriting("row 4 without its condition", |call| {
        let put = action(call, "Put", "TAG#")?;
        let is_new = put.get("ConditionExpression")?.as_str()?.contains("not_exists");
        is_new.then(|| unconditional(call, "Put", "TAG#"))?.map(|call| call.body.to_vec())
    }),
    rewriting("row 4' without its condition", |call| {
        let put = action(call, "Put", "TAG#")?;
        let is_new = put.get("ConditionExpression")?.as_str()?.contains("not_exists");
        (!is_new).then(|| unconditional(call, "Put", "TAG#"))?.map(|call| call.body.to_vec())
    }),
    rewriting("no row 5", |call| without_update(call, "tagCount - :one")),
    rewriting("no row 6", |call| without_update(call, "refCount + :one")),
    rewriting("no row 1: images are not counted", |call| without(call, "Update", "#META")),
    Bug {
        name: "a new token for each repetition",
        culprit: Culprit::Push,
        rewrite: |call| {
            edit(call, |request| {
                let token = uuid::Uuid::new_v4().simple().to_string();
                request.as_object_mut()?.insert("ClientRequestToken".into(), token.into());
                Some(())
            })
        },
        // Copies arrive so late that a deletion comes first.
        fault: |rng, call| {
            let commit = call.operation == "TransactWriteItems" && rng.u8(0..3) == 0;
            commit.then_some(("late copy", Fault::HeldCopy))
        },
    },
    Bug {
        name: "a lost response is taken for a rejection",
        culprit: Culprit::Push,
        rewrite: |_| None,
        fault: |rng, call| {
            let commit = call.operation == "TransactWriteItems" && rng.u8(0..5) == 0;
            let rejected =
                Fault::AnswerAfter { status: 400, code: "ThrottlingException", message: "" };
            commit.then_some(("throttled after", rejected))
        },
    },
    Bug {
        name: "the sweeper ignores the age of a body",
        culprit: Culprit::HurriedSweeper,
        rewrite: |_| None,
        fault: |_, _| None,
    },
    Bug {
        name: "the sweeper reads another item than the image's",
        culprit: Culprit::Sweeper,
        rewrite: |call| {
            let key = call.body.windows(6).position(|bytes| bytes == b"IMAGE#")?;
            let mut body = call.body.to_vec();
            body.get_mut(key..key + 5)?.copy_from_slice(b"image");
            Some(body)
        },
        fault: |_, _| None,
    },
];

/// The call with another body.
fn edit(call: &Call, change: impl FnOnce(&mut Value) -> Option<()>) -> Option<Vec<u8>> {
    if call.operation != "TransactWriteItems" {
        return None;
    }
    let mut request: Value = serde_json::from_slice(&call.body).ok()?;
    change(&mut request)?;
    serde_json::to_vec(&request).ok()
}

fn is(action: &Value, kind: &str, sk: &str) -> bool {
    let Some(body) = action.get(kind) else { return false };
    let key = body.get("Key").or(body.get("Item"));
    let found = key.and_then(|key| key.pointer("/SK/S")).and_then(Value::as_str);
    found.is_some_and(|found| found.starts_with(sk))
}

fn action(call: &Call, kind: &str, sk: &str) -> Option<Value> {
    let request: Value = serde_json::from_slice(&call.body).ok()?;
    let actions = request.get("TransactItems")?.as_array()?;
    actions.iter().find(|action| is(action, kind, sk))?.get(kind).cloned()
}

/// Replaces the condition of the first such action that binds all of `unbound`, and removes these
/// values.
fn condition(
    call: &Call,
    kind: &str,
    sk: &str,
    condition: &str,
    unbound: &[&str],
) -> Option<Vec<u8>> {
    edit(call, |request| {
        let actions = request.get_mut("TransactItems")?.as_array_mut()?;
        let binds = |action: &&mut Value| {
            let values = action.get(kind).and_then(|body| body.get("ExpressionAttributeValues"));
            unbound.iter().all(|name| values.is_some_and(|values| values.get(name).is_some()))
        };
        let action = actions.iter_mut().filter(|action| is(action, kind, sk)).find(binds)?;
        let body = action.get_mut(kind)?.as_object_mut()?;
        body.insert("ConditionExpression".into(), condition.into());
        let values = body.get_mut("ExpressionAttributeValues")?.as_object_mut()?;
        for name in unbound {
            values.remove(*name);
        }
        Some(())
    })
}

fn unconditional(call: &Call, kind: &str, sk: &str) -> Option<Call> {
    let body = edit(call, |request| {
        let actions = request.get_mut("TransactItems")?.as_array_mut()?;
        let action = actions.iter_mut().find(|action| is(action, kind, sk))?;
        let body = action.get_mut(kind)?.as_object_mut()?;
        body.remove("ConditionExpression");
        body.remove("ExpressionAttributeValues");
        Some(())
    })?;
    Some(Call { body: body.into(), ..call.clone() })
}

fn without(call: &Call, kind: &str, sk: &str) -> Option<Vec<u8>> {
    edit(call, |request| {
        let actions = request.get_mut("TransactItems")?.as_array_mut()?;
        let before = actions.len();
        actions.retain(|action| !is(action, kind, sk));
        (actions.len() < before).then_some(())
    })
}

fn without_update(call: &Call, expression: &str) -> Option<Vec<u8>> {
    edit(call, |request| {
        let actions = request.get_mut("TransactItems")?.as_array_mut()?;
        let before = actions.len();
        actions.retain(|action| {
            let update = action.pointer("/Update/UpdateExpression").and_then(Value::as_str);
            !update.is_some_and(|update| update.contains(expression))
        });
        (actions.len() < before).then_some(())
    })
}
