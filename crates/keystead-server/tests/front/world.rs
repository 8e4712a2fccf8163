//! A server on a free port, with a backend whose operations do what each test needs.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::Timestamp;
use keystead_app::objects::{Object, ObjectName};
use keystead_app::pca::revocation::{OcspReply, ServedList};
use keystead_app::{Credential, Found, Presented, Principal};
use keystead_core::{AccountId, Error};
use keystead_server::{
    Backend, Caller, Endpoint, Front, Lifecycle, Limits, Listeners, Metrics, serve,
};
use keystead_wire::schema::OperationDef;
use keystead_wire::shape::IntoValue as _;
use keystead_wire::sigv4::Credentials;
use keystead_wire::value::Value;
use keystead_wire::{ErrorAnswer, sts};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinHandle;

use crate::client::PATIENCE;

pub const ACCESS_KEY: &str = "AKIDEXAMPLE";
pub const SECRET: &str = "not so secret";
/// The one revocation list that there is.
pub const LIST: &str = "01234567-89ab-4def-8123-456789abcdef";
pub const NOW: &str = "2026-11-21T12:00:00Z";

pub fn now() -> Timestamp {
    NOW.parse().unwrap()
}

pub fn credentials() -> Credentials {
    Credentials {
        access_key_id: ACCESS_KEY.into(),
        secret_access_key: SECRET.to_owned().into(),
        session_token: None,
    }
}

/// Operations by name: `GetCallerIdentity` tells who calls, `ListNodes` panics, `DescribeNode` waits
/// until it may go on, all others answer an empty structure of their own.
#[derive(Default)]
pub struct Script {
    /// `DescribeNode` tells here that it began.
    pub begun: Notify,
    /// ... takes one of these to go on ...
    pub go_on: Option<Semaphore>,
    /// ... and counts here that it ended.
    pub ended: AtomicUsize,
    /// The source address and user agent of the last `GetCallerIdentity`.
    pub last: std::sync::Mutex<Option<Caller>>,
}

#[derive(Clone)]
pub struct Fake(pub Arc<Script>);

impl Backend for Fake {
    async fn object(&self, _: Caller, _: ObjectName) -> Result<Object, ErrorAnswer> {
        Err(ErrorAnswer::new(
            "NoSuchKey",
            404,
            "there are no objects here",
        ))
    }

    fn now(&self) -> Timestamp {
        now()
    }

    async fn credential(&self, presented: &Presented<'_>) -> Result<Found, Error> {
        let access_key_id = presented.access_key_id;
        if access_key_id != ACCESS_KEY {
            return Ok(Found::Unknown);
        }
        match presented.session_token {
            None => {}
            Some("expired") => return Ok(Found::Expired),
            Some(_) => return Ok(Found::Unknown),
        }
        Ok(Found::Known(Credential {
            principal: Principal {
                account: AccountId::parse("123456789012").unwrap(),
                arn: "arn:aws:iam::123456789012:root".into(),
                user_id: "123456789012".into(),
                access_key_id: access_key_id.into(),
                kind: keystead_app::PrincipalKind::Root,
                session: None,
            },
            secret: SECRET.to_owned().into(),
        }))
    }

    async fn revocation_list(&self, name: &str) -> Result<Option<Arc<ServedList>>, Error> {
        Ok((name == LIST).then(|| {
            Arc::new(ServedList {
                der: vec![0x30, 0].into(),
                number: 7,
                this_update: now().as_second(),
                next_update: now().as_second() + 30,
            })
        }))
    }

    /// Repeats what was asked.
    async fn ocsp(&self, request: &[u8]) -> OcspReply {
        OcspReply {
            der: request.to_vec().into(),
            holds: Some((now().as_second(), now().as_second() + 3600)),
        }
    }

    fn stranger(&self) -> Principal {
        Principal::unsigned(AccountId::parse("123456789012").unwrap())
    }

    fn call(
        &self,
        caller: Caller,
        operation: &'static OperationDef,
        _input: Value,
    ) -> impl Future<Output = Result<Value, ErrorAnswer>> + Send + 'static {
        let script = self.0.clone();
        async move {
            match operation.name {
                "GetCallerIdentity" => {
                    let answer = sts::GetCallerIdentityResponse {
                        user_id: Some(caller.principal.user_id.clone()),
                        account: Some(caller.principal.account.to_string()),
                        arn: Some(caller.principal.arn.clone()),
                    };
                    *script.last.lock().unwrap() = Some(caller);
                    Ok(answer.into_value())
                }
                "ListNodes" => panic!("with the caller's secrets in its text"),
                "DescribeNode" => {
                    script.begun.notify_one();
                    if let Some(go_on) = &script.go_on {
                        go_on.acquire().await.unwrap().forget();
                    }
                    script.ended.fetch_add(1, Ordering::SeqCst);
                    Err(ErrorAnswer::new(
                        "ResourceNotFoundException",
                        400,
                        "no such node",
                    ))
                }
                _ => {
                    *script.last.lock().unwrap() = Some(caller);
                    Err(ErrorAnswer::new(
                        "ResourceNotFoundException",
                        400,
                        "no such thing",
                    ))
                }
            }
        }
    }
}

pub struct World {
    pub address: SocketAddr,
    pub lifecycle: Arc<Lifecycle>,
    pub script: Arc<Script>,
    pub served: JoinHandle<()>,
}

impl World {
    /// Waits until `DescribeNode` has begun.
    pub async fn begun(&self) {
        let begun = tokio::time::timeout(PATIENCE, self.script.begun.notified()).await;
        begun.expect("the call never began");
    }
}

pub fn limits() -> Limits {
    Limits::default()
}

pub async fn start(limits: Limits) -> World {
    start_with(limits, Script::default(), |front| front).await
}

pub async fn start_with(
    limits: Limits,
    script: Script,
    adjust: impl FnOnce(Front<Fake>) -> Front<Fake>,
) -> World {
    let plain = vec![Endpoint::Plain("127.0.0.1:0".parse().unwrap())];
    start_on(plain, limits, script, adjust).await
}

pub async fn start_on(
    endpoints: Vec<Endpoint>,
    limits: Limits,
    script: Script,
    adjust: impl FnOnce(Front<Fake>) -> Front<Fake>,
) -> World {
    let lifecycle = Arc::new(Lifecycle::new());
    let script = Arc::new(script);
    let metrics = Metrics::install().unwrap();
    let front = Front::new(Fake(script.clone()), lifecycle.clone(), limits, metrics);
    let listeners = Listeners::bind(endpoints).unwrap();
    let address = listeners.addresses().first().copied();
    let served = tokio::spawn(serve(listeners, Arc::new(adjust(front))));
    lifecycle.ready();
    World {
        address: address.unwrap_or_else(|| "127.0.0.1:0".parse().unwrap()),
        lifecycle,
        script,
        served,
    }
}
