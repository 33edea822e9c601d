//! Which instances are received by webhook, with which token, and by which intake.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use secrecy::SecretString;

use crate::green_api::caller::Nobody;
use crate::green_api::push::intake::Intake;
use crate::inbound::gate::is_token;
use chatbridge_event::event::InstanceId;

/// The instances that are received by webhook.
pub struct Intakes<P, N = Nobody> {
    entries: RwLock<HashMap<InstanceId, Entry<P, N>>>,
}

struct Entry<P, N> {
    token: SecretString,
    /// Absent until Kafka was found.
    intake: Option<Arc<Intake<P, N>>>,
}

impl<P, N> Default for Intakes<P, N> {
    fn default() -> Self {
        Self { entries: RwLock::default() }
    }
}

/// Whose call it is, as far as its token shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// No instance has this token.
    WrongToken,
    /// A known token, but an unknown instance.
    UnknownInstance,
    /// The token of this instance.
    Instance(InstanceId),
    /// A known token, but the body has to name the instance. Holds the instance if only one has this token.
    OneOfOurs(Option<InstanceId>),
}

impl<P, N> Intakes<P, N> {
    /// `instance` will be received by webhook. Until it is open, its calls are told to come again.
    pub fn expect(&self, instance: InstanceId, token: SecretString) {
        self.write().insert(instance, Entry { token, intake: None });
    }

    /// From now on `intake` receives for `instance`.
    pub fn open(&self, instance: InstanceId, intake: Arc<Intake<P, N>>) {
        if let Some(entry) = self.write().get_mut(&instance) {
            entry.intake = Some(intake);
        }
    }

    /// `instance` is no longer received by webhook.
    pub fn close(&self, instance: InstanceId) {
        self.write().remove(&instance);
    }

    pub(crate) fn of(&self, instance: InstanceId) -> Option<Arc<Intake<P, N>>> {
        self.read().get(&instance).and_then(|entry| entry.intake.clone())
    }

    /// Whose call it is, before its body is read. Only a caller with a valid token can find out whether an instance is
    /// known.
    pub(crate) fn admit(&self, instance: Option<InstanceId>, presented: &str) -> Admission {
        let entries = self.read();
        if let Some((id, entry)) = instance.and_then(|id| entries.get_key_value(&id)) {
            return if is_token(&entry.token, presented) { Admission::Instance(*id) } else { Admission::WrongToken };
        }
        let mut owners = entries.iter().filter(|(_, entry)| is_token(&entry.token, presented)).map(|(id, _)| *id);
        match (owners.next(), instance) {
            (None, _) => Admission::WrongToken,
            (Some(_), Some(_)) => Admission::UnknownInstance,
            (Some(owner), None) => Admission::OneOfOurs(owners.next().is_none().then_some(owner)),
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, HashMap<InstanceId, Entry<P, N>>> {
        self.entries.read()
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<InstanceId, Entry<P, N>>> {
        self.entries.write()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::publish::memory::MemoryPublisher;

    #[test]
    fn a_token_admits_to_its_own_instance_and_says_nothing_of_others() {
        let intakes = Intakes::<MemoryPublisher>::default();
        let [one, two, three, absent] = [1, 2, 3, 9].map(InstanceId::new);
        for (instance, token) in [(one, "shared"), (two, "shared"), (three, "own")] {
            intakes.expect(instance, token.into());
        }
        for (instance, token, admission) in [
            (Some(one), "shared", Admission::Instance(one)),
            (Some(three), "own", Admission::Instance(three)),
            (Some(three), "shared", Admission::WrongToken),
            (Some(one), "", Admission::WrongToken),
            (Some(absent), "nonsense", Admission::WrongToken),
            (Some(absent), "own", Admission::UnknownInstance),
            (None, "nonsense", Admission::WrongToken),
            (None, "shared", Admission::OneOfOurs(None)),
            (None, "own", Admission::OneOfOurs(Some(three))),
        ] {
            assert_eq!(intakes.admit(instance, token), admission, "{instance:?} {token}");
        }
        intakes.close(three);
        assert_eq!(intakes.admit(Some(three), "own"), Admission::WrongToken);
    }
}
