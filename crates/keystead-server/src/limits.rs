//! Every limit of the front door, named, with where the number comes from.

use std::time::Duration;

/// What one listener grants its callers. [`Limits::default`] is what the constants say; tests shrink
/// them.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// See [`HEADER_BYTES`].
    pub header_bytes: usize,
    /// See [`HEADER_TIMEOUT`].
    pub header_timeout: Duration,
    /// See [`BODY_DEADLINE`].
    pub body_deadline: Duration,
    /// See [`REQUEST_DEADLINE`].
    pub request_deadline: Duration,
    /// See [`CONNECTIONS`].
    pub connections: usize,
    /// See [`CALL_MEMORY`].
    pub call_memory: usize,
    /// See [`IDLE_TIMEOUT`].
    pub idle_timeout: Duration,
    /// See [`DRAIN_DEADLINE`].
    pub drain_deadline: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_bytes: HEADER_BYTES,
            header_timeout: HEADER_TIMEOUT,
            body_deadline: BODY_DEADLINE,
            request_deadline: REQUEST_DEADLINE,
            connections: CONNECTIONS,
            call_memory: CALL_MEMORY,
            idle_timeout: IDLE_TIMEOUT,
            drain_deadline: DRAIN_DEADLINE,
        }
    }
}

/// The largest head of a request, in bytes. Session tokens have no fixed size; AWS tells clients to
/// expect 4,096 bytes and more (IAM user guide, "Requesting temporary security credentials"). A
/// presigned URL carries one, percent-encoded; 32 KiB is twice what AWS's own load balancers take
/// for all headers together (16 KiB a line, ELB user guide, "HTTP headers").
pub const HEADER_BYTES: usize = 32 * 1024;

/// How many headers a request may have: hyper's own default. The SDKs send about 15.
pub const HEADERS: usize = 100;

/// How long a client may take for the head of a request, from the first moment it could send one:
/// this ends kept-alive HTTP/1 connections too. nginx waits 60 s for either; botocore's pool drops
/// nothing before that by itself but notices a closed connection before it uses it.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(60);

/// The largest body of a service that has no limit of its own: 1 MiB. The largest single value that
/// those services take is 64 KiB (Secrets Manager, `SecretString`).
pub const BODY_BYTES: usize = 1024 * 1024;

/// The largest body of ACM and ACM-PCA: their models take a chain of 2,097,152 bytes and a
/// certificate of 32,768 (`CertificateChainBlob`, `CertificateBlob`), which base64 makes 2.8 MB.
pub const CERTIFICATE_BODY_BYTES: usize = 3 * 1024 * 1024;

/// The largest OCSP request in a body: sixteen certificates with SHA-256 and a nonce have 2 KiB; the rest is room for who
/// signs his requests, with his certificates.
pub const OCSP_BYTES: usize = 16 * 1024;

/// How long whoever fetched a revocation list or an OCSP answer, and whoever is on the way, may keep it without asking
/// again, in seconds: a revocation is to be seen within a minute. Asking again costs a few hundred bytes (RFC 9110 section
/// 13).
pub const FRESH_SECONDS: i64 = 60;

/// How long the whole body may take. The largest one takes 25 s at 1 Mbit/s.
pub const BODY_DEADLINE: Duration = Duration::from_secs(30);

/// How long a call may take until it is answered. Just under botocore's `read_timeout` of 60 s, so
/// that the client hears of it. The work itself goes on (it may already have been recorded).
pub const REQUEST_DEADLINE: Duration = Duration::from_secs(55);

/// How many connections are open at once. Envoys keep one each for their secrets, and agents one each on which they wait:
/// ten thousand of them leave room for callers. Each costs about 10 KiB while idle.
pub const CONNECTIONS: usize = 16_000;

/// File descriptors that are not for connections: store, journal, listeners, log.
pub const OTHER_FILES: usize = 128;

/// What all calls together may hold in memory, in bytes, for their bodies: 256 MiB. A call reserves
/// the size that it declares, at least [`CALL_BYTES`]; when nothing is left, it is told to slow
/// down.
pub const CALL_MEMORY: usize = 256 * 1024 * 1024;

/// What a call without a body holds: its task, decoded input and answer. 16 KiB is above what
/// IssueCertificate was seen to need, and makes 16,384 the most calls at once.
pub const CALL_BYTES: usize = 16 * 1024;

/// How long a connection may be open without a request under way, HTTP/2 included. Longer than
/// [`HEADER_TIMEOUT`], so that HTTP/1 ends by that.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(90);

/// How long a TLS handshake may take. rustls needs two round trips at most.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How often an HTTP/2 peer is asked whether it is still there, and how long it may take to say so.
/// A delivery stream may be silent for weeks; a peer that lost power should be noticed within a
/// minute (gRPC's keepalive guide advises not to go below 10 s).
pub const PING_INTERVAL: Duration = Duration::from_secs(30);
/// See [`PING_INTERVAL`].
pub const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// Streams on one HTTP/2 connection. An Envoy without ADS opens one for each secret
/// (`keystead_xds::limits::Limits::streams_per_peer`).
pub const STREAMS: u32 = 4_096;

/// How long calls under way may take once the server drains. Kubernetes kills after 30 s,
/// systemd after 90 s; this leaves room to close the store.
pub const DRAIN_DEADLINE: Duration = Duration::from_secs(20);

/// Connections that the kernel keeps until they are accepted: Linux's own `somaxconn`.
pub const BACKLOG: u32 = 4_096;

/// How long accepting pauses when it fails (out of file descriptors), so that it doesn't spin.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Signing keys kept at hand. Each is one credential's day in one region and service; about 200
/// bytes.
pub const SIGNING_KEYS: usize = 4_096;

/// The largest document that is got from another server: two hundred keys of an identity provider
/// (the most that are read), with a kilobyte of certificate each.
pub const DOCUMENT_BYTES: usize = 256 * 1024;

/// How long that may take, from the look-up of the name to the last byte. A caller waits for it.
pub const DOCUMENT_DEADLINE: Duration = Duration::from_secs(5);

/// How long a call of an external key store's proxy may take ("KMS considerations" of each operation of its
/// specification: 250 ms), unless the configuration says otherwise.
pub const EXCHANGE_DEADLINE: Duration = Duration::from_millis(250);

/// The largest answer of such a call: ten times what 4,300 bytes of plaintext (the same specification's most) come to.
pub const EXCHANGE_BYTES: usize = 64 * 1024;

/// Connections to one proxy that are kept without a call under way: 1,800 calls a second (developer guide, "Request
/// quotas") of 35 ms each are 63 at a time.
pub const EXCHANGES_KEPT: usize = 64;

/// How long they are kept: less than the minute after which common servers close them ([`HEADER_TIMEOUT`]).
pub const EXCHANGE_IDLE: Duration = Duration::from_secs(45);

/// How much of the User-Agent is kept for audit events, in characters: twice the longest that the
/// SDKs send.
pub const USER_AGENT_CHARS: usize = 512;
