//! Every kind of reload, with the real server: a pair is replaced on the disk, the server is told, the probe sees the new one, and of
//! the connections that are made meanwhile none fails, but where a server closes its listening socket.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says why and stops"
)]

#[path = "servers/kinds.rs"]
mod kinds;
#[path = "servers/site.rs"]
mod site;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use keystead_agent::Failure;
use keystead_agent::probe::Probe;
use keystead_agent::reload::{Placed, Reload};

use tokio::sync::watch;

use kinds::Running;
use site::{Pair, Site};

/// How long a server may take to serve what it was told of; the slowest takes a tenth of a second on an idle machine.
const DEADLINE: Duration = Duration::from_secs(30);

/// Connections at a time.
const LOADERS: usize = 2;

/// Handshakes before and after the reload, of each.
const HANDSHAKES: usize = 20;

async fn sees(probe: &Probe, wanted: &Pair) {
    let end = Instant::now() + DEADLINE;
    loop {
        let seen = probe.served().await;
        if seen.as_ref().is_ok_and(|seen| seen.leaf_der == wanted.der) {
            return;
        }
        assert!(
            Instant::now() < end,
            "the server does not serve it: {seen:?}"
        );
        tokio::task::yield_now().await;
    }
}

async fn tell(running: &Running, reload: &Reload, pair: &Pair) -> Result<(), Failure> {
    let paths = [running.site.both()];
    let placed = Placed {
        certificate_pem: &pair.certificate,
        key_pem: &pair.key,
        paths: &paths,
    };
    reload.reload(&placed).await
}

/// Connects over and over.
struct Load {
    stop: Arc<AtomicBool>,
    made: watch::Sender<usize>,
    loaders: Vec<tokio::task::JoinHandle<Vec<Failure>>>,
}

impl Load {
    fn start(probe: &Probe) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let made = watch::Sender::new(0);
        let loaders = (0..LOADERS).map(|_| {
            let (probe, stop, made) = (probe.clone(), Arc::clone(&stop), made.clone());
            tokio::spawn(async move {
                let mut failed = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    if let Err(failure) = probe.served().await {
                        failed.push(failure);
                    }
                    made.send_modify(|made| *made += 1);
                }
                failed
            })
        });
        let loaders = loaders.collect();
        Self {
            stop,
            made,
            loaders,
        }
    }

    /// Waits for so many more.
    async fn more(&self, count: usize) {
        let mut made = self.made.subscribe();
        let wanted = *made.borrow() + count;
        let waiting = tokio::time::timeout(DEADLINE, made.wait_for(|made| *made >= wanted));
        waiting.await.expect("more connections are made").unwrap();
    }

    async fn end(self) -> (usize, Vec<Failure>) {
        self.stop.store(true, Ordering::Relaxed);
        let mut failed = Vec::new();
        for loader in self.loaders {
            failed.extend(loader.await.unwrap());
        }
        (*self.made.borrow(), failed)
    }
}

/// The whole way, with one kind of server.
async fn rolls(name: &str, start: impl FnOnce(Site) -> Running) {
    let (old, new) = (Pair::make("old"), Pair::make("new"));
    let running = start(Site::new(&old));
    let file = serde_json::from_value(running.reload.clone()).unwrap();
    let reload = Reload::of(file).unwrap();
    let probe = Probe::of(serde_json::from_value(running.probe()).unwrap()).unwrap();
    sees(&probe, &old).await;
    reload.test().await.unwrap();

    let load = Load::start(&probe);
    load.more(LOADERS * HANDSHAKES).await;
    let began = Instant::now();
    running.site.put(&new);
    reload.test().await.unwrap();
    let tested = began.elapsed();
    tell(&running, &reload, &new).await.unwrap();
    sees(&probe, &new).await;
    let proven = began.elapsed();
    load.more(LOADERS * HANDSHAKES).await;
    let (made, failed) = load.end().await;
    println!(
        "{name}: tested after {} ms, proven after {} ms, {made} connections, {} failed",
        tested.as_millis(),
        proven.as_millis(),
        failed.len()
    );
    let refused = |failure: &Failure| {
        let text = failure.to_string();
        text.contains("Connection refused") || text.contains("Connection reset")
    };
    let failed: Vec<_> = failed
        .into_iter()
        .filter(|failure| !(running.closes && refused(failure)))
        .collect();
    assert!(failed.len() <= running.may_fail, "{name}: {failed:?}");

    if running.tests {
        running.site.put(&Pair::broken());
        let refused = reload.test().await.unwrap_err().to_string();
        assert!(refused.contains("failed ("), "{name}: {refused}");
        assert!(!refused.contains("PRIVATE"), "{name}: {refused}");
    }
    if running.refuses {
        running.site.put(&Pair::broken());
        tell(&running, &reload, &Pair::broken()).await.unwrap_err();
        sees(&probe, &new).await;
        // And takes the next one.
        running.site.put(&old);
        tell(&running, &reload, &old).await.unwrap();
        sees(&probe, &old).await;
    }
}

macro_rules! servers {
    ($($test:ident: $start:path),+ $(,)?) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() {
            rolls(stringify!($test), $start).await;
        })+
    };
}

servers! {
    nginx_takes_a_pair: kinds::nginx,
    nginx_with_a_map_takes_a_pair_by_itself: kinds::nginx_map,
    haproxy_takes_a_pair_at_its_socket: kinds::haproxy,
    the_master_of_haproxy_takes_a_pair: kinds::haproxy_master,
    apache_takes_a_pair: kinds::apache,
    stunnel_takes_a_pair: kinds::stunnel,
    hitch_takes_a_pair: kinds::hitch,
    caddy_takes_a_pair: kinds::caddy,
    postgresql_takes_a_pair: kinds::postgresql,
    mariadb_takes_a_pair: kinds::mariadb,
    postfix_takes_a_pair: kinds::postfix,
}
