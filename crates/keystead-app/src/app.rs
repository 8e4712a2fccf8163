//! The program's parts, opened together.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use jiff::SignedDuration;
use keystead_core::lint::KnownKeys;
use keystead_core::{AccountId, Error};
use keystead_crypto::token::TokenError;
use keystead_crypto::{KeyRing, KeyRingOptions};
use keystead_store::journal::{Journal, JournalOptions};
use keystead_store::{Store, StoreOptions};
use parking_lot::Mutex;

use crate::Env;
use crate::access::Known;
use crate::acm;
use crate::credentials::{self, KnownCredentials, RootCredential};
use crate::cursor::CursorKey;
use crate::hsm::{Hsm, HsmOptions};
use crate::iam::last_used::{LAST_USES, LastUse};
use crate::lasts::{self, Lasts};
use crate::log;
use crate::nodes::Deliveries;
use crate::objects::Objects;
use crate::outbound::{Exchange, Fetch, Rotators};
use crate::pca::revocation::{Making, Places, Responder, ServedLists};
use crate::pca::{self, Issuers};
use crate::placements::{Changes, Contacts};
use crate::sts::{ProviderKeys, Sessions};
use crate::system_ca::SystemCa;
use crate::tasks::Nudge;
use crate::xks::{HealthKey, KnownProxies};
use crate::{kms, secrets};

/// What every use case works with.
pub struct App {
    /// What is remembered.
    pub store: Store,
    /// What signs.
    pub keys: Arc<KeyRing>,
    /// What was done.
    pub journal: Journal,
    /// What time it is.
    pub env: Arc<dyn Env>,
    /// The account that this installation was made for.
    pub account: AccountId,
    /// What the nodes made of what they were sent.
    pub deliveries: Deliveries,
    /// Who waits for changes.
    pub changes: Changes,
    pub(crate) contacts: Contacts,
    /// Wakes the tasks before their time.
    pub nudge: Nudge,
    /// The authority behind Keystead's own certificates.
    pub system_ca: SystemCa,
    /// Where anybody gets revocation lists and OCSP answers, in plain HTTP: what certificates name, without a slash at its
    /// end. Set once it is known; without it, certificates name no address of ours.
    pub public_url: OnceLock<String>,
    pub(crate) hsm: Hsm,
    pub(crate) known_keys: KnownKeys,
    pub(crate) issuers: Issuers,
    pub(crate) places: Places,
    pub(crate) making: Making,
    pub(crate) responder: Responder,
    pub(crate) served_lists: ServedLists,
    pub(crate) objects: Objects,
    pub(crate) kms_keys: kms::Known,
    pub(crate) policies: Known,
    pub(crate) cursors: CursorKey,
    pub(crate) known_credentials: Mutex<KnownCredentials>,
    pub(crate) last_uses: Lasts<LastUse>,
    pub(crate) last_usages: Lasts<kms::LastUsage>,
    pub(crate) sessions: Sessions,
    pub(crate) provider_keys: ProviderKeys,
    pub(crate) kms_stores: kms::KnownStores,
    pub(crate) secrets: secrets::Known,
    pub(crate) secret_accesses: secrets::Accesses,
    pub(crate) exchange: Exchange,
    pub(crate) rotators: Rotators,
    pub(crate) xks_proxies: KnownProxies,
    pub(crate) xks_health: HealthKey,
    pub(crate) keep_expired: Option<SignedDuration>,
}

/// How the parts are opened.
pub struct AppOptions {
    /// Where everything is kept.
    pub data_dir: PathBuf,
    /// Where the root key lies; `None` for `root.key` in the data directory.
    pub root_key: Option<PathBuf>,
    /// The PKCS #11 tokens in which keys can live.
    pub hsm: HsmOptions,
    /// Keys that are refused, because others know their private halves.
    pub known_keys: KnownKeys,
    /// The account to make at the first start; later, the one to expect.
    pub account: Option<AccountId>,
    /// The root access key to make at the first start; random where `None`.
    pub root_credential: Option<RootCredential>,
    /// Whether an answer waits until its audit event is on disk.
    pub audit_sync: bool,
    /// Whether a store older than the journal beside it is accepted.
    pub accept_rollback: bool,
    /// For how long private CAs keep certificates that have expired; for ever where `None`.
    pub keep_expired: Option<SignedDuration>,
    /// Where time comes from.
    pub env: Arc<dyn Env>,
    /// How documents of other servers are got.
    pub fetch: Fetch,
    /// How other servers are called.
    pub exchange: Exchange,
    /// How passwords are changed in other servers.
    pub rotators: Rotators,
}

/// Why the parts could not be opened.
#[derive(Debug)]
pub struct OpenError(String);

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for OpenError {}

impl From<keystead_store::OpenError> for OpenError {
    fn from(error: keystead_store::OpenError) -> Self {
        Self(error.to_string())
    }
}

impl From<TokenError> for OpenError {
    fn from(error: TokenError) -> Self {
        Self(error.message)
    }
}

impl From<Error> for OpenError {
    fn from(error: Error) -> Self {
        Self(error.message)
    }
}

impl App {
    /// Opens everything; at the first start makes the root key, the account and its root access key.
    /// Also answers that key, for the client file, while it may be used.
    pub async fn open(
        options: AppOptions,
    ) -> Result<(Arc<Self>, Option<RootCredential>), OpenError> {
        let mut how = StoreOptions::new(&options.data_dir).accept_rollback(options.accept_rollback);
        if let Some(path) = &options.root_key {
            how = how.root_key_file(path);
        }
        let tokens = options.hsm.connect()?;
        if let Some(token) = tokens.root_key()? {
            how = how.root_key_token(token);
        }
        let store = Store::open(how).await?;
        let keys =
            KeyRing::open(store.root_key(), KeyRingOptions::default()).map_err(Error::from)?;
        let hsm = tokens.attach(&keys)?;
        let now = options.env.now();
        let (account, root) =
            credentials::establish(&store, options.account, options.root_credential, now).await?;
        let system_ca = SystemCa::load_or_create(&store, &keys, now).await?;
        let journal = JournalOptions::new(options.data_dir.join(JOURNAL_DIR))
            .sync(options.audit_sync)
            .opened_at(now);
        let journal = Journal::open(journal, &store)
            .await
            .map_err(|error| OpenError(error.to_string()))?;
        acm::see_to_index(&store, options.env.now()).await?;
        let sessions = Sessions::new(&store)?;
        let app = Self {
            cursors: CursorKey::of(&store)?,
            policies: Known::new(&store),
            kms_keys: kms::Known::new(&store),
            kms_stores: kms::KnownStores::new(&store),
            secrets: secrets::Known::new(&store),
            secret_accesses: secrets::Accesses::default(),
            exchange: options.exchange,
            rotators: options.rotators,
            xks_proxies: KnownProxies::new(&store),
            xks_health: HealthKey::default(),
            responder: Responder::new(&store),
            served_lists: ServedLists::new(&store),
            store,
            keys,
            journal,
            env: options.env,
            account,
            deliveries: Deliveries::default(),
            changes: Changes::default(),
            contacts: Contacts::new(now),
            nudge: Nudge::default(),
            system_ca,
            hsm,
            known_keys: options.known_keys,
            public_url: OnceLock::new(),
            issuers: Issuers::default(),
            places: Places::default(),
            objects: Objects::new(&options.data_dir),
            making: Making::default(),
            known_credentials: Mutex::default(),
            last_uses: Lasts::new(LAST_USES),
            last_usages: Lasts::new(kms::LAST_USAGES),
            sessions,
            provider_keys: ProviderKeys::new(options.fetch),
            keep_expired: options.keep_expired,
        };
        log::begin(&app).await?;
        pca::schedule_retention(&app).await?;
        Ok((Arc::new(app), root))
    }
}

impl App {
    /// Ends what writes: writes down what was only remembered, syncs the journal, and closes the store.
    pub async fn close(&self) {
        lasts::write_down(self).await;
        if let Err(error) = self.journal.close().await {
            tracing::error!(%error, "the audit journal did not close well; its last events may be missing on disk");
        }
        self.store.close().await;
        self.keys.disconnect_tokens().await;
    }
}

/// Where the journal lies in the data directory.
pub const JOURNAL_DIR: &str = "audit";
