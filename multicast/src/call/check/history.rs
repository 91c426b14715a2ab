//! What one process did, step by step.

use super::MessageId;

/// A member during one stay, or the hub.
#[derive(Clone, Debug, Default)]
pub(super) struct Process {
    /// Its number.
    pub(super) member: u64,
    /// In the order it did them.
    pub(super) steps: Vec<Step>,
    /// It ended well, with everything that was said to it.
    pub(super) stayed: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Said { message: MessageId, bytes: u64 },
    HandedOut { message: MessageId, bytes: u64 },
}

impl Process {
    pub(super) fn handed_out(&self) -> impl Iterator<Item = MessageId> {
        self.steps.iter().filter_map(|step| match step {
            Step::HandedOut { message, .. } => Some(*message),
            Step::Said { .. } => None,
        })
    }
}
