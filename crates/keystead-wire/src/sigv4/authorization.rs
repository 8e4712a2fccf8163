//! A signature as claimed, and every check of it that needs no secret.

use std::borrow::Cow;
use std::fmt;

use jiff::Timestamp;
use zeroize::Zeroizing;

use super::canonical::{Coverage, PayloadLine, hex, unhex};
use super::claim::{Claim, quoted, single};
use super::{
    ALGORITHM, AuthError, RequestView, Rules, TERMINATOR, UNSIGNED_PAYLOAD, X_AMZ_CONTENT_SHA256,
    time,
};

/// The longest region or service name taken, in characters. AWS's longest region has 14
/// (`ap-southeast-1`), its longest signing name 41.
const SCOPE_NAME_LIMIT: usize = 64;

/// Headers that decide what a request means and so must be signed when they are there.
const MUST_BE_SIGNED: [(&str, &str); 1] = [("x-amz-target", "X-Amz-Target")];

/// A signature as claimed: well-formed, current and in scope, but not yet verified.
#[derive(Clone)]
pub struct Authorization<'a> {
    /// Five elements, checked.
    credential: Cow<'a, str>,
    amz_date: Cow<'a, str>,
    /// Lower-case, ascending, each once.
    signed_headers: Cow<'a, str>,
    signature: Option<[u8; 32]>,
    session_token: Option<Zeroizing<String>>,
    content_sha256: Option<String>,
    presigned: bool,
    rules: Rules,
}

impl Authorization<'_> {
    /// The access key with the scope: `keyid/date/region/service/aws4_request`. Names the signing key.
    pub fn credential(&self) -> &str {
        &self.credential
    }

    /// The access key that the request claims to be signed with.
    pub fn access_key_id(&self) -> &str {
        self.element(0)
    }

    /// The credential scope's day, `YYYYMMDD`.
    pub fn date(&self) -> &str {
        self.element(1)
    }

    /// The credential scope's region.
    pub fn region(&self) -> &str {
        self.element(2)
    }

    /// The credential scope's service, by its signing name.
    pub fn service(&self) -> &str {
        self.element(3)
    }

    /// The session token of temporary credentials. It is a secret; whoever looks the credential up
    /// compares it.
    pub fn session_token(&self) -> Option<&str> {
        self.session_token.as_ref().map(|token| token.as_str())
    }

    /// The names of the signed headers: lower-case, ascending, each once.
    pub fn signed_headers(&self) -> impl Iterator<Item = &str> {
        self.signed_headers.split(';')
    }

    /// Whether the signature came in the query.
    pub fn presigned(&self) -> bool {
        self.presigned
    }

    pub(super) fn amz_date(&self) -> &str {
        &self.amz_date
    }

    /// The given signature; `None` where it is not 64 hexadecimal digits, which matches nothing.
    pub(super) fn signature(&self) -> Option<&[u8; 32]> {
        self.signature.as_ref()
    }

    pub(super) fn scope(&self) -> &str {
        let scope = self.credential.split_once('/');
        scope.map_or("", |(_, scope)| scope)
    }

    fn element(&self, index: usize) -> &str {
        self.credential.split('/').nth(index).unwrap_or_default()
    }

    pub(super) fn coverage(&self) -> Coverage<'_> {
        Coverage {
            rules: self.rules,
            signed_headers: &self.signed_headers,
            left_out: match (self.presigned, self.rules.token_signed) {
                (false, _) => &[],
                (true, true) => &["X-Amz-Signature"],
                (true, false) => &["X-Amz-Signature", "X-Amz-Security-Token"],
            },
        }
    }

    /// The last line of the canonical request, given the SHA-256 of the body that arrived.
    pub(super) fn payload_line(
        &self,
        view: &RequestView<'_>,
        payload: &[u8; 32],
    ) -> Result<PayloadLine, AuthError> {
        let unsigned_allowed = self.presigned || self.rules.unsigned_payload;
        let declared = match &self.content_sha256 {
            Some(declared) => Some(declared.as_str()),
            None => single(view.headers, X_AMZ_CONTENT_SHA256)?,
        };
        let actual = hex(payload);
        match declared {
            None if self.presigned && self.rules.unsigned_payload => Ok(PayloadLine::Unsigned),
            None => Ok(PayloadLine::Hash(actual)),
            Some(UNSIGNED_PAYLOAD) if unsigned_allowed => Ok(PayloadLine::Unsigned),
            Some(UNSIGNED_PAYLOAD) => Err(AuthError::Invalid(
                "The body must be signed: send its SHA-256 in 'X-Amz-Content-Sha256', not \
                 'UNSIGNED-PAYLOAD'."
                    .into(),
            )),
            Some(streaming) if streaming.starts_with("STREAMING-") => {
                Err(AuthError::Invalid(format!(
                    "Streaming payloads ('{}') are not served here: sign the whole body.",
                    quoted(streaming)
                )))
            }
            Some(declared) if declared.as_bytes() == actual => Ok(PayloadLine::Hash(actual)),
            Some(_) => Err(AuthError::Mismatch),
        }
    }
}

impl fmt::Debug for Authorization<'_> {
    /// Neither the signature nor the session token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorization")
            .field("credential", &self.credential)
            .field("signed_headers", &self.signed_headers)
            .field("presigned", &self.presigned)
            .finish_non_exhaustive()
    }
}

/// Reads the signature of a request and checks everything that needs no secret: [`Claim::read`] and
/// [`Claim::check`] in one.
///
/// # Errors
/// Those of both.
pub fn parse<'a>(
    view: &RequestView<'a>,
    now: Timestamp,
    service: &str,
    rules: Rules,
) -> Result<Authorization<'a>, AuthError> {
    Claim::read(view)?.check(view, now, service, rules)
}

impl<'a> Claim<'a> {
    /// The service that the credential scope names: what a query request, whose body names only an
    /// action, is for. `None` where the credential is malformed.
    pub fn service(&self) -> Option<&str> {
        let [_, _, _, service, _] = split_credential(&self.credential).ok()?;
        Some(service)
    }

    /// Checks everything that needs no secret. `service` is the signing name of the service that the
    /// request is for.
    ///
    /// # Errors
    /// [`AuthError::Incomplete`], [`AuthError::Invalid`].
    pub fn check(
        self,
        view: &RequestView<'_>,
        now: Timestamp,
        service: &str,
        rules: Rules,
    ) -> Result<Authorization<'a>, AuthError> {
        self.check_for(view, now, service, rules, &[ALGORITHM])
    }

    /// As [`Claim::check`], for other algorithms.
    pub(super) fn check_for(
        self,
        view: &RequestView<'_>,
        now: Timestamp,
        service: &str,
        rules: Rules,
        algorithms: &[&str],
    ) -> Result<Authorization<'a>, AuthError> {
        time::check(self.signed_at, now, self.expires)?;
        let signed_headers = ascending(self.signed_headers);
        check_signed(view, &signed_headers)?;
        if !algorithms.contains(&&*self.algorithm) {
            return Err(AuthError::Incomplete(format!(
                "Unsupported AWS 'algorithm': '{}' (only {} for now). ",
                quoted(&self.algorithm),
                algorithms.join(", ")
            )));
        }
        let [_, scope @ ..] = split_credential(&self.credential)?;
        check_scope(scope, &self.amz_date, service)?;
        Ok(Authorization {
            credential: self.credential,
            amz_date: self.amz_date,
            signed_headers,
            signature: unhex(&self.signature),
            session_token: self.session_token,
            content_sha256: self.content_sha256,
            presigned: self.presigned,
            rules,
        })
    }
}

/// The five elements of a credential: access key, day, region, service, terminator.
fn split_credential(credential: &str) -> Result<[&str; 5], AuthError> {
    let mut parts = credential.split('/');
    let mut next = || parts.next().filter(|part| !part.is_empty());
    match ([next(), next(), next(), next(), next()], next()) {
        (
            [
                Some(key),
                Some(date),
                Some(region),
                Some(service),
                Some(terminator),
            ],
            None,
        ) => Ok([key, date, region, service, terminator]),
        _ => Err(AuthError::Incomplete(format!(
            "Credential must have exactly 5 slash-delimited elements, e.g. \
             keyid/date/region/service/term, got '{}'",
            quoted(credential)
        ))),
    }
}

/// AWS names everything that is wrong with a scope at once, in this order.
fn check_scope(
    [date, region, service, terminator]: [&str; 4],
    amz_date: &str,
    expected_service: &str,
) -> Result<(), AuthError> {
    let mut wrong = Vec::new();
    if !is_name(region) {
        wrong.push(format!(
            "Credential should be scoped to a valid region, not '{}'. ",
            quoted(region)
        ));
    }
    if service != expected_service {
        wrong.push(format!(
            "Credential should be scoped to correct service: '{expected_service}'. "
        ));
    }
    if terminator != TERMINATOR {
        wrong.push(format!(
            "Credential should be scoped with a valid terminator: '{TERMINATOR}', not '{}'. ",
            quoted(terminator)
        ));
    }
    let day = amz_date.get(..8).unwrap_or_default();
    if date != day {
        wrong.push(format!(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from \
             HTTP: '{}' != '{day}', from '{amz_date}'.",
            quoted(date)
        ));
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(AuthError::Invalid(wrong.concat()))
    }
}

/// Any region name is accepted (`design.md` section 1), so long as it could be one.
fn is_name(text: &str) -> bool {
    (1..=SCOPE_NAME_LIMIT).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// The list of signed headers as it has to be: lower-case, ascending, each name once. A name that is
/// repeated a thousand times costs no more than once.
fn ascending(list: Cow<'_, str>) -> Cow<'_, str> {
    let lower = !list
        .bytes()
        .any(|byte| byte.is_ascii_uppercase() || byte == b' ');
    if lower && list.split(';').is_sorted_by(|one, next| one < next) {
        return list;
    }
    let list = list.to_ascii_lowercase();
    let mut names: Vec<&str> = list.split(';').map(str::trim).collect();
    names.retain(|name| !name.is_empty());
    names.sort_unstable();
    names.dedup();
    Cow::Owned(names.join(";"))
}

fn check_signed(view: &RequestView<'_>, signed: &str) -> Result<(), AuthError> {
    let is_signed = |name: &str| signed.split(';').any(|signed| signed == name);
    let left_out = if is_signed("host") {
        MUST_BE_SIGNED
            .iter()
            .find(|(name, _)| view.headers.contains_key(*name) && !is_signed(name))
            .map(|(_, shown)| format!("'{shown}'"))
    } else {
        Some("'Host' or ':authority'".to_owned())
    };
    match left_out {
        None => Ok(()),
        Some(name) => Err(AuthError::Invalid(format!(
            "{name} must be a 'SignedHeader' in the AWS Authorization."
        ))),
    }
}
