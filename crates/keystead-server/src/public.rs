//! What anybody may fetch in plain HTTP, for it is signed and secret to nobody: revocation lists (RFC 5280 section
//! 4.2.1.13) and OCSP answers (RFC 6960 appendix A, RFC 5019 sections 5 and 6).
//!
//! Both are found by what the request is, not by where it is: an address in a certificate may have any folder and, by a
//! name of the operator's own, no folder at all (ACM-PCA, `CustomPath`, `OcspCustomCname`). A list ends in `.crl`, and the
//! last part of its address names it; an OCSP request in a body says so by its type, and one in a path begins as DER
//! does.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use jiff::Timestamp;
use keystead_crypto::digest;
use percent_encoding::percent_decode_str;

use crate::backend::Backend;
use crate::body::{self, BodyFault};
use crate::limits::{FRESH_SECONDS, Limits, OCSP_BYTES};
use crate::reply::{ReplyBody, closing, reply};

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// The list of this name.
    List(String),
    /// The answer to the request in the path; `None` where there is none in it.
    Answer(Option<Vec<u8>>),
    /// The answer to the request in the body.
    AnswerToBody,
    /// Something by another method than these.
    By(&'static str),
    /// Something that is not here.
    Nothing,
}

/// What a request asks for, if it is for the public. `alone` on a listener where nothing else is served.
pub(crate) fn asked<B>(request: &Request<B>, alone: bool) -> Option<Asked> {
    let (method, path) = (request.method(), request.uri().path());
    let get = matches!(*method, Method::GET | Method::HEAD);
    let post = *method == Method::POST;
    if post && is_ocsp(request.headers()) {
        return Some(Asked::AnswerToBody);
    }
    if path == "/ocsp" || path.starts_with("/ocsp/") {
        return Some(match (get, post) {
            (true, _) => Asked::Answer(ocsp_in(path)),
            (_, true) => Asked::AnswerToBody,
            _ => Asked::By("GET, HEAD, POST"),
        });
    }
    let name = path
        .rsplit('/')
        .next()
        .and_then(|file| file.strip_suffix(".crl"));
    match name {
        // What is signed is for somebody else: a bucket may hold such files.
        Some(_) if !alone && request.headers().contains_key(header::AUTHORIZATION) => None,
        Some(name) if get && is_uuid(name) => Some(Asked::List(name.to_owned())),
        Some(_) if get => Some(Asked::Nothing),
        Some(_) if alone || path.starts_with("/crl/") => Some(Asked::By("GET, HEAD")),
        // IAM Roles Anywhere has lists under `/crl/` too, without the ending.
        _ if !alone => None,
        _ if !get => Some(Asked::By("GET, HEAD, POST")),
        _ => Some(match ocsp_in(path) {
            Some(der) => Asked::Answer(Some(der)),
            None => Asked::Nothing,
        }),
    }
}

fn is_ocsp(headers: &HeaderMap) -> bool {
    let sent = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    sent.is_some_and(|sent| {
        let kind = sent.split(|byte| *byte == b';').next().unwrap_or_default();
        kind.trim_ascii()
            .eq_ignore_ascii_case(OCSP_REQUEST.as_bytes())
    })
}

fn is_uuid(name: &str) -> bool {
    let known = |byte: u8| byte == b'-' || byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    name.len() == 36 && name.bytes().all(known)
}

/// The OCSP request at the end of a path: base64, percent-encoded (RFC 6960 appendix A.1). Where it begins is not said, and
/// a slash may belong to it; but it is a SEQUENCE, of which the first letter is always an M.
fn ocsp_in(path: &str) -> Option<Vec<u8>> {
    let begins = path.match_indices("/M").take(FOLDERS);
    begins
        .filter_map(|(at, _)| path.get(at + 1..))
        .filter_map(|text| percent_decode_str(text).decode_utf8().ok())
        .filter_map(|text| BASE64.decode(text.as_bytes()).ok())
        .find(|der| der.first() == Some(&DER_SEQUENCE))
}

/// Answers it.
pub(crate) async fn answer<B: Backend>(
    backend: &B,
    limits: &Limits,
    asked: Asked,
    request: Request<Incoming>,
) -> Response<ReplyBody> {
    match asked {
        Asked::List(name) => list(backend, &name, request.headers()).await,
        Asked::Answer(Some(der)) => {
            let answered = backend.ocsp(&der).await;
            ocsp(backend.now(), answered, Some(request.headers()))
        }
        // What is no request at all is told so by the responder.
        Asked::Answer(None) => ocsp(backend.now(), backend.ocsp(&[]).await, None),
        Asked::AnswerToBody => answer_to_body(backend, limits, request).await,
        Asked::By(methods) => {
            let mut refused = plain(
                StatusCode::METHOD_NOT_ALLOWED,
                "This method is not served here.\n",
            );
            let allow = HeaderValue::from_static(methods);
            refused.headers_mut().insert(header::ALLOW, allow);
            refused
        }
        Asked::Nothing => plain(StatusCode::NOT_FOUND, "There is no such thing here.\n"),
    }
}

async fn list<B: Backend>(backend: &B, name: &str, sent: &HeaderMap) -> Response<ReplyBody> {
    let list = match backend.revocation_list(name).await {
        Ok(Some(list)) => list,
        Ok(None) => return plain(StatusCode::NOT_FOUND, "There is no such revocation list.\n"),
        Err(error) => {
            tracing::error!(list = name, %error, "a revocation list can't be read");
            return plain(StatusCode::SERVICE_UNAVAILABLE, "Try again shortly.\n");
        }
    };
    let holds = (list.this_update, list.next_update);
    let tag = format!("\"{}\"", list.number);
    cached(CRL, &list.der, &tag, holds, backend.now(), sent)
}

async fn answer_to_body<B: Backend>(
    backend: &B,
    limits: &Limits,
    request: Request<Incoming>,
) -> Response<ReplyBody> {
    let version = request.version();
    let mut body = request.into_body();
    let fault = match body::read(&mut body, OCSP_BYTES, limits.body_deadline).await {
        Ok(der) => return ocsp(backend.now(), backend.ocsp(&der).await, None),
        Err(fault) => fault,
    };
    let (status, text, read) = match fault {
        BodyFault::TooLarge => (
            StatusCode::PAYLOAD_TOO_LARGE,
            "The request is too large.\n",
            body::discard(&mut body).await,
        ),
        BodyFault::TooSlow => (
            StatusCode::REQUEST_TIMEOUT,
            "The request did not arrive.\n",
            false,
        ),
        BodyFault::Broken => (
            StatusCode::BAD_REQUEST,
            "The request ended before its end.\n",
            false,
        ),
    };
    let mut refused = plain(status, text);
    if !read {
        // A part of the body is still on the way.
        closing(&mut refused, version);
    }
    refused
}

/// A response of the responder. `sent` where it may be kept by whoever is on the way: of POST, nothing is.
fn ocsp(
    now: Timestamp,
    answered: keystead_app::pca::revocation::OcspReply,
    sent: Option<&HeaderMap>,
) -> Response<ReplyBody> {
    match (answered.holds, sent) {
        (Some(holds), Some(sent)) => {
            let hash = digest::sha256(&answered.der);
            let octets = hash.iter().take(16);
            let tag: String = octets.map(|octet| format!("{octet:02x}")).collect();
            let tag = format!("\"{tag}\"");
            cached(OCSP_RESPONSE, &answered.der, &tag, holds, now, sent)
        }
        _ => {
            let mut response = reply(StatusCode::OK, OCSP_RESPONSE, answered.der);
            let never = HeaderValue::from_static("no-store");
            response.headers_mut().insert(header::CACHE_CONTROL, never);
            response
        }
    }
}

/// A response that may be kept, or that what the client has kept is still it (RFC 9110 section 13.2.2, RFC 5019 section
/// 6.2).
fn cached(
    kind: &'static str,
    der: &Bytes,
    tag: &str,
    (from, until): (i64, i64),
    now: Timestamp,
    sent: &HeaderMap,
) -> Response<ReplyBody> {
    let mut response = match is_kept(sent, tag, from) {
        true => {
            let mut unchanged = Response::new(ReplyBody::full(Bytes::new()));
            *unchanged.status_mut() = StatusCode::NOT_MODIFIED;
            unchanged
        }
        false => reply(StatusCode::OK, kind, der.clone()),
    };
    let fresh = until
        .saturating_sub(now.as_second())
        .clamp(0, FRESH_SECONDS);
    let control = format!("public, max-age={fresh}, must-revalidate, no-transform");
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, text: &str| {
        if let Ok(value) = HeaderValue::from_str(text) {
            headers.insert(name, value);
        }
    };
    set(header::CACHE_CONTROL, &control);
    set(header::ETAG, tag);
    set(header::LAST_MODIFIED, &http_date(from));
    set(
        header::EXPIRES,
        &http_date(now.as_second().saturating_add(fresh)),
    );
    response
}

/// Whether the client has it already, by its tag or, where it names none, by its time.
fn is_kept(sent: &HeaderMap, tag: &str, from: i64) -> bool {
    let mut tags = sent.get_all(header::IF_NONE_MATCH).iter().peekable();
    if tags.peek().is_some() {
        return tags.filter_map(|tags| tags.to_str().ok()).any(|tags| {
            let mut each = tags.split(',').map(str::trim);
            each.any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag)
        });
    }
    let since = sent.get(header::IF_MODIFIED_SINCE);
    let since = since
        .and_then(|since| since.to_str().ok())
        .and_then(read_date);
    since.is_some_and(|since| from <= since)
}

/// RFC 9110 section 5.6.7.
fn http_date(second: i64) -> String {
    let at = Timestamp::from_second(second).unwrap_or(Timestamp::MAX);
    at.strftime(DATE).to_string()
}

/// Reads a date in the one form that is still sent; another is as none (RFC 9110 section 13.1.3).
fn read_date(text: &str) -> Option<i64> {
    let read = jiff::civil::DateTime::strptime(DATE, text).ok()?;
    let at = read.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(at.timestamp().as_second())
}

fn plain(status: StatusCode, text: &'static str) -> Response<ReplyBody> {
    reply(status, "text/plain; charset=utf-8", text)
}

/// RFC 2585 section 4.2.
const CRL: &str = "application/pkix-crl";
/// RFC 6960 appendix A.1.
const OCSP_REQUEST: &str = "application/ocsp-request";
/// RFC 6960 appendix A.2.
const OCSP_RESPONSE: &str = "application/ocsp-response";

const DATE: &str = "%a, %d %b %Y %H:%M:%S GMT";

const DER_SEQUENCE: u8 = 0x30;

/// Folders of an address before the request in it that may begin with an M themselves.
const FOLDERS: usize = 8;

/// Clients differ in whether they pad.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "01234567-89ab-4def-8123-456789abcdef";

    fn request(method: &str, path: &str, headers: &[(&str, &str)]) -> Request<()> {
        let mut builder = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        builder.body(()).unwrap()
    }

    #[test]
    fn what_is_asked_for() {
        let list = Some(Asked::List(UUID.into()));
        let path = format!("/crl/{UUID}.crl");
        let signed = [("authorization", "AWS4-HMAC-SHA256 ...")];
        let der = [0x30, 3, 2, 1, 1];
        let text = BASE64.encode(der);
        let answer = Some(Asked::Answer(Some(der.to_vec())));
        for (method, path, headers, here, alone) in [
            ("GET", path.clone(), &[][..], list.clone(), list.clone()),
            (
                "HEAD",
                format!("/{UUID}.crl"),
                &[],
                list.clone(),
                list.clone(),
            ),
            (
                "GET",
                format!("/a/b/{UUID}.crl"),
                &[],
                list.clone(),
                list.clone(),
            ),
            ("GET", path.clone(), &signed, None, list),
            (
                "GET",
                "/crl/x.crl".into(),
                &[],
                Some(Asked::Nothing),
                Some(Asked::Nothing),
            ),
            (
                "PUT",
                path,
                &[],
                Some(Asked::By("GET, HEAD")),
                Some(Asked::By("GET, HEAD")),
            ),
            (
                "GET",
                format!("/ocsp/{text}"),
                &[],
                answer.clone(),
                answer.clone(),
            ),
            ("GET", format!("/{text}"), &[], None, answer.clone()),
            ("GET", format!("/My/{text}"), &[], None, answer),
            (
                "GET",
                "/ocsp".into(),
                &[],
                Some(Asked::Answer(None)),
                Some(Asked::Answer(None)),
            ),
            (
                "POST",
                "/ocsp".into(),
                &[],
                Some(Asked::AnswerToBody),
                Some(Asked::AnswerToBody),
            ),
            (
                "POST",
                "/".into(),
                &[("content-type", "Application/OCSP-request; x=y")],
                Some(Asked::AnswerToBody),
                Some(Asked::AnswerToBody),
            ),
            (
                "DELETE",
                "/ocsp/".into(),
                &[],
                Some(Asked::By("GET, HEAD, POST")),
                Some(Asked::By("GET, HEAD, POST")),
            ),
            (
                "POST",
                "/".into(),
                &[],
                None,
                Some(Asked::By("GET, HEAD, POST")),
            ),
            ("GET", "/health".into(), &[], None, Some(Asked::Nothing)),
        ] {
            let request = request(method, &path, headers);
            assert_eq!(asked(&request, false), here, "{method} {path}");
            assert_eq!(asked(&request, true), alone, "{method} {path}, alone");
        }
    }

    #[test]
    fn a_request_in_a_path_is_found_however_it_is_written() {
        // Its base64 has a slash, a plus sign and padding.
        let der = [0x30, 0x0a, 0xff, 0xef, 0xbf, 0xfb, 0xff];
        let text = BASE64.encode(der);
        assert_eq!(text, "MAr/77/7/w==");
        for path in [
            format!("/ocsp/{text}"),
            format!("/ocsp//{text}"),
            format!("/ocsp/{}", text.trim_end_matches('=')),
            format!("/ocsp/{}", text.replace('/', "%2F").replace('=', "%3D")),
        ] {
            assert_eq!(ocsp_in(&path).as_deref(), Some(&der[..]), "{path}");
        }
        for path in [
            "/ocsp/",
            "/ocsp/M",
            "/ocsp/MA%",
            "/ocsp/xyz",
            "/ocsp/M\u{fc}",
        ] {
            assert_eq!(ocsp_in(path), None, "{path}");
        }
    }

    #[test]
    fn who_has_it_is_told_so() {
        let sent = |name: &'static str, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            is_kept(&headers, "\"7\"", 784_111_777)
        };
        assert_eq!(http_date(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert!(sent("if-none-match", "\"7\""));
        assert!(sent("if-none-match", "\"6\", W/\"7\""));
        assert!(sent("if-none-match", "*"));
        assert!(!sent("if-none-match", "\"8\""));
        assert!(sent("if-modified-since", "Sun, 06 Nov 1994 08:49:37 GMT"));
        assert!(!sent("if-modified-since", "Sun, 06 Nov 1994 08:49:36 GMT"));
        assert!(!sent("if-modified-since", "yesterday"));
        assert!(!is_kept(&HeaderMap::new(), "\"7\"", 0));
    }
}
