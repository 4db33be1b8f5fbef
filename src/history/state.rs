//! What was so of a tunnel.

use super::said::Said;
use crate::domain::cause::Cause;
use crate::domain::silence::SilenceId;
use crate::domain::verdict::Assessment;

/// What was so at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State {
    /// What our end said.
    pub local: Said,
    /// What AWS said, as far as we knew.
    pub aws: Said,
    /// Both together.
    pub assessment: Assessment,
    /// Why it did not work; `None` where nothing was wrong, or where that was not recorded.
    pub cause: Option<Cause>,
    /// The silence that covered it.
    pub silence: Option<SilenceId>,
}
