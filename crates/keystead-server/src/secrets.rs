//! Joins delivery with the use cases: what `keystead-xds` asks for, answered from `keystead-app`.

use std::sync::Arc;

use async_trait::async_trait;
use futures::stream;
use keystead_app::nodes::{self, Identity, NODES, News};
use keystead_app::{App, acm, pca, trust};
use keystead_core::{AccountId, Arn, ErrorKind, Region, Result};
use keystead_store::FeedEvent;
use keystead_xds::{
    Change, Changes, Event, Node, PeerIdentity, Refusal, Secret, SecretKind, SecretSource,
};
use zeroize::Zeroizing;

/// The secrets of an installation, for its registered nodes.
pub struct Secrets {
    app: Arc<App>,
}

impl Secrets {
    /// The secrets of this installation.
    pub fn new(app: Arc<App>) -> Self {
        Self { app }
    }

    /// What `resource` (an ARN that `node` was granted) holds now; `None` if there is nothing yet.
    async fn read(
        &self,
        node: &keystead_app::nodes::Node,
        resource: &str,
    ) -> Result<Option<Secret>> {
        let Some((account, region)) = node.place() else {
            return Ok(None);
        };
        if node.trust_arns.iter().any(|granted| granted == resource) {
            let bundle = trust::bundle(&self.app, &account, &region, resource).await;
            return Ok(present(bundle)?.map(|bundle| Secret {
                version: bundle.version,
                kind: SecretKind::Validation {
                    trust_pem: bundle.pem(),
                },
            }));
        }
        let delivered = acm::internal::material(&self.app, &account, &region, resource).await;
        Ok(present(delivered)?.map(|delivered| Secret {
            version: delivered.version,
            kind: SecretKind::TlsCertificate {
                chain_pem: delivered.cert_chain_pem,
                private_key_pem: Zeroizing::new(delivered.key.as_pem().to_owned()),
            },
        }))
    }
}

/// `None` for what is not there, or not there yet.
fn present<T>(read: Result<T>) -> Result<Option<T>> {
    match read {
        Ok(found) => Ok(Some(found)),
        Err(error) => match error.kind {
            ErrorKind::NotFound | ErrorKind::RequestInProgress | ErrorKind::InvalidState => {
                Ok(None)
            }
            _ => Err(error),
        },
    }
}

#[async_trait]
impl SecretSource for Secrets {
    async fn secret(&self, node: &Node, resource: &str) -> Result<Secret, Refusal> {
        let unavailable = |error: keystead_core::Error| Refusal::Unavailable(error.message);
        let registered = nodes::admit(&self.app, identity(&node.identity), &node.id, resource)
            .await
            .map_err(unavailable)?
            .ok_or(Refusal::Denied)?;
        self.read(&registered, resource)
            .await
            .map_err(unavailable)?
            .ok_or(Refusal::Absent)
    }

    fn changes(&self) -> Changes {
        let from = (Arc::clone(&self.app), self.app.store.watch());
        Box::pin(stream::unfold(from, |(app, mut feed)| async {
            loop {
                if let Some(change) = change_of(&app, &feed.next().await?).await {
                    return Some((change, (app, feed)));
                }
            }
        }))
    }

    fn report(&self, node: &Node, event: Event) {
        let news = match event {
            Event::Connected => News::Connected,
            Event::Accepted { resource, version } => News::Accepted { resource, version },
            Event::Rejected {
                resource,
                version,
                detail,
            } => News::Rejected {
                resource,
                version,
                detail,
            },
            Event::Withheld { resource, denied } => {
                tracing::warn!(
                    node = node.id,
                    identity = %node.identity,
                    resource,
                    denied,
                    "a node asked for what it does not get; 'keystead envoy' registers what it may have"
                );
                return;
            }
            Event::Disconnected => News::Disconnected,
        };
        self.app
            .deliveries
            .note(&node.id, node.stream, news, self.app.env.now());
    }
}

fn identity(peer: &PeerIdentity) -> Identity<'_> {
    match peer {
        PeerIdentity::UnixUser { uid } => Identity::UnixUser(*uid),
        PeerIdentity::Certificate { name } => Identity::Certificate(name),
    }
}

/// What a change of the store means for delivery; `None` for what nodes never get.
async fn change_of(app: &App, event: &FeedEvent) -> Option<Change> {
    let FeedEvent::Change(change) = event else {
        return Some(Change::Lagged);
    };
    let (collection, key) = (change.collection.as_str(), change.key.as_str());
    // Whoever may have what has changed, or what names stand for: every stream looks again at all it asked for.
    if [NODES.0, trust::STANDINGS.0].contains(&collection) {
        return Some(Change::Lagged);
    }
    if collection == acm::internal::CERTIFICATES.0 {
        return arn(key, "acm", "certificate").map(Change::Resource);
    }
    if collection == pca::internal::AUTHORITIES.0 {
        // One that takes part in a roll-over is trusted under other names as well.
        return match trust::is_known_by_other_names(app, key).await {
            Ok(false) => arn(key, "acm-pca", "certificate-authority").map(Change::Resource),
            Ok(true) | Err(_) => Some(Change::Lagged),
        };
    }
    None
}

/// The ARN of the resource whose record has this key, `account/region/id`.
fn arn(key: &str, service: &str, kind: &str) -> Option<String> {
    let mut parts = key.splitn(3, '/');
    let account = AccountId::parse(parts.next()?).ok()?;
    let region = Region::parse(parts.next()?).ok()?;
    let id = parts.next()?;
    Some(Arn::new(service, &region, &account, format!("{kind}/{id}")).to_string())
}
