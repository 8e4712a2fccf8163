//! Cut off at every point: each time the rest is done once, and the old version is served meanwhile.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use jiff::{SignedDuration, Timestamp};
use keystead_store::{Collection, Versioned};
use keystead_wire::acm as wire;
use serde::{Deserialize, Serialize};

use super::renewing::acm_key;
use super::world::{DAY, NODE, World};
use crate::acm;
use crate::acm::issue;
use crate::acm::record::{CERTIFICATES, CertificateRecord};

/// Lets a future be polled so often, and no more: whatever it had not begun by then never happens.
struct Cut<F> {
    future: Pin<Box<F>>,
    polls: usize,
}

impl<F: Future> Future for Cut<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.polls == 0 {
            return Poll::Ready(None);
        }
        self.polls -= 1;
        self.future.as_mut().poll(cx).map(Some)
    }
}

async fn cut<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    Cut {
        future: Box::pin(future),
        polls,
    }
    .await
}

/// A request whose call ended right after the request was stored.
pub(super) async fn cut_off(world: &World, request: wire::RequestCertificateRequest) -> String {
    let ctx = world.ctx();
    for polls in 1.. {
        let input = request.clone();
        assert!(
            cut(polls, acm::request_certificate(&ctx, input))
                .await
                .is_none(),
            "cut too late"
        );
        let stored = world
            .app
            .store
            .scan::<CertificateRecord>(CERTIFICATES, "", None, 10)
            .await
            .unwrap();
        if let Some(stored) = stored.into_iter().next() {
            return stored.value.0.arn;
        }
    }
    unreachable!()
}

/// Any record of the CAs.
#[derive(Serialize, Deserialize)]
struct Anything {}

impl Versioned for Anything {
    const MARKER: &'static str = "pca.certificate/2";
}

/// How many certificates CAs have issued.
pub(super) async fn issued_by(world: &World) -> usize {
    world
        .keys::<Anything>(Collection("pca.certificate"))
        .await
        .len()
}

#[tokio::test]
async fn a_renewal_cut_off_anywhere_ends_in_one_new_version() {
    let world = World::new().await;
    let ca = world.ca().await;
    world.grant(&ca).await;
    let (mut cuts, mut halfway) = (0, 0);
    let mut polls = 1;
    for _ in 0..1000 {
        let arn = world.private(&ca).await;
        world.export(&arn).await.unwrap();
        let before = world.delivered(&arn).await;
        let issued = issued_by(&world).await;
        let (ctx, input) = (
            world.ctx(),
            wire::RenewCertificateRequest {
                certificate_arn: arn.clone(),
            },
        );
        let ended = cut(polls, acm::renew_certificate(&ctx, input))
            .await
            .is_some();

        // What was cut off leaves the old version or the new one, whole.
        let meanwhile = world.delivered(&arn).await;
        assert!([1, 2].contains(&meanwhile.version));
        if meanwhile.version == 1 {
            assert_eq!(meanwhile.cert_chain_pem, before.cert_chain_pem);
            assert_eq!(meanwhile.key.as_pem(), before.key.as_pem());
        }
        let begun = world.describe(&arn).await.renewal_summary.is_some();
        halfway += usize::from(begun && meanwhile.version == 1);

        // After a restart and a while, the renewal is done if it was ever stored, and not twice.
        world.pass_and_run(SignedDuration::from_secs(60)).await;
        let after = world.delivered(&arn).await;
        let expected = if begun { 2 } else { after.version };
        assert_eq!(after.version, expected, "cut at {polls}");
        let renewed = usize::try_from(after.version - 1).unwrap();
        assert_eq!(issued_by(&world).await, issued + renewed, "cut at {polls}");
        let leaf =
            keystead_crypto::x509::pem::certificates(after.cert_chain_pem.as_bytes()).unwrap();
        let leaf = keystead_crypto::x509::Certificate::from_der(&leaf[0]).unwrap();
        let key = world
            .app
            .keys
            .import(after.key.as_pem().as_bytes())
            .await
            .unwrap();
        leaf.certifies(&key.spki_der).unwrap();
        world.delete(&arn).await.unwrap();
        cuts += 1;
        // On a busy machine a commit may be done before it is waited for, and there are fewer places to cut: once more.
        match ended {
            true if cuts > 5 && halfway > 2 => break,
            true => polls = 1,
            false => polls += 1,
        }
    }
    assert!(cuts > 5 && halfway > 2, "{cuts} cuts, {halfway} halfway");
    assert!(world.versions().await.is_empty(), "nothing is left behind");
}

#[tokio::test]
async fn a_due_renewal_cut_off_anywhere_goes_on_after_its_lease() {
    let world = World::new().await;
    let ca = world.ca_for_years(30).await;
    world.grant(&ca).await;
    let arn = world.private(&ca).await;
    world.associate(&arn, NODE).await.unwrap();
    let key = acm_key(&arn);
    let mut version = 1;
    for polls in 1..1000 {
        let due = due_at(&world, &key).await;
        world.pass((due.duration_since(world.now())).max(SignedDuration::ZERO) + DAY);
        let issued = issued_by(&world).await;
        let ended = cut(polls, issue::reconcile(&world.app, &key))
            .await
            .is_some();
        assert!(world.delivered(&arn).await.version <= version + 1);
        world.pass_and_run(SignedDuration::from_secs(60)).await;
        version += 1;
        assert_eq!(
            world.delivered(&arn).await.version,
            version,
            "cut at {polls}"
        );
        assert_eq!(issued_by(&world).await, issued + 1, "cut at {polls}");
        let mut kept = world.versions().await;
        kept.sort_unstable();
        assert_eq!(kept, [version - 1, version]);
        if ended || version > 8 {
            break;
        }
    }
    assert!(version > 3, "{version}");
}

async fn due_at(world: &World, key: &str) -> Timestamp {
    let stored = world
        .app
        .store
        .get::<CertificateRecord>(CERTIFICATES, key)
        .await
        .unwrap()
        .unwrap();
    stored.value.0.wake().unwrap()
}
