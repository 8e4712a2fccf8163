//! Who may ask: who shows the token, and whose socket it is.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;

use keystead_crypto::{digest, random};
use zeroize::Zeroizing;

use crate::Failure;

/// Who is let through.
#[derive(Clone)]
pub struct Gate {
    token: Option<Arc<Zeroizing<String>>>,
    users: Option<Arc<[u32]>>,
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate")
            .field("users", &self.users)
            .finish_non_exhaustive()
    }
}

impl Gate {
    /// Who shows this token, where there is one, and comes from a process of one of these users, where they are named.
    pub fn new(token: Option<String>, users: Option<Vec<u32>>) -> Self {
        Self {
            token: token.map(|token| Arc::new(Zeroizing::new(token))),
            users: users.map(Arc::from),
        }
    }

    /// Whether this is the token.
    pub(super) fn knows(&self, shown: Option<&[u8]>) -> bool {
        match (&self.token, shown) {
            (None, _) => true,
            (Some(token), Some(shown)) => {
                // Of equal length, whatever was shown.
                let (own, other) = (digest::sha256(token.as_bytes()), digest::sha256(shown));
                digest::constant_time_eq(&own, &other)
            }
            (Some(_), None) => false,
        }
    }

    /// Whether the socket at the other end is one of the right users.
    pub(super) fn admits(&self, peer: SocketAddr, own: SocketAddr) -> bool {
        let Some(users) = &self.users else {
            return true;
        };
        owner(peer, own).is_some_and(|uid| users.contains(&uid))
    }
}

/// The user whose socket is bound to `peer` and connected to `own`: the kernel's table of sockets says so.
fn owner(peer: SocketAddr, own: SocketAddr) -> Option<u32> {
    let table = match peer.ip() {
        IpAddr::V4(_) => "/proc/net/tcp",
        IpAddr::V6(_) => "/proc/net/tcp6",
    };
    let text = fs::read_to_string(table).ok()?;
    owner_in(&text, peer, own)
}

/// See proc(5), `/proc/net/tcp`: the second column is the local address, the third the remote one, the eighth the user.
fn owner_in(table: &str, peer: SocketAddr, own: SocketAddr) -> Option<u32> {
    let (peer, own) = (shown(peer), shown(own));
    table.lines().skip(1).find_map(|line| {
        let mut columns = line.split_ascii_whitespace().skip(1);
        let is_it = columns.next() == Some(&peer) && columns.next() == Some(&own);
        is_it.then(|| columns.nth(4)?.parse().ok()).flatten()
    })
}

/// An address as the table has it: words of four octets in the machine's order, in hexadecimal.
fn shown(address: SocketAddr) -> String {
    let octets = match address.ip() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let words = octets.chunks_exact(4).map(|word| {
        let word = u32::from_ne_bytes(word.try_into().unwrap_or_default());
        format!("{word:08X}")
    });
    format!("{}:{:04X}", words.collect::<String>(), address.port())
}

/// The token in this file; made where there is none, readable by the agent's user and the directory's group.
pub(super) fn token(path: &Path) -> Result<String, Failure> {
    let failed =
        |error: std::io::Error| Failure::Here(format!("cannot use {}: {error}", path.display()));
    let bytes: [u8; 32] = random::bytes().map_err(|error| Failure::Here(error.to_string()))?;
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o640)
        .open(path);
    match made {
        Ok(mut file) => {
            let token = keystead_core::hex(&bytes);
            file.write_all(token.as_bytes()).map_err(failed)?;
            file.sync_all().map_err(failed)?;
            return Ok(token);
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(failed(error)),
    }
    let mut text = String::new();
    let file = File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.permissions().mode();
    if mode & 0o007 != 0 {
        return Err(Failure::Here(format!(
            "everybody may use the token in {} (mode {:o}): make it 0640, or remove it, and another is made",
            path.display(),
            mode & 0o777
        )));
    }
    file.take(LONGEST_TOKEN)
        .read_to_string(&mut text)
        .map_err(failed)?;
    let token = text.trim();
    match token.len() >= SHORTEST_TOKEN {
        true => Ok(token.to_owned()),
        false => Err(Failure::Here(format!(
            "the token in {} is shorter than {SHORTEST_TOKEN} characters: remove the file, and another is made",
            path.display()
        ))),
    }
}

/// 128 bits in base64.
const SHORTEST_TOKEN: usize = 22;

const LONGEST_TOKEN: u64 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_sockets_names_the_owner() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (peer, own) = (client.local_addr().unwrap(), client.peer_addr().unwrap());
        let me = fs::metadata("/proc/self").unwrap();
        let me = std::os::unix::fs::MetadataExt::uid(&me);
        assert_eq!(owner(peer, own), Some(me));
        assert!(Gate::new(None, Some(vec![me])).admits(peer, own));
        assert!(!Gate::new(None, Some(vec![me + 1])).admits(peer, own));
        assert!(Gate::new(None, None).admits(peer, own));
        let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
        assert_eq!(owner(nobody, own), None);
    }

    #[test]
    fn the_table_is_read_as_proc_has_it() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
            0: 0100007F:1F90 0100007F:C350 01 00000000:00000000 00:00000000 00000000  1000        0 1 1\n   \
            1: 0100007F:C350 0100007F:1F90 01 00000000:00000000 00:00000000 00000000    33        0 2 1\n";
        let (client, server) = (
            "127.0.0.1:50000".parse().unwrap(),
            "127.0.0.1:8080".parse().unwrap(),
        );
        assert_eq!(owner_in(table, client, server), Some(33));
        assert_eq!(owner_in(table, server, client), Some(1000));
    }

    #[test]
    fn a_token_is_made_once_and_known_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let first = token(&path).unwrap();
        assert_eq!(token(&path).unwrap(), first);
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o7,
            0,
            "not for others"
        );
        let gate = Gate::new(Some(first.clone()), None);
        assert!(gate.knows(Some(first.as_bytes())));
        assert!(!gate.knows(Some(b"other")) && !gate.knows(None));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(token(&path).unwrap_err().to_string().contains("everybody"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        fs::write(&path, "short").unwrap();
        assert!(
            token(&path)
                .unwrap_err()
                .to_string()
                .contains("shorter than")
        );
    }

    #[test]
    fn users_go_by_name_or_number() {
        assert_eq!(
            crate::users::uids(&["root".into(), "7".into()]).unwrap(),
            [0, 7]
        );
    }
}
