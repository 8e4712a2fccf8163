//! On which day a secret was last read: in its record, once a day for each version.
//!
//! What is read notes it in memory and goes on; a minute later at most it is written down. A server that crashes forgets that
//! minute, and of more than [`MOST`] secrets that are read for the first time on a day within a minute, the ones that were
//! idle for longest are noted at their next reading.

use std::num::NonZeroUsize;

use jiff::{SignedDuration, Timestamp};
use keystead_core::secrets::Version;
use keystead_core::{ErrorKind, Result};
use keystead_store::{Batch, Expect, Haste};
use lru::LruCache;
use parking_lot::Mutex;

use super::find::Found;
use super::record::{self, SECRETS, SecretRecord};
use crate::{App, Ctx};

/// What was read, and is not written down: versions by secrets' record keys, each with its day.
pub(crate) struct Accesses(Mutex<LruCache<String, Vec<(String, Timestamp)>>>);

impl Default for Accesses {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(MOST)))
    }
}

/// Notes that a version was read.
pub(super) fn note(ctx: &Ctx, found: &Found, version: &Version) {
    let day = day_of(ctx.now);
    if version.accessed_on == Some(day) && found.secret.accessed_on == Some(day) {
        return;
    }
    let mut noted = ctx.app.secret_accesses.0.lock();
    let versions = noted.get_or_insert_mut_ref(found.at.as_str(), Vec::new);
    if !versions
        .iter()
        .any(|(id, on)| *id == version.id && *on == day)
    {
        versions.push((version.id.clone(), day));
    }
}

/// Writes down what was noted.
pub(crate) async fn write_down(app: &App) -> Result<()> {
    let noted: Vec<(String, Vec<(String, Timestamp)>)> = {
        let mut noted = app.secret_accesses.0.lock();
        std::iter::from_fn(|| noted.pop_lru()).collect()
    };
    for (at, versions) in noted {
        match write(app, &at, &versions).await {
            // Somebody changes it just now: it is noted again at the next reading.
            Err(error) if error.kind == ErrorKind::ConcurrentModification => {}
            other => other?,
        }
    }
    Ok(())
}

async fn write(app: &App, at: &str, versions: &[(String, Timestamp)]) -> Result<()> {
    let Some(found) = app.store.get::<SecretRecord>(SECRETS, at).await? else {
        return Ok(());
    };
    let SecretRecord(before) = found.value;
    let mut after = before.clone();
    for (id, day) in versions {
        for version in after.versions.iter_mut().filter(|one| one.id == *id) {
            version.accessed_on = version.accessed_on.max(Some(*day));
        }
        after.accessed_on = after.accessed_on.max(Some(*day));
    }
    let mut batch = Batch::new();
    record::put(
        &mut batch,
        Some(&before),
        &after,
        Expect::Version(found.version),
    );
    app.store.commit_with(batch, Haste::Soon).await?;
    Ok(())
}

/// The beginning of the day: "the resolution of this field is at the date level" (API reference).
fn day_of(now: Timestamp) -> Timestamp {
    let seconds = now.as_second().rem_euclid(24 * 60 * 60);
    let midnight = now.checked_sub(SignedDuration::from_secs(seconds));
    midnight
        .ok()
        .and_then(|at| Timestamp::from_second(at.as_second()).ok())
        .unwrap_or(now)
}

/// A hundred bytes each, and more than are first read on a day within a minute in any installation we know of.
const MOST: NonZeroUsize = NonZeroUsize::new(4096).unwrap();
