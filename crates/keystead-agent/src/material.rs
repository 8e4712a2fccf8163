//! What the agent's role may have, read whole: a certificate with its key, or what trusts an authority.

use jiff::Timestamp;
use keystead_core::{Arn, hex};
use keystead_crypto::x509::Certificate;
use keystead_crypto::{PrivateKeyPem, digest, random};
use keystead_wire::{acm, acm_pca, keystead};
use keystead_xds::SecretKind;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::Failure;
use crate::identity::Identity;
use crate::link::{CALL, text};

/// One version of a resource.
pub(crate) struct Material {
    /// What it holds.
    pub(crate) kind: SecretKind,
    /// What the version goes by: the serial number of a certificate, a digest of what is trusted.
    pub(crate) label: String,
    /// First and last second, of a certificate.
    pub(crate) validity: Option<(Timestamp, Timestamp)>,
    /// What tells it from every other version.
    pub(crate) digest: [u8; 32],
}

/// Reads the resource of this ARN.
pub(crate) async fn read(identity: &Identity, arn: &str) -> Result<Material, Failure> {
    let parsed = Arn::parse(arn).map_err(|error| Failure::Here(error.message))?;
    match parsed.service.as_str() {
        "acm" => certificate(identity, arn, &parsed.region).await,
        _ => trust(identity, arn, &parsed.region).await,
    }
}

async fn certificate(identity: &Identity, arn: &str, region: &str) -> Result<Material, Failure> {
    use base64::Engine as _;
    // It protects the key on the way, within TLS, and is forgotten.
    let passphrase = random::bytes::<32>().map_err(|error| Failure::Here(error.to_string()))?;
    let passphrase = Zeroizing::new(hex(&passphrase));
    let encoded = base64::engine::general_purpose::STANDARD.encode(passphrase.as_bytes());
    let input = json!({ "CertificateArn": arn, "Passphrase": encoded });
    let call = identity.call_in(region, &acm::SERVICE, "ExportCertificate", &input, CALL);
    let answer = call.await?;
    let sealed = text(&answer, "PrivateKey")?.to_owned();
    // Some hundred thousand rounds of a hash.
    let opened =
        tokio::task::spawn_blocking(move || PrivateKeyPem::decrypt(&sealed, passphrase.as_bytes()));
    let key = opened
        .await
        .map_err(|error| Failure::Here(error.to_string()))?
        .map_err(|error| Failure::Here(format!("the key of {arn} can't be read: {error}")))?;
    let leaf = text(&answer, "Certificate")?;
    let parsed = Certificate::parse(leaf.as_bytes()).map_err(|error| {
        Failure::Here(format!("the certificate of {arn} can't be read: {error}"))
    })?;
    let chain = answer
        .get("CertificateChain")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let chain_pem = joined(&[leaf, chain]);
    let at = |second| Timestamp::from_second(second).ok();
    Ok(Material {
        label: colons(&parsed.serial),
        validity: at(parsed.not_before).zip(at(parsed.not_after)),
        digest: digest::sha256(chain_pem.as_bytes()),
        kind: SecretKind::TlsCertificate {
            chain_pem,
            private_key_pem: Zeroizing::new(key.as_pem().to_owned()),
        },
    })
}

async fn trust(identity: &Identity, arn: &str, region: &str) -> Result<Material, Failure> {
    let which = json!({ "CertificateAuthorityArn": arn });
    let bundle = identity.call_in(region, &keystead::SERVICE, "GetTrustBundle", &which, CALL);
    let trust_pem = match bundle.await {
        Ok(answer) => {
            let certificates = answer.get("Certificates").and_then(Value::as_array);
            let texts: Vec<&str> = certificates
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect();
            joined(&texts)
        }
        // Without that permission, what the authority itself says; a roll-over is not seen before it is over.
        Err(Failure::Refused { .. }) => {
            let operation = "GetCertificateAuthorityCertificate";
            let call = identity.call_in(region, &acm_pca::SERVICE, operation, &which, CALL);
            let answer = call.await?;
            let chain = answer.get("CertificateChain").and_then(Value::as_str);
            joined(&[text(&answer, "Certificate")?, chain.unwrap_or_default()])
        }
        Err(error) => return Err(error),
    };
    let digest = digest::sha256(trust_pem.as_bytes());
    Ok(Material {
        label: hex(&digest),
        validity: None,
        digest,
        kind: SecretKind::Validation { trust_pem },
    })
}

/// PEM texts one behind another.
fn joined(texts: &[&str]) -> String {
    let mut all = String::new();
    for text in texts
        .iter()
        .map(|text| text.trim())
        .filter(|text| !text.is_empty())
    {
        all.push_str(text);
        all.push('\n');
    }
    all
}

/// A serial number as DescribeCertificate shows it.
pub(crate) fn colons(octets: &[u8]) -> String {
    let octets: Vec<String> = octets.iter().map(|octet| format!("{octet:02x}")).collect();
    octets.join(":")
}
