//! Placements: files that are made of certificates and secrets, kept as they have to be, loaded by the programs that use them, and
//! proven to be served.
//!
//! - `config` says what is wanted;
//! - `machine` decides what is next, as a function of what was seen;
//! - `run` does it: `fetch` reads and checks, [`crate::files`] writes, [`crate::reload`] has it loaded, `prove` dials;
//! - `kept` has the last good version, sealed: with it an agent starts while its server is away.

mod config;
mod fetch;
mod kept;
mod key_store;
mod machine;
mod prove;
mod run;
mod template;

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use keystead_crypto::random;
use tokio::sync::{Notify, Semaphore, mpsc, watch};
use tokio::task::JoinSet;

pub use config::{FilePlace, Place};

use crate::identity::Identity;
use crate::report::Board;
use crate::{Clock, Failure, push};
use run::{Runner, Shared};

/// What is called before each step, and may let it fail: for tests.
pub type Before = Arc<dyn Fn(&'static str) -> io::Result<()> + Send + Sync>;

/// Placements at work; they end when this is dropped.
pub struct Working {
    _tasks: JoinSet<()>,
}

/// Sets them to work. What they need is kept in the agent's directory; how they stand is on the board.
///
/// # Errors
/// [`Failure::Here`] where the key of what is kept can't be used.
pub fn start(
    places: Vec<Place>,
    state: &Path,
    identity: &Arc<Identity>,
    clock: Clock,
    board: &Arc<Board>,
    before: Before,
) -> Result<Working, Failure> {
    let mut tasks = JoinSet::new();
    if places.is_empty() {
        return Ok(Working { _tasks: tasks });
    }
    let shared = Arc::new(Shared {
        identity: Arc::clone(identity),
        clock,
        board: Arc::clone(board),
        shelf: kept::Shelf::open(state)?,
        looking: Semaphore::new(AT_ONCE),
        before,
    });
    let mut told: HashMap<String, Vec<Arc<Notify>>> = HashMap::new();
    for place in places {
        let runner = Runner::new(place, Arc::clone(&shared));
        for arn in runner.place.resources() {
            told.entry(arn).or_default().push(Arc::clone(&runner.told));
        }
        tasks.spawn(runner.run());
    }
    tasks.spawn(follow(Arc::clone(identity), told));
    Ok(Working { _tasks: tasks })
}

/// Wakes the placements that a change is for.
async fn follow(identity: Arc<Identity>, told: HashMap<String, Vec<Arc<Notify>>>) {
    let arns: Vec<String> = told.keys().cloned().collect();
    let (_wanted, following) = watch::channel(Arc::from(arns));
    let (tell, mut changes) = mpsc::channel::<push::Change>(16);
    let following = push::follow(identity, following, tell, watch::Sender::new(None));
    let telling = async {
        while let Some(change) = changes.recv().await {
            for one in told.get(&change.arn).into_iter().flatten() {
                one.notify_one();
            }
        }
    };
    tokio::join!(following, telling);
}

/// A factor from 0.75 to 1.25: agents that failed together do not try again together.
fn spread() -> f64 {
    let [octet] = random::bytes::<1>().unwrap_or([128]);
    0.75 + f64::from(octet) / 512.0
}

/// As many calls as a server with little to do answers at once.
const AT_ONCE: usize = 8;
