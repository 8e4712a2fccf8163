//! Unix sockets: who may connect, who did, and what lies at the path.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use keystead_server::{Endpoint, Listeners, UnixAccess};
use tokio::net::UnixStream;

use crate::client::{Client, Request, identity};
use crate::world::{Script, limits, start_on};

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn calls_come_through_it_and_its_mode_is_what_was_asked() {
    let directory = tempfile::tempdir().unwrap();
    for (access, expected) in [(UnixAccess::Owner, 0o600), (UnixAccess::Everyone, 0o666)] {
        let path = directory.path().join(format!("{expected:o}.sock"));
        let endpoints = vec![Endpoint::Unix(path.clone(), access)];
        let world = start_on(endpoints, limits(), Script::default(), |front| front).await;
        assert_eq!(mode(&path), expected);
        let mut client = Client::over(UnixStream::connect(&path).await.unwrap());
        assert_eq!(client.call(&identity()).await.status, 200);
        assert_eq!(
            world
                .script
                .last
                .lock()
                .unwrap()
                .as_ref()
                .unwrap()
                .source_ip,
            None
        );
        assert!(world.lifecycle.drain(crate::client::PATIENCE).await);
        world.served.await.unwrap();
        assert!(!path.exists(), "the socket is left behind");
    }
}

#[tokio::test]
async fn a_socket_that_a_dead_server_left_is_taken_over() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("stale.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let endpoints = vec![Endpoint::Unix(path.clone(), UnixAccess::Owner)];
    let _world = start_on(endpoints, limits(), Script::default(), |front| front).await;
    let mut client = Client::over(UnixStream::connect(&path).await.unwrap());
    assert_eq!(
        client
            .call(&Request::new("GET", "/health", &[], b""))
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn what_is_in_use_or_not_a_socket_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("used.sock");
    let used = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let bind = |path: &Path| {
        Listeners::bind(vec![Endpoint::Unix(path.to_owned(), UnixAccess::Owner)])
            .unwrap_err()
            .to_string()
    };
    assert!(
        bind(&path).contains("another process listens there"),
        "{}",
        bind(&path)
    );
    drop(used);
    let file = directory.path().join("file");
    std::fs::write(&file, "precious").unwrap();
    assert!(bind(&file).contains("not a socket"), "{}", bind(&file));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "precious");
}

#[tokio::test]
async fn clear_text_stays_on_the_machine() {
    for address in ["0.0.0.0:0", "192.0.2.1:0", "[::]:0"] {
        let refused = Listeners::bind(vec![Endpoint::Plain(address.parse().unwrap())]).unwrap_err();
        assert!(
            refused
                .to_string()
                .contains("listen on a loopback address, or with TLS"),
            "{refused}"
        );
    }
    for address in ["127.0.0.2:0", "[::ffff:127.0.0.1]:0"] {
        Listeners::bind(vec![Endpoint::Plain(address.parse().unwrap())]).unwrap();
    }
}
