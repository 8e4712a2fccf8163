//! The log against a naive tree, with certificates that are issued in between, and cut off at every commit.

use keystead_core::x509::KeySpec;
use keystead_crypto::merkle::{Edge, leaf_hash, proves_consistency, proves_inclusion};
use keystead_store::faults::Failure;
use keystead_wire::acm_pca as pca_wire;

use super::record::{PENDING, Pending};
use super::*;
use crate::pca::tests::world::{World, years};

async fn root(world: &World) -> String {
    let arn = world
        .create(pca_wire::CertificateAuthorityType::Root, KeySpec::EcP256)
        .await;
    let certificate = world.own_certificate(&arn, years(10)).await;
    world.install(&arn, &certificate, None).await.unwrap();
    arn
}

/// Issues a certificate; its ARN and its DER.
async fn leaf(world: &World, root: &str) -> (String, Vec<u8>) {
    let (csr, _) = world
        .csr(KeySpec::EcP256, "leaf.test", &["leaf.test"])
        .await;
    let order = world.order(root, &csr).await;
    let arn = world.issue(order).await.unwrap();
    let got = world.get(root, &arn).await.unwrap();
    let certificate = got.certificate.unwrap();
    let parsed = x509::Certificate::parse(certificate.as_bytes()).unwrap();
    (arn, parsed.der().to_vec())
}

async fn head(world: &World, first_size: Option<i64>) -> wire::GetCertificateLogHeadResponse {
    let input = wire::GetCertificateLogHeadRequest { first_size };
    get_certificate_log_head(&world.ctx(), input).await.unwrap()
}

async fn proof(world: &World, arn: &str) -> wire::GetCertificateLogProofResponse {
    let input = wire::GetCertificateLogProofRequest {
        certificate_arn: arn.into(),
    };
    get_certificate_log_proof(&world.ctx(), input)
        .await
        .unwrap()
}

fn unhex(text: &str) -> Hash {
    let bytes = (0..32).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap());
    bytes.collect::<Vec<_>>().try_into().unwrap()
}

fn unhex_all(texts: &[String]) -> Vec<Hash> {
    texts.iter().map(|text| unhex(text)).collect()
}

fn verified(head: &wire::CertificateLogHead) {
    let spki = x509::pem::blocks(&head.public_key).unwrap();
    let algorithm = KeySpec::EcP256.default_signature();
    x509::verify_signature(&spki[0].der, algorithm, &head.signed_bytes, &head.signature).unwrap();
}

#[tokio::test]
async fn all_that_is_issued_is_proven_to_be_there() {
    let world = World::new().await;
    let root = root(&world).await;
    let mut older: Vec<(i64, Hash)> = Vec::new();
    let mut arns = Vec::new();
    for count in 0..20 {
        for _ in 0..count % 3 {
            arns.push(leaf(&world, &root).await);
        }
        let answer = head(&world, None).await;
        verified(&answer.head);
        // Its own certificate is a leaf too.
        assert_eq!(answer.head.size, number(arns.len() as u64 + 1));
        older.push((answer.head.size, unhex(&answer.head.root_hash)));
    }
    let newest = head(&world, None).await.head;
    let (size, newest_root) = (newest.size as u64, unhex(&newest.root_hash));
    for (arn, der) in &arns {
        let answer = proof(&world, arn).await;
        assert_eq!(unhex(&answer.leaf_hash), leaf_hash(der));
        let path = unhex_all(&answer.inclusion_proof);
        let index = answer.leaf_index as u64;
        assert!(proves_inclusion(
            &leaf_hash(der),
            index,
            size,
            &path,
            &newest_root
        ));
    }
    for (first, before) in older {
        let answer = head(&world, Some(first)).await;
        let path = unhex_all(&answer.consistency_proof.unwrap());
        let (first, second) = ((first as u64, &before), (size, &newest_root));
        assert!(proves_consistency(first, second, &path), "{first:?}");
    }
    for bad in [0, -1, newest.size + 1] {
        let input = wire::GetCertificateLogHeadRequest {
            first_size: Some(bad),
        };
        let refused = get_certificate_log_head(&world.ctx(), input).await;
        assert_eq!(refused.unwrap_err().kind, ErrorKind::Validation);
    }
}

/// More than two tiles, so that there is a second level: every part that a proof may need is right.
#[tokio::test]
async fn tiles_hold_the_tree_of_the_definition() {
    let world = World::new().await;
    let mut edge = Edge::default();
    let mut leaves = Vec::new();
    for round in 0..7_u64 {
        let mut batch = keystead_store::Batch::new();
        let mut new: Vec<_> = (0..97_u64)
            .map(|n| (format!("{round}/{n:03}"), n.to_be_bytes()))
            .collect();
        // In commits of one, and of many.
        for together in new.chunks(1 + 20 * (round as usize % 2)) {
            let together: Vec<_> = together
                .iter()
                .map(|(key, der)| (&**key, &der[..]))
                .collect();
            issued(&mut batch, &together);
        }
        world.app.store.commit(batch).await.unwrap();
        append_all(&world.app).await.unwrap();
        // In the order of their keys.
        new.sort();
        for (_, der) in new {
            edge.push(leaf_hash(&der));
            leaves.push(leaf_hash(&der));
        }
        let (_, head) = record::head(&world.app.store).await.unwrap().unwrap();
        assert_eq!(head.edge().unwrap(), edge);
    }
    let size = leaves.len() as u64;
    assert_eq!(size, 679);
    for index in (0..size).step_by(13).chain([255, 256, 511, 512, size - 1]) {
        let ranges = merkle::inclusion(index, size).unwrap();
        let path = unhex_all(&hashes(&world.ctx(), ranges).await.unwrap());
        let leaf = &leaves[index as usize];
        assert!(
            proves_inclusion(leaf, index, size, &path, &edge.root()),
            "{index}"
        );
    }
    let pending = world.app.store.scan::<Pending>(PENDING, "", None, 10);
    assert!(pending.await.unwrap().is_empty());
}

#[tokio::test]
async fn cut_off_anywhere_each_is_in_it_once() {
    for failure in [Failure::Refused, Failure::Unheard] {
        for nth in 1..4 {
            let world = World::new().await;
            let root = root(&world).await;
            let (arn, der) = leaf(&world, &root).await;
            world.app.store.fail_commit(nth, failure);
            let _ = append_all(&world.app).await;
            world.app.store.fail_commit(0, failure);
            let world = world.restart().await;
            let answer = proof(&world, &arn).await;
            assert_eq!(answer.head.size, 2, "{nth} {failure:?}");
            let leaf = leaf_hash(&der);
            let path = unhex_all(&answer.inclusion_proof);
            let newest_root = unhex(&answer.head.root_hash);
            let index = answer.leaf_index as u64;
            assert!(proves_inclusion(&leaf, index, 2, &path, &newest_root));
        }
    }
}

#[tokio::test]
async fn two_that_append_at_once_do_it_once() {
    let world = World::new().await;
    let root = root(&world).await;
    for _ in 0..5 {
        leaf(&world, &root).await;
    }
    let (one, other) = tokio::join!(append_all(&world.app), append_all(&world.app));
    one.and(other).unwrap();
    assert_eq!(head(&world, None).await.head.size, 6);
}

#[tokio::test]
async fn an_empty_log_has_no_head() {
    let world = World::new().await;
    let input = wire::GetCertificateLogHeadRequest { first_size: None };
    let refused = get_certificate_log_head(&world.ctx(), input).await;
    assert_eq!(refused.unwrap_err().kind, ErrorKind::NotFound);
}
