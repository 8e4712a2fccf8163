//! CreateSecret.

use keystead_core::secrets::{Replication, Rotation, Secret, Tie, check_name};
use keystead_core::{Error, ErrorKind, Result};
use keystead_crypto::random;
use keystead_policy::Context;
use keystead_store::{Batch, Expect};
use keystead_wire::secretsmanager as wire;

use super::find::{self, Found};
use super::record::{self, VALUES, value_of};
use super::seal::{self, Value};
use super::{OWN_KEY, cross, replicate, shown, tags};
use crate::access::{Act, Describe, Resource};
use crate::retry::retrying;
use crate::{Ctx, ids};

/// CreateSecret. The same request again, by its token, has the same answer.
pub async fn create_secret(
    ctx: &Ctx,
    input: wire::CreateSecretRequest,
) -> Result<wire::CreateSecretResponse> {
    check_name(&input.name)?;
    let value = Value::of(input.secret_string.as_ref(), input.secret_binary.as_ref())?;
    let mut new = blank(ctx, &input)?;
    new.tag(tags::pairs(input.tags.clone())?)?;
    if let Some(primary) = &input.cross_account_primary_arn {
        cross::tie(ctx, &input, primary, &mut new)?;
    }
    let asked = input.add_replica_regions.unwrap_or_default();
    let key = seal::named_key(ctx, input.kms_key_id.as_deref()).await?;
    allow(ctx, &new, &replicate::names(&asked), key.as_deref())?;
    for replica in replicate::wanted(ctx, &asked)? {
        new.add_replica(replica)?;
    }
    let overwrite = input.force_overwrite_replica_secret == Some(true);
    let id = match input.client_request_token {
        Some(token) => token,
        None => ids::uuid()?,
    };
    retrying(ATTEMPTS, || async {
        let there = find::at_hand(ctx, ctx.account(), &ctx.region, &new.name).await?;
        if let Some(found) = there {
            return again(ctx, &found, &id, value.as_ref()).await;
        }
        let mut secret = new.clone();
        let mut batch = Batch::new();
        if secret.kms_key.is_some() {
            seal::check_key(ctx, &secret).await?;
        }
        if let Some(value) = &value {
            let (record, key) = seal::seal(ctx, &secret, &id, value).await?;
            secret.put(&id, key, None, ctx.now)?;
            batch.put(VALUES, value_of(&secret, &id), &record, Expect::Absent);
        }
        let fresh = value.as_ref().map(|value| (id.as_str(), value));
        replicate::begin(ctx, &mut secret, fresh, overwrite, &mut batch).await?;
        record::put(&mut batch, None, &secret, Expect::Absent);
        ctx.app.store.commit(batch).await?;
        Ok(answer(&secret, value.is_some().then(|| id.clone())))
    })
    .await
}

/// The answer where there is a secret of this name.
async fn again(
    ctx: &Ctx,
    found: &Found,
    id: &str,
    value: Option<&Value>,
) -> Result<wire::CreateSecretResponse> {
    let secret = &found.secret;
    if secret.deletion.is_some() {
        return Err(Error::new(
            ErrorKind::InvalidRequest,
            "You can't create this secret because a secret with this name is already scheduled for deletion.",
        ));
    }
    match (value, secret.version(id)) {
        (Some(value), Some(version)) if version.has_value => {
            let stored = find::value(ctx, found, id).await?;
            let known = seal::open(ctx, secret, id, &stored).await?;
            match value.is(&known) {
                true => Ok(answer(secret, Some(id.to_owned()))),
                false => Err(secret.token_in_use(id)),
            }
        }
        _ => Err(Error::new(
            ErrorKind::AlreadyExists,
            format!(
                "The operation failed because the secret {} already exists.",
                secret.name
            ),
        )),
    }
}

fn answer(secret: &Secret, version_id: Option<String>) -> wire::CreateSecretResponse {
    wire::CreateSecretResponse {
        arn: Some(secret.arn()),
        name: Some(secret.name.clone()),
        version_id,
        replication_status: shown::replicas(secret),
    }
}

fn blank(ctx: &Ctx, input: &wire::CreateSecretRequest) -> Result<Secret> {
    Ok(Secret {
        name: input.name.clone(),
        suffix: suffix()?,
        account: ctx.account().clone(),
        region: ctx.region.clone(),
        description: input.description.clone().filter(|text| !text.is_empty()),
        kms_key: key(input.kms_key_id.as_deref()),
        created_at: ctx.now,
        changed_at: ctx.now,
        accessed_on: None,
        deletion: None,
        tags: None,
        policy: None,
        versions: Vec::new(),
        rotation: Rotation::default(),
        kind: input.type_.clone().filter(|kind| !kind.is_empty()),
        external: None,
        owning_service: None,
        replication: Replication::None,
        tie: Tie::None,
    })
}

/// The KMS key of this name; `None` for the service's own, which is not shown.
pub(super) fn key(name: Option<&str>) -> Option<String> {
    let named = name.filter(|name| !name.is_empty() && *name != OWN_KEY);
    named.map(str::to_owned)
}

/// Whether the caller may make the secret, give it its tags, and replicate it to these regions. `key` is the ARN of the KMS
/// key that the request names.
fn allow(ctx: &Ctx, new: &Secret, regions: &[String], key: Option<&str>) -> Result<()> {
    let arn = new.arn();
    let described = New(new, regions, key);
    let resource = Resource {
        describe: Some(&described),
        ..Resource::new(&arn, new.account.as_str())
    };
    ctx.allow(&resource)?;
    if !new.tagged().is_empty() {
        ctx.allow_as(Act::Also("secretsmanager:TagResource"), &resource)?;
    }
    if new.tied_primary().is_some() {
        ctx.allow_as(Act::Also("secretsmanager:PutResourcePolicy"), &resource)?;
    }
    if !regions.is_empty() {
        let action = Act::Also("secretsmanager:ReplicateSecretToRegions");
        ctx.allow_as(action, &resource)?;
    }
    Ok(())
}

/// A secret that is being made. Its tags count as its own already ("secretsmanager:ResourceTag" of CreateSecret).
struct New<'a>(&'a Secret, &'a [String], Option<&'a str>);

impl Describe for New<'_> {
    fn describe(&self, context: &mut Context) {
        let Self(secret, regions, key) = self;
        if let Some(key) = key {
            context.set("secretsmanager:KmsKeyArn", *key);
        }
        context.set_all("secretsmanager:AddReplicaRegions", regions.to_vec());
        for (key, value) in secret.tagged() {
            context.set(format!("secretsmanager:ResourceTag/{key}"), value.as_str());
        }
        context.set("secretsmanager:SecretPrimaryRegion", secret.region.as_str());
    }
}

/// Six random letters and digits.
fn suffix() -> Result<String> {
    let mut suffix = String::new();
    while suffix.len() < 6 {
        let [byte] = random::bytes::<1>()?;
        // Each equally likely: the eight greatest bytes are passed over.
        if let Some(letter) = LETTERS.get(usize::from(byte) % LETTERS.len())
            && usize::from(byte) < 4 * LETTERS.len()
        {
            suffix.push(char::from(*letter));
        }
    }
    Ok(suffix)
}

const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// So often the secret is looked for anew because somebody made one of its name at the same moment.
const ATTEMPTS: usize = 3;
