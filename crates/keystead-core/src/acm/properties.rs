//! What a certificate has few of: the properties by which whole groups of certificates are found and
//! ordered, and their *class*, which is all of them together.

use jiff::Timestamp;

use crate::acm::certificate::{Certificate, Origin, ValidationMethod};

/// A property with few values, all of them words of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are the API's")]
pub enum Property {
    Status,
    RenewalStatus,
    Exported,
    InUse,
    KeyAlgorithm,
    Type,
    RenewalEligibility,
    ExportOption,
    ValidationMethod,
    KeyPairOrigin,
}

impl Property {
    /// All of them, in the order in which a class is written.
    pub const ALL: [Self; 10] = [
        Self::Status,
        Self::RenewalStatus,
        Self::Exported,
        Self::InUse,
        Self::KeyAlgorithm,
        Self::Type,
        Self::RenewalEligibility,
        Self::ExportOption,
        Self::ValidationMethod,
        Self::KeyPairOrigin,
    ];

    /// What `certificate` has of it at `now`; [`NONE`] if nothing.
    pub fn of(self, certificate: &Certificate, now: Timestamp) -> &'static str {
        match self {
            Self::Status => certificate.status(now).as_str(),
            Self::RenewalStatus => certificate
                .renewal_summary()
                .map_or(NONE, |renewal| renewal.status.as_str()),
            Self::Exported => flag(certificate.exported_version.is_some()),
            Self::InUse => flag(certificate.uses > 0),
            Self::KeyAlgorithm => certificate.key_algorithm.model_name(),
            Self::Type => match certificate.origin {
                Origin::Imported { .. } => "IMPORTED",
                Origin::Private { .. } => "PRIVATE",
                Origin::Public { .. } => "AMAZON_ISSUED",
            },
            Self::RenewalEligibility => match certificate.eligibility(now) {
                Ok(()) => "ELIGIBLE",
                Err(_) => "INELIGIBLE",
            },
            Self::ExportOption => match certificate.options.export {
                true => "ENABLED",
                false => "DISABLED",
            },
            Self::ValidationMethod => match &certificate.origin {
                Origin::Public { method, .. } => match method {
                    ValidationMethod::Dns => "DNS",
                    ValidationMethod::Email => "EMAIL",
                },
                Origin::Imported { .. } | Origin::Private { .. } => NONE,
            },
            Self::KeyPairOrigin => key_pair_origin(certificate),
        }
    }
}

/// Who made the key (the API's `CertificateKeyPairOrigin`).
pub fn key_pair_origin(certificate: &Certificate) -> &'static str {
    match certificate.origin {
        Origin::Imported { .. } => "CUSTOMER_PROVIDED",
        Origin::Private { .. } | Origin::Public { .. } => "AWS_MANAGED",
    }
}

/// How a truth is written.
pub fn flag(set: bool) -> &'static str {
    match set {
        true => "true",
        false => "false",
    }
}

/// All properties of a certificate. There are some hundreds of classes at most, and usually a handful,
/// however many certificates there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class(Vec<String>);

impl Class {
    /// The class of a certificate as it is stored; what only the clock changes is left to the task
    /// that stores it.
    pub fn of(certificate: &Certificate) -> Self {
        let now = certificate.created_at;
        let properties = Property::ALL.iter();
        Self(
            properties
                .map(|property| property.of(certificate, now).into())
                .collect(),
        )
    }

    /// The class that is written so.
    pub fn parse(text: &str) -> Option<Self> {
        let values: Vec<String> = text.split('.').map(str::to_owned).collect();
        (values.len() == Property::ALL.len()).then_some(Self(values))
    }

    /// How it is written.
    pub fn text(&self) -> String {
        self.0.join(".")
    }

    /// What its certificates have of this property.
    pub fn get(&self, property: Property) -> &str {
        let mut pairs = Property::ALL.iter().zip(&self.0);
        pairs
            .find(|(other, _)| **other == property)
            .map_or(NONE, |(_, value)| value)
    }
}

/// What stands for no value; it comes behind every value.
pub const NONE: &str = "~";
