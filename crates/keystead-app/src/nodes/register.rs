//! Registering a node: what it may have, and how it proves who it is.

use keystead_core::{Error, ErrorKind, Result};
use keystead_store::{Batch, Expect, Stored};
use keystead_wire::keystead as wire;

use super::record::{NODES, Node};
use crate::access::Act;
use crate::{Ctx, acm, ids, pca};

/// A node is sent the certificate with its key.
const DELIVER: Act<'_> = Act::Via {
    action: "acm:ExportCertificate",
    service: "keystead",
};

/// A node is sent what trusts an authority.
const TRUST: Act<'_> = Act::Via {
    action: "acm-pca:GetCertificateAuthorityCertificate",
    service: "keystead",
};

/// `keystead:RegisterNode`: makes the registration, or replaces what an earlier one of this name
/// granted. With a CSR, also issues a client certificate.
pub(crate) async fn register_node(
    ctx: &Ctx,
    input: wire::RegisterNodeRequest,
) -> Result<wire::RegisterNodeResponse> {
    ctx.allow_own(&arn(ctx, &input.name))?;
    let key = ctx.key(&input.name);
    let found: Option<Stored<Node>> = ctx.app.store.get(NODES, &key).await?;
    let (expect, before) = match found {
        Some(stored) => (Expect::Version(stored.version), Some(stored.value)),
        None => (Expect::Absent, None),
    };
    let mut node = wanted(ctx, &input, before.as_ref())?;
    let prepared = match &input.csr {
        Some(csr) => {
            let csr = ctx.app.keys.verified_csr(csr).await.map_err(refused_csr)?;
            let prepared =
                ctx.app
                    .system_ca
                    .prepare_node(&csr.spki_der, &node.identity, ctx.now)?;
            node.client_certificate_serial = Some(prepared.serial.clone());
            Some(prepared)
        }
        None => None,
    };
    if node.unix_uid.is_none() && node.client_certificate_serial.is_none() {
        return Err(Error::new(
            ErrorKind::Validation,
            "A node needs a way to prove who it is: give UnixUid (for the Unix socket) or Csr (for a client certificate).",
        ));
    }
    let mut batch = Batch::new();
    batch.put(NODES, key.as_str(), &node, expect);
    for arn in &node.certificate_arns {
        acm::internal::associate(ctx, DELIVER, &mut batch, arn, &node.arn).await?;
    }
    for arn in &node.trust_arns {
        pca::internal::must_exist(ctx, TRUST, arn).await?;
    }
    for dropped in before.iter().flat_map(|before| &before.certificate_arns) {
        if !node.certificate_arns.contains(dropped) {
            release(ctx, &mut batch, dropped, &node.arn).await?;
        }
    }
    ctx.app.store.commit(batch).await?;
    // The serial is stored; only now is anything signed.
    let certificate = match &prepared {
        Some(prepared) => Some(ctx.app.system_ca.sign(&ctx.app.keys, prepared).await?),
        None => None,
    };
    let authority = || ctx.app.system_ca.certificate_pem().to_owned();
    Ok(wire::RegisterNodeResponse {
        node_arn: node.arn,
        client_certificate_chain: certificate.as_ref().map(|_| authority()),
        client_certificate: certificate,
        trust_bundle: Some(authority()),
    })
}

/// Adds to `batch` that the node uses the certificate no more. One that is gone is used by nobody.
pub(super) async fn release(
    ctx: &Ctx,
    batch: &mut Batch,
    certificate: &str,
    node: &str,
) -> Result<()> {
    match acm::internal::release(ctx, batch, certificate, node).await {
        Err(error) if error.kind == ErrorKind::NotFound => Ok(()),
        released => released,
    }
}

fn arn(ctx: &Ctx, name: &str) -> String {
    ctx.arn("keystead", format!("node/{name}")).to_string()
}

/// The registration that `input` asks for.
fn wanted(ctx: &Ctx, input: &wire::RegisterNodeRequest, before: Option<&Node>) -> Result<Node> {
    let unix_uid = input.unix_uid.map(u32::try_from).transpose().map_err(|_| {
        Error::new(
            ErrorKind::Validation,
            "UnixUid is not a user id: expected 0 to 4294967295.",
        )
    })?;
    Ok(Node {
        arn: arn(ctx, &input.name),
        name: input.name.clone(),
        certificate_arns: distinct(input.certificate_arns.as_deref()),
        trust_arns: distinct(input.trust_arns.as_deref()),
        unix_uid,
        identity: match before {
            Some(before) => before.identity.clone(),
            None => format!("urn:uuid:{}", ids::uuid()?),
        },
        client_certificate_serial: before
            .and_then(|before| before.client_certificate_serial.clone()),
        created_at: before.map_or(ctx.now, |before| before.created_at),
    })
}

/// The names in their order, each once.
fn distinct(names: Option<&[String]>) -> Vec<String> {
    let mut seen = Vec::new();
    for name in names.unwrap_or_default() {
        if !seen.contains(name) {
            seen.push(name.clone());
        }
    }
    seen
}

fn refused_csr(error: keystead_crypto::CryptoError) -> Error {
    Error::new(
        ErrorKind::Validation,
        format!("The certificate signing request is not acceptable: {error}."),
    )
}
