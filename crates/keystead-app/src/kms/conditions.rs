//! KMS's condition keys that depend on the key or on more than one member of the request ("Condition keys for AWS KMS").
//!
//! The others are in `models/access.toml`. Where a request leaves a member out, its default is what counts: a policy
//! that allows a key to be deleted after ten days at least must see the thirty that nobody wrote down. The keys of
//! attestation documents (`kms:RecipientAttestation:...`) are absent, as there are no enclaves.

use keystead_core::kms::{Key, KeySpec, KeyUsage, Origin};
use keystead_policy::Context;

use super::find::Ask;
use crate::Ctx;
use crate::access::{Act, Describe};

/// Adds those of a call on a key.
pub(super) fn describe(ctx: &Ctx, key: &Key, ask: &Ask<'_>, context: &mut Context) {
    of_call(ctx, ask.act, context);
    of_kind(key.spec, key.usage, key.origin, context);
    of_regions(key.multi_region.is_some(), key.is_primary(), context);
    context.set_all("kms:ResourceAliases", key.aliases.clone());
    if let Some(alias) = ask.alias {
        context.set("kms:RequestAlias", alias);
    }
    for (name, value) in ask.context.into_iter().flatten() {
        context.set(format!("kms:EncryptionContext:{name}"), value.as_str());
    }
    if let Some(pairs) = ask.context {
        context.set_all("kms:EncryptionContextKeys", pairs.keys().cloned().collect());
    }
    for (name, value) in ask.keys {
        context.set(*name, *value);
    }
    let action = action(ctx, ask.act);
    for (name, value) in defaults(action, key) {
        if context.values(name).is_none() {
            context.set(*name, *value);
        }
    }
}

/// A key that is being made, as the conditions of CreateKey see it.
pub(super) struct NewKey<'a> {
    /// The call.
    pub(super) ctx: &'a Ctx,
    /// What kind of key.
    pub(super) spec: KeySpec,
    /// What for.
    pub(super) usage: KeyUsage,
    /// From where its key material comes.
    pub(super) origin: Origin,
    /// Whether it is a multi-Region key, and then, whether its primary.
    pub(super) multi_region: Option<bool>,
}

impl Describe for NewKey<'_> {
    fn describe(&self, context: &mut Context) {
        of_call(self.ctx, Act::Own, context);
        of_kind(self.spec, self.usage, self.origin, context);
        of_regions(
            self.multi_region.is_some(),
            self.multi_region == Some(true),
            context,
        );
        if context.values(BYPASS).is_none() {
            context.set(BYPASS, "false");
        }
    }
}

/// A call that is about no key: an alias, or all keys.
pub(super) struct Call<'a>(pub(super) &'a Ctx);

impl Describe for Call<'_> {
    fn describe(&self, context: &mut Context) {
        of_call(self.0, Act::Own, context);
    }
}

fn of_call(ctx: &Ctx, act: Act<'_>, context: &mut Context) {
    context.set("kms:CallerAccount", ctx.account().as_str());
    let via = match act {
        Act::Via { service, .. } => Some(service),
        Act::Own | Act::Also(_) => None,
    };
    // `secretsmanager.amazonaws.com` goes as `secretsmanager.REGION.amazonaws.com`.
    if let Some((name, domain)) = via.and_then(|service| service.split_once('.')) {
        context.set("kms:ViaService", format!("{name}.{}.{domain}", ctx.region));
    }
    if GRANTING.contains(&action(ctx, act)) {
        context.set("kms:GrantIsForAWSResource", via.is_some().to_string());
    }
}

fn of_kind(spec: KeySpec, usage: KeyUsage, origin: Origin, context: &mut Context) {
    // Each by its name and by the one that it had before.
    for name in ["kms:KeySpec", "kms:CustomerMasterKeySpec"] {
        context.set(name, spec.name());
    }
    for name in ["kms:KeyUsage", "kms:CustomerMasterKeyUsage"] {
        context.set(name, usage.name());
    }
    context.set("kms:KeyOrigin", origin.name());
}

fn of_regions(is_multi_region: bool, is_primary: bool, context: &mut Context) {
    context.set("kms:MultiRegion", is_multi_region.to_string());
    if is_multi_region {
        let kind = if is_primary { "PRIMARY" } else { "REPLICA" };
        context.set("kms:MultiRegionKeyType", kind);
    }
}

/// The action that is decided.
pub(super) fn action<'a>(ctx: &Ctx, act: Act<'a>) -> &'a str {
    match act {
        Act::Own => ctx.access.action().unwrap_or_default(),
        Act::Also(action) | Act::Via { action, .. } => action,
    }
}

/// What a member means that a request leaves out.
fn defaults(action: &str, key: &Key) -> &'static [(&'static str, &'static str)] {
    match action {
        "kms:Encrypt"
        | "kms:Decrypt"
        | "kms:ReEncryptFrom"
        | "kms:ReEncryptTo"
        | "kms:GenerateDataKey"
        | "kms:GenerateDataKeyWithoutPlaintext"
        | "kms:GenerateDataKeyPair"
        | "kms:GenerateDataKeyPairWithoutPlaintext"
            if key.spec == KeySpec::SymmetricDefault =>
        {
            &[("kms:EncryptionAlgorithm", "SYMMETRIC_DEFAULT")]
        }
        "kms:Sign" | "kms:Verify" => &[("kms:MessageType", "RAW")],
        "kms:PutKeyPolicy" | "kms:ReplicateKey" => &[(BYPASS, "false")],
        "kms:ScheduleKeyDeletion" => &[("kms:ScheduleKeyDeletionPendingWindowInDays", "30")],
        "kms:EnableKeyRotation" => &[("kms:RotationPeriodInDays", "365")],
        "kms:ImportKeyMaterial" => &[("kms:ExpirationModel", "KEY_MATERIAL_EXPIRES")],
        _ => &[],
    }
}

const BYPASS: &str = "kms:BypassPolicyLockoutSafetyCheck";

/// The actions that have `kms:GrantIsForAWSResource`.
const GRANTING: [&str; 3] = ["kms:CreateGrant", "kms:ListGrants", "kms:RevokeGrant"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pca::tests::world::World;

    fn one<'a>(context: &'a Context, key: &str) -> Option<&'a str> {
        match context.values(key) {
            Some([value]) => Some(value),
            _ => None,
        }
    }

    #[tokio::test]
    async fn a_service_that_calls_in_somebodys_name_is_known_by_its_own() {
        let world = World::new().await;
        let ctx = world.ctx();
        let of = |act: Act<'_>| {
            let mut context = Context::new();
            of_call(&ctx, act, &mut context);
            context
        };
        let service = "secretsmanager.amazonaws.com";
        let action = "kms:CreateGrant";
        let via = of(Act::Via { action, service });
        let via_service = one(&via, "kms:ViaService");
        assert_eq!(via_service, Some("secretsmanager.us-east-1.amazonaws.com"));
        assert_eq!(one(&via, "kms:GrantIsForAWSResource"), Some("true"));
        assert_eq!(one(&via, "kms:CallerAccount"), Some("123456789012"));
        let own = of(Act::Also(action));
        assert_eq!(one(&own, "kms:ViaService"), None);
        assert_eq!(one(&own, "kms:GrantIsForAWSResource"), Some("false"));
        let action = "kms:Decrypt";
        let decrypt = of(Act::Via { action, service });
        assert_eq!(one(&decrypt, "kms:GrantIsForAWSResource"), None);
    }
}
