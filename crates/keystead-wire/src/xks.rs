//! The external key store proxy API, as far as it differs from restJson1: what its paths are recognised by, the paths and
//! documents of a caller, and the form of its refusals.
//!
//! Source: AWS KMS External Key Store Proxy API Specification, version 1.0.2.

use std::borrow::Cow;

use http::Method;
use http::request::Parts;
use serde::Deserialize;

use crate::error::ErrorAnswer;
use crate::kms_xks_proxy::SERVICE;
use crate::protocol::{Call, Dialect, Refusal};
use crate::schema::{HttpDef, OperationDef, Place, Protocol, Segment};
use crate::value::Value;
use crate::{json, rest_json};

/// What stands in every path between the operator's prefix and the operation, but for the version.
const MARK: &str = "/kms/xks/v";

/// The longest `errorMessage` ("Error codes": less than 512 characters).
const MESSAGE_CHARS: usize = 511;

/// The call of a request, if it is to a proxy by its path, or by the scope of its signature.
pub(crate) fn identify(parts: &Parts, scope: Option<&str>) -> Option<Result<Call, Refusal>> {
    let path = parts.uri.path();
    if !path.contains(MARK) && scope != Some(SERVICE.signing_name) {
        return None;
    }
    let dialect = Dialect {
        protocol: Protocol::XksProxy,
        service: Some(&SERVICE),
    };
    let refuse = |error| Err(Refusal { dialect, error });
    let operation = rest_json::find(std::iter::once(&SERVICE), Method::POST.as_str(), path);
    Some(match operation {
        Some(operation) if parts.method == Method::POST => Ok(Call { dialect, operation }),
        // "API operations": a GET is refused with 405.
        Some(_) => refuse(ErrorAnswer::new(
            "UnsupportedOperationException",
            405,
            "Every operation is a POST.",
        )),
        None => refuse(ErrorAnswer::new(
            "InvalidUriPathException",
            404,
            "Expected PREFIX/kms/xks/v1/health, or PREFIX/kms/xks/v1/keys/ID/ and metadata, encrypt or decrypt.",
        )),
    })
}

/// The name and the status of a refusal ("Error codes"): what the model declares as it is, and what other parts of
/// Keystead refuse by what it means.
pub(crate) fn named(error: &ErrorAnswer) -> (&'static str, u16) {
    match error.code {
        "SerializationException" => ("ValidationException", 400),
        "RequestTimeoutException" | "ServiceUnavailable" => ("DependencyTimeoutException", 503),
        "RequestEntityTooLargeException" => ("UnsupportedOperationException", 501),
        "InternalFailure" => ("InternalException", 500),
        "ThrottlingException" => ("ThrottlingException", 429),
        code => (code, error.status),
    }
}

/// The document of a refusal.
pub(crate) fn encode_error(error: &ErrorAnswer) -> Vec<u8> {
    let (name, _) = named(error);
    // "Only printable ASCII characters".
    let printable = |letter: char| match letter {
        ' '..='~' => letter,
        _ => '?',
    };
    let message: String = error
        .message
        .chars()
        .map(printable)
        .take(MESSAGE_CHARS)
        .collect();
    let document = serde_json::json!({ "errorName": name, "errorMessage": message });
    document.to_string().into_bytes()
}

/// The path of an operation below `base`, which ends with the version, and the document of its request.
pub fn request(operation: &OperationDef, base: &str, input: &Value) -> (String, Vec<u8>) {
    let (Some(http), Value::Structure(slots)) = (operation.http, input) else {
        return (base.to_owned(), Vec::new());
    };
    let labels = http.input.iter().zip(slots);
    let label = |name: &str| {
        let mut labels = labels.clone();
        labels.find_map(|(place, slot)| match (place, slot) {
            (Place::Label(label), Some(Value::String(text))) if *label == name => {
                Some(text.as_str())
            }
            _ => None,
        })
    };
    let mut path = base.to_owned();
    for segment in below_version(http) {
        path.push('/');
        path.push_str(match segment {
            Segment::Literal(text) => text,
            Segment::Label(name) | Segment::Greedy(name) => label(name).unwrap_or_default(),
        });
    }
    let in_document = |(place, slot): (&Place, &Option<Value>)| match place {
        Place::Body => slot.clone(),
        _ => None,
    };
    let document = labels.clone().map(in_document).collect();
    let body = json::encode(&Value::Structure(document), operation.input);
    (path, body)
}

/// The segments behind `PREFIX/kms/xks/v1`.
fn below_version(http: &HttpDef) -> impl Iterator<Item = &'static Segment> {
    let base = |segment: &&Segment| !matches!(segment, Segment::Literal(text) if *text == "health" || *text == "keys");
    http.path.iter().skip_while(base)
}

/// What a proxy names its refusal, and what it says of it, cut; `None` for what is none of the specification's form.
pub fn refusal(body: &[u8]) -> Option<(String, String)> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Document<'a> {
        #[serde(borrow)]
        error_name: Cow<'a, str>,
        #[serde(borrow, default)]
        error_message: Option<Cow<'a, str>>,
    }
    let document: Document<'_> = serde_json::from_slice(body).ok()?;
    let message = document.error_message.unwrap_or_default();
    let message = message.chars().take(MESSAGE_CHARS).collect();
    Some((document.error_name.into_owned(), message))
}
