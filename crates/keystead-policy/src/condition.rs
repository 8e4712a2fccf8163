//! `Condition`: operators, and when they hold.
//!
//! Operators and keys are joined by AND, the values of a key by OR, or by NOR where the operator is negated (IAM user
//! guide, "Conditions with multiple context keys or values"). A missing key fails a condition, save that it
//! satisfies a negated operator, `...IfExists` and `ForAllValues:`, and fails `ForAnyValue:` even if negated.
//!
//! A value that is not what its operator compares (a word for `NumericEquals`) equals nothing. AWS accepts such
//! documents too; only dates are checked when a document is stored.

use std::net::IpAddr;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::arn::{ArnPattern, Target};
use crate::context::Context;
use crate::pattern::{Meaning, Pattern};
use crate::values::{self, Network};

/// One key under one operator.
#[derive(Clone, Debug)]
pub(crate) struct Condition {
    /// The operator as written.
    pub(crate) operator: Box<str>,
    /// The key as written.
    pub(crate) key: Box<str>,
    kind: Operator,
    test: Test,
}

/// What an operator's name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Operator {
    pub(crate) family: Family,
    negated: bool,
    if_exists: bool,
    set: Set,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Set {
    /// No set operator: the key is expected to have one value; of several, one must match (none, if negated).
    Plain,
    All,
    Any,
}

/// What an operator compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Text { fold: bool, wildcards: bool },
    Number(Order),
    Date(Order),
    Bool,
    Binary,
    Address,
    Arn,
    Null,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Equal,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

const EXACT: Family = Family::Text {
    fold: false,
    wildcards: false,
};
const FOLDED: Family = Family::Text {
    fold: true,
    wildcards: false,
};
const LIKE: Family = Family::Text {
    fold: false,
    wildcards: true,
};

/// Every operator without prefix and suffix, and whether it is negated (IAM user guide, "Condition operators").
const OPERATORS: &[(&str, Family, bool)] = &[
    ("StringEquals", EXACT, false),
    ("StringNotEquals", EXACT, true),
    ("StringEqualsIgnoreCase", FOLDED, false),
    ("StringNotEqualsIgnoreCase", FOLDED, true),
    ("StringLike", LIKE, false),
    ("StringNotLike", LIKE, true),
    ("NumericEquals", Family::Number(Order::Equal), false),
    ("NumericNotEquals", Family::Number(Order::Equal), true),
    ("NumericLessThan", Family::Number(Order::Less), false),
    (
        "NumericLessThanEquals",
        Family::Number(Order::AtMost),
        false,
    ),
    ("NumericGreaterThan", Family::Number(Order::Greater), false),
    (
        "NumericGreaterThanEquals",
        Family::Number(Order::AtLeast),
        false,
    ),
    ("DateEquals", Family::Date(Order::Equal), false),
    ("DateNotEquals", Family::Date(Order::Equal), true),
    ("DateLessThan", Family::Date(Order::Less), false),
    ("DateLessThanEquals", Family::Date(Order::AtMost), false),
    ("DateGreaterThan", Family::Date(Order::Greater), false),
    ("DateGreaterThanEquals", Family::Date(Order::AtLeast), false),
    ("Bool", Family::Bool, false),
    ("BinaryEquals", Family::Binary, false),
    ("IpAddress", Family::Address, false),
    ("NotIpAddress", Family::Address, true),
    ("ArnEquals", Family::Arn, false),
    ("ArnLike", Family::Arn, false),
    ("ArnNotEquals", Family::Arn, true),
    ("ArnNotLike", Family::Arn, true),
    ("Null", Family::Null, false),
];

/// The keys that tell who calls or from where, so that fixed values for them leave the world out (Amazon S3 user
/// guide, "The meaning of 'public'"; `kms:CallerAccount` does the same for keys).
const NARROWING: &[&str] = &[
    "aws:PrincipalAccount",
    "aws:PrincipalArn",
    "aws:PrincipalOrgID",
    "aws:SourceAccount",
    "aws:SourceArn",
    "aws:SourceIp",
    "aws:SourceOwner",
    "aws:SourceVpc",
    "aws:SourceVpce",
    "aws:userid",
    "kms:CallerAccount",
];

impl Operator {
    /// Reads `ForAnyValue:StringLikeIfExists` and its like; nothing for other text.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let (set, name) = if let Some(name) = name.strip_prefix("ForAllValues:") {
            (Set::All, name)
        } else if let Some(name) = name.strip_prefix("ForAnyValue:") {
            (Set::Any, name)
        } else {
            (Set::Plain, name)
        };
        let (name, if_exists) = match name.strip_suffix("IfExists") {
            Some(name) => (name, true),
            None => (name, false),
        };
        let (_, family, negated) = OPERATORS.iter().find(|(known, ..)| *known == name)?;
        // "...except the Null condition" (IAM user guide, "...IfExists condition operators").
        (*family != Family::Null || !if_exists).then_some(Self {
            family: *family,
            negated: *negated,
            if_exists,
            set,
        })
    }
}

#[derive(Clone, Debug)]
enum Test {
    Texts(Vec<Pattern>),
    Numbers(Order, Vec<i128>),
    Dates(Order, Vec<i128>),
    Bytes(Vec<Vec<u8>>),
    Networks(Vec<Network>),
    Arns(Vec<ArnPattern>),
    /// The states asked for: true is absent.
    Absent(Vec<bool>),
}

impl Condition {
    pub(crate) fn new(
        operator: &str,
        kind: Operator,
        key: &str,
        values: &[String],
        variables: bool,
    ) -> Self {
        Self {
            operator: operator.into(),
            key: key.into(),
            kind,
            test: Test::new(kind.family, values, variables),
        }
    }

    /// Whether the request satisfies the condition.
    pub(crate) fn holds(&self, context: &Context) -> bool {
        let values = context.values(&self.key);
        if let Test::Absent(wanted) = &self.test {
            return wanted.contains(&values.is_none());
        }
        let Operator { negated, set, .. } = self.kind;
        let Some(values) = values else {
            return self.kind.if_exists || set == Set::All || (set == Set::Plain && negated);
        };
        let satisfies = |value: &String| self.test.matches(value, context) != negated;
        // "an empty data set (for example, an empty string)" satisfies ForAllValues and fails ForAnyValue.
        let mut filled = values.iter().filter(|value| !value.is_empty());
        match (set, negated) {
            (Set::All, _) => filled.all(satisfies),
            (Set::Any, _) => filled.any(satisfies),
            (Set::Plain, true) => values.iter().all(satisfies),
            (Set::Plain, false) => values.iter().any(satisfies),
        }
    }

    /// Whether the condition leaves the world out: it asks for fixed values of a key that tells callers apart, and the
    /// key must be there.
    pub(crate) fn narrows(&self) -> bool {
        let Operator {
            negated,
            if_exists,
            set,
            ..
        } = self.kind;
        let telling = NARROWING
            .iter()
            .any(|key| key.eq_ignore_ascii_case(&self.key));
        if negated || if_exists || set == Set::All || !telling {
            return false;
        }
        match &self.test {
            Test::Texts(texts) => texts.iter().all(Pattern::is_fixed),
            Test::Arns(arns) => arns.iter().all(ArnPattern::names_account),
            Test::Networks(networks) => networks.iter().all(|network| network.is_narrow()),
            _ => false,
        }
    }

    /// The keys that the condition looks at, variables in its values included.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        let (texts, arns): (&[Pattern], &[ArnPattern]) = match &self.test {
            Test::Texts(texts) => (texts, &[]),
            Test::Arns(arns) => (&[], arns),
            _ => (&[], &[]),
        };
        let variables = texts.iter().flat_map(Pattern::variables);
        let variables = variables.chain(arns.iter().flat_map(ArnPattern::variables));
        std::iter::once(&*self.key).chain(variables)
    }
}

impl Test {
    fn new(family: Family, values: &[String], variables: bool) -> Self {
        let texts = values.iter().map(String::as_str);
        let dates = |text| values::date(text)?.nanoseconds;
        match family {
            Family::Text { fold, wildcards } => {
                let meaning = Meaning {
                    wildcards,
                    variables,
                    fold,
                };
                Self::Texts(texts.map(|text| Pattern::compile(text, meaning)).collect())
            }
            Family::Bool => {
                // The page "Variables and tags" rules variables out for Bool, the page "Condition operators" lets
                // them in; we let them in.
                let meaning = Meaning {
                    wildcards: false,
                    variables,
                    fold: true,
                };
                Self::Texts(texts.map(|text| Pattern::compile(text, meaning)).collect())
            }
            Family::Number(order) => {
                Self::Numbers(order, texts.filter_map(values::number).collect())
            }
            Family::Date(order) => Self::Dates(order, texts.filter_map(dates).collect()),
            Family::Binary => Self::Bytes(texts.filter_map(bytes).collect()),
            Family::Address => Self::Networks(texts.filter_map(Network::parse).collect()),
            Family::Arn => {
                let compile = |text| ArnPattern::condition(text, variables);
                Self::Arns(texts.map(compile).collect())
            }
            Family::Null => Self::Absent(
                texts
                    .map(|text| text.eq_ignore_ascii_case("true"))
                    .collect(),
            ),
        }
    }

    fn matches(&self, value: &str, context: &Context) -> bool {
        match self {
            Self::Texts(patterns) => patterns.iter().any(|p| p.matches(value, context)),
            Self::Numbers(order, wanted) => order.any(values::number(value), wanted),
            Self::Dates(order, wanted) => {
                order.any(values::date(value).and_then(|d| d.nanoseconds), wanted)
            }
            Self::Bytes(wanted) => bytes(value).is_some_and(|value| wanted.contains(&value)),
            Self::Networks(networks) => value
                .parse::<IpAddr>()
                .is_ok_and(|address| networks.iter().any(|n| n.contains(address))),
            Self::Arns(patterns) => {
                let target = Target::new(value);
                patterns.iter().any(|p| p.matches(&target, context))
            }
            Self::Absent(_) => false,
        }
    }
}

impl Order {
    fn any(self, value: Option<i128>, wanted: &[i128]) -> bool {
        value.is_some_and(|value| wanted.iter().any(|wanted| self.holds(value, *wanted)))
    }

    fn holds(self, value: i128, wanted: i128) -> bool {
        match self {
            Self::Equal => value == wanted,
            Self::Less => value < wanted,
            Self::AtMost => value <= wanted,
            Self::Greater => value > wanted,
            Self::AtLeast => value >= wanted,
        }
    }
}

/// Binary values travel as base64, in policies and in contexts.
fn bytes(text: &str) -> Option<Vec<u8>> {
    BASE64_STANDARD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operator_has_one_prefix_and_one_suffix() {
        for name in [
            "StringEquals",
            "ForAnyValue:StringNotLikeIfExists",
            "ForAllValues:ArnLike",
            "Null",
            "BoolIfExists",
            "NotIpAddressIfExists",
        ] {
            assert!(Operator::parse(name).is_some(), "{name}");
        }
        for name in [
            "",
            "stringequals",
            "NullIfExists",
            "ForAnyValue::StringEquals",
            "ForAnyValue:ForAllValues:StringEquals",
            "StringEqualsIfExistsIfExists",
            "BoolEquals",
            "IfExists",
        ] {
            assert!(Operator::parse(name).is_none(), "{name}");
        }
    }
}
