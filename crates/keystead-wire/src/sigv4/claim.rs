//! Reading the two forms in which a signature travels: the `Authorization` header and the presigned
//! query.

use std::borrow::Cow;
use std::fmt;

use http::HeaderMap;
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use zeroize::Zeroizing;

use super::{AuthError, MAX_EXPIRES_SECONDS, RequestView, X_AMZ_DATE, X_AMZ_SECURITY_TOKEN, time};

/// How much of the caller's own text an error quotes back, in characters: more than any credential
/// scope of AWS has.
const QUOTE_LIMIT: usize = 128;

/// The parts of a signature as they stand in the request, in either form; nothing about them is
/// checked yet.
pub struct Claim<'a> {
    pub(super) algorithm: Cow<'a, str>,
    pub(super) credential: Cow<'a, str>,
    pub(super) signed_headers: Cow<'a, str>,
    pub(super) signature: Cow<'a, str>,
    pub(super) signed_at: Timestamp,
    /// The same moment as it is signed.
    pub(super) amz_date: Cow<'a, str>,
    pub(super) expires: Option<i64>,
    pub(super) session_token: Option<Zeroizing<String>>,
    pub(super) content_sha256: Option<String>,
    pub(super) presigned: bool,
}

impl<'a> Claim<'a> {
    /// Finds the signature of a request.
    ///
    /// # Errors
    /// [`AuthError::Missing`] where there is none, [`AuthError::Incomplete`] where a part is missing or
    /// malformed, [`AuthError::Invalid`] where there are two.
    pub fn read(view: &RequestView<'a>) -> Result<Self, AuthError> {
        let header = single(view.headers, "authorization")?;
        let presigned = Presigned::read(view.query)?;
        match (header, presigned) {
            (Some(_), Some(_)) => Err(AuthError::Invalid(
                "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP \
                 header."
                    .into(),
            )),
            (Some(header), None) => Self::from_header(view.headers, header),
            (None, Some(query)) => Self::from_query(view.headers, query),
            (None, None) => Err(AuthError::Missing),
        }
    }

    fn from_header(headers: &'a HeaderMap, header: &'a str) -> Result<Self, AuthError> {
        let header = header.trim();
        let (algorithm, parameters) = header.split_once([' ', '\t']).unwrap_or((header, ""));
        let [mut credential, mut signature, mut signed_headers] = [None; 3];
        for parameter in parameters
            .split(',')
            .map(str::trim)
            .filter(|p| !p.is_empty())
        {
            let (name, value) = parameter.split_once('=').ok_or_else(|| {
                AuthError::Incomplete(
                    "Invalid key=value pair (missing equal-sign) in Authorization header.".into(),
                )
            })?;
            let place = match name.trim_end() {
                "Credential" => &mut credential,
                "Signature" => &mut signature,
                "SignedHeaders" => &mut signed_headers,
                _ => continue,
            };
            if place.replace(value.trim()).is_some() {
                return Err(repeated(name));
            }
        }
        let date = match single(headers, X_AMZ_DATE)? {
            Some(date) => Some(date),
            None => single(headers, "date")?,
        };
        match (credential, signature, signed_headers, date) {
            (Some(credential), Some(signature), Some(signed_headers), Some(date)) => Ok(Self {
                algorithm: algorithm.into(),
                credential: credential.into(),
                signed_headers: signed_headers.into(),
                signature: signature.into(),
                signed_at: time::parse_date_header(date).ok_or_else(|| bad_date(date))?,
                amz_date: time::basic(date),
                expires: None,
                session_token: session_token(headers)?,
                content_sha256: None,
                presigned: false,
            }),
            _ => Err(missing_in_header([
                ("'Credential' parameter", credential.is_none()),
                ("'Signature' parameter", signature.is_none()),
                ("'SignedHeaders' parameter", signed_headers.is_none()),
                (
                    "existence of either a 'X-Amz-Date' or a 'Date' header",
                    date.is_none(),
                ),
            ])),
        }
    }

    fn from_query(headers: &HeaderMap, query: Presigned<'a>) -> Result<Self, AuthError> {
        let Presigned {
            algorithm,
            credential,
            signature,
            signed_headers,
            date,
            ..
        } = query;
        match (algorithm, credential, signature, signed_headers, date) {
            (
                Some(algorithm),
                Some(credential),
                Some(signature),
                Some(signed_headers),
                Some(date),
            ) => Ok(Self {
                algorithm,
                credential,
                signed_headers,
                signature,
                signed_at: time::parse(&date).ok_or_else(|| bad_date(&date))?,
                amz_date: date,
                expires: query.expires.as_deref().map(parse_expires).transpose()?,
                session_token: match query.security_token {
                    Some(token) => Some(Zeroizing::new(token.into_owned())),
                    None => session_token(headers)?,
                },
                content_sha256: query.content_sha256.map(Cow::into_owned),
                presigned: true,
            }),
            (algorithm, credential, signature, signed_headers, date) => Err(missing_in_query([
                ("X-Amz-Algorithm", algorithm.is_none()),
                ("X-Amz-Credential", credential.is_none()),
                ("X-Amz-Signature", signature.is_none()),
                ("X-Amz-SignedHeaders", signed_headers.is_none()),
                ("X-Amz-Date", date.is_none()),
            ])),
        }
    }
}

impl fmt::Debug for Claim<'_> {
    /// Neither the signature nor the session token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim")
            .field("credential", &self.credential)
            .field("signed_headers", &self.signed_headers)
            .finish_non_exhaustive()
    }
}

/// The `X-Amz-*` parameters of a presigned query, decoded.
#[derive(Default)]
struct Presigned<'a> {
    algorithm: Option<Cow<'a, str>>,
    credential: Option<Cow<'a, str>>,
    signature: Option<Cow<'a, str>>,
    signed_headers: Option<Cow<'a, str>>,
    date: Option<Cow<'a, str>>,
    expires: Option<Cow<'a, str>>,
    security_token: Option<Cow<'a, str>>,
    content_sha256: Option<Cow<'a, str>>,
}

impl<'a> Presigned<'a> {
    /// `None` where the query carries no signature.
    fn read(query: &'a str) -> Result<Option<Self>, AuthError> {
        let mut found = Self::default();
        for pair in query.split('&').filter(|pair| pair.starts_with("X-Amz-")) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let place = match name {
                "X-Amz-Algorithm" => &mut found.algorithm,
                "X-Amz-Credential" => &mut found.credential,
                "X-Amz-Signature" => &mut found.signature,
                "X-Amz-SignedHeaders" => &mut found.signed_headers,
                "X-Amz-Date" => &mut found.date,
                "X-Amz-Expires" => &mut found.expires,
                "X-Amz-Security-Token" => &mut found.security_token,
                "X-Amz-Content-Sha256" => &mut found.content_sha256,
                _ => continue,
            };
            if place
                .replace(percent_decode_str(value).decode_utf8_lossy())
                .is_some()
            {
                return Err(repeated(name));
            }
        }
        let signed =
            found.algorithm.is_some() || found.credential.is_some() || found.signature.is_some();
        Ok(signed.then_some(found))
    }
}

/// The value of a header that may come once at most.
pub(super) fn single<'h>(
    headers: &'h HeaderMap,
    name: &'static str,
) -> Result<Option<&'h str>, AuthError> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(repeated(name));
    }
    value.to_str().map(Some).map_err(|_| {
        AuthError::Incomplete(format!(
            "The header '{name}' must consist of visible ASCII characters."
        ))
    })
}

fn session_token(headers: &HeaderMap) -> Result<Option<Zeroizing<String>>, AuthError> {
    Ok(single(headers, X_AMZ_SECURITY_TOKEN)?.map(|token| Zeroizing::new(token.to_owned())))
}

fn parse_expires(text: &str) -> Result<i64, AuthError> {
    text.parse()
        .ok()
        .filter(|seconds| (0..=MAX_EXPIRES_SECONDS).contains(seconds))
        .ok_or_else(|| {
            AuthError::Incomplete(format!(
                "X-Amz-Expires must be a number of seconds from 0 to {MAX_EXPIRES_SECONDS}, got '{}'.",
                quoted(text)
            ))
        })
}

fn bad_date(text: &str) -> AuthError {
    AuthError::Incomplete(format!(
        "Date must be in ISO-8601 'basic format'. Got '{}'. See \
         http://en.wikipedia.org/wiki/ISO_8601",
        quoted(text)
    ))
}

fn repeated(name: &str) -> AuthError {
    AuthError::Incomplete(format!(
        "'{}' is given more than once: give it once.",
        quoted(name)
    ))
}

fn missing_in_header(parts: [(&str, bool); 4]) -> AuthError {
    let missing: Vec<String> = parts
        .iter()
        .filter(|(_, missing)| *missing)
        .map(|(name, _)| format!("Authorization header requires {name}."))
        .collect();
    AuthError::Incomplete(missing.join(" "))
}

fn missing_in_query(parts: [(&str, bool); 5]) -> AuthError {
    let missing: String = parts
        .iter()
        .filter(|(_, missing)| *missing)
        .map(|(name, _)| format!("AWS query-string parameters must include '{name}'. "))
        .collect();
    AuthError::Incomplete(missing + "Re-examine the query-string parameters.")
}

/// The caller's text, cut to [`QUOTE_LIMIT`].
pub(super) fn quoted(text: &str) -> &str {
    text.char_indices()
        .nth(QUOTE_LIMIT)
        .and_then(|(end, _)| text.get(..end))
        .unwrap_or(text)
}
