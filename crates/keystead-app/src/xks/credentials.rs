//! Credentials of proxies: exchanged without a moment in which neither works (specification, "SigV4 credentials
//! rotation").

use keystead_core::{Error, ErrorKind, Result};
use keystead_store::Expect;
use keystead_wire::keystead as wire;

use super::record::{self, At, CREDENTIALS, ProxyCredential};
use crate::Ctx;

/// `keystead:RotateXksProxyCredential`: one more credential, which is shown this once. The one before works on until it
/// is deleted.
pub(crate) async fn rotate_xks_proxy_credential(
    ctx: &Ctx,
    input: wire::RotateXksProxyCredentialRequest,
) -> Result<wire::RotateXksProxyCredentialResponse> {
    let found = record::find(ctx, &input.xks_proxy_arn).await?.into_inner();
    let mut proxy = found.value;
    if let [first, _, ..] = proxy.credentials.as_slice() {
        return Err(Error::new(
            ErrorKind::Conflict,
            format!(
                "The proxy has two credentials already: once AWS uses the newer one, delete {} before you rotate again.",
                first.access_key_id
            ),
        ));
    }
    let credential = ProxyCredential::generate(ctx.now)?;
    let told = credential.told();
    proxy.credentials.push(credential);
    let mut batch = record::changed(&found.key, found.version, &proxy);
    let at = At(found.key);
    batch.put(
        CREDENTIALS,
        told.access_key_id.as_str(),
        &at,
        Expect::Absent,
    );
    ctx.app.store.commit(batch).await?;
    Ok(wire::RotateXksProxyCredentialResponse {
        uri_path: proxy.uri_path(),
        credential: told,
    })
}

/// `keystead:DeleteXksProxyCredential`: it proves nothing any more. The last one goes with the proxy.
pub(crate) async fn delete_xks_proxy_credential(
    ctx: &Ctx,
    input: wire::DeleteXksProxyCredentialRequest,
) -> Result<wire::DeleteXksProxyCredentialResponse> {
    let found = record::find(ctx, &input.xks_proxy_arn).await?.into_inner();
    let mut proxy = found.value;
    let id = input.access_key_id;
    let before = proxy.credentials.len();
    proxy
        .credentials
        .retain(|credential| credential.access_key_id != id);
    if proxy.credentials.len() == before {
        return Err(Error::new(
            ErrorKind::NotFound,
            format!("The proxy has no credential {id}."),
        ));
    }
    if proxy.credentials.is_empty() {
        return Err(Error::new(
            ErrorKind::Conflict,
            format!("{id} is the proxy's only credential: rotate first, or delete the proxy."),
        ));
    }
    let mut batch = record::changed(&found.key, found.version, &proxy);
    batch.delete(CREDENTIALS, id, Expect::Any);
    ctx.app.store.commit(batch).await?;
    Ok(wire::DeleteXksProxyCredentialResponse {})
}
