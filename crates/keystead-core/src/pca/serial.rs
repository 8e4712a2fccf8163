//! Serial numbers.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The serial number of a certificate that we issue: 20 octets, the most that RFC 5280 section 4.1.2.2 allows, of which the
/// last 128 bits come straight from the random generator (the Baseline Requirements ask for 64) and the 30 before
/// them count 16 milliseconds, so that certificates which are issued together lie together in the store.
///
/// Without that, each certificate's serial number as a key is a page of the store's index that nothing else is written into, and
/// half of what issuing writes. The count begins anew after 199 days, which costs nothing: it is no date. The topmost two
/// bits are 01: the number is positive, and always has 20 octets.
///
/// AWS's have 16 octets, as those did that Keystead gave before; these stay what they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "Vec<u8>", try_from = "Vec<u8>")]
pub struct Serial([u8; Self::OCTETS]);

impl Serial {
    const OCTETS: usize = 20;
    /// How many octets there are at least where they are shown.
    const SHOWN: usize = 16;

    /// The serial number of a certificate that is issued now, with these random octets.
    pub fn new(now: Timestamp, random: [u8; 16]) -> Self {
        let ticks = now.as_millisecond().cast_unsigned() >> 4;
        let [.., a, b, c, d] = ticks.to_be_bytes();
        let mut octets = [0; Self::OCTETS];
        let (front, back) = octets.split_at_mut(4);
        front.copy_from_slice(&[a & 0x3f | 0x40, b, c, d]);
        back.copy_from_slice(&random);
        Self(octets)
    }

    /// The number with these big-endian octets; `None` for zero, and for what is too long for a serial number.
    fn from_octets(octets: &[u8]) -> Option<Self> {
        let significant = without_zeros(octets);
        let start = Self::OCTETS.checked_sub(significant.len())?;
        let mut all = [0; Self::OCTETS];
        all.get_mut(start..)?.copy_from_slice(significant);
        (!significant.is_empty()).then_some(Self(all))
    }

    /// Reads hexadecimal digits, with or without colons between the octets, as OpenSSL and AWS
    /// show them. Leading zeros may be left out.
    pub fn parse(text: &str) -> Option<Self> {
        let mut digits: Vec<u8> = Vec::with_capacity(2 * Self::OCTETS);
        for character in text.chars().filter(|character| *character != ':') {
            digits.push(u8::try_from(character.to_digit(16)?).ok()?);
        }
        let octets: Vec<u8> = digits
            .rchunks(2)
            .rev()
            .map(|pair| pair.iter().fold(0, |octet, digit| octet << 4 | digit))
            .collect();
        Self::from_octets(&octets)
    }

    /// Hexadecimal digits, as in ARNs: 40, or 32 where that is enough.
    pub fn hex(&self) -> String {
        crate::hex(self.shown())
    }

    /// Octets between colons, as OpenSSL and ACM show it.
    pub fn colons(&self) -> String {
        let octets = self.shown().iter().map(|octet| format!("{octet:02x}"));
        octets.collect::<Vec<String>>().join(":")
    }

    /// Big-endian octets, leading zeros left out: what `TbsCertificate::serial` takes.
    pub fn octets(&self) -> &[u8] {
        without_zeros(&self.0)
    }

    fn shown(&self) -> &[u8] {
        let significant = self.octets().len().max(Self::SHOWN);
        self.0.get(Self::OCTETS - significant..).unwrap_or_default()
    }
}

impl From<Serial> for Vec<u8> {
    fn from(serial: Serial) -> Self {
        serial.0.to_vec()
    }
}

impl TryFrom<Vec<u8>> for Serial {
    type Error = &'static str;

    fn try_from(octets: Vec<u8>) -> Result<Self, Self::Error> {
        Self::from_octets(&octets).ok_or("no serial number")
    }
}

fn without_zeros(octets: &[u8]) -> &[u8] {
    let zeros = octets.iter().take_while(|octet| **octet == 0).count();
    octets.get(zeros..).unwrap_or_default()
}

/// A big-endian number of any length in decimal, as DescribeCertificateAuthority shows the serial
/// number of an authority's certificate (API reference, sample response).
pub fn decimal(octets: &[u8]) -> String {
    // Base 10^9, least significant first: multiply by 256, add, carry.
    let mut limbs: Vec<u64> = vec![0];
    for octet in octets {
        let mut carry = u64::from(*octet);
        for limb in &mut limbs {
            let value = *limb * 256 + carry;
            *limb = value % BILLION;
            carry = value / BILLION;
        }
        if carry > 0 {
            limbs.push(carry);
        }
    }
    let mut parts = limbs.iter().rev();
    let first = parts.next().copied().unwrap_or_default();
    parts.fold(first.to_string(), |text, limb| format!("{text}{limb:09}"))
}

const BILLION: u64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_names_the_same_number() {
        let serial = Serial::parse("006707447683a9b7f4055627ffd55ceb").unwrap();
        assert_eq!(serial.hex(), "006707447683a9b7f4055627ffd55ceb");
        assert_eq!(serial.octets().len(), 15);
        for text in [
            serial.hex(),
            serial.colons(),
            "67:07:44:76:83:A9:B7:F4:05:56:27:FF:D5:5C:EB".into(),
            "6707447683a9b7f4055627ffd55ceb".into(),
            format!("00000000{}", serial.hex()),
        ] {
            assert_eq!(Serial::parse(&text), Some(serial), "{text}");
        }
    }

    #[test]
    fn what_is_issued_together_lies_together() {
        let at = |millisecond| {
            let now = Timestamp::from_millisecond(millisecond).unwrap();
            Serial::new(now, [0xab; 16])
        };
        let early = at(1_790_000_000_000);
        assert_eq!(early.octets().len(), 20);
        assert_eq!(early.hex().len(), 40);
        assert_eq!(Serial::parse(&early.hex()), Some(early));
        assert_eq!(Serial::parse(&early.colons()), Some(early));
        assert!(early.hex().ends_with(&"ab".repeat(16)));
        assert!(at(1_790_000_000_016).hex() > early.hex());
        for millisecond in [-1, 0, 16 << 30, (16 << 30) - 1] {
            let first = at(millisecond).octets().first().copied().unwrap();
            assert_eq!(first & 0xc0, 0x40, "{millisecond}");
        }
    }

    #[test]
    fn what_was_stored_before_is_read() {
        let old = (0..16).collect::<Vec<u8>>();
        let serial = Serial::try_from(old).unwrap();
        assert_eq!(serial.hex(), "000102030405060708090a0b0c0d0e0f");
        assert_eq!(Serial::try_from(Vec::from(serial)), Ok(serial));
    }

    #[test]
    fn what_is_no_serial_number_is_refused() {
        for text in ["", "0", "00:00", "xyz", "-1", "+1", "é", &"1".repeat(41)] {
            assert_eq!(Serial::parse(text), None, "{text}");
        }
        assert!(Serial::try_from(vec![0; 16]).is_err());
    }

    #[test]
    fn decimals_agree_with_integers() {
        for value in [
            0_u128,
            9,
            10,
            4109,
            999_999_999,
            1_000_000_000,
            u128::MAX,
            173_039_654_744_616_464_971_164_424_001_052_828_114,
        ] {
            assert_eq!(decimal(&value.to_be_bytes()), value.to_string());
        }
        assert_eq!(decimal(&[]), "0");
    }
}
