//! The API Gateway listener over plain sockets: what reaches the function, what comes back.
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use lambda_runtime::LambdaEvent;
use local_aws::api_gateway::{self, Api, Payload};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Barrier, Notify, oneshot};
use tokio::task::JoinHandle;

/// How many calls with the body `together` wait for one another.
const TOGETHER: usize = 20;

/// An API whose function returns the event that it got.
struct Gateway {
    address: SocketAddr,
    function: Arc<Function>,
    end: oneshot::Sender<()>,
    served: JoinHandle<std::io::Result<()>>,
}

struct Function {
    together: Barrier,
    arrived: Notify,
    release: Notify,
}

impl Gateway {
    async fn start() -> Gateway {
        Gateway::start_as(Api::default()).await
    }

    /// As an API with `AWS_IAM` at the stage `live`.
    async fn start_with_iam() -> Gateway {
        Gateway::start_as(Api { stage: Some("live"), ..Api::default() }).await
    }

    async fn start_v2() -> Gateway {
        Gateway::start_as(Api { payload: Payload::V2, ..Api::default() }).await
    }

    async fn start_as(api: Api) -> Gateway {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (end, ended) = oneshot::channel::<()>();
        let shutdown = async { drop(ended.await) };
        let function = Arc::new(Function {
            together: Barrier::new(TOGETHER),
            arrived: Notify::new(),
            release: Notify::new(),
        });
        let handler = {
            let function = Arc::clone(&function);
            move |event| {
                let function = Arc::clone(&function);
                async move { function.respond(event).await }
            }
        };
        let served = tokio::spawn(api_gateway::serve(listener, api, handler, shutdown));
        Gateway { address, function, end, served }
    }

    async fn post(&self, headers: &str, body: &[u8]) -> (u16, String, Vec<u8>) {
        let length = body.len();
        let head =
            format!("POST / HTTP/1.1\r\nhost: ecr\r\n{headers}content-length: {length}\r\n\r\n");
        send(self.address, [head.as_bytes(), body].concat()).await
    }

    /// The event of a request.
    async fn event(&self, request: impl AsRef<[u8]>) -> Value {
        let (status, _, body) = send(self.address, request).await;
        assert_eq!(status, 201);
        serde_json::from_slice(&body).unwrap()
    }

    /// The event of a request to `path`.
    async fn event_of(&self, line: &str) -> Value {
        self.event(format!("{line} HTTP/1.1\r\nhost: ecr\r\n\r\n")).await
    }

    /// What comes back where the function returns `response`.
    async fn respond(&self, response: &Value) -> (u16, String, Vec<u8>) {
        self.post(&format!("x-respond: {response}\r\n"), b"").await
    }

    async fn stop(self) {
        self.end.send(()).unwrap();
        self.served.await.unwrap().unwrap();
    }
}

impl Function {
    async fn respond(&self, event: LambdaEvent<Value>) -> Value {
        let header = |name: &str| event.payload["headers"][name].as_str();
        if let Some(response) = header("x-respond") {
            return serde_json::from_str(response).unwrap();
        }
        if let Some(length) = header("x-respond-length") {
            let empty = json!({ "statusCode": 200, "body": "" }).to_string().len();
            let body = "x".repeat(length.parse::<usize>().unwrap() - empty);
            return json!({ "statusCode": 200, "body": body });
        }
        match header("x-wait") {
            Some("together") => {
                self.together.wait().await;
            }
            Some("release") => {
                self.arrived.notify_one();
                self.release.notified().await;
            }
            _ => {}
        }
        let mut seen = event.payload.clone();
        seen["deadline"] = json!(event.context.deadline);
        seen["awsRequestId"] = json!(event.context.request_id);
        if let Some(body) = seen["body"].as_str().filter(|body| body.len() > 1000) {
            seen["body"] = json!(body.len());
        }
        json!({ "statusCode": 201, "body": seen.to_string() })
    }
}

/// Status, head and body of the response to a request.
async fn send(address: SocketAddr, request: impl AsRef<[u8]>) -> (u16, String, Vec<u8>) {
    let mut connection = TcpStream::connect(address).await.unwrap();
    connection.write_all(request.as_ref()).await.unwrap();
    read(&mut connection).await
}

async fn read(connection: &mut TcpStream) -> (u16, String, Vec<u8>) {
    let mut response = Vec::new();
    let end = loop {
        if let Some(end) = response.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        assert_ne!(connection.read_buf(&mut response).await.unwrap(), 0, "no response");
    };
    let mut body = response.split_off(end);
    let head = String::from_utf8(response).unwrap().to_ascii_lowercase();
    let status = head[9..12].parse().unwrap();
    let length =
        head.split("content-length: ").nth(1).map_or("0", |rest| rest.lines().next().unwrap());
    while body.len() < length.parse().unwrap() {
        assert_ne!(connection.read_buf(&mut body).await.unwrap(), 0, "half a response");
    }
    (status, head, body)
}

/// A request line, and an `Authorization` of `key` for a service in a region.
fn signed_by(key: &str, line: &str, region_and_service: &str) -> String {
    format!(
        "{line} HTTP/1.1\r\nhost: ecr\r\nauthorization: AWS4-HMAC-SHA256 \
         Credential={key}/20260101/{region_and_service}/aws4_request, SignedHeaders=host, \
         Signature=0\r\n\r\n"
    )
}

fn signed(line: &str, service: &str) -> String {
    signed_by("123456789012", line, &format!("us-west-2/{service}"))
}

/// Takes the named members out, and checks that they were there.
fn take(value: &mut Value, members: &[&str]) {
    for member in members {
        let (parent, name) = member.rsplit_once('/').unwrap();
        let parent = value.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        assert!(parent.remove(name).is_some(), "{member}");
    }
}

fn forbidden() -> (u16, &'static str, Value) {
    (403, "forbiddenexception", json!({ "message": "Forbidden" }))
}

fn no_such_method() -> (u16, &'static str, Value) {
    let message = "The requested operation is not recognized by the service";
    let body = json!({ "__type": "UnknownOperationException", "message": message });
    (404, "unknownoperationexception", body)
}

fn wrong_service() -> (u16, &'static str, Value) {
    let message = "Credential should be scoped to correct service: 'execute-api'. ";
    let body = json!({ "__type": "InvalidSignatureException", "message": message });
    (403, "invalidsignatureexception", body)
}

async fn assert_rejected(gateway: &Gateway, request: &str, expected: &(u16, &str, Value)) {
    let (status, error_type, body) = expected;
    let (got, head, response) = send(gateway.address, request).await;
    assert_eq!(got, *status, "{request}");
    assert!(head.contains(&format!("x-amzn-errortype: {error_type}\r\n")), "{head}");
    assert!(head.contains("x-amzn-requestid: "), "{head}");
    assert_eq!(serde_json::from_slice::<Value>(&response).unwrap(), *body, "{request}");
}

#[tokio::test]
async fn every_method_and_path_reaches_the_function() {
    let gateway = Gateway::start().await;
    for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"] {
        let request = format!(
            "{method} /a/%62?x=1&x=%32&y HTTP/1.1\r\nhost: ecr\r\nX-Two: 1\r\nx-two: 2\r\n\r\n"
        );
        let event = gateway.event(request).await;
        assert_eq!(event["httpMethod"], method);
        assert_eq!(event["path"], "/a/%62");
        assert_eq!(event["multiValueHeaders"]["x-two"], json!(["1", "2"]));
        assert_eq!(event["multiValueQueryStringParameters"]["x"], json!(["1", "2"]));
        assert_eq!(event["body"], Value::Null);
    }
    gateway.stop().await;
}

#[tokio::test]
async fn an_event_of_version_1_is_what_a_rest_api_sends() {
    let gateway = Gateway::start().await;
    let request = "POST /pull?a=b+c&a=d HTTP/1.1\r\nhost: ecr.example\r\nUser-Agent: test\r\n\
                   authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/eu-west-1/ecr/\
                   aws4_request, SignedHeaders=host, Signature=0\r\ncontent-length: 2\r\n\r\n{}";
    let mut event = gateway.event(request).await;
    let context = &event["requestContext"];
    let time = context["requestTime"].as_str().unwrap();
    assert!(time.len() == 26 && time.ends_with(" +0000") && time.contains("/20"), "{time}");
    take(
        &mut event,
        &[
            "/deadline",
            "/awsRequestId",
            "/multiValueHeaders",
            "/headers",
            "/requestContext/requestId",
            "/requestContext/requestTime",
            "/requestContext/requestTimeEpoch",
        ],
    );
    let expected = json!({
        "resource": "/pull",
        "path": "/pull",
        "httpMethod": "POST",
        "queryStringParameters": {"a": "d"},
        "multiValueQueryStringParameters": {"a": ["b c", "d"]},
        "pathParameters": null,
        "stageVariables": null,
        "requestContext": {
            "accountId": "012345678910",
            "apiId": "local",
            "domainName": "ecr.example",
            "httpMethod": "POST",
            "identity": {
                "accessKey": "AKIDEXAMPLE",
                "accountId": "012345678910",
                "caller": "AIDALOCALAWS000000001",
                "principalOrgId": null,
                "sourceIp": "127.0.0.1",
                "user": "AIDALOCALAWS000000001",
                "userAgent": "test",
                "userArn": "arn:aws:iam::012345678910:user/local",
            },
            "path": "/pull",
            "protocol": "HTTP/1.1",
            "resourcePath": "/pull",
            "stage": "local",
        },
        "body": "{}",
        "isBase64Encoded": false,
    });
    assert_eq!(event, expected);

    let event = gateway.event_of("GET /").await;
    assert_eq!(event["queryStringParameters"], Value::Null);
    assert_eq!(event["multiValueQueryStringParameters"], Value::Null);
    assert_eq!(event["requestContext"]["identity"]["accessKey"], Value::Null);
    gateway.stop().await;
}

#[tokio::test]
async fn three_paths_are_resources_and_all_others_the_proxy() {
    let gateway = Gateway::start().await;
    for (path, resource, proxy) in [
        ("/", "/", None),
        ("/?x=1", "/", None),
        ("/push", "/push", None),
        ("/pull", "/pull", None),
        ("/push/", "/push", None),
        ("/pull/", "/pull", None),
        ("/push//", "/{proxy+}", Some("push//")),
        ("/pull/x%20y+z", "/{proxy+}", Some("pull/x y+z")),
        ("/Push", "/{proxy+}", Some("Push")),
        ("/pus%68", "/{proxy+}", Some("push")),
        ("//", "/{proxy+}", Some("")),
        ("/ecr", "/{proxy+}", Some("ecr")),
    ] {
        for method in ["POST", "GET"] {
            let event = gateway.event_of(&format!("{method} {path}")).await;
            assert_eq!(event["resource"], resource, "{path}");
            assert_eq!(event["requestContext"]["resourcePath"], resource, "{path}");
            assert_eq!(event["pathParameters"]["proxy"], json!(proxy), "{path}");
            let path = path.split('?').next().unwrap();
            assert_eq!(event["path"], path);
            assert_eq!(event["requestContext"]["path"], path);
        }
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_base_path_is_in_the_path_but_not_in_the_resource() {
    for base_path in ["/ecr", "ecr", "/ecr/"] {
        let api = Api { base_path: Some(base_path.into()), ..Api::default() };
        let gateway = Gateway::start_as(api).await;
        for (path, resource) in [
            ("/ecr", "/"),
            ("/ecr/", "/"),
            ("/ecr/push", "/push"),
            ("/ecr/pull", "/pull"),
            ("/ecr/push/", "/push"),
            ("/ecr/ecr", "/{proxy+}"),
        ] {
            let event = gateway.event_of(&format!("POST {path}")).await;
            assert_eq!(event["resource"], resource, "{path}");
            assert_eq!(event["requestContext"]["resourcePath"], resource, "{path}");
            assert_eq!(event["path"], path);
            assert_eq!(event["requestContext"]["path"], path);
        }
        for path in ["/", "/push", "/ecrs", "/e/ecr", "/ECR"] {
            let request = format!("POST {path} HTTP/1.1\r\nhost: ecr\r\n\r\n");
            assert_rejected(&gateway, &request, &forbidden()).await;
        }
        gateway.stop().await;
    }
}

#[tokio::test]
async fn a_base_path_may_have_segments() {
    let api = Api { base_path: Some("/v1/ecr".into()), ..Api::default() };
    let gateway = Gateway::start_as(api).await;
    assert_eq!(gateway.event_of("POST /v1/ecr/push").await["resource"], "/push");
    let request = "POST /v1 HTTP/1.1\r\nhost: ecr\r\n\r\n";
    assert_rejected(&gateway, request, &forbidden()).await;
    gateway.stop().await;
}

#[tokio::test]
async fn responses_keep_their_status_headers_and_bytes() {
    let gateway = Gateway::start().await;
    let response = json!({
        "statusCode": 201,
        "headers": {"x-function": "echo", "x-number": 7, "x-both": "1"},
        "multiValueHeaders": {"x-many": ["1", "2"], "x-both": ["1", "2"]},
        "body": "AP+A",
        "isBase64Encoded": true,
    });
    let (status, head, body) = gateway.respond(&response).await;
    assert_eq!(status, 201);
    assert!(head.contains("x-function: echo\r\n") && head.contains("x-number: 7\r\n"), "{head}");
    assert!(head.contains("x-many: 1\r\nx-many: 2\r\n"), "{head}");
    assert!(head.contains("x-both: 1\r\nx-both: 2\r\n"), "{head}");
    assert_eq!(head.matches("x-both").count(), 2);
    assert_eq!(body, [0x00, 0xff, 0x80]);

    let nulls = json!({
        "statusCode": 400,
        "headers": null,
        "multiValueHeaders": null,
        "body": null,
        "isBase64Encoded": null,
    });
    let (status, _, body) = gateway.respond(&nulls).await;
    assert_eq!((status, body.as_slice()), (400, &b""[..]));
    gateway.stop().await;
}

#[tokio::test]
async fn a_malformed_response_is_a_502() {
    let expected = json!({
        "__type": "InternalServerErrorException",
        "message": "Internal server error",
    });
    let malformed = [
        json!({ "statusCode": 0 }),
        json!({ "statusCode": 100 }),
        json!({ "statusCode": 600 }),
        json!({ "statusCode": "OK" }),
        json!({ "statusCode": 200, "body": {} }),
        json!({ "statusCode": 200, "body": "%", "isBase64Encoded": true }),
        json!({ "statusCode": 200, "headers": {"x-object": {}} }),
        json!({ "statusCode": 200, "headers": {"x-line": "a\nb"} }),
        json!({ "statusCode": 200, "headers": {"not a name": "a"} }),
        json!({ "statusCode": 200, "headers": [] }),
    ];
    let v1 = [json!({ "statusCode": 200, "multiValueHeaders": {"a": "b"} })];
    let no_status = [json!({}), json!("text"), json!(null), json!([]), json!({ "body": "x" })];
    let v2 = [json!({ "statusCode": 200, "cookies": "a=b" })];

    let gateway = Gateway::start().await;
    for response in malformed.iter().chain(&v1).chain(&no_status) {
        let (status, head, body) = gateway.respond(response).await;
        assert_eq!(status, 502, "{response}");
        assert!(head.contains("content-type: application/x-amz-json-1.1\r\n"), "{head}");
        assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), expected);
    }
    gateway.stop().await;
    let gateway = Gateway::start_v2().await;
    for response in malformed.iter().chain(&v2) {
        assert_eq!(gateway.respond(response).await.0, 502, "{response}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_response_that_lambda_does_not_carry_is_a_502() {
    let gateway = Gateway::start().await;
    for (length, status) in [(6_291_556, 200), (6_291_557, 502)] {
        let header = format!("x-respond-length: {length}\r\n");
        assert_eq!(gateway.post(&header, b"").await.0, status);
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_response_of_version_2_has_cookies() {
    let gateway = Gateway::start_v2().await;
    let response = json!({
        "statusCode": 202,
        "headers": {"content-type": "text/plain", "x-true": true},
        "multiValueHeaders": {"x-other-version": ["1"]},
        "cookies": ["a=1; Secure", "b=2"],
        "body": "AP+A",
        "isBase64Encoded": true,
    });
    let (status, head, body) = gateway.respond(&response).await;
    assert_eq!(status, 202);
    assert!(head.contains("content-type: text/plain\r\n") && head.contains("x-true: true\r\n"));
    assert!(head.contains("set-cookie: a=1; secure\r\nset-cookie: b=2\r\n"), "{head}");
    assert!(!head.contains("x-other-version"), "{head}");
    assert_eq!(body, [0x00, 0xff, 0x80]);
    gateway.stop().await;
}

#[tokio::test]
async fn a_response_of_version_2_without_a_status_is_the_body() {
    let gateway = Gateway::start_v2().await;
    for (response, expected) in [
        (json!({ "message": "hello" }), r#"{"message":"hello"}"#),
        (json!("Hello from Lambda!"), "Hello from Lambda!"),
        (json!([1, null]), "[1,null]"),
        (json!(null), "null"),
    ] {
        let (status, head, body) = gateway.respond(&response).await;
        assert_eq!(status, 200);
        assert!(head.contains("content-type: application/json\r\n"), "{head}");
        assert_eq!(String::from_utf8(body).unwrap(), expected);
    }
    gateway.stop().await;
}

#[tokio::test]
async fn an_event_of_version_2_is_what_an_http_api_sends() {
    let gateway = Gateway::start_v2().await;
    let request = "POST /push?a=1&b=%32&a=3 HTTP/1.1\r\nhost: ecr.example\r\nUser-Agent: test\r\n\
                   X-Two: 1\r\nx-two: 2\r\ncookie: a=1; b=2\r\ncookie: c=3\r\n\
                   content-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
    let mut event = gateway.event(request).await;
    let variable = [
        "/deadline",
        "/awsRequestId",
        "/requestContext/requestId",
        "/requestContext/time",
        "/requestContext/timeEpoch",
    ];
    take(&mut event, &variable);
    let expected = json!({
        "version": "2.0",
        "routeKey": "POST /push",
        "rawPath": "/push",
        "rawQueryString": "a=1&b=%32&a=3",
        "cookies": ["a=1", "b=2", "c=3"],
        "headers": {
            "content-length": "2",
            "content-type": "application/json",
            "host": "ecr.example",
            "user-agent": "test",
            "x-two": "1,2",
        },
        "queryStringParameters": {"a": "1,3", "b": "2"},
        "requestContext": {
            "accountId": "012345678910",
            "apiId": "local",
            "domainName": "ecr.example",
            "http": {
                "method": "POST",
                "path": "/push",
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": "test",
            },
            "routeKey": "POST /push",
            "stage": "$default",
        },
        "body": "{}",
        "isBase64Encoded": false,
    });
    assert_eq!(event, expected);

    let mut event = gateway.event_of("PUT /v2/").await;
    take(&mut event, &variable);
    let expected = json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/v2/",
        "rawQueryString": "",
        "headers": {"host": "ecr"},
        "pathParameters": {"proxy": "v2/"},
        "requestContext": {
            "accountId": "012345678910",
            "apiId": "local",
            "domainName": "ecr",
            "http": {
                "method": "PUT",
                "path": "/v2/",
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": null,
            },
            "routeKey": "$default",
            "stage": "$default",
        },
        "isBase64Encoded": false,
    });
    assert_eq!(event, expected);
    gateway.stop().await;
}

#[tokio::test]
async fn the_routes_of_version_2_are_post_on_the_resources() {
    let gateway = Gateway::start_v2().await;
    for (line, route_key) in [
        ("POST /", "POST /"),
        ("POST /push", "POST /push"),
        ("POST /pull", "POST /pull"),
        ("GET /push", "$default"),
        ("POST /push/", "POST /push"),
        ("POST /v2/", "$default"),
    ] {
        let event = gateway.event_of(line).await;
        assert_eq!(event["routeKey"], route_key);
        assert_eq!(event["requestContext"]["routeKey"], route_key);
    }
    gateway.stop().await;
}

#[tokio::test]
async fn version_2_names_the_signer_and_nobody_where_nobody_signed() {
    let gateway = Gateway::start_v2().await;
    let event = gateway.event(signed_by("123456789012", "POST /", "cn-north-1/ecr")).await;
    let expected = json!({
        "iam": {
            "accessKey": "123456789012",
            "accountId": "123456789012",
            "callerId": "AIDALOCALAWS000000001",
            "cognitoIdentity": null,
            "principalOrgId": null,
            "userArn": "arn:aws-cn:iam::123456789012:user/local",
            "userId": "AIDALOCALAWS000000001",
        },
    });
    assert_eq!(event["requestContext"]["authorizer"], expected);
    let bearer = "POST / HTTP/1.1\r\nhost: ecr\r\nauthorization: Bearer 123456789012\r\n\r\n";
    for event in [gateway.event_of("POST /").await, gateway.event(bearer).await] {
        assert!(event["requestContext"].get("authorizer").is_none(), "{event}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_raw_path_has_a_named_stage_and_no_base_path() {
    let with = |stage, base_path: Option<&str>| Api {
        stage,
        base_path: base_path.map(str::to_owned),
        payload: Payload::V2,
    };
    for (api, path, route_key, raw_path) in [
        (with(Some("live"), None), "/live", "POST /", "/live"),
        (with(Some("live"), None), "/live/push", "POST /push", "/live/push"),
        (with(Some("$default"), None), "/push", "POST /push", "/push"),
        (with(Some("live"), Some("/ecr")), "/ecr/push", "POST /push", "/live/push"),
        (with(Some("live"), Some("/ecr")), "/ecr", "POST /", "/live/"),
        (with(None, Some("/ecr")), "/ecr/push", "POST /push", "/push"),
    ] {
        let stage = api.stage.unwrap_or("$default");
        let gateway = Gateway::start_as(api).await;
        let event = gateway.event(signed(&format!("POST {path}"), "execute-api")).await;
        assert_eq!(event["routeKey"], route_key, "{path}");
        assert_eq!(event["rawPath"], raw_path, "{path}");
        assert_eq!(event["requestContext"]["http"]["path"], raw_path, "{path}");
        assert_eq!(event["requestContext"]["stage"], stage);
        gateway.stop().await;
    }
}

#[tokio::test]
async fn version_2_sends_a_few_media_types_as_text() {
    let gateway = Gateway::start_v2().await;
    for (media_type, is_text) in [
        ("application/json", true),
        ("Application/JSON; charset=utf-8", true),
        ("application/xml", true),
        ("application/javascript", true),
        ("text/anything", true),
        ("application/x-amz-json-1.1", false),
        ("application/x-www-form-urlencoded", false),
        ("", false),
    ] {
        let (_, _, body) = gateway.post(&format!("content-type: {media_type}\r\n"), b"{}").await;
        let event: Value = serde_json::from_slice(&body).unwrap();
        let expected = if is_text { "{}" } else { "e30=" };
        assert_eq!(event["body"], expected, "{media_type}");
        assert_eq!(event["isBase64Encoded"], !is_text, "{media_type}");
    }
    let (_, _, body) = gateway.post("content-type: text/plain\r\n", &[0x00, 0xff, 0x80]).await;
    let event: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((&event["body"], &event["isBase64Encoded"]), (&json!("AP+A"), &json!(true)));
    gateway.stop().await;
}

#[tokio::test]
async fn the_account_is_the_access_key_where_that_is_an_account() {
    let gateway = Gateway::start().await;
    for (key, account) in [
        ("123456789012", "123456789012"),
        ("AKIDEXAMPLE", "012345678910"),
        ("12345678901", "012345678910"),
        ("", "012345678910"),
    ] {
        let event = gateway.event(signed_by(key, "POST /", "us-west-2/ecr")).await;
        let identity = &event["requestContext"]["identity"];
        assert_eq!(identity["accountId"], account);
        assert_eq!(identity["userArn"], format!("arn:aws:iam::{account}:user/local"));
    }
    let event = gateway.event_of("POST /").await;
    assert_eq!(event["requestContext"]["identity"]["accountId"], api_gateway::DEFAULT_ACCOUNT);
    gateway.stop().await;
}

#[tokio::test]
async fn the_callers_partition_is_the_regions() {
    let gateway = Gateway::start().await;
    for (region, partition) in [
        ("us-west-2", "aws"),
        ("eu-central-1", "aws"),
        ("cn-north-1", "aws-cn"),
        ("cn-northwest-1", "aws-cn"),
        ("us-gov-west-1", "aws-us-gov"),
        ("us-iso-east-1", "aws-iso"),
        ("us-isob-east-1", "aws-iso-b"),
        ("eu-isoe-west-1", "aws-iso-e"),
        ("us-isof-south-1", "aws-iso-f"),
        ("eusc-de-east-1", "aws-eusc"),
        ("", "aws"),
    ] {
        let event = gateway.event(signed_by("123456789012", "POST /", &format!("{region}/ecr")));
        let expected = format!("arn:{partition}:iam::123456789012:user/local");
        assert_eq!(event.await["requestContext"]["identity"]["userArn"], expected, "{region}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn every_call_has_its_ids_and_a_deadline() {
    let gateway = Gateway::start().await;
    let began = Instant::now();
    let (first, second) = (gateway.event_of("POST /").await, gateway.event_of("POST /").await);
    let elapsed = u64::try_from(began.elapsed().as_millis()).unwrap();
    for id in ["/requestContext/requestId", "/awsRequestId"] {
        assert_eq!(first.pointer(id).unwrap().as_str().unwrap().len(), 36);
        assert_ne!(first.pointer(id), second.pointer(id));
    }
    let arrival = first["requestContext"]["requestTimeEpoch"].as_u64().unwrap();
    let left = first["deadline"].as_u64().unwrap() - arrival;
    assert!((28_000..=28_001 + elapsed).contains(&left), "{left}");
    gateway.stop().await;
}

#[tokio::test]
async fn a_body_that_is_not_text_comes_in_base64() {
    let gateway = Gateway::start().await;
    let event = |body: &'static [u8]| async {
        let (_, _, response) = gateway.post("", body).await;
        serde_json::from_slice::<Value>(&response).unwrap()
    };
    let binary = event(&[0x00, 0xff, 0x80]).await;
    assert_eq!((&binary["body"], &binary["isBase64Encoded"]), (&json!("AP+A"), &json!(true)));
    let text = event("{\"é\": 1}".as_bytes()).await;
    assert_eq!((&text["body"], &text["isBase64Encoded"]), (&json!("{\"é\": 1}"), &json!(false)));
    gateway.stop().await;
}

#[tokio::test]
async fn a_request_that_is_too_large_is_read_and_rejected() {
    let gateway = Gateway::start().await;
    let expected =
        json!({"__type": "RequestEntityTooLargeException", "message": "Request too long"});
    // The body alone, then the event: quotes are escaped, so three million make six.
    for body in [vec![b'x'; 10_485_761], vec![b'x'; 6_291_456], vec![b'"'; 3_200_000]] {
        let (status, head, response) = gateway.post("", &body).await;
        assert_eq!(status, 413);
        assert!(head.contains("content-type: application/x-amz-json-1.1\r\n"), "{head}");
        assert_eq!(serde_json::from_slice::<Value>(&response).unwrap(), expected);
    }
    let (status, _, response) = gateway.post("", &vec![b'x'; 6_280_000]).await;
    let event: Value = serde_json::from_slice(&response).unwrap();
    assert_eq!((status, &event["body"]), (201, &json!(6_280_000)));
    gateway.stop().await;

    // In Base64 four bytes stand for three.
    let gateway = Gateway::start_v2().await;
    for (length, status) in [(4_710_000, 201), (4_720_000, 413)] {
        assert_eq!(gateway.post("", &vec![b'x'; length]).await.0, status);
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_header_that_is_not_ascii_is_rejected_and_the_connection_stays() {
    for gateway in [Gateway::start().await, Gateway::start_v2().await] {
        let mut connection = TcpStream::connect(gateway.address).await.unwrap();
        for name in ["x-name", "cookie"] {
            let bad = format!(
                "POST / HTTP/1.1\r\nhost: ecr\r\n{name}: é\r\ncontent-length: 2\r\n\r\n{{}}"
            );
            connection.write_all(bad.as_bytes()).await.unwrap();
            let (status, _, body) = read(&mut connection).await;
            let error: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!((status, &error["__type"]), (400, &json!("SerializationException")));
            assert_eq!(error["message"], format!("The value of header {name} is not ASCII"));
        }
        connection.write_all(b"POST / HTTP/1.1\r\nhost: ecr\r\n\r\n").await.unwrap();
        assert_eq!(read(&mut connection).await.0, 201);
        gateway.stop().await;
    }
}

#[tokio::test]
async fn the_end_waits_for_calls_in_flight_and_not_for_idle_connections() {
    let gateway = Gateway::start().await;
    let mut idle = TcpStream::connect(gateway.address).await.unwrap();
    idle.write_all(b"GET / HTTP/1.1\r\nhost: ecr\r\n\r\n").await.unwrap();
    assert_eq!(read(&mut idle).await.0, 201);
    let _silent = TcpStream::connect(gateway.address).await.unwrap();
    let mut busy = TcpStream::connect(gateway.address).await.unwrap();
    busy.write_all(b"POST / HTTP/1.1\r\nhost: ecr\r\nx-wait: release\r\n\r\n").await.unwrap();
    gateway.function.arrived.notified().await;

    gateway.end.send(()).unwrap();
    // The idle connection is closed while the call is still under way.
    assert_eq!(idle.read(&mut [0]).await.unwrap(), 0);
    assert!(!gateway.served.is_finished());
    gateway.function.release.notify_one();
    gateway.served.await.unwrap().unwrap();
    assert_eq!(read(&mut busy).await.0, 201);
}

#[tokio::test]
async fn calls_run_concurrently() {
    let gateway = Gateway::start().await;
    let request = b"POST / HTTP/1.1\r\nhost: ecr\r\nx-wait: together\r\n\r\n";
    let calls: Vec<_> =
        (0..TOGETHER).map(|_| tokio::spawn(send(gateway.address, request))).collect();
    for call in calls {
        assert_eq!(call.await.unwrap().0, 201);
    }
    gateway.stop().await;
}

#[tokio::test]
async fn with_iam_what_is_signed_for_execute_api_reaches_the_function_below_the_stage() {
    let gateway = Gateway::start_with_iam().await;
    for (url, path, resource) in [
        ("/live", "/", "/"),
        ("/live/", "/", "/"),
        ("/live/?x=1", "/", "/"),
        ("/live/push", "/push", "/push"),
        ("/live/pull?x=1", "/pull", "/pull"),
    ] {
        let event = gateway.event(signed(&format!("POST {url}"), "execute-api")).await;
        let context = &event["requestContext"];
        assert_eq!((&event["path"], &event["resource"]), (&json!(path), &json!(resource)));
        assert_eq!(
            (&context["stage"], &context["resourcePath"]),
            (&json!("live"), &json!(resource))
        );
        assert_eq!(context["path"], url.split('?').next().unwrap());
        assert_eq!(context["identity"]["accountId"], "123456789012");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn with_iam_all_else_is_rejected_as_api_gateway_does() {
    let gateway = Gateway::start_with_iam().await;
    let unsigned = "POST /live HTTP/1.1\r\nhost: ecr\r\n\r\n".to_owned();
    let bearer = unsigned.replace("host: ecr", "host: ecr\r\nauthorization: Bearer execute-api");
    for (request, expected) in [
        (signed("POST /live", "ecr"), wrong_service()),
        (signed("POST /live/push", "ecr"), wrong_service()),
        (signed("POST /live", "s3/execute-api"), wrong_service()),
        (bearer, wrong_service()),
        (unsigned, no_such_method()),
        (signed("GET /live", "execute-api"), no_such_method()),
        (signed("GET /live/pull", "execute-api"), no_such_method()),
        (signed("POST /live/v2", "execute-api"), no_such_method()),
        (signed("POST /", "execute-api"), forbidden()),
        (signed("POST /push", "execute-api"), forbidden()),
        (signed("POST /lively", "execute-api"), forbidden()),
    ] {
        assert_rejected(&gateway, &request, &expected).await;
    }
    gateway.stop().await;
}

#[tokio::test]
async fn with_iam_and_a_base_path_the_url_has_no_stage() {
    let base_path = Some("/ecr".to_owned());
    let api = Api { stage: Some("live"), base_path, ..Api::default() };
    let gateway = Gateway::start_as(api).await;
    let event = gateway.event(signed("POST /ecr/push", "execute-api")).await;
    let context = &event["requestContext"];
    assert_eq!((&event["path"], &event["resource"]), (&json!("/ecr/push"), &json!("/push")));
    assert_eq!((&context["path"], &context["stage"]), (&json!("/ecr/push"), &json!("live")));
    for (request, expected) in [
        (signed("POST /ecr", "ecr"), wrong_service()),
        (signed("POST /ecr/live", "execute-api"), no_such_method()),
        (signed("POST /live/push", "execute-api"), forbidden()),
    ] {
        assert_rejected(&gateway, &request, &expected).await;
    }
    gateway.stop().await;
}
