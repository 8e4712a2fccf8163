//! Issuer, subject, and what their attributes may say (RFC 5280 sections 4.1.2.4 and 4.1.2.6,
//! appendix A.1). The same holds for the directory names among the subject alternative names.

use super::der::{self, Fault, Reader};
use super::facts::{EMPTY_NAME, Facts};
use super::san::names_of;
use super::{Issuer, Rule, oid, require};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "rfc5280_4_1_2_4_issuer_not_empty",
        check: issuer_not_empty,
    },
    Rule {
        id: "rfc5280_6_1_3_issuer_is_the_issuers_subject",
        check: issuer_is_the_issuers_subject,
    },
    Rule {
        id: "rfc5280_4_1_2_6_ca_subject_not_empty",
        check: ca_subject_not_empty,
    },
    Rule {
        id: "rfc5280_4_1_2_6_empty_subject_needs_critical_san",
        check: empty_subject_needs_critical_san,
    },
    Rule {
        id: "rfc5280_4_1_2_4_name_form",
        check: name_form,
    },
    Rule {
        id: "rfc5280_4_1_2_4_string_types",
        check: string_types,
    },
    Rule {
        id: "rfc5280_a_1_upper_bounds",
        check: upper_bounds,
    },
    Rule {
        id: "rfc5280_a_1_country_two_letters",
        check: country,
    },
    Rule {
        id: "x501_9_3_attribute_once_in_a_relative_name",
        check: attribute_once,
    },
    Rule {
        id: "rfc4518_2_2_no_control_characters",
        check: no_control_characters,
    },
];

fn issuer_not_empty(facts: &Facts<'_>) -> Result<(), String> {
    require(facts.issuer != EMPTY_NAME, || "the issuer is empty".into())
}

/// RFC 5280 section 6.1.3 (a)(4): a path holds together by names. Byte equality is more than it
/// asks for, and spares every verifier the comparison rules of section 7.1.
fn issuer_is_the_issuers_subject(facts: &Facts<'_>) -> Result<(), String> {
    let fits = |issuer: &Issuer<'_>| facts.issuer == issuer.subject_der;
    require(facts.issuing.is_none_or(fits), || {
        "the issuer is not, byte for byte, the subject of the CA's certificate".into()
    })
}

fn ca_subject_not_empty(facts: &Facts<'_>) -> Result<(), String> {
    require(!(facts.is_ca() && facts.subject_is_empty()), || {
        "the subject of a CA certificate is empty".into()
    })
}

fn empty_subject_needs_critical_san(facts: &Facts<'_>) -> Result<(), String> {
    let has_critical_san = facts
        .extension(oid::SUBJECT_ALT_NAME)
        .is_some_and(|extension| extension.critical);
    require(
        !facts.subject_is_empty() || facts.is_ca() || has_critical_san,
        || "the subject is empty and no critical subjectAltName stands in for it".into(),
    )
}

fn name_form(facts: &Facts<'_>) -> Result<(), String> {
    for name in names(facts) {
        each_attribute(name, |_| Ok(())).map_err(|fault| format!("the subject {fault}"))??;
    }
    Ok(())
}

/// RFC 5280 section 4.1.2.4: PrintableString or UTF8String; where appendix A.1 fixes the type,
/// that one.
fn string_types(facts: &Facts<'_>) -> Result<(), String> {
    judge(facts, |attribute| {
        let fits = match attribute.oid {
            oid::COUNTRY | oid::SERIAL_NUMBER | oid::DN_QUALIFIER => {
                attribute.tag == der::PRINTABLE_STRING
            }
            oid::EMAIL_ADDRESS | oid::DOMAIN_COMPONENT => attribute.tag == der::IA5_STRING,
            known if bound(known).is_some() => {
                matches!(attribute.tag, der::PRINTABLE_STRING | der::UTF8_STRING)
            }
            // What an attribute outside appendix A.1 holds is for its maker to say.
            _ => true,
        };
        require(fits, || {
            "an attribute of the subject has a string type that RFC 5280 does not allow for it"
                .into()
        })
    })
}

/// RFC 5280 appendix A.1: SIZE (1..ub-...), counted in characters.
fn upper_bounds(facts: &Facts<'_>) -> Result<(), String> {
    judge(facts, |attribute| {
        let Some(most) = bound(attribute.oid) else {
            return Ok(());
        };
        let length = match std::str::from_utf8(attribute.value) {
            Ok(text) => text.chars().count(),
            Err(_) => attribute.value.len(),
        };
        require((1..=most).contains(&length), || {
            format!("an attribute of the subject has {length} characters; 1 to {most} are allowed")
        })
    })
}

/// RFC 5280 appendix A.1 (X520countryName): two letters of ISO 3166.
fn country(facts: &Facts<'_>) -> Result<(), String> {
    judge(facts, |attribute| {
        let two_letters =
            attribute.value.len() == 2 && attribute.value.iter().all(u8::is_ascii_alphabetic);
        require(attribute.oid != oid::COUNTRY || two_letters, || {
            "the country of the subject is not two letters".into()
        })
    })
}

/// X.501 section 9.3: a relative name is a set of attributes of different types.
fn attribute_once(facts: &Facts<'_>) -> Result<(), String> {
    for name in names(facts) {
        let mut before: Vec<(usize, &[u8])> = Vec::new();
        let mut twice = false;
        let read = walk(name, |place, attribute| {
            twice |= before.contains(&(place, attribute.oid));
            before.push((place, attribute.oid));
            Ok(())
        });
        // A name that can't be read is the finding of `name_form`.
        require(!twice || read.is_err(), || {
            "a relative name of the subject has two attributes of one type".into()
        })?;
    }
    Ok(())
}

/// RFC 4518 section 2.2, through RFC 5280 section 7.1: comparing maps control characters to nothing, so
/// that two names which look and compare alike would differ; and a NUL ends a name for whoever wrote
/// in C.
fn no_control_characters(facts: &Facts<'_>) -> Result<(), String> {
    judge(facts, |attribute| {
        let text = std::str::from_utf8(attribute.value).unwrap_or_default();
        let is_text = matches!(
            attribute.tag,
            der::PRINTABLE_STRING | der::UTF8_STRING | der::IA5_STRING
        );
        require(!is_text || !text.chars().any(char::is_control), || {
            "an attribute of the subject has a control character".into()
        })
    })
}

/// The common names of the subject.
pub(super) fn common_names<'a>(facts: &Facts<'a>) -> Vec<&'a [u8]> {
    let mut found = Vec::new();
    // A name that can't be read is the finding of `name_form`.
    let _read = walk(facts.subject, |_, attribute| {
        if attribute.oid == oid::COMMON_NAME {
            found.push(attribute.value);
        }
        Ok(())
    });
    found
}

/// Shows each attribute of a name: its type and its value.
pub(super) fn visit<'a>(
    name: &'a [u8],
    mut see: impl FnMut(&'a [u8], &'a [u8]),
) -> Result<(), Fault> {
    visit_places(name, |_, oid, _, value| see(oid, value))
}

/// As [`visit`], with the place of the relative name before and the tag of the value between them.
pub(super) fn visit_places<'a>(
    name: &'a [u8],
    mut see: impl FnMut(usize, &'a [u8], u8, &'a [u8]),
) -> Result<(), Fault> {
    walk(name, |place, attribute| {
        see(place, attribute.oid, attribute.tag, attribute.value);
        Ok(())
    })
    .map(drop)
}

/// Whether this is the DER of a name.
pub(super) fn is_name(name: &[u8]) -> bool {
    each_attribute(name, |_| Ok(())).is_ok()
}

/// The names to judge: the subject's, and those of kind directoryName.
fn names<'a>(facts: &Facts<'a>) -> impl Iterator<Item = &'a [u8]> {
    let others = names_of(facts, der::explicit(4)).map(|name| name.content);
    std::iter::once(facts.subject).chain(others)
}

/// One attribute of a name.
#[derive(Clone, Copy)]
struct Attribute<'a> {
    oid: &'a [u8],
    tag: u8,
    value: &'a [u8],
}

fn judge(
    facts: &Facts<'_>,
    check: impl Fn(Attribute<'_>) -> Result<(), String>,
) -> Result<(), String> {
    // A name that can't be read is the finding of `name_form`.
    names(facts).try_for_each(|name| each_attribute(name, &check).unwrap_or(Ok(())))
}

/// Calls `check` for each attribute; the outer result says whether the name could be read.
fn each_attribute<'a>(
    name: &'a [u8],
    check: impl Fn(Attribute<'a>) -> Result<(), String>,
) -> Result<Result<(), String>, Fault> {
    walk(name, |_, attribute| check(attribute))
}

/// As [`each_attribute`], with the place of the relative name that has it.
fn walk<'a>(
    name: &'a [u8],
    mut check: impl FnMut(usize, Attribute<'a>) -> Result<(), String>,
) -> Result<Result<(), String>, Fault> {
    let mut outer = Reader(name);
    let mut relative_names = outer.take(der::SEQUENCE)?.inside();
    outer.end()?;
    let mut place = 0;
    while !relative_names.is_empty() {
        let mut set = relative_names.take(der::SET)?.inside();
        if set.is_empty() {
            return Err("has a relative name without an attribute");
        }
        while !set.is_empty() {
            let mut pair = set.take(der::SEQUENCE)?.inside();
            let oid = pair.take(der::OID)?.content;
            let value = pair.next()?.ok_or("has an attribute without a value")?;
            pair.end()?;
            let attribute = Attribute {
                oid,
                tag: value.tag,
                value: value.content,
            };
            let verdict = check(place, attribute);
            if verdict.is_err() {
                return Ok(verdict);
            }
        }
        place += 1;
    }
    Ok(Ok(()))
}

/// The upper bounds of RFC 5280 appendix A.1, in characters. ub-name is for the parts of a
/// person's name.
fn bound(attribute: &[u8]) -> Option<usize> {
    const UB_NAME: usize = 32_768;
    match attribute {
        oid::COMMON_NAME
        | oid::ORGANIZATION
        | oid::ORGANIZATIONAL_UNIT
        | oid::TITLE
        | oid::SERIAL_NUMBER => Some(64),
        oid::LOCALITY | oid::STATE | oid::PSEUDONYM => Some(128),
        oid::EMAIL_ADDRESS => Some(255),
        oid::SURNAME | oid::GIVEN_NAME | oid::INITIALS | oid::GENERATION_QUALIFIER => Some(UB_NAME),
        oid::COUNTRY => Some(2),
        _ => None,
    }
}
