//! Lost, late and refused answers of the stores: what is asked again, under which token, and what
//! the client is told.

use std::time::Duration;

use local_aws::Fault;
use serde_json::Value;

use crate::harness::*;

const COMMIT: &str = "TransactWriteItems";

fn answer(status: u16, code: &'static str) -> Fault {
    Fault::Answer { status, code, message: "table ecr" }
}

/// The tokens of all commits sent, in order: putId and attempt.
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

/// A push whose commits meet these faults, one after the other.
async fn push_through(faults: impl IntoIterator<Item = Fault>) -> (Service, Answer, Stored) {
    let service = Service::start().await;
    service.upload_layers_of("app", &image("a")).await;
    service.faults.script(COMMIT, faults.into_iter().map(Some));
    let before = service.stored().await;
    let answer = service.put(request("app", &image("a"), Some("v1"))).await;
    (service, answer, before)
}

async fn is_stored_once(service: &Service) {
    let image = service.image_item("app", &sha256(&image("a"))).await.expect("stored");
    assert_eq!(n(&image, "tagCount"), 1);
    assert_eq!(s(&service.tag_item("app", "v1").await.unwrap(), "putId"), s(&image, "putId"));
    assert_eq!(n(&service.repository_item("app").await, "imageCount"), 1);
    service.counts_are_exact("app").await;
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_sent_again_as_it_was() {
    for fault in [
        Fault::DropBefore,
        Fault::DropAfter,
        Fault::TruncateBody,
        Fault::Duplicate,
        answer(500, "InternalServerError"),
        answer(503, "ServiceUnavailable"),
        answer(400, "TransactionInProgressException"),
        Fault::AnswerAfter { status: 500, code: "InternalServerError", message: "" },
    ] {
        let replayed = !matches!(fault, Fault::Duplicate);
        let (service, answer, _) = push_through([fault.clone()]).await;
        assert_eq!(answer.digest(), sha256(&image("a")), "{fault:?}");
        let expected: &[u32] = if replayed { &[0, 0] } else { &[0] };
        assert_eq!(attempts(&service), expected, "{fault:?}");
        assert_eq!(service.faults.count("BatchGetItem"), 1, "{fault:?}");
        is_stored_once(&service).await;
    }
}

#[tokio::test]
async fn a_commit_that_was_refused_for_now_starts_again_under_a_new_token() {
    for fault in [
        Fault::Cancelled(vec!["None", "ConditionalCheckFailed", "None", "None"]),
        Fault::Cancelled(vec!["TransactionConflict", "None", "None", "None"]),
        Fault::Cancelled(vec!["None", "None", "ThrottlingError", "TransactionConflict"]),
        Fault::Cancelled(vec!["ProvisionedThroughputExceeded", "None", "None", "None"]),
        answer(400, "ThrottlingException"),
        answer(400, "RequestLimitExceeded"),
        answer(400, "ProvisionedThroughputExceededException"),
    ] {
        let (service, answer, _) = push_through([fault.clone()]).await;
        assert_eq!(answer.digest(), sha256(&image("a")), "{fault:?}");
        assert_eq!(attempts(&service), [0, 1], "{fault:?}");
        assert_eq!(service.faults.count("BatchGetItem"), 2, "{fault:?}: decided anew");
        assert_eq!(service.faults.count("HeadObject"), 2, "{fault:?}: the layers were known");
        is_stored_once(&service).await;
    }
}

#[tokio::test]
async fn our_own_faults_are_not_repeated() {
    for fault in [
        Fault::Cancelled(vec!["ValidationError", "None", "None", "None"]),
        Fault::Cancelled(vec!["ItemCollectionSizeLimitExceeded", "None", "None", "None"]),
        Fault::Cancelled(vec!["TransactionConflict", "SomethingNew", "None", "None"]),
        Fault::Cancelled(vec![]),
        answer(400, "IdempotentParameterMismatchException"),
        answer(400, "ValidationException"),
        answer(400, "AccessDeniedException"),
        answer(400, "ResourceNotFoundException"),
        answer(400, "SomethingNew"),
    ] {
        let (service, answer, before) = push_through([fault.clone()]).await;
        answer.is_server_exception();
        assert_eq!(attempts(&service), [0], "{fault:?}");
        assert_eq!(service.stored().await, before, "{fault:?}");
    }
}

#[tokio::test]
async fn after_a_lost_answer_no_condition_is_believed() {
    let failed = || Fault::Cancelled(vec!["ConditionalCheckFailed", "None", "None", "None"]);
    // Applied, lost, and the repetition says that it cannot be: nobody knows.
    let (service, answer, _) = push_through([Fault::DropAfter, failed()]).await;
    answer.is_server_exception();
    assert_eq!(attempts(&service), [0, 0]);
    is_stored_once(&service).await;
    // The next call sees it.
    let message = already_exists(&sha256(&image("a")), Some("v1"));
    let body = request("app", &image("a"), Some("v1"));
    service.refuses(body, "ImageAlreadyExistsException", &message).await;

    let (service, answer, before) = push_through([Fault::DropBefore, failed()]).await;
    answer.is_server_exception();
    assert_eq!(service.stored().await, before);
}

#[tokio::test]
async fn after_a_lost_answer_conflicts_and_throttles_are_repetitions() {
    let conflict = Fault::Cancelled(vec!["TransactionConflict", "None", "None", "None"]);
    let throttle = answer(400, "ThrottlingException");
    let (service, answer, _) = push_through([Fault::DropAfter, conflict, throttle]).await;
    assert_eq!(answer.digest(), sha256(&image("a")));
    assert_eq!(attempts(&service), [0, 0, 0, 0]);
    assert_eq!(service.faults.count("BatchGetItem"), 1);
    is_stored_once(&service).await;
}

#[tokio::test]
async fn the_eighth_conflict_is_the_last() {
    let conflict = || Fault::Cancelled(vec!["TransactionConflict", "None", "None", "None"]);
    let (service, answer, before) = push_through((0..9).map(|_| conflict())).await;
    answer.is_server_exception();
    assert_eq!(attempts(&service), [0, 1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(service.stored().await, before);
}

#[tokio::test]
async fn a_call_ends_before_its_invocation_does() {
    let service = Service::start().await;
    service.upload_layers_of("app", &image("a")).await;
    for operation in ["GetItem", "BatchGetItem", "HeadObject", COMMIT] {
        let service = service.restarted();
        service.faults.clear();
        service.faults.always(operation, Fault::Hang);
        let now = since_1970();
        let deadline = u64::try_from((now + Duration::from_millis(2_600)).as_millis()).unwrap();
        let body = request("app", &image("a"), Some("v1")).to_string();
        let before = service.stored().await;
        service.send_until(event("PutImage", ACCOUNT, &body), deadline).await.is_server_exception();
        let after = since_1970();
        assert!(u64::try_from(after.as_millis()).unwrap() < deadline, "{operation}");
        assert_eq!(service.stored().await, before, "{operation}");
    }
}

#[tokio::test]
async fn reads_are_repeated_by_the_sdk_and_then_given_up() {
    for (operation, faults) in [
        ("BatchGetItem", answer(500, "InternalServerError")),
        ("BatchGetItem", answer(400, "ProvisionedThroughputExceededException")),
        ("BatchGetItem", Fault::DropBefore),
        ("GetItem", answer(503, "ServiceUnavailable")),
    ] {
        let service = Service::start().await.restarted();
        service.upload_layers_of("app", &image("a")).await;
        service.faults.reset_calls();
        service.faults.always(operation, faults.clone());
        let before = service.stored().await;
        service.put(request("app", &image("a"), Some("v1"))).await.is_server_exception();
        assert_eq!(service.faults.count(operation), 4, "{faults:?}");
        assert_eq!(service.stored().await, before);
        service.faults.clear();
        service.faults.script(operation, [Some(faults.clone()), Some(faults)]);
        assert_eq!(service.put(request("app", &image("a"), Some("v1"))).await.status, 200);
    }
}

#[tokio::test]
async fn a_body_whose_answer_is_lost_is_put_to_the_same_key() {
    let service = Service::start().await;
    let manifest = crate::large::image_of_bytes(70 * 1024);
    service.upload_layers_of("app", &manifest).await;
    service.faults.script("PutObject", [Some(Fault::DropAfter)]);
    let conflict = Fault::Cancelled(vec!["TransactionConflict", "None", "None"]);
    service.faults.script(COMMIT, [Some(conflict)]);
    let answer = service.put(request("app", &manifest, Some("v1"))).await;
    assert_eq!(answer.digest(), sha256(&manifest));
    assert_eq!(service.faults.count("PutObject"), 2, "and not again for the second attempt");
    assert_eq!(service.stored().await.bodies.len(), 1);
}
