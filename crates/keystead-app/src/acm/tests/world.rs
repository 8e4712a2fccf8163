//! A server without its listeners, as for private CAs, and what ACM's tests do with it.

use std::ops::Deref;

use jiff::{SignedDuration, Timestamp};
use keystead_core::x509::{
    Extension, ExtensionValue, GeneralName, KeySpec, Name, NameAttribute, Oid, TbsCertificate,
};
use keystead_core::{Error, ErrorKind};
use keystead_crypto::{NewKey, x509};
use keystead_store::{Collection, Versioned};
use keystead_wire::{acm as wire, acm_pca as pca_wire};

use crate::acm::record::{MATERIAL, Material};
use crate::pca::tests::world as pca_world;
use crate::{acm, pca};

pub(super) struct World(pub(super) pca_world::World);

impl Deref for World {
    type Target = pca_world::World;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

pub(super) const DAY: SignedDuration = SignedDuration::from_hours(24);

/// Somebody who uses certificates.
pub(super) const NODE: &str = "arn:aws:keystead:us-east-1:123456789012:node/web";

impl World {
    pub(super) async fn new() -> Self {
        Self(pca_world::World::new().await)
    }

    pub(super) fn now(&self) -> Timestamp {
        self.app.env.now()
    }

    /// Time passes, and what comes due by it is done.
    pub(super) async fn pass_and_run(&self, time: SignedDuration) {
        self.pass(time);
        self.run_due().await;
    }

    /// A root CA that lives for ten years.
    pub(super) async fn ca(&self) -> String {
        self.ca_for_years(10).await
    }

    pub(super) async fn ca_for_years(&self, years: i64) -> String {
        let arn = self.ca_without_certificate().await;
        let certificate = self.own_certificate(&arn, pca_world::years(years)).await;
        self.install(&arn, &certificate, None).await.unwrap();
        arn
    }

    pub(super) async fn ca_without_certificate(&self) -> String {
        self.create(pca_wire::CertificateAuthorityType::Root, KeySpec::EcP256)
            .await
    }

    /// Lets ACM renew what this CA issues.
    pub(super) async fn grant(&self, ca: &str) {
        use pca_wire::ActionType as Action;
        pca::create_permission(
            &self.ctx(),
            pca_wire::CreatePermissionRequest {
                certificate_authority_arn: ca.into(),
                principal: "acm.amazonaws.com".into(),
                source_account: None,
                actions: vec![
                    Action::IssueCertificate,
                    Action::GetCertificate,
                    Action::ListPermissions,
                ],
            },
        )
        .await
        .unwrap();
    }

    /// Takes that back.
    pub(super) async fn ungrant(&self, ca: &str) {
        pca::delete_permission(
            &self.ctx(),
            pca_wire::DeletePermissionRequest {
                certificate_authority_arn: ca.into(),
                principal: "acm.amazonaws.com".into(),
                source_account: None,
            },
        )
        .await
        .unwrap();
    }

    /// Where the audit journal is.
    pub(super) fn journal_dir(&self) -> std::path::PathBuf {
        self.dir.path().join("data").join(crate::JOURNAL_DIR)
    }

    /// A private certificate for `www.example.com`, with a key that is quick to make.
    pub(super) async fn private(&self, ca: &str) -> String {
        self.request(private(ca)).await.unwrap()
    }

    pub(super) async fn request(
        &self,
        request: wire::RequestCertificateRequest,
    ) -> Result<String, ErrorKind> {
        let answer = acm::request_certificate(&self.ctx(), request).await;
        answer
            .map(|answer| answer.certificate_arn.unwrap())
            .map_err(kind)
    }

    pub(super) async fn describe(&self, arn: &str) -> wire::CertificateDetail {
        let input = wire::DescribeCertificateRequest {
            certificate_arn: arn.into(),
        };
        acm::describe_certificate(&self.ctx(), input)
            .await
            .unwrap()
            .certificate
            .unwrap()
    }

    pub(super) async fn get(&self, arn: &str) -> Result<wire::GetCertificateResponse, ErrorKind> {
        let input = wire::GetCertificateRequest {
            certificate_arn: arn.into(),
        };
        acm::get_certificate(&self.ctx(), input).await.map_err(kind)
    }

    pub(super) async fn export(
        &self,
        arn: &str,
    ) -> Result<wire::ExportCertificateResponse, ErrorKind> {
        let input = wire::ExportCertificateRequest {
            certificate_arn: arn.into(),
            passphrase: b"passphrase".to_vec().into(),
        };
        acm::export_certificate(&self.ctx(), input)
            .await
            .map_err(kind)
    }

    pub(super) async fn renew(&self, arn: &str) -> Result<(), ErrorKind> {
        let input = wire::RenewCertificateRequest {
            certificate_arn: arn.into(),
        };
        acm::renew_certificate(&self.ctx(), input)
            .await
            .map(drop)
            .map_err(kind)
    }

    pub(super) async fn delete(&self, arn: &str) -> Result<(), ErrorKind> {
        let input = wire::DeleteCertificateRequest {
            certificate_arn: arn.into(),
        };
        acm::delete_certificate(&self.ctx(), input)
            .await
            .map(drop)
            .map_err(kind)
    }

    /// Says that a node uses the certificate.
    pub(super) async fn associate(&self, arn: &str, user: &str) -> Result<(), ErrorKind> {
        let ctx = self.ctx();
        let mut batch = keystead_store::Batch::new();
        acm::internal::associate(&ctx, crate::access::Act::Own, &mut batch, arn, user)
            .await
            .map_err(kind)?;
        self.app
            .store
            .commit(batch)
            .await
            .map(drop)
            .map_err(|error| kind(error.into()))
    }

    /// Says that it no longer does.
    pub(super) async fn release(&self, arn: &str, user: &str) -> Result<(), ErrorKind> {
        let ctx = self.ctx();
        let mut batch = keystead_store::Batch::new();
        acm::internal::release(&ctx, &mut batch, arn, user)
            .await
            .map_err(kind)?;
        self.app
            .store
            .commit(batch)
            .await
            .map(drop)
            .map_err(|error| kind(error.into()))
    }

    pub(super) async fn delivered(&self, arn: &str) -> acm::internal::Delivered {
        let ctx = self.ctx();
        acm::internal::material(&self.app, ctx.account(), &ctx.region, arn)
            .await
            .unwrap()
    }

    /// The keys of all records of a collection.
    pub(super) async fn keys<T: Versioned>(&self, collection: Collection) -> Vec<String> {
        let found = self
            .app
            .store
            .scan::<T>(collection, "", None, 1000)
            .await
            .unwrap();
        found.into_iter().map(|stored| stored.key).collect()
    }

    /// The versions of keys that are stored, of all certificates.
    pub(super) async fn versions(&self) -> Vec<u64> {
        let keys = self.keys::<Material>(MATERIAL).await;
        keys.iter()
            .map(|key| key.rsplit('/').next().unwrap().parse().unwrap())
            .collect()
    }

    /// A key as its owner has it.
    pub(super) async fn own_key(&self, spec: KeySpec) -> (NewKey, String) {
        let key = self.app.keys.generate(spec).await.unwrap();
        let pem = self
            .app
            .keys
            .reveal(&key.key)
            .await
            .unwrap()
            .as_pem()
            .to_owned();
        (key, pem)
    }

    /// A certificate of `subject` for `key`, signed by the key of `issuer`.
    pub(super) async fn sign(
        &self,
        subject: &str,
        key: &NewKey,
        issuer: (&str, &NewKey),
        days: std::ops::Range<i64>,
    ) -> String {
        let now = self.now().as_second();
        let algorithm = issuer.1.key.spec().default_signature();
        let tbs = x509::encode_tbs(&TbsCertificate {
            serial: vec![0x03, 0xe9],
            signature: algorithm,
            issuer_der: x509::encode_name(&name(issuer.0)).unwrap(),
            not_before: now + days.start * 86_400,
            not_after: now + days.end * 86_400,
            subject_der: x509::encode_name(&name(subject)).unwrap(),
            spki_der: key.spki_der.clone(),
            extensions: vec![Extension {
                oid: Oid::new("2.5.29.17"),
                critical: false,
                value: ExtensionValue::SubjectAltName(vec![
                    GeneralName::Dns(subject.into()),
                    GeneralName::Dns(format!("alt.{subject}")),
                ]),
            }],
        })
        .unwrap();
        let signature = self
            .app
            .keys
            .sign(&issuer.1.key, algorithm, &tbs)
            .await
            .unwrap();
        x509::pem::encode(
            "CERTIFICATE",
            &x509::assemble(&tbs, algorithm, &signature).unwrap(),
        )
    }
}

pub(super) fn private(ca: &str) -> wire::RequestCertificateRequest {
    wire::RequestCertificateRequest {
        certificate_authority_arn: Some(ca.into()),
        key_algorithm: Some(wire::KeyAlgorithm::EcPrime256v1),
        ..public("www.example.com")
    }
}

pub(super) fn public(domain: &str) -> wire::RequestCertificateRequest {
    wire::RequestCertificateRequest {
        domain_name: domain.into(),
        validation_method: None,
        subject_alternative_names: None,
        idempotency_token: None,
        domain_validation_options: None,
        options: None,
        certificate_authority_arn: None,
        tags: None,
        key_algorithm: None,
        managed_by: None,
    }
}

pub(super) fn kind(error: Error) -> ErrorKind {
    error.kind
}

fn name(common_name: &str) -> Name {
    Name {
        attributes: vec![NameAttribute {
            oid: Oid::new("2.5.4.3"),
            value: common_name.into(),
        }],
    }
}
