//! Joining: a token becomes an identity.
//!
//! The key is kept before the server hears of it: if the answer is lost, or the machine dies, the same command with the same
//! token goes on where it ended, for the same key.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keystead_wire::keystead::SERVICE;
use serde::Deserialize;
use serde_json::json;

use super::file::{self, Kept};
use super::key::{self, Key};
use super::{Current, SOFTWARE};
use crate::Failure;
use crate::link::{self, Link};
use crate::private;

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Join<'a> {
    /// The token, as `keystead agent token` prints it.
    pub token: &'a str,
    /// What the agent is to be called; the token may say otherwise.
    pub name: &'a str,
    /// Where the identity is kept.
    pub dir: &'a Path,
    /// Whether an identity that is there already is given up for it.
    pub again: bool,
}

/// Where the server is, as the token says.
#[derive(Deserialize)]
struct Way {
    endpoint: String,
    roots: Option<String>,
}

/// Joins; answers the agent's ARN.
///
/// # Errors
/// As the server refuses; [`Failure::Here`] where an identity is there already, or can't be kept.
pub async fn join(wanted: Join<'_>) -> Result<String, Failure> {
    let Join { dir, .. } = wanted;
    if let Some(there) = file::read(dir)?.filter(|_| !wanted.again) {
        return Err(Failure::Here(format!(
            "this machine is the agent {} already; --again gives that up",
            there.agent_arn
        )));
    }
    let (token, way) = parts(wanted.token)?;
    let link = Link::new(&way.endpoint, way.roots.as_deref())?;
    let ring = key::ring()?;
    let key = match private::read(dir, PENDING)? {
        Some(pem) => Key::read(&ring, &pem).await?,
        None => {
            let key = Key::generate(&ring).await?;
            private::write(dir, PENDING, key.pem().as_bytes())?;
            key
        }
    };
    let input = json!({
        "Token": token,
        "Name": wanted.name,
        "Csr": key.csr_base64(wanted.name, &[]).await?,
        "Software": SOFTWARE,
    });
    let call = link.json(&SERVICE, "JoinAgent", &input)?;
    let answer = link.send(&call, link::CALL).await?.document()?;
    let identity = answer.get("Identity").unwrap_or(&serde_json::Value::Null);
    let kept = Kept::of(identity, &way.endpoint, way.roots, &key)?;
    let current = Current::new(&ring, kept).await?;
    file::write(dir, &current.kept)?;
    private::remove(dir, PENDING)?;
    Ok(current.kept.agent_arn)
}

/// The server's part of a token, and the rest.
fn parts(token: &str) -> Result<(&str, Way), Failure> {
    let wrong = || {
        Failure::Here(
            "that is no join token: expected what 'keystead agent token' prints, whole".into(),
        )
    };
    let (token, way) = token.trim().rsplit_once('.').ok_or_else(wrong)?;
    let way = URL_SAFE_NO_PAD.decode(way).map_err(|_| wrong())?;
    let way = serde_json::from_slice(&way).map_err(|_| wrong())?;
    Ok((token, way))
}

/// The key of a join that has not come to its end.
const PENDING: &str = "joining.pem";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_tells_the_way() {
        let way = URL_SAFE_NO_PAD.encode(r#"{"endpoint":"http://127.0.0.1:1"}"#);
        let token = format!("keystead-join-1.1.r.i.s.{way}\n");
        let (inner, way) = parts(&token).unwrap();
        assert_eq!(inner, "keystead-join-1.1.r.i.s");
        assert_eq!(
            (way.endpoint.as_str(), way.roots),
            ("http://127.0.0.1:1", None)
        );
        for bad in ["", "keystead-join-1.1.r.i.s", "a.b.c"] {
            let Err(refusal) = parts(bad) else {
                panic!("{bad}")
            };
            assert!(
                !refusal.to_string().contains("keystead-join-1"),
                "it may be quoted nowhere"
            );
        }
    }
}
