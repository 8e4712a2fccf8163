//! What stands behind the front door: the use cases, or in tests something in their place.

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use keystead_app::objects::{self, Object, ObjectName};
use keystead_app::pca::revocation::{self, OcspReply, ServedList};
use keystead_app::{Access, App, Ctx, Found, Presented, Principal, dispatch, fault};
use keystead_core::{Error, Region};
use keystead_wire::ErrorAnswer;
use keystead_wire::schema::OperationDef;
use keystead_wire::value::Value;

/// The clock, the credentials and the use cases. `Arc<App>` is the one; tests put others in its
/// place, which panic or never end.
pub trait Backend: Send + Sync + 'static {
    /// The present instant.
    fn now(&self) -> Timestamp;

    /// Whom a signature proves, once it is verified.
    fn credential(
        &self,
        presented: &Presented<'_>,
    ) -> impl Future<Output = Result<Found, Error>> + Send;

    /// The newest edition of the revocation list of this name.
    fn revocation_list(
        &self,
        name: &str,
    ) -> impl Future<Output = Result<Option<Arc<ServedList>>, Error>> + Send;

    /// What the OCSP responder says to this request.
    fn ocsp(&self, request: &[u8]) -> impl Future<Output = OcspReply> + Send;

    /// Who calls an operation that takes no signature.
    fn stranger(&self) -> Principal;

    /// Carries an operation out for a verified caller, and records it.
    fn call(
        &self,
        caller: Caller,
        operation: &'static OperationDef,
        input: Value,
    ) -> impl Future<Output = Result<Value, ErrorAnswer>> + Send + 'static;

    /// The object of this name, for a verified caller.
    fn object(
        &self,
        caller: Caller,
        name: ObjectName,
    ) -> impl Future<Output = Result<Object, ErrorAnswer>> + Send;
}

/// A verified caller with the circumstances of the call.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Who: proven by signature, where the operation takes one.
    pub principal: Principal,
    /// The region of the signature's scope; without one, that of AWS's endpoints that name none.
    pub region: Region,
    /// The request's id.
    pub request_id: String,
    /// From where; `None` on a Unix socket.
    pub source_ip: Option<IpAddr>,
    /// The User-Agent header, cut.
    pub user_agent: String,
    /// When the request had arrived.
    pub now: Timestamp,
    /// Whether it came over TLS, or over a way that nobody else can listen on.
    pub secure: bool,
}

impl Backend for Arc<App> {
    fn now(&self) -> Timestamp {
        self.env.now()
    }

    async fn credential(&self, presented: &Presented<'_>) -> Result<Found, Error> {
        App::credential(self, presented).await
    }

    async fn revocation_list(&self, name: &str) -> Result<Option<Arc<ServedList>>, Error> {
        revocation::list(self, name).await
    }

    async fn ocsp(&self, request: &[u8]) -> OcspReply {
        revocation::answer(self, request).await
    }

    fn stranger(&self) -> Principal {
        Principal::unsigned(self.account.clone())
    }

    fn call(
        &self,
        caller: Caller,
        operation: &'static OperationDef,
        input: Value,
    ) -> impl Future<Output = Result<Value, ErrorAnswer>> + Send + 'static {
        let context = context(self, caller);
        async move { dispatch::call(context, operation, input).await }
    }

    async fn object(&self, caller: Caller, name: ObjectName) -> Result<Object, ErrorAnswer> {
        let context = context(self, caller);
        let opened = objects::open(&context, &name).await;
        opened.map_err(|error| fault::of_object(&context, &error))
    }
}

fn context(app: &Arc<App>, caller: Caller) -> Ctx {
    Ctx {
        app: app.clone(),
        principal: caller.principal,
        region: caller.region,
        request_id: caller.request_id,
        source_ip: caller.source_ip,
        user_agent: caller.user_agent,
        now: caller.now,
        secure: caller.secure,
        access: Access::default(),
    }
}
