//! Each test is a pair of endpoint and client. All cases of the table that fit the pair are run.

use aws_sdk_ecr::Client;
use serde_json::{Value, json};

use crate::calls::{self, Rejection, call};
use crate::endpoints::Endpoints;
use crate::table::{Case, ExpectedError, Step, Table, missing, repository};

#[tokio::test]
async fn the_table_holds_for_the_default_client() {
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
async fn the_client_retries_limit_exceptions() {
    let endpoints = Endpoints::start().await;
    let table = table(&endpoints).await;
    let quotas = endpoints.open("quotas").await;
    assert_eq!(run(&endpoints, &table, "quotas", &endpoints.stock(&quotas)).await, 2);
    // Two calls of each case prepare its state. The third is rejected.
    assert_eq!(quotas.calls(), 2 * (2 + 2));
}

#[tokio::test]
async fn the_client_retries_a_server_exception() {
    let endpoints = Endpoints::start().await;
    let table = table(&endpoints).await;
    let broken = endpoints.open("broken").await;
    assert_eq!(run(&endpoints, &table, "broken", &endpoints.stock(&broken)).await, 1);
    assert_eq!(broken.calls(), 2);
}

#[tokio::test]
async fn api_gateway_rejects_a_stock_client() {
    let endpoints = Endpoints::start().await;
    let gateway = endpoints.open("execute-api").await;
    let rejection = put(&endpoints.stock(&gateway)).await.unwrap_err();
    let error = ExpectedError {
        code: "InvalidSignatureException".into(),
        message: "Credential should be scoped to correct service: 'execute-api'. ".into(),
        status: Some(403),
        kms_error: None,
        unmodelled: true,
    };
    assert_eq!(fault(&rejection, &error, &error.message), None);
    assert_eq!(gateway.calls(), 0);
}

#[tokio::test]
async fn api_gateway_rejects_a_url_without_the_stage() {
    let endpoints = Endpoints::start().await;
    let gateway = endpoints.open("execute-api").await;
    let rejection = put(&endpoints.signing(gateway.url.trim_end_matches("/live"))).await;
    assert_eq!(rejection.unwrap_err().status, 403);
    assert_eq!(gateway.calls(), 0);
}

#[tokio::test]
async fn another_operation_is_an_unknown_operation_exception() {
    let endpoints = Endpoints::start().await;
    let plain = endpoints.open("plain").await;
    let response = endpoints.stock(&plain).describe_repositories().send().await;
    let rejection = calls::rejection(&response.unwrap_err(), None, None);
    let error = ExpectedError {
        code: "UnknownOperationException".into(),
        message: "The requested operation is not recognized by the service".into(),
        status: Some(404),
        kms_error: None,
        unmodelled: true,
    };
    assert_eq!(fault(&rejection, &error, &error.message), None);
}

#[tokio::test]
async fn the_service_and_not_the_client_reports_missing_members() {
    let endpoints = Endpoints::start().await;
    let plain = endpoints.open("plain").await;
    let ecr = endpoints.stock(&plain);
    let response = ecr.put_image().repository_name("app").image_tag("v1").send().await;
    let error = response.unwrap_err();
    assert!(error.as_service_error().unwrap().is_invalid_parameter_exception(), "{error:?}");
    assert_eq!(plain.calls(), 1);
}

async fn table(endpoints: &Endpoints) -> Table {
    let mut table = Table::read();
    table.placeholders.insert("kmsKey", endpoints.create_key().await);
    let disabled = endpoints.create_key().await;
    table.placeholders.insert("disabledKey", disabled.clone());
    let plain = endpoints.stock(&endpoints.open("plain").await);
    for endpoint in ["plain", "execute-api"] {
        for case in table.of(endpoint) {
            for step in &case.prepared {
                let input = table.filled(&step.input, &repository(endpoint, case));
                call(&plain, step, &input).await.unwrap();
            }
        }
    }
    endpoints.disable_key(&disabled).await;
    table
}

async fn put(ecr: &Client) -> Result<Value, Rejection> {
    let input = json!({ "repositoryName": "app", "imageManifest": "{}", "imageTag": "v1" });
    let step = Step { call: "PutImage".into(), input };
    call(ecr, &step, &step.input).await
}

/// Runs the cases of `endpoint`. Returns how many there are.
async fn run(endpoints: &Endpoints, table: &Table, endpoint: &str, ecr: &Client) -> usize {
    let mut faults = Vec::new();
    let mut cases = 0;
    for case in table.of(endpoint) {
        cases += 1;
        let repository = repository(endpoint, case);
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
        if let Err(rejection) = call(ecr, step, &table.filled(&step.input, repository)).await {
            return Some(format!("given: {rejection:?}"));
        }
    }
    let response = call(ecr, &case.step, &table.filled(&case.step.input, repository)).await;
    match (response, &case.answer, &case.error) {
        (Ok(response), Some(expected), None) => {
            missing(&response, &table.filled(expected, repository))
        }
        (Err(rejection), None, Some(expected)) => {
            let message = table.text(&expected.message, repository);
            fault(&rejection, expected, &message.replace("{requestId}", &rejection.request_id))
        }
        (Ok(response), ..) => Some(format!("no error: {}", response["image"]["imageId"])),
        (Err(rejection), ..) => Some(format!("{rejection:?}")),
    }
}

/// The difference between an error and the expected one.
fn fault(rejection: &Rejection, expected: &ExpectedError, message: &str) -> Option<String> {
    let exception = (!expected.unmodelled).then_some(expected.code.as_str());
    let is_expected = rejection.exception == exception
        && rejection.code == expected.code
        && rejection.message == message
        && rejection.status == expected.status.unwrap_or(400)
        && rejection.kms_error == expected.kms_error
        && rejection.request_id.len() == 36;
    (!is_expected).then(|| format!("{rejection:?}, not {} {message}", expected.code))
}
