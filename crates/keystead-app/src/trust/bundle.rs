//! What is trusted under an authority's name: its own certificate and those above it, and while it is
//! replaced or was, its successor's.

use std::collections::BTreeSet;

use keystead_core::{AccountId, Error, ErrorKind, Region, Result};
use keystead_store::Stored;

use super::record::{STANDINGS, Standing};
use crate::pca::internal::own_key;
use crate::{App, pca};

/// What peers must trust.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// Grows with every change, also one that leaves the certificates as they are.
    pub version: u64,
    /// The ARNs of the authorities that are trusted.
    pub authorities: Vec<String>,
    /// Their certificates and those above them, each once, PEM, without line feeds at the ends.
    pub certificates: Vec<String>,
}

impl Bundle {
    /// All of them, one after another.
    pub fn pem(&self) -> String {
        self.certificates.join("\n")
    }
}

/// What peers must trust to trust what the private CA `arn` issues, issued before and will issue soon.
///
/// The version never goes back: it is that of the newest of all records that had a part in it, a record
/// leaves only by a newer one, and records of names are kept.
///
/// # Errors
/// [`ErrorKind::InvalidArn`], [`ErrorKind::NotFound`], and [`ErrorKind::InvalidState`] where there is no
/// certificate yet.
pub async fn bundle(app: &App, account: &AccountId, region: &Region, arn: &str) -> Result<Bundle> {
    let mut version = 0;
    let mut seen = BTreeSet::new();
    let mut waiting = vec![arn.to_owned()];
    let mut authorities = Vec::new();
    // Authorities follow one another over decades; a dozen names is more than any chain of roll-overs has.
    while let Some(name) = waiting.pop().filter(|_| seen.len() < MAX_NAMES) {
        if !seen.insert(name.clone()) {
            continue;
        }
        let key = own_key(account, region, &name)?;
        let found = app.store.get::<Standing>(STANDINGS, &key).await?;
        let Some(Stored {
            version: newest,
            value,
            ..
        }) = found
        else {
            authorities.push(name);
            continue;
        };
        version = version.max(newest.0);
        for trusted in value.trusted {
            if trusted == name {
                authorities.push(trusted);
            } else {
                waiting.push(trusted);
            }
        }
    }
    let mut certificates = Vec::new();
    let mut refusal = None;
    for authority in &authorities {
        match pca::internal::trust(app, account, region, authority).await {
            Ok(trust) => {
                version = version.max(trust.version);
                for certificate in trust.path {
                    if !certificates.contains(&certificate) {
                        certificates.push(certificate);
                    }
                }
            }
            // Deleted meanwhile, or never installed: the others stand for it.
            Err(error) if matches!(error.kind, ErrorKind::NotFound | ErrorKind::InvalidState) => {
                refusal.get_or_insert(error);
            }
            Err(error) => return Err(error),
        }
    }
    match refusal {
        Some(error) if certificates.is_empty() => Err(error),
        _ if certificates.is_empty() => Err(Error::new(
            ErrorKind::NotFound,
            format!("Nothing is trusted under the name {arn}."),
        )),
        _ => Ok(Bundle {
            version,
            authorities,
            certificates,
        }),
    }
}

/// Whether a change of the authority with this record key may change what other names stand for.
pub async fn is_known_by_other_names(app: &App, key: &str) -> Result<bool> {
    Ok(app.store.get::<Standing>(STANDINGS, key).await?.is_some())
}

/// See [`bundle`].
const MAX_NAMES: usize = 64;
