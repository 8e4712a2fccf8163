//! What is wanted: read from the server, checked, and made into files.

use std::collections::BTreeMap;

use jiff::Timestamp;
use keystead_core::Arn;
use keystead_core::x509::GeneralName;
use keystead_crypto::KeyRing;
use keystead_crypto::x509::{Certificate, order_chain, pem, verify_chain};
use keystead_wire::secretsmanager;
use keystead_xds::SecretKind;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::config::{Part, Place, What};
use crate::Failure;
use crate::files::File;
use crate::identity::Identity;
use crate::link::{CALL, text};
use crate::material;
use crate::private::Bytes;

/// One version of a placement: its files, and what proves that they are served.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Version {
    /// What it is made of: ARNs, and the versions by which they go.
    pub(super) labels: BTreeMap<String, String>,
    /// First and last second of the certificate.
    pub(super) validity: Option<(Timestamp, Timestamp)>,
    /// The certificate in DER.
    pub(super) leaf: Option<Bytes>,
    /// The certificate with its chain, and its key.
    pub(super) pair: Option<(Bytes, Bytes)>,
    /// In the order of the configuration.
    pub(super) files: Vec<File>,
}

/// A resource that was read.
pub(super) enum Fetched {
    Certificate {
        leaf: Box<Certificate>,
        chain: Vec<Certificate>,
        key: Bytes,
        serial: String,
    },
    Bundle {
        pem: String,
        digest: String,
    },
    Secret {
        value: Bytes,
        version: String,
    },
}

/// Reads all that a placement is made of, checks it, and makes its files.
pub(super) async fn version(
    identity: &Identity,
    place: &Place,
    now: Timestamp,
) -> Result<Version, Failure> {
    let mut fetched = BTreeMap::new();
    for arn in place.resources() {
        let one = fetch(identity, &arn).await?;
        let names = match place.certificate.as_ref() == Some(&arn) {
            true => place.names.as_slice(),
            false => &[],
        };
        let checked = one.check(identity.ring(), names, now).await;
        checked.map_err(|why| Failure::Here(format!("{arn} is not fit to be placed: {why}")))?;
        fetched.insert(arn, one);
    }
    make(place, &fetched).await.map_err(Failure::Here)
}

async fn fetch(identity: &Identity, arn: &str) -> Result<Fetched, Failure> {
    let parsed = Arn::parse(arn).map_err(|error| Failure::Here(error.message))?;
    if parsed.service.as_str() == "secretsmanager" {
        return secret(identity, arn, &parsed.region).await;
    }
    let read = material::read(identity, arn).await?;
    let unfit = |error: &dyn std::fmt::Display| {
        Failure::Here(format!("{arn} is not fit to be placed: {error}"))
    };
    match read.kind {
        SecretKind::Validation { trust_pem } => Ok(Fetched::Bundle {
            pem: trust_pem,
            digest: read.label,
        }),
        SecretKind::TlsCertificate {
            chain_pem,
            private_key_pem,
        } => {
            let all = pem::certificates(chain_pem.as_bytes()).map_err(|error| unfit(&error))?;
            let all = all.iter().map(|der| Certificate::from_der(der));
            let mut all = all
                .collect::<Result<Vec<_>, _>>()
                .map_err(|error| unfit(&error))?
                .into_iter();
            let leaf = all
                .next()
                .ok_or_else(|| unfit(&"there is no certificate"))?;
            Ok(Fetched::Certificate {
                leaf: Box::new(leaf),
                chain: all.collect(),
                key: Bytes::from(private_key_pem.as_bytes().to_vec()),
                serial: read.label,
            })
        }
    }
}

async fn secret(identity: &Identity, arn: &str, region: &str) -> Result<Fetched, Failure> {
    use base64::Engine as _;
    let input = json!({ "SecretId": arn });
    let call = identity.call_in(
        region,
        &secretsmanager::SERVICE,
        "GetSecretValue",
        &input,
        CALL,
    );
    let answer = call.await?;
    let value = match answer.get("SecretBinary").and_then(Value::as_str) {
        Some(encoded) => base64::engine::general_purpose::STANDARD
            .decode(encoded)
            .map_err(|_| Failure::Unreachable("the server's answer has no SecretBinary".into()))?,
        None => text(&answer, "SecretString")?.as_bytes().to_vec(),
    };
    Ok(Fetched::Secret {
        value: Bytes::from(value),
        version: text(&answer, "VersionId")?.to_owned(),
    })
}

impl Fetched {
    /// Whether it may be placed: a key and its certificate, in a chain that verifies, now valid, for these names.
    async fn check(&self, ring: &KeyRing, names: &[String], now: Timestamp) -> Result<(), String> {
        let Self::Certificate {
            leaf, chain, key, ..
        } = self
        else {
            return Ok(());
        };
        let imported = ring.import(key.expose()).await;
        let imported = imported.map_err(|error| format!("its key can't be used: {error}"))?;
        leaf.certifies(&imported.spki_der)
            .map_err(|_| "the key is not that of the certificate".to_owned())?;
        let chain = order_chain(leaf, chain.clone()).map_err(|error| error.to_string())?;
        verify_chain(leaf, &chain, now.as_second()).map_err(|error| error.to_string())?;
        let missing = names.iter().find(|name| !is_for(leaf, name));
        missing.map_or(Ok(()), |name| Err(format!("it is not for the name {name}")))
    }

    fn label(&self) -> &str {
        match self {
            Self::Certificate { serial, .. } => serial,
            Self::Bundle { digest, .. } => digest,
            Self::Secret { version, .. } => version,
        }
    }

    /// This part of it; of a secret, a member of its JSON if that is wanted.
    pub(super) fn part(&self, part: Part, member: Option<&str>) -> Result<Bytes, String> {
        let text = match (self, part) {
            (Self::Certificate { leaf, .. }, Part::Certificate) => leaf.to_pem(),
            (Self::Certificate { chain, .. }, Part::Chain) => pems(chain),
            (Self::Certificate { leaf, chain, .. }, Part::Fullchain) => {
                leaf.to_pem() + &pems(chain)
            }
            (Self::Certificate { key, .. }, Part::Key) => return Ok(key.clone()),
            (
                Self::Certificate {
                    leaf, chain, key, ..
                },
                Part::Pem,
            ) => {
                let mut all = (leaf.to_pem() + &pems(chain)).into_bytes();
                all.reserve_exact(key.expose().len());
                all.extend_from_slice(key.expose());
                return Ok(all.into());
            }
            (Self::Bundle { pem, .. }, Part::Bundle) => pem.clone(),
            (Self::Secret { value, .. }, Part::Secret) => {
                return match member {
                    None => Ok(value.clone()),
                    Some(member) => json_member(value, member),
                };
            }
            _ => return Err("it has no such part".into()),
        };
        Ok(text.into_bytes().into())
    }
}

fn json_member(value: &Bytes, member: &str) -> Result<Bytes, String> {
    // The error may quote what was read.
    let parsed: Value =
        serde_json::from_slice(value.expose()).map_err(|_| "the secret is not JSON".to_owned())?;
    match parsed.get(member) {
        Some(Value::String(text)) => Ok(text.as_bytes().to_vec().into()),
        Some(other @ (Value::Number(_) | Value::Bool(_))) => {
            Ok(other.to_string().into_bytes().into())
        }
        _ => Err(format!(
            "the secret has no member '{member}' that is a text or a number"
        )),
    }
}

fn pems(certificates: &[Certificate]) -> String {
    certificates.iter().map(Certificate::to_pem).collect()
}

/// Whether the certificate is for this name or address (RFC 9525, section 6.3: a wildcard is a whole leftmost label).
fn is_for(leaf: &Certificate, name: &str) -> bool {
    let address: Option<Vec<u8>> = match name.parse() {
        Ok(std::net::IpAddr::V4(address)) => Some(address.octets().to_vec()),
        Ok(std::net::IpAddr::V6(address)) => Some(address.octets().to_vec()),
        Err(_) => None,
    };
    leaf.alt_names().iter().any(|found| match found {
        GeneralName::Ip(octets) => Some(octets) == address.as_ref(),
        GeneralName::Dns(pattern) => {
            let of_label = |pattern: &str| {
                let (_, above) = name.split_once('.')?;
                Some(pattern.strip_prefix("*.")?.eq_ignore_ascii_case(above))
            };
            pattern.eq_ignore_ascii_case(name) || of_label(pattern) == Some(true)
        }
        GeneralName::Uri(uri) => uri == name,
        _ => false,
    })
}

async fn make(place: &Place, fetched: &BTreeMap<String, Fetched>) -> Result<Version, String> {
    let of = |arn: &Option<String>| arn.as_ref().and_then(|arn| fetched.get(arn));
    let mut files = Vec::with_capacity(place.files.len());
    for written in &place.files {
        let content = match &written.what {
            What::Template(template) => template.render(fetched),
            What::KeyStore(store) => match of(&place.certificate) {
                Some(source) => store.make(source).await,
                None => Err(NOT_READ.into()),
            },
            What::Part(part) => {
                let source = match part {
                    Part::Bundle => of(&place.authority),
                    Part::Secret => of(&place.secret),
                    _ => of(&place.certificate),
                };
                let source = source.ok_or_else(|| NOT_READ.to_owned());
                source.and_then(|source| source.part(*part, None))
            }
        };
        files.push(File {
            content: content
                .map_err(|why| format!("cannot make {}: {why}", written.to.display()))?,
            path: written.to.clone(),
            owner: written.owner,
            group: written.group,
            mode: written.mode,
        });
    }
    let labels = fetched.iter();
    let mut version = Version {
        labels: labels
            .map(|(arn, one)| (arn.clone(), one.label().to_owned()))
            .collect(),
        validity: None,
        leaf: None,
        pair: None,
        files,
    };
    if let Some(source) = of(&place.certificate)
        && let Fetched::Certificate { leaf, key, .. } = source
    {
        version.show(leaf, source.part(Part::Fullchain, None)?, key.clone());
    }
    Ok(version)
}

const NOT_READ: &str = "it was not read";

impl Version {
    fn show(&mut self, leaf: &Certificate, fullchain: Bytes, key: Bytes) {
        let at = |second| Timestamp::from_second(second).ok();
        self.validity = at(leaf.not_before).zip(at(leaf.not_after));
        self.leaf = Some(leaf.der().to_vec().into());
        self.pair = Some((fullchain, key));
    }

    /// What lay at the places of the files before the first of them was placed, if that is all of them.
    pub(super) fn adopted(place: &Place, files: Vec<File>) -> Self {
        let content = |wanted: &[Part]| {
            let found = place.files.iter().zip(&files).find(
                |(written, _)| matches!(written.what, What::Part(part) if wanted.contains(&part)),
            );
            found.map(|(_, file)| file.content.clone())
        };
        let fullchain =
            content(&[Part::Fullchain, Part::Pem]).or_else(|| content(&[Part::Certificate]));
        let key = content(&[Part::Key, Part::Pem]);
        let leaf = fullchain.as_ref().and_then(first);
        let mut version = Self {
            labels: BTreeMap::new(),
            validity: None,
            leaf: None,
            pair: None,
            files,
        };
        if let (Some(leaf), Some(fullchain), Some(key)) = (leaf, fullchain, key) {
            version.show(&leaf, fullchain, key);
        }
        version
    }
}

/// The first certificate of a text that may have a key too.
fn first(text: &Bytes) -> Option<Certificate> {
    let text = std::str::from_utf8(text.expose()).ok()?;
    let blocks = pem::blocks(text).ok()?;
    let block = blocks.iter().find(|block| block.label == "CERTIFICATE")?;
    Certificate::from_der(&block.der).ok()
}
