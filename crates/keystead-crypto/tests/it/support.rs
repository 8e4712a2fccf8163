//! A small PKI of the crate's own making, and the foreign programs that judge it.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use keystead_core::x509::{
    Extension, ExtensionValue, GeneralName, KeySpec, KeyUsageBit, Name, NameAttribute, Oid,
    SignatureAlgorithm, TbsCertificate,
};
use keystead_crypto::seal::RootKey;
use keystead_crypto::{KeyRing, KeyRingOptions, NewKey, random, x509};

/// 2026-01-01, when the certificates become valid.
pub(crate) const NOT_BEFORE: i64 = 1_767_225_600;
/// 2099-12-31, far enough away for verifiers that ask the machine's clock.
pub(crate) const NOT_AFTER: i64 = 4_102_358_400;

/// A ring of its own.
pub(crate) fn ring() -> Arc<KeyRing> {
    let options = KeyRingOptions {
        threads: 2,
        reserve: false,
    };
    KeyRing::open(&RootKey::generate().unwrap(), options).unwrap()
}

/// Somebody with a key and a certificate.
pub(crate) struct Holder {
    pub(crate) new: NewKey,
    pub(crate) subject_der: Vec<u8>,
    pub(crate) der: Vec<u8>,
}

/// What a certificate is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Authority(Option<u8>),
    Server,
}

impl Holder {
    pub(crate) fn pem(&self) -> String {
        x509::pem::encode("CERTIFICATE", &self.der)
    }

    pub(crate) fn certificate(&self) -> x509::Certificate {
        x509::Certificate::from_der(&self.der).unwrap()
    }
}

/// A root, an authority below it, and a server's certificate, all with keys of one kind.
pub(crate) struct Pki {
    pub(crate) root: Holder,
    pub(crate) sub: Holder,
    pub(crate) leaf: Holder,
}

impl Pki {
    pub(crate) async fn new(ring: &KeyRing, spec: KeySpec, algorithm: SignatureAlgorithm) -> Self {
        let root = issue(
            ring,
            spec,
            algorithm,
            "Root",
            Role::Authority(Some(1)),
            None,
        )
        .await;
        let role = Role::Authority(Some(0));
        let sub = issue(ring, spec, algorithm, "Sub", role, Some(&root)).await;
        let leaf = issue(
            ring,
            spec,
            algorithm,
            "leaf.example",
            Role::Server,
            Some(&sub),
        )
        .await;
        Self { root, sub, leaf }
    }
}

pub(crate) fn extension(oid: &str, critical: bool, value: ExtensionValue) -> Extension {
    Extension {
        oid: Oid::new(oid),
        critical,
        value,
    }
}

pub(crate) fn name(common_name: &str) -> Name {
    let attributes = [
        ("2.5.4.6", "DE"),
        ("2.5.4.10", "Tür & Söhne"),
        ("2.5.4.3", common_name),
    ];
    Name {
        attributes: attributes
            .map(|(oid, value)| NameAttribute {
                oid: Oid::new(oid),
                value: value.into(),
            })
            .into(),
    }
}

/// The extensions that RFC 5280 asks of such a certificate, and those that AWS adds.
pub(crate) fn extensions(role: Role, issuer_spki: &[u8]) -> Vec<Extension> {
    use ExtensionValue as E;
    let issuer_id = x509::key_identifier(issuer_spki).unwrap().to_vec();
    let mut extensions = vec![
        extension("2.5.29.14", false, E::SubjectKeyId),
        extension("2.5.29.35", false, E::AuthorityKeyId(issuer_id)),
        extension(
            "2.5.29.31",
            false,
            E::CrlDistributionPoints(vec!["http://crl.example/a.crl".into()]),
        ),
        extension(
            "1.3.6.1.5.5.7.1.1",
            false,
            E::AuthorityInfoAccess(vec![(
                Oid::new("1.3.6.1.5.5.7.48.1"),
                "http://ocsp.example".into(),
            )]),
        ),
        extension(
            "2.5.29.32",
            false,
            E::CertificatePolicies(vec![(
                Oid::new("1.2.3.4.5"),
                vec!["http://example/cps".into()],
            )]),
        ),
    ];
    match role {
        Role::Authority(path_len) => extensions.extend([
            extension(
                "2.5.29.19",
                true,
                E::BasicConstraints { ca: true, path_len },
            ),
            extension(
                "2.5.29.15",
                true,
                E::KeyUsage(vec![
                    KeyUsageBit::DigitalSignature,
                    KeyUsageBit::KeyCertSign,
                    KeyUsageBit::CrlSign,
                ]),
            ),
        ]),
        Role::Server => extensions.extend([
            extension(
                "2.5.29.19",
                true,
                E::BasicConstraints {
                    ca: false,
                    path_len: None,
                },
            ),
            extension(
                "2.5.29.15",
                true,
                E::KeyUsage(vec![KeyUsageBit::DigitalSignature]),
            ),
            extension(
                "2.5.29.37",
                false,
                E::ExtendedKeyUsage(vec![
                    Oid::new("1.3.6.1.5.5.7.3.1"),
                    Oid::new("1.3.6.1.5.5.7.3.2"),
                ]),
            ),
            extension(
                "2.5.29.17",
                false,
                E::SubjectAltName(vec![
                    GeneralName::Dns("leaf.example".into()),
                    GeneralName::Dns("*.leaf.example".into()),
                    GeneralName::Ip(vec![127, 0, 0, 1]),
                    GeneralName::Uri("spiffe://example/leaf".into()),
                    GeneralName::Email("leaf@example.com".into()),
                ]),
            ),
        ]),
    }
    extensions
}

/// A certificate for a new key, signed by the issuer or by itself.
pub(crate) async fn issue(
    ring: &KeyRing,
    spec: KeySpec,
    algorithm: SignatureAlgorithm,
    common_name: &str,
    role: Role,
    issuer: Option<&Holder>,
) -> Holder {
    let new = ring.generate(spec).await.unwrap();
    let subject_der = x509::encode_name(&name(common_name)).unwrap();
    let issuer_key = issuer.map_or(&new, |issuer| &issuer.new);
    let mut serial = random::bytes::<16>().unwrap().to_vec();
    serial[0] |= 0x80;
    let tbs = TbsCertificate {
        serial,
        signature: algorithm,
        issuer_der: issuer
            .map_or(&subject_der, |issuer| &issuer.subject_der)
            .clone(),
        not_before: NOT_BEFORE,
        not_after: NOT_AFTER,
        subject_der: subject_der.clone(),
        spki_der: new.spki_der.clone(),
        extensions: extensions(role, &issuer_key.spki_der),
    };
    let tbs = x509::encode_tbs(&tbs).unwrap();
    let signature = ring.sign(&issuer_key.key, algorithm, &tbs).await.unwrap();
    Holder {
        der: x509::assemble(&tbs, algorithm, &signature).unwrap(),
        new,
        subject_der,
    }
}

/// A request for the holder's key, with the extensions of a server.
pub(crate) async fn request(
    ring: &KeyRing,
    holder: &Holder,
    algorithm: SignatureAlgorithm,
) -> Vec<u8> {
    let wanted: Vec<Extension> = extensions(Role::Server, &holder.new.spki_der)
        .into_iter()
        .filter(|extension| ["2.5.29.17", "2.5.29.15"].contains(&extension.oid.0.as_str()))
        .collect();
    let info = x509::encode_csr_info(&holder.subject_der, &holder.new.spki_der, &wanted).unwrap();
    let signature = ring.sign(&holder.new.key, algorithm, &info).await.unwrap();
    x509::assemble(&info, algorithm, &signature).unwrap()
}

/// Every kind of key with its own signature, and the combinations that the library does not offer
/// by itself.
pub(crate) fn combinations() -> Vec<(KeySpec, SignatureAlgorithm)> {
    use SignatureAlgorithm as S;
    let own = KeySpec::ALL.map(|spec| (spec, spec.default_signature()));
    let crossed = [
        (KeySpec::Rsa2048, S::Sha512WithRsa),
        (KeySpec::Rsa2048, S::Sha256WithRsaPss),
        (KeySpec::Rsa3072, S::Sha384WithRsaPss),
        (KeySpec::Rsa4096, S::Sha512WithRsaPss),
        (KeySpec::EcP256, S::Sha384WithEcdsa),
        (KeySpec::EcP256, S::Sha512WithEcdsa),
        (KeySpec::EcP384, S::Sha256WithEcdsa),
        (KeySpec::EcP384, S::Sha512WithEcdsa),
        (KeySpec::EcP521, S::Sha256WithEcdsa),
        (KeySpec::EcP521, S::Sha384WithEcdsa),
    ];
    own.into_iter().chain(crossed).collect()
}

pub(crate) fn is_ml_dsa(spec: KeySpec) -> bool {
    matches!(spec, KeySpec::MlDsa44 | KeySpec::MlDsa65 | KeySpec::MlDsa87)
}

/// Runs a foreign program in a folder and answers what it printed.
///
/// # Panics
/// When it is not installed, takes over a minute, or fails.
pub(crate) fn foreign(folder: &Path, program: &str, arguments: &[&str]) -> String {
    let (ok, output) = foreign_verdict(folder, program, arguments);
    assert!(ok, "{program} {arguments:?} refused:\n{output}");
    output
}

/// As [`foreign`], but the program may refuse.
pub(crate) fn foreign_verdict(folder: &Path, program: &str, arguments: &[&str]) -> (bool, String) {
    let output = Command::new("timeout")
        .args(["60", program])
        .args(arguments)
        .current_dir(folder)
        .env("LC_ALL", "C")
        .output()
        .unwrap();
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    let code = output.status.code();
    assert!(
        code != Some(127) && code != Some(126),
        "{program} is not installed (cargo xtask test installs it): {text}"
    );
    assert_ne!(
        code,
        Some(124),
        "{program} {arguments:?} took over a minute"
    );
    (output.status.success(), text)
}
