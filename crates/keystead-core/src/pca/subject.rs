//! Names as ACM-PCA's `ASN1Subject` spells them.

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::x509::{Name, NameAttribute, Oid};

/// A distinguished name, and which of the two ways it was spelt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    name: Name,
    /// Whether `CustomAttributes` spelt it.
    custom: bool,
}

/// The members of `ASN1Subject` that stand for one attribute each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are AWS's")]
pub enum StandardAttribute {
    Country,
    Organization,
    OrganizationalUnit,
    DistinguishedNameQualifier,
    State,
    CommonName,
    SerialNumber,
    Locality,
    Title,
    Surname,
    GivenName,
    Initials,
    Pseudonym,
    GenerationQualifier,
}

impl StandardAttribute {
    /// All of them in the model's order, which is the order in the certificate.
    pub const ALL: [Self; 14] = [
        Self::Country,
        Self::Organization,
        Self::OrganizationalUnit,
        Self::DistinguishedNameQualifier,
        Self::State,
        Self::CommonName,
        Self::SerialNumber,
        Self::Locality,
        Self::Title,
        Self::Surname,
        Self::GivenName,
        Self::Initials,
        Self::Pseudonym,
        Self::GenerationQualifier,
    ];

    /// The attribute type (RFC 5280 appendix A.1).
    pub fn oid(self) -> Oid {
        let last = match self {
            Self::CommonName => "3",
            Self::Surname => "4",
            Self::SerialNumber => "5",
            Self::Country => "6",
            Self::Locality => "7",
            Self::State => "8",
            Self::Organization => "10",
            Self::OrganizationalUnit => "11",
            Self::Title => "12",
            Self::GivenName => "42",
            Self::Initials => "43",
            Self::GenerationQualifier => "44",
            Self::DistinguishedNameQualifier => "46",
            Self::Pseudonym => "65",
        };
        Oid(format!("2.5.4.{last}"))
    }
}

impl Subject {
    /// A name of standard attributes, put into the model's order. An attribute without text counts
    /// as left out, since an empty value can't be encoded (RFC 5280 appendix A.1: SIZE (1..)).
    /// Refuses a name without any attribute.
    pub fn standard(
        attributes: impl IntoIterator<Item = (StandardAttribute, String)>,
    ) -> Result<Self> {
        let given: Vec<(StandardAttribute, String)> = attributes.into_iter().collect();
        let attributes = StandardAttribute::ALL
            .into_iter()
            .flat_map(|wanted| given.iter().filter(move |(kind, _)| *kind == wanted))
            .filter(|(_, value)| !value.is_empty())
            .map(|(kind, value)| NameAttribute {
                oid: kind.oid(),
                value: value.clone(),
            })
            .collect();
        Self::non_empty(Name { attributes }, false)
    }

    /// A name of custom attributes, in the order given. Refuses a name without any attribute.
    pub fn custom(attributes: Vec<NameAttribute>) -> Result<Self> {
        Self::non_empty(Name { attributes }, true)
    }

    fn non_empty(name: Name, custom: bool) -> Result<Self> {
        if name.attributes.is_empty() {
            return Err(Error::new(
                ErrorKind::InvalidArgs,
                "The subject is empty; give at least one attribute, for instance CommonName.",
            ));
        }
        Ok(Self { name, custom })
    }

    /// The name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// The text of a standard attribute.
    pub fn get(&self, attribute: StandardAttribute) -> Option<&str> {
        if self.custom {
            return None;
        }
        let oid = attribute.oid();
        let found = self.name.attributes.iter().find(|other| other.oid == oid)?;
        Some(&found.value)
    }

    /// The custom attributes, where they spelt the name.
    pub fn custom_attributes(&self) -> Option<&[NameAttribute]> {
        self.custom.then_some(self.name.attributes.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_stand_in_the_models_order() {
        let subject = Subject::standard([
            (StandardAttribute::CommonName, "ca.test".into()),
            (StandardAttribute::State, String::new()),
            (StandardAttribute::Country, "NL".into()),
        ])
        .unwrap();
        let oids: Vec<_> = subject
            .name()
            .attributes
            .iter()
            .map(|a| a.oid.0.as_str())
            .collect();
        assert_eq!(oids, ["2.5.4.6", "2.5.4.3"]);
        assert_eq!(subject.get(StandardAttribute::Country), Some("NL"));
        assert_eq!(subject.get(StandardAttribute::State), None);
        assert_eq!(subject.custom_attributes(), None);
    }

    #[test]
    fn an_empty_name_is_refused() {
        let kind = |result: Result<Subject>| result.map_err(|error| error.kind);
        assert_eq!(kind(Subject::standard([])), Err(ErrorKind::InvalidArgs));
        assert_eq!(
            kind(Subject::custom(Vec::new())),
            Err(ErrorKind::InvalidArgs)
        );
    }

    #[test]
    fn custom_attributes_come_back_as_custom() {
        let attribute = NameAttribute {
            oid: StandardAttribute::CommonName.oid(),
            value: "x".into(),
        };
        let subject = Subject::custom(vec![attribute.clone()]).unwrap();
        assert_eq!(subject.custom_attributes(), Some(&[attribute][..]));
        assert_eq!(subject.get(StandardAttribute::CommonName), None);
    }
}
