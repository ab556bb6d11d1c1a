//! Each test is a row of endpoint and client; the table's cases go through all that fit.

use aws_sdk_ecr::Client;
use serde_json::{Value, json};

use crate::calls::{self, Refusal, call};
use crate::endpoints::Endpoints;
use crate::table::{Case, ExpectedError, Step, Table, missing, repository};

#[tokio::test]
async fn the_table_holds_as_the_client_is() {
    let endpoints = Endpoints::start().await;
    let table = table(&endpoints).await;
    let plain = endpoints.open("plain").await;
    assert_eq!(run(&endpoints, &table, "plain", &endpoints.stock(&plain)).await, 34);
}

#[tokio::test]
async fn the_table_holds_behind_api_gateway_with_the_interceptor() {
    let endpoints = Endpoints::start().await;
    let table = table(&endpoints).await;
    let gateway = endpoints.open("execute-api").await;
    assert_eq!(run(&endpoints, &table, "execute-api", &endpoints.signing(&gateway.url)).await, 8);
}

#[tokio::test]
async fn limits_are_exceptions_that_the_client_tries_again() {
    let endpoints = Endpoints::start().await;
    let table = table(&endpoints).await;
    let quotas = endpoints.open("quotas").await;
    assert_eq!(run(&endpoints, &table, "quotas", &endpoints.stock(&quotas)).await, 2);
    // Two calls of each case are given; the third is refused.
    assert_eq!(quotas.calls(), 2 * (2 + 2));
}

#[tokio::test]
async fn a_server_exception_is_tried_again() {
    let endpoints = Endpoints::start().await;
    let table = table(&endpoints).await;
    let broken = endpoints.open("broken").await;
    assert_eq!(run(&endpoints, &table, "broken", &endpoints.stock(&broken)).await, 1);
    assert_eq!(broken.calls(), 2);
}

#[tokio::test]
async fn a_stock_client_is_refused_by_api_gateway() {
    let endpoints = Endpoints::start().await;
    let gateway = endpoints.open("execute-api").await;
    let refusal = put(&endpoints.stock(&gateway)).await.unwrap_err();
    let error = ExpectedError {
        code: "InvalidSignatureException".into(),
        message: "Credential should be scoped to correct service: 'execute-api'. ".into(),
        status: Some(403),
        kms_error: None,
        unmodelled: true,
    };
    assert_eq!(fault(&refusal, &error, &error.message), None);
    assert_eq!(gateway.calls(), 0);
}

#[tokio::test]
async fn a_url_without_the_stage_is_refused_by_api_gateway() {
    let endpoints = Endpoints::start().await;
    let gateway = endpoints.open("execute-api").await;
    let refusal = put(&endpoints.signing(gateway.url.trim_end_matches("/live"))).await;
    assert_eq!(refusal.unwrap_err().status, 403);
    assert_eq!(gateway.calls(), 0);
}

#[tokio::test]
async fn another_operation_is_an_unknown_operation_exception() {
    let endpoints = Endpoints::start().await;
    let plain = endpoints.open("plain").await;
    let answer = endpoints.stock(&plain).describe_repositories().send().await;
    let refusal = calls::refusal(&answer.unwrap_err(), None, None);
    let error = ExpectedError {
        code: "UnknownOperationException".into(),
        message: "The requested operation is not recognized by the service".into(),
        status: Some(404),
        kms_error: None,
        unmodelled: true,
    };
    assert_eq!(fault(&refusal, &error, &error.message), None);
}

#[tokio::test]
async fn what_is_missing_is_for_the_service_to_say() {
    let endpoints = Endpoints::start().await;
    let plain = endpoints.open("plain").await;
    let ecr = endpoints.stock(&plain);
    let answer = ecr.put_image().repository_name("app").image_tag("v1").send().await;
    let error = answer.unwrap_err();
    assert!(error.as_service_error().unwrap().is_invalid_parameter_exception(), "{error:?}");
    assert_eq!(plain.calls(), 1);
}

async fn table(endpoints: &Endpoints) -> Table {
    let mut table = Table::read();
    table.placeholders.insert("kmsKey", endpoints.create_key().await);
    let disabled = endpoints.create_key().await;
    table.placeholders.insert("disabledKey", disabled.clone());
    let plain = endpoints.stock(&endpoints.open("plain").await);
    for door in ["plain", "execute-api"] {
        for case in table.of(door) {
            for step in &case.prepared {
                let input = table.filled(&step.input, &repository(door, case));
                call(&plain, step, &input).await.unwrap();
            }
        }
    }
    endpoints.disable_key(&disabled).await;
    table
}

async fn put(ecr: &Client) -> Result<Value, Refusal> {
    let input = json!({ "repositoryName": "app", "imageManifest": "{}", "imageTag": "v1" });
    let step = Step { call: "PutImage".into(), input };
    call(ecr, &step, &step.input).await
}

/// Runs the cases of `door`, and says how many there are.
async fn run(endpoints: &Endpoints, table: &Table, door: &str, ecr: &Client) -> usize {
    let mut faults = Vec::new();
    let mut cases = 0;
    for case in table.of(door) {
        cases += 1;
        let repository = repository(door, case);
        endpoints.upload_layers(&repository).await;
        if let Some(fault) = run_case(table, case, &repository, ecr).await {
            faults.push(format!("{}: {fault}", case.name));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    cases
}

async fn run_case(table: &Table, case: &Case, repository: &str, ecr: &Client) -> Option<String> {
    for step in &case.given {
        if let Err(refusal) = call(ecr, step, &table.filled(&step.input, repository)).await {
            return Some(format!("given: {refusal:?}"));
        }
    }
    let answer = call(ecr, &case.step, &table.filled(&case.step.input, repository)).await;
    match (answer, &case.answer, &case.error) {
        (Ok(answer), Some(expected), None) => missing(&answer, &table.filled(expected, repository)),
        (Err(refusal), None, Some(expected)) => {
            let message = table.text(&expected.message, repository);
            fault(&refusal, expected, &message.replace("{requestId}", &refusal.request_id))
        }
        (Ok(answer), ..) => Some(format!("no error: {}", answer["image"]["imageId"])),
        (Err(refusal), ..) => Some(format!("{refusal:?}")),
    }
}

/// What of a refusal is not as expected.
fn fault(refusal: &Refusal, expected: &ExpectedError, message: &str) -> Option<String> {
    let exception = (!expected.unmodelled).then_some(expected.code.as_str());
    let is_expected = refusal.exception == exception
        && refusal.code == expected.code
        && refusal.message == message
        && refusal.status == expected.status.unwrap_or(400)
        && refusal.kms_error == expected.kms_error
        && refusal.request_id.len() == 36;
    (!is_expected).then(|| format!("{refusal:?}, not {} {message}", expected.code))
}
