//! What the store has to say to people.

/// What people are to be told, once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreNotice {
    /// Someone should look today.
    Warning(String),
    /// Something was lost, or may be.
    Error(String),
}
