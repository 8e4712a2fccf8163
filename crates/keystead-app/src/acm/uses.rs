//! Associations: who uses a certificate. One record each, and their number in the certificate's own
//! record, so that an association and a deletion can't both succeed.

use keystead_core::Result;
use keystead_store::{Batch, Expect, Store, Stored};

use super::record::{Loaded, USES, Use, use_key};

/// Adds the association of `certificate` with `user` to `batch`, unless it is there.
pub(super) async fn associate(
    store: &Store,
    batch: &mut Batch,
    mut certificate: Loaded,
    user: &str,
) -> Result<()> {
    let key = use_key(certificate.key(), user);
    if store.get::<Use>(USES, &key).await?.is_some() {
        return Ok(());
    }
    certificate.certificate.associate()?;
    certificate.save(batch);
    batch.put(USES, key, &Use { user: user.into() }, Expect::Absent);
    Ok(())
}

/// Adds the end of that association to `batch`, if it is there.
pub(super) async fn release(
    store: &Store,
    batch: &mut Batch,
    mut certificate: Loaded,
    user: &str,
) -> Result<()> {
    let key = use_key(certificate.key(), user);
    let Some(found) = store.get::<Use>(USES, &key).await? else {
        return Ok(());
    };
    certificate.certificate.uses = certificate.certificate.uses.saturating_sub(1);
    certificate.save(batch);
    batch.delete(USES, key, Expect::Version(found.version));
    Ok(())
}

/// Who uses the certificate with this key, at most [`SHOWN_USES`].
pub(super) async fn users(store: &Store, key: &str) -> Result<Vec<String>> {
    let prefix = use_key(key, "");
    let found: Vec<Stored<Use>> = store.scan(USES, &prefix, None, SHOWN_USES).await?;
    Ok(found.into_iter().map(|stored| stored.value.user).collect())
}

/// As many as one page of any listing of AWS has (`MaxItems`, 1000); the member has no pages.
const SHOWN_USES: usize = 1000;
