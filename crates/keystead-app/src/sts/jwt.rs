//! JSON Web Tokens as identity providers issue them (RFC 7519; OpenID Connect Core section 2), and the keys that
//! providers publish (RFC 7517). Strict: what is not understood is refused.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use keystead_core::iam::oidc::issuer;
use keystead_core::tags::Tags;
use keystead_core::{Error, ErrorKind, Result};
use keystead_crypto::jws::{Algorithm, PublicKey};
use serde::Deserialize;
use serde::de::IgnoredAny;

/// A token taken apart; its signature is not checked yet.
pub(super) struct Token<'a> {
    algorithm: Algorithm,
    key_id: Option<String>,
    signed: &'a [u8],
    signature: Vec<u8>,
    pub(super) claims: Claims,
}

/// What a token claims (OpenID Connect Core section 2; IAM user guide, "Passing session tags").
#[derive(Deserialize)]
pub(super) struct Claims {
    #[serde(rename = "iss")]
    issuer: Option<String>,
    #[serde(rename = "sub")]
    subject: Option<String>,
    #[serde(rename = "aud", default)]
    audience: OneOrMore,
    #[serde(rename = "azp")]
    authorized_party: Option<String>,
    #[serde(rename = "exp")]
    expires: Option<i64>,
    #[serde(rename = "nbf")]
    not_before: Option<i64>,
    #[serde(rename = "iat")]
    issued: Option<i64>,
    #[serde(default)]
    amr: OneOrMore,
    #[serde(rename = "https://aws.amazon.com/tags")]
    tags: Option<TagClaim>,
    #[serde(rename = "https://aws.amazon.com/source_identity")]
    pub(super) source_identity: Option<String>,
}

#[derive(Default, Deserialize)]
struct TagClaim {
    #[serde(default)]
    principal_tags: std::collections::BTreeMap<String, OneOrMore>,
    #[serde(default)]
    transitive_tag_keys: Vec<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl Default for OneOrMore {
    fn default() -> Self {
        Self::More(Vec::new())
    }
}

impl OneOrMore {
    fn as_slice(&self) -> &[String] {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::More(texts) => texts,
        }
    }
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    /// What must be understood and here never is (RFC 7515 section 4.1.11).
    crit: Option<IgnoredAny>,
}

impl<'a> Token<'a> {
    /// Takes a token apart.
    pub(super) fn parse(text: &'a str) -> Result<Self> {
        let no_token = || {
            invalid(
                "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)",
            )
        };
        let (signed, signature) = text.rsplit_once('.').ok_or_else(no_token)?;
        let (header, claims) = signed.split_once('.').ok_or_else(no_token)?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| no_token());
        let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| no_token())?;
        let claims = serde_json::from_slice(&decode(claims)?).map_err(|_| no_token())?;
        let algorithm = Algorithm::parse(&header.alg).filter(|_| header.crit.is_none());
        let algorithm = algorithm.ok_or_else(|| {
            invalid("The token is signed in a way that is not supported: expected RS256, RS384, RS512, ES256, ES384 or ES512.")
        })?;
        Ok(Self {
            algorithm,
            key_id: header.kid,
            signed: signed.as_bytes(),
            signature: decode(signature)?,
            claims,
        })
    }

    /// Whether one of these keys is the one that the token names.
    pub(super) fn names_one_of(&self, keys: &Keys) -> bool {
        self.candidates(keys).next().is_some()
    }

    /// Checks the signature under these keys.
    pub(super) fn verify(&self, keys: &Keys) -> Result<()> {
        let mut candidates = self.candidates(keys);
        let good = |key: &PublicKey| {
            key.verify(self.algorithm, self.signed, &self.signature)
                .is_ok()
        };
        if candidates.any(good) {
            return Ok(());
        }
        Err(invalid("The signature of the token is not valid."))
    }

    /// The keys of the token's `kid`; without one the provider's only key.
    fn candidates<'k>(&'k self, keys: &'k Keys) -> impl Iterator<Item = &'k PublicKey> {
        let only = keys.0.len() == 1;
        let named = move |id: &Option<String>| match &self.key_id {
            Some(wanted) => id.as_ref() == Some(wanted),
            None => only,
        };
        let keys = keys.0.iter().filter(move |(id, _)| named(id));
        keys.map(|(_, key)| key)
    }
}

impl Claims {
    /// The issuer's URL as it stands there, and as records name it.
    pub(super) fn issuer(&self) -> Result<(&str, String)> {
        let url = self.issuer.as_deref().ok_or_else(|| missing("iss"))?;
        let issuer = issuer(url).map_err(|_| invalid("Issuer must be a valid URL"))?;
        Ok((url, issuer))
    }

    /// Who is vouched for.
    pub(super) fn subject(&self) -> Result<&str> {
        let subject = self
            .subject
            .as_deref()
            .filter(|subject| !subject.is_empty());
        let subject = subject.ok_or_else(|| missing("sub"))?;
        if subject.len() > SUBJECT_MOST {
            return Err(invalid("The claim sub has more than 255 characters."));
        }
        Ok(subject)
    }

    /// The audience, which must be one of `known`: the party that the token was issued to where it names one,
    /// else one of those it is meant for.
    pub(super) fn audience(&self, known: &[String]) -> Result<&str> {
        let claimed = match &self.authorized_party {
            Some(party) => std::slice::from_ref(party),
            None => self.audience.as_slice(),
        };
        if claimed.is_empty() {
            return Err(missing("aud"));
        }
        let found = claimed.iter().find(|audience| known.contains(audience));
        found
            .map(String::as_str)
            .ok_or_else(|| invalid("Incorrect token audience"))
    }

    /// How the subject proved who he is.
    pub(super) fn amr(&self) -> Vec<String> {
        self.amr.as_slice().to_vec()
    }

    /// Whether the token is current.
    pub(super) fn check_times(&self, now: Timestamp) -> Result<()> {
        let now = now.as_second();
        let expires = self.expires.ok_or_else(|| missing("exp"))?;
        if now >= expires {
            return Err(Error::new(
                ErrorKind::ExpiredToken,
                format!(
                    "Token expired: current date/time {now} must be before the expiration date/time {expires}"
                ),
            ));
        }
        let latest = now.saturating_add(SKEW_SECONDS);
        let future = |at: Option<i64>| at.is_some_and(|at| at > latest);
        if future(self.not_before) || future(self.issued) {
            return Err(invalid(&format!(
                "The token is not valid yet: current date/time {now} is before the claim nbf or iat"
            )));
        }
        Ok(())
    }

    /// The tags that the provider gives the session, and the keys of those that are passed on.
    pub(super) fn tags(&self) -> Result<(Tags, Vec<String>)> {
        let Some(claim) = &self.tags else {
            return Ok(Default::default());
        };
        let mut tags = Tags::new();
        for (key, values) in &claim.principal_tags {
            let [value] = values.as_slice() else {
                return Err(invalid("Each of the principal_tags must have one value."));
            };
            let sound = (1..=128).contains(&key.chars().count()) && value.chars().count() <= 256;
            if !sound {
                return Err(invalid(
                    "The keys of principal_tags have 1 to 128 characters, their values up to 256.",
                ));
            }
            tags.insert(key.clone(), value.clone());
        }
        Ok((tags, claim.transitive_tag_keys.clone()))
    }
}

/// The keys of a provider, with their ids.
#[derive(Debug, Default)]
pub(super) struct Keys(Vec<(Option<String>, PublicKey)>);

impl Keys {
    /// Reads a set of keys; those that can't sign a token that is taken are passed over. `None` for what is no
    /// set of keys.
    pub(super) fn parse(json: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Jwk>,
        }
        let set: Set = serde_json::from_slice(json).ok()?;
        let keys = set.keys.into_iter().take(KEYS_MOST);
        let keys = keys.filter_map(|key| Some((key.kid.clone(), key.public()?)));
        Some(Self(keys.collect()))
    }
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    r#use: Option<String>,
    n: Option<String>,
    e: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl Jwk {
    fn public(self) -> Option<PublicKey> {
        let decode = |text: Option<String>| URL_SAFE_NO_PAD.decode(text?).ok();
        if self.r#use.is_some_and(|used| used != "sig") {
            return None;
        }
        match self.kty.as_str() {
            "RSA" => Some(PublicKey::Rsa {
                modulus: decode(self.n)?,
                exponent: decode(self.e)?,
            }),
            "EC" => Some(PublicKey::Ec {
                curve: self.crv?,
                x: decode(self.x)?,
                y: decode(self.y)?,
            }),
            _ => None,
        }
    }
}

/// [`ErrorKind::InvalidIdentityToken`] with this text.
pub(super) fn invalid(message: &str) -> Error {
    Error::new(ErrorKind::InvalidIdentityToken, message)
}

fn missing(claim: &str) -> Error {
    invalid(&format!("Missing a required claim: {claim}"))
}

/// OpenID Connect Core section 2: `sub` "MUST NOT exceed 255 ASCII characters".
const SUBJECT_MOST: usize = 255;

/// How far the provider's clock may be ahead: as much as signatures are forgiven.
const SKEW_SECONDS: i64 = 300;

/// A hundred RSA and a hundred EC keys (IAM user guide, "Create an OpenID Connect identity provider").
const KEYS_MOST: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    fn token(header: &str, claims: &str) -> String {
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        format!("{}.{}.{}", part(header), part(claims), part("signature"))
    }

    fn refused(text: &str) -> String {
        let error = Token::parse(text).err().unwrap();
        assert_eq!(error.kind, ErrorKind::InvalidIdentityToken);
        error.message
    }

    fn claims(json: &str) -> Claims {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn what_is_no_token_is_refused() {
        for text in ["", ".", "..", "a.b", "????", "a.b.c.d"] {
            assert!(refused(text).starts_with("The ID Token provided is not a valid JWT."));
        }
        let twice = token(r#"{"alg":"RS256","alg":"none"}"#, "{}");
        assert!(refused(&twice).contains("not a valid JWT"));
        assert!(Token::parse(&token(r#"{"alg":"RS256"}"#, "{}")).is_ok());
    }

    #[test]
    fn unsigned_and_symmetric_tokens_are_refused() {
        for header in [
            r#"{"alg":"none"}"#,
            r#"{"alg":"HS256","kid":"1"}"#,
            r#"{"alg":"RS256","crit":["exp"]}"#,
        ] {
            let text = refused(&token(header, "{}"));
            assert!(text.contains("not supported"), "{text}");
        }
    }

    #[test]
    fn the_authorized_party_goes_before_the_audience() {
        let known = ["a".to_owned(), "b".to_owned()];
        for (json, audience) in [
            (r#"{"aud":"a"}"#, Some("a")),
            (r#"{"aud":["x","b"]}"#, Some("b")),
            (r#"{"aud":"a","azp":"b"}"#, Some("b")),
            (r#"{"aud":"a","azp":"x"}"#, None),
            (r#"{"aud":"x"}"#, None),
            (r#"{}"#, None),
        ] {
            assert_eq!(claims(json).audience(&known).ok(), audience, "{json}");
        }
    }

    #[test]
    fn a_token_has_its_time() {
        let now = Timestamp::from_second(1000).unwrap();
        let kind = |json| claims(json).check_times(now).map_err(|error| error.kind);
        assert_eq!(kind(r#"{"exp":1001}"#), Ok(()));
        assert_eq!(kind(r#"{"exp":1000}"#), Err(ErrorKind::ExpiredToken));
        assert_eq!(kind("{}"), Err(ErrorKind::InvalidIdentityToken));
        assert_eq!(kind(r#"{"exp":2000,"nbf":1300,"iat":1300}"#), Ok(()));
        for late in [r#"{"exp":2000,"nbf":1301}"#, r#"{"exp":2000,"iat":1301}"#] {
            assert_eq!(kind(late), Err(ErrorKind::InvalidIdentityToken));
        }
    }

    #[test]
    fn keys_of_other_uses_and_kinds_are_passed_over() {
        let keys = Keys::parse(
            br#"{"keys":[{"kty":"oct","k":"AA"},{"kty":"RSA","use":"enc","n":"AA","e":"AQAB"},
                {"kty":"RSA","kid":"1","n":"AA","e":"AQAB","x5c":["ignored"]},{"kty":"EC","crv":"P-256"}]}"#,
        );
        let keys = keys.unwrap();
        assert_eq!(keys.0.len(), 1);
        let text = token(r#"{"alg":"RS256","kid":"1"}"#, "{}");
        let named = Token::parse(&text).unwrap();
        assert!(named.names_one_of(&keys) && named.verify(&keys).is_err());
        let text = token(r#"{"alg":"RS256","kid":"2"}"#, "{}");
        assert!(!Token::parse(&text).unwrap().names_one_of(&keys));
        assert!(Keys::parse(b"<html>").is_none());
    }
}
