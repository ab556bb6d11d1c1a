//! HTTP/1.1 over a kept-alive connection. It is simple enough to cost only a few microseconds.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A request, ready to send.
pub(crate) struct Request(Vec<u8>);

impl Request {
    pub(crate) fn new(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Self {
        let mut bytes = format!("{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n").into_bytes();
        for (name, value) in headers {
            bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        bytes.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
        bytes.extend_from_slice(body);
        Self(bytes)
    }
}

/// A response.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The header `Location`; empty if it is missing.
    pub(crate) location: String,
    pub(crate) body: Vec<u8>,
}

/// How long a registry may send nothing.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A connection that stays open as long as the registry allows. moto closes it after each push, and
/// the time to open the next one is part of the next push.
pub(crate) struct Connection {
    address: SocketAddr,
    open: Option<BufReader<TcpStream>>,
}

impl Connection {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address, open: None }
    }

    /// Sends a request and reads the whole response.
    pub(crate) fn call(&mut self, request: &Request) -> io::Result<Answer> {
        let mut stream = match self.open.take() {
            Some(stream) => stream,
            None => open(self.address)?,
        };
        stream.get_mut().write_all(&request.0)?;
        let status = line(&mut stream)?.split(' ').nth(1).and_then(|status| status.parse().ok());
        let mut answer = Answer {
            status: status.ok_or(io::ErrorKind::InvalidData)?,
            location: String::new(),
            body: Vec::new(),
        };
        let mut is_last = false;
        loop {
            let line = line(&mut stream)?;
            let Some((name, value)) = line.split_once(':') else { break };
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "connection" => is_last = value == "close",
                "content-length" => answer.body.resize(value.parse().map_err(io::Error::other)?, 0),
                "location" => value.clone_into(&mut answer.location),
                "transfer-encoding" => return Err(io::ErrorKind::Unsupported.into()),
                _ => {}
            }
        }
        stream.read_exact(&mut answer.body)?;
        self.open = (!is_last).then_some(stream);
        Ok(answer)
    }
}

fn open(address: SocketAddr) -> io::Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    Ok(BufReader::with_capacity(256 * 1024, stream))
}

fn line(stream: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    line.truncate(line.trim_end().len());
    Ok(line)
}
