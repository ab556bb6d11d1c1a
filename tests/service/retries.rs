//! Lost, late and failed responses of the stores: which requests are retried, under which token,
//! and which response the client gets.

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::future::{FutureExt, join_all};
use local_aws::Fault;
use serde_json::Value;

use crate::harness::*;
use crate::log::{listen, logged};

const COMMIT: &str = "TransactWriteItems";

fn error(status: u16, code: &'static str) -> Fault {
    Fault::Answer { status, code, message: "table ecr" }
}

/// The tokens of all commits that were sent, in order: putId and attempt.
fn tokens(service: &Service) -> Vec<(String, u32)> {
    let calls = service.faults.calls().into_iter().filter(|call| call.operation == COMMIT);
    calls
        .map(|call| {
            let body: Value = serde_json::from_slice(&call.body).unwrap();
            let token = body["ClientRequestToken"].as_str().unwrap().to_owned();
            assert!(token.len() <= 36, "{token}");
            let (put_id, attempt) = token.rsplit_once('-').unwrap();
            (put_id.to_owned(), attempt.parse().unwrap())
        })
        .collect()
}

fn attempts(service: &Service) -> Vec<u32> {
    let tokens = tokens(service);
    assert!(tokens.iter().all(|(put_id, _)| *put_id == tokens[0].0), "one putId per call");
    tokens.into_iter().map(|(_, attempt)| attempt).collect()
}

/// A push whose commits meet these faults one after another.
async fn push_through(faults: impl IntoIterator<Item = Fault>) -> (Service, Response, Stored) {
    let service = Service::start().await;
    service.upload_layers_of("app", &image("a")).await;
    service.faults.reset_calls();
    service.faults.script(COMMIT, faults.into_iter().map(Some));
    let before = service.stored().await;
    let response = service.put(request("app", &image("a"), Some("v1"))).await;
    (service, response, before)
}

async fn is_stored_once(service: &Service) {
    let image = service.image_item("app", &sha256(&image("a"))).await.expect("stored");
    assert_eq!(n(&image, "tagCount"), 1);
    assert_eq!(s(&service.tag_item("app", "v1").await.unwrap(), "putId"), s(&image, "putId"));
    assert_eq!(n(&service.repository_item("app").await, "imageCount"), 1);
    service.counts_are_exact("app").await;
}

/// What follows a response to the commit.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Next {
    /// A new attempt, under a new token.
    Again,
    /// The same request, under the same token.
    Replay,
    /// `ServerException`.
    Stop,
}

/// The actions of the largest kind of transaction: an index takes a tag from an image.
const ACTIONS: usize = 6;

/// The protocol's table of responses to the commit: what follows while the outcome is known to be
/// "not applied", and what follows once it is unknown.
fn responses_to_the_commit() -> Vec<(Fault, Next, Next)> {
    use Next::{Again, Replay, Stop};
    let mut rows = Vec::new();
    for (code, known, unknown) in [
        ("ConditionalCheckFailed", Again, Stop),
        ("TransactionConflict", Again, Replay),
        ("ThrottlingError", Again, Replay),
        ("ProvisionedThroughputExceeded", Again, Replay),
        ("ValidationError", Stop, Stop),
        ("ItemCollectionSizeLimitExceeded", Stop, Stop),
        ("SomethingNew", Stop, Stop),
    ] {
        for place in 0..ACTIONS {
            let mut reasons = vec!["None"; ACTIONS];
            reasons[place] = code;
            rows.push((Fault::Cancelled(reasons), known, unknown));
        }
    }
    rows.extend([
        (Fault::Cancelled(vec!["TransactionConflict", "ConditionalCheckFailed"]), Again, Stop),
        (Fault::Cancelled(vec!["ThrottlingError", "TransactionConflict"]), Again, Replay),
        (Fault::Cancelled(vec!["TransactionConflict", "SomethingNew"]), Stop, Stop),
        (Fault::Cancelled(vec!["None"; ACTIONS]), Stop, Stop),
        (Fault::Cancelled(vec![]), Stop, Stop),
        (error(400, "ThrottlingException"), Again, Replay),
        (error(400, "RequestLimitExceeded"), Again, Replay),
        (error(400, "ProvisionedThroughputExceededException"), Again, Replay),
        (error(400, "IdempotentParameterMismatchException"), Stop, Stop),
        (error(400, "ValidationException"), Stop, Stop),
        (error(400, "AccessDeniedException"), Stop, Stop),
        (error(400, "ResourceNotFoundException"), Stop, Stop),
        (error(400, "UnrecognizedClientException"), Stop, Stop),
        (error(400, "SomethingNew"), Stop, Stop),
        (error(400, "TransactionInProgressException"), Replay, Replay),
        (error(500, "InternalServerError"), Replay, Replay),
        (error(502, "SomethingNew"), Replay, Replay),
        (error(503, "ServiceUnavailable"), Replay, Replay),
        (
            Fault::AnswerAfter { status: 500, code: "InternalServerError", message: "" },
            Replay,
            Replay,
        ),
        (Fault::Garbage(200), Replay, Replay),
        (Fault::Garbage(400), Replay, Replay),
        (Fault::Garbage(502), Replay, Replay),
        (Fault::TruncateBody, Replay, Replay),
        (Fault::DropBefore, Replay, Replay),
        (Fault::DropAfter, Replay, Replay),
        (Fault::Refuse, Replay, Replay),
    ]);
    rows
}

#[tokio::test]
async fn each_response_to_a_commit_has_its_consequence() {
    let service = Service::start().await;
    service.push("app", &image("a"), Some("v1")).await;
    service.push("app", &image("b"), None).await;
    let before = service.items().await;
    let body = request("app", &index(&[&image("a"), &image("b")]), Some("v1"));
    let digest = service.put(body.clone()).await.digest();
    let all = lasting(service.items().await);
    let actions = service.faults.calls().into_iter().rfind(|call| call.operation == COMMIT);
    let sent: Value = serde_json::from_slice(&actions.unwrap().body).unwrap();
    assert_eq!(sent["TransactItems"].as_array().unwrap().len(), ACTIONS);

    listen();
    for (nth, (fault, known, unknown)) in responses_to_the_commit().into_iter().enumerate() {
        // The request is lost before or after it is applied. The call cannot tell which.
        let lost = if nth % 2 == 0 { Fault::DropBefore } else { Fault::DropAfter };
        for (first, next) in [(None, known), (Some(lost), unknown)] {
            service.restore(&before).await;
            service.faults.reset_calls();
            let faults = first.iter().chain([&fault]).cloned().map(Some);
            service.faults.script(COMMIT, faults);
            let response = service.put(body.clone()).await;

            let row = format!("{fault:?} after {first:?}");
            let unread = usize::from(first.is_some());
            let mut expected = vec![0; unread + 1];
            match next {
                Next::Again => expected.push(1),
                Next::Replay => expected.push(0),
                Next::Stop => {}
            }
            assert_eq!(attempts(&service), expected, "{row}");
            let reads = if next == Next::Again { 2 } else { 1 };
            assert_eq!(service.faults.count("BatchGetItem"), reads, "{row}");
            let (_, events) = logged();
            let is_stored = if next == Next::Stop {
                response.is_server_exception();
                let outcome = if first.is_some() { "unknown" } else { "failed" };
                assert_eq!(events[0]["fields"]["outcome"], outcome, "{row}");
                first == Some(Fault::DropAfter)
            } else {
                assert_eq!(response.digest(), digest, "{row}");
                assert_eq!(events[0]["fields"]["outcome"], "ok", "{row}");
                true
            };
            let stored = service.items().await;
            if is_stored {
                assert_eq!(lasting(stored), all, "{row}");
            } else {
                assert_eq!(stored, before, "{row}");
            }
        }
    }
}

#[tokio::test]
async fn a_commit_that_arrives_twice_is_applied_once() {
    let (service, response, _) = push_through([Fault::Duplicate]).await;
    assert_eq!(response.digest(), sha256(&image("a")));
    assert_eq!(attempts(&service), [0]);
    is_stored_once(&service).await;
}

#[tokio::test]
async fn after_a_lost_response_the_next_call_sees_what_was_stored() {
    let failed = Fault::Cancelled(vec!["ConditionalCheckFailed", "None", "None", "None"]);
    let (service, response, _) = push_through([Fault::DropAfter, failed]).await;
    response.is_server_exception();
    is_stored_once(&service).await;
    let message = already_exists(&sha256(&image("a")), Some("v1"));
    let body = request("app", &image("a"), Some("v1"));
    service.rejects(body, "ImageAlreadyExistsException", &message).await;
}

#[tokio::test]
async fn the_24th_conflict_is_the_last() {
    let conflict = || Fault::Cancelled(vec!["TransactionConflict", "None", "None", "None"]);
    let (service, response, before) = push_through((0..25).map(|_| conflict())).await;
    response.is_server_exception();
    assert_eq!(attempts(&service), (0..24).collect::<Vec<_>>());
    assert_eq!(service.stored().await, before);
}

#[tokio::test]
async fn a_call_ends_before_its_invocation_does() {
    let service = Service::start().await;
    service.upload_layers_of("app", &image("a")).await;
    for operation in ["GetItem", "BatchGetItem", "HeadObject", COMMIT] {
        let service = service.restarted();
        service.faults.clear();
        service.faults.always(operation, Fault::Hold);
        let body = request("app", &image("a"), Some("v1")).to_string();
        let before = service.stored().await;
        let event = event("PutImage", ACCOUNT, &body);
        let (response, took) =
            service.send_until_cut_off(event, CUT_OFF, service.faults.held()).await;
        response.is_server_exception();
        assert!(took + MARGIN <= CUT_OFF, "{operation}: {took:?}");
        assert_eq!(service.stored().await, before, "{operation}");
    }
}

/// How often a read is tried that always meets this fault.
fn responses_to_a_read() -> [(Fault, usize); 18] {
    [
        (error(400, "ThrottlingException"), 4),
        (error(400, "RequestLimitExceeded"), 4),
        (error(400, "ProvisionedThroughputExceededException"), 4),
        (error(500, "InternalServerError"), 4),
        (error(502, "SomethingNew"), 4),
        (error(503, "ServiceUnavailable"), 4),
        (Fault::DropBefore, 4),
        (Fault::DropAfter, 4),
        (Fault::Refuse, 4),
        (Fault::TruncateBody, 4),
        (Fault::Garbage(200), 1),
        (Fault::Garbage(502), 4),
        (Fault::Garbage(400), 1),
        (error(400, "ValidationException"), 1),
        (error(400, "AccessDeniedException"), 1),
        (error(400, "ResourceNotFoundException"), 1),
        (error(400, "UnrecognizedClientException"), 1),
        (error(400, "SomethingNew"), 1),
    ]
}

/// A service that rejects a push of image `b` as `v1` after all possible reads.
async fn rejecting() -> Service {
    let service = Service::start().await;
    service.push("app", &image("a"), Some("v1")).await;
    let immutable = AttributeValue::S("IMMUTABLE".into());
    service.change_repository("app", "mutability", immutable).await;
    service
}

#[tokio::test]
async fn each_response_to_a_read_has_its_consequence() {
    let service = rejecting().await;
    let before = service.stored().await;
    for operation in ["GetItem", "BatchGetItem", "TransactGetItems"] {
        for (fault, requests) in responses_to_a_read() {
            // Each process has its own retry budget in the SDK.
            let service = service.restarted();
            service.faults.reset_calls();
            service.faults.always(operation, fault.clone());
            let response = service.put(request("app", &image("b"), Some("v1"))).await;
            response.is_server_exception();
            assert_eq!(service.faults.count(operation), requests, "{operation} {fault:?}");
            assert_eq!(service.faults.count(COMMIT), 0, "{operation} {fault:?}");
            service.faults.clear();
        }
    }
    assert_eq!(service.stored().await, before);
}

#[tokio::test]
async fn a_read_that_conflicts_with_a_writer_is_retried_and_no_other_cancellation_is() {
    let service = rejecting().await;
    let before = service.stored().await;
    for (code, repeated) in [
        ("TransactionConflict", true),
        ("ThrottlingError", true),
        ("ProvisionedThroughputExceeded", true),
        ("ValidationError", false),
        ("SomethingNew", false),
        ("None", false),
    ] {
        for place in 0..3 {
            let mut reasons = vec!["None"; 3];
            reasons[place] = code;
            service.faults.reset_calls();
            service.faults.script("TransactGetItems", [Some(Fault::Cancelled(reasons))]);
            let response = service.put(request("app", &image("b"), Some("v1"))).await;
            if repeated {
                response.is_error(400, "ImageTagAlreadyExistsException", &tag_immutable("v1"));
            } else {
                response.is_server_exception();
            }
            let requests = 1 + usize::from(repeated);
            assert_eq!(service.faults.count("TransactGetItems"), requests, "{code} at {place}");
        }
    }
    service.faults.script("TransactGetItems", [Some(Fault::Cancelled(vec![]))]);
    service.put(request("app", &image("b"), Some("v1"))).await.is_server_exception();
    assert_eq!(service.stored().await, before);
}

#[tokio::test]
async fn requests_without_a_response_in_time_are_retried() {
    let manifest = &crate::large::image_of_bytes(70 * 1024);
    // Operation, how often it hangs and is sent, and whether the push then succeeds.
    let rows = [
        ("GetItem", Fault::Hang, 4, 4, false),
        ("BatchGetItem", Fault::Hang, 4, 4, false),
        ("BatchGetItem", Fault::Hang, 1, 2, true),
        ("HeadObject", Fault::Hang, 2, 4, true),
        ("HeadObject", Fault::Hang, 6, 6, false),
        ("GenerateDataKey", Fault::Hang, 3, 3, false),
        ("GenerateDataKey", Fault::Hang, 1, 2, true),
        ("PutObject", Fault::Hang, 1, 2, true),
        ("PutObject", Fault::HangAfter, 1, 2, true),
        (COMMIT, Fault::Hang, 1, 2, true),
        (COMMIT, Fault::HangAfter, 2, 3, true),
    ];
    let rows = rows.into_iter().map(|(operation, fault, hangs, requests, stored)| async move {
        let (service, _) = crate::encryption::encrypted("KMS").await;
        service.upload_layers_of("app", manifest).await;
        let service = service.restarted();
        service.faults.reset_calls();
        service.faults.script(operation, vec![Some(fault); hangs]);
        let before = service.stored().await;
        let response = service.put(request("app", manifest, Some("v1"))).await;
        assert_eq!(service.faults.count(operation), requests, "{operation}");
        if stored {
            assert_eq!(response.digest(), sha256(manifest), "{operation}");
            assert_eq!(service.stored().await.bodies.len(), 1, "{operation}");
            assert!(attempts(&service).iter().all(|&attempt| attempt == 0), "{operation}");
            service.counts_are_exact("app").await;
        } else {
            response.is_server_exception();
            assert_eq!(service.stored().await, before, "{operation}");
        }
    });
    join_all(rows.map(FutureExt::boxed_local)).await;
}

#[tokio::test]
async fn a_commit_without_a_response_when_the_call_must_end_is_logged_as_unknown() {
    let service = Service::start().await;
    service.upload_layers_of("app", &image("a")).await;
    service.faults.always(COMMIT, Fault::HoldResponse);
    let body = request("app", &image("a"), Some("v1"));
    listen();
    let event = event("PutImage", ACCOUNT, &body.to_string());
    let (response, _) = service.send_until_cut_off(event, CUT_OFF, service.faults.held()).await;
    response.is_server_exception();
    let (_, events) = logged();
    assert_eq!(events[0]["fields"]["outcome"], "unknown");
    service.faults.clear();
    is_stored_once(&service).await;
    let message = already_exists(&sha256(&image("a")), Some("v1"));
    service.rejects(body, "ImageAlreadyExistsException", &message).await;
}

#[tokio::test]
async fn a_body_whose_response_is_lost_is_put_to_the_same_key() {
    let service = Service::start().await;
    let manifest = crate::large::image_of_bytes(70 * 1024);
    service.upload_layers_of("app", &manifest).await;
    service.faults.script("PutObject", [Some(Fault::DropAfter)]);
    let conflict = Fault::Cancelled(vec!["TransactionConflict", "None", "None"]);
    service.faults.script(COMMIT, [Some(conflict)]);
    let response = service.put(request("app", &manifest, Some("v1"))).await;
    assert_eq!(response.digest(), sha256(&manifest));
    assert_eq!(service.faults.count("PutObject"), 2, "and not again for the second attempt");
    assert_eq!(service.faults.count("HeadObject"), 2, "nor are the layers checked again");
    assert_eq!(service.stored().await.bodies.len(), 1);
}
