//! The keys of identity providers, fetched when a token needs them and kept for a while (OpenID Connect Discovery
//! section 4).
//!
//! Whoever can reach the server can send tokens, so the provider is not asked for every one of them: its keys are
//! kept for [`LIFETIME`], and asked for again before that only where a token names one that is not among them, and
//! not twice within [`PAUSE`]. One call asks, those beside it wait for the answer.

use std::num::NonZeroUsize;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use keystead_core::{Error, ErrorKind, Result};
use lru::LruCache;
use parking_lot::Mutex;
use serde::Deserialize;

use super::jwt::{Keys, Token, invalid};
use crate::iam::record::OidcProvider;
use crate::outbound::{Document, Fetch, FetchError};

/// The keys of the providers that were asked last.
pub(crate) struct ProviderKeys {
    fetch: Fetch,
    known: Mutex<LruCache<String, Arc<tokio::sync::Mutex<Known>>>>,
}

/// What is known of a provider.
#[derive(Default)]
struct Known {
    keys: Arc<Keys>,
    /// When they were got.
    fetched: Option<Timestamp>,
    /// When the provider was asked last, and why that failed.
    asked: Option<(Timestamp, Option<Error>)>,
}

impl ProviderKeys {
    pub(crate) fn new(fetch: Fetch) -> Self {
        Self {
            fetch,
            known: Mutex::new(LruCache::new(PROVIDERS)),
        }
    }

    /// Keys of the provider, with the token's among them where the provider has it.
    pub(super) async fn of(
        &self,
        provider: &OidcProvider,
        token: &Token<'_>,
        now: Timestamp,
    ) -> Result<Arc<Keys>> {
        // Whose word is taken on the keys is part of what they are worth.
        let name = format!("{} {}", provider.url, provider.thumbprints.join(" "));
        let known = {
            let mut providers = self.known.lock();
            Arc::clone(providers.get_or_insert(name, Arc::default))
        };
        let mut known = known.lock().await;
        let within = |at: Timestamp, time| now >= at && now.duration_since(at) < time;
        let fresh = known.fetched.is_some_and(|at| within(at, LIFETIME));
        if fresh && token.names_one_of(&known.keys) {
            return Ok(Arc::clone(&known.keys));
        }
        if let Some((at, failure)) = &known.asked
            && within(*at, PAUSE)
        {
            return match failure {
                Some(error) => Err(error.clone()),
                None => Ok(Arc::clone(&known.keys)),
            };
        }
        let outcome = self.ask(provider).await;
        known.asked = Some((now, outcome.as_ref().err().cloned()));
        known.keys = Arc::new(outcome?);
        known.fetched = Some(now);
        Ok(Arc::clone(&known.keys))
    }

    async fn ask(&self, provider: &OidcProvider) -> Result<Keys> {
        #[derive(Deserialize)]
        struct Configuration {
            issuer: String,
            jwks_uri: String,
        }
        let issuer = format!("https://{}", provider.url);
        let url = format!(
            "{}/.well-known/openid-configuration",
            issuer.trim_end_matches('/')
        );
        let json = self.get(provider, url).await?;
        let configuration = serde_json::from_slice::<Configuration>(&json);
        // "MUST exactly match" (OpenID Connect Discovery section 4.3), but for the case of the host.
        let configuration = configuration
            .ok()
            .filter(|found| found.issuer.eq_ignore_ascii_case(&issuer))
            .filter(|found| found.jwks_uri.starts_with("https://"))
            .ok_or_else(no_key)?;
        let json = self.get(provider, configuration.jwks_uri).await?;
        Keys::parse(&json).ok_or_else(no_key)
    }

    async fn get(&self, provider: &OidcProvider, url: String) -> Result<Vec<u8>> {
        let document = Document {
            url: url.clone(),
            thumbprints: provider.thumbprints.clone(),
        };
        (self.fetch)(document).await.map_err(|error| {
            tracing::warn!(url, %error, "cannot get the keys of an identity provider");
            match error {
                FetchError::Unreachable(_) => Error::new(
                    ErrorKind::IdentityProviderUnreachable,
                    "The identity provider that was asked to verify the incoming identity token could not be reached.",
                ),
                FetchError::Untrusted(_) => invalid(
                    "OpenIDConnect provider's HTTPS certificate doesn't match configured thumbprint",
                ),
                FetchError::Refused(_) => no_key(),
            }
        })
    }
}

/// The provider gives no key for the token.
pub(super) fn no_key() -> Error {
    invalid(
        "Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity documentation for requirements",
    )
}

/// Providers change their keys every few days or rarer, and publish a new one before they use it.
const LIFETIME: SignedDuration = SignedDuration::from_hours(1);

/// Long enough that strangers' tokens are no load for a provider, short enough to try again.
const PAUSE: SignedDuration = SignedDuration::from_secs(10);

/// As many as an account may have (IAM quotas), at some tens of kilobytes at most.
const PROVIDERS: NonZeroUsize = NonZeroUsize::new(100).unwrap();

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    const KEYS: &str = r#"{"keys":[{"kty":"RSA","kid":"1","n":"AA","e":"AQAB"}]}"#;

    fn provider() -> OidcProvider {
        OidcProvider {
            url: "id.example.com/x".into(),
            client_ids: Vec::new(),
            thumbprints: vec!["aa".into()],
            created: Timestamp::UNIX_EPOCH,
            tags: Default::default(),
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn token(key_id: &str) -> String {
        let header = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"RS256","kid":"{key_id}"}}"#));
        format!("{header}.{}.AA", URL_SAFE_NO_PAD.encode("{}"))
    }

    /// A provider that answers this, and how often it was asked.
    fn web(answer: fn(&str) -> Result<Vec<u8>, FetchError>) -> (ProviderKeys, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        let keys = ProviderKeys::new(Arc::new(move |document: Document| {
            counted.fetch_add(1, Ordering::Relaxed);
            assert_eq!(document.thumbprints, ["aa"]);
            let answer = answer(&document.url);
            Box::pin(async move { answer })
        }));
        (keys, asked)
    }

    fn sound(url: &str) -> Result<Vec<u8>, FetchError> {
        Ok(match url {
            "https://id.example.com/x/.well-known/openid-configuration" => {
                br#"{"issuer":"https://id.example.com/x","jwks_uri":"https://keys.example.com/"}"#
                    .to_vec()
            }
            "https://keys.example.com/" => KEYS.into(),
            other => panic!("asked for {other}"),
        })
    }

    #[tokio::test]
    async fn keys_are_kept_and_asked_for_again_where_one_is_missing_but_not_at_once() {
        let (keys, asked) = web(sound);
        let (known, other) = (token("1"), token("2"));
        let (known, other) = (Token::parse(&known).unwrap(), Token::parse(&other).unwrap());
        // Two requests each time that the provider is asked.
        for (token, second, requests) in [
            (&known, 0, 2),
            (&known, 3599, 2),
            (&known, 3600, 4),
            (&other, 3605, 4),
            (&other, 3610, 6),
            (&other, 3611, 6),
            (&known, 3612, 6),
        ] {
            keys.of(&provider(), token, at(second)).await.unwrap();
            assert_eq!(asked.load(Ordering::Relaxed), requests, "at {second}");
        }
    }

    #[tokio::test]
    async fn a_failure_is_answered_again_without_asking() {
        for (answer, kind) in [
            (
                (|_: &str| Err(FetchError::Unreachable("gone".into()))) as fn(&str) -> _,
                ErrorKind::IdentityProviderUnreachable,
            ),
            (
                |_| Err(FetchError::Untrusted("who?".into())),
                ErrorKind::InvalidIdentityToken,
            ),
            (
                |_| Ok(br#"{"issuer":"https://other","jwks_uri":"https://k"}"#.to_vec()),
                ErrorKind::InvalidIdentityToken,
            ),
            (
                |_| Ok(br#"{"issuer":"https://id.example.com/x","jwks_uri":"http://k"}"#.to_vec()),
                ErrorKind::InvalidIdentityToken,
            ),
        ] {
            let (keys, asked) = web(answer);
            let text = token("1");
            let token = Token::parse(&text).unwrap();
            for (second, requests) in [(0, 1), (9, 1), (10, 2)] {
                let refused = keys.of(&provider(), &token, at(second)).await;
                assert_eq!(refused.unwrap_err().kind, kind);
                assert_eq!(asked.load(Ordering::Relaxed), requests, "at {second}");
            }
        }
    }
}
