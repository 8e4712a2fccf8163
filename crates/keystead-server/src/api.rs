//! The road of one API request: body within its bounds, operation, signature, input, use case,
//! answer. Whatever goes wrong on it is answered in the caller's own protocol.

use std::future::Future;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use futures::FutureExt as _;
use http::request::Parts;
use http::{Request, Response, header};
use hyper::body::Incoming;
use jiff::Timestamp;
use keystead_app::{App, Credential, Ctx, Principal, dispatch};
use keystead_core::{Error, Region};
use keystead_wire::protocol::{self, Dialect};
use keystead_wire::schema::{OperationDef, Protocol};
use keystead_wire::sigv4::{self, AuthError, ErrorStyle, RequestView, Rules};
use keystead_wire::value::Value;
use keystead_wire::{Call, ErrorAnswer};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::body::{self, BodyFault};
use crate::ids::RequestIds;
use crate::lifecycle::{Lifecycle, Phase};
use crate::limits::{BODY_BYTES, CALL_BYTES, CERTIFICATE_BODY_BYTES, Limits, USER_AGENT_CHARS};
use crate::metrics;
use crate::peer::Peer;
use crate::reply::{ReplyBody, closing};
use crate::signing_keys::SigningKeys;
use crate::unbroken::Unbroken;

/// What stands behind the front door: the clock, the credentials and the use cases. `Arc<App>` is
/// the one; tests put others in its place, which panic or never end.
pub trait Backend: Send + Sync + 'static {
    /// The present instant.
    fn now(&self) -> Timestamp;

    /// The credential of an access key, if there is one.
    fn credential(
        &self,
        access_key_id: &str,
    ) -> impl Future<Output = Result<Option<Credential>, Error>> + Send;

    /// Carries an operation out for a verified caller, and records it.
    fn call(
        &self,
        caller: Caller,
        operation: &'static OperationDef,
        input: Value,
    ) -> impl Future<Output = Result<Value, ErrorAnswer>> + Send + 'static;
}

/// A verified caller with the circumstances of the call.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Who, proven by signature.
    pub principal: Principal,
    /// The region of the signature's scope.
    pub region: Region,
    /// The request's id.
    pub request_id: String,
    /// From where; `None` on a Unix socket.
    pub source_ip: Option<IpAddr>,
    /// The User-Agent header, cut.
    pub user_agent: String,
    /// When the request had arrived.
    pub now: Timestamp,
}

impl Backend for Arc<App> {
    fn now(&self) -> Timestamp {
        self.env.now()
    }

    async fn credential(&self, access_key_id: &str) -> Result<Option<Credential>, Error> {
        App::credential(self, access_key_id).await
    }

    fn call(
        &self,
        caller: Caller,
        operation: &'static OperationDef,
        input: Value,
    ) -> impl Future<Output = Result<Value, ErrorAnswer>> + Send + 'static {
        let context = Ctx {
            app: self.clone(),
            principal: caller.principal,
            region: caller.region,
            request_id: caller.request_id,
            source_ip: caller.source_ip,
            user_agent: caller.user_agent,
            now: caller.now,
        };
        async move { dispatch::call(&context, operation, input).await }
    }
}

/// The AWS protocols.
pub(crate) struct Api<B> {
    backend: B,
    limits: Limits,
    lifecycle: Arc<Lifecycle>,
    keys: SigningKeys,
    ids: RequestIds,
    memory: Semaphore,
}

/// A request that is not carried out.
struct Refused {
    error: ErrorAnswer,
    /// Whether the connection can't be used any more: a part of the body is still on the way.
    close: bool,
}

impl<B: Backend> Api<B> {
    pub(crate) fn new(backend: B, lifecycle: Arc<Lifecycle>, limits: Limits) -> Self {
        Self {
            backend,
            limits,
            lifecycle,
            keys: SigningKeys::new(),
            ids: RequestIds::default(),
            memory: Semaphore::new(limits.call_memory.min(Semaphore::MAX_PERMITS)),
        }
    }

    pub(crate) async fn answer(
        &self,
        request: Request<Incoming>,
        peer: &Peer,
    ) -> Response<ReplyBody> {
        let begun = Instant::now();
        let request_id = self.ids.next();
        let version = request.version();
        let (parts, body) = request.into_parts();
        // Every protocol but query names the operation in its head; all name themselves there.
        let mut dialect = match protocol::identify(&parts, &[], None) {
            Ok(call) => call.dialect,
            Err(refusal) => refusal.dialect,
        };
        let mut operation = None;
        let outcome = self
            .carry_out(
                &parts,
                body,
                peer,
                &request_id,
                &mut dialect,
                &mut operation,
            )
            .await;
        let (response, code, close) = match outcome {
            Ok(response) => (response, "", false),
            Err(Refused { error, close }) => {
                (dialect.encode_error(&error, &request_id), error.code, close)
            }
        };
        metrics::request(operation, code, begun.elapsed());
        let mut response = response.map(ReplyBody::full);
        if close || self.lifecycle.phase() >= Phase::Draining {
            closing(&mut response, version);
        }
        response
    }

    async fn carry_out(
        &self,
        parts: &Parts,
        mut body: Incoming,
        peer: &Peer,
        request_id: &str,
        dialect: &mut Dialect,
        operation: &mut Option<&'static OperationDef>,
    ) -> Result<Response<Bytes>, Refused> {
        if self.lifecycle.phase() != Phase::Ready {
            let error = unavailable("The server is starting or shutting down. Try again shortly.");
            return Err(Refused { error, close: true });
        }
        let limit = body_limit(dialect);
        let _memory = self.reserve(body::expected(&body, limit), *dialect)?;
        let body = self.body(&mut body, limit, *dialect).await?;
        let scope = sigv4::claimed_service(&RequestView::of(parts));
        let call = protocol::identify(parts, &body, scope.as_deref()).map_err(|refusal| {
            *dialect = refusal.dialect;
            refusal.error
        })?;
        *dialect = call.dialect;
        *operation = Some(call.operation);
        let caller = self
            .authenticate(parts, &body, &call, peer, request_id)
            .await?;
        let input = call.decode(parts, &body)?;
        let value = self.call(caller, &call, input, request_id).await?;
        Ok(call.encode_response(&value, request_id))
    }

    /// Room for what the call will hold, until it is answered.
    fn reserve(&self, size: usize, dialect: Dialect) -> Result<SemaphorePermit<'_>, Refused> {
        u32::try_from(size.max(CALL_BYTES))
            .ok()
            .and_then(|bytes| self.memory.try_acquire_many(bytes).ok())
            .ok_or_else(|| {
                let code = match style(dialect) {
                    ErrorStyle::Json => "ThrottlingException",
                    ErrorStyle::Query => "Throttling",
                };
                Refused {
                    error: ErrorAnswer::new(code, 400, "Rate exceeded"),
                    close: true,
                }
            })
    }

    async fn body(
        &self,
        body: &mut Incoming,
        limit: usize,
        dialect: Dialect,
    ) -> Result<Bytes, Refused> {
        let json = style(dialect) == ErrorStyle::Json;
        match body::read(body, limit, self.limits.body_deadline).await {
            Ok(bytes) => Ok(bytes),
            Err(BodyFault::TooLarge) => {
                let code = if json {
                    "RequestEntityTooLargeException"
                } else {
                    "RequestEntityTooLarge"
                };
                let error = ErrorAnswer::new(
                    code,
                    413,
                    format!(
                        "The request body is larger than the {limit} bytes that this service takes."
                    ),
                );
                let close = !body::discard(body).await;
                Err(Refused { error, close })
            }
            Err(BodyFault::TooSlow) => {
                let code = if json {
                    "RequestTimeoutException"
                } else {
                    "RequestTimeout"
                };
                let seconds = self.limits.body_deadline.as_secs_f32();
                let error = ErrorAnswer::new(
                    code,
                    408,
                    format!("The request body did not arrive within {seconds} seconds."),
                );
                Err(Refused { error, close: true })
            }
            Err(BodyFault::Broken) => Err(Refused {
                error: ErrorAnswer::serialization("The request body ended before its end."),
                close: true,
            }),
        }
    }

    async fn authenticate(
        &self,
        parts: &Parts,
        body: &[u8],
        call: &Call,
        peer: &Peer,
        request_id: &str,
    ) -> Result<Caller, ErrorAnswer> {
        let refuse = |error: AuthError| error.answer(style(call.dialect));
        let service = call.operation.service.signing_name;
        let now = self.backend.now();
        let view = RequestView::of(parts);
        let claim = sigv4::parse(&view, now, service, Rules::of(service)).map_err(refuse)?;
        let found = self
            .backend
            .credential(claim.access_key_id())
            .await
            .map_err(|error| {
                tracing::error!(
                    request_id,
                    error = error.message,
                    "cannot look a credential up"
                );
                unavailable("Credentials cannot be read just now. Try again shortly.")
            })?;
        let credential = found.ok_or(AuthError::UnknownKey).map_err(refuse)?;
        // The access keys that are served are long-term ones, to which no session token belongs.
        if claim.session_token().is_some() {
            return Err(refuse(AuthError::UnknownKey));
        }
        self.keys
            .verify(&claim, &view, credential.secret.expose(), body)
            .map_err(refuse)?;
        let region = Region::parse(claim.region())
            .map_err(|error| refuse(AuthError::Invalid(error.message)))?;
        Ok(Caller {
            principal: credential.principal,
            region,
            request_id: request_id.to_owned(),
            source_ip: peer.address.map(|address| address.ip()),
            user_agent: user_agent(parts),
            now,
        })
    }

    /// Waits for the use case, but not beyond the deadline. It ends in any case.
    async fn call(
        &self,
        caller: Caller,
        call: &Call,
        input: Value,
        request_id: &str,
    ) -> Result<Value, ErrorAnswer> {
        let work =
            AssertUnwindSafe(self.backend.call(caller, call.operation, input)).catch_unwind();
        let work = Unbroken::new(work, self.lifecycle.at_work());
        match tokio::time::timeout(self.limits.request_deadline, work).await {
            Ok(Ok(outcome)) => outcome,
            // What it said may quote the request, so only where it happened is told.
            Ok(Err(_panic)) => {
                tracing::error!(
                    request_id,
                    operation = call.operation.name,
                    "a use case panicked"
                );
                Err(ErrorAnswer::internal(
                    "An internal error has occurred. The server's log names it under this request id.",
                ))
            }
            Err(_) => {
                tracing::warn!(
                    request_id,
                    operation = call.operation.name,
                    "a call is slow; it goes on unanswered"
                );
                Err(unavailable(
                    "The call takes too long to wait for. It goes on: look at its outcome before you repeat it.",
                ))
            }
        }
    }
}

impl From<ErrorAnswer> for Refused {
    /// The request was read to its end, so its connection lives on.
    fn from(error: ErrorAnswer) -> Self {
        Self {
            error,
            close: false,
        }
    }
}

fn unavailable(message: &str) -> ErrorAnswer {
    ErrorAnswer::new("ServiceUnavailable", 503, message)
}

fn style(dialect: Dialect) -> ErrorStyle {
    match dialect.protocol {
        Protocol::AwsJson10 | Protocol::AwsJson11 | Protocol::RpcV2Cbor => ErrorStyle::Json,
        Protocol::Query => ErrorStyle::Query,
    }
}

fn body_limit(dialect: &Dialect) -> usize {
    match dialect.service.map(|service| service.signing_name) {
        Some("acm" | "acm-pca") => CERTIFICATE_BODY_BYTES,
        _ => BODY_BYTES,
    }
}

fn user_agent(parts: &Parts) -> String {
    let sent = parts.headers.get(header::USER_AGENT);
    let sent = sent
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    sent.chars().take(USER_AGENT_CHARS).collect()
}
