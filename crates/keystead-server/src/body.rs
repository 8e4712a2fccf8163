//! Reading a request's body, within bounds.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::time::timeout;

/// Why there is no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyFault {
    /// It is, or says it is, larger than the limit.
    TooLarge,
    /// It did not come in time.
    TooSlow,
    /// It ended before its end, or its framing is broken.
    Broken,
}

/// What is read and thrown away of a body that is too large, and for how long, so that a client that
/// writes before it reads gets to read the refusal: closing at once would reset its connection.
const DISCARD_BYTES: usize = 64 * 1024 * 1024;
/// See [`DISCARD_BYTES`].
const DISCARD_DEADLINE: Duration = Duration::from_secs(5);

/// The size that the body declares, or else `limit`: what to reserve for it.
pub(crate) fn expected(body: &Incoming, limit: usize) -> usize {
    declared(body).map_or(limit, |declared| declared.min(limit))
}

/// The whole body, if it has at most `limit` bytes and comes within `deadline`.
pub(crate) async fn read(
    body: &mut Incoming,
    limit: usize,
    deadline: Duration,
) -> Result<Bytes, BodyFault> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    if declared(body).is_some_and(|declared| declared > limit) {
        return Err(BodyFault::TooLarge);
    }
    timeout(deadline, collect(body, limit))
        .await
        .unwrap_or(Err(BodyFault::TooSlow))
}

/// Reads on after [`BodyFault::TooLarge`]; answers whether that was all.
pub(crate) async fn discard(body: &mut Incoming) -> bool {
    let all = async {
        let mut left = DISCARD_BYTES;
        while let Some(frame) = body.frame().await {
            let size = frame
                .ok()
                .and_then(|frame| frame.data_ref().map(Bytes::len));
            match size.and_then(|size| left.checked_sub(size)) {
                Some(rest) => left = rest,
                None => return false,
            }
        }
        true
    };
    timeout(DISCARD_DEADLINE, all).await.unwrap_or(false)
}

fn declared(body: &Incoming) -> Option<usize> {
    // A size beyond usize is beyond every limit.
    let exact = body.size_hint().exact()?;
    Some(usize::try_from(exact).unwrap_or(usize::MAX))
}

/// Most bodies come in one piece, which is then not copied.
async fn collect(body: &mut Incoming, limit: usize) -> Result<Bytes, BodyFault> {
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| BodyFault::Broken)?;
        // Trailers say nothing to any protocol served here.
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if first.len() + rest.len() + data.len() > limit {
            return Err(BodyFault::TooLarge);
        }
        if first.is_empty() {
            first = data;
        } else {
            rest.extend_from_slice(&data);
        }
    }
    if rest.is_empty() {
        return Ok(first);
    }
    let mut whole = BytesMut::with_capacity(first.len() + rest.len());
    whole.extend_from_slice(&first);
    whole.extend_from_slice(&rest);
    Ok(whole.freeze())
}
