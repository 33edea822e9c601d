//! Memory for bodies: `webhook.buffered_bytes_max`, shared by all calls.

use tokio::sync::{Semaphore, SemaphorePermit};

/// The share of one call, kept until the call is answered.
pub(crate) struct Room<'e> {
    buffer: &'e Semaphore,
    permit: SemaphorePermit<'e>,
}

impl<'e> Room<'e> {
    /// Room for this many bytes; `None` if there is none.
    pub(crate) fn of(buffer: &'e Semaphore, bytes: usize) -> Option<Self> {
        let permit = buffer.try_acquire_many(u32::try_from(bytes).ok()?).ok()?;
        Some(Self { buffer, permit })
    }

    /// Grows this share to this many bytes in all, if there is room.
    pub(crate) fn grow_to(&mut self, bytes: usize) -> bool {
        let more = bytes.saturating_sub(self.permit.num_permits());
        let Ok(more) = u32::try_from(more) else { return false };
        self.buffer.try_acquire_many(more).map(|more| self.permit.merge(more)).is_ok()
    }
}
