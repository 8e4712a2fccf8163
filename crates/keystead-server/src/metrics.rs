//! What is counted, and the page that shows it (Prometheus text format).

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use keystead_wire::schema::OperationDef;
use metrics::{
    Counter, Histogram, counter, describe_counter, describe_gauge, describe_histogram, histogram,
};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use parking_lot::RwLock;

/// The upper ends of the buckets of call durations, in seconds: from a call that touches nothing to
/// the request deadline.
const BUCKETS: [f64; 12] = [
    0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 60.0,
];

/// How often recorded durations are sorted into their buckets; until then each takes 8 bytes.
const UPKEEP: Duration = Duration::from_secs(1);

/// Reads the metrics of this process.
#[derive(Clone, Debug)]
pub struct Metrics(PrometheusHandle);

/// The recorder is the process's own, so it can be installed once.
static INSTALLED: OnceLock<Metrics> = OnceLock::new();
static INSTALLING: Mutex<()> = Mutex::new(());

/// The process's metrics could not be set up: another recorder is there.
#[derive(Debug)]
pub struct MetricsError(String);

impl std::fmt::Display for MetricsError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "metrics cannot be recorded: {}", self.0)
    }
}

impl std::error::Error for MetricsError {}

impl Metrics {
    /// Starts recording, or finds what records already.
    ///
    /// # Errors
    /// The process records its metrics by other means.
    pub fn install() -> Result<Self, MetricsError> {
        let _one_at_a_time = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(installed) = INSTALLED.get() {
            return Ok(installed.clone());
        }
        let failed = |error: &dyn std::fmt::Display| MetricsError(error.to_string());
        let handle = PrometheusBuilder::new()
            .set_buckets(&BUCKETS)
            .map_err(|error| failed(&error))?
            .install_recorder()
            .map_err(|error| failed(&error))?;
        describe_counter!(
            "keystead_requests_total",
            "API requests by operation and error code (empty for none)."
        );
        describe_counter!(
            "keystead_refused_total",
            "Requests that named no operation that is served."
        );
        describe_histogram!(
            "keystead_request_seconds",
            "Time from a request's head to its answer."
        );
        describe_histogram!(
            "keystead_crl_seconds",
            "Time from the first entry of a revocation list that was read to its bytes, stored to be signed."
        );
        describe_counter!(
            "keystead_ocsp_total",
            "OCSP requests by how they were answered: kept, signed, or the refusal."
        );
        describe_gauge!("keystead_connections", "Open connections.");
        describe_gauge!("keystead_waiting_calls", "Calls that wait for changes.");
        describe_histogram!(
            "keystead_placement_seconds",
            "Time from what agents want to the proof that it is served."
        );
        describe_counter!(
            "keystead_placement_alarms_total",
            "Placements that came to be late, failed or near their end, and that recovered."
        );
        describe_gauge!(
            "keystead_token_connected",
            "Whether a PKCS #11 token is connected."
        );
        describe_counter!(
            "keystead_token_calls_total",
            "Calls of a token that came back, by how they ended."
        );
        describe_histogram!(
            "keystead_token_call_seconds",
            "Time that a token took for a call."
        );
        Ok(INSTALLED.get_or_init(|| Self(handle)).clone())
    }

    /// The page.
    pub fn render(&self) -> String {
        self.0.render()
    }

    /// Keeps what is recorded small, for ever.
    pub(crate) async fn keep_up(self) {
        loop {
            tokio::time::sleep(UPKEEP).await;
            self.0.run_upkeep();
        }
    }
}

/// Counts one API request.
pub(crate) fn request(
    operation: Option<&'static OperationDef>,
    code: &'static str,
    duration: Duration,
) {
    let Some(operation) = operation else {
        counter!("keystead_refused_total", "code" => code).increment(1);
        return;
    };
    let key = (operation.service.signing_name, operation.name, code);
    let known = METERS.read().get(&key).cloned();
    let meter = known.unwrap_or_else(|| {
        METERS
            .write()
            .entry(key)
            .or_insert_with(|| meter(key))
            .clone()
    });
    meter.calls.increment(1);
    meter.seconds.record(duration);
}

/// What one outcome of one operation is counted with. Looking it up by its labels each time would
/// cost more than the rest of a small call.
#[derive(Clone)]
struct Meter {
    calls: Counter,
    seconds: Histogram,
}

/// Service, operation, error code: as many as there are in the program's tables.
type Outcome = (&'static str, &'static str, &'static str);

static METERS: LazyLock<RwLock<HashMap<Outcome, Meter>>> = LazyLock::new(RwLock::default);

fn meter((service, operation, code): Outcome) -> Meter {
    Meter {
        calls: counter!("keystead_requests_total", "service" => service, "operation" => operation, "code" => code),
        seconds: histogram!("keystead_request_seconds", "service" => service, "operation" => operation),
    }
}
