//! What a handler answers in.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;

#[cfg(doc)]
use super::ServerConfig;
use super::place::Place;
use super::pool;
use super::writer::Writer;
use crate::adapters::{FramedWrite, NO_COPY_LEN, WriteError};
use crate::framing::{Envelope, Format};

/// Where a handler puts its replies.
///
/// A reply of less than [`NO_COPY_LEN`] (16 KiB) is queued; what is queued is written once the input at hand is dealt with, or
/// once [`ServerConfig::high_water`] (64 KiB) waits. A longer one is written at once, without a copy. Where a handler sends a
/// large payload back as it was received, it waits in the memory that it was received in, up to four times the mark, and one
/// write takes several. While the peer does not read, replies wait and nothing is read from it; after
/// [`ServerConfig::write_timeout`] the connection ends.
pub struct Responder {
    pub(super) write: FramedWrite<Writer, Rc<Format>>,
}

impl Responder {
    pub(super) fn new(writer: Writer, format: Rc<Format>) -> Responder {
        let config = writer.place.config();
        let (high_water, max_queued) = (config.high_water.get() as usize, config.max_queued.get());
        Responder { write: FramedWrite::new(writer, format).high_water(high_water).max_queued(max_queued) }
    }

    pub(super) fn place(&self) -> &Rc<Place> {
        &self.write.get_ref().place
    }

    /// Sends a frame: see [`FramedWrite::feed`].
    ///
    /// # Errors
    /// [`WriteError::Encode`], and nothing of it is sent; [`WriteError::Io`] and [`WriteError::Overflow`], after which the
    /// connection ends.
    ///
    /// # Cancel-safety
    /// As [`FramedWrite::feed`]: the frame is neither lost nor torn.
    #[inline]
    pub fn send<'a>(&'a mut self, payload: &'a [u8]) -> impl Future<Output = Result<(), WriteError>> + 'a {
        self.send_with(Envelope::default(), payload)
    }

    /// Sends a frame with what travels around its payload, a prefix or an [`Envelope`]: see [`FramedWrite::feed_with`].
    /// So a frame is echoed whole: `replies.send_with(frame.envelope(), frame.payload())`.
    ///
    /// # Errors
    /// As [`send`](Responder::send).
    ///
    /// # Cancel-safety
    /// As [`FramedWrite::feed`]: the frame is neither lost nor torn.
    #[inline]
    pub fn send_with<'a>(
        &'a mut self,
        envelope: impl Into<Envelope<'a>>,
        payload: &'a [u8],
    ) -> impl Future<Output = Result<(), WriteError>> + 'a {
        self.write.feed_with(envelope, payload)
    }

    /// The peer's address.
    pub fn peer(&self) -> SocketAddr {
        self.place().peer()
    }

    /// Where nothing waits to be written, others may use the memory.
    pub(super) fn park(&mut self) {
        if self.write.queued() == 0 {
            pool::give_output(self.write.queue_mut().release());
        }
        let capacity = self.write.queue_mut().capacity();
        self.place().replies.set(capacity);
    }

    /// There is something to reply to: memory to queue replies in. It counts as much as may wait before sending does, so that
    /// a reply need not be counted.
    pub(super) fn unpark(&mut self) {
        let queue = self.write.queue_mut();
        queue.adopt(pool::take_output());
        let most = self.place().config().high_water.get() as usize + NO_COPY_LEN;
        let capacity = self.write.queue_mut().capacity();
        self.place().replies.set(capacity.max(most));
    }
}

impl fmt::Debug for Responder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Responder").field("peer", &self.peer()).field("queued", &self.write.queued()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use futures_lite::future::block_on;

    use super::*;
    use crate::SystemClock;
    use crate::server::ServerConfig;
    use crate::server::writer::To;

    /// The memory that replies are queued in counts while a connection has it, and so does what may wait.
    #[test]
    fn the_memory_of_replies_counts_while_it_is_theirs() {
        let config = ServerConfig::default().high_water(NonZeroU32::MIN);
        let place = Place::alone(config, SystemClock::new(), ([127, 0, 0, 1], 4747).into());
        let writer = Writer::new(To::Other(Box::new(futures_lite::io::sink())), &place);
        let mut replies = Responder::new(writer, Rc::clone(place.format()));
        replies.unpark();
        assert_eq!(place.replies.get(), 1 + NO_COPY_LEN, "as much as may wait");
        block_on(replies.send(&[7; NO_COPY_LEN - 1])).expect("written");
        replies.park();
        assert_eq!(place.replies.get(), 0, "it is others'");
        // They have the same memory, in which the header and the payload had room.
        replies.unpark();
        assert_eq!(place.replies.get(), 4 + NO_COPY_LEN - 1);
    }
}
