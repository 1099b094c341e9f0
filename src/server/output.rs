//! The writing side of a connection: what waits to be written, and how long the peer has taken nothing of it.

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

/// Bytes that a reply takes besides its payload, at most.
const AROUND: usize = MAX_HEADER_LEN + MAX_TRAILER_LEN;

/// Bytes that are leased for replies at a time, so that most of them need not ask.
const LEASED_AT_ONCE: usize = 16 * 1024;

/// A range of frames that were pushed is copied up to this length.
const COPIED_LEN: usize = 512;

/// Slices of one vectored write at most.
const MAX_SLICES: usize = 64;

/// What waits to be written to one connection.
pub(super) struct Output {
    queue: Queue,
    encode: Arc<Encoding>,
    lease: Lease,
    high_water: usize,
    /// Bytes received at once in memory that replies share: as many may wait, too.
    pub(super) lent: usize,
    /// Bytes of replies that stay where they are, of which not all are written.
    replied: usize,
    /// Something was taken from the outbox, and not all is written.
    has_pushes: bool,
    /// Frames and bytes that were put on their way.
    pub(super) frames: u64,
    pub(super) bytes: u64,
    /// Who waits until there is room, or until all is written.
    waiting: Option<Waker>,
    /// The bytes for which a reply waits that need a lease.
    wants: usize,
    /// Since when the peer has taken nothing, while something waits.
    stuck: Option<Instant>,
    /// What was written may still be within the transport.
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

    /// Bytes that wait.
    pub(super) fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Whether so much waits that nothing more is read, and no more replies are queued.
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

    /// Why a connection ends whose peer takes nothing, of this and of what is `unsent` in the transport.
    pub(super) fn overdue(&self, config: &ServerConfig<()>, unsent: usize) -> CloseReason {
        CloseReason::SlowReader { queued: self.queued() + unsent, timeout: config.write_timeout.unwrap_or_default() }
    }

    /// Bytes that are held for what the peer does not take.
    pub(super) fn held(&self) -> usize {
        if self.stuck.is_some() { self.queue.len() } else { 0 }
    }

    /// Bytes that are to be leased. What was pushed is charged for all that have it.
    #[inline]
    fn own(&self) -> usize {
        self.queue.copied_len() + self.replied
    }

    /// Whether a payload of so many bytes may be queued now; where not, the task is woken once it may.
    #[inline]
    pub(super) fn poll_room(&mut self, payload_len: usize, cx: &Context<'_>) -> Poll<()> {
        let total = self.own() + payload_len + AROUND;
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
            self.wants = total;
        }
        self.waiting = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Ready when nothing waits; the task is woken then.
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

    /// Queues a frame whose payload stays where it is.
    pub(super) fn shared(&mut self, envelope: &Envelope<'_>, payload: Bytes) -> Result<(), EncodeError> {
        let (before, mut trailer) = (self.queue.len(), Vec::new());
        self.encode.around(*envelope, &payload, self.queue.copied(), &mut trailer)?;
        self.replied += payload.len();
        self.queue.push(payload);
        self.queue.copied().extend_from_slice(&trailer);
        self.count(1, self.queue.len() - before);
        Ok(())
    }

    /// Queues what is said first.
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

    /// Takes what was pushed, behind what waits.
    pub(super) fn take(&mut self, outbox: &Outbox, cx: Option<&Context<'_>>) {
        let before = self.queue.len();
        let frames = outbox.take(cx, |piece| match piece {
            // A short one costs less to copy than to point at.
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

    /// Writes what waits, as far as it is taken. `Ready` when nothing waits any more.
    ///
    /// # Errors
    /// The transport's, and [`io::ErrorKind::WriteZero`] where it takes nothing.
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
            // Whoever closes writes before, each time it asks; that this is done is no progress then.
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

    /// What waits for its peer is copied from memory that it shares with others, which may be done with it.
    fn settle(&mut self) {
        let brief = self.queue.brief_len();
        if brief > 0 && self.lease.reach(self.own() + brief) >= self.own() + brief {
            self.queue.settle();
        }
    }

    /// What waits for its peer has no more memory than is leased: where little waits in it, or little is left for others, it gets
    /// memory of its own length.
    fn fit(&mut self) {
        let (capacity, waits, replied) = (self.queue.capacity(), self.queue.copied_len(), self.replied);
        let fits = |allowed: usize| capacity + replied <= allowed || capacity == waits;
        if !fits(self.lease.allowed())
            && (waits < capacity / 4 || !fits(self.lease.reach_if_plenty(capacity + replied)))
        {
            pool::give_output(self.queue.fit());
        }
    }

    /// All is written: whether there were pushes.
    pub(super) fn written_pushes(&mut self) -> bool {
        self.replied = 0;
        self.lease.shrink(0);
        std::mem::take(&mut self.has_pushes)
    }

    /// Wakes who waits for room, where there is some. Whether that is the task itself, which then need not be woken.
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

    /// Where nothing waits, others may use the memory.
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

    /// Whatever is sent, and however little of it is taken: what waits is leased, with the memory that it is in.
    #[test]
    fn no_more_waits_than_is_leased() {
        let (_, shared) = share(ServerConfig::default().memory_budget(Some(4 << 20))).expect("a configuration");
        let mut cx = Context::from_waker(Waker::noop());
        for (others, takes, len) in
            [(0, 0, 100), (0, 60_000, 1000), ((4 << 20) - 100_000, 0, 100), ((4 << 20) - 100_000, 50_000, 1000)]
        {
            // Memory that others have used.
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
