//! An open record at a sink, and no incident here that accounts for it: the incident goes on with this daemon, which resolves it
//! like its own. Nobody is told of it anew until this site has seen the condition hold for itself.

use super::super::effects::Effects;
use super::super::fact::IncidentChange;
use super::super::hold::Hold;
use super::super::names::SinkId;
use super::super::story::{Scene, Story};
use super::super::time::{Now, Stamp};
use super::{KindWatch, State, Step, tell};

impl KindWatch {
    /// A record was found open at `sink`, created at `created` on the sink's clock. Where an incident is open already, that one
    /// accounts for it, and nothing changes.
    pub fn take_up(&mut self, sink: SinkId, created: Stamp, scene: Scene, now: Now, fx: &mut Effects) {
        let witness = match &self.state {
            State::Open { .. } | State::Clearing { .. } => return,
            State::Clear => Hold::default(),
            // What has held so far counts: the incident that was about to open is this one.
            State::Pending { hold } => *hold,
        };
        self.count_opening(now.mono - now.wall.since(created), now.mono);
        let story = Story::take_up(self.vpn.clone(), self.kind, scene, sink, created, now.wall);
        tell(&story, IncidentChange::TakenUp, now, fx);
        self.state = State::Open { story, witness };
    }

    /// Whether this site sees for itself what was taken up.
    pub(super) fn bear_witness(
        &self,
        story: &mut Story,
        witness: &mut Hold,
        step: Step,
        now: Now,
        fx: &mut Effects,
    ) {
        let (Some(_), Some(open_after)) = (&story.incident().found_at, step.rules.open_after(self.kind))
        else {
            *witness = Hold::default();
            return;
        };
        witness.observe(step.opens, open_after, now.mono);
        if witness.has_held(open_after) && now.mono >= step.grace_until {
            *witness = Hold::default();
            story.witness(now.wall);
            tell(story, IncidentChange::Witnessed, now, fx);
        }
    }
}
