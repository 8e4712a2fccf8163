//! Roll-overs carried out, with a node that says what it was sent, and cut off at every commit.

use jiff::SignedDuration;
use keystead_core::ErrorKind;
use keystead_core::x509::KeySpec;
use keystead_store::faults::Failure;
use keystead_wire::keystead::TrustRollOverPhase as Phase;
use keystead_wire::{acm as acm_wire, acm_pca as pca_wire, keystead as wire};

use super::*;
use crate::nodes::{self, News};
use crate::pca::tests::world::{World, years};
use crate::{acm, pca};

const DAY: SignedDuration = SignedDuration::from_hours(24);

/// Two roots that ACM may issue from, a certificate of the first, and a node that uses both.
struct Scene {
    world: World,
    old: String,
    new: String,
    certificate: String,
    /// The node, and the authority that it is registered to trust.
    node: (String, String),
}

impl Scene {
    async fn new() -> Self {
        let world = World::new().await;
        let old = root(&world).await;
        let new = root(&world).await;
        let requested = acm::request_certificate(&world.ctx(), request(&old)).await;
        let certificate = requested.unwrap().certificate_arn.unwrap();
        let registration = wire::RegisterNodeRequest {
            name: "web".into(),
            certificate_arns: Some(vec![certificate.clone()]),
            trust_arns: Some(vec![old.clone()]),
            unix_uid: Some(1),
            csr: None,
        };
        let node = nodes::register_node(&world.ctx(), registration)
            .await
            .unwrap()
            .node_arn;
        Self {
            node: (node, old.clone()),
            world,
            old,
            new,
            certificate,
        }
    }

    async fn start(&self, automatic: bool) -> Result<String> {
        let input = wire::StartTrustRollOverRequest {
            replacements: vec![wire::AuthorityReplacement {
                old_authority_arn: self.old.clone(),
                new_authority_arn: self.new.clone(),
            }],
            automatic: Some(automatic),
            settle_seconds: Some(0),
        };
        let started = start_trust_roll_over(&self.world.ctx(), input).await?;
        Ok(started.trust_roll_over.trust_roll_over_arn)
    }

    async fn advance(&self, arn: &str) -> Result<Phase> {
        let input = wire::AdvanceTrustRollOverRequest {
            trust_roll_over_arn: arn.into(),
        };
        let advanced = advance_trust_roll_over(&self.world.ctx(), input).await?;
        Ok(advanced.trust_roll_over.phase)
    }

    async fn abort(&self, arn: &str) -> Result<Phase> {
        let input = wire::AbortTrustRollOverRequest {
            trust_roll_over_arn: arn.into(),
        };
        let aborted = abort_trust_roll_over(&self.world.ctx(), input).await?;
        Ok(aborted.trust_roll_over.phase)
    }

    async fn described(&self, arn: &str) -> wire::TrustRollOver {
        let input = wire::DescribeTrustRollOverRequest {
            trust_roll_over_arn: arn.into(),
        };
        describe_trust_roll_over(&self.world.ctx(), input)
            .await
            .unwrap()
            .trust_roll_over
    }

    /// The authorities that are trusted under this name.
    async fn trusted(&self, arn: &str) -> Vec<String> {
        self.bundle(arn).await.authorities
    }

    async fn bundle(&self, arn: &str) -> Bundle {
        let ctx = self.world.ctx();
        bundle(&self.world.app, ctx.account(), &ctx.region, arn)
            .await
            .unwrap()
    }

    /// The node connects, and accepts all that it would be sent now.
    async fn node_takes_all(&self) {
        let ctx = self.world.ctx();
        let app = &self.world.app;
        let (node, trusted) = &self.node;
        let trust = self.bundle(trusted).await.version;
        let served =
            acm::internal::served(app, ctx.account(), &ctx.region, &self.certificate, ctx.now);
        let (_, version) = served.await.unwrap().unwrap();
        for (stream, resource, version) in [(1, trusted, trust), (2, &self.certificate, version)] {
            app.deliveries.note(node, stream, News::Connected, ctx.now);
            let resource = resource.clone();
            let accepted = News::Accepted { resource, version };
            app.deliveries.note(node, stream, accepted, ctx.now);
        }
    }

    /// Everything due is done, the node takes what comes of it, and so on until nothing is left to wait for.
    async fn come_to_rest(&self) {
        for _ in 0..4 {
            self.world.run_due().await;
            self.node_takes_all().await;
            self.world.pass(SignedDuration::from_secs(31));
        }
        self.world.run_due().await;
    }

    /// Longer than a certificate's life, in steps that let it be renewed.
    async fn a_life_passes(&self) {
        for _ in 0..6 {
            self.world.pass(DAY * 70);
            self.come_to_rest().await;
        }
    }

    /// Which authority issued what is served.
    async fn issuer(&self) -> String {
        let ctx = self.world.ctx();
        let input = acm_wire::DescribeCertificateRequest {
            certificate_arn: self.certificate.clone(),
        };
        let described = acm::describe_certificate(&ctx, input).await.unwrap();
        described
            .certificate
            .unwrap()
            .certificate_authority_arn
            .unwrap()
    }

    async fn serial(&self) -> String {
        let input = acm_wire::DescribeCertificateRequest {
            certificate_arn: self.certificate.clone(),
        };
        let described = acm::describe_certificate(&self.world.ctx(), input).await;
        described.unwrap().certificate.unwrap().serial.unwrap()
    }

    async fn revoke(&self, serial: &str) {
        let input = pca_wire::RevokeCertificateRequest {
            certificate_authority_arn: self.old.clone(),
            certificate_serial: serial.into(),
            revocation_reason: pca_wire::RevocationReason::Superseded,
        };
        pca::revoke_certificate(&self.world.ctx(), input)
            .await
            .unwrap();
    }
}

async fn root(world: &World) -> String {
    let arn = world
        .create(pca_wire::CertificateAuthorityType::Root, KeySpec::EcP256)
        .await;
    let certificate = world.own_certificate(&arn, years(10)).await;
    world.install(&arn, &certificate, None).await.unwrap();
    use pca_wire::ActionType as Action;
    let permission = pca_wire::CreatePermissionRequest {
        certificate_authority_arn: arn.clone(),
        principal: "acm.amazonaws.com".into(),
        source_account: None,
        actions: vec![Action::IssueCertificate, Action::GetCertificate],
    };
    pca::create_permission(&world.ctx(), permission)
        .await
        .unwrap();
    arn
}

fn request(ca: &str) -> acm_wire::RequestCertificateRequest {
    acm_wire::RequestCertificateRequest {
        domain_name: "www.example.com".into(),
        validation_method: None,
        subject_alternative_names: None,
        idempotency_token: None,
        domain_validation_options: None,
        options: None,
        certificate_authority_arn: Some(ca.into()),
        tags: None,
        key_algorithm: Some(acm_wire::KeyAlgorithm::EcPrime256v1),
        managed_by: None,
    }
}

#[tokio::test]
async fn nothing_is_withdrawn_or_issued_before_its_time() {
    let scene = Scene::new().await;
    scene.node_takes_all().await;
    let serial = scene.serial().await;
    let before = scene.bundle(&scene.old).await;
    let arn = scene.start(false).await.unwrap();
    assert!(scene.bundle(&scene.old).await.version > before.version);
    assert_eq!(
        scene.trusted(&scene.old).await,
        [scene.old.clone(), scene.new.clone()]
    );
    assert_eq!(
        scene.trusted(&scene.new).await,
        [scene.new.clone(), scene.old.clone()]
    );
    scene.world.run_due().await;
    let refused = scene.advance(&arn).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::InvalidState);
    assert!(
        refused.message.contains("the node web has not confirmed"),
        "{refused}"
    );

    scene.come_to_rest().await;
    assert_eq!(scene.issuer().await, scene.old, "nobody asked for more");
    assert_eq!(scene.advance(&arn).await.unwrap(), Phase::Issuing);
    scene.come_to_rest().await;
    assert_eq!(scene.issuer().await, scene.new);
    assert_ne!(scene.serial().await, serial);
    assert_eq!(scene.described(&arn).await.certificates_moved, 1);
    assert_eq!(scene.advance(&arn).await.unwrap(), Phase::Retiring);
    assert_eq!(scene.world.status(&scene.old).await, "DISABLED");

    // The old certificate is still alive somewhere.
    scene.come_to_rest().await;
    let refused = scene.advance(&arn).await.unwrap_err();
    assert!(refused.message.contains("is valid until"), "{refused}");
    scene.a_life_passes().await;
    assert_eq!(scene.advance(&arn).await.unwrap(), Phase::Done);
    for name in [&scene.old, &scene.new] {
        assert_eq!(scene.trusted(name).await, only(&scene.new));
    }
    assert_eq!(
        scene.advance(&arn).await.unwrap_err().kind,
        ErrorKind::InvalidState
    );
}

#[tokio::test]
async fn an_automatic_one_needs_nobody() {
    let scene = Scene::new().await;
    let arn = scene.start(true).await.unwrap();
    for _ in 0..4 {
        scene.come_to_rest().await;
    }
    assert_eq!(scene.described(&arn).await.phase, Phase::Retiring);
    scene.a_life_passes().await;
    assert_eq!(scene.described(&arn).await.phase, Phase::Done);
}

#[tokio::test]
async fn who_revokes_what_is_left_need_not_wait() {
    let scene = Scene::new().await;
    let serial = scene.serial().await;
    let arn = scene.start(true).await.unwrap();
    for _ in 0..4 {
        scene.come_to_rest().await;
    }
    assert!(
        scene
            .described(&arn)
            .await
            .last_certificate_ends_at
            .is_some()
    );
    scene.revoke(&serial).await;
    let refused = scene.advance(&arn).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::InvalidState, "it was not seen yet");
    scene.come_to_rest().await;
    assert_eq!(scene.described(&arn).await.phase, Phase::Done);
}

/// RFC 4210 section 4.4: who trusts the old root follows the cross-certificate to the new one's certificates.
#[tokio::test]
async fn the_old_root_vouches_for_the_new() {
    let scene = Scene::new().await;
    let arn = scene.start(false).await.unwrap();
    scene.come_to_rest().await;
    scene.advance(&arn).await.unwrap();
    scene.come_to_rest().await;
    let cross = scene.described(&arn).await.cross_certificates;
    assert_eq!(cross.len(), 1);
    let by_old = cross
        .iter()
        .find(|cross| cross.issuer_authority_arn == scene.old)
        .unwrap();
    assert_eq!(by_old.subject_authority_arn, scene.new);
    let input = acm_wire::GetCertificateRequest {
        certificate_arn: scene.certificate.clone(),
    };
    let served = acm::get_certificate(&scene.world.ctx(), input)
        .await
        .unwrap();
    let leaf = served.certificate.unwrap();
    let ctx = scene.world.ctx();
    let old = pca::internal::trust(&ctx.app, ctx.account(), &ctx.region, &scene.old);
    let old = old.await.unwrap().pem;
    let vouched = by_old.certificate.clone().unwrap();
    assert_eq!(scene.world.openssl_verify(&leaf, &[&vouched], &old), Ok(()));
    assert!(scene.world.openssl_verify(&leaf, &[], &old).is_err());
}

#[tokio::test]
async fn it_can_be_given_up_until_the_old_retires() {
    let scene = Scene::new().await;
    let arn = scene.start(false).await.unwrap();
    assert_eq!(scene.abort(&arn).await.unwrap(), Phase::Aborted);
    assert_eq!(scene.trusted(&scene.old).await, only(&scene.old));
    assert_eq!(scene.trusted(&scene.new).await, only(&scene.new));

    // A second try may be started, comes further, and goes back.
    let arn = scene.start(false).await.unwrap();
    scene.come_to_rest().await;
    scene.advance(&arn).await.unwrap();
    scene.come_to_rest().await;
    assert_eq!(scene.issuer().await, scene.new);
    assert_eq!(scene.abort(&arn).await.unwrap(), Phase::Returning);
    assert_eq!(scene.trusted(&scene.old).await.len(), 2, "both are in use");
    scene.come_to_rest().await;
    assert_eq!(scene.issuer().await, scene.old);
    assert_eq!(scene.advance(&arn).await.unwrap(), Phase::Aborted);
    assert_eq!(scene.trusted(&scene.old).await, only(&scene.old));

    let arn = scene.start(false).await.unwrap();
    for _ in 0..2 {
        scene.come_to_rest().await;
        scene.advance(&arn).await.unwrap();
    }
    let refused = scene.abort(&arn).await.unwrap_err();
    assert!(refused.message.contains("the other way"), "{refused}");
}

#[tokio::test]
async fn a_name_follows_its_successors() {
    let mut scene = Scene::new().await;
    let first = scene.old.clone();
    for _ in 0..2 {
        let arn = scene.start(true).await.unwrap();
        for _ in 0..4 {
            scene.come_to_rest().await;
        }
        scene.a_life_passes().await;
        assert_eq!(scene.described(&arn).await.phase, Phase::Done);
        let version = scene.bundle(&first).await.version;
        let next = root(&scene.world).await;
        scene.old = std::mem::replace(&mut scene.new, next);
        assert_eq!(scene.trusted(&first).await, only(&scene.old));
        assert!(scene.bundle(&first).await.version >= version);
    }
    // The node still uses the first name: while the third comes, it has both.
    scene.start(false).await.unwrap();
    assert_eq!(scene.trusted(&first).await.len(), 2);
}

#[tokio::test]
async fn what_is_no_plan_is_refused() {
    let scene = Scene::new().await;
    let arn = scene.start(false).await.unwrap();
    let refused = scene.start(false).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Conflict);
    assert!(refused.message.contains(&arn), "{refused}");

    let mut other = Scene::new().await;
    other.new = other
        .world
        .create(pca_wire::CertificateAuthorityType::Root, KeySpec::EcP256)
        .await;
    let refused = other.start(false).await.unwrap_err();
    assert!(refused.message.contains("it is not ACTIVE"), "{refused}");
    let certificate = other.world.own_certificate(&other.new, years(10)).await;
    other
        .world
        .install(&other.new, &certificate, None)
        .await
        .unwrap();
    let refused = other.start(false).await.unwrap_err();
    assert!(refused.message.contains("has not granted ACM"), "{refused}");
    other.new = format!("{}0", other.new);
    assert_eq!(
        other.start(false).await.unwrap_err().kind,
        ErrorKind::NotFound
    );
}

#[tokio::test]
async fn what_is_asked_of_the_old_meanwhile_goes_along() {
    let scene = Scene::new().await;
    let arn = scene.start(false).await.unwrap();
    scene.come_to_rest().await;
    scene.advance(&arn).await.unwrap();
    scene.come_to_rest().await;
    let late = acm::request_certificate(&scene.world.ctx(), request(&scene.old))
        .await
        .unwrap();
    scene.world.pass(SignedDuration::from_secs(61));
    scene.come_to_rest().await;
    let input = acm_wire::DescribeCertificateRequest {
        certificate_arn: late.certificate_arn.unwrap(),
    };
    let described = acm::describe_certificate(&scene.world.ctx(), input)
        .await
        .unwrap();
    let authority = described.certificate.unwrap().certificate_authority_arn;
    assert_eq!(authority, Some(scene.new.clone()));
}

/// Every commit fails once, at every place, as on a full disk and as in a crash right behind it.
#[tokio::test]
async fn cut_off_anywhere_it_comes_to_the_same_end() {
    for failure in [Failure::Refused, Failure::Unheard] {
        for nth in 1.. {
            let scene = Scene::new().await;
            scene.node_takes_all().await;
            scene.world.app.store.fail_commit(nth, failure);
            let arn = match scene.start(true).await {
                Ok(arn) => arn,
                // Whoever hears nothing asks again, and is told what there is.
                Err(error) if error.kind != ErrorKind::Conflict => match scene.start(true).await {
                    Ok(arn) => arn,
                    Err(_) => listed(&scene).await,
                },
                Err(error) => panic!("{error}"),
            };
            for _ in 0..5 {
                scene.come_to_rest().await;
                // At no time is something served that the node does not trust.
                let trusted = scene.trusted(&scene.old).await;
                assert!(trusted.contains(&scene.issuer().await), "{nth} {failure:?}");
            }
            let unspent = scene.world.app.store.is_to_fail();
            let roll_over = scene.described(&arn).await;
            assert_eq!(
                roll_over.phase,
                Phase::Retiring,
                "{nth} {failure:?}: {roll_over:?}"
            );
            assert_eq!(roll_over.certificates_moved, 1, "{nth} {failure:?}");
            assert_eq!(roll_over.cross_certificates.len(), 1, "{nth} {failure:?}");
            assert_eq!(scene.world.status(&scene.old).await, "DISABLED");
            if unspent {
                assert!(nth > 8, "only {nth} commits");
                break;
            }
            scene.world.app.store.fail_commit(0, failure);
        }
    }
}

fn only(arn: &str) -> Vec<String> {
    vec![arn.to_owned()]
}

async fn listed(scene: &Scene) -> String {
    let input = wire::ListTrustRollOversRequest {
        max_results: None,
        next_token: None,
    };
    let mut all = list_trust_roll_overs(&scene.world.ctx(), input)
        .await
        .unwrap()
        .trust_roll_overs;
    assert_eq!(all.len(), 1);
    all.remove(0).trust_roll_over_arn
}
