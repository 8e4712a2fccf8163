//! The index of certificates: the rows under which each is found, the order that they give, and the
//! spans of rows that hold all of which a statement can be true.
//!
//! A row is text, `family/value/id`. Rows of a family are in the order of their values, and of their
//! ids where values are equal; so a span of rows is both what has a value and an order to list in.
//! What has few values is in one row together, the certificate's class.

use jiff::Timestamp;

use crate::acm::certificate::{Certificate, Origin};
use crate::acm::properties::{Class, NONE, Property};
use crate::acm::search::{Filter, Range, Statement, Text, common_name};

/// What certificates are listed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortBy {
    /// Their ids alone.
    Id,
    /// A value of which every certificate has a row.
    Family(Family),
    /// A property.
    Property(Property),
}

/// A family of rows with one row a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Family {
    CreatedAt,
    IssuedAt,
    ImportedAt,
    RevokedAt,
    NotBefore,
    NotAfter,
    CommonName,
}

impl Family {
    const ALL: [Self; 7] = [
        Self::CreatedAt,
        Self::IssuedAt,
        Self::ImportedAt,
        Self::RevokedAt,
        Self::NotBefore,
        Self::NotAfter,
        Self::CommonName,
    ];

    /// How its rows begin.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::CreatedAt => "created/",
            Self::IssuedAt => "issued/",
            Self::ImportedAt => "imported/",
            Self::RevokedAt => "revoked/",
            Self::NotBefore => "not-before/",
            Self::NotAfter => "not-after/",
            Self::CommonName => "common-name/",
        }
    }

    fn value(self, certificate: &Certificate) -> String {
        let facts = certificate.current.as_ref().map(|current| &current.facts);
        let at = match self {
            Self::CommonName => {
                let name = common_name(certificate).filter(|name| !name.is_empty());
                return name.map_or_else(|| NONE.into(), term);
            }
            Self::CreatedAt => Some(certificate.created_at),
            Self::IssuedAt => match certificate.origin {
                Origin::Imported { .. } => None,
                _ => certificate.current.as_ref().map(|current| current.at),
            },
            Self::ImportedAt => match certificate.origin {
                Origin::Imported { at } => Some(at),
                _ => None,
            },
            Self::RevokedAt => certificate.revoked.as_ref().map(|revoked| revoked.at),
            Self::NotBefore => facts.map(|facts| facts.not_before),
            Self::NotAfter => facts.map(|facts| facts.not_after),
        };
        at.map_or_else(|| NONE.into(), instant)
    }
}

/// The rows of a certificate.
pub fn rows(certificate: &Certificate) -> Vec<String> {
    let id = id(certificate);
    let class = Class::of(certificate).text();
    let mut rows = vec![format!("{CLASSES}{class}/{id}")];
    for family in Family::ALL {
        let value = family.value(certificate);
        rows.push(format!("{}{value}/{id}", family.prefix()));
    }
    for name in certificate.names.iter().take(MAX_NAMES) {
        rows.push(format!("{NAMES}{}/{id}", term(name)));
    }
    if let Origin::Private { authority } = &certificate.origin {
        rows.push(format!("{}{id}", of_authority(authority)));
    }
    if let Some(current) = &certificate.current {
        rows.push(format!("{SERIALS}{}/{id}", current.facts.serial));
    }
    rows.sort_unstable();
    rows.dedup();
    rows
}

/// Where a certificate stands in an order: what is compared, its id last.
pub fn position(certificate: &Certificate, by: SortBy) -> String {
    let id = id(certificate);
    match by {
        SortBy::Id => id.into(),
        SortBy::Family(family) => format!("{}/{id}", family.value(certificate)),
        SortBy::Property(property) => {
            format!("{}/{id}", Class::of(certificate).get(property))
        }
    }
}

/// The id at the end of a row or a position.
pub fn id_of(row: &str) -> &str {
    row.rsplit_once('/').map_or(row, |(_, id)| id)
}

/// Rows that are next to each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// How all of them begin.
    pub prefix: String,
    /// They are behind this, if it is given.
    pub after: Option<String>,
    /// They are before this, if it is given.
    pub before: Option<String>,
}

impl Span {
    /// All rows that begin so.
    pub fn of(prefix: String) -> Self {
        Self {
            prefix,
            after: None,
            before: None,
        }
    }
}

/// Where certificates are found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// In these rows.
    Span(Span),
    /// By this id.
    Id(String),
}

/// Sources which together have every certificate of which `statement` is true: several such sets,
/// what promises the fewest first; none if there is no telling.
pub fn sources(statement: &Statement) -> Vec<Vec<Source>> {
    let mut choices = choices(statement);
    choices.sort_by_key(|choice| choice.rank);
    choices.truncate(MAX_CHOICES);
    choices.into_iter().map(|choice| choice.sources).collect()
}

/// The rows of the certificates of a class.
pub fn of_class(class: &Class) -> Span {
    Span::of(format!("{CLASSES}{}/", class.text()))
}

/// How the rows of the certificates of a private CA begin.
pub fn of_authority(authority: &str) -> String {
    format!("{AUTHORITIES}{}/", id_of(authority))
}

/// The class whose row this is.
pub fn class_of(row: &str) -> Option<Class> {
    let (class, _id) = row.strip_prefix(CLASSES)?.rsplit_once('/')?;
    Class::parse(class)
}

struct Choice {
    /// How many certificates share such a value, in orders of magnitude.
    rank: u8,
    sources: Vec<Source>,
}

fn choices(statement: &Statement) -> Vec<Choice> {
    match statement {
        Statement::All(parts) => parts.iter().flat_map(choices).collect(),
        Statement::Any(parts) => {
            let mut together = Choice {
                rank: 0,
                sources: Vec::new(),
            };
            for part in parts {
                let Some(best) = choices(part).into_iter().min_by_key(|choice| choice.rank) else {
                    return Vec::new();
                };
                together.rank = together.rank.max(best.rank);
                together.sources.extend(best.sources);
            }
            vec![together]
        }
        Statement::Not(_) => Vec::new(),
        Statement::Is(filter) => of_filter(filter).into_iter().collect(),
    }
}

fn of_filter(filter: &Filter) -> Option<Choice> {
    let (rank, span) = match filter {
        Filter::Never => {
            return Some(Choice {
                rank: 0,
                sources: Vec::new(),
            });
        }
        Filter::Arn(arn) => {
            return Some(Choice {
                rank: 0,
                sources: vec![Source::Id(id_of(arn).into())],
            });
        }
        Filter::Serial(serial) => (1, Span::of(format!("{SERIALS}{serial}/"))),
        Filter::CommonName(Text { value, part: false }) => {
            let prefix = Family::CommonName.prefix();
            (2, Span::of(format!("{prefix}{}/", term(value))))
        }
        Filter::DnsName(Text { value, part: false }) => {
            (2, Span::of(format!("{NAMES}{}/", term(value))))
        }
        Filter::NotAfter(range) => (3, within(Family::NotAfter, range)),
        Filter::NotBefore(range) => (4, within(Family::NotBefore, range)),
        _ => return None,
    };
    Some(Choice {
        rank,
        sources: vec![Source::Span(span)],
    })
}

/// The rows of the family's values within a span of time.
pub fn within(family: Family, range: &Range) -> Span {
    let prefix = family.prefix();
    let end = match range.end {
        // '0' comes right behind the slash that ends the value.
        Some(end) => format!("{}0", instant(end)),
        None => NONE.into(),
    };
    Span {
        prefix: prefix.into(),
        after: range
            .start
            .map(|start| format!("{prefix}{}", instant(start))),
        before: Some(format!("{prefix}{end}")),
    }
}

/// The last part of the ARN.
fn id(certificate: &Certificate) -> &str {
    id_of(&certificate.arn)
}

/// Names in small letters and short enough for a key; the end keeps one from standing among those
/// that it begins.
fn term(name: &str) -> String {
    let small = name.to_lowercase();
    let mut term: String = small.chars().take(MAX_TERM).collect();
    term.push('!');
    term
}

/// An instant so that text is in the order of time. What is before 1970 comes first.
fn instant(at: Timestamp) -> String {
    format!("{:020}", u64::try_from(at.as_microsecond()).unwrap_or(0))
}

/// How the rows of classes begin.
pub const CLASSES: &str = "class/";
const AUTHORITIES: &str = "authority/";
const NAMES: &str = "name/";
const SERIALS: &str = "serial/";

/// RFC 1035 section 2.3.4 ends names at 255 octets, and the model what is searched for at 256
/// characters; what is longer is found among its like and compared as a whole.
const MAX_TERM: usize = 256;

/// Requests have a hundred names at most (`acm::names`); an imported certificate may bring any number, and
/// its rows must fit a commit of the store beside those that they replace.
const MAX_NAMES: usize = 400;

/// Sets of sources are tried one after the other, and each try that ends in too many rows was for nothing.
const MAX_CHOICES: usize = 3;
