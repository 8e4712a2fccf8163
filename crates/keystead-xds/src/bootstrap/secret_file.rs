//! Secrets in files, for what an Envoy needs before it can ask for secrets.

use serde_json::{Value, json};
use zeroize::{Zeroize, Zeroizing};

use crate::resource::TYPE_URL;
use crate::source::SecretKind;

/// Writes a secret as a file that Envoy follows (`path_config_source`): a response of the service
/// with the one secret in it, so that key and certificate cannot be read half replaced.
///
/// `name` is [`IDENTITY`] or [`TRUST`].
pub fn secret_file(name: &str, kind: &SecretKind) -> Zeroizing<String> {
    let mut resource = json!({ "@type": TYPE_URL, "name": name });
    let (member, mut content) = match kind {
        SecretKind::TlsCertificate {
            chain_pem,
            private_key_pem,
        } => (
            "tls_certificate",
            json!({
                "certificate_chain": { "inline_string": chain_pem },
                "private_key": { "inline_string": **private_key_pem },
            }),
        ),
        SecretKind::Validation { trust_pem } => (
            "validation_context",
            json!({ "trusted_ca": { "inline_string": trust_pem } }),
        ),
    };
    if let Some(members) = resource.as_object_mut() {
        members.insert(member.to_owned(), content.take());
    }
    let mut file = json!({ "resources": [resource] });
    let text = Zeroizing::new(format!("{file:#}\n"));
    wipe(&mut file);
    text
}

/// The name of a node's own certificate in its [`secret_file`].
pub const IDENTITY: &str = "keystead-node";

/// The name of the trust in the server in its [`secret_file`].
pub const TRUST: &str = "keystead-server";

fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(members) => members.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
