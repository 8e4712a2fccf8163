//! Signing: for our own clients and for tests.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use keystead_crypto::digest;
use zeroize::Zeroizing;

use super::canonical::{self, Coverage, PayloadLine, encode, hex};
use super::{
    ALGORITHM, AuthError, RequestView, Rules, SigningKey, TERMINATOR, X_AMZ_CONTENT_SHA256,
    X_AMZ_DATE, X_AMZ_SECURITY_TOKEN, time,
};

/// Headers that transports and proxies may change on the way, so that no signer covers them (the
/// list is the AWS SDKs').
const NEVER_SIGNED: [&str; 6] = [
    "authorization",
    "connection",
    "expect",
    "transfer-encoding",
    "user-agent",
    "x-amzn-trace-id",
];

/// An access key with its secret, wiped when dropped.
#[derive(Clone)]
pub struct Credentials {
    /// The public half.
    pub access_key_id: String,
    /// The secret half.
    pub secret_access_key: Zeroizing<String>,
    /// The token that comes with temporary credentials.
    pub session_token: Option<Zeroizing<String>>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("access_key_id", &self.access_key_id)
            .finish_non_exhaustive()
    }
}

/// Signs requests to one service in one region at one moment.
#[derive(Clone, Debug)]
pub struct Signer<'a> {
    /// Whose signature.
    pub credentials: &'a Credentials,
    /// The region of the scope.
    pub region: &'a str,
    /// The service of the scope, by its signing name.
    pub service: &'a str,
    /// The moment of signing.
    pub time: Timestamp,
    /// What the service signs.
    pub rules: Rules,
    /// Whether to send the payload hash in `x-amz-content-sha256` too. S3 demands it.
    pub declare_payload: bool,
}

impl<'a> Signer<'a> {
    /// A signer by the service's own rules.
    pub fn new(
        credentials: &'a Credentials,
        region: &'a str,
        service: &'a str,
        time: Timestamp,
    ) -> Self {
        let rules = Rules::of(service);
        Self {
            credentials,
            region,
            service,
            time,
            rules,
            declare_payload: rules == Rules::S3,
        }
    }

    /// The headers to add to a request so that it is signed: `x-amz-date`, `authorization`, and
    /// those of token and payload where they apply. The view needs a `host` header or an authority.
    ///
    /// # Errors
    /// [`AuthError::Incomplete`] when a credential cannot stand in a header.
    pub fn sign(&self, view: &RequestView<'_>, payload: &[u8; 32]) -> Result<HeaderMap, AuthError> {
        let payload = hex(payload);
        let amz_date = time::format(self.time);
        let mut added = HeaderMap::new();
        added.insert(X_AMZ_DATE, header_value(&amz_date)?);
        if self.declare_payload {
            added.insert(X_AMZ_CONTENT_SHA256, header_value(&text(payload))?);
        }
        let token = match &self.credentials.session_token {
            Some(token) => Some(header_value(token)?),
            None => None,
        };
        if let Some(token) = token.clone().filter(|_| self.rules.token_signed) {
            added.insert(X_AMZ_SECURITY_TOKEN, token);
        }
        let mut headers = view.headers.clone();
        headers.extend(added.clone());
        let view = RequestView {
            headers: &headers,
            ..*view
        };
        let signed_headers = header_names(&view);
        let (scope, signature) = self.signature(
            &view,
            &signed_headers,
            &[],
            &PayloadLine::Hash(payload),
            &amz_date,
        );
        let authorization = format!(
            "{ALGORITHM} Credential={}/{scope}, SignedHeaders={signed_headers}, Signature={signature}",
            self.credentials.access_key_id
        );
        added.insert("authorization", header_value(&authorization)?);
        if let Some(token) = token {
            added.insert(X_AMZ_SECURITY_TOKEN, token);
        }
        Ok(added)
    }

    /// The whole query of a presigned request that lives for `expires` seconds. The headers in the
    /// view become part of what is signed.
    pub fn presign(&self, view: &RequestView<'_>, payload: &[u8; 32], expires: i64) -> String {
        let payload = match self.rules.unsigned_payload {
            true => PayloadLine::Unsigned,
            false => PayloadLine::Hash(hex(payload)),
        };
        let amz_date = time::format(self.time);
        let signed_headers = header_names(view);
        let credential = format!(
            "{}/{}",
            self.credentials.access_key_id,
            self.scope(&amz_date)
        );
        let mut query = view.query.to_owned();
        let mut push = |name: &str, value: &str| {
            if !query.is_empty() {
                query.push('&');
            }
            query.push_str(name);
            query.push('=');
            query.push_str(&encode(value.as_bytes()));
        };
        push("X-Amz-Algorithm", ALGORITHM);
        push("X-Amz-Credential", &credential);
        push("X-Amz-Date", &amz_date);
        push("X-Amz-Expires", &expires.to_string());
        push("X-Amz-SignedHeaders", &signed_headers);
        if let Some(token) = &self.credentials.session_token {
            push("X-Amz-Security-Token", token);
        }
        let left_out: &[&str] = match self.rules.token_signed {
            true => &[],
            false => &["X-Amz-Security-Token"],
        };
        let view = RequestView {
            query: &query,
            ..*view
        };
        let (_, signature) = self.signature(&view, &signed_headers, left_out, &payload, &amz_date);
        format!("{query}&X-Amz-Signature={signature}")
    }

    fn scope(&self, amz_date: &str) -> String {
        let day = amz_date.get(..8).unwrap_or_default();
        format!("{day}/{}/{}/{TERMINATOR}", self.region, self.service)
    }

    fn signature(
        &self,
        view: &RequestView<'_>,
        signed_headers: &str,
        left_out: &[&str],
        payload: &PayloadLine,
        amz_date: &str,
    ) -> (String, String) {
        let coverage = Coverage {
            rules: self.rules,
            signed_headers,
            left_out,
        };
        let canonical = canonical::request(view, &coverage, payload);
        let scope = self.scope(amz_date);
        let to_sign =
            canonical::string_to_sign(ALGORITHM, amz_date, &scope, &digest::sha256(&canonical));
        let day = amz_date.get(..8).unwrap_or_default();
        let key = SigningKey::derive(
            &self.credentials.secret_access_key,
            day,
            self.region,
            self.service,
        );
        (scope, text(hex(&key.sign(&to_sign))))
    }
}

/// Every header of the request that can be signed, and always `host`.
pub(super) fn header_names(view: &RequestView<'_>) -> String {
    let mut names: Vec<&str> = view.headers.keys().map(HeaderName::as_str).collect();
    names.retain(|name| !NEVER_SIGNED.contains(name));
    names.push("host");
    names.sort_unstable();
    names.dedup();
    names.join(";")
}

fn text(digits: [u8; 64]) -> String {
    digits.map(char::from).iter().collect()
}

fn header_value(text: &str) -> Result<HeaderValue, AuthError> {
    HeaderValue::from_str(text).map_err(|_| {
        AuthError::Incomplete(
            "the access key or session token has characters that cannot stand in a header".into(),
        )
    })
}
