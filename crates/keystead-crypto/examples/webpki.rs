//! Lets rustls-webpki judge chains: one JSON object a line comes in, one verdict a line goes out.
//!
//! For the Python tests, which have the real server issue what is judged here.

use std::io::{self, BufRead as _, Write as _};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use serde_json::Value;

fn main() -> io::Result<()> {
    let mut output = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        match judge(&line?) {
            Ok(()) => writeln!(output, "ok")?,
            Err(why) => writeln!(output, "{why}")?,
        }
    }
    Ok(())
}

/// Judges the members `root`, `intermediates` and `leaf` (DER in base64), `purpose` (`server`, `client`
/// or `any`), `name` (a DNS name to ask for, if any) and `at` (Unix time).
fn judge(line: &str) -> Result<(), String> {
    let asked: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let member = |name: &str| asked.get(name).ok_or(format!("{name} is missing"));
    let root = der(member("root")?)?;
    let between = member("intermediates")?.as_array().into_iter().flatten();
    let between: Vec<_> = between.map(der).collect::<Result<_, _>>()?;
    let leaf = der(member("leaf")?)?;
    let refused = |error: webpki::Error| error.to_string();
    let anchors = [webpki::anchor_from_trusted_cert(&root).map_err(refused)?];
    let leaf = webpki::EndEntityCert::try_from(&leaf).map_err(refused)?;
    let usage = match member("purpose")?.as_str() {
        Some("server") => webpki::KeyUsage::server_auth(),
        // What has no purpose at all may be anything, for webpki too.
        _ => webpki::KeyUsage::client_auth(),
    };
    let at = member("at")?.as_u64().ok_or("at is not a time")?;
    let at = UnixTime::since_unix_epoch(Duration::from_secs(at));
    let algorithms = webpki::ALL_VERIFICATION_ALGS;
    leaf.verify_for_usage(algorithms, &anchors, &between, at, usage, None, None)
        .map_err(refused)?;
    match member("name")?.as_str() {
        None | Some("") => Ok(()),
        Some(name) => {
            let name = ServerName::try_from(name).map_err(|error| error.to_string())?;
            leaf.verify_is_valid_for_subject_name(&name)
                .map_err(refused)
        }
    }
}

fn der(value: &Value) -> Result<CertificateDer<'static>, String> {
    let text = value.as_str().unwrap_or_default();
    let der = STANDARD.decode(text).map_err(|error| error.to_string())?;
    Ok(CertificateDer::from(der))
}
