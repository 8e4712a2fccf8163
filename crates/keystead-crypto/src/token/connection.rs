//! A connection to a token: which slot has it, logged in, and what it can do.

use std::num::NonZeroUsize;
use std::sync::Arc;

use cryptoki::context::Pkcs11;
use cryptoki::error::{Error as ModuleError, RvError};
use cryptoki::mechanism::{MechanismInfo, MechanismType};
use cryptoki::object::{ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::{Slot, TokenInfo};
use cryptoki::types::AuthPin;
use lru::LruCache;
use parking_lot::Mutex;

use super::error::{Meaning, TokenError, TokenFailure, meaning, said};
use super::module::{self, Module};
use super::pin::Pin;
use super::{TokenIdentity, TokenOptions};
use crate::seal::KeyId;

/// Objects whose handles are remembered: finding one makes some modules read all they have. A
/// handle takes some 100 bytes with its place, so that the cache stays under 1 MiB.
const KNOWN_OBJECTS: NonZeroUsize = match NonZeroUsize::new(8192) {
    Some(count) => count,
    None => NonZeroUsize::MIN,
};

/// A token that we are logged in to.
pub(super) struct Connection {
    pub(super) module: Arc<Module>,
    /// Of the module, when the token was found.
    pub(super) generation: u64,
    pub(super) slot: Slot,
    pub(super) identity: TokenIdentity,
    mechanisms: Vec<(MechanismType, MechanismInfo)>,
    pub(super) objects: Mutex<LruCache<(KeyId, Kind), ObjectHandle>>,
    /// Being logged in ends with the last session, and this one is never used.
    kept: Mutex<Option<Session>>,
}

/// What kind of object a key's id may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Secret,
    Private,
    Public,
}

impl Kind {
    pub(super) fn class(self) -> ObjectClass {
        match self {
            Self::Secret => ObjectClass::SECRET_KEY,
            Self::Private => ObjectClass::PRIVATE_KEY,
            Self::Public => ObjectClass::PUBLIC_KEY,
        }
    }
}

/// Connects. `refused` is a PIN that the token has refused before, and is not shown it again: after
/// a few wrong ones it locks itself.
pub(super) fn connect(
    options: &TokenOptions,
    refused: &mut Option<Pin>,
) -> Result<Connection, TokenError> {
    let module = module::load(&options.module)?;
    match open(&module, options, refused) {
        // The module may know of the past only.
        Err(error)
            if matches!(error.failure, TokenFailure::NotFound | TokenFailure::Lost)
                && module.restart()? =>
        {
            open(&module, options, refused)
        }
        opened => opened,
    }
}

fn open(
    module: &Arc<Module>,
    options: &TokenOptions,
    refused: &mut Option<Pin>,
) -> Result<Connection, TokenError> {
    let entered = module.enter();
    let pkcs11 = &module.pkcs11;
    let (slot, info) = find(pkcs11, options)?;
    let failed = |error| while_connecting(&error);
    let session = pkcs11.open_rw_session_no_drop(slot).map_err(failed)?;
    let opened = log_in(&session, &info, options, refused)
        .and_then(|()| mechanisms(pkcs11, slot).map_err(failed));
    match opened {
        Ok(mechanisms) => Ok(Connection {
            module: Arc::clone(module),
            generation: *entered,
            slot,
            identity: identity(&info),
            mechanisms,
            objects: Mutex::new(LruCache::new(KNOWN_OBJECTS)),
            kept: Mutex::new(Some(session)),
        }),
        Err(error) => {
            // It is closed with the module at the latest.
            let _ = session.close();
            Err(error)
        }
    }
}

/// The one slot whose token has the label and the serial number that are asked for.
fn find(pkcs11: &Pkcs11, options: &TokenOptions) -> Result<(Slot, TokenInfo), TokenError> {
    let slots = pkcs11
        .get_slots_with_token()
        .map_err(|error| while_connecting(&error))?;
    let mut found = None;
    let (mut others, mut broken) = (Vec::new(), None);
    for slot in slots {
        let info = match pkcs11.get_token_info(slot) {
            Ok(info) if info.token_initialized() => info,
            Ok(_) => continue,
            // Another slot may have what we look for.
            Err(error) => {
                broken = Some(error);
                continue;
            }
        };
        let fits = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|it| it == is);
        if !fits(&options.label, info.label()) || !fits(&options.serial, info.serial_number()) {
            others.push(format!("{} ({})", info.label(), info.serial_number()));
        } else if found.replace((slot, info)).is_some() {
            return Err(not_found(options, "several tokens fit: name its serial"));
        }
    }
    match (found, broken) {
        (Some(found), _) => Ok(found),
        (None, Some(error)) => Err(while_connecting(&error)),
        (None, None) if others.is_empty() => Err(not_found(options, "the module has no token")),
        (None, None) => {
            let has = format!("the module has {}", others.join(", "));
            Err(not_found(options, &has))
        }
    }
}

fn not_found(options: &TokenOptions, why: &str) -> TokenError {
    let of = |what, name: &Option<String>| match name {
        Some(name) => format!(" with the {what} {name}"),
        None => String::new(),
    };
    TokenError::new(
        TokenFailure::NotFound,
        format!(
            "there is no one token{}{} in {}: {why}",
            of("label", &options.label),
            of("serial number", &options.serial),
            options.module.display()
        ),
    )
}

fn log_in(
    session: &Session,
    info: &TokenInfo,
    options: &TokenOptions,
    refused: &mut Option<Pin>,
) -> Result<(), TokenError> {
    let locked = || {
        let message = "the token's PIN is locked after too many wrong ones; its security officer \
                       can set a new one";
        TokenError::new(TokenFailure::PinLocked, message)
    };
    let unusable = |message: &str| TokenError::new(TokenFailure::PinUnusable, message);
    if !info.login_required() {
        return Ok(());
    }
    if info.user_pin_locked() {
        return Err(locked());
    }
    let pin = options.pin.read()?;
    if refused.as_ref() == Some(&pin) {
        return Err(wrong(options));
    }
    if info.user_pin_final_try() {
        // Who starts a server again and again must not be the one who locks the token.
        return Err(unusable(
            "one more wrong PIN locks the token: log in to it once by other means, and then \
             connect it again",
        ));
    }
    let rv = match session.login(UserType::User, Some(&AuthPin::from(pin.as_str()))) {
        Ok(()) => return Ok(()),
        Err(ModuleError::Pkcs11(rv, _)) => rv,
        Err(error) => return Err(while_connecting(&error)),
    };
    match rv {
        RvError::UserAlreadyLoggedIn => Ok(()),
        RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange => {
            *refused = Some(pin);
            Err(wrong(options))
        }
        RvError::PinLocked => Err(locked()),
        RvError::PinExpired => Err(unusable("the token's PIN has expired: set a new one")),
        RvError::UserPinNotInitialized => Err(unusable(
            "the token has no user's PIN: its security officer sets the first one",
        )),
        rv => Err(while_connecting(&ModuleError::Pkcs11(
            rv,
            cryptoki::context::Function::Login,
        ))),
    }
}

fn wrong(options: &TokenOptions) -> TokenError {
    let super::PinSource::File(path) = &options.pin;
    TokenError::new(
        TokenFailure::PinIncorrect,
        format!(
            "the token refuses the PIN in {}; it is not tried again before it has changed",
            path.display()
        ),
    )
}

fn mechanisms(
    pkcs11: &Pkcs11,
    slot: Slot,
) -> Result<Vec<(MechanismType, MechanismInfo)>, ModuleError> {
    let listed = pkcs11.get_mechanism_list(slot)?.into_iter();
    // What it lists and then does not know is not there.
    Ok(listed
        .filter_map(|listed| Some((listed, pkcs11.get_mechanism_info(slot, listed).ok()?)))
        .collect())
}

fn identity(info: &TokenInfo) -> TokenIdentity {
    TokenIdentity {
        label: info.label().to_owned(),
        serial: info.serial_number().to_owned(),
        manufacturer: info.manufacturer_id().to_owned(),
        model: info.model().to_owned(),
    }
}

/// What an answer means while there is no connection yet.
fn while_connecting(error: &ModuleError) -> TokenError {
    let failure = match meaning(error) {
        Meaning::Unsupported => TokenFailure::Unsupported,
        _ => TokenFailure::Lost,
    };
    TokenError::new(
        failure,
        format!("the token cannot be reached: {}", said(error)),
    )
}

impl Connection {
    /// Whether the token is still there, and the same one. Under the gate.
    pub(super) fn is_alive(&self) -> Result<(), TokenError> {
        let lost = |why: &str| {
            TokenError::new(
                TokenFailure::Lost,
                format!("the token {} is gone: {why}", self.identity.label),
            )
        };
        match self.module.pkcs11.get_token_info(self.slot) {
            Ok(info) if identity(&info) == self.identity => Ok(()),
            Ok(_) => Err(lost("another one is in its slot")),
            Err(error) => Err(lost(&said(&error))),
        }
    }

    /// Whether the token can do this.
    ///
    /// # Errors
    /// [`TokenFailure::Unsupported`].
    pub(super) fn check(
        &self,
        mechanism: MechanismType,
        can: impl Fn(&MechanismInfo) -> bool,
    ) -> Result<(), TokenError> {
        let found = self.mechanisms.iter().find(|(is, _)| *is == mechanism);
        match found {
            Some((_, info)) if can(info) => Ok(()),
            _ => Err(TokenError::new(
                TokenFailure::Unsupported,
                format!(
                    "the token {} ({}) does not do this: it lacks {mechanism}",
                    self.identity.label, self.identity.model
                ),
            )),
        }
    }

    /// Ends what is left of it, if the module still knows of it: handles of an earlier generation
    /// may name somebody else's session by now.
    pub(super) fn close(&self) {
        let entered = self.module.enter();
        let kept = self.kept.lock().take();
        if let Some(kept) = kept.filter(|_| *entered == self.generation) {
            // The module may refuse, and has closed it then.
            let _ = kept.close();
        }
    }
}
