//! What SearchCertificates and ListCertificates ask for: statements about certificates, and whether
//! they are true of one.

use jiff::Timestamp;

use crate::acm::certificate::Certificate;
use crate::acm::facts::{Facts, extended_key_usage_name, key_usage_name};
use crate::acm::properties::{Class, Property};
use crate::error::{Error, ErrorKind, Result};

/// A statement that is true of a certificate or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Statement {
    /// All of these are true.
    All(Vec<Statement>),
    /// At least one of these is true.
    Any(Vec<Statement>),
    /// This is not true.
    Not(Box<Statement>),
    /// The certificate is so.
    Is(Filter),
}

/// One thing that may be true of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// It has this ARN.
    Arn(String),
    /// Its subject's common name is so.
    CommonName(Text),
    /// One of the DNS names that it carries is so.
    DnsName(Text),
    /// It has this extended key usage, by the model's name; `NONE`: it has none.
    ExtendedKeyUsage(String),
    /// It has this key usage, by the model's name; `ANY`: its key is not restricted.
    KeyUsage(String),
    /// It has this serial number.
    Serial(String),
    /// Its last second is within this range.
    NotAfter(Range),
    /// Its first second is within this range.
    NotBefore(Range),
    /// It has this value of a property.
    Property(Property, String),
    /// It has at least one name.
    Named,
    /// Never true: what no certificate here can be (managed by CloudFront, from an ACME endpoint).
    Never,
}

/// What a name is compared with. Capitals make no difference, as in DNS (RFC 4343).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// The text, in small letters.
    pub value: String,
    /// Whether it is enough that the name contains it.
    pub part: bool,
}

impl Text {
    /// A text to compare with.
    pub fn new(value: &str, part: bool) -> Self {
        Self {
            value: value.to_lowercase(),
            part,
        }
    }

    fn fits(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        match self.part {
            true => name.contains(&self.value),
            false => name == self.value,
        }
    }
}

/// A span of time, both ends included; without an end it has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// The first instant.
    pub start: Option<Timestamp>,
    /// The last instant.
    pub end: Option<Timestamp>,
}

impl Range {
    fn holds(&self, at: Timestamp) -> bool {
        self.start.is_none_or(|start| start <= at) && self.end.is_none_or(|end| at <= end)
    }
}

impl Statement {
    /// A statement that one of these values is what a certificate has of the property.
    pub fn one_of<'a>(property: Property, values: impl IntoIterator<Item = &'a str>) -> Self {
        let values = values.into_iter();
        Self::Any(
            values
                .map(|value| Self::Is(Filter::Property(property, value.into())))
                .collect(),
        )
    }

    /// Refuses a statement that is nested too deeply or has too many parts.
    pub fn check_size(&self) -> Result<()> {
        let mut filters = 0_usize;
        if self.fits_in(MAX_DEPTH, &mut filters) && filters <= MAX_FILTERS {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Validation,
            format!(
                "The filter statement is too complex: expected at most {MAX_DEPTH} levels and {MAX_FILTERS} filters."
            ),
        ))
    }

    fn fits_in(&self, depth: usize, filters: &mut usize) -> bool {
        let Some(below) = depth.checked_sub(1) else {
            return false;
        };
        match self {
            Self::All(parts) | Self::Any(parts) => {
                parts.iter().all(|part| part.fits_in(below, filters))
            }
            Self::Not(part) => part.fits_in(below, filters),
            Self::Is(_) => {
                *filters = filters.saturating_add(1);
                true
            }
        }
    }

    /// Whether it is true of `certificate` at `now`.
    pub fn holds(&self, certificate: &Certificate, now: Timestamp) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.holds(certificate, now)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(certificate, now)),
            Self::Not(part) => !part.holds(certificate, now),
            Self::Is(filter) => filter.holds(certificate, now),
        }
    }

    /// Whether it can be true of a certificate of this class.
    pub fn may_hold(&self, class: &Class) -> bool {
        self.of_class(class) != Some(false)
    }

    /// Whether it is true of every certificate of the class, or of none; `None` if that depends.
    fn of_class(&self, class: &Class) -> Option<bool> {
        let decide = |parts: &[Self], ends: bool| {
            let mut known = Some(!ends);
            for part in parts {
                match part.of_class(class) {
                    Some(value) if value == ends => return Some(ends),
                    Some(_) => {}
                    None => known = None,
                }
            }
            known
        };
        match self {
            Self::All(parts) => decide(parts, false),
            Self::Any(parts) => decide(parts, true),
            Self::Not(part) => part.of_class(class).map(|value| !value),
            Self::Is(Filter::Property(property, value)) => Some(class.get(*property) == value),
            Self::Is(Filter::Never) => Some(false),
            Self::Is(_) => None,
        }
    }
}

impl Filter {
    fn holds(&self, certificate: &Certificate, now: Timestamp) -> bool {
        let facts = certificate.current.as_ref().map(|current| &current.facts);
        let says = |what: &dyn Fn(&Facts) -> bool| facts.is_some_and(what);
        match self {
            Self::Arn(arn) => certificate.arn == *arn,
            Self::CommonName(text) => common_name(certificate).is_some_and(|name| text.fits(name)),
            Self::DnsName(text) => {
                let names = facts.map_or(&certificate.names, |facts| &facts.dns_names);
                names.iter().any(|name| text.fits(name))
            }
            Self::ExtendedKeyUsage(name) => says(&|facts| match name.as_str() {
                "NONE" => facts.extended_key_usages.is_empty(),
                name => (facts.extended_key_usages.iter())
                    .any(|oid| extended_key_usage_name(oid) == name),
            }),
            Self::KeyUsage(name) => says(&|facts| match name.as_str() {
                // RFC 5280 section 4.2.1.3: without the extension, the key is for any use.
                "ANY" => facts.key_usages.is_empty(),
                name => (facts.key_usages.iter()).any(|bit| key_usage_name(*bit) == name),
            }),
            Self::Serial(serial) => says(&|facts| facts.serial == *serial),
            Self::NotAfter(range) => says(&|facts| range.holds(facts.not_after)),
            Self::NotBefore(range) => says(&|facts| range.holds(facts.not_before)),
            Self::Property(property, value) => property.of(certificate, now) == value,
            Self::Named => !certificate.names.is_empty(),
            Self::Never => false,
        }
    }
}

/// The subject's common name: of a request, what it will be.
pub(super) fn common_name(certificate: &Certificate) -> Option<&str> {
    match &certificate.current {
        Some(current) => current.facts.common_name.as_deref(),
        None => Some(certificate.domain_name.as_str()),
    }
}

/// AWS does not say how deep its own filters may go. Each level needs one to join filters, so this
/// leaves room for what people write, and little for what only costs.
const MAX_DEPTH: usize = 10;

/// Four full lists of the model's 15; each filter is looked at for every certificate examined.
const MAX_FILTERS: usize = 60;
