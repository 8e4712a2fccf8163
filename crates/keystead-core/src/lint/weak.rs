//! RSA keys that are well-formed and yet give their private half away.
//!
//! Each test is for one known fault of a key generator, and cheap enough to be made at every
//! issuance. What they can't see is a key that somebody else knows; that is [`super::KnownKeys`]' part.

use num_bigint::BigUint;

use super::facts::Key;
use super::key::{RSA_BITS, bit_length, rsa};
use super::{KeyRule, require};

pub(super) const RULES: &[KeyRule] = &[
    KeyRule {
        id: "sp800_89_5_3_3_no_small_factor",
        check: small_factor,
    },
    KeyRule {
        id: "cabf_br_6_1_1_3_roca",
        check: roca,
    },
    KeyRule {
        id: "cabf_br_6_1_1_3_close_primes",
        check: close_primes,
    },
    KeyRule {
        id: "fips186_5_a_1_1_rsa_exponent_at_most_256_bits",
        check: huge_exponent,
    },
];

/// NIST SP 800-89 section 5.3.3, which the Baseline Requirements repeat (section 6.1.6): no factor
/// below 752.
fn small_factor(key: &Key<'_>) -> Result<(), String> {
    let Some(modulus) = modulus(key) else {
        return Ok(());
    };
    let factor = SIEVE.iter().find_map(|(product, primes)| {
        let rest = residue(modulus, *product);
        primes.iter().find(|prime| rest.is_multiple_of(**prime))
    });
    match factor {
        Some(2) | None => Ok(()), // an even modulus has its own rule
        Some(prime) => Err(format!(
            "the RSA modulus is divisible by {prime}: whoever made the key used no primes"
        )),
    }
}

/// CVE-2017-15361 (Nemec and others, "The Return of Coppersmith's Attack", 2017, section 2): the
/// primes of Infineon's library are powers of 65537 modulo many small primes, and so is their
/// product. Of honest keys one in 2^27 looks so too. The Baseline Requirements demand the refusal
/// (section 6.1.1.3).
fn roca(key: &Key<'_>) -> Result<(), String> {
    let Some(modulus) = modulus(key) else {
        return Ok(());
    };
    let is_power = |prime: u64| {
        let rest = residue(modulus, prime);
        std::iter::successors(Some(1), |power| {
            let next = power * 65_537 % prime;
            (next != 1).then_some(next)
        })
        .any(|power| power == rest)
    };
    require(!ROCA_PRIMES.iter().all(|prime| is_power(*prime)), || {
        "the RSA key was made by a generator whose keys can be factored (ROCA, CVE-2017-15361)"
            .into()
    })
}

/// CVE-2022-26320 and the Baseline Requirements section 6.1.1.3: no modulus that a hundred rounds of
/// Fermat's method factor. They look for a square a² - n, beginning at the smallest a that can be.
fn close_primes(key: &Key<'_>) -> Result<(), String> {
    let Some(modulus) = modulus(key) else {
        return Ok(());
    };
    let modulus = BigUint::from_bytes_be(modulus);
    let mut a = modulus.sqrt();
    if &a * &a < modulus {
        a += 1_u32;
    }
    let mut difference = &a * &a - &modulus;
    for _ in 0..FERMAT_ROUNDS {
        if is_square(&difference) {
            return Err(
                "the primes of the RSA key are so close together that anybody finds them (Fermat's method)"
                    .into(),
            );
        }
        difference += &a + &a + 1_u32;
        a += 1_u32;
    }
    Ok(())
}

/// FIPS 186-5 appendix A.1.1: the exponent is below 2^256. A longer one hides a short private
/// exponent, which Wiener's attack finds.
fn huge_exponent(key: &Key<'_>) -> Result<(), String> {
    let long = rsa(key).is_some_and(|(_, exponent)| exponent.len() > 32);
    require(!long, || {
        "the RSA exponent has more than 256 bits; 65537 is usual".into()
    })
}

/// The modulus, if it has a size that is allowed: what is refused for its size is not worked on.
fn modulus<'a>(key: &Key<'a>) -> Option<&'a [u8]> {
    let (modulus, _) = rsa(key)?;
    RSA_BITS.contains(&bit_length(modulus)).then_some(modulus)
}

/// Whether a number is a square. Nine in ten are sorted out by what squares leave modulo 64, nearly
/// all others modulo 45045; the root of the rest is drawn.
fn is_square(number: &BigUint) -> bool {
    let low = number.iter_u64_digits().next().unwrap_or(0) & 63;
    let squares = |modulus: u64, rest: u64| (0..modulus).any(|root| root * root % modulus == rest);
    if !squares(64, low) {
        return false;
    }
    let rest = number % 45_045_u32;
    let rest = rest.iter_u64_digits().next().unwrap_or(0);
    if ![63, 65, 11].iter().all(|part| squares(*part, rest % part)) {
        return false;
    }
    let root = number.sqrt();
    &root * &root == *number
}

/// What a big-endian number leaves when divided by `divisor`, which has at most 32 bits.
fn residue(number: &[u8], divisor: u64) -> u64 {
    let (words, tail) = number.as_chunks::<4>();
    let head = words.iter().fold(0, |rest: u64, word| {
        ((rest << 32) | u64::from(u32::from_be_bytes(*word))) % divisor
    });
    tail.iter().fold(head, |rest, octet| {
        ((rest << 8) | u64::from(*octet)) % divisor
    })
}

/// Baseline Requirements section 6.1.1.3.
const FERMAT_ROUNDS: usize = 100;

/// The odd primes up to 167: all divide the modulus behind the shortest key that the library makes, and
/// 167 is where the published test ends.
const ROCA_PRIMES: [u64; 38] = [
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97,
    101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
];

/// The primes below 752, in groups whose products have at most 32 bits: one division of the modulus
/// serves a whole group.
static SIEVE: std::sync::LazyLock<Vec<(u64, Vec<u64>)>> = std::sync::LazyLock::new(|| {
    let is_prime = |number: &u64| (2..*number).all(|divisor| !number.is_multiple_of(divisor));
    let mut groups: Vec<(u64, Vec<u64>)> = Vec::new();
    for prime in (2..752).filter(is_prime) {
        match groups.last_mut() {
            Some((product, primes)) if *product * prime <= u64::from(u32::MAX) => {
                *product *= prime;
                primes.push(prime);
            }
            _ => groups.push((prime, vec![prime])),
        }
    }
    groups
});

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_sieve_has_every_prime_below_752() {
        let primes: Vec<u64> = SIEVE
            .iter()
            .flat_map(|(_, primes)| primes.clone())
            .collect();
        assert_eq!(primes.len(), 133);
        assert_eq!(primes.last(), Some(&751));
        assert!(SIEVE.iter().all(|(product, primes)| {
            *product == primes.iter().product::<u64>() && u32::try_from(*product).is_ok()
        }));
    }

    /// The share of honest keys that would be refused, from the orders of 65537.
    #[test]
    fn few_honest_keys_look_like_rocas() {
        let share: f64 = ROCA_PRIMES
            .iter()
            .map(|prime| {
                let mut powers = 1_u32;
                let mut power = 65_537 % prime;
                while power != 1 {
                    power = power * 65_537 % prime;
                    powers += 1;
                }
                f64::from(powers) / f64::from(u32::try_from(prime - 1).unwrap())
            })
            .product();
        assert!(share < 2_f64.powi(-27), "{share}");
    }

    proptest! {
        #[test]
        fn residues_agree_with_big_numbers(number in prop::collection::vec(any::<u8>(), 0..40), divisor in 1_u32..) {
            let expected = BigUint::from_bytes_be(&number) % divisor;
            let expected = expected.iter_u64_digits().next().unwrap_or(0);
            prop_assert_eq!(residue(&number, u64::from(divisor)), expected);
        }

        #[test]
        fn squares_are_known(number in any::<u128>()) {
            let number = BigUint::from(number);
            prop_assert!(is_square(&(&number * &number)));
            let root = number.sqrt();
            prop_assert_eq!(is_square(&number), &root * &root == number);
        }
    }
}
