//! X.509 as data: what a certificate will say, before anybody encodes or signs it.
//!
//! `keystead-crypto::x509` turns these into DER and parses DER back; `lint` judges the DER.

use serde::{Deserialize, Serialize};

mod algorithm;

pub use algorithm::{KeySpec, SignatureAlgorithm};

/// An object identifier in dotted form, for instance `2.5.4.3`. Validated when it is encoded.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Oid(pub String);

impl Oid {
    /// An identifier from its dotted form.
    pub fn new(dotted: &str) -> Self {
        Self(dotted.into())
    }
}

/// A distinguished name: relative names in order, each a set of (type, value).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Name {
    /// One attribute a relative name is all that AWS can make (RFC 5280 section 4.1.2.4).
    pub attributes: Vec<NameAttribute>,
}

/// One attribute of a distinguished name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameAttribute {
    /// The attribute's type.
    pub oid: Oid,
    /// The text; encoded as PrintableString where the type demands it (country, serial number,
    /// DN qualifier), IA5String for domain components, else UTF8String.
    pub value: String,
}

/// A name of a subject alternative name extension (RFC 5280 section 4.2.1.6).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum GeneralName {
    /// rfc822Name
    Email(String),
    /// dNSName
    Dns(String),
    /// uniformResourceIdentifier
    Uri(String),
    /// iPAddress: 4 or 16 bytes
    Ip(#[serde(with = "serde_bytes")] Vec<u8>),
    /// directoryName
    Directory(Name),
    /// ediPartyName: who assigned the name, where that is told, and the name
    EdiParty(Option<String>, String),
    /// registeredID
    RegisteredId(Oid),
    /// otherName: the type and the DER of the value
    Other(Oid, #[serde(with = "serde_bytes")] Vec<u8>),
}

/// An extension as it goes into the certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extension {
    /// Which extension.
    pub oid: Oid,
    /// Whether who does not know it must refuse the certificate.
    pub critical: bool,
    /// What it says.
    pub value: ExtensionValue,
}

/// What an extension says. `Der` carries what we do not interpret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExtensionValue {
    /// basicConstraints (RFC 5280 section 4.2.1.9)
    BasicConstraints {
        /// whether the subject may issue
        ca: bool,
        /// how many authorities may follow
        path_len: Option<u8>,
    },
    /// keyUsage: the bits that are set (RFC 5280 section 4.2.1.3)
    KeyUsage(Vec<KeyUsageBit>),
    /// extKeyUsage: the purposes (RFC 5280 section 4.2.1.12)
    ExtendedKeyUsage(Vec<Oid>),
    /// subjectAltName
    SubjectAltName(Vec<GeneralName>),
    /// subjectKeyIdentifier: the encoder hashes the subject's key (RFC 5280 section 4.2.1.2,
    /// method 1)
    SubjectKeyId,
    /// authorityKeyIdentifier: this key identifier of the issuer
    AuthorityKeyId(#[serde(with = "serde_bytes")] Vec<u8>),
    /// cRLDistributionPoints: one distribution point a URI
    CrlDistributionPoints(Vec<String>),
    /// authorityInfoAccess: (access method, URI)
    AuthorityInfoAccess(Vec<(Oid, String)>),
    /// certificatePolicies: policy and CPS URIs
    CertificatePolicies(Vec<(Oid, Vec<String>)>),
    /// Ready DER, taken over as it is.
    Der(#[serde(with = "serde_bytes")] Vec<u8>),
}

/// Bits of keyUsage; the discriminant is the bit's number in RFC 5280 section 4.2.1.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names are the RFC's")]
pub enum KeyUsageBit {
    DigitalSignature = 0,
    NonRepudiation = 1,
    KeyEncipherment = 2,
    DataEncipherment = 3,
    KeyAgreement = 4,
    KeyCertSign = 5,
    CrlSign = 6,
    EncipherOnly = 7,
    DecipherOnly = 8,
}

/// Everything a CA signs, apart from the encoding (RFC 5280 section 4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TbsCertificate {
    /// Positive, big-endian, at most 20 bytes (RFC 5280 section 4.1.2.2).
    pub serial: Vec<u8>,
    /// How it will be signed.
    pub signature: SignatureAlgorithm,
    /// DER of the issuer's name, byte for byte the issuer's subject.
    pub issuer_der: Vec<u8>,
    /// First second of validity (Unix time).
    pub not_before: i64,
    /// Last second of validity (Unix time).
    pub not_after: i64,
    /// DER of the subject's name.
    pub subject_der: Vec<u8>,
    /// DER of the subject's SubjectPublicKeyInfo.
    pub spki_der: Vec<u8>,
    /// In the order in which they are encoded.
    pub extensions: Vec<Extension>,
}
