//! The HTTP client of an SDK: plain HTTP with the faults in front of it.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use axum::body::Bytes;
use http_body::{Body, Frame};

use super::{Call, Fault, Faults, batch, lock, operation, response};

/// How much of a request's body a [`Call`] keeps.
const KEPT_BODY: usize = 64 * 1024;

/// The client that sends, with its pool of connections.
#[derive(Debug)]
pub(super) struct PlainHttp(SharedHttpClient);

impl Default for PlainHttp {
    fn default() -> Self {
        PlainHttp(aws_smithy_http_client::Builder::new().build_http())
    }
}

impl HttpClient for Faults {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let inner = self.0.client.0.http_connector(settings, components);
        SharedHttpConnector::new(Faulted { faults: self.clone(), inner })
    }
}

/// A connector of the real client with the faults in front of it.
#[derive(Clone, Debug)]
struct Faulted {
    faults: Faults,
    inner: SharedHttpConnector,
}

impl HttpConnector for Faulted {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let this = self.clone();
        HttpConnectorFuture::new(async move { this.attempt(request).await })
    }
}

impl Faulted {
    async fn attempt(self, mut request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let body = collect(request.take_body()).await?;
        *request.body_mut() = SdkBody::from(body.clone());
        let faults = self.faults.clone();
        let round = faults.0.completed.load(Ordering::Relaxed) + 1;
        let response = self.attempt_in(round, request, &body).await;
        faults.0.completed.fetch_max(round, Ordering::Relaxed);
        response
    }

    async fn attempt_in(
        self,
        round: usize,
        mut request: HttpRequest,
        body: &Bytes,
    ) -> Result<HttpResponse, ConnectorError> {
        let (service, operation) = operation::name(&request);
        let call = Call {
            service,
            operation,
            path: path(request.uri()).to_owned(),
            body: body.slice(..body.len().min(KEPT_BODY)),
            round,
        };
        let rewrite = lock(&self.faults.0.plan).rewrite.clone();
        if let Some(body) = rewrite.and_then(|rewrite| rewrite(&call)) {
            request.headers_mut().insert("content-length", body.len().to_string());
            *request.body_mut() = SdkBody::from(body);
        }
        let Some(fault) = self.faults.decide(&call) else {
            return self.send(&call, request).await;
        };
        match fault {
            Fault::DropBefore => Err(broken()),
            Fault::DropAfter => {
                self.send(&call, request).await?;
                Err(broken())
            }
            Fault::Delay(time) => {
                let delayed = self.faults.0.in_flight.is_delayed();
                tokio::time::sleep(time).await;
                drop(delayed);
                self.send(&call, request).await
            }
            Fault::DelayAnswer(time) => {
                let _delayed = self.faults.0.in_flight.is_delayed();
                let response = self.send(&call, request).await;
                tokio::time::sleep(time).await;
                response
            }
            Fault::Hold => {
                let in_flight = &self.faults.0.in_flight;
                let _sent = in_flight.hold(in_flight.releases()).await;
                self.send(&call, request).await
            }
            Fault::HoldResponse => self.send_and(&call, request, true).await,
            Fault::Duplicate => {
                self.send(&call, copy(&request)?).await?;
                self.send(&call, request).await
            }
            Fault::LateCopy(time) => {
                self.faults.0.under_way.clone().spawn(async move {
                    tokio::time::sleep(time).await;
                    let _ = self.send(&call, request).await;
                });
                Err(broken())
            }
            Fault::HeldCopy => {
                let releases = self.faults.0.copies.releases();
                self.faults.0.under_way.clone().spawn(async move {
                    let _sent = self.faults.0.copies.hold(releases).await;
                    let _ = self.send(&call, request).await;
                });
                Err(broken())
            }
            Fault::Hang => self.hang().await,
            Fault::HangAfter => {
                self.send(&call, request).await?;
                self.hang().await
            }
            Fault::Refuse => {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
                let port = listener.and_then(|listener| listener.local_addr());
                let port = port.map_err(|error| ConnectorError::io(error.into()))?.port();
                let nowhere = format!("http://127.0.0.1:{port}/");
                request.set_uri(nowhere).map_err(|error| ConnectorError::user(error.into()))?;
                let _sent = self.faults.0.in_flight.is_sent();
                self.inner.call(request).await
            }
            Fault::Garbage(status) => {
                self.send(&call, request).await?;
                response::page(status)
            }
            Fault::TruncateBody => {
                let mut response = self.send(&call, request).await?;
                let body = Bytes::copy_from_slice(response.body().bytes().unwrap_or_default());
                let half = Half(Some(body.slice(..body.len() / 2)));
                *response.body_mut() = SdkBody::from_body_1_x(half);
                Ok(response)
            }
            Fault::Answer { status, code, message } => {
                response::error(&call, status, code, message)
            }
            Fault::AnswerAfter { status, code, message } => {
                self.send(&call, request).await?;
                response::error(&call, status, code, message)
            }
            Fault::Cancelled(codes) => response::cancelled(&codes),
            Fault::LeaveOut(keys) => {
                let unprocessed = batch::take_keys(&mut request, keys)?;
                let response = self.send(&call, request).await?;
                batch::with_unprocessed(&response, unprocessed)
            }
        }
    }

    /// Sends, unless the request is a transaction that conflicts with one under way. The response has
    /// been read to its end.
    async fn send(
        &self,
        call: &Call,
        request: HttpRequest,
    ) -> Result<HttpResponse, ConnectorError> {
        self.send_and(call, request, false).await
    }

    /// The same; a response that is `held` comes, and a transaction ends, at the next release.
    async fn send_and(
        &self,
        call: &Call,
        request: HttpRequest,
        held: bool,
    ) -> Result<HttpResponse, ConnectorError> {
        let conflicts = lock(&self.faults.0.conflicts).clone();
        let body = request.body().bytes().unwrap_or_default();
        let transaction = match conflicts.map(|conflicts| conflicts.begin(&call.operation, body)) {
            None | Some(Ok(None)) => None,
            Some(Ok(transaction)) => transaction,
            Some(Err(reasons)) => {
                self.faults.0.conflicted.fetch_add(1, Ordering::Relaxed);
                return response::cancelled(&reasons);
            }
        };
        let (inner, in_flight) = (self.inner.clone(), self.faults.0.in_flight.clone());
        // Counted here, where it ends even if nobody polls the attempt for a while.
        let sent = in_flight.is_sent();
        let wait_for_release = async move {
            if !held {
                return sent;
            }
            drop(sent);
            in_flight.hold(in_flight.releases()).await
        };
        let response = self.faults.0.under_way.spawn(async move {
            let call = async move {
                let mut response = inner.call(request).await?;
                let body = collect(response.take_body()).await?;
                *response.body_mut() = SdkBody::from(body);
                Ok(response)
            };
            let Some((under_way, time)) = transaction else {
                let response = call.await;
                let _sent = wait_for_release.await;
                return response;
            };
            // Half of its time before it takes effect, half after.
            tokio::time::sleep(time / 2).await;
            let response: Result<HttpResponse, ConnectorError> = call.await;
            if response.as_ref().is_ok_and(|response| response.status().is_success()) {
                under_way.applied();
            }
            let _sent = wait_for_release.await;
            tokio::time::sleep(time / 2).await;
            drop(under_way);
            response
        });
        response.await.map_err(|error| ConnectorError::other(error.into(), None))?
    }

    async fn hang(&self) -> Result<HttpResponse, ConnectorError> {
        self.faults.0.hung.notify_one();
        std::future::pending().await
    }
}

async fn collect(body: SdkBody) -> Result<Bytes, ConnectorError> {
    let body = ByteStream::new(body).collect().await;
    body.map(aws_smithy_types::byte_stream::AggregatedBytes::into_bytes)
        .map_err(|error| ConnectorError::io(error.into()))
}

fn copy(request: &HttpRequest) -> Result<HttpRequest, ConnectorError> {
    request.try_clone().ok_or_else(|| ConnectorError::user("the body cannot be copied".into()))
}

fn broken() -> ConnectorError {
    ConnectorError::io("connection reset by a fault".into())
}

/// A body whose connection breaks after these bytes.
struct Half(Option<Bytes>);

impl Body for Half {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let half = self.0.take().map(|half| Ok(Frame::data(half)));
        Poll::Ready(Some(half.unwrap_or_else(|| Err(io::ErrorKind::UnexpectedEof.into()))))
    }
}

/// The path and query of a URL.
fn path(uri: &str) -> &str {
    let authority = uri.find("://").map_or(0, |scheme| scheme + "://".len());
    let path = uri.get(authority..).and_then(|rest| rest.find('/')).map(|slash| authority + slash);
    path.and_then(|path| uri.get(path..)).unwrap_or("/")
}
