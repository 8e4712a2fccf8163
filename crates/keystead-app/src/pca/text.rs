//! Certificates and requests as text.

use keystead_crypto::x509::pem;

use super::record::OwnCertificate;

/// A certificate in PEM, without a line feed at the end: AWS's answers end at the last hyphen, and
/// `--output text` puts a chain right behind it.
pub(super) fn certificate(der: &[u8]) -> String {
    pem::encode("CERTIFICATE", der).trim_end().to_owned()
}

/// Certificates one after another; `None` for none.
pub(super) fn chain<'a>(certificates: impl IntoIterator<Item = &'a [u8]>) -> Option<String> {
    let all: Vec<String> = certificates.into_iter().map(certificate).collect();
    (!all.is_empty()).then(|| all.join("\n"))
}

/// The certificate that an authority works under and those above it, the root last.
pub(super) fn path(own: &OwnCertificate) -> String {
    let above = own.chain.iter().map(|above| above.as_slice());
    chain(std::iter::once(own.certificate.as_slice()).chain(above)).unwrap_or_default()
}

/// The same, each apart.
pub(super) fn each(own: &OwnCertificate) -> Vec<String> {
    let above = own.chain.iter().map(|above| above.as_slice());
    std::iter::once(own.certificate.as_slice())
        .chain(above)
        .map(certificate)
        .collect()
}

/// A certificate signing request in PEM.
pub(super) fn csr(der: &[u8]) -> String {
    pem::encode("CERTIFICATE REQUEST", der)
}
