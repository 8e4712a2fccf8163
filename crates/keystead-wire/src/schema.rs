//! What the models say, as static tables: shapes with their constraints, operations, services.
//!
//! The tables are generated (`cargo xtask gen`); codecs and validation read them.

use std::fmt;
use std::sync::OnceLock;

use regex::Regex;

/// A shape of a model: its name, and what values it admits.
#[derive(Debug)]
pub struct Schema {
    /// The shape's name in the model, for instance `TagList`.
    pub name: &'static str,
    /// Whether the value is a secret: not echoed, not printed, wiped.
    pub sensitive: bool,
    /// What kind of value it is, with its constraints.
    pub kind: Kind,
}

impl Schema {
    /// The members of a structure; empty for any other kind.
    pub fn members(&self) -> &'static [Member] {
        match &self.kind {
            Kind::Structure(members) => members,
            _ => &[],
        }
    }
}

/// The kinds of shape, with the constraints each can carry.
#[derive(Debug)]
pub enum Kind {
    /// A truth value.
    Boolean,
    /// A 32-bit whole number within a range.
    Integer(Range),
    /// A 64-bit whole number within a range.
    Long(Range),
    /// A 64-bit floating-point number; `float` members are carried in it too.
    Double,
    /// Text.
    String {
        /// The permitted number of characters.
        length: Range,
        /// The expression that the whole text must match.
        pattern: Option<&'static Pattern>,
        /// The permitted values; empty when any is permitted.
        values: &'static [&'static str],
    },
    /// Bytes; the permitted number of them, decoded.
    Blob(Range),
    /// An instant, and how documents write it.
    Timestamp(TimestampFormat),
    /// A list.
    List {
        /// The schema of each member.
        member: &'static Schema,
        /// The permitted number of members.
        length: Range,
        /// Whether the query protocol leaves out the `member` level.
        flattened: bool,
        /// The name of that level, `member` unless the model says otherwise.
        wire_name: &'static str,
    },
    /// A map from text.
    Map {
        /// The schema of the keys.
        key: &'static Schema,
        /// The schema of the values.
        value: &'static Schema,
        /// The permitted number of entries.
        length: Range,
        /// Whether the query protocol leaves out the `entry` level.
        flattened: bool,
        /// The names of key and value in query and XML, `key` and `value` unless the model says
        /// otherwise.
        wire_names: (&'static str, &'static str),
    },
    /// A structure with these members.
    Structure(&'static [Member]),
}

/// A member of a structure.
#[derive(Debug)]
pub struct Member {
    /// Its name in the model; on the wire too, but for `wire_name`.
    pub name: &'static str,
    /// Its name in query and XML documents, where the model gives another (`locationName`).
    pub wire_name: &'static str,
    /// Its shape.
    pub schema: &'static Schema,
    /// Whether it must be there.
    pub required: bool,
}

/// Inclusive limits of a number, or of a length in characters, bytes or members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The least value, if there is one.
    pub min: Option<i64>,
    /// The greatest value, if there is one.
    pub max: Option<i64>,
}

impl Range {
    /// No limits.
    pub const ANY: Self = Self {
        min: None,
        max: None,
    };

    /// Whether `number` is within the limits.
    pub fn admits(self, number: i64) -> bool {
        self.min.is_none_or(|min| number >= min) && self.max.is_none_or(|max| number <= max)
    }
}

/// A pattern of the model: Java's regular expression as it is printed in errors, and the same
/// language in the syntax of the `regex` crate, compiled on first use.
#[derive(Debug)]
pub struct Pattern {
    /// The expression as the model has it.
    pub source: &'static str,
    translated: &'static str,
    compiled: OnceLock<Option<Regex>>,
}

impl Pattern {
    /// A pattern with its translation, which `cargo xtask gen` has seen compile.
    pub const fn new(source: &'static str, translated: &'static str) -> Self {
        Self {
            source,
            translated,
            compiled: OnceLock::new(),
        }
    }

    /// Whether the whole of `text` matches.
    pub fn matches(&self, text: &str) -> bool {
        self.compiled
            .get_or_init(|| Regex::new(self.translated).ok())
            .as_ref()
            .is_some_and(|regex| regex.is_match(text))
    }
}

/// How JSON documents write an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampFormat {
    /// As the protocol does where the model says nothing: seconds since 1970.
    Default,
    /// As RFC 3339 does, in UTC (`date-time` of Smithy).
    DateTime,
}

/// A protocol that a service speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// awsJson 1.0: `X-Amz-Target` and `application/x-amz-json-1.0`.
    AwsJson10,
    /// awsJson 1.1: `X-Amz-Target` and `application/x-amz-json-1.1`.
    AwsJson11,
    /// smithy-rpc-v2-cbor: `/service/S/operation/O` and `application/cbor`.
    RpcV2Cbor,
    /// awsQuery: form parameters `Action` and `Version`, answers in XML.
    Query,
    /// restJson1: each operation has its method and path; documents are JSON.
    RestJson,
    /// The external key store proxy API: as restJson1, below a path of the operator's choice, with errors of its own
    /// form.
    XksProxy,
}

/// A service as its model names it.
#[derive(Debug)]
pub struct ServiceDef {
    /// The service's name in SDKs, for instance `ACM PCA`.
    pub service_id: &'static str,
    /// The name in a SigV4 scope and in IAM actions, for instance `acm-pca`.
    pub signing_name: &'static str,
    /// The date of the API, for instance `2017-08-22`.
    pub api_version: &'static str,
    /// The namespace of its shapes in error types of rpc-v2-cbor.
    pub namespace: &'static str,
    /// What stands before the dot in `X-Amz-Target`, and the service's name in rpc-v2-cbor paths.
    pub target_prefix: Option<&'static str>,
    /// The namespace of its XML documents.
    pub xml_namespace: Option<&'static str>,
    /// The protocols it speaks.
    pub protocols: &'static [Protocol],
    /// The operations that are served, sorted by name.
    pub operations: &'static [&'static OperationDef],
    /// The names of all operations of the model, sorted, served or not.
    pub known: &'static [&'static str],
    /// The errors that the model declares, sorted by name; empty where no operation is served.
    pub errors: &'static [&'static ErrorDef],
}

impl ServiceDef {
    /// The served operation of this name.
    pub fn operation(&self, name: &str) -> Option<&'static OperationDef> {
        let at = self
            .operations
            .binary_search_by(|operation| operation.name.cmp(name))
            .ok()?;
        self.operations.get(at).copied()
    }

    /// Whether the model has an operation of this name, served or not.
    pub fn knows(&self, name: &str) -> bool {
        self.known.binary_search(&name).is_ok()
    }
}

/// An operation that is served.
pub struct OperationDef {
    /// The service it belongs to.
    pub service: &'static ServiceDef,
    /// Its name, for instance `IssueCertificate`.
    pub name: &'static str,
    /// What it takes.
    pub input: &'static Schema,
    /// What it answers.
    pub output: &'static Schema,
    /// Whether the model declares an answer at all; without one the body of the answer is empty.
    pub has_output: bool,
    /// The errors that the model lists for it.
    pub errors: &'static [&'static ErrorDef],
    /// The element around the answer's members in XML, for instance `GetCallerIdentityResult`.
    pub result_wrapper: Option<&'static str>,
    /// How callers prove who they are.
    pub auth: Auth,
    /// What IAM calls it.
    pub access: AccessDef,
    /// Its place in HTTP, where its service speaks a REST protocol.
    pub http: Option<&'static HttpDef>,
}

/// How the callers of an operation prove who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// By a signature with an access key.
    AccessKey,
    /// By a signature with the key of a certificate.
    Certificate,
    /// By nothing in the request's head; what is in its body may.
    Nothing,
}

/// Where an operation, and every member of its request and its answer, is in HTTP (Smithy, "HTTP bindings").
#[derive(Debug)]
pub struct HttpDef {
    /// The method, for instance `PATCH`.
    pub method: &'static str,
    /// The path between its slashes, from the first on.
    pub path: &'static [Segment],
    /// The status of an answer that is no error.
    pub status: u16,
    /// The places of the request's members, in the schema's order.
    pub input: &'static [Place],
    /// The places of the answer's members, in the schema's order.
    pub output: &'static [Place],
}

/// A part of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Segment {
    /// This text.
    Literal(&'static str),
    /// The value of the member of this name, percent-encoded.
    Label(&'static str),
    /// The value of the member of this name, over as many parts as there are, even none; one at most in a path.
    Greedy(&'static str),
}

/// Where a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the document that the body is.
    Body,
    /// The body is nothing but this member.
    Payload,
    /// In the path, under this label.
    Label(&'static str),
    /// In the query, under this name; a list has a parameter for each of its members.
    Query(&'static str),
    /// In the query under this name, or else in the body's document.
    QueryOrBody(&'static str),
    /// In the header of this name.
    Header(&'static str),
    /// The status of the answer.
    Status,
}

impl fmt::Debug for OperationDef {
    /// Its name: the tables of an operation and its service name each other, and have no end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.service.signing_name, self.name)
    }
}

/// What IAM calls an operation (AWS, "Service Authorization Reference"; `models/access.toml`).
#[derive(Debug)]
pub struct AccessDef {
    /// The action, for instance `acm-pca:IssueCertificate`; `None` where no permission is needed.
    pub action: Option<&'static str>,
    /// The type of the resource that it is decided on; `*` where there is none.
    pub resource: &'static str,
    /// The condition keys of the service that the request sets, each with the members of the request that its
    /// values come from (nested ones with dots).
    pub keys: &'static [(&'static str, &'static [&'static str])],
}

/// An error that a model declares.
#[derive(Debug, PartialEq, Eq)]
pub struct ErrorDef {
    /// The shape's name, which JSON and CBOR show.
    pub name: &'static str,
    /// The code that query answers show; the shape's name where the model gives no other.
    pub code: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// The member that carries the text: `message` or `Message`.
    pub message_member: &'static str,
}
