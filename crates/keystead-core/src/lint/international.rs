//! Names beyond ASCII: domains (RFC 9549, once RFC 8399), mailboxes (RFC 9598, once RFC 8398), and names of
//! services (RFC 4985).

use super::der::{self, Reader, Tlv};
use super::facts::Facts;
use super::san::{is_host_name, names_of};
use super::{Rule, oid, require};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "rfc9549_2_3_a_labels",
        check: a_labels,
    },
    Rule {
        id: "rfc9598_3_smtp_utf8_mailbox",
        check: mailboxes,
    },
    Rule {
        id: "rfc4985_2_srv_name",
        check: services,
    },
];

/// RFC 9549 section 2.3 through RFC 5890 section 2.3.1: a label with hyphens in third and fourth place is
/// an A-label, and that is Punycode (RFC 3492) of something that is not ASCII.
fn a_labels(facts: &Facts<'_>) -> Result<(), String> {
    for name in names_of(facts, der::implicit(2)) {
        let text = std::str::from_utf8(name.content).unwrap_or_default();
        for label in text.split('.') {
            let reserved = label.get(2..4) == Some("--");
            let (prefix, encoded) = label.split_at_checked(4).unwrap_or_default();
            let fits = prefix.eq_ignore_ascii_case("xn--")
                && punycode(encoded).is_some_and(|decoded| !decoded.is_ascii());
            require(!reserved || fits, || {
                format!(
                    "'{}' looks like an international label and is not one",
                    label.escape_debug()
                )
            })?;
        }
    }
    Ok(())
}

/// RFC 9598 section 3: a UTF8String, with something in front of the @ that rfc822Name could not say, and a
/// domain of A-labels behind it.
fn mailboxes(facts: &Facts<'_>) -> Result<(), String> {
    others(facts, oid::SMTP_UTF8_MAILBOX, |value| {
        let text = std::str::from_utf8(value.content).ok()?;
        let (local, domain) = text.rsplit_once('@')?;
        let fits = value.tag == der::UTF8_STRING && !local.is_ascii() && is_host_name(domain);
        fits.then_some(())
    })
    .map_err(|()| "a SmtpUTF8Mailbox is not an address that needs it".into())
}

/// RFC 4985 section 2: an IA5String `_service.domain`.
fn services(facts: &Facts<'_>) -> Result<(), String> {
    others(facts, oid::DNS_SRV, |value| {
        let text = std::str::from_utf8(value.content).ok()?;
        let (service, domain) = text.strip_prefix('_')?.split_once('.')?;
        let fits = value.tag == der::IA5_STRING && is_host_name(service) && is_host_name(domain);
        fits.then_some(())
    })
    .map_err(|()| "an SRVName is not of the form _service.domain".into())
}

/// Checks the values of the otherNames of this type.
fn others(
    facts: &Facts<'_>,
    wanted: &[u8],
    check: impl Fn(Tlv<'_>) -> Option<()>,
) -> Result<(), ()> {
    for name in names_of(facts, der::explicit(0)) {
        let mut fields = name.inside();
        let kind = fields.take(der::OID).map_err(|_| ())?;
        if kind.content == wanted {
            let wrapped = fields.take(der::explicit(0)).map_err(|_| ())?;
            let value = Reader(wrapped.content).next().map_err(|_| ())?;
            value.and_then(&check).ok_or(())?;
        }
    }
    Ok(())
}

/// RFC 3492 section 6.2.
fn punycode(encoded: &str) -> Option<String> {
    let (basic, deltas) = encoded.rsplit_once('-').unwrap_or(("", encoded));
    let mut decoded: Vec<char> = basic.chars().collect();
    let (mut code, mut index, mut bias) = (128_u32, 0_u32, 72_u32);
    let mut digits = deltas.bytes().peekable();
    while digits.peek().is_some() {
        let before = index;
        let mut weight = 1_u32;
        for k in (36_u32..).step_by(36) {
            let digit = char::from(digits.next()?).to_ascii_lowercase();
            let digit = match digit {
                'a'..='z' => u32::from(digit) - u32::from('a'),
                '0'..='9' => u32::from(digit) - u32::from('0') + 26,
                _ => return None,
            };
            index = index.checked_add(digit.checked_mul(weight)?)?;
            let threshold = k.saturating_sub(bias).clamp(1, 26);
            if digit < threshold {
                break;
            }
            weight = weight.checked_mul(36 - threshold)?;
        }
        let length = u32::try_from(decoded.len()).ok()? + 1;
        bias = adapt(index - before, length, before == 0);
        code = code.checked_add(index / length)?;
        index %= length;
        decoded.insert(index as usize, char::from_u32(code)?);
        index += 1;
    }
    Some(decoded.into_iter().collect())
}

/// RFC 3492 section 6.1.
fn adapt(delta: u32, length: u32, first: bool) -> u32 {
    let mut delta = if first { delta / 700 } else { delta / 2 };
    delta += delta / length;
    let mut k = 0;
    while delta > 455 {
        delta /= 35;
        k += 36;
    }
    k + 36 * delta / (delta + 38)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3492 section 7.1, and a name that everybody knows.
    #[test]
    fn punycode_is_read() {
        for (encoded, decoded) in [
            ("bcher-kva", "bücher"),
            ("ihqwcrb4cv8a8dqg056pqjye", "他们为什么不说中文"),
            ("Proprostnemluvesky-uyb24dma41a", "Pročprostěnemluvíčesky"),
            ("2-u9tlzr9756bt3uc0v", "ひとつ屋根の下2"),
        ] {
            assert_eq!(punycode(encoded).as_deref(), Some(decoded));
        }
        for wrong in ["a-é", "99999999", "zz_", "a-b!"] {
            assert_eq!(punycode(wrong), None, "{wrong}");
        }
    }
}
