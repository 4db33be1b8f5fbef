//! `[labels]` and `[vpn.labels]`: the operator's own labels, which stand on `bothends_vpn_info` and `bothends_tunnel_info`.

use std::sync::Arc;

use super::patterns;
use super::problem::{self, Notes, ProblemKind};
use super::section::Section;
use crate::settings::{LABELS_TAKEN, Labels};

/// The maximum number of labels of a connection: each is stored with every one of its info series.
const LABELS_MAX: usize = 16;

/// The labels of `section` over those of `defaults`.
pub(super) fn read(section: &Section<'_>, defaults: &Labels, notes: &mut Notes) -> Labels {
    let mut labels = defaults.clone();
    let mut excess = None;
    for written in section.names() {
        if let Some(name) = name(written, section, notes)
            && let Some(value) = section.text(written, &patterns::LABEL_VALUE, notes)
        {
            labels.insert(name, value);
            if labels.len() > LABELS_MAX {
                excess.get_or_insert(written);
            }
        }
    }
    if let Some(written) = excess {
        let what =
            format!("makes {} labels: {LABELS_MAX} are the most, those of [labels] included", labels.len());
        section.wrong(written, what, notes);
    }
    labels
}

fn name(written: &str, section: &Section<'_>, notes: &mut Notes) -> Option<Arc<str>> {
    let mut wrong = |what: String| {
        let path = section.path(&problem::key(written));
        notes.problem(section.place(written), path, ProblemKind::Other(what));
        None
    };
    let Some(name) = (patterns::LABEL_NAME.parse)(written) else {
        return wrong(format!("invalid name; expected {}", patterns::LABEL_NAME.allowed));
    };
    if LABELS_TAKEN.contains(&&*name) {
        return wrong(format!(
            "is a label that the metrics have already; choose another name, such as \"my_{name}\""
        ));
    }
    Some(name)
}
