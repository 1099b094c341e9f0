//! The writing side of a connection: the queue, and how long the peer has taken nothing of it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Instant;

use bytes::Bytes;

use super::ServerConfig;
use super::budget::{For, Lease};
use super::encode::Encoding;
use super::greeting::Greeting;
use super::outbox::{Outbox, Piece};
use super::pool;
use super::shared::Shared;
use super::transport::Transport;
use crate::adapters::Queue;
use crate::close::CloseReason;
use crate::framing::{EncodeError, Envelope, MAX_HEADER_LEN, MAX_TRAILER_LEN};

/// The most bytes of a reply besides its payload.
const MAX_OVERHEAD: usize = MAX_HEADER_LEN + MAX_TRAILER_LEN;

/// Bytes leased for replies at a time, so that most replies need no lease of their own.
const LEASED_AT_ONCE: usize = 16 * 1024;

/// Up to this length, a range of pushed frames is copied.
const COPIED_LEN: usize = 512;

/// The most slices of one vectored write.
const MAX_SLICES: usize = 64;

/// The queue of one connection.
pub(super) struct Output {
    queue: Queue,
    encode: Arc<Encoding>,
    lease: Lease,
    high_water: usize,
    /// Bytes received at once in memory that replies share: as many may be queued, too.
    pub(super) lent: usize,
    /// Bytes of queued replies that were not copied.
    replied: usize,
    /// Some pushes are queued and not yet written.
    has_pushes: bool,
    /// Frames and bytes queued so far.
    pub(super) frames: u64,
    pub(super) bytes: u64,
    /// The task that waits until there is room, or until all is written.
    waiting: Option<Waker>,
    /// Bytes that a reply waits to lease.
    wants: usize,
    /// Since when the peer has taken nothing, while something is queued.
    stuck: Option<Instant>,
    /// The transport may still hold written bytes.
    unflushed: bool,
    /// Our stream is being ended.
    closing: bool,
}

impl Output {
    pub(super) fn new(shared: &Shared) -> Output {
        Output {
            queue: Queue::keeping(pool::KEPT),
            encode: Arc::clone(&shared.encode),
            lease: Lease::new(&shared.budget, For::Writing),
            high_water: shared.config.high_water,
            lent: 0,
            replied: 0,
            has_pushes: false,
            frames: 0,
            bytes: 0,
            waiting: None,
            wants: 0,
            stuck: None,
            unflushed: false,
            closing: false,
        }
    }

    /// Bytes that are queued.
    pub(super) fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Whether so much is queued that nothing more is read, and no more replies are queued.
    pub(super) fn is_full(&self) -> bool {
        self.queue.len() >= self.high_water.max(self.lent)
    }

    /// Bytes that a reply waits to lease.
    pub(super) fn wants(&self) -> Option<usize> {
        (self.wants > 0).then_some(self.wants)
    }

    /// Since when the peer has taken nothing.
    pub(super) fn stuck(&self) -> Option<Instant> {
        self.stuck
    }

    /// All is written, and our stream is being ended.
    pub(super) fn closing(&mut self, now: Instant) {
        self.closing = true;
        self.stuck.get_or_insert(now);
    }

    /// When the peer has taken nothing for too long, if ever.
    pub(super) fn deadline(&self, config: &ServerConfig<()>) -> Option<Instant> {
        self.stuck?.checked_add(config.write_timeout?)
    }

    /// Why a connection ends if its peer takes nothing of the queue and of the `unsent` bytes in the transport.
    pub(super) fn overdue(&self, config: &ServerConfig<()>, unsent: usize) -> CloseReason {
        CloseReason::SlowReader { queued: self.queued() + unsent, timeout: config.write_timeout.unwrap_or_default() }
    }

    /// Bytes held because the peer does not take them.
    pub(super) fn held(&self) -> usize {
        if self.stuck.is_some() { self.queue.len() } else { 0 }
    }

    /// Bytes that must be leased. Pushes are charged once for all connections.
    #[inline]
    fn own(&self) -> usize {
        self.queue.copied_len() + self.replied
    }

    /// Ready if a payload of so many bytes may be queued now; otherwise the task is woken when it may.
    #[inline]
    pub(super) fn poll_room(&mut self, payload_len: usize, cx: &Context<'_>) -> Poll<()> {
        let total = self.own() + payload_len + MAX_OVERHEAD;
        if self.queue.len() < self.high_water && total <= self.lease.allowed() {
            return Poll::Ready(());
        }
        self.poll_room_slow(total, cx)
    }

    #[cold]
    fn poll_room_slow(&mut self, total: usize, cx: &Context<'_>) -> Poll<()> {
        self.wants = 0;
        if !self.is_full() {
            if self.lease.reach(total.next_multiple_of(LEASED_AT_ONCE)) >= total || self.lease.reach(total) >= total {
                return Poll::Ready(());
            }
            // Once its own queue is written, it needs no more than that.
            self.wants = total - self.own();
        }
        self.waiting = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Ready if all is written; otherwise the task is woken when it is.
    pub(super) fn poll_written(&mut self, cx: &Context<'_>) -> Poll<()> {
        if self.queue.is_empty() && !self.unflushed {
            return Poll::Ready(());
        }
        self.waiting = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Queues a frame with a copy of the payload.
    #[inline]
    pub(super) fn copied(&mut self, envelope: &Envelope<'_>, payload: &[u8]) -> Result<(), EncodeError> {
        self.queue.adopt(pool::take_output);
        let copied = self.queue.copied();
        let before = copied.len();
        self.encode.copied(envelope, payload, copied)?;
        let bytes = copied.len() - before;
        self.count(1, bytes);
        Ok(())
    }

    /// Queues a frame without a copy of its payload.
    pub(super) fn shared(&mut self, envelope: &Envelope<'_>, payload: Bytes) -> Result<(), EncodeError> {
        let (before, mut trailer) = (self.queue.len(), Vec::new());
        self.encode.header_and_trailer(*envelope, &payload, self.queue.copied(), &mut trailer)?;
        self.replied += payload.len();
        self.queue.push(payload);
        self.queue.copied().extend_from_slice(&trailer);
        self.count(1, self.queue.len() - before);
        Ok(())
    }

    /// Queues the greeting or the refusal.
    pub(super) fn greet(&mut self, greeting: &Greeting) -> Result<(), EncodeError> {
        let before = self.queue.len();
        greeting.append(&self.encode, self.queue.copied())?;
        self.count(u64::from(matches!(greeting, Greeting::Frame(_))), self.queue.len() - before);
        Ok(())
    }

    fn count(&mut self, frames: u64, bytes: usize) {
        self.frames += frames;
        self.bytes += bytes as u64;
    }

    /// Moves pushes from the outbox to the end of the queue.
    pub(super) fn take(&mut self, outbox: &Outbox, cx: Option<&Context<'_>>) {
        let before = self.queue.len();
        let frames = outbox.take(cx, |piece| match piece {
            // A copy of a short range costs less than a slice.
            Piece::Frames(log, range)
                if range.len() <= COPIED_LEN
                    && self.lease.reach(self.own() + range.len()) >= self.own() + range.len() =>
            {
                self.queue.adopt(pool::take_output);
                self.queue.copied().extend_from_slice(&log.bytes(range));
            }
            Piece::Frames(log, range) => self.queue.push_brief(log.bytes(range)),
            Piece::Payload(payload) => self.queue.push(payload.bytes()),
        });
        self.has_pushes |= frames > 0;
        self.count(frames, self.queue.len() - before);
    }

    /// Writes the queue until the transport takes no more. `Ready` when all is written.
    ///
    /// # Errors
    /// The transport's, and [`io::ErrorKind::WriteZero`] if it takes nothing.
    pub(super) fn poll_write(
        &mut self,
        transport: &mut impl Transport,
        now: Instant,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let written = self.poll_write_all(transport, cx);
        match written {
            Poll::Pending => {
                self.stuck.get_or_insert(now);
                self.settle();
                self.fit();
            }
            // While closing, each poll writes first; an empty queue is no progress then.
            Poll::Ready(_) if self.closing => {}
            Poll::Ready(_) => self.stuck = None,
        }
        written
    }

    fn poll_write_all(&mut self, transport: &mut impl Transport, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.queue.is_empty() {
            let written = match self.queue.piece() {
                Some(piece) => Pin::new(&mut *transport).poll_write(cx, piece),
                None => {
                    let mut slices = [IoSlice::new(&[]); MAX_SLICES];
                    let count = self.queue.slices(&mut slices);
                    Pin::new(&mut *transport).poll_write_vectored(cx, &slices[..count])
                }
            };
            match ready!(written) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(n) => {
                    self.queue.written(n);
                    self.replied = self.replied.min(self.queue.len() - self.queue.copied_len());
                    (self.unflushed, self.stuck) = (true, None);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        if self.unflushed {
            ready!(Pin::new(transport).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Copies queued bytes out of memory shared with other connections, so that it can be freed when these are done
    /// with it.
    fn settle(&mut self) {
        let brief = self.queue.brief_len();
        if brief > 0 && self.lease.reach(self.own() + brief) >= self.own() + brief {
            self.queue.settle();
        }
    }

    /// Keeps the memory of the queue within the lease. If little is queued in it, or little memory is left for others,
    /// the queue gets memory of its own length.
    fn fit(&mut self) {
        let (capacity, waits, replied) = (self.queue.capacity(), self.queue.copied_len(), self.replied);
        let fits = |allowed: usize| capacity + replied <= allowed || capacity == waits;
        if !fits(self.lease.allowed())
            && (waits < capacity / 4 || !fits(self.lease.reach_if_plenty(capacity + replied)))
        {
            pool::give_output(self.queue.fit());
        }
    }

    /// All is written. Returns whether there were pushes.
    pub(super) fn written_pushes(&mut self) -> bool {
        self.replied = 0;
        self.lease.shrink(0);
        std::mem::take(&mut self.has_pushes)
    }

    /// Wakes the task that waits for room, if there is some. If that is this task, returns true instead.
    pub(super) fn wake_waiting(&mut self, cx: &Context<'_>) -> bool {
        if self.is_full() || self.wants > 0 && !self.queue.is_empty() {
            return false;
        }
        match self.waiting.take() {
            Some(waker) if waker.will_wake(cx.waker()) => true,
            Some(waker) => {
                waker.wake();
                false
            }
            None => false,
        }
    }

    /// If nothing is queued, gives the memory to other connections.
    pub(super) fn park(&mut self) {
        if self.queue.is_empty() {
            if let Some(memory) = self.queue.release() {
                pool::give_output(memory);
            }
            self.lease.shrink(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use futures_lite::io::{AsyncRead, AsyncWrite};

    use super::*;
    use crate::server::budget::ALLOWANCE;
    use crate::server::serve::share;
    use crate::server::system;

    /// A peer that takes so many bytes, and then nothing.
    struct Takes(usize);

    impl AsyncRead for Takes {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut [u8]) -> Poll<io::Result<usize>> {
            Poll::Pending
        }
    }

    impl AsyncWrite for Takes {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
            let n = self.0.min(buf.len());
            self.0 -= n;
            if n == 0 { Poll::Pending } else { Poll::Ready(Ok(n)) }
        }
        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    impl Transport for Takes {}

    /// Whatever is sent, and however little the peer takes: the memory of the queue is leased.
    #[test]
    fn the_memory_of_the_queue_is_leased() {
        let (_, shared) = share(ServerConfig::default().memory_budget(Some(4 << 20))).expect("a configuration");
        let mut cx = Context::from_waker(Waker::noop());
        for (others, takes, len) in
            [(0, 0, 100), (0, 60_000, 1000), ((4 << 20) - 100_000, 0, 100), ((4 << 20) - 100_000, 50_000, 1000)]
        {
            // A buffer that another connection has used.
            pool::give_output(Vec::with_capacity(64 * 1024));
            let mut lease = Lease::new(&shared.budget, For::Writing);
            lease.reach(others);
            let (mut output, mut peer) = (Output::new(&shared), Takes(takes));
            while output.poll_room(len, &cx).is_ready() {
                output.copied(&Envelope::default(), &vec![7; len]).expect("a short frame");
                let taken = output.poll_write(&mut peer, system::now(), &mut cx).is_ready();
                let (capacity, waits) = (output.queue.capacity(), output.queue.copied_len());
                let allowed = output.lease.allowed();
                assert!(taken || capacity <= allowed, "{capacity} bytes of memory for {waits}, {allowed} leased");
            }
            output.poll_write(&mut Takes(usize::MAX), system::now(), &mut cx).is_ready().then_some(()).expect("taken");
            output.park();
            assert_eq!((output.queue.capacity(), output.lease.allowed() - ALLOWANCE), (0, 0));
        }
    }
}
