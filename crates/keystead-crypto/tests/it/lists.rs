//! Revocation lists of every kind, judged by rustls-webpki: a revoked leaf is refused, a good one accepted, and a list
//! of other certificates says nothing.

use std::time::Duration;

use keystead_core::x509::SignatureAlgorithm;
use keystead_crypto::x509::{CrlEntries, TbsCrl, assemble, encode_crl_tbs, key_identifier};
use keystead_crypto::{KeyRing, x509};
use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{BorrowedCertRevocationList, CertRevocationList, RevocationOptionsBuilder};

use crate::support::{NOT_BEFORE, Pki, combinations, ring};

/// A list of the authority above the leaf with these serial numbers.
async fn list(
    keys: &KeyRing,
    pki: &Pki,
    algorithm: SignatureAlgorithm,
    point: Option<&str>,
    revoked: &[&[u8]],
) -> Vec<u8> {
    let tbs = TbsCrl {
        signature: algorithm,
        issuer_der: pki.sub.subject_der.clone(),
        this_update: NOT_BEFORE,
        next_update: NOT_BEFORE + 86_400,
        authority_key_id: key_identifier(&pki.sub.new.spki_der).unwrap().to_vec(),
        number: 1,
        distribution_point: point.map(Into::into),
    };
    let mut entries = CrlEntries::default();
    for serial in revoked {
        entries.add(serial, NOT_BEFORE, 1).unwrap();
    }
    let der = encode_crl_tbs(&tbs, &entries).unwrap();
    let signature = keys.sign(&pki.sub.new.key, algorithm, &der).await.unwrap();
    assemble(&der, algorithm, &signature).unwrap()
}

/// Whether webpki accepts the leaf by this list.
fn verdict(pki: &Pki, list: &[u8]) -> Result<(), webpki::Error> {
    let list = CertRevocationList::from(BorrowedCertRevocationList::from_der(list).unwrap());
    let lists = [&list];
    let options = RevocationOptionsBuilder::new(&lists)
        .unwrap()
        .with_depth(webpki::RevocationCheckDepth::EndEntity)
        .with_expiration_policy(webpki::ExpirationPolicy::Enforce)
        .build();
    let root = CertificateDer::from(pki.root.der.as_slice());
    let anchors = [webpki::anchor_from_trusted_cert(&root).unwrap()];
    let sub = [CertificateDer::from(pki.sub.der.as_slice())];
    let leaf = CertificateDer::from(pki.leaf.der.as_slice());
    let leaf = webpki::EndEntityCert::try_from(&leaf).unwrap();
    let at = UnixTime::since_unix_epoch(Duration::from_secs(NOT_BEFORE as u64 + 1));
    leaf.verify_for_usage(
        webpki::ALL_VERIFICATION_ALGS,
        &anchors,
        &sub,
        at,
        webpki::KeyUsage::server_auth(),
        Some(options),
        None,
    )
    .map(drop)
}

#[tokio::test]
async fn webpki_reads_every_kind_of_list() {
    let keys = ring();
    for (spec, algorithm) in combinations() {
        if algorithm != spec.default_signature() {
            continue;
        }
        let pki = Pki::new(&keys, spec, algorithm).await;
        let serial = x509::Certificate::from_der(&pki.leaf.der).unwrap().serial;
        // What the leaf names, and nothing.
        for point in [None, Some("http://crl.example/a.crl")] {
            let good = list(&keys, &pki, algorithm, point, &[&[1, 2, 3]]).await;
            assert_eq!(verdict(&pki, &good), Ok(()), "{spec:?} {point:?}");
            let empty = list(&keys, &pki, algorithm, point, &[]).await;
            assert_eq!(verdict(&pki, &empty), Ok(()), "{spec:?} {point:?}");
            let bad = list(&keys, &pki, algorithm, point, &[&[1, 2, 3], &serial]).await;
            assert_eq!(verdict(&pki, &bad), Err(webpki::Error::CertRevoked));
        }
        let other = Some("http://crl.example/b.crl");
        let other = list(&keys, &pki, algorithm, other, &[]).await;
        let unknown = Err(webpki::Error::UnknownRevocationStatus);
        assert_eq!(verdict(&pki, &other), unknown);
    }
}
