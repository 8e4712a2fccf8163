//! The audit event of a call, in CloudTrail's shape (CloudTrail user guide, "CloudTrail record
//! contents"): who did what, when, from where, with which parameters, and how it ended.
//!
//! Values that the model marks sensitive are replaced. Nothing else is left out, so that the
//! journal answers what was asked; certificates and requests are public. A call that fails
//! before its signature is verified has no identity and leaves no event: it is counted
//! (`keystead_refused_total`), so that a flood of nonsense cannot fill the journal.

mod service;

use jiff::Timestamp;
use keystead_core::{AccountId, Error, ErrorKind};
use keystead_wire::schema::{Kind, OperationDef, Schema};
use keystead_wire::value::Value;
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::value::RawValue;

use crate::sts::Session;
use crate::{Ctx, Principal, PrincipalKind, fault};

pub(crate) use self::service::ServiceEvent;

/// How a call ended.
pub(crate) enum Ending<'a> {
    /// With this answer.
    Answer(&'a Value),
    /// With this error: code and message as the caller sees them.
    Refusal(&'a str, &'a str),
}

/// The parameters of a call as they are written down: JSON, with CloudTrail's lower-case first
/// letters and without secrets.
pub(crate) fn shown(value: &Value, schema: &'static Schema) -> Option<Box<RawValue>> {
    serde_json::value::to_raw_value(&Shown { value, schema }).ok()
}

/// The event of one call.
pub(crate) fn event(
    ctx: &Ctx,
    operation: &OperationDef,
    parameters: Option<&RawValue>,
    ending: &Ending<'_>,
    event_id: &str,
) -> Result<Vec<u8>, serde_json::Error> {
    let read_only = is_read_only(operation.name);
    let (answer, error) = match ending {
        Ending::Answer(value) => ((!read_only).then_some(*value), None),
        Ending::Refusal(code, message) => (None, Some((*code, *message))),
    };
    serde_json::to_vec(&Event {
        ctx,
        operation,
        parameters,
        answer,
        error,
        event_id,
        read_only,
        through: None,
    })
}

/// Writes down what a service did in the name of the caller of `ctx`: an operation that reads, its own or another service's,
/// refused or not.
pub(crate) async fn record_through(
    ctx: &Ctx,
    operation: &'static OperationDef,
    service: &'static str,
    parameters: &serde_json::Value,
    refusal: Option<&Error>,
) -> Result<(), Error> {
    let refusal = refusal.map(|error| fault::answer(operation, error));
    let error = refusal.as_ref();
    let id = crate::ids::uuid()?;
    let parameters = serde_json::value::to_raw_value(parameters).map_err(unwritable)?;
    let event = serde_json::to_vec(&Event {
        ctx,
        operation,
        parameters: Some(&parameters),
        answer: None,
        error: error.map(|error| (error.code, error.message.as_str())),
        event_id: &id,
        read_only: true,
        through: Some(service),
    });
    append(ctx, event.map_err(unwritable)?).await
}

/// Appends an event to the journal; where it does not take it, the call may not be answered.
pub(crate) async fn append(ctx: &Ctx, event: Vec<u8>) -> Result<(), Error> {
    ctx.app.journal.append(event).await.map_err(|error| {
        tracing::error!(request_id = ctx.request_id, %error, "the audit journal refuses events; calls are refused until it takes them");
        Error::new(
            ErrorKind::Unavailable,
            "The call could not be recorded in the audit journal, so its answer is withheld; the server's operator must make room or repair the journal.",
        )
    })?;
    Ok(())
}

/// The refusal where an event has no form.
pub(crate) fn unwritable(error: serde_json::Error) -> Error {
    Error::new(
        ErrorKind::Internal,
        format!("cannot write an audit event: {error}"),
    )
}

/// AWS's reading operations are recognisable by their verbs.
fn is_read_only(operation: &str) -> bool {
    ["Get", "List", "Describe", "Search", "BatchGet"]
        .iter()
        .any(|verb| operation.starts_with(verb))
}

struct Event<'a> {
    ctx: &'a Ctx,
    operation: &'a OperationDef,
    parameters: Option<&'a RawValue>,
    answer: Option<&'a Value>,
    error: Option<(&'a str, &'a str)>,
    event_id: &'a str,
    read_only: bool,
    /// The service that made the call in the caller's name.
    through: Option<&'a str>,
}

impl Serialize for Event<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { ctx, operation, .. } = self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("eventVersion", EVENT_VERSION)?;
        map.serialize_entry("userIdentity", &Identity(ctx, self.through))?;
        map.serialize_entry("eventTime", &seconds(ctx.now))?;
        map.serialize_entry("eventSource", &Source(operation.service.signing_name))?;
        map.serialize_entry("eventName", operation.name)?;
        map.serialize_entry("awsRegion", ctx.region.as_str())?;
        match (self.through, ctx.source_ip) {
            (Some(service), _) => map.serialize_entry("sourceIPAddress", service)?,
            (None, Some(address)) => map.serialize_entry("sourceIPAddress", &address)?,
            (None, None) => map.serialize_entry("sourceIPAddress", "local")?,
        }
        let agent = self.through.unwrap_or(&ctx.user_agent);
        map.serialize_entry("userAgent", agent)?;
        if let Some((code, message)) = self.error {
            map.serialize_entry("errorCode", code)?;
            map.serialize_entry("errorMessage", message)?;
        }
        map.serialize_entry("requestParameters", &self.parameters)?;
        map.serialize_entry(
            "responseElements",
            &self.answer.map(|value| Shown {
                value,
                schema: operation.output,
            }),
        )?;
        map.serialize_entry("requestID", &ctx.request_id)?;
        map.serialize_entry("eventID", self.event_id)?;
        map.serialize_entry("readOnly", &self.read_only)?;
        map.serialize_entry("eventType", "AwsApiCall")?;
        map.serialize_entry("managementEvent", &true)?;
        map.serialize_entry("recipientAccountId", account(&ctx.principal).as_str())?;
        map.serialize_entry("eventCategory", "Management")?;
        if let Some(denial) = ctx.access.denial() {
            map.serialize_entry("additionalEventData", &denial)?;
        }
        map.end()
    }
}

/// Whose event it is: for who is vouched for, the account that trusts the provider.
fn account(principal: &Principal) -> &AccountId {
    match &principal.kind {
        PrincipalKind::WebIdentity(proven) => proven
            .get()
            .map_or(&principal.account, |identity| &identity.account),
        PrincipalKind::Workload(workload) => workload
            .admitted()
            .map_or(&principal.account, |admitted| &admitted.account),
        _ => &principal.account,
    }
}

struct Identity<'a>(&'a Ctx, Option<&'a str>);

impl Serialize for Identity<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let principal = &self.0.principal;
        let mut map = serializer.serialize_map(None)?;
        let (kind, name) = match &principal.kind {
            PrincipalKind::Root => ("Root", None),
            PrincipalKind::User { name } => ("IAMUser", Some(name)),
            PrincipalKind::Role { .. } => ("AssumedRole", None),
            PrincipalKind::FederatedUser { .. } => ("FederatedUser", None),
            PrincipalKind::Workload(workload) => {
                map.serialize_entry("type", "Unknown")?;
                if let Some(admitted) = workload.admitted() {
                    map.serialize_entry("principalId", &admitted.source_identity)?;
                    map.serialize_entry("accountId", admitted.account.as_str())?;
                    map.serialize_entry("identityProvider", &admitted.trust_anchor_arn)?;
                }
                return map.end();
            }
            // What AWS says of who is behind the call is in its parameters.
            PrincipalKind::XksProxy(proxy) => {
                map.serialize_entry("type", "Unknown")?;
                map.serialize_entry("principalId", &principal.user_id)?;
                map.serialize_entry("accountId", principal.account.as_str())?;
                map.serialize_entry("accessKeyId", &principal.access_key_id)?;
                map.serialize_entry("identityProvider", &proxy.arn())?;
                return map.end();
            }
            PrincipalKind::Service(name) => {
                map.serialize_entry("type", "AWSService")?;
                map.serialize_entry("invokedBy", name)?;
                return map.end();
            }
            PrincipalKind::WebIdentity(proven) => {
                map.serialize_entry("type", "WebIdentityUser")?;
                if let Some(identity) = proven.get() {
                    map.serialize_entry("principalId", &identity.principal_id())?;
                    map.serialize_entry("userName", &identity.subject)?;
                    map.serialize_entry("identityProvider", &identity.provider_arn)?;
                }
                return map.end();
            }
        };
        map.serialize_entry("type", kind)?;
        map.serialize_entry("principalId", &principal.user_id)?;
        map.serialize_entry("arn", &principal.arn)?;
        map.serialize_entry("accountId", principal.account.as_str())?;
        map.serialize_entry("accessKeyId", &principal.access_key_id)?;
        if let Some(name) = name {
            map.serialize_entry("userName", name)?;
        }
        if let Some(session) = &principal.session {
            map.serialize_entry("sessionContext", &SessionContext(principal, session))?;
        }
        if let Some(service) = self.1 {
            map.serialize_entry("invokedBy", service)?;
        }
        map.end()
    }
}

/// What CloudTrail tells of a session (CloudTrail user guide, "CloudTrail userIdentity element").
struct SessionContext<'a>(&'a Principal, &'a Session);

impl Serialize for SessionContext<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(principal, session) = self;
        let issuer = match &principal.kind {
            PrincipalKind::Role { name, arn } => {
                let id = principal.user_id.split(':').next().unwrap_or_default();
                Some(("Role", id, arn, Some(name)))
            }
            PrincipalKind::FederatedUser {
                user,
                user_arn,
                user_id,
            } => {
                let kind = user.as_ref().map_or("Root", |_| "IAMUser");
                Some((kind, user_id.as_str(), user_arn, user.as_ref()))
            }
            _ => None,
        };
        let mut map = serializer.serialize_map(None)?;
        if let Some((kind, id, arn, name)) = issuer {
            let issuer = serde_json::json!({
                "type": kind,
                "principalId": id,
                "arn": arn,
                "accountId": principal.account.as_str(),
                "userName": name,
            });
            map.serialize_entry("sessionIssuer", &issuer)?;
        }
        if let Some(identity) = &session.web_identity {
            let data = serde_json::json!({
                "federatedProvider": identity.provider_arn,
                "attributes": {},
            });
            map.serialize_entry("webIdFederationData", &data)?;
        }
        let attributes = serde_json::json!({
            "creationDate": seconds(session.issued),
            "mfaAuthenticated": "false",
        });
        map.serialize_entry("attributes", &attributes)?;
        if let Some(name) = &session.source_identity {
            map.serialize_entry("sourceIdentity", name)?;
        }
        map.end()
    }
}

/// `acm-pca` as `acm-pca.amazonaws.com`.
struct Source(&'static str);

impl Serialize for Source {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&[self.0, ".amazonaws.com"].concat())
    }
}

/// A neutral tree as CloudTrail shows it.
struct Shown<'a> {
    value: &'a Value,
    schema: &'static Schema,
}

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.schema.sensitive {
            return serializer.serialize_str(HIDDEN);
        }
        match (self.value, &self.schema.kind) {
            (Value::Null, _) => serializer.serialize_none(),
            (Value::Boolean(flag), _) => serializer.serialize_bool(*flag),
            (Value::Integer(number), _) => serializer.serialize_i64(*number),
            (Value::Double(number), _) => serializer.serialize_f64(*number),
            (Value::String(text), _) => serializer.serialize_str(text),
            (Value::SecretString(_) | Value::SecretBlob(_), _) => serializer.serialize_str(HIDDEN),
            (Value::Blob(bytes), _) => blob(bytes, serializer),
            (Value::Timestamp(at), _) => serializer.collect_str(&seconds(*at)),
            (Value::List(items), Kind::List { member, .. }) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                for value in items {
                    list.serialize_element(&Shown {
                        value,
                        schema: member,
                    })?;
                }
                list.end()
            }
            (Value::Map(entries), Kind::Map { value: schema, .. }) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for (key, value) in entries {
                    map.serialize_entry(key, &Shown { value, schema })?;
                }
                map.end()
            }
            (Value::Structure(slots), _) => {
                let mut map = serializer.serialize_map(None)?;
                for (member, slot) in self.schema.members().iter().zip(slots) {
                    if member.name == SESSION_TOKEN && slot.is_some() {
                        map.serialize_entry(&LowerFirst(member.name), HIDDEN)?;
                    } else if let Some(value) = slot {
                        let shown = Shown {
                            value,
                            schema: member.schema,
                        };
                        map.serialize_entry(&LowerFirst(member.name), &shown)?;
                    }
                }
                map.end()
            }
            (Value::List(_) | Value::Map(_), _) => serializer.serialize_none(),
        }
    }
}

/// PEM text as it is; other bytes by their number, since a reader can do nothing with them.
fn blob<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    match std::str::from_utf8(bytes) {
        Ok(text) if text.starts_with("-----BEGIN ") => serializer.serialize_str(text),
        _ => serializer.collect_str(&format_args!("{} bytes", bytes.len())),
    }
}

/// `CertificateArn` as `certificateArn`.
struct LowerFirst(&'static str);

impl Serialize for LowerFirst {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut name = self.0.to_owned();
        if let Some(first) = name.get_mut(..1) {
            first.make_ascii_lowercase();
        }
        serializer.serialize_str(&name)
    }
}

/// ISO 8601 in whole seconds, as CloudTrail writes times.
pub(crate) fn seconds(at: Timestamp) -> String {
    format!("{at:.0}")
}

/// The record version whose fields these are.
const EVENT_VERSION: &str = "1.11";

/// A member that is worth a secret, though the model does not mark it.
const SESSION_TOKEN: &str = "SessionToken";

/// CloudTrail's own words for a value that it does not show.
const HIDDEN: &str = "HIDDEN_DUE_TO_SECURITY_REASONS";
