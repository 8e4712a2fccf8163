//! A server without its listeners, in a directory of its own, with a clock that stands still.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use keystead_core::x509::{
    Extension, ExtensionValue, GeneralName, KeySpec, Name, NameAttribute, Oid,
};
use keystead_core::{AccountId, ErrorKind, Region, Result};
use keystead_crypto::{NewKey, x509};
use keystead_wire::acm_pca as wire;
use parking_lot::Mutex;

use super::super::*;
use crate::outbound::Rotators;
use crate::{App, AppOptions, Ctx, Env, HsmOptions, OpenError, Principal};

/// 2030-01-01T00:00:00Z, so that OpenSSL, which has a clock of its own, is always told the time.
pub(super) const START: i64 = 1_893_456_000;

pub(crate) struct World {
    pub(crate) app: Arc<App>,
    clock: Arc<Clock>,
    pub(crate) dir: tempfile::TempDir,
    rotators: Rotators,
}

/// The time, and how long expired certificates are kept.
struct Clock(Mutex<Timestamp>, Mutex<Option<SignedDuration>>);

impl Env for Clock {
    fn now(&self) -> Timestamp {
        *self.0.lock()
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(Rotators::none()).await
    }

    /// With these rotators.
    pub(crate) async fn with(rotators: Rotators) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(Clock(
            Mutex::new(Timestamp::from_second(START).unwrap()),
            Mutex::default(),
        ));
        let app = open(&dir, &clock, &rotators).await;
        Self {
            app,
            clock,
            dir,
            rotators,
        }
    }

    /// Ends the server and starts another on what it left.
    pub(crate) async fn restart(self) -> Self {
        let Self {
            app,
            clock,
            dir,
            rotators,
        } = self;
        app.store.close().await;
        drop(app);
        let app = open(&dir, &clock, &rotators).await;
        Self {
            app,
            clock,
            dir,
            rotators,
        }
    }

    /// Has expired certificates kept for so long, from the next start on.
    pub(crate) fn keep_expired(&self, keep: Option<SignedDuration>) {
        *self.clock.1.lock() = keep;
    }

    pub(crate) fn pass(&self, time: SignedDuration) {
        let mut now = self.clock.0.lock();
        *now = now.checked_add(time).unwrap();
    }

    pub(crate) fn ctx(&self) -> Ctx {
        self.ctx_of("123456789012", "us-east-1")
    }

    pub(crate) fn ctx_of(&self, account: &str, region: &str) -> Ctx {
        let account = AccountId::parse(account).unwrap();
        Ctx {
            app: Arc::clone(&self.app),
            principal: Principal {
                arn: format!("arn:aws:iam::{account}:root"),
                user_id: account.to_string(),
                access_key_id: "AKIATEST".into(),
                kind: crate::PrincipalKind::Root,
                session: None,
                account,
            },
            region: Region::parse(region).unwrap(),
            request_id: "test".into(),
            source_ip: None,
            user_agent: "test".into(),
            now: self.app.env.now(),
            secure: true,
            access: crate::Access::default(),
        }
    }

    /// Does everything that is due.
    pub(crate) async fn run_due(&self) {
        crate::tasks::run_due(&self.app).await.unwrap();
    }

    pub(crate) async fn create(
        &self,
        kind: wire::CertificateAuthorityType,
        spec: KeySpec,
    ) -> String {
        let created = create_certificate_authority(&self.ctx(), creation(kind, spec))
            .await
            .unwrap();
        created.certificate_authority_arn.unwrap()
    }

    /// A root that is ready to issue.
    pub(super) async fn root(&self, spec: KeySpec) -> String {
        let arn = self
            .create(wire::CertificateAuthorityType::Root, spec)
            .await;
        let certificate = self.own_certificate(&arn, years(10)).await;
        self.install(&arn, &certificate, None).await.unwrap();
        arn
    }

    /// A root's own certificate, issued and fetched.
    pub(crate) async fn own_certificate(&self, root: &str, validity: wire::Validity) -> String {
        let csr = self.csr_of(root).await;
        let order = wire::IssueCertificateRequest {
            template_arn: template("RootCACertificate"),
            validity,
            ..self.order(root, csr.as_bytes()).await
        };
        self.issue_and_get(order).await.certificate.unwrap()
    }

    /// A subordinate of `issuer` that is ready to issue.
    pub(super) async fn subordinate(&self, issuer: &str, path_len: u8, spec: KeySpec) -> String {
        let arn = self
            .create(wire::CertificateAuthorityType::Subordinate, spec)
            .await;
        let csr = self.csr_of(&arn).await;
        let order = wire::IssueCertificateRequest {
            template_arn: template(&format!("SubordinateCACertificate_PathLen{path_len}")),
            validity: years(5),
            ..self.order(issuer, csr.as_bytes()).await
        };
        let got = self.issue_and_get(order).await;
        self.install(
            &arn,
            &got.certificate.unwrap(),
            got.certificate_chain.as_deref(),
        )
        .await
        .unwrap();
        arn
    }

    pub(crate) async fn install(
        &self,
        arn: &str,
        certificate: &str,
        chain: Option<&str>,
    ) -> Result<()> {
        let input = wire::ImportCertificateAuthorityCertificateRequest {
            certificate_authority_arn: arn.into(),
            certificate: certificate.as_bytes().to_vec().into(),
            certificate_chain: chain.map(|chain| chain.as_bytes().to_vec().into()),
        };
        import_certificate_authority_certificate(&self.ctx(), input)
            .await
            .map(|_| ())
    }

    pub(super) async fn csr_of(&self, arn: &str) -> String {
        let input = wire::GetCertificateAuthorityCsrRequest {
            certificate_authority_arn: arn.into(),
        };
        get_certificate_authority_csr(&self.ctx(), input)
            .await
            .unwrap()
            .csr
            .unwrap()
    }

    /// An order for a year's certificate by the default template, signed as the authority likes best.
    pub(crate) async fn order(&self, arn: &str, csr: &[u8]) -> wire::IssueCertificateRequest {
        let configuration = self
            .describe(arn)
            .await
            .certificate_authority_configuration
            .unwrap();
        wire::IssueCertificateRequest {
            api_passthrough: None,
            certificate_authority_arn: arn.into(),
            csr: csr.to_vec().into(),
            signing_algorithm: configuration.signing_algorithm,
            template_arn: None,
            validity: years(1),
            validity_not_before: None,
            idempotency_token: None,
        }
    }

    pub(crate) async fn issue(&self, order: wire::IssueCertificateRequest) -> Result<String> {
        let issued = issue_certificate(&self.ctx(), order).await?;
        Ok(issued.certificate_arn.unwrap())
    }

    pub(crate) async fn get(
        &self,
        authority: &str,
        certificate: &str,
    ) -> Result<wire::GetCertificateResponse> {
        let input = wire::GetCertificateRequest {
            certificate_authority_arn: authority.into(),
            certificate_arn: certificate.into(),
        };
        get_certificate(&self.ctx(), input).await
    }

    pub(super) async fn issue_and_get(
        &self,
        order: wire::IssueCertificateRequest,
    ) -> wire::GetCertificateResponse {
        let authority = order.certificate_authority_arn.clone();
        let arn = self.issue(order).await.unwrap();
        self.get(&authority, &arn).await.unwrap()
    }

    pub(super) async fn describe(&self, arn: &str) -> wire::CertificateAuthority {
        self.try_describe(arn).await.unwrap()
    }

    pub(super) async fn try_describe(&self, arn: &str) -> Result<wire::CertificateAuthority> {
        let input = wire::DescribeCertificateAuthorityRequest {
            certificate_authority_arn: arn.into(),
        };
        let described = describe_certificate_authority(&self.ctx(), input).await?;
        Ok(described.certificate_authority.unwrap())
    }

    pub(crate) async fn status(&self, arn: &str) -> &'static str {
        self.describe(arn).await.status.unwrap().as_str()
    }

    pub(super) async fn set_status(
        &self,
        arn: &str,
        status: wire::CertificateAuthorityStatus,
    ) -> Result<()> {
        let input = wire::UpdateCertificateAuthorityRequest {
            certificate_authority_arn: arn.into(),
            revocation_configuration: None,
            status: Some(status),
        };
        update_certificate_authority(&self.ctx(), input)
            .await
            .map(|_| ())
    }

    pub(super) async fn delete(&self, arn: &str, days: Option<i32>) -> Result<()> {
        let input = wire::DeleteCertificateAuthorityRequest {
            certificate_authority_arn: arn.into(),
            permanent_deletion_time_in_days: days,
        };
        delete_certificate_authority(&self.ctx(), input)
            .await
            .map(|_| ())
    }

    /// A request for `names`, and its key.
    pub(crate) async fn csr(
        &self,
        spec: KeySpec,
        common_name: &str,
        names: &[&str],
    ) -> (Vec<u8>, NewKey) {
        let key = self.app.keys.generate(spec).await.unwrap();
        let names: Vec<_> = names
            .iter()
            .map(|name| GeneralName::Dns((*name).into()))
            .collect();
        let extension = (!names.is_empty()).then(|| Extension {
            oid: Oid::new("2.5.29.17"),
            critical: false,
            value: ExtensionValue::SubjectAltName(names),
        });
        let csr = self
            .signed_request(&key, &subject_der(common_name), extension.as_slice())
            .await;
        (csr, key)
    }

    pub(super) async fn signed_request(
        &self,
        key: &NewKey,
        subject: &[u8],
        extensions: &[Extension],
    ) -> Vec<u8> {
        let info = x509::encode_csr_info(subject, &key.spki_der, extensions).unwrap();
        let algorithm = key.key.spec().default_signature();
        let signature = self
            .app
            .keys
            .sign(&key.key, algorithm, &info)
            .await
            .unwrap();
        let der = x509::assemble(&info, algorithm, &signature).unwrap();
        x509::pem::encode("CERTIFICATE REQUEST", &der).into_bytes()
    }

    /// Asks OpenSSL, strictly, whether the certificate follows from the root at the world's time.
    pub(crate) fn openssl_verify(
        &self,
        certificate: &str,
        chain: &[&str],
        root: &str,
    ) -> std::result::Result<(), String> {
        let file = |name: &str, text: &str| {
            let path = self.dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let (root, above) = (file("root.pem", root), file("above.pem", &chain.join("\n")));
        let mut command = Command::new("openssl");
        let now = self.app.env.now().as_second().to_string();
        command
            .args([
                "verify",
                "-x509_strict",
                "-check_ss_sig",
                "-attime",
                &now,
                "-CAfile",
            ])
            .arg(root);
        if !chain.is_empty() {
            command.arg("-untrusted").arg(above);
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(certificate.as_bytes())
            .unwrap();
        let output = child.wait_with_output().unwrap();
        if output.status.success() {
            return Ok(());
        }
        Err(String::from_utf8_lossy(&output.stderr).into_owned()
            + &String::from_utf8_lossy(&output.stdout))
    }
}

/// A child that another test has just forked holds the lock of a directory for as long as it has not become another
/// program: whoever opens it again waits for that.
async fn open(dir: &tempfile::TempDir, clock: &Arc<Clock>, rotators: &Rotators) -> Arc<App> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match try_open(dir, clock, rotators).await {
            Ok(app) => return app,
            Err(error) => {
                let locked = error.to_string().contains("is in use by process");
                assert!(locked && Instant::now() < deadline, "{error}");
                tokio::task::yield_now().await;
            }
        }
    }
}

async fn try_open(
    dir: &tempfile::TempDir,
    clock: &Arc<Clock>,
    rotators: &Rotators,
) -> Result<Arc<App>, OpenError> {
    let options = AppOptions {
        hsm: HsmOptions::default(),
        known_keys: keystead_core::lint::KnownKeys::default(),
        data_dir: dir.path().join("data"),
        root_key: None,
        account: Some(AccountId::parse("123456789012").unwrap()),
        root_credential: None,
        audit_sync: false,
        accept_rollback: false,
        keep_expired: *clock.1.lock(),
        env: Arc::clone(clock) as Arc<dyn Env>,
        fetch: crate::outbound::nothing(),
        exchange: crate::outbound::nobody(),
        rotators: rotators.clone(),
    };
    Ok(App::open(options).await?.0)
}

pub(super) fn creation(
    kind: wire::CertificateAuthorityType,
    spec: KeySpec,
) -> wire::CreateCertificateAuthorityRequest {
    wire::CreateCertificateAuthorityRequest {
        certificate_authority_configuration: wire::CertificateAuthorityConfiguration {
            key_algorithm: wire::KeyAlgorithm::parse(spec.pca_name()).unwrap(),
            signing_algorithm: wire::SigningAlgorithm::parse(spec.default_signature().pca_name())
                .unwrap(),
            subject: wire::Asn1Subject {
                country: Some("US".into()),
                organization: Some("App Mesh Examples".into()),
                common_name: Some(format!("{} test CA", spec.pca_name())),
                ..wire::Asn1Subject::default()
            },
            csr_extensions: None,
        },
        revocation_configuration: None,
        certificate_authority_type: kind,
        idempotency_token: None,
        key_storage_security_standard: None,
        tags: None,
        usage_mode: None,
    }
}

pub(super) fn template(name: &str) -> Option<String> {
    Some(format!("arn:aws:acm-pca:::template/{name}/V1"))
}

pub(crate) fn years(value: i64) -> wire::Validity {
    wire::Validity {
        value,
        type_: wire::ValidityPeriodType::Years,
    }
}

pub(super) fn days(value: i64) -> wire::Validity {
    wire::Validity {
        value,
        type_: wire::ValidityPeriodType::Days,
    }
}

pub(super) fn subject_der(common_name: &str) -> Vec<u8> {
    let attributes = vec![NameAttribute {
        oid: Oid::new("2.5.4.3"),
        value: common_name.into(),
    }];
    x509::encode_name(&Name { attributes }).unwrap()
}

pub(super) fn parse(pem: &str) -> x509::Certificate {
    x509::Certificate::parse(pem.as_bytes()).unwrap()
}

pub(super) fn kind<T>(result: Result<T>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind)
}
