//! Every bound of this crate, and where the number comes from.

use std::time::Duration;

/// How much all streams together may hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Open streams of all nodes. An idle one costs about 20 KiB (task, HTTP/2 windows), so the
    /// default is about 400 MiB at worst.
    pub streams: usize,
    /// Open streams of one [`PeerIdentity`](crate::PeerIdentity). An Envoy without ADS opens one for
    /// each secret; 2,040 secrets is the largest ingress of which a report is known (istio#20958).
    pub streams_per_peer: usize,
    /// Names that one stream may subscribe to: envoy#9876 measures 10,000 certificates on one listener.
    pub names_per_stream: usize,
    /// Names that all streams together may subscribe to, at about 300 bytes each 60 MiB.
    pub names: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            streams: 20_000,
            streams_per_peer: 4_096,
            names_per_stream: 10_000,
            names: 200_000,
        }
    }
}

/// The longest resource name: the longest ARN that AWS's models admit (2,048 characters).
pub const NAME_BYTES: usize = 2_048;

/// The longest `node.id` or `node.cluster`: an ARN of a node with room to spare.
pub const NODE_ID_BYTES: usize = 512;

/// The largest request. Envoy's first one lists its extensions (about 100 KiB in 1.40); the largest
/// subscription of [`Limits::names_per_stream`] ARNs of certificates (about 100 bytes) takes 1 MiB.
pub const REQUEST_BYTES: usize = 4 << 20;

/// Secrets are put into one response until it holds this many bytes; a single larger one still goes.
/// A quarter of what gRPC clients accept by default (4 MiB).
pub const RESPONSE_BYTES: usize = 1 << 20;

/// The most secrets that are read before what came together is sent and the stream looks at its
/// requests again: a node learns of the first of 10,000 before the last is read.
pub const ROUND_READS: usize = 256;

/// The longest part of a node's reason for a rejection that is passed on.
pub const DETAIL_BYTES: usize = 1_024;

/// A stream that has not said who it is by now is closed. Envoy sends its first request at once.
pub const FIRST_REQUEST_DEADLINE: Duration = Duration::from_secs(10);

/// A node answers each response "immediately" (xDS, "When to send an update"); one that has not by
/// now is stuck, and is told to reconnect.
pub const ANSWER_DEADLINE: Duration = Duration::from_secs(60);

/// How long one read of a secret may take before the stream goes on and tries again.
pub const READ_DEADLINE: Duration = Duration::from_secs(5);

/// The pause before a failed read is tried again, and before the feed of changes is opened again.
pub const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Each stream reads all it has again this often, should a change ever have been missed (a watcher
/// needs a timer beside it: linkerd2#15109). At [`Limits::names`] that is 670 reads a second.
pub const REREAD_EVERY: Duration = Duration::from_secs(300);
