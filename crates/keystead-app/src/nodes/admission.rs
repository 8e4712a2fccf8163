//! Who may have which secret: the gate in front of delivery.

use keystead_core::{AccountId, Arn, Region, Result};

use super::record::{NODES, Node};
use crate::App;

/// What a connection proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity<'a> {
    /// The kernel vouches for this user id.
    UnixUser(u32),
    /// A client certificate of Keystead's own authority with this name was verified.
    Certificate(&'a str),
}

/// The registration of the node that calls itself `node_id`, if `identity` proves that it is that
/// node and it may have `resource`.
pub async fn admit(
    app: &App,
    identity: Identity<'_>,
    node_id: &str,
    resource: &str,
) -> Result<Option<Node>> {
    let Some(key) = key_of(node_id) else {
        return Ok(None);
    };
    let found = app.store.get::<Node>(NODES, &key).await?;
    Ok(found
        .map(|stored| stored.value)
        .filter(|node| proves(identity, node))
        .filter(|node| node.resources().any(|granted| granted == resource)))
}

fn proves(identity: Identity<'_>, node: &Node) -> bool {
    match identity {
        Identity::UnixUser(uid) => node.unix_uid == Some(uid),
        Identity::Certificate(name) => {
            node.client_certificate_serial.is_some() && node.identity == name
        }
    }
}

/// The record key of a node's ARN; `None` for anything else.
fn key_of(node_id: &str) -> Option<String> {
    let arn = Arn::parse(node_id).ok()?;
    let name = arn.resource.strip_prefix("node/")?;
    let account = AccountId::parse(&arn.account).ok()?;
    let region = Region::parse(&arn.region).ok()?;
    (arn.service == "keystead" && !name.contains('/')).then(|| format!("{account}/{region}/{name}"))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn node(unix_uid: Option<u32>, serial: Option<&str>) -> Node {
        Node {
            arn: String::new(),
            name: String::new(),
            certificate_arns: vec![],
            trust_arns: vec![],
            unix_uid,
            identity: "keystead:node:1".into(),
            client_certificate_serial: serial.map(Into::into),
            created_at: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn only_the_registered_proof_counts() {
        let by_uid = node(Some(7), None);
        assert!(proves(Identity::UnixUser(7), &by_uid));
        assert!(!proves(Identity::UnixUser(0), &by_uid), "not even root");
        assert!(!proves(Identity::Certificate("keystead:node:1"), &by_uid));
        let by_certificate = node(None, Some("01"));
        assert!(proves(
            Identity::Certificate("keystead:node:1"),
            &by_certificate
        ));
        assert!(!proves(
            Identity::Certificate("keystead:node:2"),
            &by_certificate
        ));
        assert!(!proves(Identity::UnixUser(7), &by_certificate));
    }

    #[test]
    fn a_node_id_that_is_no_node_arn_is_nobody() {
        let good = "arn:aws:keystead:us-east-1:000000000000:node/web";
        assert_eq!(key_of(good).as_deref(), Some("000000000000/us-east-1/web"));
        for bad in [
            "web",
            "",
            "arn:aws:acm:us-east-1:000000000000:node/web",
            "arn:aws:keystead:us-east-1:000000000000:web",
            "arn:aws:keystead:us-east-1:000000000000:node/a/b",
            "arn:aws:keystead:us-east-1:0/us-east-1/x:node/web",
        ] {
            assert_eq!(key_of(bad), None, "{bad}");
        }
    }
}
