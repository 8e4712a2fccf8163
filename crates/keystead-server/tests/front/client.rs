//! A client that sends exactly the bytes it is given.

use std::net::SocketAddr;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use keystead_crypto::digest;
use keystead_wire::sigv4::{RequestView, Signer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::world::{credentials, now};

/// Longer than anything here takes; a test that comes to this has found a hang.
pub const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Clone, Debug)]
pub struct Request {
    pub method: &'static str,
    pub target: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Request {
    pub fn new(method: &'static str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Self {
        let mut request = Self {
            method,
            target: target.into(),
            headers: HeaderMap::new(),
            body: body.into(),
        };
        request.set("host", "localhost");
        for (name, value) in headers {
            request.set(name, value);
        }
        request
    }

    /// awsJson 1.1, not yet signed.
    pub fn json(target: &str, body: &str) -> Self {
        let headers = [
            ("content-type", "application/x-amz-json-1.1"),
            ("x-amz-target", target),
        ];
        Self::new("POST", "/", &headers, body.as_bytes())
    }

    /// A query request, not yet signed.
    pub fn query(body: &str) -> Self {
        let form = [(
            "content-type",
            "application/x-www-form-urlencoded; charset=utf-8",
        )];
        Self::new("POST", "/", &form, body.as_bytes())
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.headers.insert(
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            HeaderValue::from_str(value).unwrap(),
        );
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.set(name, value);
        self
    }

    pub fn signed(self, service: &str) -> Self {
        let credentials = credentials();
        let signer = Signer::new(&credentials, "eu-north-7", service, now());
        self.signed_by(&signer)
    }

    pub fn signed_by(mut self, signer: &Signer<'_>) -> Self {
        let (path, query) = self.target.split_once('?').unwrap_or((&self.target, ""));
        let view = RequestView {
            method: self.method,
            path,
            query,
            authority: None,
            headers: &self.headers,
        };
        let added = signer.sign(&view, &digest::sha256(&self.body)).unwrap();
        self.headers.extend(added);
        self
    }

    /// Everything before the body, with its length.
    pub fn head(&self) -> String {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        for (name, value) in &self.headers {
            head += &format!("{name}: {}\r\n", value.to_str().unwrap());
        }
        if !self.headers.contains_key("transfer-encoding")
            && !self.headers.contains_key("content-length")
        {
            head += &format!("content-length: {}\r\n", self.body.len());
        }
        head + "\r\n"
    }

    pub fn bytes(&self) -> Vec<u8> {
        [self.head().into_bytes(), self.body.clone()].concat()
    }
}

pub fn identity() -> Request {
    Request::query("Action=GetCallerIdentity&Version=2011-06-15").signed("sts")
}

pub fn describe_node() -> Request {
    let arn = "arn:aws:keystead:eu-north-7:123456789012:node/n";
    Request::json(
        "Keystead_20261101.DescribeNode",
        &format!("{{\"NodeArn\":\"{arn}\"}}"),
    )
    .signed("keystead")
}

#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

impl Response {
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// Status and `__type` or `<Code>`, and that a request id is there.
    #[track_caller]
    pub fn expect(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{self:?}");
        let json = format!("\"__type\":\"{code}\"");
        let xml = format!("<Code>{code}</Code>");
        let told = self.body.replace(": ", ":");
        assert!(
            told.contains(&json) || told.contains(&xml),
            "expected {code}: {self:?}"
        );
        assert_eq!(self.header("x-amzn-requestid").len(), 36, "{self:?}");
    }
}

pub struct Client<S = TcpStream>(BufReader<S>);

impl Client {
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self::over(stream)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub fn over(stream: S) -> Self {
        Self(BufReader::new(stream))
    }

    pub async fn write(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).await.unwrap();
    }

    /// Like [`Self::write`], where the server may have closed already.
    pub async fn try_write(&mut self, bytes: &[u8]) -> bool {
        let wrote = timeout(PATIENCE, self.0.get_mut().write_all(bytes)).await;
        wrote.expect("writing hangs").is_ok()
    }

    /// Says that no more will come.
    pub async fn finish(&mut self) {
        let _ = self.0.get_mut().shutdown().await;
    }

    pub async fn call(&mut self, request: &Request) -> Response {
        self.write(&request.bytes()).await;
        self.response().await
    }

    pub async fn response(&mut self) -> Response {
        self.try_response()
            .await
            .expect("the server closed without an answer")
    }

    /// `None` where the connection ended before a whole response.
    pub async fn try_response(&mut self) -> Option<Response> {
        timeout(PATIENCE, self.read_response())
            .await
            .expect("no answer: the server hangs")
    }

    /// Reads until the server closes.
    pub async fn closed(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        let read = timeout(PATIENCE, self.0.read_to_end(&mut rest)).await;
        // A reset is an end too.
        let _ = read.expect("the server does not close");
        rest
    }

    async fn read_response(&mut self) -> Option<Response> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.0.read_u8().await.ok()?);
        }
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.lines();
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let mut headers = HeaderMap::new();
        for line in lines.filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':').unwrap();
            headers.append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_str(value.trim()).unwrap(),
            );
        }
        let length = headers
            .get("content-length")
            .map_or("0", |value| value.to_str().unwrap());
        let mut body = vec![0; length.parse().unwrap()];
        self.0.read_exact(&mut body).await.ok()?;
        let body = String::from_utf8_lossy(&body).into_owned();
        Some(Response {
            status,
            headers,
            body,
        })
    }
}
