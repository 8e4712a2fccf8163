//! Nodes: the proxies that get certificates delivered, and which certificates each may have.
//!
//! A node proves who it is on every connection, by a client certificate that Keystead issued to it,
//! or by the user id of its process on a Unix socket. What it says of itself (`node.id`) only picks
//! the registration to check against. See `docs/threat-model.md`.
//!
//! These operations are Keystead's own (`models/keystead.json`), in awsJson 1.1, signed like AWS's.

mod admission;
mod deliveries;
mod record;
mod register;

use keystead_core::{Error, Result};
use keystead_store::{Batch, Expect, Stored};
use keystead_wire::keystead as wire;

pub use admission::{Identity, admit};
pub(crate) use deliveries::Proof;
pub use deliveries::{Deliveries, Delivery, News};
pub use record::{NODES, Node};
pub(crate) use register::register_node;

use crate::access::{Act, Allowed};
use crate::{Ctx, ctx, cursor};

/// `keystead:DescribeNode`.
pub(crate) async fn describe_node(
    ctx: &Ctx,
    input: wire::DescribeNodeRequest,
) -> Result<wire::DescribeNodeResponse> {
    let node = find(ctx, &input.node_arn).await?;
    Ok(wire::DescribeNodeResponse {
        node: shown(ctx, &node.value),
    })
}

/// `keystead:ListNodes`: the nodes of the account and region by name.
pub(crate) async fn list_nodes(
    ctx: &Ctx,
    input: wire::ListNodesRequest,
) -> Result<wire::ListNodesResponse> {
    ctx.allow_own("*")?;
    let limit = cursor::size(input.max_results, DEFAULT_PAGE);
    let after = input.next_token.as_deref();
    let (page, next_token) = cursor::page::<Node>(ctx, SCOPE, NODES, after, limit).await?;
    Ok(wire::ListNodesResponse {
        nodes: page.iter().map(|node| shown(ctx, &node.value)).collect(),
        next_token,
    })
}

/// `keystead:DeregisterNode`: the node gets nothing more, and what it alone used may be deleted.
pub(crate) async fn deregister_node(
    ctx: &Ctx,
    input: wire::DeregisterNodeRequest,
) -> Result<wire::DeregisterNodeResponse> {
    let node = find(ctx, &input.node_arn).await?;
    let mut batch = Batch::new();
    batch.delete(NODES, &node.key, Expect::Version(node.version));
    for certificate in &node.value.certificate_arns {
        register::release(ctx, &mut batch, certificate, &node.value.arn).await?;
    }
    ctx.app.store.commit(batch).await?;
    ctx.app.deliveries.forget(&node.value.arn);
    Ok(wire::DeregisterNodeResponse {})
}

async fn find(ctx: &Ctx, arn: &str) -> Result<Allowed<Stored<Node>>, Error> {
    let name = ctx.own(arn, "keystead", "node")?;
    let found = ctx.app.store.get(NODES, &ctx.key(name)).await?;
    let found = ctx.admit(Act::Own, arn, found, |_, resource| resource)?;
    found.ok_or_else(|| ctx::not_found(arn, ctx.account()))
}

fn shown(ctx: &Ctx, node: &Node) -> wire::Node {
    let live = ctx.app.deliveries.of(&node.arn);
    let connected = ctx.app.deliveries.connected(&node.arn);
    let deliveries = node.resources().map(|resource| {
        let delivery = live.get(resource).cloned().unwrap_or_default();
        wire::Delivery {
            resource_name: resource.to_owned(),
            version_sent: delivery
                .nack
                .as_ref()
                .map(|(version, ..)| *version)
                .max(delivery.acked.map(|(version, _)| version))
                .map(|version| version.to_string()),
            version_acked: delivery.acked.map(|(version, _)| version.to_string()),
            last_ack_at: delivery.acked.map(|(_, at)| at),
            last_nack_at: delivery.nack.as_ref().map(|(.., at)| *at),
            last_nack: delivery.nack.map(|(_, detail, _)| detail),
            connected,
        }
    });
    wire::Node {
        node_arn: node.arn.clone(),
        name: node.name.clone(),
        certificate_arns: node.certificate_arns.clone(),
        trust_arns: node.trust_arns.clone(),
        unix_uid: node.unix_uid.map(i64::from),
        client_certificate_serial: node.client_certificate_serial.clone(),
        created_at: node.created_at,
        deliveries: deliveries.collect(),
    }
}

/// What a listing's tokens are bound to.
const SCOPE: &str = "ListNodes";

/// A page where the caller names no size: a screenful of nodes costs a few milliseconds.
const DEFAULT_PAGE: usize = 100;
