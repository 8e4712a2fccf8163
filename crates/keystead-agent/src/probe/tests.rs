use super::*;

fn probe(document: serde_json::Value) -> Result<Probe, String> {
    let file: FileProbe = serde_json::from_value(document).map_err(|error| error.to_string())?;
    Probe::of(file).map_err(|failure| failure.to_string())
}

#[test]
fn addresses_and_names_are_checked() {
    use serde_json::json;
    for (document, told) in [
        (json!({ "address": "localhost" }), "expected host:port"),
        (json!({ "address": "::1:443" }), ""),
        (json!({ "address": "a:b:443" }), "in brackets"),
        (json!({ "address": "localhost:x" }), "expected host:port"),
        (
            json!({ "address": "localhost:1", "sni": "a b" }),
            "the name to ask for",
        ),
        (
            json!({ "address": "localhost:1", "timeout_seconds": 0 }),
            "expected 1 to 120",
        ),
        (
            json!({ "address": "localhost:1", "protocol": "gopher" }),
            "unknown variant",
        ),
        (
            json!({ "address": "localhost:1", "typo": 1 }),
            "unknown field",
        ),
        (json!({ "address": "[::1]:443" }), ""),
        (
            json!({ "address": "localhost:1", "protocol": "postgresql" }),
            "",
        ),
    ] {
        match probe(document.clone()) {
            Ok(_) => assert_eq!(told, "", "{document}"),
            Err(text) => assert!(
                !told.is_empty() && text.contains(told),
                "{document}: {text}"
            ),
        }
    }
}

/// What a server answers, piece by piece, and how it ends.
async fn conversation(protocol: Protocol, server: &'static [&'static [u8]]) -> Result<(), String> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let (mut near, mut far) = tokio::io::duplex(4096);
    let answering = async move {
        let mut heard = [0; 512];
        for (index, piece) in server.iter().enumerate() {
            let speaks_first = !matches!(protocol, Protocol::Postgresql);
            if index > 0 || !speaks_first {
                assert!(far.read(&mut heard).await.unwrap() > 0);
            }
            far.write_all(piece).await.unwrap();
        }
        drop(far);
    };
    tokio::join!(greeting::begin(protocol, &mut near), answering).0
}

#[tokio::test]
async fn a_server_without_tls_says_so() {
    type Case = (Protocol, &'static [&'static [u8]], &'static str);
    let cases: [Case; 10] = [
        (
            Protocol::Smtp,
            &[b"220 a\r\n", b"250-a\r\n250 STARTTLS\r\n", b"220 go\r\n"],
            "",
        ),
        (
            Protocol::Smtp,
            &[b"220 a\r\n", b"250 a\r\n", b"502 no\r\n"],
            "502 no",
        ),
        (Protocol::Smtp, &[b"554 no\r\n"], "554 no"),
        (
            Protocol::Imap,
            &[b"* OK hello\r\n", b"* CAPABILITY\r\na OK go\r\n"],
            "",
        ),
        (
            Protocol::Imap,
            &[b"* OK hello\r\n", b"a BAD no\r\n"],
            "a BAD no",
        ),
        (Protocol::Pop3, &[b"+OK\r\n", b"+OK\r\n"], ""),
        (Protocol::Ftp, &[b"220-a\r\n220 b\r\n", b"234 go\r\n"], ""),
        (Protocol::Postgresql, &[b"N"], "has no TLS"),
        (Protocol::Postgresql, &[b"S"], ""),
        (
            Protocol::Mysql,
            &[b"\x0b\0\0\0\xff\x10\x04Too many"],
            "refuses: Too many",
        ),
    ];
    for (protocol, server, told) in cases {
        match conversation(protocol, server).await {
            Ok(()) => assert_eq!(told, "", "{protocol:?}"),
            Err(text) => assert!(
                !told.is_empty() && text.contains(told),
                "{protocol:?}: {text}"
            ),
        }
    }
}
