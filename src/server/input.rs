//! The reading side of a connection: when it reads, into what memory, and when the peer is late.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use super::ServerConfig;
use super::budget::{For, Lease};
use super::pool::{self, LARGE_READ_LEN, READ_LEN};
use super::shared::Shared;
use super::timeouts::Due;
use super::transport::Transport;
use crate::close::CloseReason;
use crate::framing::{Decoder, Header};

/// Reads in a row, without a wait, after which a connection yields to others; a long one counts as several.
const READS_A_TURN: u32 = 16;

/// KiB that a peer may still send after a stop: more than a socket's receive buffer holds, so what had arrived by then is
/// dealt with. A peer that goes on sending is not waited for.
const LAST_KIB: u32 = 8 * 1024;

/// What came by so few bytes, 1 KiB, is copied to memory of its own before a handler sees it: one that waits keeps no more.
const PINNED_LEN: usize = 1024;

/// An unfinished frame of so few bytes, 4 KiB, is copied from memory of its own to that of a read, and back.
const MOVED_LEN: usize = 4 * 1024;

/// Memory of so many bytes is kept while a connection waits for the next frame: another one as short needs none then.
const KEPT_LEN: usize = 128;

/// The reading side of a connection.
pub(super) struct Input<H: Header> {
    pub(super) decoder: Decoder<Arc<H>>,
    lease: Lease,
    /// What the peer must send next, and since when.
    due: Due,
    pub(super) frames_in: u64,
    pub(super) bytes_in: u64,
    /// KiB that came after a stop, each read's rounded up.
    since_stop: u32,
    /// Reads of [`READ_LEN`] since it last waited or yielded.
    reads_in_a_row: u32,
    /// Whether the last frame was a large one: more is read at once then.
    pub(super) large_frames: bool,
    /// Whether the last read brought few bytes.
    short_reads: bool,
    /// Bytes for which a lease is waited for.
    wants: usize,
}

impl<H: Header> Input<H> {
    pub(super) fn new(header: Arc<H>, shared: &Shared, now: Instant) -> Input<H> {
        Input {
            decoder: Decoder::with_read_len(header, READ_LEN).keeping(usize::MAX),
            lease: Lease::new(&shared.budget, For::Reading),
            due: Due::first(now),
            frames_in: 0,
            bytes_in: 0,
            since_stop: 0,
            reads_in_a_row: 0,
            large_frames: false,
            short_reads: true,
            wants: 0,
        }
    }

    /// Whether the connection is to yield to others now; the count begins again.
    pub(super) fn ends_turn(&mut self) -> bool {
        let ends = self.reads_in_a_row >= READS_A_TURN;
        if ends {
            self.reads_in_a_row = 0;
        }
        ends
    }

    /// Bytes that an unfinished frame holds above the allowance.
    pub(super) fn held(&self) -> usize {
        self.lease.allowed() - For::Reading.allowance()
    }

    /// Bytes for which a lease is waited for.
    pub(super) fn wants(&self) -> Option<usize> {
        (self.wants > 0).then_some(self.wants)
    }

    /// What was read last is handled; whether there was a whole frame in it.
    ///
    /// # Errors
    /// Where the peer goes on sending after a stop.
    pub(super) fn dealt_with(&mut self, frames_came: bool, now: Instant) -> Result<(), CloseReason> {
        self.due.came(now, frames_came, self.decoder.buffered());
        if self.since_stop < LAST_KIB { Ok(()) } else { Err(CloseReason::Stopped) }
    }

    /// The peer read something of what is written to it.
    pub(super) fn took(&mut self, now: Instant) {
        self.due.took(now);
    }

    /// When the peer is late, if ever.
    pub(super) fn deadline(&self, config: &ServerConfig<()>) -> Option<Instant> {
        self.due.until(config, self.decoder.buffered())
    }

    /// Why a late peer's connection ends.
    pub(super) fn overdue(&self, config: &ServerConfig<()>) -> CloseReason {
        let mut reason = self.due.overdue(config, self.decoder.buffered(), self.decoder.need());
        if let CloseReason::SlowFrame { diagnosis, .. } | CloseReason::Silent { diagnosis, .. } = &mut reason {
            *diagnosis = self.decoder.finish().err().and_then(|error| error.diagnosis());
        }
        reason
    }

    /// Reads once, into memory that is leased before. `Pending` where there is nothing to read, or no lease to be had.
    pub(super) fn poll_read(
        &mut self,
        transport: &mut impl Transport,
        stopping: bool,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let room = self.lease_room();
        if room == 0 {
            return Poll::Pending;
        }
        let read = loop {
            let read = match self.decoder.buffered() {
                0 => self.poll_read_anew(transport, room, cx),
                _ => self.poll_read_on(transport, room, cx),
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

    /// Reads where nothing is buffered: into the thread's memory, of which a connection keeps what comes by more than a few
    /// bytes, so that one whose handler waits for few has little memory.
    fn poll_read_anew(
        &mut self,
        transport: &mut impl Transport,
        room: usize,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let mut memory = pool::take_input(self.read_len());
        let len = memory.len().min(room);
        let read = Pin::new(transport).poll_read(cx, &mut memory[..len]);
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

    /// Reads behind what is buffered.
    fn poll_read_on(
        &mut self,
        transport: &mut impl Transport,
        room: usize,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        // The thread's memory, unless an unfinished frame has enough of its own.
        if self.decoder.capacity() < self.read_len() && self.decoder.buffered() <= MOVED_LEN {
            self.move_to(pool::take_input(self.read_len()));
        }
        let space = self.decoder.space();
        let len = space.len().min(room);
        let read = Pin::new(transport).poll_read(cx, &mut space[..len]);
        if let Poll::Ready(Ok(n)) = read {
            self.decoder.filled(n);
            if self.decoder.buffered() <= PINNED_LEN {
                self.move_to(Vec::new());
            }
        }
        read
    }

    fn read_len(&self) -> usize {
        if self.large_frames { LARGE_READ_LEN } else { READ_LEN }
    }

    /// How many bytes may be read, by what is leased now.
    fn lease_room(&mut self) -> usize {
        let (buffered, capacity) = (self.decoder.buffered(), self.decoder.capacity());
        if self.short_reads && buffered == 0 {
            // What came last was short, and what comes next mostly is: it needs no lease.
            return self.lease.allowed();
        }
        // The decoder's memory grows to the frame, but no further than to twice what came.
        let grown = buffered.min(self.decoder.need()) + buffered;
        let wanted = (buffered + self.read_len()).max(grown).max(capacity);
        let room = self.lease.reach(wanted).saturating_sub(buffered);
        self.wants = if room == 0 { wanted } else { 0 };
        room
    }

    /// Keeps an unfinished frame only, in memory of its own length, where the buffer is much longer; others may use the
    /// buffer. What a connection that waits can hold is so at most four times what it received and did not finish.
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

/// What reading and forgetting came to.
pub(super) enum Forgotten {
    /// There is nothing to read.
    Nothing,
    /// There is more to read; the connection is to yield first.
    Turn,
    /// The peer's end.
    End,
}

/// Reads up to [`READS_A_TURN`] times, and keeps nothing.
pub(super) fn read_and_forget(transport: &mut impl Transport, cx: &mut Context<'_>) -> Forgotten {
    let mut buffer = pool::take_input(READ_LEN);
    let mut forgotten = Forgotten::Turn;
    for _ in 0..READS_A_TURN {
        match Pin::new(&mut *transport).poll_read(cx, &mut buffer) {
            Poll::Ready(Ok(1..)) => continue,
            Poll::Ready(_) => forgotten = Forgotten::End,
            Poll::Pending => forgotten = Forgotten::Nothing,
        }
        break;
    }
    pool::give_input(buffer);
    forgotten
}
