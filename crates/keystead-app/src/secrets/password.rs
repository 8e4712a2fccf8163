//! GetRandomPassword.

use keystead_core::secrets::password::Wanted;
use keystead_core::{Error, ErrorKind, Result};
use keystead_crypto::random;
use keystead_wire::secretsmanager as wire;

use crate::Ctx;

/// GetRandomPassword.
pub async fn get_random_password(
    ctx: &Ctx,
    input: wire::GetRandomPasswordRequest,
) -> Result<wire::GetRandomPasswordResponse> {
    ctx.allow_own("*")?;
    let wanted = Wanted {
        length: input
            .password_length
            .and_then(|length| usize::try_from(length).ok()),
        excluded: input.exclude_characters.unwrap_or_default(),
        no_lower: input.exclude_lowercase.unwrap_or_default(),
        no_upper: input.exclude_uppercase.unwrap_or_default(),
        no_digits: input.exclude_numbers.unwrap_or_default(),
        no_punctuation: input.exclude_punctuation.unwrap_or_default(),
        space: input.include_space.unwrap_or_default(),
        any: input.require_each_included_type == Some(false),
    };
    let made = wanted.make(below)?;
    Ok(wire::GetRandomPasswordResponse {
        random_password: Some(made.to_string().into()),
    })
}

/// A random number below this, each equally likely.
fn below(bound: usize) -> Result<usize> {
    let bound = u32::try_from(bound).ok().filter(|bound| *bound > 0);
    let bound = bound.ok_or_else(|| Error::new(ErrorKind::Internal, "no number is below this"))?;
    // The numbers from here on are as many as `bound` divides, and every remainder comes equally often.
    let least = u32::MAX.wrapping_sub(bound).wrapping_add(1) % bound;
    loop {
        let drawn = u32::from_be_bytes(random::bytes()?);
        if drawn >= least {
            return Ok((drawn % bound) as usize);
        }
    }
}
