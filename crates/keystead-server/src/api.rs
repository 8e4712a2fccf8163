//! The road of one API request: body within its bounds, operation, signature, input, use case,
//! answer. Whatever goes wrong on it is answered in the caller's own protocol.

mod objects;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use futures::FutureExt as _;
use http::request::Parts;
use http::{Request, Response, header};
use hyper::body::Incoming;
use jiff::Timestamp;
use keystead_app::{Found, Presented, Principal};
use keystead_core::Region;
use keystead_crypto::digest;
use keystead_wire::protocol::{self, Dialect};
use keystead_wire::schema::{Auth, OperationDef, Protocol};
use keystead_wire::sigv4::{self, AuthError, Claim, ErrorStyle, RequestView, Rules};
use keystead_wire::value::Value;
use keystead_wire::{Call, ErrorAnswer, Refusal};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::backend::{Backend, Caller};
use crate::body::{self, BodyFault};
use crate::ids::RequestIds;
use crate::lifecycle::{Lifecycle, Phase};
use crate::limits::{BODY_BYTES, CALL_BYTES, CERTIFICATE_BODY_BYTES, Limits, USER_AGENT_CHARS};
use crate::metrics;
use crate::peer::Peer;
use crate::reply::{ReplyBody, closing};
use crate::signing_keys::SigningKeys;
use crate::unbroken::Unbroken;

/// The AWS protocols.
pub(crate) struct Api<B> {
    backend: B,
    limits: Limits,
    lifecycle: Arc<Lifecycle>,
    keys: SigningKeys,
    ids: RequestIds,
    memory: Semaphore,
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

    pub(crate) fn backend(&self) -> &B {
        &self.backend
    }

    pub(crate) async fn answer(
        &self,
        request: Request<Incoming>,
        peer: &Peer,
    ) -> Response<ReplyBody> {
        let begun = Instant::now();
        let version = request.version();
        let (parts, body) = request.into_parts();
        let mut exchange = Exchange::new(self, &parts, peer);
        let outcome = exchange.carry_out(body).await;
        let Exchange {
            dialect,
            operation,
            request_id,
            ..
        } = exchange;
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

    /// Room for what the call will hold, until it is answered.
    fn reserve(&self, size: usize, style: ErrorStyle) -> Result<SemaphorePermit<'_>, Refused> {
        u32::try_from(size.max(CALL_BYTES))
            .ok()
            .and_then(|bytes| self.memory.try_acquire_many(bytes).ok())
            .ok_or_else(|| {
                let code = named(style, "ThrottlingException", "Throttling");
                Refused::closing(ErrorAnswer::new(code, 400, "Rate exceeded"))
            })
    }

    async fn read(
        &self,
        body: &mut Incoming,
        limit: usize,
        style: ErrorStyle,
    ) -> Result<Bytes, Refused> {
        let fault = match body::read(body, limit, self.limits.body_deadline).await {
            Ok(bytes) => return Ok(bytes),
            Err(fault) => fault,
        };
        Err(match fault {
            BodyFault::TooLarge => {
                let code = named(
                    style,
                    "RequestEntityTooLargeException",
                    "RequestEntityTooLarge",
                );
                let message = format!(
                    "The request body is larger than the {limit} bytes that this service takes."
                );
                let close = !body::discard(body).await;
                Refused {
                    error: ErrorAnswer::new(code, 413, message),
                    close,
                }
            }
            BodyFault::TooSlow => {
                let code = named(style, "RequestTimeoutException", "RequestTimeout");
                let seconds = self.limits.body_deadline.as_secs_f32();
                let message = format!("The request body did not arrive within {seconds} seconds.");
                Refused::closing(ErrorAnswer::new(code, 408, message))
            }
            BodyFault::Broken => Refused::closing(ErrorAnswer::serialization(
                "The request body ended before its end.",
            )),
        })
    }
}

/// One request on its way.
struct Exchange<'r, B> {
    api: &'r Api<B>,
    parts: &'r Parts,
    peer: &'r Peer,
    request_id: String,
    /// What the head names. Only query requests name their operation in the body.
    head: Option<Result<Call, Refusal>>,
    /// How to answer, whatever happens.
    dialect: Dialect,
    /// What is asked for, once known.
    operation: Option<&'static OperationDef>,
}

impl<'r, B: Backend> Exchange<'r, B> {
    fn new(api: &'r Api<B>, parts: &'r Parts, peer: &'r Peer) -> Self {
        let head = protocol::identify_head(parts, None);
        let dialect = match &head {
            Some(Ok(call)) => call.dialect,
            Some(Err(refusal)) => refusal.dialect,
            None => Dialect::QUERY,
        };
        Self {
            api,
            parts,
            peer,
            request_id: api.ids.next(),
            head,
            dialect,
            operation: None,
        }
    }

    async fn carry_out(&mut self, mut body: Incoming) -> Result<Response<Bytes>, Refused> {
        if self.api.lifecycle.phase() != Phase::Ready {
            return Err(Refused::closing(unavailable(
                "The server is starting or shutting down. Try again shortly.",
            )));
        }
        let limit = body_limit(&self.dialect);
        let style = style(&self.dialect);
        let _memory = self.api.reserve(body::expected(&body, limit), style)?;
        let body = self.api.read(&mut body, limit, style).await?;
        let view = RequestView::of(self.parts);
        let claim = Claim::read(&view);
        let call = self.identify(&body, claim.as_ref().ok())?;
        let caller = self.authenticate(claim, &view, &body, &call).await?;
        let input = call.decode(self.parts, &body)?;
        // A call may wait for long, and its body with it.
        drop(body);
        let value = self.call(caller, &call, input).await?;
        Ok(call.encode_response(&value, &self.request_id))
    }

    fn identify(&mut self, body: &[u8], claim: Option<&Claim<'_>>) -> Result<Call, ErrorAnswer> {
        let found = self.head.take().unwrap_or_else(|| {
            protocol::identify(self.parts, body, claim.and_then(Claim::service))
        });
        match found {
            Ok(call) => {
                self.dialect = call.dialect;
                self.operation = Some(call.operation);
                Ok(call)
            }
            Err(refusal) => {
                self.dialect = refusal.dialect;
                Err(refusal.error)
            }
        }
    }

    async fn authenticate(
        &self,
        claim: Result<Claim<'_>, AuthError>,
        view: &RequestView<'_>,
        body: &[u8],
        call: &Call,
    ) -> Result<Caller, ErrorAnswer> {
        let refuse = |error: AuthError| error.answer(style(&call.dialect));
        let service = call.operation.service.signing_name;
        let now = self.api.backend.now();
        let region = |name: &str| {
            Region::parse(name).map_err(|error| refuse(AuthError::Invalid(error.message)))
        };
        match call.operation.auth {
            Auth::AccessKey => {}
            // A signature would prove nothing here, and is not looked at (the model's `authtype`).
            Auth::Nothing => {
                let stranger = self.api.backend.stranger();
                return Ok(self.caller(stranger, region(GLOBAL_REGION)?, now));
            }
            Auth::Certificate => {
                let payload = digest::sha256(body);
                let holder = claim
                    .and_then(|claim| sigv4::verify_holder(claim, view, now, service, &payload))
                    .map_err(refuse)?;
                let region = region(&holder.region)?;
                let stranger = self.api.backend.stranger();
                let principal = stranger.holding(holder.certificate, holder.chain);
                return Ok(self.caller(principal, region, now));
            }
        }
        self.verify(claim, view, body, service, style(&call.dialect))
            .await
    }

    /// Who calls `service` without an operation of a model: whose signature it is.
    async fn signed_for(&self, service: &'static str, body: &[u8]) -> Result<Caller, ErrorAnswer> {
        let view = RequestView::of(self.parts);
        let style = ErrorStyle::S3;
        self.verify(Claim::read(&view), &view, body, service, style)
            .await
    }

    /// Who has the access key that signed.
    async fn verify(
        &self,
        claim: Result<Claim<'_>, AuthError>,
        view: &RequestView<'_>,
        body: &[u8],
        service: &'static str,
        style: ErrorStyle,
    ) -> Result<Caller, ErrorAnswer> {
        let refuse = |error: AuthError| error.answer(style);
        let now = self.api.backend.now();
        let claim = claim
            .and_then(|claim| claim.check(view, now, service, Rules::of(service)))
            .map_err(refuse)?;
        let found = self
            .api
            .backend
            .credential(&Presented {
                access_key_id: claim.access_key_id(),
                session_token: claim.session_token(),
                service,
                now,
            })
            .await
            .map_err(|error| {
                let request_id = &self.request_id;
                tracing::error!(
                    request_id,
                    error = error.message,
                    "cannot look a credential up"
                );
                unavailable("Credentials cannot be read just now. Try again shortly.")
            })?;
        let credential = match found {
            Found::Known(credential) => credential,
            Found::Unknown => return Err(refuse(AuthError::UnknownKey)),
            Found::Expired => return Err(refuse(AuthError::ExpiredToken)),
        };
        let keys = &self.api.keys;
        keys.verify(&claim, view, credential.secret.expose(), body)
            .map_err(refuse)?;
        let region = Region::parse(claim.region())
            .map_err(|error| refuse(AuthError::Invalid(error.message)))?;
        Ok(self.caller(credential.principal, region, now))
    }

    fn caller(&self, principal: Principal, region: Region, now: Timestamp) -> Caller {
        Caller {
            principal,
            region,
            request_id: self.request_id.clone(),
            source_ip: self.peer.address.map(|address| address.ip()),
            secure: self.peer.is_private(),
            user_agent: user_agent(self.parts),
            now,
        }
    }

    /// Waits for the use case, but not beyond the deadline. It ends in any case.
    async fn call(&self, caller: Caller, call: &Call, input: Value) -> Result<Value, ErrorAnswer> {
        let (operation, request_id) = (call.operation, &self.request_id);
        let work = self.api.backend.call(caller, operation, input);
        let work = AssertUnwindSafe(work).catch_unwind();
        let work = Unbroken::new(work, self.api.lifecycle.at_work());
        match tokio::time::timeout(self.api.limits.request_deadline, work).await {
            Ok(Ok(outcome)) => outcome,
            // What it said may quote the request, so it is not told.
            Ok(Err(_panic)) => {
                tracing::error!(
                    request_id,
                    operation = operation.name,
                    "a use case panicked"
                );
                Err(ErrorAnswer::internal(
                    "An internal error has occurred. The server's log names it under this request id.",
                ))
            }
            Err(_) => {
                let operation = operation.name;
                tracing::warn!(
                    request_id,
                    operation,
                    "a call is slow; it goes on unanswered"
                );
                Err(unavailable(
                    "The call takes too long to wait for. It goes on: look at its outcome before \
                     you repeat it.",
                ))
            }
        }
    }
}

/// The region of AWS's endpoint of STS that names none, to which calls without a signature go.
const GLOBAL_REGION: &str = "us-east-1";

/// Why a request is not carried out.
struct Refused {
    error: ErrorAnswer,
    /// Whether the connection can't be used any more: a part of the body is still on the way.
    close: bool,
}

impl Refused {
    fn closing(error: ErrorAnswer) -> Self {
        Self { error, close: true }
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

fn style(dialect: &Dialect) -> ErrorStyle {
    match dialect.protocol {
        Protocol::AwsJson10 | Protocol::AwsJson11 | Protocol::RpcV2Cbor => ErrorStyle::Json,
        Protocol::Query => ErrorStyle::Query,
        Protocol::RestJson => ErrorStyle::Rest,
        Protocol::XksProxy => ErrorStyle::XksProxy,
    }
}

/// The same refusal has two names.
fn named(style: ErrorStyle, json: &'static str, query: &'static str) -> &'static str {
    match style {
        ErrorStyle::Json | ErrorStyle::Rest | ErrorStyle::XksProxy => json,
        ErrorStyle::Query | ErrorStyle::S3 => query,
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
    // A header that reads as text is ASCII.
    sent.get(..USER_AGENT_CHARS).unwrap_or(sent).to_owned()
}
