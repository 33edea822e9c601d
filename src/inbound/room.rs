//! Memory for bodies: `webhook.buffered_bytes_max`, shared by all calls.

use tokio::sync::{Semaphore, SemaphorePermit};

/// The part of it that one call has, until its answer is given.
pub(crate) struct Room<'e> {
    buffer: &'e Semaphore,
    permit: SemaphorePermit<'e>,
}

impl<'e> Room<'e> {
    /// Room for so many bytes; `None` where there is none.
    pub(crate) fn of(buffer: &'e Semaphore, bytes: usize) -> Option<Self> {
        let permit = buffer.try_acquire_many(u32::try_from(bytes).ok()?).ok()?;
        Some(Self { buffer, permit })
    }

    /// Whether there is room for so many bytes in all; then this call has it.
    pub(crate) fn grow_to(&mut self, bytes: usize) -> bool {
        let more = bytes.saturating_sub(self.permit.num_permits());
        let Ok(more) = u32::try_from(more) else { return false };
        self.buffer.try_acquire_many(more).map(|more| self.permit.merge(more)).is_ok()
    }
}
