//! A real Envoy on ports of its own choice.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::http::get;
use crate::process::Process;
use crate::tools::tool;
use crate::wait::until;

/// How long Envoy may take to open its admin port: 0.2 s when the machine is idle.
const START: Duration = Duration::from_secs(60);

/// A running Envoy; its bootstrap says port 0 wherever the port does not matter.
pub struct Envoy {
    process: Process,
    admin: SocketAddr,
}

impl Envoy {
    /// Starts Envoy with this bootstrap and waits until its admin port answers. It is not ready
    /// before its secrets are there: see [`ready`](Self::ready).
    ///
    /// # Panics
    ///
    /// When it ends or hangs, with what it said.
    pub fn start(bootstrap: &str, name: &str, dir: &Path) -> Self {
        let config = write(bootstrap, name, dir);
        let address = dir.join(format!("{name}.admin"));
        let mut command = Command::new(tool("envoy"));
        command.arg("--config-path").arg(config);
        command.arg("--admin-address-path").arg(&address);
        command.args(["--use-dynamic-base-id", "--concurrency", "2"]);
        command.args(["--log-level", "warning"]);
        let mut process = Process::start(command, name, dir);
        let admin = until("Envoy's admin port", START, || {
            process.assert_running();
            let admin = std::fs::read_to_string(&address).ok()?.parse().ok()?;
            get(admin, "/server_info").map(|_| admin)
        });
        Self { process, admin }
    }

    /// Lets Envoy check a bootstrap without running it.
    ///
    /// # Errors
    ///
    /// What Envoy has against it.
    pub fn validate(bootstrap: &str, dir: &Path) -> Result<(), String> {
        let config = write(bootstrap, "validate", dir);
        let mut command = Command::new(tool("envoy"));
        command
            .args(["--mode", "validate", "--config-path"])
            .arg(config);
        let output = command.output().expect("envoy starts");
        if output.status.success() {
            return Ok(());
        }
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Everything that it has printed until now.
    pub fn output(&self) -> String {
        self.process.output()
    }

    /// Its admin port.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// Whether it serves: every listener is open and has what it needs.
    pub fn ready(&self) -> bool {
        matches!(get(self.admin, "/ready"), Some((200, _)))
    }

    /// The address of its only listener, once it is open.
    pub fn listener(&self) -> Option<SocketAddr> {
        let listeners = self.json("/listeners?format=json")?;
        let address = &listeners["listener_statuses"][0]["local_address"]["socket_address"];
        let ip = address["address"].as_str()?.parse().ok()?;
        let port = u16::try_from(address["port_value"].as_u64()?).ok()?;
        (port != 0).then(|| SocketAddr::new(ip, port))
    }

    /// Waits until it serves; returns where.
    ///
    /// # Panics
    ///
    /// When it does not within a minute, with what it said.
    pub fn serving(&mut self) -> SocketAddr {
        until("Envoy to serve", START, || {
            self.process.assert_running();
            self.ready().then(|| self.listener()).flatten()
        })
    }

    /// Every counter and gauge whose name ends with `suffix`, summed.
    pub fn stat(&self, suffix: &str) -> u64 {
        let (_, text) = get(self.admin, "/stats").expect("Envoy answers");
        let stats = text.lines().filter_map(|line| line.split_once(": "));
        stats
            .filter(|(name, _)| name.ends_with(suffix))
            .filter_map(|(_, value)| value.parse::<u64>().ok())
            .sum()
    }

    /// The serial numbers of the certificates that it serves, as its admin port writes them.
    pub fn serials(&self) -> Vec<String> {
        let certs = self.json("/certs").expect("Envoy answers");
        let certs = certs["certificates"].as_array().cloned();
        certs
            .unwrap_or_default()
            .iter()
            .flat_map(|each| each["cert_chain"].as_array().cloned().unwrap_or_default())
            .filter_map(|leaf| leaf["serial_number"].as_str().map(str::to_owned))
            .collect()
    }

    fn json(&self, path: &str) -> Option<Value> {
        let (_, body) = get(self.admin, path)?;
        serde_json::from_str(&body).ok()
    }
}

fn write(bootstrap: &str, name: &str, dir: &Path) -> PathBuf {
    let config = dir.join(format!("{name}.json"));
    std::fs::write(&config, bootstrap).expect("the test's own folder can be written");
    config
}
