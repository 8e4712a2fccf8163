//! When access keys and roles were last used.

use jiff::Timestamp;
use keystead_store::{Collection, Versioned};
use serde::{Deserialize, Serialize};

use crate::lasts::Lasts;

/// Last uses, by the id of the access key or the unique id of the role.
pub(crate) const LAST_USES: Collection = Collection("iam.last-use");

/// A use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LastUse {
    /// When.
    pub(crate) at: Timestamp,
    /// The signing name of the service that was called.
    pub(crate) service: String,
    /// The region that was called.
    pub(crate) region: String,
}

impl Versioned for LastUse {
    const MARKER: &'static str = "iam.last-use/1";
}

/// Notes a use.
pub(crate) fn note(uses: &Lasts<LastUse>, id: &str, at: Timestamp, service: &str, region: &str) {
    uses.note(
        id,
        |used| {
            if used.service != service {
                used.service = service.to_owned();
            }
            if used.region != region {
                used.region = region.to_owned();
            }
            used.at = at;
        },
        || LastUse {
            at,
            service: service.to_owned(),
            region: region.to_owned(),
        },
    );
}

#[cfg(test)]
mod tests {
    use keystead_store::{Store, StoreOptions};

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[tokio::test]
    async fn the_last_use_is_known_at_once_and_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(StoreOptions::new(dir.path())).await.unwrap();
        let uses = Lasts::new(LAST_USES);
        assert_eq!(uses.of(&store, "A").await.unwrap(), None);
        note(&uses, "A", at(1), "acm", "eu-west-1");
        note(&uses, "A", at(2), "sts", "eu-west-2");
        let used = uses.of(&store, "A").await.unwrap().unwrap();
        assert_eq!((used.at, used.service.as_str()), (at(2), "sts"));
        uses.write_down(&store).await.unwrap();
        let version = store.version();
        uses.write_down(&store).await.unwrap();
        assert_eq!(store.version(), version, "nothing new, no commit");
        let restarted: Lasts<LastUse> = Lasts::new(LAST_USES);
        assert_eq!(restarted.of(&store, "A").await.unwrap(), Some(used));
    }
}
