//! Keys in SoftHSM2's tokens, each test in a process of its own: the module keeps one state a
//! process, and finds its tokens by the environment.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;
use keystead_crypto::KeyRing;
use keystead_crypto::token::{PinSource, Token, TokenOptions, TokenState};
use keystead_testkit::{PIN, SoftHsm};

mod absence;
mod custody;
mod keys;
mod pins;
mod root;
mod shim;
mod stuck;

/// How long a test waits for what takes milliseconds, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs a test's body in a process with one token, `hsm`.
fn with_token<F: Future<Output = ()>>(
    module: &str,
    name: &str,
    body: impl FnOnce(SoftHsm, PathBuf) -> F,
) {
    let prepare = |folder: &Path| {
        let hsm = SoftHsm::new(folder);
        hsm.initialize("hsm");
        let mut variables = hsm.variables();
        variables.push(("SHIM_FOLDER", folder.as_os_str().to_owned()));
        variables.push(("SHIM_MODULE", SoftHsm::module().into()));
        variables
    };
    keystead_testkit::alone(module, name, prepare, |folder| {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(body(SoftHsm::at(folder), folder.to_owned()));
    });
}

/// How the token is opened.
fn options(hsm: &SoftHsm) -> TokenOptions {
    TokenOptions {
        module: SoftHsm::module(),
        label: Some("hsm".into()),
        serial: None,
        pin: PinSource::File(hsm.pin_file("pin", PIN)),
        sessions: 2,
        cluster_id: None,
    }
}

/// A ring with the token attached and connected.
async fn ring(hsm: &SoftHsm) -> Arc<KeyRing> {
    ring_with(options(hsm)).await
}

async fn ring_with(options: TokenOptions) -> Arc<KeyRing> {
    let ring = crate::support::ring();
    let token = Token::connect("hsm", options).unwrap();
    token.connected(PATIENCE).await.unwrap();
    ring.attach_token(token);
    ring
}

/// Waits for the token to be in a state.
fn until_state(token: &Token, what: &str, is_it: impl Fn(&TokenState) -> bool) {
    keystead_testkit::until(what, PATIENCE, || is_it(&token.state()).then_some(()));
}

/// A session of the test's own beside the ring's.
fn session() -> Session {
    let pkcs11 = Pkcs11::new(SoftHsm::module()).unwrap();
    // The ring may have started the module.
    let _ = pkcs11.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK));
    let mut slots = pkcs11.get_slots_with_token().unwrap().into_iter();
    let is_it = |slot: &_| pkcs11.get_token_info(*slot).unwrap().label() == "hsm";
    let session = pkcs11.open_rw_session(slots.find(is_it).unwrap()).unwrap();
    let _ = session.login(UserType::User, Some(&AuthPin::from(PIN)));
    session
}
