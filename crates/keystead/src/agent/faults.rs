//! What tests let go wrong while an agent places things.

use std::sync::Arc;

use keystead_agent::place::Before;

/// Where the agent is killed.
#[derive(clap::Args)]
pub(super) struct Faults {
    #[cfg(feature = "testing")]
    /// Kill the agent before this step, counted from 1.
    #[arg(long, value_name = "N", hide = true)]
    kill_before: Option<u64>,
}

impl Faults {
    pub(super) fn before(&self) -> Before {
        #[cfg(feature = "testing")]
        if let Some(last) = self.kill_before {
            let steps = std::sync::atomic::AtomicU64::new(1);
            return Arc::new(move |step| {
                use rustix::process::{Signal, getpid, kill_process};
                if steps.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == last {
                    eprintln!("killed before: {step}");
                    kill_process(getpid(), Signal::KILL)?;
                }
                Ok(())
            });
        }
        Arc::new(|_| Ok(()))
    }
}
