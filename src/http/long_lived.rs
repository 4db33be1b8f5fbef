//! What a handler says of an answer that does not end by itself.

/// Marks an answer that goes on until the client leaves, such as server-sent events: a handler puts it into the response's
/// extensions. Its connection has no limit in time; it is dropped when its client takes nothing for the limit `stalled`, when a newer
/// one needs its place (`long_lived`), and when another client needs its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LongLived;
