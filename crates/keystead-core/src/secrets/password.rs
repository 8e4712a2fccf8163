//! Random passwords (GetRandomPassword).

use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind, Result};

/// Where nobody says otherwise.
const DEFAULT_LENGTH: usize = 32;

const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";
const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const DIGITS: &str = "0123456789";
const PUNCTUATION: &str = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";

/// What a password is to be made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// How many characters.
    pub length: Option<usize>,
    /// Characters that it must not have.
    pub excluded: String,
    /// No lower-case letters.
    pub no_lower: bool,
    /// No upper-case letters.
    pub no_upper: bool,
    /// No digits.
    pub no_digits: bool,
    /// No punctuation.
    pub no_punctuation: bool,
    /// Spaces, too.
    pub space: bool,
    /// One of each type need not be there.
    pub any: bool,
}

impl Wanted {
    /// Makes one. `below` answers a random number below its argument, each equally likely.
    ///
    /// One character of each type is drawn first, then the rest of all of them, and then all are put in random order: every
    /// password that has one of each can come of it.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidParameter`] where there is none, and whatever `below` says.
    pub fn make(&self, mut below: impl FnMut(usize) -> Result<usize>) -> Result<Zeroizing<String>> {
        let length = self.length.unwrap_or(DEFAULT_LENGTH);
        let types = self.types();
        let mut all: Vec<char> = types.concat();
        if self.space && !self.excluded.contains(' ') {
            all.push(' ');
        }
        if all.is_empty() {
            return Err(invalid(
                "You can't exclude every character: no password is left.",
            ));
        }
        let required = if self.any { &[] } else { types.as_slice() };
        if length < required.len() {
            return Err(invalid(
                "Password length is too short based on the required types.",
            ));
        }
        let mut drawn = Zeroizing::new(Vec::with_capacity(length));
        for from in required {
            drawn.push(draw(from, &mut below)?);
        }
        while drawn.len() < length {
            drawn.push(draw(&all, &mut below)?);
        }
        // Fisher and Yates, Durstenfeld's way.
        for last in (1..drawn.len()).rev() {
            let other = below(last + 1)?;
            drawn.swap(last, other);
        }
        Ok(Zeroizing::new(drawn.iter().collect()))
    }

    /// The characters of each type that are left; a type of which none is left is not included.
    fn types(&self) -> Vec<Vec<char>> {
        let types = [
            (LOWER, self.no_lower),
            (UPPER, self.no_upper),
            (DIGITS, self.no_digits),
            (PUNCTUATION, self.no_punctuation),
        ];
        let left = |(all, no): (&str, bool)| -> Vec<char> {
            let kept = all.chars().filter(|c| !no && !self.excluded.contains(*c));
            kept.collect()
        };
        let types = types.into_iter().map(left);
        types.filter(|left| !left.is_empty()).collect()
    }
}

fn draw(from: &[char], below: &mut impl FnMut(usize) -> Result<usize>) -> Result<char> {
    let at = below(from.len())?;
    from.get(at)
        .copied()
        .ok_or_else(|| Error::new(ErrorKind::Internal, "a random number is out of its range"))
}

fn invalid(message: &str) -> Error {
    Error::new(ErrorKind::InvalidParameter, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A generator that is good enough for tests.
    fn numbers(mut state: u64) -> impl FnMut(usize) -> Result<usize> {
        move |below| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            Ok((state >> 33) as usize % below)
        }
    }

    fn has(password: &str, all: &str) -> bool {
        password.chars().any(|c| all.contains(c))
    }

    #[test]
    fn a_password_has_one_of_each_type_and_nothing_that_is_excluded() {
        for no in 0..16_u8 {
            for excluded in ["", "abcXYZ019!~", DIGITS, PUNCTUATION] {
                let wanted = Wanted {
                    length: Some(8),
                    excluded: excluded.into(),
                    no_lower: no & 1 != 0,
                    no_upper: no & 2 != 0,
                    no_digits: no & 4 != 0,
                    no_punctuation: no & 8 != 0,
                    ..Wanted::default()
                };
                let types = [
                    (LOWER, wanted.no_lower),
                    (UPPER, wanted.no_upper),
                    (DIGITS, wanted.no_digits || excluded == DIGITS),
                    (
                        PUNCTUATION,
                        wanted.no_punctuation || excluded == PUNCTUATION,
                    ),
                ];
                for seed in 0..50 {
                    let made = wanted.make(numbers(seed));
                    if types.iter().all(|(_, no)| *no) {
                        assert_eq!(made.unwrap_err().kind, ErrorKind::InvalidParameter);
                        continue;
                    }
                    let made = made.unwrap();
                    assert_eq!(made.chars().count(), 8);
                    for (all, no) in types {
                        assert_eq!(has(&made, all), !no, "{no} {excluded}");
                    }
                    assert!(!has(&made, excluded));
                }
            }
        }
    }

    #[test]
    fn lengths() {
        let of = |length, any| {
            let wanted = Wanted {
                length,
                any,
                ..Wanted::default()
            };
            wanted.make(numbers(7)).map(|made| made.len())
        };
        assert_eq!(of(None, false), Ok(32));
        assert_eq!(of(Some(4096), false), Ok(4096));
        assert_eq!(of(Some(4), false), Ok(4));
        assert_eq!(of(Some(1), true), Ok(1));
        let refused = of(Some(3), false).unwrap_err();
        assert_eq!(
            refused.message,
            "Password length is too short based on the required types."
        );
    }

    #[test]
    fn a_space_may_be_there_and_need_not() {
        let wanted = Wanted {
            length: Some(200),
            space: true,
            ..Wanted::default()
        };
        let spaces = |wanted: &Wanted| {
            let made = (0..20).map(|seed| wanted.make(numbers(seed)).unwrap());
            made.filter(|made| made.contains(' ')).count()
        };
        assert!(spaces(&wanted) > 0);
        let without = Wanted {
            excluded: " ".into(),
            ..wanted.clone()
        };
        assert_eq!(spaces(&without), 0);
        let alone = Wanted {
            excluded: [LOWER, UPPER, DIGITS, PUNCTUATION].concat(),
            length: Some(3),
            ..wanted
        };
        assert_eq!(alone.make(numbers(1)).unwrap().as_str(), "   ");
    }
}
