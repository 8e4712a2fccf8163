//! Randomness from the library's generator, which the operating system seeds.

use crate::CryptoError;

/// `N` unpredictable bytes.
///
/// # Errors
/// [`CryptoError::Internal`] when the operating system gives no randomness.
pub fn bytes<const N: usize>() -> Result<[u8; N], CryptoError> {
    let mut out = [0; N];
    fill(&mut out)?;
    Ok(out)
}

/// Fills a buffer with unpredictable bytes.
///
/// # Errors
/// [`CryptoError::Internal`] when the operating system gives no randomness.
pub fn fill(out: &mut [u8]) -> Result<(), CryptoError> {
    aws_lc_rs::rand::fill(out).map_err(|_| CryptoError::library("make random bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_draws_differ() {
        assert_ne!(bytes::<32>().unwrap(), bytes::<32>().unwrap());
        let mut buffer = [0; 64];
        fill(&mut buffer).unwrap();
        assert_ne!(buffer, [0; 64]);
    }
}
