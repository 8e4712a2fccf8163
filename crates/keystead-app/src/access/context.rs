//! The condition keys of a call: what it says of itself, who makes it, what it is about.
//!
//! Sources: IAM user guide, "AWS global condition context keys"; the services' keys are in `models/access.toml`.
//! A key that Keystead cannot know is absent, as on AWS where a service does not provide it.

use keystead_policy::{Context, Policies};
use keystead_wire::schema::{Kind, OperationDef, Schema};
use keystead_wire::value::Value;

use super::Resource;
use crate::{Ctx, PrincipalKind};

/// What a request says in its members.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// Tags to give, by key.
    tags: Vec<(String, String)>,
    /// Keys of tags to give or to take.
    tag_keys: Vec<String>,
    /// The service's own keys.
    keys: Vec<(&'static str, Vec<String>)>,
}

impl Said {
    pub(super) fn new(operation: &'static OperationDef, input: &Value) -> Self {
        let mut said = Self::default();
        let input = At::new(input, operation.input);
        for tag in TAG_MEMBERS.iter().flat_map(|name| input.all(name)) {
            let part = |names: [&str; 3]| {
                let found = names.into_iter().find_map(|name| tag.member(name));
                found.and_then(At::tag_text)
            };
            if let Some(key) = part(["Key", "key", "TagKey"]) {
                let value = part(["Value", "value", "TagValue"]);
                said.tag_keys.push(key.clone());
                said.tags.push((key, value.unwrap_or_default()));
            }
        }
        let keys = TAG_KEY_MEMBERS.iter().flat_map(|name| input.all(name));
        said.tag_keys.extend(keys.filter_map(At::tag_text));
        for (key, members) in operation.access.keys {
            let values = members.iter().flat_map(|path| input.all(path));
            let values: Vec<String> = values.filter_map(At::text).collect();
            if !values.is_empty() {
                said.keys.push((key, values));
            }
        }
        said
    }
}

/// Members that hold tags, over all services.
const TAG_MEMBERS: [&str; 2] = ["Tags", "tags"];

/// Members that hold keys of tags, over all services.
const TAG_KEY_MEMBERS: [&str; 3] = ["TagKeys", "TagKeyList", "tagKeys"];

/// Whether any of these policies looks at any key: most look at none, and a call need not tell what nobody asks.
pub(super) fn is_asked_for(policies: &Policies<'_>) -> bool {
    let session = policies.session.unwrap_or_default();
    let all = policies.identity.iter().chain(session);
    all.chain(policies.boundary)
        .chain(policies.resource)
        .any(|source| source.policy.context_keys().next().is_some())
}

/// Every key that is known of the call and the resource.
pub(super) fn of(ctx: &Ctx, said: &Said, resource: &Resource<'_>, via: Option<&str>) -> Context {
    let mut context = Context::new();
    of_caller(ctx, &mut context);
    of_circumstances(ctx, via, &mut context);
    for (key, values) in &said.keys {
        match values.as_slice() {
            [value] => context.set(*key, value.clone()),
            _ => context.set_all(*key, values.clone()),
        }
    }
    for (key, value) in &said.tags {
        context.set(format!("aws:RequestTag/{key}"), value.clone());
    }
    context.set_all("aws:TagKeys", said.tag_keys.clone());
    for (key, value) in &resource.tags {
        context.set(format!("aws:ResourceTag/{key}"), *value);
        if let Some(operation) = ctx.access.0.operation {
            let service = operation.service.signing_name;
            context.set(format!("{service}:ResourceTag/{key}"), *value);
        }
    }
    context.set("aws:ResourceAccount", resource.account);
    if let Some(describe) = resource.describe {
        describe.describe(&mut context);
    }
    context
}

fn of_caller(ctx: &Ctx, context: &mut Context) {
    let principal = &ctx.principal;
    context.set("aws:PrincipalIsAWSService", "false");
    let (kind, arn) = match &principal.kind {
        PrincipalKind::Root => ("Account", &principal.arn),
        PrincipalKind::User { name } => {
            context.set("aws:username", name.as_str());
            ("User", &principal.arn)
        }
        PrincipalKind::Role { arn, .. } => ("AssumedRole", arn),
        PrincipalKind::FederatedUser { .. } => ("FederatedUser", &principal.arn),
        PrincipalKind::Workload(workload) => {
            if let Some(admitted) = workload.admitted() {
                admitted.describe(context);
            }
            return;
        }
        PrincipalKind::XksProxy(_) => return,
        PrincipalKind::Service(name) => {
            context.set("aws:PrincipalIsAWSService", "true");
            context.set("aws:PrincipalServiceName", *name);
            return;
        }
        PrincipalKind::WebIdentity(proven) => {
            context.set("aws:PrincipalType", "Anonymous");
            if let Some(identity) = proven.get() {
                identity.describe(context);
            }
            return;
        }
    };
    context.set("aws:PrincipalType", kind);
    context.set("aws:PrincipalArn", arn.as_str());
    context.set("aws:PrincipalAccount", principal.account.as_str());
    context.set("aws:userid", principal.user_id.as_str());
    if let Some(effective) = ctx.access.0.effective.as_deref() {
        for (key, value) in &effective.tags {
            context.set(format!("aws:PrincipalTag/{key}"), value.clone());
        }
    }
    // Its tags go before those of its role or user.
    if let Some(session) = &principal.session {
        session.describe(context);
    }
}

fn of_circumstances(ctx: &Ctx, via: Option<&str>, context: &mut Context) {
    if let Some(address) = ctx.source_ip {
        context.set("aws:SourceIp", address.to_string());
    }
    context.set("aws:CurrentTime", format!("{:.0}", ctx.now));
    context.set("aws:EpochTime", ctx.now.as_second().to_string());
    context.set("aws:SecureTransport", ctx.secure.to_string());
    context.set("aws:RequestedRegion", ctx.region.as_str());
    context.set("aws:UserAgent", ctx.user_agent.as_str());
    context.set("aws:ViaAWSService", via.is_some().to_string());
    if let Some(via) = via {
        context.set_all("aws:CalledVia", vec![via.to_owned()]);
        context.set("aws:CalledViaFirst", via);
        context.set("aws:CalledViaLast", via);
    }
}

/// A value with its schema, which names its members.
#[derive(Clone, Copy)]
pub(crate) struct At<'a>(&'a Value, &'static Schema);

impl<'a> At<'a> {
    /// The input of an operation.
    pub(crate) fn new(input: &'a Value, schema: &'static Schema) -> Self {
        Self(input, schema)
    }

    /// The text of the member of this name.
    pub(crate) fn text_at(self, name: &str) -> Option<String> {
        self.member(name).and_then(At::text)
    }

    /// The member of this name, if it is there.
    fn member(self, name: &str) -> Option<Self> {
        let (Value::Structure(slots), members) = (self.0, self.1.members()) else {
            return None;
        };
        let (slot, member) = slots
            .iter()
            .zip(members)
            .find(|(_, member)| member.name == name)?;
        slot.as_ref().map(|value| At(value, member.schema))
    }

    /// What is at a path of members with dots between: the members of a list, or the one value.
    fn all(self, path: &str) -> Vec<Self> {
        let mut names = path.split('.');
        let found = names.try_fold(self, At::member);
        match found {
            Some(At(
                Value::List(items),
                Schema {
                    kind: Kind::List { member, .. },
                    ..
                },
            )) => items.iter().map(|item| At(item, member)).collect(),
            found => found.into_iter().collect(),
        }
    }

    /// A part of a tag: decisions need it, also where a model keeps tags out of logs.
    fn tag_text(self) -> Option<String> {
        match self.0 {
            Value::SecretString(text) => Some(text.expose().clone()),
            _ => self.text(),
        }
    }

    /// The value as a condition key shows it. Secrets are no condition keys.
    fn text(self) -> Option<String> {
        match self.0 {
            Value::String(text) => Some(text.clone()),
            Value::Integer(number) => Some(number.to_string()),
            Value::Boolean(truth) => Some(truth.to_string()),
            // In seconds since 1970, which conditions on numbers and on dates read alike.
            Value::Timestamp(time) => Some(time.as_second().to_string()),
            _ => None,
        }
    }
}
