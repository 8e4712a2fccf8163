//! From an HTTP request to an operation of a service, and back to an HTTP response.
//!
//! The protocol is told by what only it has: the header `smithy-protocol`, the header
//! `X-Amz-Target`, or the form parameter `Action`; REST has a service of its own in the scope of the
//! signature, or a path of its own. Only what the model says of the service decides
//! whether it speaks that protocol. A request that names nothing that is served is refused as AWS
//! would, in the protocol that it was made in.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Response, StatusCode};

use crate::error::ErrorAnswer;
use crate::query::Form;
use crate::schema::{ErrorDef, OperationDef, Protocol, ServiceDef};
use crate::value::Value;
use crate::{cbor, json, query, rest_json, services, validate, xks};

/// The header that tells awsJson requests apart.
const TARGET: HeaderName = HeaderName::from_static("x-amz-target");
/// The older spelling, which rpc-v2-cbor forbids as well.
const OLD_TARGET: HeaderName = HeaderName::from_static("x-amzn-target");
/// The header that tells the Smithy protocols apart.
const SMITHY_PROTOCOL: HeaderName = HeaderName::from_static("smithy-protocol");
/// Where a refusal's sealed explanation is ([`ErrorAnswer::sealed_explanation`]).
const AUTHORIZATION_MESSAGE: HeaderName =
    HeaderName::from_static("x-keystead-authorization-message");
/// The header that carries the request's id back.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
/// The header that carries the code of a REST error.
const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");

const JSON_1_0: &str = "application/x-amz-json-1.0";
const JSON_1_1: &str = "application/x-amz-json-1.1";
const JSON: &str = "application/json";
const CBOR: &str = "application/cbor";
const FORM: &str = "application/x-www-form-urlencoded";
const XML: &str = "text/xml";
const RPC_V2_CBOR: &str = "rpc-v2-cbor";

/// Where the operations are listed that this version serves.
const COVERAGE: &str = "docs/coverage.md lists what this version of Keystead serves";

/// The protocol in which a request was made, and so is answered; with the service, once known.
#[derive(Clone, Copy, Debug)]
pub struct Dialect {
    /// The protocol.
    pub protocol: Protocol,
    /// The service that the request names, served or not.
    pub service: Option<&'static ServiceDef>,
}

/// A request that names a served operation.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// How it was made.
    pub dialect: Dialect,
    /// What it asks for.
    pub operation: &'static OperationDef,
}

/// A request that names no served operation: why, and how to say so.
#[derive(Debug)]
pub struct Refusal {
    /// How the request was made.
    pub dialect: Dialect,
    /// What is answered.
    pub error: ErrorAnswer,
}

/// The headers by which a client asks for an operation in awsJson 1.1, to be signed with the rest;
/// empty for a service that does not speak it.
pub fn json_headers(service: &ServiceDef, operation: &str) -> HeaderMap {
    let prefix = service.target_prefix.unwrap_or_default();
    let target = HeaderValue::try_from(format!("{prefix}.{operation}"));
    let mut headers = HeaderMap::new();
    if let (Ok(target), true) = (target, service.protocols.iter().any(Protocol::is_json)) {
        headers.insert(TARGET, target);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON_1_1));
    }
    headers
}

/// Finds out what a request asks for. `scope` is the service in the scope of its SigV4 credential,
/// where it has one; it tells query services apart that know the same action, and REST from query.
pub fn identify(parts: &Parts, body: &[u8], scope: Option<&str>) -> Result<Call, Refusal> {
    identify_head(parts, scope).unwrap_or_else(|| identify_query(parts, body, scope))
}

/// What the head of a request asks for; `None` where that is in the body, as for query services
/// ([`Dialect::QUERY`]).
pub fn identify_head(parts: &Parts, scope: Option<&str>) -> Option<Result<Call, Refusal>> {
    if let Some(call) = xks::identify(parts, scope) {
        return Some(call);
    }
    if let Some(protocol) = parts.headers.get(SMITHY_PROTOCOL) {
        return Some(identify_cbor(parts, protocol));
    }
    if let Some(target) = parts.headers.get(TARGET) {
        return Some(identify_json(parts, target));
    }
    identify_rest(parts, scope)
}

/// `None` where the request is of no REST service: its scope names none, or it has no scope and a path of none.
fn identify_rest(parts: &Parts, scope: Option<&str>) -> Option<Result<Call, Refusal>> {
    let named = services().iter().copied().filter(|known| {
        known.protocols.contains(&Protocol::RestJson)
            && scope.is_none_or(|scope| known.signing_name == scope)
    });
    let (method, path) = (parts.method.as_str(), parts.uri.path());
    let operation = rest_json::find(named.clone(), method, path);
    let service = match (operation, scope) {
        (Some(operation), _) => operation.service,
        (None, Some(_)) => named.clone().next()?,
        (None, None) => return None,
    };
    let dialect = Dialect {
        protocol: Protocol::RestJson,
        service: Some(service),
    };
    let call = operation.map(|operation| Call { dialect, operation });
    Some(call.ok_or_else(|| {
        dialect.refuse(ErrorAnswer::unknown_operation(
            404,
            format!(
                "{} has no operation {method} {path} that is served; {COVERAGE}",
                service.service_id
            ),
        ))
    }))
}

fn identify_cbor(parts: &Parts, protocol: &HeaderValue) -> Result<Call, Refusal> {
    let mut dialect = Dialect {
        protocol: Protocol::RpcV2Cbor,
        service: None,
    };
    if protocol != RPC_V2_CBOR {
        return Err(dialect.refuse(ErrorAnswer::unknown_operation(
            404,
            format!("the only value of smithy-protocol that is served is {RPC_V2_CBOR}"),
        )));
    }
    // "Server-side implementations MUST reject such requests for security reasons" (Smithy RPC v2
    // CBOR protocol, "Requests").
    if parts.headers.contains_key(TARGET) || parts.headers.contains_key(OLD_TARGET) {
        return Err(dialect.refuse(ErrorAnswer::serialization(
            "a request of rpc-v2-cbor must not have the header X-Amz-Target",
        )));
    }
    let path = parts.uri.path();
    let Some((service, operation)) = cbor_path(path).filter(|_| parts.method == Method::POST)
    else {
        return Err(dialect.refuse(ErrorAnswer::unknown_operation(
            404,
            "expected POST to /service/SERVICE/operation/OPERATION",
        )));
    };
    dialect.service = services().iter().copied().find(|known| {
        known.protocols.contains(&Protocol::RpcV2Cbor)
            && known
                .target_prefix
                .is_some_and(|name| is_named(service, name, known))
    });
    let call = dialect.find(operation, 404, service)?;
    let media_type = media_type(&parts.headers);
    if media_type.is_some_and(|given| !given.eq_ignore_ascii_case(CBOR)) {
        return Err(dialect.refuse(ErrorAnswer::serialization(format!(
            "expected the content type {CBOR}"
        ))));
    }
    Ok(call)
}

/// The last four segments of `{prefix?}/service/{service}/operation/{operation}`.
fn cbor_path(path: &str) -> Option<(&str, &str)> {
    let mut segments = path.rsplit('/');
    let operation = segments.next()?;
    let marker = segments.next()?;
    let service = segments.next()?;
    (marker == "operation" && segments.next()? == "service").then_some((service, operation))
}

/// A service is named by its own name, or by its absolute shape id with a dot for the hash.
fn is_named(given: &str, name: &str, service: &ServiceDef) -> bool {
    let local = given.strip_prefix(service.namespace);
    given == name || local.and_then(|rest| rest.strip_prefix('.')) == Some(name)
}

fn identify_json(parts: &Parts, target: &HeaderValue) -> Result<Call, Refusal> {
    let media_type = media_type(&parts.headers);
    let version = match media_type {
        Some(given) if given.eq_ignore_ascii_case(JSON_1_0) => Some(Protocol::AwsJson10),
        Some(given) if given.eq_ignore_ascii_case(JSON_1_1) => Some(Protocol::AwsJson11),
        _ => None,
    };
    let mut dialect = Dialect {
        protocol: version.unwrap_or(Protocol::AwsJson11),
        service: None,
    };
    let target = target.to_str().unwrap_or_default();
    let (prefix, operation) = target.rsplit_once('.').unwrap_or((target, ""));
    dialect.service = services().iter().copied().find(|known| {
        // Either version of awsJson reaches a service of the other.
        known.target_prefix == Some(prefix) && known.protocols.iter().any(Protocol::is_json)
    });
    if version.is_none() || parts.method != Method::POST {
        return Err(dialect.refuse(ErrorAnswer::unknown_operation(
            400,
            format!("expected POST with the content type {JSON_1_1}"),
        )));
    }
    dialect.find(operation, 400, prefix)
}

fn identify_query(parts: &Parts, body: &[u8], scope: Option<&str>) -> Result<Call, Refusal> {
    let mut dialect = Dialect::QUERY;
    let form = form(parts, body).map_err(|error| dialect.refuse(error))?;
    let version = form.get("Version");
    let speaks = |known: &&ServiceDef| known.protocols.contains(&Protocol::Query);
    let mut candidates = services().iter().copied().filter(speaks);
    dialect.service = match scope {
        Some(scope) => candidates.find(|known| known.signing_name == scope),
        None => candidates.find(|known| Some(known.api_version) == version),
    };
    let Some(action) = form.get("Action").filter(|action| !action.is_empty()) else {
        return Err(dialect.refuse(ErrorAnswer::new(
            "MissingAction",
            400,
            "Missing Action: expected the parameter Action, or the header X-Amz-Target",
        )));
    };
    let operation = dialect
        .service
        .filter(|service| Some(service.api_version) == version)
        .filter(|service| service.knows(action));
    if operation.is_none() {
        let version = version.unwrap_or("NO_VERSION_SPECIFIED");
        return Err(dialect.refuse(invalid_action(format!(
            "Could not find operation {action} for version {version}"
        ))));
    }
    dialect.find(action, 400, "")
}

fn invalid_action(message: String) -> ErrorAnswer {
    ErrorAnswer::new("InvalidAction", 400, message)
}

/// The parameters of a query request: those of the URL, and of the body if it is a form.
fn form<'r>(parts: &'r Parts, body: &'r [u8]) -> Result<Form<'r>, ErrorAnswer> {
    let is_form = media_type(&parts.headers).is_some_and(|given| given.eq_ignore_ascii_case(FORM));
    Form::parse(parts.uri.query(), if is_form { body } else { &[] })
}

/// The content type without its parameters.
fn media_type(headers: &HeaderMap) -> Option<&str> {
    let given = headers.get(CONTENT_TYPE)?.to_str().unwrap_or_default();
    given.split(';').next().map(str::trim)
}

impl Protocol {
    fn is_json(&self) -> bool {
        matches!(self, Self::AwsJson10 | Self::AwsJson11)
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::AwsJson10 => JSON_1_0,
            Self::AwsJson11 => JSON_1_1,
            Self::RpcV2Cbor => CBOR,
            Self::Query => XML,
            Self::RestJson | Self::XksProxy => JSON,
        }
    }
}

impl Dialect {
    /// That of the query services, before it is known which one is meant.
    pub const QUERY: Self = Self {
        protocol: Protocol::Query,
        service: None,
    };

    fn refuse(self, error: ErrorAnswer) -> Refusal {
        Refusal {
            dialect: self,
            error,
        }
    }

    /// The served operation of this name, or why there is none.
    fn find(self, name: &str, status: u16, service: &str) -> Result<Call, Refusal> {
        let operation = self.service.and_then(|service| service.operation(name));
        if let Some(operation) = operation {
            return Ok(Call {
                dialect: self,
                operation,
            });
        }
        let message = match self.service {
            Some(known) if known.knows(name) => {
                let id = known.service_id;
                format!("the operation {name} of {id} is not served; {COVERAGE}")
            }
            Some(known) => format!("{} has no operation {name}", known.service_id),
            None => format!("the service {service} is not known; {COVERAGE}"),
        };
        Err(self.refuse(match self.protocol {
            Protocol::Query => invalid_action(message),
            _ => ErrorAnswer::unknown_operation(status, message),
        }))
    }

    /// The response that carries an error.
    pub fn encode_error(&self, error: &ErrorAnswer, request_id: &str) -> Response<Bytes> {
        let declared = self.declared(error.code);
        let body = match self.protocol {
            Protocol::AwsJson10 | Protocol::AwsJson11 => {
                json::encode_error(error, message_member(error.code, declared))
            }
            Protocol::RpcV2Cbor => {
                // Errors that no service declares are Smithy's own.
                let namespace = self.service.map_or("smithy.framework", |s| s.namespace);
                cbor::encode_error(error, namespace, message_member(error.code, declared))
            }
            Protocol::RestJson => {
                json::encode_message(&error.message, message_member(error.code, declared))
            }
            Protocol::XksProxy => xks::encode_error(error),
            Protocol::Query => {
                let namespace = self.service.and_then(|service| service.xml_namespace);
                let code = declared.map_or(error.code, |declared| declared.code);
                let error = ErrorAnswer {
                    code,
                    ..error.clone()
                };
                query::encode_error(&error, namespace, request_id)
            }
        };
        let status = match self.protocol {
            Protocol::XksProxy => xks::named(error).1,
            _ => error.status,
        };
        let status = StatusCode::from_u16(status);
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = self.respond(status, body, request_id);
        let explanation = error.sealed_explanation.as_deref();
        if let Some(Ok(explanation)) = explanation.map(HeaderValue::from_str) {
            response
                .headers_mut()
                .insert(AUTHORIZATION_MESSAGE, explanation);
        }
        if self.protocol == Protocol::RestJson {
            let code = HeaderValue::from_static(error.code);
            response.headers_mut().insert(ERROR_TYPE, code);
        }
        response
    }

    fn declared(&self, code: &str) -> Option<&'static ErrorDef> {
        let errors = self.service?.errors;
        errors.iter().copied().find(|error| error.name == code)
    }

    fn respond(&self, status: StatusCode, body: Vec<u8>, request_id: &str) -> Response<Bytes> {
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = status;
        let is_empty = response.body().is_empty();
        let headers = response.headers_mut();
        let content_type = HeaderValue::from_static(self.protocol.content_type());
        if self.protocol == Protocol::RpcV2Cbor {
            headers.insert(SMITHY_PROTOCOL, HeaderValue::from_static(RPC_V2_CBOR));
        }
        // An rpc-v2-cbor answer without a body must not have a content type.
        if self.protocol != Protocol::RpcV2Cbor || !is_empty {
            headers.insert(CONTENT_TYPE, content_type);
        }
        if let Ok(request_id) = HeaderValue::from_str(request_id) {
            headers.insert(REQUEST_ID, request_id);
        }
        response
    }
}

/// The member that carries an error's text: what the model says, and for the errors of AWS's front
/// end, which no model has, what that sends.
fn message_member(code: &str, declared: Option<&ErrorDef>) -> &'static str {
    match declared {
        Some(declared) => declared.message_member,
        None if matches!(code, "AccessDeniedException" | "SerializationException") => "Message",
        None => "message",
    }
}

impl Call {
    /// Reads the request and checks it against the model's constraints. Refuses with
    /// `SerializationException` or `ValidationException` (`MalformedInput` and `ValidationError`
    /// in the query protocol).
    pub fn decode(&self, parts: &Parts, body: &[u8]) -> Result<Value, ErrorAnswer> {
        let schema = self.operation.input;
        let value = match self.dialect.protocol {
            Protocol::AwsJson10 | Protocol::AwsJson11 => json::decode(body, schema),
            Protocol::RpcV2Cbor => cbor::decode(body, schema),
            Protocol::Query => query::decode(&form(parts, body)?, schema),
            Protocol::RestJson | Protocol::XksProxy => match self.operation.http {
                Some(http) => rest_json::decode(http, parts, body, schema),
                None => Err(ErrorAnswer::internal(
                    "an operation without a place in HTTP",
                )),
            },
        }?;
        validate::validate(&value, schema).map_err(|error| match self.dialect.protocol {
            Protocol::Query => ErrorAnswer::new("ValidationError", 400, error.message),
            _ => error,
        })?;
        Ok(value)
    }

    /// The response that carries the operation's answer.
    pub fn encode_response(&self, value: &Value, request_id: &str) -> Response<Bytes> {
        let operation = self.operation;
        if let (Protocol::RestJson | Protocol::XksProxy, Some(http)) =
            (self.dialect.protocol, operation.http)
        {
            let answer = rest_json::encode(http, value, operation.output);
            let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
            let mut response = self.dialect.respond(status, answer.body, request_id);
            response.headers_mut().extend(answer.headers);
            return response;
        }
        let body = match self.dialect.protocol {
            Protocol::Query => query::encode(value, operation, request_id),
            _ if !operation.has_output => Vec::new(),
            Protocol::RpcV2Cbor => cbor::encode(value, operation.output),
            Protocol::AwsJson10 | Protocol::AwsJson11 | Protocol::RestJson | Protocol::XksProxy => {
                json::encode(value, operation.output)
            }
        };
        self.dialect.respond(StatusCode::OK, body, request_id)
    }

    /// The response that carries an error.
    pub fn encode_error(&self, error: &ErrorAnswer, request_id: &str) -> Response<Bytes> {
        self.dialect.encode_error(error, request_id)
    }
}

impl Refusal {
    /// The response that carries the refusal.
    pub fn response(&self, request_id: &str) -> Response<Bytes> {
        self.dialect.encode_error(&self.error, request_id)
    }
}
