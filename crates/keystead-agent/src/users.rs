//! Users and groups of the machine, by name or number.

use std::fs;

use crate::Failure;

/// The ids of these users, which may be named by number.
pub(crate) fn uids(users: &[String]) -> Result<Vec<u32>, Failure> {
    ids(users, "/etc/passwd", "user")
}

/// The ids of these groups, likewise.
pub(crate) fn gids(groups: &[String]) -> Result<Vec<u32>, Failure> {
    ids(groups, "/etc/group", "group")
}

/// The third field of both tables (passwd(5), group(5)).
fn ids(names: &[String], path: &str, what: &str) -> Result<Vec<u32>, Failure> {
    let table = fs::read_to_string(path)
        .map_err(|error| Failure::Here(format!("cannot read {path}: {error}")))?;
    let id = |name: &str| {
        let line = table
            .lines()
            .find(|line| line.split(':').next() == Some(name))?;
        line.split(':').nth(2)?.parse().ok()
    };
    let found = names.iter().map(|name| {
        let found = name.parse().ok().or_else(|| id(name));
        found.ok_or_else(|| Failure::Here(format!("there is no {what} '{name}' on this machine")))
    });
    found.collect()
}
