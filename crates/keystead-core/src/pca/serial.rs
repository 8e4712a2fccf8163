//! Serial numbers.

use serde::{Deserialize, Serialize};

/// The serial number of a certificate that we issue: 128 bits straight from the random generator.
///
/// AWS's certificate ARNs end in the serial number as 32 hexadecimal digits, so it has 16 octets,
/// and since none of them is fixed, 128 bits are random (RFC 5280 section 4.1.2.2 allows 20
/// octets, the Baseline Requirements ask for 64 bits). One draw in 256 starts with a zero octet;
/// the ARN then shows it, the certificate's INTEGER does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Serial([u8; 16]);

impl Serial {
    /// The serial number of these random octets; `None` for zero, which is not positive.
    pub fn from_random(octets: [u8; 16]) -> Option<Self> {
        octets
            .iter()
            .any(|octet| *octet != 0)
            .then_some(Self(octets))
    }

    /// Reads hexadecimal digits, with or without colons between the octets, as OpenSSL and AWS
    /// show them. Leading zeros may be left out.
    pub fn parse(text: &str) -> Option<Self> {
        let digits: String = text.chars().filter(|character| *character != ':').collect();
        let significant = digits.trim_start_matches('0');
        let hex = !digits.is_empty() && digits.chars().all(|digit| digit.is_ascii_hexdigit());
        if !hex || significant.len() > 32 {
            return None;
        }
        let value = u128::from_str_radix(significant, 16).ok()?;
        Self::from_random(value.to_be_bytes())
    }

    /// 32 hexadecimal digits, as in ARNs.
    pub fn hex(&self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.0))
    }

    /// Octets between colons, as OpenSSL and ACM show it.
    pub fn colons(&self) -> String {
        let octets: Vec<String> = self.0.iter().map(|octet| format!("{octet:02x}")).collect();
        octets.join(":")
    }

    /// Big-endian octets, leading zeros left out: what `TbsCertificate::serial` takes.
    pub fn octets(&self) -> &[u8] {
        let zeros = self.0.iter().take_while(|octet| **octet == 0).count();
        self.0.get(zeros..).unwrap_or_default()
    }
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
        let serial =
            Serial::from_random(0x0067_0744_7683_a9b7_f405_5627_ffd5_5ceb_u128.to_be_bytes())
                .unwrap();
        assert_eq!(serial.hex(), "006707447683a9b7f4055627ffd55ceb");
        assert_eq!(serial.octets().len(), 15);
        for text in [
            serial.hex(),
            serial.colons(),
            "67:07:44:76:83:A9:B7:F4:05:56:27:FF:D5:5C:EB".into(),
            "6707447683a9b7f4055627ffd55ceb".into(),
        ] {
            assert_eq!(Serial::parse(&text), Some(serial), "{text}");
        }
    }

    #[test]
    fn what_is_no_serial_number_is_refused() {
        for text in ["", "0", "00:00", "xyz", "-1", "+1", "é", &"1".repeat(33)] {
            assert_eq!(Serial::parse(text), None, "{text}");
        }
        assert_eq!(Serial::from_random([0; 16]), None);
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
