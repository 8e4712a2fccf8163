//! The tokens of sessions.
//!
//! The token is base64 of a sealed payload: whom the session stands for, its secret key, its times, and what limits
//! and describes it. It is sealed under a key of its own, derived from the root key, and bound to the id of the
//! access key that it belongs to, so that an altered token, or one beside another key, does not open. Inside, the
//! payload is JSON, compressed; zeros behind it make the token as long as was asked for.
//!
//! What was opened is kept, together with the principal that it stands for, as long as no identity and no policy
//! changes: a call then costs a hash of its token.

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::num::NonZeroUsize;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use jiff::Timestamp;
use keystead_core::iam::id;
use keystead_core::{AccountId, Error, ErrorKind, Result};
use keystead_crypto::seal::TokenSealer;
use keystead_crypto::{digest, random};
use keystead_store::{ChangeCount, Collection, Store};
use keystead_wire::sts as wire;
use lru::LruCache;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::given::Given;
use super::session::{Session, Who};
use crate::credentials::{self, Found};
use crate::iam::managed::ManagedPolicy;
use crate::iam::record::{Resource as _, Role, User};
use crate::{App, Credential, Ctx, Principal};

/// What a token says.
#[derive(Serialize, Deserialize)]
struct Payload {
    #[serde(with = "credentials::secret")]
    secret: Zeroizing<String>,
    /// In seconds since 1970.
    issued: i64,
    expires: i64,
    account: AccountId,
    who: Who,
    given: Given,
}

/// An order for credentials.
pub(super) struct Order {
    pub(super) account: AccountId,
    pub(super) who: Who,
    pub(super) given: Given,
    /// How long they last, in seconds.
    pub(super) seconds: i32,
    /// The least length of the token.
    pub(super) at_least: Option<i32>,
}

/// Credentials, with the figures that answers tell of them.
pub(super) struct Issued {
    pub(super) credentials: wire::Credentials,
    /// What policies and tags take of the room for them, in per cent.
    pub(super) packed: Option<i32>,
    /// The characters of the token.
    pub(super) size: Option<i32>,
    /// What they are of [`TOKEN_MOST`], in per cent.
    pub(super) utilization: Option<i32>,
}

/// What makes and opens tokens.
pub(crate) struct Sessions {
    sealer: TokenSealer,
    changes: ChangeCount,
    opened: Mutex<LruCache<[u8; 32], Opened>>,
}

/// An opened token, and where [`Sessions::changes`] stood before what it stands for was read.
struct Opened {
    as_of: u64,
    expires: Timestamp,
    credential: Credential,
}

impl Sessions {
    /// Tokens of the store's root key.
    pub(crate) fn new(store: &Store) -> Result<Self> {
        Ok(Self {
            sealer: TokenSealer::new(store.root_key(), "keystead session tokens 1")?,
            changes: store.count_changes(READ),
            opened: Mutex::new(LruCache::new(MOST_OPENED)),
        })
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").finish_non_exhaustive()
    }
}

/// Makes credentials.
///
/// Refuses with [`ErrorKind::LimitExceeded`] where policies and tags take too much room.
pub(super) fn issue(ctx: &Ctx, order: Order) -> Result<Issued> {
    let Order { account, given, .. } = &order;
    let packed = given.packed_percent()?;
    let access_key_id = id::session_key(account, random::bytes()?);
    let issued = ctx.now.as_second();
    let expires = issued.saturating_add(order.seconds.into());
    let payload = Payload {
        secret: credentials::fresh_secret()?,
        issued,
        expires,
        account: order.account,
        who: order.who,
        given: order.given,
    };
    let mut plaintext = Zeroizing::new(pack(&payload)?);
    if let Some(least) = order.at_least.and_then(|least| usize::try_from(least).ok()) {
        let sealed = least.div_ceil(4).saturating_mul(3);
        let length = sealed.saturating_sub(TokenSealer::OVERHEAD);
        let length = length.max(plaintext.len());
        plaintext.resize(length, 0);
    }
    let sealed = ctx.app.sessions.sealer.seal(&access_key_id, &plaintext)?;
    let session_token = STANDARD.encode(sealed);
    let size = session_token.len();
    if size > TOKEN_MOST {
        return Err(Error::new(
            ErrorKind::LimitExceeded,
            "Serialized token too large for session",
        ));
    }
    Ok(Issued {
        credentials: wire::Credentials {
            access_key_id,
            secret_access_key: String::clone(&payload.secret).into(),
            session_token,
            expiration: Timestamp::from_second(expires).unwrap_or(Timestamp::MAX),
        },
        packed,
        size: i32::try_from(size).ok(),
        utilization: i32::try_from(size.saturating_mul(100).div_ceil(TOKEN_MOST)).ok(),
    })
}

/// Finds the session of a token beside the access key that it is sent with.
pub(crate) async fn find(
    app: &App,
    access_key_id: &str,
    token: &str,
    now: Timestamp,
) -> Result<Found> {
    if token.len() > TOKEN_MOST {
        return Ok(Found::Unknown);
    }
    let sessions = &app.sessions;
    let as_of = sessions.changes.get();
    let key = digest::sha256(token.as_bytes());
    if let Some(opened) = sessions.opened.lock().get(&key)
        && opened.as_of == as_of
        && opened.credential.principal.access_key_id == access_key_id
    {
        return Ok(match opened.expires > now {
            true => Found::Known(opened.credential.clone()),
            false => Found::Expired,
        });
    }
    let Some(payload) = open(&sessions.sealer, access_key_id, token) else {
        return Ok(Found::Unknown);
    };
    if payload.expires <= now.as_second() {
        return Ok(Found::Expired);
    }
    let expires = Timestamp::from_second(payload.expires).unwrap_or(Timestamp::MAX);
    let secret = String::clone(&payload.secret).into();
    let Some(principal) = principal(app, access_key_id, payload).await? else {
        return Ok(Found::Unknown);
    };
    let credential = Credential { principal, secret };
    let opened = Opened {
        as_of,
        expires,
        credential: credential.clone(),
    };
    sessions.opened.lock().put(key, opened);
    Ok(Found::Known(credential))
}

fn open(sealer: &TokenSealer, access_key_id: &str, token: &str) -> Option<Payload> {
    let sealed = STANDARD.decode(token).ok()?;
    let plaintext = sealer.open(access_key_id, &sealed).ok()?;
    unpack(&plaintext).ok()
}

/// Who bears the token, if whom it stands for is still there.
async fn principal(app: &App, access_key_id: &str, payload: Payload) -> Result<Option<Principal>> {
    let Payload {
        account,
        who,
        given,
        issued,
        ..
    } = payload;
    let Some((arn, user_id, kind)) = who.stands(app, &account).await? else {
        return Ok(None);
    };
    let session = Session {
        issued: Timestamp::from_second(issued).unwrap_or_default(),
        policies: given.compiled(&app.store, &account).await?,
        tags: given.tags,
        transitive: given.transitive,
        source_identity: given.source_identity,
        web_identity: match who {
            Who::Role { web_identity, .. } => web_identity,
            _ => None,
        },
    };
    Ok(Some(Principal {
        account,
        arn,
        user_id,
        access_key_id: access_key_id.to_owned(),
        kind,
        session: Some(Arc::new(session)),
    }))
}

/// Anything as compressed JSON.
pub(super) fn pack<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    let json = serde_json::to_vec(value).map(Zeroizing::new);
    json.map_err(io::Error::from)
        .and_then(|json| encoder.write_all(&json))
        .and_then(|()| encoder.finish())
        .map_err(|error| {
            Error::new(
                ErrorKind::Internal,
                format!("cannot write a token: {error}"),
            )
        })
}

/// The inverse; what stands behind the compressed text does not count.
pub(super) fn unpack<T: for<'de> Deserialize<'de>>(packed: &[u8]) -> io::Result<T> {
    let mut json = Zeroizing::new(Vec::new());
    DeflateDecoder::new(packed)
        .take(UNPACKED_MOST)
        .read_to_end(&mut json)?;
    Ok(serde_json::from_slice(&json)?)
}

/// What a session's principal is read from.
const READ: &[Collection] = &[
    User::COLLECTION,
    Role::COLLECTION,
    ManagedPolicy::COLLECTION,
];

/// Characters of a token. STS promises none, and says that they are "typically" fewer than 4096, which is also
/// the most that can be asked for (`MinimumSessionTokenSize`).
pub(super) const TOKEN_MOST: usize = 4096;

/// Bytes of what a token says: policies, names of policies and tags can't be larger than what a request may be.
const UNPACKED_MOST: u64 = 1 << 20;

/// Opened tokens kept at hand: ten kilobytes each at most, and more than the sessions that are active within a
/// minute in any installation we know of.
const MOST_OPENED: NonZeroUsize = NonZeroUsize::new(1024).unwrap();
