//! A small signed client for the server on this machine: what `status`, `envoy` and `demo` speak.
//!
//! It speaks awsJson 1.1, AWS's protocol for all that these commands need, so that nothing is
//! possible for them which isn't possible for any client.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use keystead_agent::link::{Answer, Call, Link};
use keystead_app::{Env as _, SystemEnv};
use keystead_wire::schema::ServiceDef;
use keystead_wire::sigv4::Credentials;
use serde_json::Value;

use crate::Failure;
use crate::exports::ClientFile;
use crate::poll::until;

/// A client of one server.
pub(crate) struct Client {
    link: Arc<Link>,
    region: String,
    credentials: Credentials,
}

/// What the server refused: AWS's code and its text.
#[derive(Debug)]
pub(crate) struct Refused {
    /// For instance `ResourceNotFoundException`.
    pub(crate) code: String,
    /// For the reader.
    pub(crate) message: String,
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        Self(format!(
            "the server answered {}: {}",
            refused.code, refused.message
        ))
    }
}

impl Client {
    /// A client with what `client.json` says.
    pub(crate) fn new(file: &ClientFile) -> Result<Self, Failure> {
        let roots = match file.endpoint.starts_with("https:") {
            true => Some(bundle(file.ca_bundle.as_deref())?),
            false => None,
        };
        Ok(Self {
            link: Link::new(&file.endpoint, roots.as_deref())?,
            region: file.region.clone(),
            credentials: file.credentials()?,
        })
    }

    /// Signs for this region from now on.
    pub(crate) fn set_region(&mut self, region: String) {
        self.region = region;
    }

    /// Calls an operation of an awsJson 1.1 service; the outer error is of the way there, the inner
    /// one the server's.
    pub(crate) async fn try_call(
        &self,
        service: &ServiceDef,
        operation: &str,
        input: &Value,
    ) -> Result<Result<Value, Refused>, Failure> {
        let mut call = self.link.json(service, operation, input)?;
        let now = SystemEnv::default().now();
        call.sign(&self.credentials, (service, &self.region), now)?;
        match self.send(&call).await?.document() {
            Ok(answer) => Ok(Ok(answer)),
            Err(keystead_agent::Failure::Refused { code, message }) => {
                Ok(Err(Refused { code, message }))
            }
            Err(failure) => Err(failure.into()),
        }
    }

    /// Calls an operation; a refusal is a failure of the command.
    pub(crate) async fn call(
        &self,
        service: &ServiceDef,
        operation: &str,
        input: &Value,
    ) -> Result<Value, Failure> {
        Ok(self.try_call(service, operation, input).await??)
    }

    /// Asks until what is being made is there; answers this member of it.
    pub(crate) async fn once_there(
        &self,
        service: &ServiceDef,
        operation: &str,
        input: &Value,
        member: &str,
    ) -> Result<String, Failure> {
        until(operation, MADE, async || {
            match self.try_call(service, operation, input).await? {
                Ok(answer) => text(&answer, member).map(|text| Some(text.to_owned())),
                Err(refused) if refused.code.ends_with("RequestInProgressException") => Ok(None),
                Err(refused) => Err(refused.into()),
            }
        })
        .await
    }

    /// The entries of a listing in `member`, page after page.
    pub(crate) async fn list(
        &self,
        service: &ServiceDef,
        operation: &str,
        mut input: Value,
        member: &str,
    ) -> Result<Vec<Value>, Failure> {
        let mut all = Vec::new();
        loop {
            let mut page = self.call(service, operation, &input).await?;
            if let Some(Value::Array(found)) = page.get_mut(member).map(Value::take) {
                all.extend(found);
            }
            match (page.get("NextToken"), input.as_object_mut()) {
                (Some(token @ Value::String(_)), Some(input)) => {
                    input.insert("NextToken".into(), token.clone());
                }
                _ => return Ok(all),
            }
        }
    }

    /// Whether the server says that it is ready, with what it says.
    pub(crate) async fn health(&self) -> Result<(bool, Value), Failure> {
        let answer = self.send(&self.link.get("/health")?).await?;
        Ok((
            answer.status == StatusCode::OK,
            serde_json::from_slice(&answer.body).unwrap_or(Value::Null),
        ))
    }

    async fn send(&self, call: &Call) -> Result<Answer, Failure> {
        match self.link.send_once(call, DEADLINE).await {
            Err(keystead_agent::Failure::Unreachable(why)) => {
                Err(Failure(format!("{why}; is 'keystead up' running?")))
            }
            sent => Ok(sent?),
        }
    }
}

/// What the server's certificate is known by: what its `client.json` names, and nothing else.
fn bundle(path: Option<&std::path::Path>) -> Result<String, Failure> {
    let path = path.ok_or_else(|| {
        Failure("the server uses a TLS certificate of its operator's own; set AWS_CA_BUNDLE and use the aws CLI".into())
    })?;
    fs::read_to_string(path)
        .map_err(|error| Failure(format!("cannot read {}: {error}", path.display())))
}

/// A member of an answer that must be there.
pub(crate) fn text<'a>(answer: &'a Value, member: &str) -> Result<&'a str, Failure> {
    Ok(keystead_agent::link::text(answer, member)?)
}

/// Keystead's own service: nodes.
pub(crate) const KEYSTEAD: &ServiceDef = &keystead_wire::keystead::SERVICE;
/// Certificate Manager.
pub(crate) const ACM: &ServiceDef = &keystead_wire::acm::SERVICE;
/// Secrets Manager.
pub(crate) const SECRETS_MANAGER: &ServiceDef = &keystead_wire::secretsmanager::SERVICE;
/// Private CA.
pub(crate) const ACM_PCA: &ServiceDef = &keystead_wire::acm_pca::SERVICE;

/// Longer than the server's own deadline for a request, so that its answer is what is seen.
const DEADLINE: Duration = Duration::from_secs(70);
/// A key and a signature take a fraction of a second.
const MADE: Duration = Duration::from_secs(30);
