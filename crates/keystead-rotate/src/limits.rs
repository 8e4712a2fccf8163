//! Every bound of a visit, and where its number comes from.

use std::time::Duration;

use keystead_core::rotation::{Change, Heard};

/// From the name of the host to the login: a server that takes longer is as good as down, and is tried again.
pub(crate) const CONNECT_DEADLINE: Duration = Duration::from_secs(5);

/// For a change once logged in: a few statements that touch a few rows. Beyond that the outcome is unknown, and looked up.
pub(crate) const CHANGE_DEADLINE: Duration = Duration::from_secs(10);

/// Grants of one user that are copied to the other: MariaDB has one for a table, and nobody grants thousands by hand.
pub(crate) const MOST_GRANTS: usize = 10_000;

/// A file of passwords that is read: 100,000 users of 80 bytes each.
pub(crate) const LARGEST_PASSWORD_FILE: u64 = 8 << 20;

/// What a command may answer: one line of JSON.
pub(crate) const LARGEST_ANSWER: u64 = 64 << 10;

/// A reply of Redis that is read: its errors are a line of text.
pub(crate) const LONGEST_REPLY: u64 = 4 << 10;

/// bcrypt's cost: what htpasswd and nginx check at every request, so a tenth of a second and not a whole one. The passwords
/// are random, so that no cost is needed against guessing them.
pub(crate) const BCRYPT_COST: u32 = 8;

/// A login within [`CONNECT_DEADLINE`].
pub(crate) async fn connecting<T>(
    connect: impl Future<Output = Result<T, Heard>>,
) -> Result<T, Heard> {
    let connected = tokio::time::timeout(CONNECT_DEADLINE, connect).await;
    connected.unwrap_or_else(|_| {
        let cause = format!("no login within {CONNECT_DEADLINE:?}");
        Err(Heard::new(Change::Unreachable, cause))
    })
}

/// A change within [`CHANGE_DEADLINE`].
pub(crate) async fn changing(change: impl Future<Output = Result<(), Heard>>) -> Heard {
    match tokio::time::timeout(CHANGE_DEADLINE, change).await {
        Ok(Ok(())) => Heard::done(),
        Ok(Err(heard)) => heard,
        Err(_) => {
            let cause = format!("no answer to the change within {CHANGE_DEADLINE:?}");
            Heard::new(Change::Unknown, cause)
        }
    }
}
