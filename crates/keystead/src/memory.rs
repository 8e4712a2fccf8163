//! Keys in memory stay there: no core file holds them, no swap, no other process of the same user reads them.

use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

use crate::Failure;

/// Sees to it, before any key is in memory. Answers whether memory is locked; where the system does not allow that, the
/// operator is told how.
///
/// # Errors
/// When core files cannot be forbidden: no system we know of refuses that.
pub(crate) fn keep_keys_in() -> Result<bool, Failure> {
    let refused = |error| Failure(format!("cannot forbid core files: {error}"));
    // Neither the kernel nor a handler that it pipes to writes one (prctl(2), PR_SET_DUMPABLE); and /proc/PID/mem and
    // environ, where the root access key may stand, belong to root.
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(refused)?;
    setrlimit(Resource::Core, NOTHING).map_err(refused)?;
    Ok(lock())
}

/// Locks what is and will be in memory, as it comes into use. Only where there is no limit: with one, memory that is
/// needed later would be refused.
fn lock() -> bool {
    let unlimited = rustix::process::getrlimit(Resource::Memlock)
        .current
        .is_none()
        || setrlimit(Resource::Memlock, EVERYTHING).is_ok();
    let all = MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT;
    unlimited && mlockall(all).is_ok()
}

/// What to do where memory is not locked.
pub(crate) const UNLOCKED: &str = "memory is not locked, so that keys may reach the swap space: give the service LimitMEMLOCK=infinity (systemd), start it after 'ulimit -l unlimited', or run without swap";

const NOTHING: Rlimit = Rlimit {
    current: Some(0),
    maximum: Some(0),
};

const EVERYTHING: Rlimit = Rlimit {
    current: None,
    maximum: None,
};
