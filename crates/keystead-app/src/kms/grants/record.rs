//! What is stored of grants.

use keystead_core::kms::grant::{ContextConstraint, Grant, Terms, fold};
use keystead_core::kms::{EncryptionContext, Fault, GrantOperation};
use keystead_core::{Error, ErrorKind, Result, hex};
use keystead_crypto::digest::{Sha256, sha256};
use keystead_crypto::random;
use keystead_store::{Batch, Collection, Expect, Store, Stored, Versioned};
use serde::{Deserialize, Serialize};

/// Grants, by their key's record key and their id.
pub(super) const GRANTS: Collection = Collection("kms.grant");

/// Which grant was made by this name and these parameters, by the key's record key and their digest.
const NAMES: Collection = Collection("kms.grant-name");

/// Who may retire a grant, by region, digest of the principal and the grant's record key; the record is `()`.
pub(super) const RETIRABLE: Collection = Collection("kms.grant-retirable");

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct GrantRecord {
    pub(super) grant: Grant,
}

impl Versioned for GrantRecord {
    const MARKER: &'static str = "kms.grant/1";
}

/// The id of the grant of some name.
#[derive(Serialize, Deserialize)]
struct Named {
    id: String,
}

impl Versioned for Named {
    const MARKER: &'static str = "kms.grant-name/1";
}

/// The grant of this id on the key of this record key, if there is one.
///
/// # Errors
/// [`Fault::InvalidGrantId`] for what no grant is called.
pub(super) async fn find(store: &Store, at: &str, id: &str) -> Result<Option<Stored<GrantRecord>>> {
    if !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let message = format!("{id} is not the id of a grant: expected 64 hexadecimal digits.");
        return Err(Fault::InvalidGrantId.error(message));
    }
    let key = format!("{at}/{}", id.to_ascii_lowercase());
    Ok(store.get(GRANTS, &key).await?)
}

/// The refusal where there is none of this id.
pub(super) fn missing(id: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("Grant ID {id} not found"))
}

/// The id of the grant that was made by the same name and with the same parameters, if there is one.
pub(super) async fn made_before(store: &Store, at: &str, grant: &Grant) -> Result<Option<String>> {
    let Some(key) = name_key(at, grant) else {
        return Ok(None);
    };
    let found = store.get::<Named>(NAMES, &key).await?;
    Ok(found.map(|found| found.value.id))
}

/// Adds a grant to the commit, with what leads to it.
pub(super) fn add(batch: &mut Batch, at: &str, region: &str, grant: &Grant) {
    let key = format!("{at}/{}", grant.id);
    if let Some(name) = name_key(at, grant) {
        let id = grant.id.clone();
        batch.put(NAMES, name, &Named { id }, Expect::Absent);
    }
    if let Some(party) = &grant.retiring {
        let index = format!("{}{key}", retirable_prefix(region, &party.key()));
        batch.put(RETIRABLE, index, &(), Expect::Any);
    }
    let record = GrantRecord {
        grant: grant.clone(),
    };
    batch.put(GRANTS, key, &record, Expect::Absent);
}

/// Adds to the commit that a grant is gone.
pub(super) fn remove(batch: &mut Batch, at: &str, region: &str, found: &Stored<GrantRecord>) {
    let grant = &found.value.grant;
    if let Some(name) = name_key(at, grant) {
        batch.delete(NAMES, name, Expect::Any);
    }
    if let Some(party) = &grant.retiring {
        let index = format!("{}{}", retirable_prefix(region, &party.key()), found.key);
        batch.delete(RETIRABLE, index, Expect::Any);
    }
    batch.delete(GRANTS, found.key.as_str(), Expect::Version(found.version));
}

/// Where the grants lie that this principal may retire.
pub(super) fn retirable_prefix(region: &str, party: &str) -> String {
    format!("{region}/{}/", hex(&sha256(party.as_bytes())))
}

/// A fresh id for a grant to this grantee with these terms: 16 digits that tell the grantee, 16 that tell the constraint,
/// 32 of chance.
pub(super) fn fresh_id(party: &str, terms: &Terms) -> Result<String> {
    let chance: [u8; 16] = random::bytes().map_err(Error::from)?;
    let (grantee, constraint) = (grantee_digits(party), constraint_digits(terms));
    Ok(format!("{grantee}{constraint}{}", hex(&chance)))
}

/// How the ids of all grants to this grantee begin.
pub(super) fn grantee_digits(party: &str) -> String {
    first_digits(&sha256(party.as_bytes()))
}

/// How the ids of those grants to this grantee begin that may allow a request.
pub(super) fn candidates(
    party: &str,
    operation: GrantOperation,
    context: Option<&EncryptionContext>,
) -> Vec<String> {
    let grantee = grantee_digits(party);
    if !operation.has_context() {
        return vec![grantee];
    }
    let empty = EncryptionContext::new();
    let equals = equals_digits(context.unwrap_or(&empty));
    vec![
        format!("{grantee}{UNCONSTRAINED}"),
        format!("{grantee}{equals}"),
        format!("{grantee}{SUBSET}"),
    ]
}

fn constraint_digits(terms: &Terms) -> String {
    match &terms.context {
        None => UNCONSTRAINED.into(),
        Some(ContextConstraint::Subset(_)) => SUBSET.into(),
        Some(ContextConstraint::Equals(pairs)) => equals_digits(pairs),
    }
}

/// Digits that two contexts share that are the same for constraints.
fn equals_digits(context: &EncryptionContext) -> String {
    let mut digest = Sha256::new();
    for (name, value) in fold(context) {
        for part in [name, value] {
            digest.update(&(part.len() as u64).to_be_bytes());
            digest.update(part.as_bytes());
        }
    }
    let digits = first_digits(&digest.finish());
    format!("1{}", digits.get(1..).unwrap_or_default())
}

fn first_digits(digest: &[u8]) -> String {
    hex(digest.first_chunk::<8>().map_or(&[], |first| first))
}

/// Where the grant of a name lies; `None` for one that has none. "You can retry a CreateGrant request with identical
/// parameters" (API reference): another name or parameter is another grant.
fn name_key(at: &str, grant: &Grant) -> Option<String> {
    let name = grant.name.as_ref()?;
    let mut operations: Vec<_> = (grant.terms.operations.iter())
        .map(|operation| operation.name())
        .collect();
    operations.sort_unstable();
    let (kind, pairs) = match &grant.terms.context {
        Some(constraint) => (constraint.name(), Some(constraint.pairs())),
        None => ("", None),
    };
    let parameters = serde_json::json!([
        name,
        grant.grantee.key(),
        grant.retiring.as_ref().map(|party| party.key()),
        operations,
        kind,
        pairs,
        grant.terms.source_arn,
        grant.issuing_account,
    ]);
    let digest = sha256(parameters.to_string().as_bytes());
    Some(format!("{at}/{}", hex(&digest)))
}

/// So often a change of a key's grants is made anew because others were quicker; each time one of them got through, and
/// services make grants on one key many at a time.
pub(super) const ATTEMPTS: usize = 128;

/// The constraint's digits of grants without one.
const UNCONSTRAINED: &str = "0000000000000000";

/// Those of grants that ask for some pairs.
const SUBSET: &str = "2000000000000000";

#[cfg(test)]
mod tests {
    use super::*;

    fn context(pairs: &[(&str, &str)]) -> EncryptionContext {
        let pairs = pairs.iter().map(|(n, v)| ((*n).into(), (*v).into()));
        pairs.collect()
    }

    fn terms(context: Option<ContextConstraint>) -> Terms {
        Terms {
            operations: vec![GrantOperation::Decrypt],
            context,
            source_arn: None,
        }
    }

    #[test]
    fn an_id_is_among_the_candidates_of_what_it_may_allow() {
        let pairs = || context(&[("Purpose", "Test"), ("a", "b")]);
        let request = context(&[("a", "b"), ("purpose", "Test")]);
        let ids = [
            terms(None),
            terms(Some(ContextConstraint::Equals(pairs()))),
            terms(Some(ContextConstraint::Subset(pairs()))),
        ]
        .map(|terms| fresh_id("somebody", &terms).unwrap());
        let among = |party, operation, context: Option<&EncryptionContext>, id: &str| {
            let prefixes = candidates(party, operation, context);
            prefixes
                .iter()
                .any(|prefix| id.starts_with(prefix.as_str()))
        };
        for id in &ids {
            assert_eq!(id.len(), 64);
            assert!(id.bytes().all(|byte| byte.is_ascii_hexdigit()));
            let (decrypt, describe) = (GrantOperation::Decrypt, GrantOperation::DescribeKey);
            assert!(among("somebody", decrypt, Some(&request), id));
            assert!(among("somebody", describe, None, id));
            assert!(!among("somebody else", decrypt, Some(&request), id));
        }
        // Of the three, a request without a context meets all but the one that names its whole context.
        let met = ids.map(|id| among("somebody", GrantOperation::Decrypt, None, &id));
        assert_eq!(met, [true, false, true]);
    }
}
