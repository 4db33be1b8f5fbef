//! Whether this host is where the tunnel ends. Where it is not, our end is not asked: it has no view, no echoes and no minutes.

use super::super::check::Check;
use super::super::downs::Downs;
use super::super::effects::Effects;
use super::super::event::SeenUp;
use super::super::names::{CheckId, CheckKind, Role};
use super::super::plan::ProbeRules;
use super::super::time::{Moment, Now};
use super::super::verdict::Why;
use super::{LossWindow, Tunnel};

impl Tunnel {
    /// This host is, or is not, where the tunnel ends. A check that comes back begins afresh: what it saw before says nothing
    /// of now.
    pub fn set_here(&mut self, here: bool, rules: ProbeRules, anchor: Moment, now: Now, fx: &mut Effects) {
        match (self.plan.role, here, self.checks.is_empty()) {
            (Role::Unused, _, _)
            | (Role::Active | Role::Standby, true, false)
            | (Role::Active | Role::Standby, false, true) => {}
            (Role::Active | Role::Standby, true, true) => {
                let route = std::sync::Arc::clone(&self.plan.route);
                self.checks = vec![Check::new(self.check(), route, rules, anchor, self.before, now, fx)];
            }
            (Role::Active | Role::Standby, false, false) => {
                if let Some(check) = self.checks.first() {
                    self.before = check.before();
                }
                self.retire(fx);
                self.checks.clear();
                self.loss = LossWindow::since(now.mono);
                self.stopped = None;
                self.downs = Downs::new(now.mono);
            }
        }
    }

    /// The ends that have seen it Up.
    pub fn seen_up(&self) -> impl Iterator<Item = SeenUp> {
        let absent = self.checks.is_empty() && self.before.answered;
        let mut key = self.plan.route.key();
        key.own = key.own.filter(|_| self.before.held);
        let local = absent.then(|| SeenUp::Local(self.check(), key));
        let local = local.into_iter().chain(self.checks.iter().filter_map(Check::seen_up));
        local.chain(self.aws_seen_up.then(|| SeenUp::Aws(self.plan.id.clone())))
    }

    /// Why there is no check.
    pub(super) const fn why_unasked(role: Role) -> Why {
        match role {
            Role::Unused => Why::Unused,
            Role::Active | Role::Standby => Why::NotHere,
        }
    }

    fn check(&self) -> CheckId {
        CheckId { tunnel: self.plan.id.clone(), kind: CheckKind::Inside }
    }
}
