//! `[routing]`: topics of their own for some kinds.

use std::collections::BTreeMap;
use std::sync::Arc;

use chatbridge_event::event::KindName;

use super::fingerprint::Compared;
use super::problem::Checks;
use super::text::topic;

/// The topics, by the kind's word.
pub type Routing = BTreeMap<&'static str, Arc<str>>;

pub(super) type Text = BTreeMap<String, String>;

pub(super) fn check(text: Text, dead_letter_topic: &str, checks: &mut Checks<'_>) -> Routing {
    let mut checks = checks.table("routing");
    let mut routing = Routing::new();
    for (kind, name) in text {
        if topic(&kind, &name, &mut checks) && name == dead_letter_topic {
            checks.complain(&kind, "must not be the topic of dead letters");
        }
        match KindName::ALL.into_iter().map(KindName::as_str).find(|known| *known == kind) {
            Some(known) => drop(routing.insert(known, name.into())),
            None => {
                let known = KindName::ALL.map(KindName::as_str).join(", ");
                checks.complain(&kind, format!("unknown kind `{kind}`, expected one of {known}"));
            }
        }
    }
    routing
}

impl Compared for Routing {}
