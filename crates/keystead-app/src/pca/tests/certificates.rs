//! Certificates that exist: own ones installed, others fetched and revoked.

use jiff::SignedDuration;
use keystead_core::ErrorKind;
use keystead_core::x509::KeySpec;
use keystead_wire::acm_pca as wire;

use super::super::*;
use super::world::*;

#[tokio::test]
async fn only_what_fits_is_installed() {
    let world = World::new().await;
    let root = world.root(KeySpec::EcP256).await;
    let root_pem = world.describe_own(&root).await;
    let sub = world
        .create(wire::CertificateAuthorityType::Subordinate, KeySpec::EcP256)
        .await;
    let order = wire::IssueCertificateRequest {
        template_arn: template("SubordinateCACertificate_PathLen0"),
        ..world
            .order(&root, world.csr_of(&sub).await.as_bytes())
            .await
    };
    let good = world.issue_and_get(order).await.certificate.unwrap();

    let refused = async |certificate: &str, chain: Option<&str>| {
        kind(world.install(&sub, certificate, chain).await)
    };
    let malformed = Some(ErrorKind::MalformedCertificate);
    let mismatch = Some(ErrorKind::CertificateMismatch);
    assert_eq!(refused("invalid certificate pem", None).await, malformed);
    assert_eq!(refused(&good, Some("nonsense")).await, malformed);
    assert_eq!(
        refused(&root_pem, Some(&root_pem)).await,
        mismatch,
        "another key"
    );
    assert_eq!(refused(&good, None).await, Some(ErrorKind::InvalidRequest));
    assert_eq!(
        refused(&good, Some("")).await,
        Some(ErrorKind::InvalidRequest)
    );

    let other_root = world.root(KeySpec::EcP256).await;
    let other_pem = world.describe_own(&other_root).await;
    // Same name, other key: only the signature tells them apart.
    assert_eq!(refused(&good, Some(&other_pem)).await, mismatch);

    // A leaf for the authority's own key.
    let leaf = world
        .issue_and_get(
            world
                .order(&root, world.csr_of(&sub).await.as_bytes())
                .await,
        )
        .await;
    assert_eq!(
        refused(&leaf.certificate.unwrap(), Some(&root_pem)).await,
        malformed
    );

    assert_eq!(refused(&good, Some(&root_pem)).await, None);
    assert_eq!(world.status(&sub).await, "ACTIVE");
    let input = wire::GetCertificateAuthorityCertificateRequest {
        certificate_authority_arn: sub,
    };
    let shown = get_certificate_authority_certificate(&world.ctx(), input)
        .await
        .unwrap();
    assert_eq!(shown.certificate, Some(good));
    assert_eq!(shown.certificate_chain, Some(root_pem));
}

#[tokio::test]
async fn an_expired_certificate_is_not_installed() {
    let world = World::new().await;
    let root = world
        .create(wire::CertificateAuthorityType::Root, KeySpec::EcP256)
        .await;
    let certificate = world.own_certificate(&root, days(1)).await;
    world.pass(SignedDuration::from_hours(25));
    assert_eq!(
        kind(world.install(&root, &certificate, None).await),
        Some(ErrorKind::MalformedCertificate)
    );
}

#[tokio::test]
async fn a_certificate_keeps_the_chain_under_which_it_was_issued() {
    let world = World::new().await;
    let root = world.root(KeySpec::EcP256).await;
    let before = world.describe_own(&root).await;
    let (csr, _) = world.csr(KeySpec::EcP256, "leaf.test", &[]).await;
    let old = world.issue(world.order(&root, &csr).await).await.unwrap();
    world.pass(SignedDuration::from_hours(1));
    let renewed = world.own_certificate(&root, years(15)).await;
    world.install(&root, &renewed, None).await.unwrap();
    let new = world.issue(world.order(&root, &csr).await).await.unwrap();
    assert_eq!(
        world.get(&root, &old).await.unwrap().certificate_chain,
        Some(before)
    );
    assert_eq!(
        world.get(&root, &new).await.unwrap().certificate_chain,
        Some(renewed)
    );
}

#[tokio::test]
async fn text_ends_where_awss_ends() {
    let world = World::new().await;
    let root = world
        .create(wire::CertificateAuthorityType::Root, KeySpec::EcP256)
        .await;
    let order = wire::IssueCertificateRequest {
        template_arn: template("RootCACertificate"),
        ..world
            .order(&root, world.csr_of(&root).await.as_bytes())
            .await
    };
    let got = world.issue_and_get(order).await;
    assert_eq!(got.certificate_chain, None, "a root stands alone");
    let text = got.certificate.unwrap();
    assert!(
        text.starts_with("-----BEGIN CERTIFICATE-----\n")
            && text.ends_with("\n-----END CERTIFICATE-----")
    );
}

#[tokio::test]
async fn unknown_certificates_are_not_found() {
    let world = World::new().await;
    let root = world.root(KeySpec::EcP256).await;
    let other = world.root(KeySpec::EcP256).await;
    let (csr, _) = world.csr(KeySpec::EcP256, "leaf.test", &[]).await;
    let arn = world.issue(world.order(&root, &csr).await).await.unwrap();
    let not_found = Some(ErrorKind::NotFound);
    assert_eq!(
        kind(
            world
                .get(&root, &format!("{root}/certificate/{:032x}", 7))
                .await
        ),
        not_found
    );
    assert_eq!(
        kind(world.get(&root, &format!("{root}/certificate/7")).await),
        not_found
    );
    assert_eq!(
        kind(
            world
                .get(
                    &root,
                    &arn.to_uppercase().replace(&root.to_uppercase(), &root)
                )
                .await
        ),
        Some(ErrorKind::InvalidArn)
    );
    assert_eq!(
        kind(world.get(&other, &arn).await),
        Some(ErrorKind::InvalidArn)
    );
    assert_eq!(
        kind(world.get(&root, &root).await),
        Some(ErrorKind::InvalidArn)
    );
}

#[tokio::test]
async fn a_certificate_is_revoked_once_and_can_still_be_fetched() {
    let world = World::new().await;
    let root = world.root(KeySpec::EcP256).await;
    let (csr, _) = world.csr(KeySpec::EcP256, "leaf.test", &[]).await;
    let arn = world.issue(world.order(&root, &csr).await).await.unwrap();
    let hex = arn.rsplit('/').next().unwrap().to_owned();
    let revoke = async |serial: &str| {
        let input = wire::RevokeCertificateRequest {
            certificate_authority_arn: root.clone(),
            certificate_serial: serial.into(),
            revocation_reason: wire::RevocationReason::KeyCompromise,
        };
        kind(revoke_certificate(&world.ctx(), input).await)
    };
    assert_eq!(revoke("not hex").await, Some(ErrorKind::InvalidRequest));
    assert_eq!(revoke("0102").await, Some(ErrorKind::NotFound));
    // RFC 5280 section 4.1.2.2 allows 20 octets.
    for digits in [40, 64] {
        let long = "1".repeat(digits);
        assert_eq!(revoke(&long).await, Some(ErrorKind::NotFound));
    }
    assert_eq!(revoke(":").await, Some(ErrorKind::InvalidRequest));
    let own = world.own_certificate(&root, years(1)).await;
    let own = parse(&own)
        .serial
        .iter()
        .map(|octet| format!("{octet:02x}"))
        .collect::<String>();
    assert_eq!(
        revoke(&own).await,
        Some(ErrorKind::InvalidRequest),
        "a root's own can't be revoked"
    );
    let colons: Vec<String> = hex
        .as_bytes()
        .chunks(2)
        .map(|pair| String::from_utf8_lossy(pair).to_uppercase())
        .collect();
    assert_eq!(revoke(&colons.join(":")).await, None);
    assert_eq!(revoke(&hex).await, Some(ErrorKind::RequestAlreadyProcessed));
    assert!(world.get(&root, &arn).await.is_ok());
}

impl World {
    /// The certificate that an authority works under.
    async fn describe_own(&self, arn: &str) -> String {
        let input = wire::GetCertificateAuthorityCertificateRequest {
            certificate_authority_arn: arn.into(),
        };
        get_certificate_authority_certificate(&self.ctx(), input)
            .await
            .unwrap()
            .certificate
            .unwrap()
    }
}
