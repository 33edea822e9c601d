//! What a row of ChatApp's part is: a fault, as a script.

use std::time::Duration;

use super::stage::Stage;

type Script = Box<dyn Fn(&mut Stage<'_>) + Send + Sync>;

/// One fault.
pub(crate) struct Row {
    /// What happens, for people.
    pub(crate) name: &'static str,
    /// Part of the table.
    pub(crate) group: &'static str,
    /// The bridge's state lies on a disk of so many MiB.
    pub(super) disk_mebibytes: Option<u32>,
    /// What the shell's `ulimit` is told before the bridge starts.
    pub(super) ulimits: &'static [&'static str],
    /// The bridge's environment.
    pub(super) environment: Vec<(&'static str, String)>,
    /// Before the bridge is started for the first time.
    pub(super) before: Option<Script>,
    /// From a bridge that is subscribed to every channel, while events are published, to the end of the fault.
    pub(super) script: Script,
    /// After the bridge has stopped.
    pub(super) after: Option<Script>,
    /// From the end of the script until all is well again, at most.
    pub(super) recovers_within: Option<Duration>,
    /// Items that were sent while nobody heard them: otherwise the row has shown nothing.
    pub(super) is_cut: bool,
}

impl Row {
    pub(crate) fn new(
        group: &'static str,
        name: &'static str,
        script: impl Fn(&mut Stage<'_>) + Send + Sync + 'static,
    ) -> Self {
        Self {
            name,
            group,
            disk_mebibytes: None,
            ulimits: &[],
            environment: Vec::new(),
            before: None,
            script: Box::new(script),
            after: None,
            recovers_within: None,
            is_cut: false,
        }
    }

    /// The name as the filter `FAULTS` and the log have it.
    pub(crate) fn full_name(&self) -> String {
        format!("ChatApp: {}", self.name)
    }

    pub(crate) fn on_disk(mut self, mebibytes: u32) -> Self {
        self.disk_mebibytes = Some(mebibytes);
        self
    }

    /// The bridge has these limits.
    pub(crate) fn under(mut self, ulimits: &'static [&'static str]) -> Self {
        self.ulimits = ulimits;
        self
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.environment.push((name, value.into()));
        self
    }

    pub(crate) fn before(mut self, before: impl Fn(&mut Stage<'_>) + Send + Sync + 'static) -> Self {
        self.before = Some(Box::new(before));
        self
    }

    pub(crate) fn after(mut self, after: impl Fn(&mut Stage<'_>) + Send + Sync + 'static) -> Self {
        self.after = Some(Box::new(after));
        self
    }

    pub(crate) fn recovers_within(mut self, at_most: Duration) -> Self {
        self.recovers_within = Some(at_most);
        self
    }

    /// Something is missed in it that cannot be fetched, and something that can.
    pub(crate) fn cut(mut self) -> Self {
        self.is_cut = true;
        self
    }
}
