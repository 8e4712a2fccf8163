//! One stream from its first request to its end.

use std::collections::BTreeSet;
use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3 as core;
use futures::{Stream, StreamExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tonic::Status;

use crate::dialect::{Answer, Batch, Dialect, Parcel, Request};
use crate::hub::{Full, News, Pass};
use crate::ledger::{Ledger, Outcome, Violation, Weighed};
use crate::limits::{
    ANSWER_DEADLINE, DETAIL_BYTES, FIRST_REQUEST_DEADLINE, NODE_ID_BYTES, READ_DEADLINE,
    REREAD_EVERY, RESPONSE_BYTES, RETRY_PAUSE, ROUND_READS,
};
use crate::resource::TYPE_URL;
use crate::source::{Event, Node, PeerIdentity, Refusal, Secret, SecretSource};

/// Answers of one stream on their way out. One response awaits its answer at a time, so one place is
/// enough; a node that answers what it has not read yet finds it taken.
pub(crate) type Outgoing<D> = mpsc::Sender<Result<<D as Dialect>::Response, Status>>;

/// Serves a stream until either side ends it; the node sees the status, if any.
pub(crate) async fn serve<D: Dialect>(
    source: Arc<dyn SecretSource>,
    pass: Pass,
    identity: PeerIdentity,
    mut requests: impl Stream<Item = Result<D::Request, Status>> + Unpin,
    outgoing: Outgoing<D>,
) {
    let first = tokio::select! {
        first = timeout(FIRST_REQUEST_DEADLINE, requests.next()) => first,
        () = outgoing.closed() => return,
    };
    let end = match first {
        Ok(Some(Ok(first))) => {
            let request: Request = first.into();
            match node(identity, pass.stream(), request.node.as_ref()) {
                Ok(node) => {
                    let session = Session::<D>::new(source, pass, node, outgoing.clone());
                    session.run(request, requests).await
                }
                Err(status) => Err(status),
            }
        }
        Ok(Some(Err(_)) | None) => Ok(()),
        Err(_) => Err(Status::deadline_exceeded("no request came on this stream")),
    };
    if let Err(status) = end {
        // A node that takes nothing gets no reason either.
        let _ = outgoing.try_send(Err(status));
    }
}

/// Reads who a node says it is from its first request.
pub(crate) fn node(
    identity: PeerIdentity,
    stream: u64,
    node: Option<&core::Node>,
) -> Result<Node, Status> {
    let Some(node) = node else {
        return Err(Status::invalid_argument(
            "the first request of a stream must carry the node",
        ));
    };
    let acceptable =
        |text: &str| text.len() <= NODE_ID_BYTES && !text.chars().any(char::is_control);
    if node.id.is_empty() || !acceptable(&node.id) || !acceptable(&node.cluster) {
        return Err(Status::invalid_argument(format!(
            "node.id must not be empty, and it and node.cluster must be printable and of {NODE_ID_BYTES} bytes at most"
        )));
    }
    Ok(Node {
        identity,
        id: node.id.clone(),
        cluster: node.cluster.clone(),
        stream,
    })
}

/// Reads a secret within the deadline.
pub(crate) async fn read(
    source: &dyn SecretSource,
    node: &Node,
    name: &str,
) -> Result<Secret, Refusal> {
    timeout(READ_DEADLINE, source.secret(node, name))
        .await
        .unwrap_or_else(|_| Err(Refusal::Unavailable("the read took too long".to_owned())))
}

/// Checks that a request is about secrets; the method implies it when it says nothing.
pub(crate) fn check_type(type_url: &str) -> Result<(), Status> {
    if type_url.is_empty() || type_url == TYPE_URL {
        return Ok(());
    }
    Err(Status::invalid_argument(format!(
        "this service has resources of type {TYPE_URL} only"
    )))
}

/// Tells log and operator that a node asks for what it does not get.
pub(crate) fn report_refusal(
    source: &dyn SecretSource,
    node: &Node,
    name: &str,
    refusal: &Refusal,
) {
    let denied = *refusal == Refusal::Denied;
    let Node { identity, id, .. } = node;
    tracing::warn!(%identity, node = id, resource = ?name, denied, "secret withheld");
    source.report(
        node,
        Event::Withheld {
            resource: name.to_owned(),
            denied,
        },
    );
}

struct Session<D: Dialect> {
    source: Arc<dyn SecretSource>,
    pass: Pass,
    node: Node,
    outgoing: Outgoing<D>,
    ledger: Ledger,
    retry_at: Option<Instant>,
    reread_at: Instant,
    answer_by: Instant,
}

impl<D: Dialect> Session<D> {
    fn new(source: Arc<dyn SecretSource>, pass: Pass, node: Node, outgoing: Outgoing<D>) -> Self {
        source.report(&node, Event::Connected);
        Self {
            source,
            pass,
            node,
            outgoing,
            ledger: Ledger::default(),
            retry_at: None,
            reread_at: Instant::now() + REREAD_EVERY,
            answer_by: Instant::now(),
        }
    }

    async fn run(
        mut self,
        first: Request,
        mut requests: impl Stream<Item = Result<D::Request, Status>> + Unpin,
    ) -> Result<(), Status> {
        self.take_request(first, true)?;
        let mailbox = self.pass.mailbox().clone();
        loop {
            self.send_due().await?;
            let alarm = self.next_alarm();
            tokio::select! {
                request = requests.next() => match request {
                    Some(Ok(request)) => self.take_request(request.into(), false)?,
                    Some(Err(_)) | None => return Ok(()),
                },
                news = mailbox.take() => self.take_news(news)?,
                () = sleep_until(alarm) => self.take_alarm()?,
                () = self.outgoing.closed() => return Ok(()),
            }
        }
    }

    fn take_request(&mut self, request: Request, first: bool) -> Result<(), Status> {
        check_type(&request.type_url)?;
        let stale = !first && request.answer.nonce != self.ledger.newest_nonce();
        if stale && D::STALE_IS_VOID {
            return Ok(());
        }
        if !first {
            self.take_answer(&request.answer);
        }
        let most = self.pass.limits().names_per_stream;
        let changed = self
            .ledger
            .subscribe(request.subscription, first, most)
            .map_err(violation)?;
        for name in &changed.dropped {
            self.pass.unfollow(name);
        }
        // Before the first read, so that no change falls between.
        for name in &changed.added {
            self.pass.follow(name).map_err(full)?;
        }
        Ok(())
    }

    /// Tells the operator what the node uses from now on.
    fn report_accepted(&self, name: &str, version: u64) {
        let Node { identity, id, .. } = &self.node;
        tracing::debug!(%identity, node = id, resource = name, version, "secret accepted");
        self.source.report(
            &self.node,
            Event::Accepted {
                resource: name.to_owned(),
                version,
            },
        );
    }

    fn take_answer(&mut self, answer: &Answer) {
        let Node { identity, id, .. } = &self.node;
        match self.ledger.answer(answer) {
            Outcome::Accepted(secrets) => {
                for (name, version) in secrets {
                    self.report_accepted(&name, version);
                }
            }
            Outcome::Rejected(name, version) => {
                let detail = one_line(answer.rejection.as_deref().unwrap_or_default());
                tracing::error!(%identity, node = id, resource = &*name, version, detail, "secret rejected");
                self.source.report(
                    &self.node,
                    Event::Rejected {
                        resource: name.to_string(),
                        version,
                        detail,
                    },
                );
            }
            Outcome::Split | Outcome::Stale => {}
        }
    }

    fn take_news(&mut self, news: News) -> Result<(), Status> {
        if news.closed {
            return Err(Status::unavailable("the server is going away"));
        }
        for name in news.changed {
            self.ledger.mark(name);
        }
        if news.anything {
            self.ledger.mark_all();
        }
        Ok(())
    }

    fn next_alarm(&self) -> Instant {
        let act = if self.ledger.awaits_answer() {
            self.answer_by
        } else if self.ledger.has_due() {
            Instant::now()
        } else {
            self.reread_at
        };
        act.min(self.reread_at)
            .min(self.retry_at.unwrap_or(self.reread_at))
    }

    fn take_alarm(&mut self) -> Result<(), Status> {
        let now = Instant::now();
        if self.ledger.awaits_answer() && now >= self.answer_by {
            return Err(Status::deadline_exceeded(
                "the last response was neither accepted nor rejected",
            ));
        }
        if self.retry_at.is_some_and(|retry| now >= retry) {
            self.retry_at = None;
            self.ledger.resume();
        }
        if now >= self.reread_at {
            self.reread_at = now + REREAD_EVERY;
            self.ledger.mark_all();
        }
        Ok(())
    }

    /// Sends what the node lacks, unless it owes an answer.
    async fn send_due(&mut self) -> Result<(), Status> {
        if let Some(claim) = self.ledger.take_claim() {
            self.check_claim(&claim).await;
        }
        if self.ledger.awaits_answer() {
            return Ok(());
        }
        let batch = self.collect().await;
        if batch.secrets.is_empty() && batch.removed.is_empty() {
            return Ok(());
        }
        let secrets: Vec<_> = batch
            .secrets
            .iter()
            .map(|parcel| (parcel.name.clone(), parcel.version))
            .collect();
        let version = self.ledger.version_with(&secrets);
        let nonce = self.ledger.dispatch(secrets, &batch.removed);
        self.answer_by = Instant::now() + ANSWER_DEADLINE;
        self.outgoing
            .try_send(Ok(D::response(batch, nonce, version)))
            .map_err(|_| Status::resource_exhausted("responses are answered but not read"))
    }

    /// Reads what is due, in order of name, for one round.
    async fn collect(&mut self) -> Batch {
        let mut batch = Batch::default();
        let mut bytes = 0;
        let mut put_off = BTreeSet::new();
        for _ in 0..ROUND_READS {
            let Some((name, alone)) = self.ledger.next_due() else {
                break;
            };
            if alone && !batch.secrets.is_empty() {
                put_off.insert(name);
                continue;
            }
            let read = read(&*self.source, &self.node, &name).await;
            let weighed = self.ledger.weigh(&name, &read);
            match read {
                Ok(secret) if weighed == Weighed::Send => {
                    let parcel = Parcel::new(name, &secret);
                    bytes += parcel.secret.value.len();
                    batch.secrets.push(parcel);
                    if alone || bytes >= RESPONSE_BYTES {
                        break;
                    }
                }
                Ok(secret) if weighed == Weighed::Has => {
                    self.report_accepted(&name, secret.version);
                }
                Ok(_) => {}
                Err(Refusal::Unavailable(why)) => {
                    tracing::warn!(resource = &*name, why, "secret not readable, trying again");
                    self.ledger.postpone(name);
                    self.retry_at
                        .get_or_insert_with(|| Instant::now() + RETRY_PAUSE);
                    // The next read may be as slow; look at the requests first.
                    break;
                }
                Err(refusal) => {
                    if self.ledger.tell_refusal(&name) {
                        report_refusal(&*self.source, &self.node, &name, &refusal);
                    }
                    if weighed == Weighed::Remove && D::TELLS_ABSENCE {
                        batch.removed.push(name);
                    }
                }
            }
        }
        put_off.into_iter().for_each(|name| self.ledger.mark(name));
        batch
    }

    /// State of the world: a node that comes back says which version it has of everything. If that is
    /// what it would be sent now, it is believed.
    async fn check_claim(&mut self, claim: &str) {
        let names: Vec<_> = self.ledger.names().cloned().collect();
        let mut versions = Vec::with_capacity(names.len());
        for name in names {
            match read(&*self.source, &self.node, &name).await {
                Ok(secret) => versions.push((name, secret.version)),
                Err(Refusal::Denied | Refusal::Absent) => {}
                Err(Refusal::Unavailable(_)) => return,
            }
        }
        if self.ledger.version_with(&versions) == claim {
            self.ledger.believe(&versions);
            for (name, version) in versions {
                self.report_accepted(&name, version);
            }
        }
    }
}

impl<D: Dialect> Drop for Session<D> {
    fn drop(&mut self) {
        self.source.report(&self.node, Event::Disconnected);
    }
}

fn violation(violation: Violation) -> Status {
    match violation {
        Violation::Wildcard => {
            Status::invalid_argument("secrets have no wildcard: subscribe to each by its ARN")
        }
        Violation::Name => Status::invalid_argument("a resource name is empty or too long"),
        Violation::TooManyNames(most) => {
            Status::resource_exhausted(format!("a stream may subscribe to {most} names"))
        }
    }
}

/// Why there is no place for a stream or a name.
pub(crate) fn full(full: Full) -> Status {
    match full {
        Full::Closed => Status::unavailable("the server is going away"),
        Full::Streams(most) => {
            Status::resource_exhausted(format!("the server's {most} streams are taken"))
        }
        Full::StreamsOfPeer(most) => {
            Status::resource_exhausted(format!("the {most} streams of this peer are taken"))
        }
        Full::Names(most) => {
            Status::resource_exhausted(format!("the server's {most} subscriptions are taken"))
        }
    }
}

/// A node's reason in a form that is fit for a log.
fn one_line(text: &str) -> String {
    let mut line = String::new();
    for character in text.chars() {
        let character = if character.is_control() {
            ' '
        } else {
            character
        };
        if line.len() + character.len_utf8() > DETAIL_BYTES {
            break;
        }
        line.push(character);
    }
    line
}
