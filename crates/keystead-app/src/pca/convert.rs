//! Between AWS's shapes and the core's vocabulary.

use jiff::Timestamp;
use keystead_core::pca::{
    self, CertificateAuthority, CrlConfiguration, CsrExtensions, Kind, OcspConfiguration,
    RevocationConfiguration, StandardAttribute, Status, Subject, UsageMode, Validity, ValidityUnit,
    decimal,
};
use keystead_core::x509::{KeySpec, KeyUsageBit, NameAttribute, Oid, SignatureAlgorithm};
use keystead_core::{Error, ErrorKind, Result};
use keystead_wire::acm_pca as wire;

/// A kind of key that we make.
pub(super) fn key_spec(algorithm: wire::KeyAlgorithm) -> Result<KeySpec> {
    KeySpec::from_pca_name(algorithm.as_str()).ok_or_else(|| {
        let known: Vec<&str> = KeySpec::ALL.into_iter().map(KeySpec::pca_name).collect();
        invalid(format!(
            "The key algorithm {} is not supported; these are: {}.",
            algorithm.as_str(),
            known.join(", ")
        ))
    })
}

/// A signature that we make.
pub(super) fn signature(algorithm: wire::SigningAlgorithm) -> Result<SignatureAlgorithm> {
    SignatureAlgorithm::from_pca_name(algorithm.as_str()).ok_or_else(|| {
        let known: Vec<&str> = SignatureAlgorithm::ALL
            .into_iter()
            .map(SignatureAlgorithm::pca_name)
            .collect();
        invalid(format!(
            "The signing algorithm {} is not supported; these are: {}.",
            algorithm.as_str(),
            known.join(", ")
        ))
    })
}

/// A name. Model, `ASN1Subject`: "Custom attributes cannot be used in combination with standard
/// attributes."
pub(super) fn subject(subject: wire::Asn1Subject) -> Result<Subject> {
    use StandardAttribute as A;
    let members = [
        (A::Country, subject.country),
        (A::Organization, subject.organization),
        (A::OrganizationalUnit, subject.organizational_unit),
        (
            A::DistinguishedNameQualifier,
            subject.distinguished_name_qualifier,
        ),
        (A::State, subject.state),
        (A::CommonName, subject.common_name),
        (A::SerialNumber, subject.serial_number),
        (A::Locality, subject.locality),
        (A::Title, subject.title),
        (A::Surname, subject.surname),
        (A::GivenName, subject.given_name),
        (A::Initials, subject.initials),
        (A::Pseudonym, subject.pseudonym),
        (A::GenerationQualifier, subject.generation_qualifier),
    ];
    let mut standard = members
        .into_iter()
        .filter_map(|(attribute, value)| Some((attribute, value?)))
        .peekable();
    let Some(custom) = subject.custom_attributes else {
        return Subject::standard(standard);
    };
    if standard.peek().is_some() {
        return Err(invalid(
            "Custom attributes cannot be used in combination with standard attributes.",
        ));
    }
    let attributes = custom.into_iter().map(|attribute| NameAttribute {
        oid: Oid(attribute.object_identifier),
        value: attribute.value,
    });
    Subject::custom(attributes.collect())
}

fn shown_subject(subject: &Subject) -> wire::Asn1Subject {
    use StandardAttribute as A;
    let member = |attribute| subject.get(attribute).map(str::to_owned);
    wire::Asn1Subject {
        country: member(A::Country),
        organization: member(A::Organization),
        organizational_unit: member(A::OrganizationalUnit),
        distinguished_name_qualifier: member(A::DistinguishedNameQualifier),
        state: member(A::State),
        common_name: member(A::CommonName),
        serial_number: member(A::SerialNumber),
        locality: member(A::Locality),
        title: member(A::Title),
        surname: member(A::Surname),
        given_name: member(A::GivenName),
        initials: member(A::Initials),
        pseudonym: member(A::Pseudonym),
        generation_qualifier: member(A::GenerationQualifier),
        custom_attributes: subject.custom_attributes().map(|attributes| {
            let shown = attributes.iter().map(|attribute| wire::CustomAttribute {
                object_identifier: attribute.oid.0.clone(),
                value: attribute.value.clone(),
            });
            shown.collect()
        }),
    }
}

/// The bits of a key usage, in the RFC's order.
pub(super) fn key_usage(usage: &wire::KeyUsage) -> Vec<KeyUsageBit> {
    use KeyUsageBit as K;
    let bits = [
        (K::DigitalSignature, usage.digital_signature),
        (K::NonRepudiation, usage.non_repudiation),
        (K::KeyEncipherment, usage.key_encipherment),
        (K::DataEncipherment, usage.data_encipherment),
        (K::KeyAgreement, usage.key_agreement),
        (K::KeyCertSign, usage.key_cert_sign),
        (K::CrlSign, usage.crl_sign),
        (K::EncipherOnly, usage.encipher_only),
        (K::DecipherOnly, usage.decipher_only),
    ];
    bits.into_iter()
        .filter(|(_, set)| *set == Some(true))
        .map(|(bit, _)| bit)
        .collect()
}

fn shown_key_usage(bits: &[KeyUsageBit]) -> wire::KeyUsage {
    use KeyUsageBit as K;
    let set = |bit| Some(bits.contains(&bit));
    wire::KeyUsage {
        digital_signature: set(K::DigitalSignature),
        non_repudiation: set(K::NonRepudiation),
        key_encipherment: set(K::KeyEncipherment),
        data_encipherment: set(K::DataEncipherment),
        key_agreement: set(K::KeyAgreement),
        key_cert_sign: set(K::KeyCertSign),
        crl_sign: set(K::CrlSign),
        encipher_only: set(K::EncipherOnly),
        decipher_only: set(K::DecipherOnly),
    }
}

/// What an authority's own request is to ask for.
pub(super) fn csr_extensions(extensions: Option<wire::CsrExtensions>) -> Result<CsrExtensions> {
    let Some(extensions) = extensions else {
        return Ok(CsrExtensions::default());
    };
    let accesses = extensions.subject_information_access.unwrap_or_default();
    Ok(CsrExtensions {
        key_usage: extensions.key_usage.as_ref().map(key_usage),
        subject_information_access: accesses.into_iter().map(access).collect::<Result<_>>()?,
    })
}

/// One access description. Model, `AccessMethod`: "Providing both results in InvalidArgsException."
fn access(description: wire::AccessDescription) -> Result<(Oid, String)> {
    let method = description.access_method;
    let oid = match (method.access_method_type, method.custom_object_identifier) {
        (Some(known), None) => access_method(known),
        (None, Some(custom)) => Oid(custom),
        _ => {
            return Err(invalid(
                "An access method needs either CustomObjectIdentifier or AccessMethodType.",
            ));
        }
    };
    match description.access_location {
        wire::GeneralName {
            uniform_resource_identifier: Some(uri),
            other_name: None,
            rfc822_name: None,
            dns_name: None,
            directory_name: None,
            edi_party_name: None,
            ip_address: None,
            registered_id: None,
        } => Ok((oid, uri)),
        _ => Err(invalid(
            "An access location must be a UniformResourceIdentifier and nothing else.",
        )),
    }
}

/// RFC 5280 section 4.2.2.2 (id-ad-caRepository); RFC 6487 section 4.8.8.1 (id-ad-rpkiManifest);
/// RFC 8182 section 3.2 (id-ad-rpkiNotify).
fn access_method(known: wire::AccessMethodType) -> Oid {
    Oid::new(match known {
        wire::AccessMethodType::CaRepository => "1.3.6.1.5.5.7.48.5",
        wire::AccessMethodType::ResourcePkiManifest => "1.3.6.1.5.5.7.48.10",
        wire::AccessMethodType::ResourcePkiNotify => "1.3.6.1.5.5.7.48.13",
    })
}

fn shown_csr_extensions(extensions: &CsrExtensions) -> Option<wire::CsrExtensions> {
    if *extensions == CsrExtensions::default() {
        return None;
    }
    let accesses = extensions
        .subject_information_access
        .iter()
        .map(|(oid, uri)| {
            let known = wire::AccessMethodType::ALL
                .iter()
                .copied()
                .find(|method| access_method(*method) == *oid);
            wire::AccessDescription {
                access_method: wire::AccessMethod {
                    custom_object_identifier: known.is_none().then(|| oid.0.clone()),
                    access_method_type: known,
                },
                access_location: wire::GeneralName {
                    uniform_resource_identifier: Some(uri.clone()),
                    ..wire::GeneralName::default()
                },
            }
        });
    let accesses: Vec<_> = accesses.collect();
    Some(wire::CsrExtensions {
        key_usage: extensions.key_usage.as_deref().map(shown_key_usage),
        subject_information_access: (!accesses.is_empty()).then_some(accesses),
    })
}

/// How revocation is to be published, over how it is now: what is not mentioned stays (model,
/// `UpdateCertificateAuthorityRequest`).
pub(super) fn revocation(
    wanted: wire::RevocationConfiguration,
    now: RevocationConfiguration,
) -> Result<RevocationConfiguration> {
    let crl = match wanted.crl_configuration {
        Some(crl) => CrlConfiguration {
            enabled: crl.enabled,
            expiration_in_days: crl.expiration_in_days.map(i64::from),
            custom_cname: crl.custom_cname,
            s3_bucket_name: crl.s3_bucket_name,
            s3_object_acl: crl.s3_object_acl.map(|acl| acl.as_str().to_owned()),
            omit_extension: crl
                .crl_distribution_point_extension_configuration
                .map(|extension| extension.omit_extension),
            crl_type: crl.crl_type.map(|kind| kind.as_str().to_owned()),
            custom_path: crl.custom_path,
        }
        .checked()?,
        None => now.crl,
    };
    let ocsp = match wanted.ocsp_configuration {
        Some(ocsp) => OcspConfiguration {
            enabled: ocsp.enabled,
            custom_cname: ocsp.ocsp_custom_cname,
        }
        .checked()?,
        None => now.ocsp,
    };
    Ok(RevocationConfiguration { crl, ocsp })
}

fn shown_revocation(configuration: &RevocationConfiguration) -> wire::RevocationConfiguration {
    let RevocationConfiguration { crl, ocsp } = configuration;
    wire::RevocationConfiguration {
        crl_configuration: Some(wire::CrlConfiguration {
            enabled: crl.enabled,
            expiration_in_days: crl
                .expiration_in_days
                .and_then(|days| i32::try_from(days).ok()),
            custom_cname: crl.custom_cname.clone(),
            s3_bucket_name: crl.s3_bucket_name.clone(),
            s3_object_acl: crl
                .s3_object_acl
                .as_deref()
                .and_then(wire::S3ObjectAcl::parse),
            crl_distribution_point_extension_configuration: crl.omit_extension.map(
                |omit_extension| wire::CrlDistributionPointExtensionConfiguration {
                    omit_extension,
                },
            ),
            crl_type: crl.crl_type.as_deref().and_then(wire::CrlType::parse),
            custom_path: crl.custom_path.clone(),
        }),
        ocsp_configuration: Some(wire::OcspConfiguration {
            enabled: ocsp.enabled,
            ocsp_custom_cname: ocsp.custom_cname.clone(),
        }),
    }
}

/// A validity.
pub(super) fn validity(validity: &wire::Validity) -> Validity {
    Validity {
        value: validity.value,
        unit: match validity.type_ {
            wire::ValidityPeriodType::EndDate => ValidityUnit::EndDate,
            wire::ValidityPeriodType::Absolute => ValidityUnit::Absolute,
            wire::ValidityPeriodType::Days => ValidityUnit::Days,
            wire::ValidityPeriodType::Months => ValidityUnit::Months,
            wire::ValidityPeriodType::Years => ValidityUnit::Years,
        },
    }
}

/// Why a certificate is revoked.
pub(super) fn reason(reason: wire::RevocationReason) -> pca::RevocationReason {
    use pca::RevocationReason as R;
    match reason {
        wire::RevocationReason::Unspecified => R::Unspecified,
        wire::RevocationReason::KeyCompromise => R::KeyCompromise,
        wire::RevocationReason::CertificateAuthorityCompromise => R::CertificateAuthorityCompromise,
        wire::RevocationReason::AffiliationChanged => R::AffiliationChanged,
        wire::RevocationReason::Superseded => R::Superseded,
        wire::RevocationReason::CessationOfOperation => R::CessationOfOperation,
        wire::RevocationReason::PrivilegeWithdrawn => R::PrivilegeWithdrawn,
        wire::RevocationReason::AACompromise => R::AACompromise,
    }
}

/// An authority as Describe and List show it.
pub(super) fn shown_authority(
    ca: &CertificateAuthority,
    now: Timestamp,
) -> wire::CertificateAuthority {
    let installed = ca.installed.as_ref();
    wire::CertificateAuthority {
        arn: Some(ca.arn()),
        owner_account: Some(ca.account.to_string()),
        created_at: Some(ca.created_at),
        last_state_change_at: Some(ca.last_state_change(now)),
        type_: Some(match ca.kind {
            Kind::Root => wire::CertificateAuthorityType::Root,
            Kind::Subordinate => wire::CertificateAuthorityType::Subordinate,
        }),
        serial: installed.map(|installed| decimal(&installed.serial)),
        status: Some(shown_status(ca.status(now))),
        not_before: installed.map(|installed| timestamp(installed.not_before)),
        not_after: installed.map(|installed| timestamp(installed.not_after)),
        failure_reason: (ca.status(now) == Status::Failed).then_some(wire::FailureReason::Other),
        certificate_authority_configuration: Some(wire::CertificateAuthorityConfiguration {
            key_algorithm: shown_key_spec(ca.key_spec),
            signing_algorithm: shown_signature(ca.signing_algorithm),
            subject: shown_subject(&ca.subject),
            csr_extensions: shown_csr_extensions(&ca.csr_extensions),
        }),
        revocation_configuration: Some(shown_revocation(&ca.revocation)),
        restorable_until: ca.restorable_until(),
        key_storage_security_standard: wire::KeyStorageSecurityStandard::parse(&ca.key_storage),
        usage_mode: Some(match ca.usage {
            UsageMode::GeneralPurpose => wire::CertificateAuthorityUsageMode::GeneralPurpose,
            UsageMode::ShortLived => wire::CertificateAuthorityUsageMode::ShortLivedCertificate,
        }),
    }
}

fn shown_status(status: Status) -> wire::CertificateAuthorityStatus {
    match status {
        Status::Creating => wire::CertificateAuthorityStatus::Creating,
        Status::PendingCertificate => wire::CertificateAuthorityStatus::PendingCertificate,
        Status::Active => wire::CertificateAuthorityStatus::Active,
        Status::Deleted => wire::CertificateAuthorityStatus::Deleted,
        Status::Disabled => wire::CertificateAuthorityStatus::Disabled,
        Status::Expired => wire::CertificateAuthorityStatus::Expired,
        Status::Failed => wire::CertificateAuthorityStatus::Failed,
    }
}

fn shown_key_spec(spec: KeySpec) -> wire::KeyAlgorithm {
    match spec {
        KeySpec::Rsa2048 => wire::KeyAlgorithm::Rsa2048,
        KeySpec::Rsa3072 => wire::KeyAlgorithm::Rsa3072,
        KeySpec::Rsa4096 => wire::KeyAlgorithm::Rsa4096,
        KeySpec::EcP256 => wire::KeyAlgorithm::EcPrime256v1,
        KeySpec::EcP384 => wire::KeyAlgorithm::EcSecp384r1,
        KeySpec::EcP521 => wire::KeyAlgorithm::EcSecp521r1,
        KeySpec::MlDsa44 => wire::KeyAlgorithm::MlDsa44,
        KeySpec::MlDsa65 => wire::KeyAlgorithm::MlDsa65,
        KeySpec::MlDsa87 => wire::KeyAlgorithm::MlDsa87,
    }
}

fn shown_signature(algorithm: SignatureAlgorithm) -> wire::SigningAlgorithm {
    use SignatureAlgorithm as S;
    match algorithm {
        S::Sha256WithRsa => wire::SigningAlgorithm::Sha256withrsa,
        S::Sha384WithRsa => wire::SigningAlgorithm::Sha384withrsa,
        S::Sha512WithRsa => wire::SigningAlgorithm::Sha512withrsa,
        S::Sha256WithRsaPss => wire::SigningAlgorithm::Sha256withrsaPss,
        S::Sha384WithRsaPss => wire::SigningAlgorithm::Sha384withrsaPss,
        S::Sha512WithRsaPss => wire::SigningAlgorithm::Sha512withrsaPss,
        S::Sha256WithEcdsa => wire::SigningAlgorithm::Sha256withecdsa,
        S::Sha384WithEcdsa => wire::SigningAlgorithm::Sha384withecdsa,
        S::Sha512WithEcdsa => wire::SigningAlgorithm::Sha512withecdsa,
        S::MlDsa44 => wire::SigningAlgorithm::MlDsa44,
        S::MlDsa65 => wire::SigningAlgorithm::MlDsa65,
        S::MlDsa87 => wire::SigningAlgorithm::MlDsa87,
    }
}

/// An instant of a certificate. jiff's calendar ends a day before that of certificates, whose last
/// second means "no end" (RFC 5280 section 4.1.2.5).
pub(super) fn timestamp(second: i64) -> Timestamp {
    let end = if second < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    };
    Timestamp::from_second(second).unwrap_or(end)
}

/// The refusal of an argument.
pub(super) fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidArgs, message)
}
