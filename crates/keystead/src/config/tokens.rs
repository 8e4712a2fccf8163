//! What the configuration says of PKCS #11 tokens.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::SignedDuration;
use keystead_app::HsmOptions;
use keystead_crypto::token::{DEFAULT_SESSIONS, MAX_SESSIONS, PinSource, TokenOptions};
use serde::Deserialize;

use crate::Failure;

/// `[tokens.NAME]`, as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TokenFile {
    module: PathBuf,
    token: Option<String>,
    serial: Option<String>,
    pin_file: PathBuf,
    sessions: Option<usize>,
    cluster_id: Option<String>,
}

/// `[root_key]`, as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RootKeyFile {
    pub(super) file: Option<PathBuf>,
    pub(super) token: Option<String>,
}

/// `[pca]`, as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PcaFile {
    pub(super) token: Option<String>,
    keep_expired_days: Option<u32>,
}

impl PcaFile {
    /// For how long expired certificates are kept. A day at least: as long as clocks that are wrong may still
    /// take one for valid, its revocation has to be told.
    pub(super) fn keep_expired(&self) -> Result<Option<SignedDuration>, Failure> {
        match self.keep_expired_days {
            Some(0) => Err(Failure(
                "[pca] keep_expired_days is 0; expired certificates are kept for a day at least, and for ever without it".into(),
            )),
            days => Ok(days.map(|days| SignedDuration::from_hours(24 * i64::from(days)))),
        }
    }
}

impl RootKeyFile {
    /// Reads `[root_key]`, or the shorter `root_key = "FILE"`.
    pub(super) fn parse(written: Option<toml::Value>) -> Result<Self, Failure> {
        match written {
            None => Ok(Self::default()),
            Some(toml::Value::String(file)) => Ok(Self {
                file: Some(file.into()),
                token: None,
            }),
            Some(table) => table.try_into().map_err(|error| {
                Failure(format!(
                    "the configuration's [root_key] is not valid: {error}"
                ))
            }),
        }
    }
}

/// Checks the tokens, and that those which are used are there.
pub(super) fn check(
    tokens: BTreeMap<String, TokenFile>,
    root_key: Option<String>,
    authorities: Option<String>,
) -> Result<HsmOptions, Failure> {
    let mut options = HsmOptions {
        tokens: BTreeMap::new(),
        root_key,
        authorities,
    };
    for (name, token) in tokens {
        let checked = token
            .check()
            .map_err(|fault| Failure(format!("the configuration's [tokens.{name}] {fault}")))?;
        if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(is_of_a_name) {
            return Err(Failure(format!(
                "'{name}' is not the name of a token: expected at most {MAX_NAME} letters, digits, '-', '_' or '.'"
            )));
        }
        let same = |other: &TokenOptions| {
            other.cluster_id.is_some() && other.cluster_id == checked.cluster_id
        };
        if options.tokens.values().any(same) {
            return Err(Failure(format!(
                "the configuration's [tokens.{name}] has the cluster_id of another token"
            )));
        }
        options.tokens.insert(name, checked);
    }
    let used = [
        ("root_key", &options.root_key),
        ("pca", &options.authorities),
    ];
    for (section, name) in used {
        if let Some(name) = name
            && !options.tokens.contains_key(name)
        {
            return Err(Failure(format!(
                "the configuration's [{section}] names the token {name}, but there is no [tokens.{name}]"
            )));
        }
    }
    Ok(options)
}

impl TokenFile {
    /// The error is a clause that follows "the configuration's [tokens.x]".
    fn check(self) -> Result<TokenOptions, String> {
        if !self.module.is_absolute() {
            let module = self.module.display();
            return Err(format!(
                "has module = \"{module}\": expected an absolute path"
            ));
        }
        let sessions = self.sessions.unwrap_or(DEFAULT_SESSIONS);
        if !(1..=MAX_SESSIONS).contains(&sessions) {
            return Err(format!(
                "has sessions = {sessions}: expected 1 to {MAX_SESSIONS}"
            ));
        }
        if let Some(id) = &self.cluster_id
            && !is_cluster_id(id)
        {
            return Err(format!(
                "has cluster_id = \"{id}\": expected 'cluster-' and 11 to 16 letters or digits from 2 to 7"
            ));
        }
        Ok(TokenOptions {
            module: self.module,
            label: self.token,
            serial: self.serial,
            pin: PinSource::File(absolute(&self.pin_file)?),
            sessions,
            cluster_id: self.cluster_id,
        })
    }
}

/// The file is read later, and from wherever that happens.
fn absolute(path: &Path) -> Result<PathBuf, String> {
    std::path::absolute(path)
        .map_err(|error| format!("has a pin_file that cannot be used: {error}"))
}

/// KMS's model, `CloudHsmClusterIdType`.
fn is_cluster_id(id: &str) -> bool {
    id.strip_prefix("cluster-").is_some_and(|rest| {
        (11..=16).contains(&rest.len())
            && rest
                .bytes()
                .all(|letter| letter.is_ascii_alphabetic() || (b'2'..=b'7').contains(&letter))
    })
}

fn is_of_a_name(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "-_.".contains(letter)
}

/// Names are shown in tables and stand in records.
const MAX_NAME: usize = 64;
