//! Which identity or policy a call to IAM is about, and whether the caller may.
//!
//! IAM's operations name what they are about by the same few members, and its records say no more of themselves
//! than a path and tags. So the decision is made here, once, before the use case runs; `models/access.toml` says
//! of which type the resource is.

use keystead_core::tags::Tags;
use keystead_core::{AccountId, Error, ErrorKind, Result};
use keystead_wire::schema::OperationDef;
use keystead_wire::value::Value;

use super::managed::ManagedPolicy;
use super::record::{Group, InstanceProfile, OidcProvider, Resource as Record, Role, User, find};
use crate::access::{Act, At, Resource, account_of};
use crate::{Ctx, PrincipalKind};

/// Decides the call on what its input names.
pub(crate) async fn admit(
    ctx: &Ctx,
    operation: &'static OperationDef,
    input: &Value,
) -> Result<()> {
    let said = At::new(input, operation.input);
    let (arn, tags) = match operation.access.resource {
        "user" => user(ctx, said).await?,
        "group" => named::<Group>(ctx, said, "group", "GroupName").await?,
        "role" => role(ctx, said).await?,
        "instance-profile" => {
            named::<InstanceProfile>(ctx, said, "instance-profile", "InstanceProfileName").await?
        }
        "oidc-provider" => provider(ctx, said).await?,
        "policy" => policy(ctx, said).await?,
        _ => ("*".to_owned(), Tags::new()),
    };
    let account = ctx.account().as_str();
    ctx.allow(&Resource::new(&arn, account).tagged(&tags))?;
    if operation.name == "AddRoleToInstanceProfile" {
        let (role, tags) = role(ctx, said).await?;
        ctx.allow_as(PASS_ROLE, &Resource::new(&role, account).tagged(&tags))?;
    }
    Ok(())
}

/// Who hands a role to machines passes it on (IAM user guide, "Grant a user permissions to pass a role").
const PASS_ROLE: Act<'_> = Act::Via {
    action: "iam:PassRole",
    service: "ec2.amazonaws.com",
};

type Named = (String, Tags);

/// What is made has the path that the call gives it; what is there has its own, and tags.
async fn named<R: Record>(ctx: &Ctx, said: At<'_>, kind: &str, member: &str) -> Result<Named> {
    let name = said.text_at(member).unwrap_or_default();
    existing::<R>(ctx, kind, &name, said.text_at("Path")).await
}

async fn existing<R: Record>(
    ctx: &Ctx,
    kind: &str,
    name: &str,
    path: Option<String>,
) -> Result<Named> {
    let account = ctx.account();
    let arn = |path: &str| keystead_core::iam::arn(account, kind, path, name).to_string();
    Ok(match find::<R>(&ctx.app.store, account, name).await? {
        Some(found) => {
            let mut record = found.value;
            (arn(record.path()), std::mem::take(record.tags_mut()))
        }
        None => (arn(path.as_deref().unwrap_or("/")), Tags::new()),
    })
}

/// Where no user is named, it is the caller (the operations' pages: "If you do not specify a user name, IAM
/// determines the user name implicitly"); the root user's own keys belong to the account.
async fn user(ctx: &Ctx, said: At<'_>) -> Result<Named> {
    if let Some(arn) = said.text_at("PolicySourceArn") {
        return Ok((arn, Tags::new()));
    }
    let name = match (said.text_at("UserName"), &ctx.principal.kind) {
        (Some(name), _) => name,
        (None, PrincipalKind::User { name }) => name.clone(),
        (None, _) => return Ok((ctx.principal.arn.clone(), Tags::new())),
    };
    existing::<User>(ctx, "user", &name, said.text_at("Path")).await
}

async fn role(ctx: &Ctx, said: At<'_>) -> Result<Named> {
    match said.text_at("AWSServiceName") {
        // Its name is the service's to choose; policies name the service.
        Some(service) => {
            let path = format!("/aws-service-role/{service}/");
            let arn = keystead_core::iam::arn(ctx.account(), "role", &path, "*");
            Ok((arn.to_string(), Tags::new()))
        }
        None => named::<Role>(ctx, said, "role", "RoleName").await,
    }
}

async fn provider(ctx: &Ctx, said: At<'_>) -> Result<Named> {
    let url = match said.text_at("OpenIDConnectProviderArn") {
        Some(arn) => arn
            .split_once(":oidc-provider/")
            .map(|(_, url)| url.to_owned())
            .unwrap_or_default(),
        None => {
            let url = said.text_at("Url").unwrap_or_default();
            url.trim_start_matches("https://").to_owned()
        }
    };
    let found = find::<OidcProvider>(&ctx.app.store, ctx.account(), &url).await?;
    let tags = found.map(|found| found.value.tags).unwrap_or_default();
    Ok((keystead_core::iam::oidc::arn(ctx.account(), &url), tags))
}

/// A managed policy: AWS's own, of the account, or of another one, which is then not found.
async fn policy(ctx: &Ctx, said: At<'_>) -> Result<Named> {
    let Some(arn) = said.text_at("PolicyArn") else {
        return named::<ManagedPolicy>(ctx, said, "policy", "PolicyName").await;
    };
    let tags = match AccountId::parse(account_of(&arn)) {
        Ok(owner) if owner == *ctx.account() => {
            let name = arn.rsplit('/').next().unwrap_or_default();
            find::<ManagedPolicy>(&ctx.app.store, &owner, name)
                .await?
                .map(|mut found| std::mem::take(found.value.tags_mut()))
                .unwrap_or_default()
        }
        Ok(_) => return Err(foreign(&arn)),
        Err(_) => Tags::new(),
    };
    Ok((arn, tags))
}

fn foreign(arn: &str) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!("Policy {arn} does not exist or is not attachable."),
    )
}
