//! Signature Version 4 against AWS's published vectors, and every way to fail.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

#[path = "sigv4/bits.rs"]
mod bits;
#[path = "sigv4/failures.rs"]
mod failures;
#[path = "sigv4/vectors.rs"]
mod vectors;

use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use keystead_crypto::digest;
use keystead_wire::sigv4::{
    self, AuthError, Authorization, Credentials, RequestView, Rules, Signer, SigningKey,
};

pub const NOW: &str = "2015-08-30T12:36:00Z";

/// An owned request, so that tests can bend it.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub query: String,
    pub authority: Option<String>,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Request {
    pub fn new(method: &str, target: &str, headers: &[&str], body: &[u8]) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut request = Self {
            method: method.into(),
            path: path.into(),
            query: query.into(),
            authority: None,
            headers: HeaderMap::new(),
            body: body.into(),
        };
        for line in headers {
            let (name, value) = line.split_once(':').unwrap();
            request.headers.append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            );
        }
        request
    }

    pub fn view(&self) -> RequestView<'_> {
        RequestView {
            method: &self.method,
            path: &self.path,
            query: &self.query,
            authority: self.authority.as_deref(),
            headers: &self.headers,
        }
    }

    pub fn payload(&self) -> [u8; 32] {
        digest::sha256(&self.body)
    }

    pub fn set(&mut self, name: &'static str, value: &str) {
        self.headers
            .insert(name, HeaderValue::from_str(value).unwrap());
    }

    pub fn header(&self, name: &str) -> String {
        self.headers[name].to_str().unwrap().to_owned()
    }

    /// Signs in header form.
    pub fn signed(mut self, signer: &Signer<'_>) -> Self {
        let added = signer.sign(&self.view(), &self.payload()).unwrap();
        self.headers.extend(added);
        self
    }

    /// Signs in query form.
    pub fn presigned(mut self, signer: &Signer<'_>, expires: i64) -> Self {
        self.query = signer.presign(&self.view(), &self.payload(), expires);
        self
    }

    /// Both steps of a verification with this secret.
    pub fn verify(
        &self,
        now: Timestamp,
        service: &str,
        rules: Rules,
        secret: &str,
    ) -> Result<Authorization<'_>, AuthError> {
        let authorization = sigv4::parse(&self.view(), now, service, rules)?;
        let key = SigningKey::derive(
            secret,
            authorization.date(),
            authorization.region(),
            authorization.service(),
        );
        sigv4::verify(&authorization, &self.view(), &key, &self.payload())?;
        Ok(authorization)
    }
}

pub fn credentials(token: Option<&str>) -> Credentials {
    Credentials {
        access_key_id: "AKIDEXAMPLE".into(),
        secret_access_key: SECRET.to_owned().into(),
        session_token: token.map(|token| token.to_owned().into()),
    }
}

/// The secret of AWS's published vectors.
pub const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

pub fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}
