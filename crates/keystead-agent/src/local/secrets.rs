//! Secrets, as AWS's Secrets Manager Agent gives them (Secrets Manager user guide, "Secrets Manager Agent"): what was read is
//! kept in memory for a while.
//!
//! Two things are better than there. What changes is forgotten as the server tells of it, so that a rotated password is not
//! served until its time is over. And while the server is away, what is known goes on being served.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use jiff::{SignedDuration, Timestamp};
use keystead_wire::secretsmanager::SERVICE;
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use tokio::sync::{mpsc, watch};
use zeroize::Zeroizing;

use super::gate::Gate;
use super::listen::{self, Answer, Asked};
use crate::identity::Identity;
use crate::link::CALL;
use crate::push::{self, Change};
use crate::{Clock, Failure};

/// Secrets that were read.
pub struct Secrets {
    identity: Arc<Identity>,
    ttl: SignedDuration,
    clock: Clock,
    known: Mutex<HashMap<Which, Arc<Known>>>,
    /// The ARNs of what is known.
    wanted: watch::Sender<Arc<[String]>>,
}

/// Which value is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Which {
    id: String,
    version: Option<String>,
    stage: Option<String>,
}

/// One value; who reads it anew keeps others waiting, so that they all ask once.
#[derive(Default)]
struct Known(tokio::sync::Mutex<Option<Kept>>);

struct Kept {
    answer: Zeroizing<Vec<u8>>,
    arn: String,
    until: Timestamp,
}

impl Secrets {
    /// Reads with this identity, and keeps what was read for `ttl`; zero keeps nothing.
    pub fn new(identity: Arc<Identity>, ttl: Duration, clock: Clock) -> Arc<Self> {
        Arc::new(Self {
            identity,
            ttl: SignedDuration::try_from(ttl).unwrap_or(SignedDuration::ZERO),
            clock,
            known: Mutex::default(),
            wanted: watch::Sender::new(Arc::from([])),
        })
    }

    /// Forgets what changes, as the server tells of it, for ever.
    pub async fn follow(self: Arc<Self>) {
        let (tell, mut told) = mpsc::channel::<Change>(16);
        let following = push::follow(
            Arc::clone(&self.identity),
            self.wanted.subscribe(),
            tell,
            watch::Sender::new(None),
        );
        let forgetting = async {
            while let Some(change) = told.recv().await {
                self.forget(&change.arn).await;
            }
        };
        tokio::join!(following, forgetting);
    }

    async fn forget(&self, arn: &str) {
        let all: Vec<Arc<Known>> = self.known.lock().values().cloned().collect();
        for known in all {
            let mut kept = known.0.lock().await;
            if let Some(kept) = kept.as_mut().filter(|kept| kept.arn == arn) {
                // It is still good if the server can't be reached.
                kept.until = Timestamp::MIN;
            }
        }
    }

    /// Answers a request.
    pub(super) async fn answer(&self, gate: &Gate, asked: Asked) -> Answer {
        let uri = asked.request.uri();
        if uri.path() == "/ping" {
            return listen::text(StatusCode::OK, "healthy");
        }
        if asked.is_forwarded() {
            return listen::text(StatusCode::BAD_REQUEST, "Forwarded");
        }
        let token = TOKEN_HEADERS.iter().find_map(|name| asked.header(name));
        if !gate.knows(token) || !gate.admits(asked.peer, asked.own) {
            return listen::text(StatusCode::FORBIDDEN, "Bad Token");
        }
        if asked.request.method() != Method::GET {
            return listen::text(StatusCode::METHOD_NOT_ALLOWED, "Not allowed");
        }
        let path = uri.path();
        let named = match (path, path.strip_prefix("/v1/")) {
            ("/secretsmanager/get", _) => None,
            (_, Some(name)) => Some(name),
            _ => return listen::text(StatusCode::NOT_FOUND, "Not found"),
        };
        match parse(named, uri.query().unwrap_or_default()) {
            Ok((which, refresh)) => self.read(which, refresh).await,
            Err(message) => listen::text(StatusCode::BAD_REQUEST, message),
        }
    }

    async fn read(&self, which: Which, refresh: bool) -> Answer {
        let known = self.entry(&which);
        let mut kept = known.0.lock().await;
        if let Some(kept) = kept.as_ref()
            && !refresh
            && self.clock.now() < kept.until
        {
            return listen::json(StatusCode::OK, Bytes::copy_from_slice(&kept.answer));
        }
        match self.fetch(&which).await {
            Ok(fresh) => {
                let answer = Bytes::copy_from_slice(&fresh.answer);
                *kept = Some(fresh);
                drop(kept);
                self.follow_known().await;
                listen::json(StatusCode::OK, answer)
            }
            Err(Failure::Refused { code, message }) => {
                *kept = None;
                drop(kept);
                self.known.lock().remove(&which);
                let document = json!({ "__type": code, "message": message });
                listen::json(StatusCode::BAD_REQUEST, document.to_string())
            }
            Err(error) => match kept.as_ref().filter(|_| !refresh) {
                Some(kept) => listen::json(StatusCode::OK, Bytes::copy_from_slice(&kept.answer)),
                None => {
                    tracing::warn!(%error, secret = which.id, "a secret could not be read");
                    let document =
                        json!({ "__type": "InternalFailure", "message": error.to_string() });
                    listen::json(StatusCode::SERVICE_UNAVAILABLE, document.to_string())
                }
            },
        }
    }

    fn entry(&self, which: &Which) -> Arc<Known> {
        let mut known = self.known.lock();
        if let Some(there) = known.get(which) {
            return Arc::clone(there);
        }
        if known.len() >= MOST_KEPT
            && let Some(any) = known.keys().next().cloned()
        {
            known.remove(&any);
        }
        Arc::clone(known.entry(which.clone()).or_default())
    }

    async fn fetch(&self, which: &Which) -> Result<Kept, Failure> {
        let mut input = Map::new();
        input.insert("SecretId".into(), which.id.as_str().into());
        if let Some(version) = &which.version {
            input.insert("VersionId".into(), version.as_str().into());
        }
        if let Some(stage) = &which.stage {
            input.insert("VersionStage".into(), stage.as_str().into());
        }
        let input = Value::Object(input);
        let call = self.identity.call(&SERVICE, "GetSecretValue", &input, CALL);
        let answer = call.await?;
        let arn = answer
            .get("ARN")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let now = self.clock.now();
        Ok(Kept {
            arn: arn.to_owned(),
            until: now.checked_add(self.ttl).unwrap_or(Timestamp::MAX),
            answer: Zeroizing::new(answer.to_string().into_bytes()),
        })
    }

    /// Waits for changes of all that is kept.
    async fn follow_known(&self) {
        let all: Vec<Arc<Known>> = self.known.lock().values().cloned().collect();
        let mut arns = Vec::new();
        for known in all {
            // One that is being read is followed when it was.
            if let Ok(kept) = known.0.try_lock()
                && let Some(kept) = kept.as_ref()
            {
                arns.push(kept.arn.clone());
            }
        }
        arns.sort();
        arns.dedup();
        self.wanted.send_if_modified(|wanted| {
            let news = !arns.iter().all(|arn| wanted.contains(arn));
            if news {
                *wanted = Arc::from(arns);
            }
            news
        });
    }
}

/// What a query asks for, and whether what is kept does not count. `named` is the name in a path.
fn parse(named: Option<&str>, query: &str) -> Result<(Which, bool), String> {
    let mut which = Which {
        id: decoded(named.unwrap_or_default(), false)?,
        version: None,
        stage: None,
    };
    let mut refresh = false;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = decoded(value, true)?;
        match name {
            "secretId" if named.is_none() => which.id = value,
            "versionId" => which.version = Some(value),
            "versionStage" => which.stage = Some(value),
            "refreshNow" => {
                refresh = match value.as_str() {
                    "true" => true,
                    "false" => false,
                    _ => return Err("refreshNow must be either true or false".to_owned()),
                };
            }
            other => return Err(format!("unknown parameter: {other}")),
        }
    }
    match which.id.is_empty() {
        true => Err("missing parameter secretId".to_owned()),
        false => Ok((which, refresh)),
    }
}

/// Text without its percent-encoding (RFC 3986 section 2.1); in a query, a plus is a blank.
fn decoded(text: &str, in_query: bool) -> Result<String, String> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        match octet {
            b'%' => {
                let digits = [rest.next(), rest.next()].map(|digit| digit.map(char::from));
                let [Some(high), Some(low)] =
                    digits.map(|digit| digit.and_then(|digit| digit.to_digit(16)))
                else {
                    return Err("a parameter is not percent-encoded as it should be".to_owned());
                };
                octets.push(u8::try_from(high * 16 + low).unwrap_or_default());
            }
            b'+' if in_query => octets.push(b' '),
            octet => octets.push(octet),
        }
    }
    String::from_utf8(octets).map_err(|_| "a parameter is not UTF-8".to_owned())
}

/// In these headers the token is looked for, in their order (`ssrf_headers`).
const TOKEN_HEADERS: [&str; 2] = ["x-aws-parameters-secrets-token", "x-vault-token"];

/// `cache_size`.
const MOST_KEPT: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_read_as_aws_has_them() {
        let which = |id: &str, version: Option<&str>, stage: Option<&str>| Which {
            id: id.into(),
            version: version.map(Into::into),
            stage: stage.map(Into::into),
        };
        for (named, query, expected) in [
            (None, "secretId=a%2Fb", (which("a/b", None, None), false)),
            (
                None,
                "secretId=a+b&refreshNow=true",
                (which("a b", None, None), true),
            ),
            (
                None,
                "secretId=a&versionId=v&versionStage=AWSPREVIOUS&refreshNow=false",
                (which("a", Some("v"), Some("AWSPREVIOUS")), false),
            ),
            (
                Some("a/b+c"),
                "versionStage=s",
                (which("a/b+c", None, Some("s")), false),
            ),
        ] {
            assert_eq!(parse(named, query), Ok(expected), "{query}");
        }
        for bad in [
            "",
            "secretId=",
            "secretId=a&other=1",
            "secretId=a&refreshNow=1",
            "secretId=%zz",
            "secretId=%ff",
        ] {
            assert!(parse(None, bad).is_err(), "{bad}");
        }
        assert!(parse(Some("a"), "secretId=b").is_err());
    }
}
