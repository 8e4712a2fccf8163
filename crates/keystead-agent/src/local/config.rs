//! What to open on localhost: as it stands in the configuration file, and as it is trusted.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use jiff::SignedDuration;
use serde::Deserialize;

use super::gate::{self, Gate};
use super::sds::Grant;
use super::spiffe::Workload;
use crate::Failure;
use crate::users::uids;

/// `[local]` of the configuration file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileLocal {
    secrets: Option<FileSecrets>,
    container: Option<FileListener>,
    instance: Option<FileListener>,
    sds: Option<FileSds>,
    spiffe: Option<FileSpiffe>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileSpiffe {
    socket: PathBuf,
    workloads: Vec<FileWorkload>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileWorkload {
    user: String,
    id: String,
    authority: String,
    #[serde(default = "usual_lifetime")]
    valid_seconds: i64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileSds {
    socket: PathBuf,
    grants: Vec<FileGrant>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileGrant {
    user: String,
    resources: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileSecrets {
    #[serde(default = "secrets_port")]
    listen: SocketAddr,
    token_file: Option<PathBuf>,
    users: Option<Vec<String>>,
    /// In seconds, as AWS's agent has it.
    #[serde(default = "usual_ttl")]
    ttl_seconds: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileListener {
    listen: SocketAddr,
    token_file: Option<PathBuf>,
    users: Option<Vec<String>>,
}

/// What to open, checked.
#[derive(Clone, Debug, Default)]
pub struct Local {
    pub(super) secrets: Option<SecretsAt>,
    pub(super) container: Option<At>,
    pub(super) instance: Option<At>,
    pub(super) sds: Option<SdsAt>,
    pub(super) spiffe: Option<SpiffeAt>,
}

#[derive(Clone, Debug)]
pub(super) struct SpiffeAt {
    pub(super) socket: PathBuf,
    pub(super) workloads: Vec<Workload>,
}

#[derive(Clone, Debug)]
pub(super) struct SdsAt {
    pub(super) socket: PathBuf,
    pub(super) grants: Vec<Grant>,
}

#[derive(Clone, Debug)]
pub(super) struct SecretsAt {
    pub(super) listen: SocketAddr,
    pub(super) gate: Gate,
    pub(super) ttl: Duration,
}

#[derive(Clone, Debug)]
pub(super) struct At {
    pub(super) listen: SocketAddr,
    pub(super) gate: Gate,
}

impl Local {
    /// Checks what the file says, and makes the token files that are missing.
    ///
    /// # Errors
    /// [`Failure::Here`], with what is wrong.
    pub fn of(file: FileLocal) -> Result<Self, Failure> {
        let secrets = match file.secrets {
            None => None,
            Some(given) if given.ttl_seconds > LONGEST_TTL => {
                return Err(Failure::Here(format!(
                    "[local.secrets] ttl_seconds is {}: expected 0 to {LONGEST_TTL}",
                    given.ttl_seconds
                )));
            }
            Some(given) => Some(SecretsAt {
                listen: loopback("secrets", given.listen)?,
                gate: token_gate("secrets", given.token_file, given.users)?,
                ttl: Duration::from_secs(given.ttl_seconds),
            }),
        };
        let container = match file.container {
            None => None,
            Some(given) => Some(At {
                listen: loopback("container", given.listen)?,
                gate: token_gate("container", given.token_file, given.users)?,
            }),
        };
        let instance = match file.instance {
            None => None,
            Some(given) if given.token_file.is_some() => {
                return Err(Failure::Here(
                    "[local.instance] takes no token_file: its clients make tokens themselves; say which users may".into(),
                ));
            }
            Some(given) => Some(At {
                listen: loopback("instance", given.listen)?,
                gate: user_gate(given.users)?,
            }),
        };
        let sds = match file.sds {
            None => None,
            Some(given) => Some(SdsAt {
                socket: given.socket,
                grants: grants(given.grants)?,
            }),
        };
        Ok(Self {
            secrets,
            container,
            instance,
            sds,
            spiffe: file.spiffe.map(spiffe).transpose()?,
        })
    }
}

fn grants(given: Vec<FileGrant>) -> Result<Vec<Grant>, Failure> {
    let mut grants = Vec::with_capacity(given.len());
    for FileGrant { user, resources } in given {
        for arn in &resources {
            let service = arn.split(':').nth(2);
            if !matches!(service, Some("acm" | "acm-pca")) {
                return Err(Failure::Here(format!(
                    "[local.sds] grants {user} '{arn}': expected the ARN of a certificate (ACM) or of a private CA"
                )));
            }
        }
        let uids = uids(std::slice::from_ref(&user))?;
        for uid in uids {
            grants.push(Grant {
                user: user.clone(),
                uid,
                resources: resources.clone(),
            });
        }
    }
    Ok(grants)
}

fn spiffe(given: FileSpiffe) -> Result<SpiffeAt, Failure> {
    let mut workloads = Vec::with_capacity(given.workloads.len());
    for given in given.workloads {
        let wrong =
            |what: &str| Failure::Here(format!("[local.spiffe] gives {} {what}", given.user));
        // SPIFFE-ID, section 2: a trust domain, and a path without empty, '.' and '..' segments.
        let path = given
            .id
            .strip_prefix("spiffe://")
            .and_then(|rest| rest.split_once('/'));
        let is_segment = |segment: &str| {
            let fits = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
            !segment.is_empty() && ![".", ".."].contains(&segment) && segment.chars().all(fits)
        };
        let is_id = path.is_some_and(|(domain, path)| {
            let fits = |letter: char| {
                letter.is_ascii_lowercase() || letter.is_ascii_digit() || "._-".contains(letter)
            };
            !domain.is_empty() && domain.chars().all(fits) && path.split('/').all(is_segment)
        });
        if !is_id || given.id.len() > LONGEST_ID {
            return Err(wrong(&format!(
                "the id '{}': expected spiffe://trust-domain/path",
                given.id
            )));
        }
        if given.authority.split(':').nth(2) != Some("acm-pca") {
            return Err(wrong(&format!(
                "'{}' as authority: expected the ARN of a private CA",
                given.authority
            )));
        }
        if !(SHORTEST_LIFETIME..=LONGEST_LIFETIME).contains(&given.valid_seconds) {
            return Err(wrong(&format!(
                "valid_seconds {}: expected {SHORTEST_LIFETIME} to {LONGEST_LIFETIME}",
                given.valid_seconds
            )));
        }
        for uid in uids(std::slice::from_ref(&given.user))? {
            workloads.push(Workload {
                uid,
                id: given.id.clone(),
                authority: given.authority.clone(),
                lifetime: SignedDuration::from_secs(given.valid_seconds),
            });
        }
    }
    Ok(SpiffeAt {
        socket: given.socket,
        workloads,
    })
}

fn loopback(name: &str, address: SocketAddr) -> Result<SocketAddr, Failure> {
    match address.ip().is_loopback() {
        true => Ok(address),
        false => Err(Failure::Here(format!(
            "[local.{name}] listen is {address}: expected an address of loopback, 127.0.0.1 for instance"
        ))),
    }
}

fn token_gate(
    name: &str,
    file: Option<PathBuf>,
    users: Option<Vec<String>>,
) -> Result<Gate, Failure> {
    let file = file.ok_or_else(|| {
        Failure::Here(format!(
            "[local.{name}] has no token_file: every request has to show what is in it"
        ))
    })?;
    let users = users.map(|users| uids(&users)).transpose()?;
    Ok(Gate::new(Some(gate::token(&file)?), users))
}

fn user_gate(users: Option<Vec<String>>) -> Result<Gate, Failure> {
    let users = users.ok_or_else(|| {
        Failure::Here("[local.instance] has no users: its clients prove nothing, so it has to be said whose they may be".into())
    })?;
    Ok(Gate::new(None, Some(uids(&users)?)))
}

/// The port of AWS's agent (Secrets Manager user guide, "Secrets Manager Agent", `http_port`).
fn secrets_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 2773))
}

/// Of AWS's agent too (`ttl_seconds`).
fn usual_ttl() -> u64 {
    300
}

/// An hour, as SPIRE has it (`default_x509_svid_ttl`).
fn usual_lifetime() -> i64 {
    3600
}

/// SPIFFE-ID, section 2.3.
const LONGEST_ID: usize = 2048;

/// Time to be asked for, and to be used.
const SHORTEST_LIFETIME: i64 = 10;

/// A week: longer certificates are Certificate Manager's.
const LONGEST_LIFETIME: i64 = 7 * 86_400;

/// And this.
const LONGEST_TTL: u64 = 3600;

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(document: serde_json::Value) -> String {
        let file: FileLocal = serde_json::from_value(document).unwrap();
        Local::of(file).unwrap_err().to_string()
    }

    fn spiffe(id: &str, authority: &str, valid_seconds: i64) -> serde_json::Value {
        let workload = serde_json::json!({
            "user": "root",
            "id": id,
            "authority": authority,
            "valid_seconds": valid_seconds,
        });
        serde_json::json!({ "spiffe": { "socket": "/x", "workloads": [workload] } })
    }

    #[test]
    fn what_would_let_others_in_is_refused() {
        use serde_json::json;
        for (document, told) in [
            (
                json!({ "container": { "listen": "0.0.0.0:1", "token_file": "/x" } }),
                "expected an address of loopback",
            ),
            (json!({ "secrets": {} }), "has no token_file"),
            (
                json!({ "instance": { "listen": "127.0.0.1:0" } }),
                "has no users",
            ),
            (
                json!({ "instance": { "listen": "127.0.0.1:0", "users": ["no such user"] } }),
                "no user 'no such user'",
            ),
            (
                json!({ "instance": { "listen": "127.0.0.1:0", "token_file": "/x" } }),
                "takes no token_file",
            ),
            (
                spiffe("spiffe://example.org/a/../b", "arn:aws:acm-pca:r:1:x", 60),
                "expected spiffe://trust-domain/path",
            ),
            (
                spiffe("spiffe://Example.org/a", "arn:aws:acm-pca:r:1:x", 60),
                "expected spiffe://trust-domain/path",
            ),
            (
                spiffe("spiffe://example.org", "arn:aws:acm-pca:r:1:x", 60),
                "expected spiffe://trust-domain/path",
            ),
            (
                spiffe("spiffe://example.org/a", "arn:aws:acm:r:1:x", 60),
                "expected the ARN of a private CA",
            ),
            (
                spiffe("spiffe://example.org/a", "arn:aws:acm-pca:r:1:x", 9),
                "expected 10 to 604800",
            ),
            (
                json!({ "secrets": { "token_file": "/x", "ttl_seconds": 3601 } }),
                "expected 0 to 3600",
            ),
        ] {
            assert!(refusal(document.clone()).contains(told), "{document}");
        }
        assert!(serde_json::from_value::<FileLocal>(json!({ "typo": {} })).is_err());
    }
}
