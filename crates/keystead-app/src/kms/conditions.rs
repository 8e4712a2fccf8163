//! KMS's condition keys that depend on the key or on more than one member of the request ("Condition keys for AWS KMS").

use keystead_core::kms::Key;
use keystead_policy::Context;

use super::find::Ask;
use crate::Ctx;
use crate::access::Act;

/// Adds them.
pub(super) fn describe(ctx: &Ctx, key: &Key, ask: &Ask<'_>, context: &mut Context) {
    context.set("kms:CallerAccount", ctx.account().as_str());
    context.set("kms:KeySpec", key.spec.name());
    context.set("kms:KeyUsage", key.usage.name());
    context.set("kms:KeyOrigin", key.origin.name());
    context.set("kms:MultiRegion", key.multi_region.is_some().to_string());
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
    if let Act::Via { service, .. } = ask.act {
        // `secretsmanager.amazonaws.com` goes as `secretsmanager.REGION.amazonaws.com`.
        if let Some((name, domain)) = service.split_once('.') {
            context.set("kms:ViaService", format!("{name}.{}.{domain}", ctx.region));
        }
    }
}
