//! A few RSA keys made in advance, because finding primes takes from a tenth of a second to
//! seconds.
//!
//! Nothing is made before the first key of a size is asked for, so that starting costs nothing and
//! a server that uses no RSA never makes any. From then on a thread of the lowest priority fills
//! that size's shelf up and ends; it is started again when a key is taken.

use std::sync::Arc;
use std::thread;

use keystead_core::x509::KeySpec;
use parking_lot::Mutex;

use super::soft::SoftKey;
use crate::CryptoError;

/// How many keys of which size are kept ready. AWS's default of ACM certificates is RSA-2048, and
/// bursts of them are ordinary; the larger sizes are for authorities, which are made one by one.
const SHELVES: [(KeySpec, usize); 3] = [
    (KeySpec::Rsa2048, 4),
    (KeySpec::Rsa3072, 1),
    (KeySpec::Rsa4096, 1),
];

/// Keys that are ready. Dropping it stops the filling after the key in progress.
pub(super) struct Reserve(Arc<Mutex<State>>);

struct State {
    shelves: Vec<Shelf>,
    filling: bool,
    closed: bool,
}

struct Shelf {
    spec: KeySpec,
    target: usize,
    wanted: bool,
    ready: Vec<SoftKey>,
}

impl Reserve {
    pub(super) fn new() -> Self {
        let shelves = SHELVES
            .into_iter()
            .map(|(spec, target)| Shelf {
                spec,
                target,
                wanted: false,
                ready: Vec::new(),
            })
            .collect();
        Self(Arc::new(Mutex::new(State {
            shelves,
            filling: false,
            closed: false,
        })))
    }

    /// A ready key, if there is one; either way its place is filled soon.
    pub(super) fn take(&self, spec: KeySpec) -> Option<SoftKey> {
        let mut state = self.0.lock();
        let shelf = state.shelves.iter_mut().find(|shelf| shelf.spec == spec)?;
        shelf.wanted = true;
        let key = shelf.ready.pop();
        if !state.filling {
            let shared = Arc::clone(&self.0);
            state.filling = thread::Builder::new()
                .name("keystead-spare".into())
                .spawn(move || fill(&shared))
                .is_ok();
        }
        key
    }

    #[cfg(test)]
    pub(super) fn ready(&self, spec: KeySpec) -> usize {
        let state = self.0.lock();
        let shelf = state.shelves.iter().find(|shelf| shelf.spec == spec);
        shelf.map_or(0, |shelf| shelf.ready.len())
    }

    #[cfg(test)]
    pub(super) fn is_filling(&self) -> bool {
        self.0.lock().filling
    }
}

impl Drop for Reserve {
    fn drop(&mut self) {
        self.0.lock().closed = true;
    }
}

/// The filling thread's life.
fn fill(shared: &Mutex<State>) {
    // On Linux this is the thread's own priority. Failing to lower it harms nobody.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::nice(19);
    while let Some(spec) = next(shared) {
        match SoftKey::generate(spec) {
            Ok(key) => put(shared, spec, key),
            Err(error) => {
                give_up(shared, &error);
                return;
            }
        }
    }
}

/// The size that lacks a key; `None`, and the thread counts as ended, when none does.
fn next(shared: &Mutex<State>) -> Option<KeySpec> {
    let mut state = shared.lock();
    let lacking = state
        .shelves
        .iter()
        .find(|shelf| shelf.wanted && shelf.ready.len() < shelf.target)
        .map(|shelf| shelf.spec)
        .filter(|_| !state.closed);
    state.filling = lacking.is_some();
    lacking
}

fn put(shared: &Mutex<State>, spec: KeySpec, key: SoftKey) {
    let mut state = shared.lock();
    if let Some(shelf) = state.shelves.iter_mut().find(|shelf| shelf.spec == spec) {
        shelf.ready.push(key);
    }
}

fn give_up(shared: &Mutex<State>, error: &CryptoError) {
    tracing::warn!(%error, "cannot make keys in advance");
    shared.lock().filling = false;
}
