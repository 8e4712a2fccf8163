//! Whether every address serves what it should.

use std::time::Duration;

use futures::future::join_all;
use keystead_crypto::x509::Certificate;
use tokio::time::{Instant, sleep, timeout};

use crate::material::colons;
use crate::probe::Probe;
use crate::report::Address;

/// Dials all of them until each has shown this certificate, or its time is over. Without a certificate, what they show is told.
pub(super) async fn prove(
    probes: &[(String, Probe)],
    leaf: Option<&[u8]>,
    patience: Duration,
) -> Vec<Address> {
    let end = Instant::now() + patience;
    let dials = probes.iter().map(|(address, probe)| async move {
        let mut pause = SHORTEST;
        loop {
            let seen = dial(address, probe, leaf).await;
            if seen.proven || leaf.is_none() || Instant::now() + pause > end {
                return seen;
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST);
        }
    });
    join_all(dials).await
}

async fn dial(address: &str, probe: &Probe, leaf: Option<&[u8]>) -> Address {
    let served = timeout(DIAL, probe.served()).await;
    let mut seen = Address {
        address: address.to_owned(),
        proven: false,
        served: None,
        reason: None,
    };
    match served {
        Err(_) => seen.reason = Some(format!("no handshake within {} s", DIAL.as_secs())),
        Ok(Err(error)) => seen.reason = Some(error.to_string()),
        Ok(Ok(served)) => {
            seen.proven = leaf == Some(served.leaf_der.as_slice());
            seen.served = serial(&served.leaf_der);
        }
    }
    seen
}

/// Why not everything is proven, in one sentence.
pub(super) fn why_not(seen: &[Address], leaf: Option<&[u8]>) -> Option<String> {
    let leaf = leaf?;
    let wrong: Vec<String> = seen
        .iter()
        .filter(|one| !one.proven)
        .map(|one| match (&one.reason, &one.served) {
            (Some(why), _) => format!("{}: {why}", one.address),
            (None, served) => format!(
                "{} serves {} and not {}",
                one.address,
                served.as_deref().unwrap_or("another certificate"),
                serial(leaf).as_deref().unwrap_or("this one"),
            ),
        })
        .collect();
    (!wrong.is_empty()).then(|| wrong.join("; "))
}

fn serial(der: &[u8]) -> Option<String> {
    let parsed = Certificate::from_der(der).ok()?;
    Some(colons(&parsed.serial))
}

/// One handshake.
const DIAL: Duration = Duration::from_secs(5);

const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_millis(500);
