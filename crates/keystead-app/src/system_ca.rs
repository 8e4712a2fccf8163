//! The authority behind Keystead's own certificates: the server's, where TLS is on, and those by
//! which nodes prove who they are. It is made at the first start and issues nothing else; it is not
//! one of the ACM-PCA authorities and no API reaches it.

use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use keystead_core::lint::{self, Issuer};
use keystead_core::x509::{
    Extension, ExtensionValue, GeneralName, KeySpec, KeyUsageBit, Name, NameAttribute, Oid,
    TbsCertificate,
};
use keystead_core::{Error, ErrorKind, Result, hex};
use keystead_crypto::{KeyRing, StoredKey, random, x509};
use keystead_store::{Batch, Collection, Expect, Store, Versioned};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// The authority, ready to issue.
pub struct SystemCa {
    record: Record,
    pem: String,
    subject_der: Vec<u8>,
    key_id: [u8; 20],
}

/// A certificate for the server, with its key.
pub struct ServerCertificate {
    /// The certificate, PEM.
    pub chain_pem: String,
    /// Its private key, PEM; lives in memory alone.
    pub key_pem: Zeroizing<Vec<u8>>,
}

/// A certificate that is about to be issued: everything but the signature, so that its serial can be
/// stored before it is signed.
pub(crate) struct Prepared {
    tbs: Vec<u8>,
    /// The serial in hexadecimal.
    pub(crate) serial: String,
}

#[derive(Serialize, Deserialize)]
struct Record {
    key: StoredKey,
    #[serde(with = "serde_bytes")]
    certificate: Vec<u8>,
    not_after: i64,
}

impl Versioned for Record {
    const MARKER: &'static str = "system.ca/1";
}

impl SystemCa {
    /// Reads the authority; at the first start makes it.
    pub(crate) async fn load_or_create(
        store: &Store,
        keys: &KeyRing,
        now: Timestamp,
    ) -> Result<Self> {
        if let Some(found) = store.get::<Record>(SYSTEM, RECORD).await? {
            return Self::ready(found.value);
        }
        let record = create(keys, now).await?;
        let mut batch = Batch::new();
        batch.put(SYSTEM, RECORD, &record, Expect::Absent);
        store.commit(batch).await?;
        Self::ready(record)
    }

    fn ready(record: Record) -> Result<Self> {
        let certificate = x509::Certificate::parse(&record.certificate)?;
        Ok(Self {
            pem: x509::pem::encode("CERTIFICATE", &record.certificate),
            subject_der: certificate.subject_der.clone(),
            key_id: x509::key_identifier(&certificate.spki_der)?,
            record,
        })
    }

    /// The authority's certificate, PEM: what clients trust.
    pub fn certificate_pem(&self) -> &str {
        &self.pem
    }

    /// A certificate for the server under these DNS names and addresses, with a fresh key.
    pub async fn issue_server(
        &self,
        keys: &KeyRing,
        names: &[String],
        now: Timestamp,
    ) -> Result<ServerCertificate> {
        let new = keys.generate(KeySpec::EcP256).await?;
        let names = names.iter().map(|name| general_name(name)).collect();
        let prepared = self.prepare(&new.spki_der, names, SERVER_AUTH, SERVER_LIFETIME, now)?;
        let chain_pem = self.sign(keys, &prepared).await?;
        let key_pem = keys.reveal(&new.key).await?;
        Ok(ServerCertificate {
            chain_pem,
            key_pem: Zeroizing::new(key_pem.as_pem().as_bytes().to_vec()),
        })
    }

    /// Prepares a certificate by which a node proves `identity`, for its public key.
    pub(crate) fn prepare_node(
        &self,
        spki_der: &[u8],
        identity: &str,
        now: Timestamp,
    ) -> Result<Prepared> {
        let names = vec![GeneralName::Uri(identity.to_owned())];
        self.prepare(spki_der, names, CLIENT_AUTH, NODE_LIFETIME, now)
    }

    /// Signs what was prepared; answers the certificate, PEM.
    pub(crate) async fn sign(&self, keys: &KeyRing, prepared: &Prepared) -> Result<String> {
        let algorithm = KeySpec::EcP256.default_signature();
        let signature = keys
            .sign(&self.record.key, algorithm, &prepared.tbs)
            .await?;
        let certificate = x509::assemble(&prepared.tbs, algorithm, &signature)?;
        Ok(x509::pem::encode("CERTIFICATE", &certificate))
    }

    fn prepare(
        &self,
        spki_der: &[u8],
        names: Vec<GeneralName>,
        purpose: &str,
        lifetime: SignedDuration,
        now: Timestamp,
    ) -> Result<Prepared> {
        let serial = fresh_serial()?;
        let now = now.as_second();
        let tbs = TbsCertificate {
            serial: serial.to_vec(),
            signature: KeySpec::EcP256.default_signature(),
            issuer_der: self.subject_der.clone(),
            not_before: now - CLOCK_LEEWAY.as_secs(),
            not_after: (now + lifetime.as_secs()).min(self.record.not_after),
            subject_der: x509::encode_name(&common_name("Keystead"))?,
            spki_der: spki_der.to_vec(),
            extensions: vec![
                extension(
                    "2.5.29.19",
                    true,
                    ExtensionValue::BasicConstraints {
                        ca: false,
                        path_len: None,
                    },
                ),
                extension(
                    "2.5.29.35",
                    false,
                    ExtensionValue::AuthorityKeyId(self.key_id.to_vec()),
                ),
                extension("2.5.29.14", false, ExtensionValue::SubjectKeyId),
                extension(
                    "2.5.29.15",
                    true,
                    ExtensionValue::KeyUsage(vec![KeyUsageBit::DigitalSignature]),
                ),
                extension(
                    "2.5.29.37",
                    false,
                    ExtensionValue::ExtendedKeyUsage(vec![Oid::new(purpose)]),
                ),
                extension("2.5.29.17", false, ExtensionValue::SubjectAltName(names)),
            ],
        };
        let tbs = x509::encode_tbs(&tbs)?;
        linted(
            &tbs,
            &Issuer {
                subject_der: &self.subject_der,
                key_id: &self.key_id,
                not_after: Some(self.record.not_after),
                path_len: Some(0),
                bounds: None,
                signature: KeySpec::EcP256.default_signature(),
            },
        )?;
        let serial = hex(&serial);
        Ok(Prepared { tbs, serial })
    }
}

async fn create(keys: &KeyRing, now: Timestamp) -> Result<Record> {
    let new = keys.generate(KeySpec::EcP256).await?;
    let key_id = x509::key_identifier(&new.spki_der)?;
    let serial = fresh_serial()?;
    let tag = hex(serial.get(..4).unwrap_or(&serial));
    // The tag tells the authorities of two installations apart in a trust store that has both.
    let subject_der = x509::encode_name(&common_name(&format!("Keystead system CA {tag}")))?;
    let algorithm = KeySpec::EcP256.default_signature();
    let not_after = now.as_second() + CA_LIFETIME.as_secs();
    let tbs = x509::encode_tbs(&TbsCertificate {
        serial: serial.to_vec(),
        signature: algorithm,
        issuer_der: subject_der.clone(),
        not_before: now.as_second() - CLOCK_LEEWAY.as_secs(),
        not_after,
        subject_der: subject_der.clone(),
        spki_der: new.spki_der.clone(),
        extensions: vec![
            extension(
                "2.5.29.19",
                true,
                ExtensionValue::BasicConstraints {
                    ca: true,
                    path_len: Some(0),
                },
            ),
            extension("2.5.29.14", false, ExtensionValue::SubjectKeyId),
            extension(
                "2.5.29.15",
                true,
                ExtensionValue::KeyUsage(vec![
                    KeyUsageBit::DigitalSignature,
                    KeyUsageBit::KeyCertSign,
                    KeyUsageBit::CrlSign,
                ]),
            ),
        ],
    })?;
    linted(
        &tbs,
        &Issuer {
            subject_der: &subject_der,
            key_id: &key_id,
            not_after: None,
            path_len: None,
            bounds: None,
            signature: algorithm,
        },
    )?;
    let signature = keys.sign(&new.key, algorithm, &tbs).await?;
    Ok(Record {
        certificate: x509::assemble(&tbs, algorithm, &signature)?,
        key: new.key,
        not_after,
    })
}

fn linted(tbs: &[u8], issuer: &Issuer<'_>) -> Result<()> {
    lint::lint_tbs(tbs, issuer).map_err(|findings| {
        let broken = lint::listed(&findings);
        Error::new(
            ErrorKind::InvalidArgs,
            format!("the certificate would break {broken}"),
        )
    })
}

/// 16 random bytes behind a first byte that keeps the number positive and of one length: 128 bits of
/// randomness in 17 octets (RFC 5280 section 4.1.2.2 allows 20).
fn fresh_serial() -> Result<[u8; 17]> {
    let mut serial = [1; 17];
    if let Some((_, rest)) = serial.split_first_mut() {
        random::fill(rest)?;
    }
    Ok(serial)
}

fn general_name(text: &str) -> GeneralName {
    match text.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => GeneralName::Ip(address.octets().to_vec()),
        Ok(IpAddr::V6(address)) => GeneralName::Ip(address.octets().to_vec()),
        Err(_) => GeneralName::Dns(text.to_owned()),
    }
}

fn common_name(value: &str) -> Name {
    Name {
        attributes: vec![NameAttribute {
            oid: Oid::new("2.5.4.3"),
            value: value.to_owned(),
        }],
    }
}

fn extension(oid: &str, critical: bool, value: ExtensionValue) -> Extension {
    Extension {
        oid: Oid::new(oid),
        critical,
        value,
    }
}

const SYSTEM: Collection = Collection("system");
const RECORD: &str = "ca";

/// RFC 5280 section 4.2.1.12.
const SERVER_AUTH: &str = "1.3.6.1.5.5.7.3.1";
/// RFC 5280 section 4.2.1.12.
const CLIENT_AUTH: &str = "1.3.6.1.5.5.7.3.2";

/// Clocks of clients may be behind by as much (the leeway that ACM-PCA gives too: one hour).
const CLOCK_LEEWAY: SignedDuration = SignedDuration::from_hours(1);
/// The authority outlives the machines; its roll-over is a restart with a new data directory.
const CA_LIFETIME: SignedDuration = SignedDuration::from_hours(20 * 365 * 24);
/// Made anew at every start and again while the server runs; never stored. Clients of Apple's refuse
/// server certificates of more than 398 days (CA/Browser Forum BR 6.3.2 had the same limit).
const SERVER_LIFETIME: SignedDuration = SignedDuration::from_hours(397 * 24);
/// `keystead envoy` makes a new one at any time.
const NODE_LIFETIME: SignedDuration = SignedDuration::from_hours(397 * 24);
