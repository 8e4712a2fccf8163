//! Where more is to be had: authorityInfoAccess and subjectInfoAccess (RFC 5280 section 4.2.2).

use super::der::{self, Fault, Reader};
use super::facts::{self, Facts};
use super::san::is_absolute_uri;
use super::{Rule, oid, require};

pub(super) const RULES: &[Rule] = &[Rule {
    id: "rfc5280_4_2_2_access",
    check: access,
}];

/// At least one place; where a place is a URI it is absolute, and an OCSP responder is reached by HTTP (RFC 6960
/// appendix A.1).
fn access(facts: &Facts<'_>) -> Result<(), String> {
    for kind in [oid::AUTHORITY_INFO_ACCESS, oid::SUBJECT_INFO_ACCESS] {
        let Some(extension) = facts.extension(kind) else {
            continue;
        };
        let fits = places(extension.value)
            .map_err(|fault| format!("an extension for access to information {fault}"))?;
        require(fits, || {
            "an extension for access to information lists nothing, or a place that is no absolute URI".into()
        })?;
    }
    Ok(())
}

fn places(value: &[u8]) -> Result<bool, Fault> {
    let mut outer = Reader(value);
    let list = outer.take(der::SEQUENCE)?;
    outer.end()?;
    let all = facts::elements(list)?;
    for place in &all {
        let mut fields = place.inside();
        let method = fields.take(der::OID)?.content;
        let location = fields.next()?.ok_or("has a place without a location")?;
        fields.end()?;
        if location.tag == der::implicit(6) {
            let text = std::str::from_utf8(location.content).unwrap_or_default();
            let start = text.split(':').next().unwrap_or_default();
            let http = ["http", "https"]
                .iter()
                .any(|scheme| start.eq_ignore_ascii_case(scheme));
            if !is_absolute_uri(text) || (method == oid::ACCESS_OCSP && !http) {
                return Ok(false);
            }
        } else if method == oid::ACCESS_OCSP {
            return Ok(false);
        }
    }
    Ok(!all.is_empty())
}
