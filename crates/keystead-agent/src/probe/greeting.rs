//! What is said in plain text until TLS may begin.

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::Protocol;

/// Brings the connection to where the handshake begins.
pub(super) async fn begin<S>(protocol: Protocol, stream: &mut S) -> Result<(), String>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    match protocol {
        Protocol::Tls => Ok(()),
        Protocol::Smtp => {
            reply(stream, "220").await?;
            // A name of no host: what is said afterwards is said again under TLS (RFC 3207 section 4.2).
            say(stream, b"EHLO [127.0.0.1]\r\n").await?;
            reply(stream, "250").await?;
            say(stream, b"STARTTLS\r\n").await?;
            reply(stream, "220").await
        }
        Protocol::Ftp => {
            reply(stream, "220").await?;
            say(stream, b"AUTH TLS\r\n").await?;
            reply(stream, "234").await
        }
        Protocol::Pop3 => {
            expect(&line(stream).await?, "+OK")?;
            say(stream, b"STLS\r\n").await?;
            expect(&line(stream).await?, "+OK")
        }
        Protocol::Imap => {
            expect(&line(stream).await?, "* OK")?;
            say(stream, b"a STARTTLS\r\n").await?;
            for _ in 0..MOST_LINES {
                let line = line(stream).await?;
                // What else it has to tell is marked so.
                if !line.starts_with("* ") {
                    return expect(&line, "a OK");
                }
            }
            Err("the server does not come to an answer".into())
        }
        Protocol::Postgresql => postgresql(stream).await,
        Protocol::Mysql => mysql(stream).await,
    }
}

async fn postgresql<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) -> Result<(), String> {
    // Its length, and 1234 and 5679 in place of a version.
    say(stream, &[0, 0, 0, 8, 4, 210, 22, 47]).await?;
    match stream.read_u8().await {
        Ok(b'S') => Ok(()),
        Ok(b'N') => Err("the server has no TLS".into()),
        Ok(_) => Err("the server does not speak PostgreSQL's protocol".into()),
        Err(error) => Err(broken(&error)),
    }
}

/// MySQL internals, "Connection Phase Packets".
async fn mysql<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) -> Result<(), String> {
    let not_mysql = || "the server does not speak MySQL's protocol".to_owned();
    let mut header = [0; 4];
    let read = stream.read_exact(&mut header).await;
    read.map_err(|error| broken(&error))?;
    let [low, middle, high, _sequence] = header;
    let length = usize::from(low) | usize::from(middle) << 8 | usize::from(high) << 16;
    if length > LONGEST_LINE {
        return Err(not_mysql());
    }
    let mut greeting = vec![0; length];
    let read = stream.read_exact(&mut greeting).await;
    read.map_err(|error| broken(&error))?;
    match greeting.split_first() {
        Some((10, rest)) => {
            // After the version: connection id, the first 8 bytes of a nonce, a filler.
            let mut parts = rest.splitn(2, |byte| *byte == 0);
            let rest = parts.nth(1).ok_or_else(not_mysql)?;
            let (Some(low), Some(high)) = (rest.get(13), rest.get(14)) else {
                return Err(not_mysql());
            };
            if u16::from_le_bytes([*low, *high]) & CLIENT_SSL == 0 {
                return Err("the server has no TLS".into());
            }
        }
        // Too many connections, or a host that is blocked: a code, and words.
        Some((0xff, rest)) => {
            let text = String::from_utf8_lossy(rest.get(2..).unwrap_or_default()).into_owned();
            return Err(format!("the server refuses: {text}"));
        }
        _ => return Err(not_mysql()),
    }
    // CLIENT_PROTOCOL_41, CLIENT_SSL, CLIENT_SECURE_CONNECTION; 16 MiB, utf8, and 23 bytes of nothing.
    let mut request = vec![32, 0, 0, 1, 0x00, 0x8a, 0, 0, 0, 0, 0, 1, 33];
    request.extend([0; 23]);
    say(stream, &request).await
}

async fn say<S: AsyncWrite + Unpin>(stream: &mut S, what: &[u8]) -> Result<(), String> {
    let written = stream.write_all(what).await;
    written.map_err(|error| broken(&error))
}

/// A reply of SMTP or FTP, which may have several lines: all but the last have a hyphen after the code (RFC 5321 section 4.2.1).
async fn reply<S: AsyncRead + Unpin>(stream: &mut S, code: &str) -> Result<(), String> {
    for _ in 0..MOST_LINES {
        let line = line(stream).await?;
        if line.as_bytes().get(3) != Some(&b'-') {
            return expect(&line, code);
        }
    }
    Err("the server does not come to an answer".into())
}

fn expect(line: &str, start: &str) -> Result<(), String> {
    match line.starts_with(start) {
        true => Ok(()),
        false => Err(format!("expected '{start}', the server said '{line}'")),
    }
}

/// A line, without what follows it: that is TLS already.
async fn line<S: AsyncRead + Unpin>(stream: &mut S) -> Result<String, String> {
    let mut line = Vec::new();
    loop {
        match stream.read_u8().await {
            Ok(b'\n') => return Ok(String::from_utf8_lossy(&line).trim_end().to_owned()),
            Ok(byte) if line.len() < LONGEST_LINE => line.push(byte),
            Ok(_) => return Err("the server's line does not end".into()),
            Err(error) => return Err(broken(&error)),
        }
    }
}

fn broken(error: &std::io::Error) -> String {
    format!("the connection broke before TLS: {error}")
}

/// IMAP's lines are the longest: 8,192 (RFC 7162 section 4).
const LONGEST_LINE: usize = 8192;

/// Lines of an answer: a server lists some thirty extensions.
const MOST_LINES: usize = 200;

/// A capability flag of MySQL's protocol.
const CLIENT_SSL: u16 = 0x0800;
