//! The API Gateway door over plain sockets: what reaches the function, what comes back.
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use aws_lambda_events::encodings::Body;
use aws_lambda_events::event::apigw::{ApiGatewayProxyRequest, ApiGatewayProxyResponse};
use lambda_runtime::LambdaEvent;
use local_aws::api_gateway;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A door whose function answers with what it got.
struct Door {
    address: SocketAddr,
    end: oneshot::Sender<()>,
    served: JoinHandle<std::io::Result<()>>,
}

impl Door {
    async fn open() -> Door {
        Door::open_at(None).await
    }

    /// As an API with `AWS_IAM` at the stage `live`.
    async fn open_with_iam() -> Door {
        Door::open_at(Some("live")).await
    }

    async fn open_at(stage: Option<&'static str>) -> Door {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (end, ended) = oneshot::channel::<()>();
        let shutdown = async { drop(ended.await) };
        let served = tokio::spawn(api_gateway::serve(listener, stage, echo, shutdown));
        Door { address, end, served }
    }

    async fn post(&self, headers: &str, body: &[u8]) -> (u16, String, Vec<u8>) {
        let length = body.len();
        let head =
            format!("POST / HTTP/1.1\r\nhost: ecr\r\n{headers}content-length: {length}\r\n\r\n");
        send(self.address, [head.as_bytes(), body].concat()).await
    }

    /// The event that a request became.
    async fn event(&self, request: impl AsRef<[u8]>) -> Value {
        let (status, _, body) = send(self.address, request).await;
        assert_eq!(status, 201);
        serde_json::from_slice(&body).unwrap()
    }

    async fn close(self) {
        self.end.send(()).unwrap();
        self.served.await.unwrap().unwrap();
    }
}

/// Status, head and body of the answer to a request.
async fn send(address: SocketAddr, request: impl AsRef<[u8]>) -> (u16, String, Vec<u8>) {
    let mut connection = TcpStream::connect(address).await.unwrap();
    connection.write_all(request.as_ref()).await.unwrap();
    read(&mut connection).await
}

async fn read(connection: &mut TcpStream) -> (u16, String, Vec<u8>) {
    let mut answer = Vec::new();
    let end = loop {
        if let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        assert_ne!(connection.read_buf(&mut answer).await.unwrap(), 0, "no answer");
    };
    let body = answer.split_off(end);
    let head = String::from_utf8(answer).unwrap().to_ascii_lowercase();
    let status = head[9..12].parse().unwrap();
    let length =
        head.split("content-length: ").nth(1).map_or("0", |rest| rest.lines().next().unwrap());
    let mut body = body;
    while body.len() < length.parse().unwrap() {
        assert_ne!(connection.read_buf(&mut body).await.unwrap(), 0, "half an answer");
    }
    (status, head, body)
}

async fn echo(event: LambdaEvent<ApiGatewayProxyRequest>) -> ApiGatewayProxyResponse {
    let mut answer = ApiGatewayProxyResponse::default();
    answer.status_code = 201;
    answer.headers.insert("x-function", "echo".parse().unwrap());
    answer.multi_value_headers.append("x-many", "1".parse().unwrap());
    answer.multi_value_headers.append("x-many", "2".parse().unwrap());
    let body = event.payload.body.clone().unwrap_or_default();
    if body == "binary" {
        answer.body = Some(Body::Text("AP+A".into()));
        answer.is_base64_encoded = true;
        return answer;
    }
    if body == "slow" {
        tokio::time::sleep(Duration::from_millis(600)).await;
    }
    let mut seen = serde_json::to_value(&event.payload).unwrap();
    seen["deadline"] = json!(event.context.deadline);
    seen["awsRequestId"] = json!(event.context.request_id);
    if body.len() > 1000 {
        seen["body"] = json!(body.len());
    }
    answer.body = Some(Body::Text(seen.to_string()));
    answer
}

#[tokio::test]
async fn every_method_and_path_reaches_the_function() {
    let door = Door::open().await;
    for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"] {
        let request = format!(
            "{method} /a/%62?x=1&x=%32&y HTTP/1.1\r\nhost: ecr\r\nX-Two: 1\r\nx-two: 2\r\n\r\n"
        );
        let event = door.event(request).await;
        assert_eq!(event["httpMethod"], method);
        assert_eq!(event["path"], "/a/%62");
        assert_eq!(event["multiValueHeaders"]["x-two"], json!(["1", "2"]));
        assert_eq!(event["multiValueQueryStringParameters"]["x"], json!(["1", "2"]));
        assert_eq!(event["body"], Value::Null);
    }
    door.close().await;
}

#[tokio::test]
async fn answers_keep_their_status_headers_and_bytes() {
    let door = Door::open().await;
    let (status, head, body) = door.post("", b"binary").await;
    assert_eq!(status, 201);
    assert!(head.contains("x-function: echo\r\n") && head.contains("x-many: 1\r\nx-many: 2\r\n"));
    assert_eq!(body, [0x00, 0xff, 0x80]);
    door.close().await;
}

#[tokio::test]
async fn the_account_is_the_access_key_where_that_is_an_account() {
    let door = Door::open().await;
    for (key, account) in [
        ("123456789012", "123456789012"),
        ("AKIDEXAMPLE", "012345678910"),
        ("12345678901", "012345678910"),
        ("", "012345678910"),
    ] {
        let request = format!(
            "POST / HTTP/1.1\r\nhost: ecr\r\nauthorization: AWS4-HMAC-SHA256 \
             Credential={key}/20260101/us-west-2/ecr/aws4_request, SignedHeaders=host, Signature=0\
             \r\n\r\n"
        );
        let event = door.event(request).await;
        let identity = &event["requestContext"]["identity"];
        assert_eq!(identity["accountId"], account);
        assert_eq!(identity["userArn"], format!("arn:aws:iam::{account}:user/local"));
    }
    let event = door.event("POST / HTTP/1.1\r\nhost: ecr\r\n\r\n").await;
    assert_eq!(event["requestContext"]["identity"]["accountId"], api_gateway::DEFAULT_ACCOUNT);
    door.close().await;
}

#[tokio::test]
async fn every_call_has_its_ids_and_a_deadline() {
    let door = Door::open().await;
    let request = "POST / HTTP/1.1\r\nhost: ecr\r\n\r\n";
    let (first, second) = (door.event(request).await, door.event(request).await);
    for id in ["/requestContext/requestId", "/awsRequestId"] {
        assert_eq!(first.pointer(id).unwrap().as_str().unwrap().len(), 36);
        assert_ne!(first.pointer(id), second.pointer(id));
    }
    let arrival = first["requestContext"]["requestTimeEpoch"].as_u64().unwrap();
    let left = first["deadline"].as_u64().unwrap() - arrival;
    assert!((28_000..29_000).contains(&left), "{left}");
    door.close().await;
}

#[tokio::test]
async fn a_body_that_is_not_text_comes_in_base64() {
    let door = Door::open().await;
    let event = |body: &'static [u8]| async {
        let (_, _, answer) = door.post("", body).await;
        serde_json::from_slice::<Value>(&answer).unwrap()
    };
    let binary = event(&[0x00, 0xff, 0x80]).await;
    assert_eq!((&binary["body"], &binary["isBase64Encoded"]), (&json!("AP+A"), &json!(true)));
    let text = event("{\"é\": 1}".as_bytes()).await;
    assert_eq!((&text["body"], &text["isBase64Encoded"]), (&json!("{\"é\": 1}"), &json!(false)));
    door.close().await;
}

#[tokio::test]
async fn too_large_requests_are_read_and_answered_413() {
    let door = Door::open().await;
    let expected =
        json!({"__type": "RequestEntityTooLargeException", "message": "Request too long"});
    // The body alone, then the event: quotes are escaped, so three million make six.
    for body in [vec![b'x'; 10_485_761], vec![b'x'; 6_291_456], vec![b'"'; 3_200_000]] {
        let (status, head, answer) = door.post("", &body).await;
        assert_eq!(status, 413);
        assert!(head.contains("content-type: application/x-amz-json-1.1\r\n"), "{head}");
        assert_eq!(serde_json::from_slice::<Value>(&answer).unwrap(), expected);
    }
    let (status, _, answer) = door.post("", &vec![b'x'; 6_280_000]).await;
    let event: Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!((status, &event["body"]), (201, &json!(6_280_000)));
    door.close().await;
}

#[tokio::test]
async fn a_header_that_is_not_ascii_is_refused_and_the_connection_goes_on() {
    let door = Door::open().await;
    let mut connection = TcpStream::connect(door.address).await.unwrap();
    let bad = "POST / HTTP/1.1\r\nhost: ecr\r\nx-name: é\r\ncontent-length: 2\r\n\r\n{}";
    connection.write_all(bad.as_bytes()).await.unwrap();
    let (status, _, body) = read(&mut connection).await;
    let answer: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((status, &answer["__type"]), (400, &json!("SerializationException")));
    connection.write_all(b"POST / HTTP/1.1\r\nhost: ecr\r\n\r\n").await.unwrap();
    assert_eq!(read(&mut connection).await.0, 201);
    door.close().await;
}

#[tokio::test]
async fn the_door_closes_though_connections_idle_and_answers_what_is_under_way() {
    let door = Door::open().await;
    let mut idle = TcpStream::connect(door.address).await.unwrap();
    idle.write_all(b"GET / HTTP/1.1\r\nhost: ecr\r\n\r\n").await.unwrap();
    assert_eq!(read(&mut idle).await.0, 201);
    let _silent = TcpStream::connect(door.address).await.unwrap();
    let mut busy = TcpStream::connect(door.address).await.unwrap();
    busy.write_all(b"POST / HTTP/1.1\r\nhost: ecr\r\ncontent-length: 4\r\n\r\nslow").await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;

    let before = Instant::now();
    door.close().await;
    assert!(before.elapsed() < Duration::from_secs(5));
    assert_eq!(read(&mut busy).await.0, 201);
}

#[tokio::test]
async fn slow_calls_do_not_hold_up_others() {
    let door = Door::open().await;
    let before = Instant::now();
    let slow = b"POST / HTTP/1.1\r\nhost: ecr\r\ncontent-length: 4\r\n\r\nslow";
    let calls: Vec<_> = (0..20).map(|_| tokio::spawn(send(door.address, slow))).collect();
    for call in calls {
        assert_eq!(call.await.unwrap().0, 201);
    }
    assert!(before.elapsed() < Duration::from_secs(6));
    door.close().await;
}

/// A request line, and an `Authorization` for `service`.
fn signed(line: &str, service: &str) -> String {
    format!(
        "{line} HTTP/1.1\r\nhost: ecr\r\nauthorization: AWS4-HMAC-SHA256 \
         Credential=123456789012/20260101/us-west-2/{service}/aws4_request, SignedHeaders=host, \
         Signature=0\r\n\r\n"
    )
}

#[tokio::test]
async fn with_iam_what_is_signed_for_execute_api_reaches_the_function_below_the_stage() {
    let door = Door::open_with_iam().await;
    for path in ["/live", "/live/", "/live/?x=1"] {
        let event = door.event(signed(&format!("POST {path}"), "execute-api")).await;
        let context = &event["requestContext"];
        assert_eq!((&event["path"], &context["stage"]), (&json!("/"), &json!("live")));
        assert!(context["path"].as_str().unwrap().starts_with("/live"));
        assert_eq!(context["identity"]["accountId"], "123456789012");
    }
    door.close().await;
}

#[tokio::test]
async fn with_iam_all_else_is_refused_as_api_gateway_does() {
    let door = Door::open_with_iam().await;
    let unsigned = "POST /live HTTP/1.1\r\nhost: ecr\r\n\r\n".to_owned();
    let bearer = unsigned.replace("host: ecr", "host: ecr\r\nauthorization: Bearer execute-api");
    let wrong_service = (
        403,
        "invalidsignatureexception",
        json!({
            "__type": "InvalidSignatureException",
            "message": "Credential should be scoped to correct service: 'execute-api'. ",
        }),
    );
    let no_such_method = (
        404,
        "unknownoperationexception",
        json!({
            "__type": "UnknownOperationException",
            "message": "The requested operation is not recognized by the service",
        }),
    );
    let no_such_stage = (403, "forbiddenexception", json!({ "message": "Forbidden" }));
    for (request, (status, error_type, body)) in [
        (signed("POST /live", "ecr"), &wrong_service),
        (signed("POST /live", "s3/execute-api"), &wrong_service),
        (bearer, &wrong_service),
        (unsigned, &no_such_method),
        (signed("GET /live", "execute-api"), &no_such_method),
        (signed("POST /live/v2", "execute-api"), &no_such_method),
        (signed("POST /", "execute-api"), &no_such_stage),
        (signed("POST /lively", "execute-api"), &no_such_stage),
    ] {
        let (got, head, answer) = send(door.address, &request).await;
        assert_eq!(got, *status, "{request}");
        assert!(head.contains(&format!("x-amzn-errortype: {error_type}\r\n")), "{head}");
        assert!(head.contains("x-amzn-requestid: "), "{head}");
        assert_eq!(serde_json::from_slice::<Value>(&answer).unwrap(), *body);
    }
    door.close().await;
}
