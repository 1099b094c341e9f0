//! The reading side of a connection: when it reads, into what memory, and when the peer is late.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use super::ServerConfig;
use super::budget::{ALLOWANCE, For, Lease};
use super::pool::{self, LARGE_READ_LEN, READ_LEN};
use super::shared::Shared;
use super::timeouts::Expected;
use super::transport::Transport;
use crate::close::CloseReason;
use crate::framing::{Decoder, Header};

/// After so many reads without a wait, a connection yields to others. A long read counts as several.
const READS_A_TURN: u32 = 16;

/// KiB that a peer may still send after a stop: more than a socket's receive buffer holds, so all that had arrived by
/// then is handled. A peer that continues to send is ended.
const LAST_KIB: u32 = 8 * 1024;

/// Up to so many bytes, 1 KiB, are copied to memory of their own length before the handler gets them: so a handler that
/// waits does not keep a long buffer for a few bytes.
const PINNED_LEN: usize = 1024;

/// An unfinished frame of up to so many bytes, 4 KiB, is copied to a buffer for a long read, and back.
const MOVED_LEN: usize = 4 * 1024;

/// Up to so many bytes of memory are kept while a connection waits for the next frame, which may be as short.
const KEPT_LEN: usize = 128;

/// The reading side of a connection.
pub(super) struct Input<H: Header> {
    pub(super) decoder: Decoder<Arc<H>>,
    lease: Lease,
    /// What the peer must send next, and since when.
    expected: Expected,
    pub(super) frames_in: u64,
    pub(super) bytes_in: u64,
    /// KiB received after a stop, each read rounded up.
    since_stop: u32,
    /// Reads of [`READ_LEN`] since it last waited or yielded.
    reads_in_a_row: u32,
    /// Whether the last frame was large: then reads are longer.
    pub(super) large_frames: bool,
    /// Whether the last read was short.
    short_reads: bool,
    /// Bytes that the connection waits to lease.
    wants: usize,
}

impl<H: Header> Input<H> {
    pub(super) fn new(header: Arc<H>, shared: &Shared, now: Instant) -> Input<H> {
        Input {
            decoder: Decoder::with_read_len(header, READ_LEN).keeping(usize::MAX),
            lease: Lease::new(&shared.budget, For::Reading),
            expected: Expected::first(now),
            frames_in: 0,
            bytes_in: 0,
            since_stop: 0,
            reads_in_a_row: 0,
            large_frames: false,
            short_reads: true,
            wants: 0,
        }
    }

    /// Whether the connection must yield to others now. The count of reads begins again then.
    pub(super) fn must_yield(&mut self) -> bool {
        let ends = self.reads_in_a_row >= READS_A_TURN;
        if ends {
            self.reads_in_a_row = 0;
        }
        ends
    }

    /// Bytes that an unfinished frame holds above the allowance.
    pub(super) fn held(&self) -> usize {
        self.lease.allowed() - ALLOWANCE
    }

    /// Bytes that the connection waits to lease.
    pub(super) fn wants(&self) -> Option<usize> {
        (self.wants > 0).then_some(self.wants)
    }

    /// The bytes of the last read are handled. `frames_came`: whether there was a whole frame among them.
    ///
    /// # Errors
    /// If the peer continues to send after a stop.
    pub(super) fn handled(&mut self, frames_came: bool, now: Instant) -> Result<(), CloseReason> {
        self.expected.received(now, frames_came, self.decoder.buffered());
        if self.since_stop < LAST_KIB { Ok(()) } else { Err(CloseReason::Stopped) }
    }

    /// The peer read some of the bytes written to it.
    pub(super) fn peer_read(&mut self, now: Instant) {
        self.expected.peer_read(now);
    }

    /// There is nothing to read. The transport has `below` bytes of an unfinished record, to which a frame's timeout
    /// applies.
    pub(super) fn waits(&mut self, below: usize, now: Instant) {
        self.expected.received(now, false, self.decoder.buffered() + below);
    }

    /// Why the connection ends if its transport failed. A stream that was cut off inside a frame is truncated.
    pub(super) fn broke(&self, error: io::Error) -> CloseReason {
        match self.decoder.finish() {
            Err(truncated) if error.kind() == io::ErrorKind::UnexpectedEof => truncated.into(),
            _ => error.into(),
        }
    }

    /// When the peer is late, if ever, with `below` bytes of an unfinished record received.
    pub(super) fn deadline(&self, config: &ServerConfig<()>, below: usize) -> Option<Instant> {
        self.expected.deadline(config, self.decoder.buffered() + below)
    }

    /// Why a late peer's connection ends.
    pub(super) fn overdue(&self, config: &ServerConfig<()>, below: usize) -> CloseReason {
        let mut reason = self.expected.overdue(config, self.decoder.buffered() + below, self.decoder.need());
        if let CloseReason::SlowFrame { diagnosis, .. } | CloseReason::Silent { diagnosis, .. } = &mut reason {
            *diagnosis = self.decoder.finish().err().and_then(|error| error.diagnosis());
        }
        reason
    }

    /// Reads once, into memory that is leased before. `Pending` if there is nothing to read, or no memory to lease.
    pub(super) fn poll_read(
        &mut self,
        transport: &mut impl Transport,
        stopping: bool,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let is_leased = self.lease_long_read();
        let read = loop {
            let read = match (is_leased, self.decoder.buffered()) {
                (false, _) => self.poll_read_short(transport, cx),
                (true, 0) => self.poll_read_anew(transport, cx),
                (true, _) => self.poll_read_on(transport, cx),
            };
            match read {
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        match &read {
            Poll::Ready(Ok(n)) => {
                self.bytes_in += *n as u64;
                self.reads_in_a_row += n.div_ceil(READ_LEN) as u32;
                self.short_reads = *n <= PINNED_LEN;
                if stopping {
                    self.since_stop += n.div_ceil(1024) as u32;
                }
            }
            Poll::Ready(Err(_)) => {}
            Poll::Pending => {
                self.reads_in_a_row = 0;
                self.park();
            }
        }
        read
    }

    /// Reads while nothing is buffered, into a buffer of the thread. The connection keeps the buffer if the read was
    /// long. A few bytes are copied, so that a connection whose handler waits keeps little memory.
    fn poll_read_anew(&mut self, transport: &mut impl Transport, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut memory = self.take_memory();
        let read = Pin::new(transport).poll_read(cx, &mut memory);
        match read {
            Poll::Ready(Ok(n)) if n > PINNED_LEN => {
                pool::give_input(self.decoder.swap_buffer(memory));
                self.decoder.filled(n);
                return read;
            }
            Poll::Ready(Ok(n)) => self.decoder.feed(&memory[..n]),
            _ => {}
        }
        pool::give_input(memory);
        read
    }

    /// Reads more, after the buffered bytes.
    fn poll_read_on(&mut self, transport: &mut impl Transport, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        // Into a buffer of the thread, unless the unfinished frame has enough memory of its own.
        if self.decoder.capacity() < self.read_len() && self.decoder.buffered() <= MOVED_LEN {
            let memory = self.take_memory();
            self.move_to(memory);
        }
        let read = Pin::new(transport).poll_read(cx, self.decoder.space());
        if let Poll::Ready(Ok(n)) = read {
            self.decoder.filled(n);
            if self.decoder.buffered() <= PINNED_LEN {
                self.move_to(Vec::new());
            }
        }
        read
    }

    /// Reads what the current frame needs, at most a quarter more than was received of it and at most what is leased,
    /// and keeps it in memory that is no longer than the lease.
    fn poll_read_short(&mut self, transport: &mut impl Transport, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let buffered = self.decoder.buffered();
        let more = if buffered < 4 { 1 } else { self.decoder.need().min(buffered / 4) };
        let wanted = buffered + more;
        let allowed = self.lease.reach(wanted);
        let room = allowed.saturating_sub(buffered);
        self.wants = if room == 0 { wanted } else { 0 };
        if room == 0 {
            return Poll::Pending;
        }
        let mut memory = pool::take_input(READ_LEN);
        let read = Pin::new(transport).poll_read(cx, &mut memory[..room.min(READ_LEN)]);
        if let Poll::Ready(Ok(n)) = read {
            if !self.decoder.fits(n) {
                self.move_to(Vec::with_capacity(allowed.min(buffered + n.max(buffered / 4))));
            }
            self.decoder.feed(&memory[..n]);
        }
        pool::give_input(memory);
        read
    }

    fn read_len(&self) -> usize {
        if self.large_frames { LARGE_READ_LEN } else { READ_LEN }
    }

    /// A buffer of the thread for a leased read. A longer one is used only if all of it can be leased.
    fn take_memory(&mut self) -> Vec<u8> {
        let memory = pool::take_input(self.read_len());
        if self.lease.reach_if_plenty(memory.capacity()) >= memory.capacity() {
            return memory;
        }
        pool::give_input(memory);
        vec![0; self.read_len()]
    }

    /// Leases memory for a long read. Returns false if the read may be short, or if little memory would be left for
    /// others.
    fn lease_long_read(&mut self) -> bool {
        let (buffered, capacity) = (self.decoder.buffered(), self.decoder.capacity());
        if self.short_reads && buffered == 0 {
            // The last read was short, and mostly the next one is.
            return false;
        }
        // The decoder's memory grows by a read, or to twice the buffered bytes.
        let wanted = (buffered + self.read_len().max(buffered)).max(capacity);
        let is_leased = self.lease.reach_if_plenty(wanted) >= wanted;
        if is_leased {
            self.wants = 0;
        }
        is_leased
    }

    /// Moves an unfinished frame to memory of its own length if the buffer is much longer, and gives the buffer to
    /// other connections. So a connection that waits holds at most four times the bytes of its unfinished frame.
    pub(super) fn park(&mut self) {
        let (buffered, capacity) = (self.decoder.buffered(), self.decoder.capacity());
        if buffered <= capacity / 4 && capacity > KEPT_LEN {
            self.move_to(Vec::new());
        }
        self.lease.shrink(self.decoder.capacity());
    }

    fn move_to(&mut self, buffer: Vec<u8>) {
        pool::give_input(self.decoder.swap_buffer(buffer));
    }
}

/// The result of reading and discarding.
pub(super) enum Discarded {
    /// There is nothing to read.
    Nothing,
    /// There is more to read; the connection must yield first.
    Yield,
    /// The peer ended its stream.
    End,
}

/// Reads up to [`READS_A_TURN`] times, and discards the bytes.
pub(super) fn read_and_discard(transport: &mut impl Transport, cx: &mut Context<'_>) -> Discarded {
    let mut buffer = pool::take_input(READ_LEN);
    let mut discarded = Discarded::Yield;
    for _ in 0..READS_A_TURN {
        match Pin::new(&mut *transport).poll_read(cx, &mut buffer) {
            Poll::Ready(Ok(1..)) => continue,
            Poll::Ready(_) => discarded = Discarded::End,
            Poll::Pending => discarded = Discarded::Nothing,
        }
        break;
    }
    pool::give_input(buffer);
    discarded
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use futures_lite::io::{AsyncRead, AsyncWrite};

    use super::*;
    use crate::framing::Format;
    use crate::server::serve::share;
    use crate::server::system;

    /// A peer that sent some bytes, of which each read returns so many.
    struct Sent(Vec<u8>, usize);

    impl AsyncRead for Sent {
        fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
            let n = self.0.len().min(self.1).min(buf.len());
            buf[..n].copy_from_slice(&self.0[..n]);
            self.0.drain(..n);
            if n == 0 { Poll::Pending } else { Poll::Ready(Ok(n)) }
        }
    }

    impl AsyncWrite for Sent {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
            Poll::Pending
        }
        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    impl Transport for Sent {}

    /// Whatever is left of the budget, and however the bytes arrive: what is held is leased, and what is leased is
    /// used.
    #[test]
    fn no_more_is_held_than_is_leased() {
        let config = ServerConfig::default().memory_budget(Some(8 << 20));
        let (header, shared) = share(config.format(Format::U32_LE)).expect("a configuration");
        let frame = |len: usize| [&(len as u32).to_le_bytes()[..], &vec![7; len]].concat();
        for left in [0, 1000, 3000, 30_000, 100_000, 600_000, 6 << 20] {
            let mut others = Lease::new(&shared.budget, For::Reading);
            let total = ALLOWANCE + shared.budget.most(For::Reading) - left;
            assert_eq!(others.reach(total), total);
            for (len, piece) in
                [(100, 100), (1500, 1500), (4000, 300), (20_000, 9000), (60_000, 60_000), (500_000, 70_000)]
            {
                let mut input = Input::new(Arc::clone(&header), &shared, system::now());
                let mut sent = Sent(frame(len).repeat(3), piece);
                let mut cx = Context::from_waker(Waker::noop());
                let mut frames = 0;
                while input.poll_read(&mut sent, false, &mut cx).is_ready() {
                    let (capacity, allowed) = (input.decoder.capacity(), input.lease.allowed());
                    assert!(capacity <= allowed, "{left} left, {len} in {piece}: {capacity} of {allowed}");
                    while let Some(frame) = input.decoder.whole_frame() {
                        input.large_frames = frame.as_bytes().len() > READ_LEN / 4;
                        frames += 1;
                    }
                }
                input.park();
                assert!(input.decoder.capacity() <= input.lease.allowed());
                // It needs memory for the frame itself, and only the second half takes the rest of the budget.
                let enough = len + 4 <= ALLOWANCE + left;
                assert_eq!((frames == 3, sent.0.is_empty()), (enough, enough), "{left} left, {len} in {piece}");
            }
        }
    }
}
