//! A secret as Envoy's `Secret` message.

use envoy_types::pb::envoy::config::core::v3::{DataSource, data_source::Specifier};
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3 as tls;
use envoy_types::pb::google::protobuf::Any;
use prost::Message;
use zeroize::Zeroize;

use crate::source::SecretKind;

/// The type of every resource of this service.
pub(crate) const TYPE_URL: &str =
    "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";

/// Writes a secret in the form in which it travels.
///
/// The copies made on the way are wiped here; the returned bytes go to the HTTP/2 layer, whose
/// buffers are out of our hands.
pub(crate) fn encode(name: &str, kind: &SecretKind) -> Any {
    let mut secret = tls::Secret {
        name: name.to_owned(),
        r#type: Some(typed(kind)),
    };
    let value = secret.encode_to_vec();
    wipe(&mut secret);
    Any {
        type_url: TYPE_URL.to_owned(),
        value,
    }
}

fn typed(kind: &SecretKind) -> tls::secret::Type {
    match kind {
        SecretKind::TlsCertificate {
            chain_pem,
            private_key_pem,
        } => tls::secret::Type::TlsCertificate(tls::TlsCertificate {
            certificate_chain: inline(chain_pem),
            private_key: inline(private_key_pem),
            ..Default::default()
        }),
        SecretKind::Validation { trust_pem } => {
            tls::secret::Type::ValidationContext(tls::CertificateValidationContext {
                trusted_ca: inline(trust_pem),
                ..Default::default()
            })
        }
    }
}

/// Bytes rather than a string: a receiver need not check them for UTF-8.
fn inline(pem: &str) -> Option<DataSource> {
    Some(DataSource {
        specifier: Some(Specifier::InlineBytes(pem.as_bytes().to_vec())),
        ..Default::default()
    })
}

fn wipe(secret: &mut tls::Secret) {
    if let Some(tls::secret::Type::TlsCertificate(certificate)) = &mut secret.r#type
        && let Some(DataSource {
            specifier: Some(Specifier::InlineBytes(key)),
            ..
        }) = &mut certificate.private_key
    {
        key.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;

    #[test]
    fn a_certificate_travels_with_its_key_under_its_name() {
        let any = encode(
            "arn:leaf",
            &SecretKind::TlsCertificate {
                chain_pem: "CHAIN".to_owned(),
                private_key_pem: Zeroizing::new("KEY".to_owned()),
            },
        );
        let secret = tls::Secret::decode(any.value.as_slice()).unwrap();
        assert_eq!(any.type_url, TYPE_URL);
        assert_eq!(secret.name, "arn:leaf");
        let Some(tls::secret::Type::TlsCertificate(certificate)) = secret.r#type else {
            panic!("not a certificate: {:?}", secret.r#type);
        };
        assert_eq!(certificate.certificate_chain, inline("CHAIN"));
        assert_eq!(certificate.private_key, inline("KEY"));
    }

    #[test]
    fn trust_travels_as_a_validation_context() {
        let any = encode(
            "arn:ca",
            &SecretKind::Validation {
                trust_pem: "ROOT".to_owned(),
            },
        );
        let secret = tls::Secret::decode(any.value.as_slice()).unwrap();
        let Some(tls::secret::Type::ValidationContext(context)) = secret.r#type else {
            panic!("not a validation context: {:?}", secret.r#type);
        };
        assert_eq!(context.trusted_ca, inline("ROOT"));
    }

    #[test]
    fn a_key_does_not_print() {
        let kind = SecretKind::TlsCertificate {
            chain_pem: String::new(),
            private_key_pem: Zeroizing::new("sesame".to_owned()),
        };
        assert!(!format!("{kind:?}").contains("sesame"));
    }
}
