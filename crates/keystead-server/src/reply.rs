//! What a response is made of.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;

use crate::activity::Busy;

/// An error of a streamed body; the connection ends with it.
pub(crate) type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// The body of a response: bytes at hand, or a gRPC stream. While it lives, its connection counts as
/// busy.
pub(crate) struct ReplyBody {
    content: Content,
    _busy: Option<Busy>,
}

enum Content {
    Full(Full<Bytes>),
    Stream(tonic::body::Body),
}

impl ReplyBody {
    pub(crate) fn full(bytes: impl Into<Bytes>) -> Self {
        Self {
            content: Content::Full(Full::new(bytes.into())),
            _busy: None,
        }
    }

    pub(crate) fn stream(body: tonic::body::Body) -> Self {
        Self {
            content: Content::Stream(body),
            _busy: None,
        }
    }

    pub(crate) fn keep(self, busy: Busy) -> Self {
        Self {
            _busy: Some(busy),
            ..self
        }
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.content {
            Content::Full(body) => Pin::new(body)
                .poll_frame(context)
                .map_err(|error: Infallible| match error {}),
            Content::Stream(body) => Pin::new(body).poll_frame(context).map_err(Into::into),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Full(body) => body.is_end_stream(),
            Content::Stream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Full(body) => body.size_hint(),
            Content::Stream(body) => body.size_hint(),
        }
    }
}

/// A whole response with this content type.
pub(crate) fn reply(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody::full(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// Tells an HTTP/1 client that the connection ends with this response. HTTP/2 knows no such header
/// (RFC 9113 section 8.2.2); there the stream is reset instead.
pub(crate) fn closing(response: &mut Response<ReplyBody>, version: http::Version) {
    if version <= http::Version::HTTP_11 {
        response
            .headers_mut()
            .insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
}
