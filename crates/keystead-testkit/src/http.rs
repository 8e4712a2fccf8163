//! The least of HTTP: one GET on a connection of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long a peer on the same machine may take to answer.
const DEADLINE: Duration = Duration::from_secs(10);

/// Gets `path` over plain HTTP: the status and the body, or nothing when nobody answers.
pub fn get(address: SocketAddr, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, DEADLINE).ok()?;
    stream.set_read_timeout(Some(DEADLINE)).ok()?;
    // Envoy does not speak HTTP/1.0.
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = BufReader::new(stream);
    let status = line(&mut answer)?.split(' ').nth(1)?.parse().ok()?;
    let mut chunked = false;
    loop {
        let header = line(&mut answer)?.to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        chunked |= header == "transfer-encoding: chunked";
    }
    let mut body = Vec::new();
    if chunked {
        read_chunks(&mut answer, &mut body)?;
    } else {
        answer.read_to_end(&mut body).ok()?;
    }
    Some((status, String::from_utf8_lossy(&body).into_owned()))
}

/// RFC 9112 section 7.1.
fn read_chunks(answer: &mut impl BufRead, body: &mut Vec<u8>) -> Option<()> {
    loop {
        let size = u64::from_str_radix(&line(answer)?, 16).ok()?;
        if size == 0 {
            return Some(());
        }
        answer.take(size).read_to_end(body).ok()?;
        line(answer)?;
    }
}

fn line(answer: &mut impl BufRead) -> Option<String> {
    let mut line = String::new();
    answer.read_line(&mut line).ok().filter(|read| *read > 0)?;
    Some(line.trim_end().to_owned())
}
