//! Objects over HTTP: GET and HEAD of what lies in a bucket, by the path, the signature and the errors of S3.
//!
//! The AWS CLI and SDKs fetch them as they fetch from S3 (whole or in ranges, signed in headers or presigned), with the
//! bucket in the path. Nothing else of S3 is served.

use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::time::Instant;

use bytes::Bytes;
use futures::stream::{self, Stream};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::StreamBody;
use hyper::body::Incoming;
use keystead_app::objects::{Object, ObjectName};
use keystead_wire::ErrorAnswer;
use keystead_wire::sigv4::ErrorStyle;

use super::{Api, Exchange, Refused, unavailable};
use crate::backend::Backend;
use crate::lifecycle::Phase;
use crate::limits::CALL_BYTES;
use crate::metrics;
use crate::peer::Peer;
use crate::reply::{BodyError, ReplyBody, closing, reply};

impl<B: Backend> Api<B> {
    /// Answers a request for an object.
    pub(crate) async fn object(
        &self,
        name: ObjectName,
        request: Request<Incoming>,
        peer: &Peer,
    ) -> Response<ReplyBody> {
        let begun = Instant::now();
        let version = request.version();
        let (parts, body) = request.into_parts();
        let exchange = Exchange::new(self, &parts, peer);
        let outcome = exchange.fetch(&name, body).await;
        let (mut response, code, close) = match outcome {
            Ok(response) => (response, "", false),
            Err(Refused { error, close }) => {
                let text = error_document(&error, parts.uri.path(), &exchange.request_id);
                // HEAD has no body; hyper leaves it out.
                let status = StatusCode::from_u16(error.status).unwrap_or_default();
                (reply(status, "application/xml", text), error.code, close)
            }
        };
        if !code.is_empty() {
            metrics::request(None, code, begun.elapsed());
        }
        if close || self.lifecycle.phase() >= Phase::Draining {
            closing(&mut response, version);
        }
        response
    }
}

impl<B: Backend> Exchange<'_, B> {
    async fn fetch(
        &self,
        name: &ObjectName,
        mut body: Incoming,
    ) -> Result<Response<ReplyBody>, Refused> {
        if self.api.lifecycle.phase() != Phase::Ready {
            return Err(Refused::closing(unavailable(
                "The server is starting or shutting down. Try again shortly.",
            )));
        }
        let _memory = self.api.reserve(CALL_BYTES, ErrorStyle::S3)?;
        let body = self.api.read(&mut body, 0, ErrorStyle::S3).await?;
        let caller = self.signed_for("s3", &body).await?;
        if !asks_for_the_object(self.parts.uri.query().unwrap_or_default()) {
            return Err(Refused::from(ErrorAnswer::new(
                "NotImplemented",
                501,
                "Only the object itself is served.",
            )));
        }
        let object = self.api.backend.object(caller, name.clone()).await?;
        Ok(answer(self.parts, object)?)
    }
}

/// The object, or the range of it that is asked for (RFC 9110 section 14; one range, as S3 serves it).
fn answer(parts: &Parts, object: Object) -> Result<Response<ReplyBody>, ErrorAnswer> {
    let range = parts.headers.get(header::RANGE);
    let range = match range.and_then(|range| range.to_str().ok()) {
        Some(text) => range_of(text, object.length)?,
        None => None,
    };
    let (start, length) = range.unwrap_or((0, object.length));
    let mut response = Response::new(match parts.method {
        Method::HEAD => ReplyBody::full(Bytes::new()),
        _ => ReplyBody::stream(tonic::body::Body::new(StreamBody::new(pieces(
            object.file,
            start,
            length,
        )))),
    });
    if range.is_some() {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    let headers = response.headers_mut();
    let text = |text: String| HeaderValue::try_from(text).ok();
    let end = start.saturating_add(length).saturating_sub(1);
    let mut set = |name, value: Option<HeaderValue>| {
        if let Some(value) = value {
            headers.insert(name, value);
        }
    };
    set(header::CONTENT_LENGTH, Some(HeaderValue::from(length)));
    set(
        header::CONTENT_TYPE,
        Some(HeaderValue::from_static(object.content_type)),
    );
    set(
        header::ACCEPT_RANGES,
        Some(HeaderValue::from_static("bytes")),
    );
    set(header::ETAG, text(format!("\"{}\"", object.tag)));
    set(
        header::CACHE_CONTROL,
        Some(HeaderValue::from_static("private")),
    );
    if range.is_some() {
        let total = object.length;
        set(
            header::CONTENT_RANGE,
            text(format!("bytes {start}-{end}/{total}")),
        );
    }
    Ok(response)
}

/// Where the range starts and how long it is; `None` for a header that is to be ignored.
fn range_of(text: &str, total: u64) -> Result<Option<(u64, u64)>, ErrorAnswer> {
    let Some((first, last)) = text
        .strip_prefix("bytes=")
        .and_then(|range| range.split_once('-'))
    else {
        return Ok(None);
    };
    let (first, last) = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => (first, last.min(total.saturating_sub(1))),
        (Ok(first), Err(_)) if last.is_empty() => (first, total.saturating_sub(1)),
        // The last so many bytes.
        (Err(_), Ok(suffix)) if first.is_empty() && suffix > 0 => {
            (total.saturating_sub(suffix), total.saturating_sub(1))
        }
        _ => return Ok(None),
    };
    if first >= total {
        return Err(ErrorAnswer::new(
            "InvalidRange",
            416,
            "The requested range is not satisfiable",
        ));
    }
    Ok(Some((first, last - first + 1)))
}

/// The bytes of a file, a piece at a time, read where it holds nobody up.
fn pieces(
    file: std::fs::File,
    start: u64,
    length: u64,
) -> impl Stream<Item = Result<Frame<Bytes>, BodyError>> + Send {
    let begin = (Some(file), start, length);
    stream::try_unfold(begin, |(file, at, left)| async move {
        let Some(mut file) = file.filter(|_| left > 0) else {
            return Ok(None);
        };
        let read = tokio::task::spawn_blocking(move || {
            file.seek(SeekFrom::Start(at))?;
            let mut piece = vec![0; usize::try_from(left.min(PIECE)).unwrap_or_default()];
            file.read_exact(&mut piece)?;
            io::Result::Ok((file, piece))
        });
        let (file, piece) = read.await??;
        let count = piece.len() as u64;
        let rest = (Some(file), at + count, left - count);
        Ok(Some((Frame::data(Bytes::from(piece)), rest)))
    })
}

/// Parameters other than a signature's, and the one in which an SDK names the operation, ask for something else: the
/// object's tags, its versions.
fn asks_for_the_object(query: &str) -> bool {
    let mut parameters = query.split('&').filter(|parameter| !parameter.is_empty());
    parameters.all(|parameter| parameter.starts_with("X-") || parameter == "x-id=GetObject")
}

/// S3 user guide, "REST error responses".
fn error_document(error: &ErrorAnswer, path: &str, request_id: &str) -> String {
    let escaped = |text: &str| {
        text.replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;")
    };
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{}</Code><Message>{}</Message>\
         <Resource>{}</Resource><RequestId>{request_id}</RequestId></Error>",
        error.code,
        escaped(&error.message),
        escaped(path),
    )
}

/// What of an object is in memory at a time: four pages of a socket's buffer.
const PIECE: u64 = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        for (text, expected) in [
            ("bytes=0-0", Some((0, 1))),
            ("bytes=2-5", Some((2, 4))),
            ("bytes=2-500", Some((2, 8))),
            ("bytes=7-", Some((7, 3))),
            ("bytes=-4", Some((6, 4))),
            ("bytes=-400", Some((0, 10))),
            ("bytes=5-2", None),
            ("bytes=0-1,3-4", None),
            ("lines=0-1", None),
            ("bytes=-0", None),
        ] {
            assert_eq!(range_of(text, 10).unwrap(), expected, "{text}");
        }
        for beyond in ["bytes=10-", "bytes=10-11"] {
            assert_eq!(range_of(beyond, 10).unwrap_err().status, 416);
        }
        assert!(range_of("bytes=0-", 0).is_err());
    }

    #[test]
    fn other_things_than_the_object_are_told_apart() {
        assert!(asks_for_the_object(""));
        assert!(asks_for_the_object("x-id=GetObject&X-Signature=a"));
        assert!(!asks_for_the_object("tagging"));
        assert!(!asks_for_the_object("X-Signature=a&versionId=1"));
    }

    #[test]
    fn errors_are_documents() {
        let error = ErrorAnswer::new("NoSuchKey", 404, "a<b");
        assert_eq!(
            error_document(&error, "/b/k", "ID"),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>NoSuchKey</Code><Message>a&lt;b</Message><Resource>/b/k</Resource><RequestId>ID</RequestId></Error>"
        );
    }
}
