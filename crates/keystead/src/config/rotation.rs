//! `[rotation]`: which servers are visited to change passwords, and which files and commands are rotators.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use keystead_rotate::{Allowed, Command, Options};
use serde::Deserialize;

use super::authorities;
use crate::Failure;

/// As written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RotationFile {
    allow: Option<Vec<String>>,
    authorities: Option<PathBuf>,
    #[serde(default)]
    password_files: BTreeMap<String, PathBuf>,
    #[serde(default)]
    commands: BTreeMap<String, CommandFile>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CommandFile {
    command: Vec<String>,
    deadline_seconds: Option<u64>,
}

/// Checks it.
pub(super) fn check(file: RotationFile) -> Result<Options, Failure> {
    let allow = file.allow.map(|list| {
        let parsed = list.iter().map(|text| text.parse::<Allowed>());
        parsed.collect::<Result<Vec<_>, _>>()
    });
    let allow = allow
        .transpose()
        .map_err(|cause| Failure(format!("[rotation] allow: {cause}")))?;
    for (name, path) in &file.password_files {
        check_name(name)?;
        if !path.is_absolute() {
            return Err(Failure(format!(
                "[rotation] password file '{name}': {} is not an absolute path",
                path.display()
            )));
        }
    }
    let mut commands = BTreeMap::new();
    for (name, command) in file.commands {
        check_name(&name)?;
        commands.insert(name.clone(), checked(&name, command)?);
    }
    Ok(Options {
        allow,
        authorities: match &file.authorities {
            Some(path) => authorities(path)?,
            None => Vec::new(),
        },
        password_files: file.password_files,
        commands,
    })
}

fn checked(name: &str, file: CommandFile) -> Result<Command, Failure> {
    let absolute = file
        .command
        .first()
        .is_some_and(|program| program.starts_with('/'));
    if !absolute {
        return Err(Failure(format!(
            "[rotation] command '{name}': expected the absolute path of a program, and its arguments"
        )));
    }
    let seconds = file.deadline_seconds.unwrap_or(USUAL_DEADLINE_SECS);
    if !(1..=LONGEST_DEADLINE_SECS).contains(&seconds) {
        return Err(Failure(format!(
            "[rotation] command '{name}': deadline_seconds is 1 to {LONGEST_DEADLINE_SECS}"
        )));
    }
    Ok(Command {
        argv: file.command,
        deadline: Duration::from_secs(seconds),
    })
}

/// What may stand in the name of a function.
fn check_name(name: &str) -> Result<(), Failure> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    match !name.is_empty() && name.len() <= LONGEST_NAME && name.bytes().all(plain) {
        true => Ok(()),
        false => Err(Failure(format!(
            "[rotation] '{name}' is no name: expected letters, digits, - and _, at most {LONGEST_NAME}"
        ))),
    }
}

const USUAL_DEADLINE_SECS: u64 = 10;

/// Half of the time after which a change without an answer counts as settled (`keystead_core::rotation`).
const LONGEST_DEADLINE_SECS: u64 = 30;

/// Of the 64 characters of a function's name (Lambda API reference) what `keystead-rotate-password-file-` leaves.
const LONGEST_NAME: usize = 34;
