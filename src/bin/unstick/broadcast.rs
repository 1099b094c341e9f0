//! `unstick serve --broadcast`: each frame of a client is sent to all others.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use slab::Slab;
use unstick::framing::Frame;
use unstick::{Outbox, PushError};

/// The outboxes of all clients that are served.
#[derive(Clone, Default)]
pub(crate) struct Room(Arc<Mutex<Slab<Outbox>>>);

impl Room {
    pub(crate) fn enter(&self, outbox: Outbox) -> Member {
        let key = self.outboxes().insert(outbox);
        Member { room: self.clone(), key }
    }

    /// Nothing panics while it holds the lock.
    fn outboxes(&self) -> MutexGuard<'_, Slab<Outbox>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A client in the room. It leaves when this is dropped.
pub(crate) struct Member {
    room: Room,
    key: usize,
}

impl Member {
    /// Pushes a frame to all others. No one waits for a client that reads too slowly: its connection is broken off.
    pub(crate) fn tell_others(&self, frame: Frame<'_>) -> Result<(), PushError> {
        // A copy, as sharing would keep all the memory that the frame was received in, which may be much more.
        let payload = Bytes::copy_from_slice(frame.payload());
        // One frame after the other under the lock, so that all clients see the frames in the same order.
        for (_, outbox) in self.room.outboxes().iter().filter(|(key, _)| *key != self.key) {
            match outbox.try_send_with(frame.envelope(), &payload) {
                Ok(()) | Err(PushError::Closed) => {}
                Err(PushError::Full { .. }) => outbox.break_off(),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.room.outboxes().remove(self.key);
    }
}
