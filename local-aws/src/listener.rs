//! The HTTP server that S3, KMS and the API Gateway listener share.

use std::io;
use std::net::{IpAddr, SocketAddr};

use axum::Router;
use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;

/// Binds a free port.
pub(crate) async fn listen(address: IpAddr) -> io::Result<TcpListener> {
    TcpListener::bind(SocketAddr::new(address, 0)).await
}

/// Serves until `shutdown` completes and the calls in flight have their responses. Idle keep-alive
/// connections are closed at once.
pub(crate) async fn serve(
    listener: TcpListener,
    service: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let listener = listener.tap_io(|connection| {
        // Without it a small response may wait 40 ms for the client's delayed ACK.
        let _ = connection.set_nodelay(true);
    });
    let service = service.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).with_graceful_shutdown(shutdown).await
}
