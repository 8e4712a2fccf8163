//! OCSP answers: what they say, when they are kept, who signs them.

use jiff::SignedDuration;
use keystead_crypto::digest::sha1;
use keystead_crypto::x509;

use super::super::revocation;
use super::super::revocation::signer::{SIGNERS, Signers};
use super::revoking::{BOTH, WHILE, leaf, publishing, revoke, root_certificate, serial};
use super::world::*;

/// DER of the issuer's name, and SHA-1 of its key, as the certificate has them.
pub(super) fn issuer_of(pem: &str) -> (Vec<u8>, Vec<u8>) {
    let certificate = parse(pem);
    let key_id = certificate.authority_key_id().unwrap();
    (certificate.issuer_der.clone(), key_id)
}

fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut der = vec![tag];
    match u8::try_from(content.len()).unwrap() {
        short @ 0..=0x7f => der.push(short),
        long => der.extend([0x81, long]),
    }
    der.extend(content);
    der
}

/// A request about one certificate, by SHA-1.
pub(super) fn request(
    issuer_der: &[u8],
    key_hash: &[u8],
    serial: &[u8],
    nonce: Option<&[u8]>,
) -> Vec<u8> {
    let algorithm = [0x30, 7, 6, 5, 0x2b, 14, 3, 2, 26];
    let mut number = serial.to_vec();
    if number[0] & 0x80 != 0 {
        number.insert(0, 0);
    }
    let id = [
        algorithm.to_vec(),
        tlv(4, &sha1(issuer_der)),
        tlv(4, key_hash),
        tlv(2, &number),
    ];
    let list = tlv(0x30, &tlv(0x30, &tlv(0x30, &id.concat())));
    let extension = nonce.map(|nonce| {
        let oid = [6, 9, 0x2b, 6, 1, 5, 5, 7, 48, 1, 2];
        let value = tlv(4, &tlv(4, nonce));
        tlv(
            0xa2,
            &tlv(0x30, &tlv(0x30, &[oid.to_vec(), value].concat())),
        )
    });
    tlv(
        0x30,
        &tlv(0x30, &[list, extension.unwrap_or_default()].concat()),
    )
}

/// The tag of a certificate's status; `None` where there is no answer.
pub(super) async fn status_of(world: &World, pem: &str) -> Option<u8> {
    let (issuer, key_hash) = issuer_of(pem);
    let reply = revocation::answer(
        &world.app,
        &request(&issuer, &key_hash, serial(pem).octets(), None),
    )
    .await;
    status_in(&reply.der, serial(pem).octets())
}

/// The octet behind a serial number in an answer.
fn status_in(der: &[u8], serial: &[u8]) -> Option<u8> {
    let at = der.windows(serial.len()).position(|part| part == serial)?;
    der.get(at + serial.len()).copied()
}

#[tokio::test]
async fn ocsp_answers_change_with_the_revocation() {
    let world = World::new().await;
    let root = publishing(&world, false).await;
    let (good, bad) = (leaf(&world, &root).await, leaf(&world, &root).await);
    for pem in [&good, &bad, &good] {
        assert_eq!(status_of(&world, pem).await, Some(0x80));
    }
    let (issuer, key_hash) = issuer_of(&bad);
    let number = serial(&good);
    let ask = async |nonce: Option<&[u8]>| {
        let request = request(&issuer, &key_hash, number.octets(), nonce);
        revocation::answer(&world.app, &request).await
    };
    let kept = ask(None).await;
    assert_eq!(ask(None).await.der, kept.der, "signed once");
    revoke(&world, &root, &bad).await.unwrap();
    assert_eq!(status_of(&world, &bad).await, Some(0xa1), "at once");
    assert_eq!(ask(None).await.der, kept.der, "the other's stays");
    let nonce = ask(Some(b"once")).await;
    assert!(nonce.holds.is_none());
    assert_ne!(nonce.der, ask(Some(b"once")).await.der);
    // Half of its time later it is made anew.
    world.pass(SignedDuration::from_mins(31));
    let anew = ask(None).await;
    assert!(anew.holds > kept.holds);
    let never = request(&issuer, &key_hash, &[0x11; 9], None);
    let unknown = revocation::answer(&world.app, &never).await;
    assert_eq!(status_in(&unknown.der, &[0x11; 9]), Some(0x82));
    for (request, code) in [
        (request(&issuer, &[1; 20], &[1], None), 6),
        (request(b"another", &key_hash, &[1], None), 6),
        (b"no request".to_vec(), 1),
        (Vec::new(), 1),
    ] {
        let refused = revocation::answer(&world.app, &request).await;
        assert_eq!(refused.der.as_ref(), [0x30, 3, 0x0a, 1, code]);
        assert!(refused.holds.is_none());
    }
}

#[tokio::test]
async fn who_comes_when_all_are_busy_is_told_to_try_later() {
    let world = World::new().await;
    let root = publishing(&world, false).await;
    let (known, new) = (leaf(&world, &root).await, leaf(&world, &root).await);
    assert_eq!(status_of(&world, &known).await, Some(0x80));
    let room = &world.app.responder.room;
    let all = u32::try_from(room.available_permits()).unwrap();
    let busy = room.acquire_many(all).await.unwrap();
    let (issuer, key_hash) = issuer_of(&new);
    let request = request(&issuer, &key_hash, serial(&new).octets(), None);
    let refused = revocation::answer(&world.app, &request).await;
    assert_eq!(refused.der.as_ref(), [0x30, 3, 0x0a, 1, 3]);
    assert_eq!(status_of(&world, &known).await, Some(0x80), "it is kept");
    drop(busy);
    assert_eq!(status_of(&world, &new).await, Some(0x80));
}

#[tokio::test]
async fn who_signs_answers_is_replaced_in_time() {
    let world = World::new().await;
    let root = publishing(&world, false).await;
    let pem = leaf(&world, &root).await;
    let signer = async || {
        let found = world.app.store.scan::<Signers>(SIGNERS, "", None, 2).await;
        let signers = found.unwrap().remove(0).value;
        signers.current.unwrap().certificate
    };
    let first = signer().await;
    let issuer = root_certificate(&world, &root).await;
    let read = x509::Certificate::from_der(&first).unwrap();
    read.verify_issued_by(&issuer.spki_der).unwrap();
    assert!(read.extension("1.3.6.1.5.5.7.48.1.5").is_some());
    assert_eq!(read.not_after - START, 30 * 86_400);
    world.pass(SignedDuration::from_hours(24 * 19));
    world.run_due().await;
    assert_eq!(signer().await, first);
    world.pass(SignedDuration::from_hours(24 * 2));
    world.run_due().await;
    assert_ne!(signer().await, first);
    assert_eq!(status_of(&world, &pem).await, Some(0x80));
}

/// Whatever fails while a signer is made, there is one in the end, and the old one answers until then.
#[tokio::test]
async fn no_failure_leaves_answers_unsigned() {
    let world = World::new().await;
    let root = publishing(&world, false).await;
    for failure in BOTH {
        for nth in 1..=4 {
            let pem = leaf(&world, &root).await;
            world.pass(SignedDuration::from_hours(24 * 21));
            world.app.store.fail_commit(nth, failure);
            crate::tasks::run_due(&world.app).await.ok();
            world.app.store.fail_commit(0, failure);
            assert_eq!(
                status_of(&world, &pem).await,
                Some(0x80),
                "{failure:?} {nth}"
            );
            world.pass(WHILE);
            world.run_due().await;
            let found = world.app.store.scan::<Signers>(SIGNERS, "", None, 2).await;
            let current = found.unwrap().remove(0).value.current.unwrap();
            let made = x509::Certificate::from_der(&current.certificate).unwrap();
            let left = made.not_after - world.app.env.now().as_second();
            assert!(left > 20 * 86_400, "{failure:?} {nth}");
        }
    }
}
