//! Credentials of the agent's role, as the AWS SDKs look for them on a machine: the container credentials endpoint ("Container
//! credential provider") and the instance metadata service, version 2 (EC2 user guide, "Use the Instance Metadata Service").

use std::sync::Arc;

use http::{Method, StatusCode};
use jiff::Timestamp;
use keystead_core::hex;
use keystead_crypto::{digest, random};
use serde_json::{Value, json};

use super::gate::Gate;
use super::listen::{self, Answer, Asked};
use crate::identity::Identity;
use crate::{Clock, Failure};

/// The container credentials endpoint: whatever the path, for who shows the token in `Authorization`.
pub(super) async fn container(identity: &Identity, gate: &Gate, asked: Asked) -> Answer {
    if asked.is_forwarded() {
        return listen::text(StatusCode::BAD_REQUEST, "Forwarded");
    }
    if !gate.knows(asked.header("authorization")) || !gate.admits(asked.peer, asked.own) {
        return listen::json(
            StatusCode::FORBIDDEN,
            refusal(
                "AccessDenied",
                "The token in Authorization is not the right one.",
            ),
        );
    }
    if asked.request.method() != Method::GET {
        return listen::json(
            StatusCode::METHOD_NOT_ALLOWED,
            refusal("MethodNotAllowed", "Expected GET."),
        );
    }
    match document(identity).await {
        Ok(document) => listen::json(StatusCode::OK, document.to_string()),
        Err(error) => failed(&error),
    }
}

/// The instance metadata service, as far as credentials go.
pub(super) struct Instance {
    identity: Arc<Identity>,
    gate: Gate,
    clock: Clock,
    key: [u8; 32],
}

impl Instance {
    pub(super) fn new(identity: Arc<Identity>, gate: Gate, clock: Clock) -> Result<Self, Failure> {
        let key = random::bytes().map_err(|error| Failure::Here(error.to_string()))?;
        Ok(Self {
            identity,
            gate,
            clock,
            key,
        })
    }

    /// Answers a request.
    pub(super) async fn answer(&self, asked: Asked) -> Answer {
        // EC2 user guide: "PUT requests with an X-Forwarded-For header are rejected"; here, all are.
        if asked.is_forwarded() || !self.gate.admits(asked.peer, asked.own) {
            return listen::text(StatusCode::FORBIDDEN, "Forbidden");
        }
        let path = asked.request.uri().path();
        if path == "/latest/api/token" {
            return self.token(&asked);
        }
        if asked.request.method() != Method::GET {
            return listen::text(StatusCode::METHOD_NOT_ALLOWED, "Not allowed");
        }
        let shown = asked.header("x-aws-ec2-metadata-token");
        if !shown.is_some_and(|token| self.is_good(token)) {
            return listen::text(StatusCode::UNAUTHORIZED, "Unauthorized");
        }
        let role = self.identity.role();
        match path {
            "/latest/meta-data/placement/region" => {
                listen::text(StatusCode::OK, self.identity.region())
            }
            "/latest/meta-data/iam/security-credentials" | CREDENTIALS => {
                listen::text(StatusCode::OK, role)
            }
            _ if path.strip_prefix(CREDENTIALS) == Some(&role) => self.credentials().await,
            _ => listen::text(StatusCode::NOT_FOUND, "Not found"),
        }
    }

    /// A token that is good for as long as the client says: until when, and a proof that it was made here.
    fn token(&self, asked: &Asked) -> Answer {
        if asked.request.method() != Method::PUT {
            return listen::text(StatusCode::METHOD_NOT_ALLOWED, "Not allowed");
        }
        let seconds = asked.header("x-aws-ec2-metadata-token-ttl-seconds");
        let seconds =
            seconds.and_then(|text| std::str::from_utf8(text).ok()?.trim().parse::<i64>().ok());
        let Some(seconds) = seconds.filter(|seconds| (1..=LONGEST_TOKEN).contains(seconds)) else {
            return listen::text(StatusCode::BAD_REQUEST, "Bad Request");
        };
        let until = self.clock.now().as_second().saturating_add(seconds);
        let mut answer = listen::text(StatusCode::OK, format!("{until}.{}", self.proof(until)));
        if let Ok(seconds) = seconds.to_string().parse() {
            answer
                .headers_mut()
                .insert("x-aws-ec2-metadata-token-ttl-seconds", seconds);
        }
        answer
    }

    fn is_good(&self, token: &[u8]) -> bool {
        let token = std::str::from_utf8(token)
            .ok()
            .and_then(|token| token.split_once('.'));
        let Some((until, proof)) = token else {
            return false;
        };
        let Ok(until) = until.parse() else {
            return false;
        };
        digest::constant_time_eq(proof.as_bytes(), self.proof(until).as_bytes())
            && self.clock.now().as_second() < until
    }

    fn proof(&self, until: i64) -> String {
        hex(&digest::hmac_sha256(&self.key, &until.to_be_bytes()))
    }

    async fn credentials(&self) -> Answer {
        match document(&self.identity).await {
            Ok(mut document) => {
                if let Some(members) = document.as_object_mut() {
                    members.insert("Code".into(), "Success".into());
                    members.insert("Type".into(), "AWS-HMAC".into());
                    members.insert("LastUpdated".into(), seconds(self.clock.now()).into());
                }
                listen::json(StatusCode::OK, document.to_string())
            }
            Err(error) => failed(&error),
        }
    }
}

/// What both have in common.
async fn document(identity: &Identity) -> Result<Value, Failure> {
    let (credentials, until) = identity.credentials_until().await?;
    Ok(json!({
        "AccessKeyId": credentials.access_key_id,
        "SecretAccessKey": credentials.secret_access_key.as_str(),
        "Token": credentials.session_token.as_ref().map(|token| token.as_str()),
        "Expiration": seconds(until),
    }))
}

fn failed(error: &Failure) -> Answer {
    tracing::warn!(%error, "there are no credentials to give");
    let (status, code) = match error {
        Failure::Refused { code, .. } => (StatusCode::FORBIDDEN, code.as_str()),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable"),
    };
    listen::json(status, refusal(code, &error.to_string()))
}

fn refusal(code: &str, message: &str) -> String {
    json!({ "code": code, "message": message }).to_string()
}

fn seconds(at: Timestamp) -> String {
    format!("{at:.0}")
}

const CREDENTIALS: &str = "/latest/meta-data/iam/security-credentials/";

/// Six hours (EC2 user guide, "How Instance Metadata Service Version 2 works").
const LONGEST_TOKEN: i64 = 21_600;
