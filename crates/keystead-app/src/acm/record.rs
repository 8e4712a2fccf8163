//! What ACM stores, and the one way in which a certificate's record is changed.

use jiff::Timestamp;
use keystead_core::acm::{Certificate, index};
use keystead_core::{AccountId, Error, ErrorKind, Region, Result};
use keystead_crypto::StoredKey;
use keystead_store::{Batch, Collection, Expect, Store, Stored, Version, Versioned};
use serde::{Deserialize, Serialize};

/// Certificates, by `account/region/id`. A change here may mean a new version to deliver.
pub(crate) const CERTIFICATES: Collection = Collection("acm.certificate");

/// Keys and DER of versions, by `account/region/id/version`.
pub(crate) const MATERIAL: Collection = Collection("acm.material");

/// Who uses a certificate, by `account/region/id/user`.
pub(crate) const USES: Collection = Collection("acm.use");

/// What certificates are found by and in which orders, by `account/region/row` with the rows of
/// `keystead_core::acm::index`.
pub(crate) const INDEX: Collection = Collection("acm.index");

/// What comes due for certificates, by the certificate's key.
pub(crate) const QUEUE: &str = "acm";

/// A stored certificate.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct CertificateRecord(pub(crate) Certificate);

impl Versioned for CertificateRecord {
    const MARKER: &'static str = "acm.certificate/1";
}

/// The key of a version, and what was made for it.
#[derive(Serialize, Deserialize)]
pub(crate) struct Material {
    /// The private key, sealed.
    pub(crate) key: StoredKey,
    /// DER of the public key's SubjectPublicKeyInfo.
    #[serde(with = "serde_bytes")]
    pub(crate) spki: Vec<u8>,
    /// The certificate in PEM, byte for byte as it was imported; `None` until it is issued.
    pub(crate) certificate: Option<String>,
    /// Its chain in PEM, likewise; `None` if there is none.
    pub(crate) chain: Option<String>,
}

impl Versioned for Material {
    const MARKER: &'static str = "acm.material/1";
}

/// One association of a certificate.
#[derive(Serialize, Deserialize)]
pub(crate) struct Use {
    /// The ARN of who uses it.
    pub(crate) user: String,
}

impl Versioned for Use {
    const MARKER: &'static str = "acm.use/1";
}

/// A certificate as it was read, to be changed.
pub(crate) struct Loaded {
    key: String,
    version: Option<Version>,
    kept: Vec<u64>,
    rows: Vec<String>,
    /// The certificate.
    pub(crate) certificate: Certificate,
}

impl Loaded {
    /// A certificate that is not stored yet.
    pub(crate) fn new(key: String, certificate: Certificate) -> Self {
        Self {
            key,
            version: None,
            kept: Vec::new(),
            rows: Vec::new(),
            certificate,
        }
    }

    /// The certificate with this record key.
    pub(crate) async fn read(store: &Store, key: &str) -> Result<Option<Self>> {
        let found = store.get::<CertificateRecord>(CERTIFICATES, key).await?;
        Ok(found.map(Self::of))
    }

    /// A certificate that was read.
    pub(crate) fn of(stored: Stored<CertificateRecord>) -> Self {
        Self {
            key: stored.key,
            version: Some(stored.version),
            kept: stored.value.0.stored_versions(),
            rows: index::rows(&stored.value.0),
            certificate: stored.value.0,
        }
    }

    /// Its record key.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// Whose it is, where, and its id.
    pub(crate) fn place(&self) -> Result<(AccountId, Region, &str)> {
        let mut parts = self.key.splitn(3, '/');
        let (Some(account), Some(region), Some(id)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(Error::new(
                ErrorKind::Internal,
                format!("{} is no certificate's key", self.key),
            ));
        };
        Ok((AccountId::parse(account)?, Region::parse(region)?, id))
    }

    /// Stores it as it is now, if nobody changed it since it was read: with its next time in the
    /// queue, without the keys of versions that it no longer has. A lease on its item ends.
    pub(crate) fn save(self, batch: &mut Batch) {
        let wake = self.certificate.wake();
        self.save_and_wake(batch, wake);
    }

    /// As [`Loaded::save`], with another next time.
    pub(crate) fn save_and_wake(self, batch: &mut Batch, wake: Option<Timestamp>) {
        let kept = self.certificate.stored_versions();
        for version in self.kept.iter().filter(|version| !kept.contains(version)) {
            batch.delete(MATERIAL, material_key(&self.key, *version), Expect::Any);
        }
        match wake {
            Some(wake) => batch.enqueue(QUEUE, self.key.as_str(), wake, &()),
            None => batch.cancel(QUEUE, self.key.as_str()),
        };
        self.index(batch, &index::rows(&self.certificate));
        let expect = self.version.map_or(Expect::Absent, Expect::Version);
        batch.put(
            CERTIFICATES,
            self.key,
            &CertificateRecord(self.certificate),
            expect,
        );
    }

    /// Puts its item in the queue to where the record says, if nobody changed the record since it was
    /// read. A lease on the item ends.
    pub(crate) fn requeue(&self, batch: &mut Batch) {
        let expect = self.version.map_or(Expect::Absent, Expect::Version);
        batch.expect(CERTIFICATES, self.key.as_str(), expect);
        match self.certificate.wake() {
            Some(wake) => batch.enqueue(QUEUE, self.key.as_str(), wake, &()),
            None => batch.cancel(QUEUE, self.key.as_str()),
        };
    }

    /// Puts `rows` into the index in place of those that it has there.
    fn index(&self, batch: &mut Batch, rows: &[String]) {
        let prefix = prefix_of(&self.key);
        for gone in self.rows.iter().filter(|row| !rows.contains(row)) {
            batch.delete(INDEX, format!("{prefix}{gone}"), Expect::Any);
        }
        for new in rows.iter().filter(|row| !self.rows.contains(row)) {
            batch.put(INDEX, format!("{prefix}{new}"), &(), Expect::Any);
        }
    }

    /// Removes it with all that belongs to it, if nobody changed it since it was read.
    pub(crate) fn delete(self, batch: &mut Batch) {
        for version in &self.kept {
            batch.delete(MATERIAL, material_key(&self.key, *version), Expect::Any);
        }
        self.index(batch, &[]);
        batch.cancel(QUEUE, self.key.as_str());
        let expect = self.version.map_or(Expect::Absent, Expect::Version);
        batch.delete(CERTIFICATES, self.key, expect);
    }
}

/// The key and DER of a version.
pub(crate) async fn material(store: &Store, key: &str, version: u64) -> Result<Material> {
    let found = store.get(MATERIAL, &material_key(key, version)).await?;
    found.map(|stored| stored.value).ok_or_else(|| {
        Error::new(
            ErrorKind::ConcurrentModification,
            format!("version {version} of certificate {key} was replaced meanwhile; try again"),
        )
    })
}

/// Where a version's material is stored.
pub(crate) fn material_key(key: &str, version: u64) -> String {
    format!("{key}/{version:020}")
}

/// Where a use is stored.
pub(crate) fn use_key(key: &str, user: &str) -> String {
    format!("{key}/{user}")
}

/// `account/region/` of a record key.
pub(super) fn prefix_of(key: &str) -> &str {
    key.rfind('/')
        .and_then(|slash| key.get(..=slash))
        .unwrap_or_default()
}
