//! Redis and Valkey: ACL users (Redis documentation, "ACL SETUSER").
//!
//! A user can have several passwords, so a change leaves the one in use and the new one, and takes the rest away: whoever
//! still uses the old one is never refused, and loses it at the rotation after. The server is sent hashes, not passwords, and
//! writes its users down, as a restart would otherwise bring back the old ones.
//!
//! The protocol is a few lines of text; a client library would bring a hundred commands of which three are needed.

use keystead_core::hex;
use keystead_core::rotation::{Change, Heard, Login, Wanted};
use keystead_crypto::digest;
use rustls_pki_types::ServerName;
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufStream,
};
use tokio_rustls::TlsConnector;
use zeroize::Zeroizing;

use crate::limits::{LONGEST_REPLY, changing, connecting};
use crate::reach::Server;

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

type Connection = BufStream<Box<dyn Stream>>;

/// Whether this login works.
pub(crate) async fn log_in(server: &Server, login: &Login) -> Heard {
    match connecting(connect(server, login)).await {
        Ok(_) => Heard::done(),
        Err(heard) => heard,
    }
}

/// Has the server take a password.
pub(crate) async fn change(server: &Server, wanted: &Wanted) -> Heard {
    let Some(by) = &wanted.by else {
        return Heard::new(Change::NotPermitted, "nobody is named who may change it");
    };
    let mut connection = match connecting(connect(server, by)).await {
        Ok(connection) => connection,
        Err(heard) => return heard,
    };
    let hash = |password: &str| format!("#{}", hex(&digest::sha256(password.as_bytes())));
    let new = hash(&wanted.login.password);
    let kept = wanted.keep.as_ref().map(|password| hash(password));
    let mut rules = vec![
        "ACL",
        "SETUSER",
        &wanted.login.user,
        "on",
        "resetpass",
        &new,
    ];
    rules.extend(kept.as_deref());
    changing(async {
        ask(&mut connection, &rules).await.map_err(refused_change)?;
        write_down(&mut connection).await
    })
    .await
}

/// Has the server keep its users over a restart: in the file that it has for them, or in its configuration. A server that was
/// started with neither keeps nothing at all, passwords no more than data.
async fn write_down(connection: &mut Connection) -> Result<(), Heard> {
    match ask(connection, &["ACL", "SAVE"]).await {
        Err(Refusal::Said(text)) if text.contains("not configured to use an ACL file") => {}
        answer => return answer.map_err(refused_change),
    }
    match ask(connection, &["CONFIG", "REWRITE"]).await {
        Err(Refusal::Said(text)) if text.contains("without a config file") => Ok(()),
        answer => answer.map_err(refused_change),
    }
}

async fn connect(server: &Server, login: &Login) -> Result<Connection, Heard> {
    let unreachable = |cause: &dyn std::fmt::Display| Heard::new(Change::Unreachable, cause);
    let stream = server
        .connect()
        .await
        .map_err(|error| unreachable(&error))?;
    let stream: Box<dyn Stream> = match &server.tls {
        None => Box::new(stream),
        Some(trust) => {
            let name = ServerName::try_from(server.host.clone());
            let name = name.map_err(|error| unreachable(&error))?;
            let tls = TlsConnector::from(trust.config.clone())
                .connect(name, stream)
                .await;
            Box::new(tls.map_err(|error| unreachable(&error))?)
        }
    };
    let mut connection = BufStream::new(stream);
    match ask(&mut connection, &["AUTH", &login.user, &login.password]).await {
        Ok(()) => Ok(connection),
        Err(Refusal::Broken(cause)) => Err(unreachable(&cause)),
        Err(Refusal::Said(text)) => Err(match kind(&text) {
            // Redis says -ERR where no password is set at all.
            kind @ ("WRONGPASS" | "NOAUTH" | "NOPERM" | "ERR") => {
                Heard::new(Change::NotPermitted, format!("error {kind}"))
            }
            kind => Heard::new(Change::Unreachable, format!("error {kind}")),
        }),
    }
}

/// Why a command was not done.
enum Refusal {
    /// The server says so. Its words may repeat the command.
    Said(String),
    /// There is no answer.
    Broken(String),
}

fn refused_change(refusal: Refusal) -> Heard {
    match refusal {
        Refusal::Said(text) => {
            let outcome = match kind(&text) {
                "LOADING" | "MASTERDOWN" | "BUSY" | "MISCONF" => Change::Unknown,
                _ => Change::NotPermitted,
            };
            Heard::new(outcome, format!("error {}", kind(&text)))
        }
        Refusal::Broken(cause) => Heard::new(Change::Unknown, cause),
    }
}

/// The first word of an error, where it is one of the server's kinds.
fn kind(text: &str) -> &str {
    let word = text.split_ascii_whitespace().next().unwrap_or_default();
    match !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_uppercase()) {
        true => word,
        false => "of an unknown kind",
    }
}

/// Sends a command (RESP, "Sending commands to a Redis server") and reads its answer, which is a line for all that are
/// sent here.
async fn ask(connection: &mut Connection, words: &[&str]) -> Result<(), Refusal> {
    let broken = |error: std::io::Error| Refusal::Broken(error.to_string());
    let mut command = Zeroizing::new(Vec::new());
    command.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
    for word in words {
        command.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        command.extend_from_slice(word.as_bytes());
        command.extend_from_slice(b"\r\n");
    }
    connection.write_all(&command).await.map_err(broken)?;
    connection.flush().await.map_err(broken)?;
    let mut line = String::new();
    let read = connection.take(LONGEST_REPLY).read_line(&mut line).await;
    read.map_err(broken)?;
    match (line.strip_suffix("\r\n"), line.as_bytes().first()) {
        (Some(_), Some(b'+')) => Ok(()),
        (Some(line), Some(b'-')) => Err(Refusal::Said(line.trim_start_matches('-').into())),
        _ => Err(Refusal::Broken(
            "the connection ended, or this is no Redis".into(),
        )),
    }
}
