//! Step 2 of AWS's walkthrough "Configuring TLS with AWS Certificate Manager" (App Mesh examples): the
//! calls that its commands make, in their order.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::Failure;
use crate::ca::to_acm;
use crate::client::{ACM, ACM_PCA, Client, text};

/// The walkthrough's `SERVICES_DOMAIN`.
pub(super) const DOMAIN: &str = "default.svc.cluster.local";

/// Makes the root CA active: create, sign its own request, import; lets ACM renew what it issues.
/// Returns its ARN and its certificate.
pub(super) async fn root_ca(client: &Client) -> Result<(String, String), Failure> {
    let created = client
        .call(ACM_PCA, "CreateCertificateAuthority", &configuration())
        .await?;
    let arn = text(&created, "CertificateAuthorityArn")?;
    let this = json!({ "CertificateAuthorityArn": arn });
    let csr = client
        .once_there(ACM_PCA, "GetCertificateAuthorityCsr", &this, "Csr")
        .await?;
    let issued = client
        .call(
            ACM_PCA,
            "IssueCertificate",
            &json!({
                "CertificateAuthorityArn": arn,
                "TemplateArn": "arn:aws:acm-pca:::template/RootCACertificate/V1",
                "SigningAlgorithm": "SHA256WITHRSA",
                "Validity": { "Value": 10, "Type": "YEARS" },
                "Csr": STANDARD.encode(csr),
            }),
        )
        .await?;
    let certificate_arn = text(&issued, "CertificateArn")?;
    let which = json!({ "CertificateAuthorityArn": arn, "CertificateArn": certificate_arn });
    let certificate = client
        .once_there(ACM_PCA, "GetCertificate", &which, "Certificate")
        .await?;
    let import =
        json!({ "CertificateAuthorityArn": arn, "Certificate": STANDARD.encode(&certificate) });
    client
        .call(ACM_PCA, "ImportCertificateAuthorityCertificate", &import)
        .await?;
    client
        .call(ACM_PCA, "CreatePermission", &to_acm(arn))
        .await?;
    Ok((arn.to_owned(), certificate))
}

fn configuration() -> Value {
    json!({
        "CertificateAuthorityType": "ROOT",
        "CertificateAuthorityConfiguration": {
            "KeyAlgorithm": "RSA_2048",
            "SigningAlgorithm": "SHA256WITHRSA",
            "Subject": {
                "Country": "US",
                "State": "WA",
                "Locality": "Seattle",
                "Organization": "App Mesh Examples",
                "OrganizationalUnit": "TLS Example",
                "CommonName": DOMAIN,
            },
        },
    })
}

/// Requests the managed certificate and waits until it is issued. Returns its ARN.
pub(super) async fn certificate(client: &Client, ca_arn: &str) -> Result<String, Failure> {
    let request = json!({ "DomainName": format!("*.{DOMAIN}"), "CertificateAuthorityArn": ca_arn });
    let requested = client.call(ACM, "RequestCertificate", &request).await?;
    let arn = text(&requested, "CertificateArn")?;
    let this = json!({ "CertificateArn": arn });
    client
        .once_there(ACM, "GetCertificate", &this, "Certificate")
        .await?;
    Ok(arn.to_owned())
}

/// Renews it now, as ACM does by itself when its time comes.
pub(super) async fn renew(client: &Client, arn: &str) -> Result<(), Failure> {
    client
        .call(ACM, "RenewCertificate", &json!({ "CertificateArn": arn }))
        .await?;
    Ok(())
}
