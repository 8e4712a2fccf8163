//! Keys whose private half is known: published in a standard, or on a list that the operator brings.
//!
//! The Baseline Requirements (section 6.1.1.3) and common sense alike refuse such a key wherever it
//! comes from. A list is text, so that it can be read before it is trusted: `#` begins a comment, and
//! each other line is the fingerprint of one key in hexadecimal digits, in one of two forms:
//!
//! - 64 digits: the SHA-256 of its SubjectPublicKeyInfo, as most lists of leaked keys have it;
//! - 20 digits: the end of the SHA-1 of `Modulus=...` as `openssl rsa -modulus` prints it, as the
//!   lists of Debian's `openssl-blacklist` have it (CVE-2008-0166, a generator that knew only 32767
//!   seeds).

use std::fmt;

use super::Finding;

/// The fingerprints by which lists name a key.
#[derive(Clone, Copy, Debug)]
pub struct KeyPrints {
    /// SHA-256 of the SubjectPublicKeyInfo.
    pub spki: [u8; 32],
    /// The last ten octets of the SHA-1 of the printed modulus; `None` unless it is an RSA key.
    pub modulus: Option<[u8; 10]>,
}

/// Fingerprints of keys that nobody may use. By default those that standards publish.
#[derive(Clone)]
pub struct KnownKeys {
    /// In ascending order, as are the moduli.
    spkis: Vec<[u8; 32]>,
    moduli: Vec<[u8; 10]>,
}

/// What of a list could not be read.
#[derive(Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// The line of this number is no fingerprint.
    Line(usize),
    /// There are more fingerprints than are held.
    TooMany,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(number) => write!(
                f,
                "line {number} is not a fingerprint: expected 64 hexadecimal digits (SHA-256 of a \
                 SubjectPublicKeyInfo) or 20 (a list of openssl-blacklist)"
            ),
            Self::TooMany => write!(f, "there are more than {MOST} fingerprints"),
        }
    }
}

impl KnownKeys {
    /// Adds the keys of a list.
    ///
    /// # Errors
    /// [`Unreadable`] with the first line that is wrong; then nothing of the list may count.
    pub fn add(&mut self, list: &str) -> Result<(), Unreadable> {
        for (number, line) in (1..).zip(list.lines()) {
            let text = line.split('#').next().unwrap_or_default().trim();
            if text.is_empty() {
                continue;
            }
            if let Some(print) = octets(text) {
                self.spkis.push(print);
            } else if let Some(print) = octets(text) {
                self.moduli.push(print);
            } else {
                return Err(Unreadable::Line(number));
            }
            if self.spkis.len() + self.moduli.len() > MOST {
                return Err(Unreadable::TooMany);
            }
        }
        self.spkis.sort_unstable();
        self.moduli.sort_unstable();
        Ok(())
    }

    /// Refuses a key that is known.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn judge(&self, prints: &KeyPrints) -> Result<(), Finding> {
        if self.spkis.binary_search(&prints.spki).is_ok() {
            return Err(Finding {
                rule: "cabf_br_6_1_1_3_known_key",
                message: "the private half of the key is published, so that anybody can use it"
                    .into(),
            });
        }
        let listed = |print| self.moduli.binary_search(&print).is_ok();
        if prints.modulus.is_some_and(listed) {
            return Err(Finding {
                rule: "cabf_br_6_1_1_3_debian_weak_key",
                message: "the RSA key was made by Debian's broken generator (CVE-2008-0166), which makes few different ones"
                    .into(),
            });
        }
        Ok(())
    }
}

impl Default for KnownKeys {
    fn default() -> Self {
        let mut published = Self {
            spkis: Vec::new(),
            moduli: Vec::new(),
        };
        let read = published.add(PUBLISHED);
        debug_assert_eq!(read, Ok(()));
        published
    }
}

impl fmt::Debug for KnownKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KnownKeys")
            .field("spkis", &self.spkis.len())
            .field("moduli", &self.moduli.len())
            .finish()
    }
}

/// The octets of exactly twice as many hexadecimal digits.
fn octets<const N: usize>(text: &str) -> Option<[u8; N]> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    let mut all = [0; N];
    for (octet, [high, low]) in all.iter_mut().zip(pairs) {
        let digit = |digit: &u8| char::from(*digit).to_digit(16);
        *octet = u8::try_from(digit(high)? << 4 | digit(low)?).ok()?;
    }
    Some(all)
}

/// Debian's lists of all sizes together have fewer than 600,000 lines; a million take 32 MB.
const MOST: usize = 1_000_000;

/// Keys of examples: whoever copies one believes it is his own.
const PUBLISHED: &str = include_str!("known_keys.txt");

#[cfg(test)]
mod tests {
    use super::*;

    const SPKI: [u8; 32] = [0xab; 32];
    const MODULUS: [u8; 10] = [0x01; 10];

    fn prints(spki: [u8; 32], modulus: Option<[u8; 10]>) -> KeyPrints {
        KeyPrints { spki, modulus }
    }

    #[test]
    fn both_forms_of_list_are_read() {
        let list = format!(
            "# a list\n\n{}  # leaked\n{}\r\n",
            "aB".repeat(32),
            "01".repeat(10)
        );
        let mut known = KnownKeys::default();
        known.add(&list).unwrap();
        let rule = |prints| known.judge(&prints).map_err(|finding| finding.rule);
        assert_eq!(rule(prints([7; 32], Some([2; 10]))), Ok(()));
        assert_eq!(rule(prints([7; 32], None)), Ok(()));
        assert_eq!(rule(prints(SPKI, None)), Err("cabf_br_6_1_1_3_known_key"));
        assert_eq!(
            rule(prints([7; 32], Some(MODULUS))),
            Err("cabf_br_6_1_1_3_debian_weak_key")
        );
    }

    #[test]
    fn what_is_no_fingerprint_is_refused_with_its_line() {
        for wrong in [
            "zz".repeat(32),
            "ab".repeat(31),
            "0".into(),
            "01".repeat(11),
        ] {
            let list = format!("# first\n{wrong}\n");
            assert_eq!(
                KnownKeys::default().add(&list),
                Err(Unreadable::Line(2)),
                "{wrong}"
            );
        }
    }

    #[test]
    fn lists_are_bounded() {
        let list = format!("{}\n", "01".repeat(10)).repeat(MOST + 1);
        assert_eq!(KnownKeys::default().add(&list), Err(Unreadable::TooMany));
    }

    #[test]
    fn published_keys_are_known() {
        let known = KnownKeys::default();
        assert_eq!(known.spkis.len(), 24);
        assert!(known.moduli.is_empty());
    }
}
