//! Certificates to lint, put together from parts that a test can change.

use super::{Bounds, moduli};

pub(super) const EC: &[u8] = &[6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
pub(super) const P256: &[u8] = &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
pub(super) const RSA: &[u8] = &[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
pub(super) const ML_DSA_65: &[u8] = &[6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3, 18];

/// The fields of a TBSCertificate, each as complete DER.
#[derive(Clone)]
pub(super) struct Parts {
    pub(super) version: Vec<u8>,
    /// Content of the INTEGER.
    pub(super) serial: Vec<u8>,
    pub(super) signature: Vec<u8>,
    pub(super) issuer: Vec<u8>,
    /// What the CA's certificate says.
    pub(super) issuer_subject: Vec<u8>,
    pub(super) not_before: Vec<u8>,
    pub(super) not_after: Vec<u8>,
    pub(super) subject: Vec<u8>,
    pub(super) key: Vec<u8>,
    pub(super) unique_id: Vec<u8>,
    pub(super) extensions: Vec<ext::Ext>,
    pub(super) trailing: Vec<u8>,
    /// What the path above leaves.
    pub(super) bounds: Option<Bounds>,
}

impl Parts {
    pub(super) fn leaf() -> Self {
        let server_auth = oid_tlv(&[0x2b, 6, 1, 5, 5, 7, 3, 1]);
        let client_auth = oid_tlv(&[0x2b, 6, 1, 5, 5, 7, 3, 2]);
        let mut serial = vec![0x5a; 16];
        serial[1] = 0x00;
        let mut parts = Self {
            version: vec![0xa0, 3, 2, 1, 2],
            serial,
            signature: vec![0x30, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2],
            issuer: name(&[(6, 0x13, b"NL"), (3, 0x0c, b"Test CA")]),
            issuer_subject: name(&[(6, 0x13, b"NL"), (3, 0x0c, b"Test CA")]),
            not_before: tlv(0x17, b"250101000000Z"),
            not_after: tlv(0x17, b"260101000000Z"),
            subject: name(&[
                (6, 0x13, b"NL"),
                (10, 0x0c, b"Example"),
                (3, 0x0c, b"a.test"),
            ]),
            key: spki(&[EC, P256], &[&[4], [1; 64].as_slice()].concat()),
            unique_id: Vec::new(),
            extensions: vec![
                ext::plain(ext::BASIC_CONSTRAINTS, &seq(&[])),
                ext::plain(ext::AUTHORITY_KEY_ID, &seq(&[&tlv(0x80, &[7; 20])])),
                ext::plain(ext::SUBJECT_KEY_ID, &tlv(4, &[9; 20])),
                ext::critical(ext::KEY_USAGE, &[3, 2, 7, 0x80]),
                ext::plain(ext::EXTENDED_KEY_USAGE, &seq(&[&server_auth, &client_auth])),
            ],
            trailing: Vec::new(),
            bounds: None,
        };
        parts.names(&[ia5(2, "a.test"), ia5(2, "*.b.test")]);
        parts
    }

    pub(super) fn ca() -> Self {
        let mut parts = Self::leaf();
        parts.remove(ext::EXTENDED_KEY_USAGE);
        parts.remove(ext::SUBJECT_ALT_NAME);
        parts.set(ext::critical(
            ext::BASIC_CONSTRAINTS,
            &seq(&[&[1, 1, 0xff], &[2, 1, 0]]),
        ));
        parts.set(ext::critical(ext::KEY_USAGE, &[3, 2, 1, 0x86]));
        parts
    }

    pub(super) fn rsa_leaf() -> Self {
        let mut parts = Self::leaf();
        parts.key = rsa_spki(&moduli::octets(moduli::HONEST), &[1, 0, 1]);
        parts.set(ext::critical(ext::KEY_USAGE, &[3, 2, 5, 0xa0]));
        parts
    }

    pub(super) fn ml_dsa_leaf() -> Self {
        let mut parts = Self::leaf();
        parts.key = spki(&[ML_DSA_65], &[1; 1952]);
        parts
    }

    pub(super) fn ed25519_leaf() -> Self {
        let mut parts = Self::leaf();
        parts.key = spki(&[&[6, 3, 0x2b, 0x65, 0x70]], &[1; 32]);
        parts
    }

    pub(super) fn without_subject() -> Self {
        let mut parts = Self::leaf();
        parts.subject = seq(&[]);
        let names = seq(&[&ia5(2, "a.test")]);
        parts.set(ext::critical(ext::SUBJECT_ALT_NAME, &names));
        parts
    }

    pub(super) fn with_every_name() -> Self {
        let mut parts = Self::leaf();
        let other = [oid_tlv(&[0x55, 4, 3]), tlv(0xa0, &[0x13, 2, b'm', b'o'])].concat();
        parts.names(&[
            tlv(0xa0, &other),
            ia5(1, "hello+tag@mail.a.test"),
            ia5(2, "xn--bcher-kva.test"),
            ia5(2, "*.b.test"),
            ia5(2, "localhost"),
            tlv(0xa4, &name(&[(3, 0x0c, b"directory")])),
            ia5(6, "https://user@a.test:8443/x?y=1#z"),
            ia5(6, "spiffe://a.test/ns/default"),
            ia5(6, "https://[2001:db8::1]/"),
            ia5(6, "https://192.0.2.1/"),
            ia5(6, "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"),
            tlv(0x87, &[192, 0, 2, 1]),
            tlv(0x87, &[0x20; 16]),
            tlv(0x88, &[0x55, 4, 3]),
        ]);
        parts
    }

    pub(super) fn with_every_extension() -> Self {
        let mut parts = Self::ca();
        let any_policy = oid_tlv(&[0x55, 0x1d, 32, 0]);
        let ocsp = oid_tlv(&[0x2b, 6, 1, 5, 5, 7, 48, 1]);
        for extension in [
            ext::critical(ext::NAME_CONSTRAINTS, &permitted("a.test")),
            ext::plain(
                ext::CRL_DISTRIBUTION_POINTS,
                &crl_points("http://a.test/crl"),
            ),
            ext::plain(ext::CERTIFICATE_POLICIES, &seq(&[&seq(&[&any_policy])])),
            ext::critical(ext::POLICY_CONSTRAINTS, &seq(&[&tlv(0x80, &[0])])),
            ext::plain(ext::FRESHEST_CRL, &crl_points("http://a.test/delta")),
            ext::critical(ext::INHIBIT_ANY_POLICY, &[2, 1, 0]),
            ext::plain(
                ext::AUTHORITY_INFO_ACCESS,
                &seq(&[&seq(&[&ocsp, &ia5(6, "http://a.test/ocsp")])]),
            ),
            // Unknown to the rules, and not DER inside.
            ext::plain(&[0x2b, 6, 1, 4, 1, 99], &[0xff]),
        ] {
            parts.set(extension);
        }
        parts
    }

    /// Replaces the extension of the same type, or adds it.
    pub(super) fn set(&mut self, extension: ext::Ext) {
        match self
            .extensions
            .iter_mut()
            .find(|other| other.oid == extension.oid)
        {
            Some(other) => *other = extension,
            None => self.extensions.push(extension),
        }
    }

    pub(super) fn remove(&mut self, oid: &[u8]) {
        self.extensions.retain(|extension| extension.oid != oid);
    }

    /// Sets subjectAltName, not critical.
    pub(super) fn names(&mut self, names: &[Vec<u8>]) {
        self.set(ext::plain(
            ext::SUBJECT_ALT_NAME,
            &tlv(0x30, &names.concat()),
        ));
    }

    /// The DER.
    pub(super) fn tbs(&self) -> Vec<u8> {
        let extensions: Vec<u8> = self
            .extensions
            .iter()
            .flat_map(|extension| extension.der.clone())
            .collect();
        let extensions = tlv(0xa3, &tlv(0x30, &extensions));
        seq(&[
            &self.version,
            &tlv(2, &self.serial),
            &self.signature,
            &self.issuer,
            &seq(&[&self.not_before, &self.not_after]),
            &self.subject,
            &self.key,
            &self.unique_id,
            &extensions,
            &self.trailing,
        ])
    }
}

/// Extensions.
pub(super) mod ext {
    use super::{oid_tlv, seq, tlv};

    pub(in super::super) const SUBJECT_KEY_ID: &[u8] = &[0x55, 0x1d, 14];
    pub(in super::super) const KEY_USAGE: &[u8] = &[0x55, 0x1d, 15];
    pub(in super::super) const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 17];
    pub(in super::super) const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 19];
    pub(in super::super) const NAME_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 30];
    pub(in super::super) const CRL_DISTRIBUTION_POINTS: &[u8] = &[0x55, 0x1d, 31];
    pub(in super::super) const CERTIFICATE_POLICIES: &[u8] = &[0x55, 0x1d, 32];
    pub(in super::super) const AUTHORITY_KEY_ID: &[u8] = &[0x55, 0x1d, 35];
    pub(in super::super) const POLICY_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 36];
    pub(in super::super) const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 37];
    pub(in super::super) const FRESHEST_CRL: &[u8] = &[0x55, 0x1d, 46];
    pub(in super::super) const INHIBIT_ANY_POLICY: &[u8] = &[0x55, 0x1d, 54];
    pub(in super::super) const AUTHORITY_INFO_ACCESS: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 1, 1];

    #[derive(Clone)]
    pub(in super::super) struct Ext {
        pub(in super::super) oid: Vec<u8>,
        pub(in super::super) der: Vec<u8>,
    }

    pub(in super::super) fn plain(oid: &[u8], value: &[u8]) -> Ext {
        raw(oid, &[], value)
    }

    pub(in super::super) fn critical(oid: &[u8], value: &[u8]) -> Ext {
        raw(oid, &[1, 1, 0xff], value)
    }

    /// With `flag` as the DER of the critical field.
    pub(in super::super) fn raw(oid: &[u8], flag: &[u8], value: &[u8]) -> Ext {
        Ext {
            oid: oid.to_vec(),
            der: seq(&[&oid_tlv(oid), flag, &tlv(4, value)]),
        }
    }
}

pub(super) fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut der = vec![tag];
    match length {
        0..=0x7f => der.push(u8::try_from(length).unwrap()),
        0x80..=0xff => der.extend([0x81, u8::try_from(length).unwrap()]),
        _ => {
            der.push(0x82);
            der.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
    }
    der.extend(content);
    der
}

pub(super) fn seq(parts: &[&[u8]]) -> Vec<u8> {
    tlv(0x30, &parts.concat())
}

pub(super) fn oid_tlv(oid: &[u8]) -> Vec<u8> {
    tlv(6, oid)
}

/// A general name that is text, tag `number`.
pub(super) fn ia5(number: u8, text: &str) -> Vec<u8> {
    tlv(0x80 | number, text.as_bytes())
}

/// A name of (last arc under 2.5.4, string tag, text).
pub(super) fn name(attributes: &[(u8, u8, &[u8])]) -> Vec<u8> {
    let sets: Vec<u8> = attributes
        .iter()
        .flat_map(|(arc, tag, text)| {
            tlv(0x31, &seq(&[&oid_tlv(&[0x55, 4, *arc]), &tlv(*tag, text)]))
        })
        .collect();
    tlv(0x30, &sets)
}

pub(super) fn spki(algorithm: &[&[u8]], bits: &[u8]) -> Vec<u8> {
    seq(&[&seq(algorithm), &tlv(3, &[&[0], bits].concat())])
}

pub(super) fn rsa_spki(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    spki(&[RSA, &[5, 0]], &rsa_key(modulus, exponent))
}

/// DER of RSAPublicKey.
pub(super) fn rsa_key(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    let positive = |number: &[u8]| match number.first() {
        Some(first) if first & 0x80 != 0 => tlv(2, &[&[0], number].concat()),
        _ => tlv(2, number),
    };
    seq(&[&positive(modulus), &positive(exponent)])
}

/// nameConstraints that permit one DNS subtree.
pub(super) fn permitted(domain: &str) -> Vec<u8> {
    seq(&[&tlv(0xa0, &seq(&[&ia5(2, domain)]))])
}

/// One distribution point with one URI.
pub(super) fn crl_points(uri: &str) -> Vec<u8> {
    let full_name = tlv(0xa0, &tlv(0xa0, &ia5(6, uri)));
    seq(&[&seq(&[&full_name])])
}
