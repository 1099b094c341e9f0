//! The reading side of a served connection: when it reads, into what memory, and for how long it waits.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_lite::future::poll_fn;
use futures_lite::io::AsyncRead;

use super::place::Place;
use super::pool::{self, LARGE_READ_LEN, READ_LEN};
use super::responder::Responder;
use super::timeouts::Due;
use crate::close::CloseReason;
use crate::framing::{Decoder, Format};

/// Reads in a row, without a wait, after which other connections have their turn; a long one counts as several.
const READS_A_TURN: u32 = 16;

/// How long a peer has to read our last replies after we closed, before it is cut off.
const LINGER: Duration = Duration::from_secs(1);

/// KiB that a peer may still send after a stop: more than a socket's receive buffer holds, so what had arrived by then is
/// dealt with. A peer that goes on sending is not waited for.
const LAST_KIB: u32 = 8 * 1024;

/// What a wait for input ended with.
pub(super) enum Woken {
    Bytes,
    End,
}

/// The reading side.
pub(super) struct Input<R> {
    pub(super) reader: R,
    pub(super) decoder: Decoder<Rc<Format>>,
    pub(super) place: Rc<Place>,
    /// What the peer must send next, and since when.
    due: Due,
    pub(super) frames_in: u64,
    pub(super) bytes_in: u64,
    /// KiB that came after a stop, each read's rounded up.
    since_stop: u32,
    /// Reads of [`READ_LEN`] since it last waited or gave others their turn.
    reads_in_a_row: u32,
    /// Whether the last frame was a large one: more is read at once then.
    pub(super) large_frames: bool,
}

impl<R> Input<R> {
    pub(super) fn new(reader: R, decoder: Decoder<Rc<Format>>, place: Rc<Place>) -> Input<R> {
        Input {
            reader,
            decoder,
            due: Due::first(place.now()),
            place,
            frames_in: 0,
            bytes_in: 0,
            since_stop: 0,
            reads_in_a_row: 0,
            large_frames: false,
        }
    }

    /// Whether it is others' turn now; another one of its own begins.
    pub(super) fn ends_turn(&mut self) -> bool {
        let ends = self.reads_in_a_row >= READS_A_TURN;
        if ends {
            self.reads_in_a_row = 0;
        }
        ends
    }
}

impl<R: AsyncRead + Unpin> Input<R> {
    /// Waits for bytes, for the end, for a deadline, or for being told to stop at a frame's end. Memory for bytes is held
    /// only when there are some.
    // No async function: that would keep what it is given twice.
    pub(super) fn wait(&mut self, replies: &mut Responder) -> impl Future<Output = Result<Woken, Box<CloseReason>>> {
        poll_fn(|cx| match self.poll_read(cx) {
            Poll::Ready(Ok(0)) => Poll::Ready(Ok(Woken::End)),
            Poll::Ready(Ok(_)) => {
                replies.unpark();
                Poll::Ready(Ok(Woken::Bytes))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(Box::new(error.into()))),
            Poll::Pending => {
                replies.park();
                match self.give_up(cx) {
                    Some(reason) => Poll::Ready(Err(Box::new(reason))),
                    None => Poll::Pending,
                }
            }
        })
    }

    /// Why not to wait any longer, if so; wakes the task when that changes.
    fn give_up(&self, cx: &mut Context<'_>) -> Option<CloseReason> {
        let received = self.decoder.buffered();
        if self.place.poll_stopping(cx) && received == 0 {
            return Some(CloseReason::Stopped);
        }
        let config = self.place.config();
        if let Some(deadline) = self.due.until(config, received)
            && self.place.poll_until(deadline, cx).is_ready()
        {
            let mut reason = self.due.overdue(config, received, self.decoder.need());
            if let CloseReason::SlowFrame { diagnosis, .. } = &mut reason {
                *diagnosis = self.decoder.finish().err().and_then(|error| error.diagnosis());
            }
            return Some(reason);
        }
        self.place.hold().err()
    }

    /// What came last is dealt with, and there was a whole frame among it or not.
    ///
    /// # Errors
    /// Where the peer goes on sending after a stop.
    pub(super) fn dealt_with(&mut self, frames_came: bool) -> Result<(), Box<CloseReason>> {
        self.due.came(self.place.now(), frames_came, self.decoder.buffered());
        if self.since_stop < LAST_KIB { Ok(()) } else { Err(CloseReason::Stopped.into()) }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.make_room();
        loop {
            match Pin::new(&mut self.reader).poll_read(cx, self.decoder.space()) {
                Poll::Ready(Ok(n)) => {
                    self.decoder.filled(n);
                    self.bytes_in += n as u64;
                    self.reads_in_a_row += n.div_ceil(READ_LEN) as u32;
                    if self.place.stopping() {
                        self.since_stop += n.div_ceil(1024) as u32;
                    }
                    self.place.input.set(self.decoder.capacity());
                    return Poll::Ready(Ok(n));
                }
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    self.reads_in_a_row = 0;
                    self.park();
                    return Poll::Pending;
                }
            }
        }
    }

    /// Sees to it that there is memory for a read: the pool's, also where an unfinished frame is to fit. Where the pool has
    /// none for that, the decoder's own grows with what is received.
    fn make_room(&mut self) {
        let read_len = if self.large_frames { LARGE_READ_LEN } else { READ_LEN };
        let capacity = self.decoder.capacity();
        if capacity < read_len {
            self.move_to(pool::take_input(read_len));
        } else if self.decoder.buffered() > 0 {
            let frame_len = self.decoder.buffered() + self.decoder.need();
            if capacity < frame_len
                && let Some(buffer) = pool::find_input(frame_len)
            {
                self.move_to(buffer);
            }
        }
    }

    /// Keeps an unfinished frame only, in memory of its own length, where the buffer is much longer; others may use the
    /// buffer. What a connection that waits can hold is so at most four times what it received and did not finish.
    pub(super) fn park(&mut self) {
        if self.decoder.buffered() <= self.decoder.capacity() / 4 {
            self.move_to(Vec::new());
        }
        self.place.input.set(self.decoder.capacity());
    }

    fn move_to(&mut self, buffer: Vec<u8>) {
        pool::give_input(self.decoder.swap_buffer(buffer));
    }

    /// Reads to the peer's end, or until it had its time, and keeps nothing.
    pub(super) async fn discard(&mut self) {
        let Input { reader, place, .. } = self;
        let until = place.now().checked_add(LINGER);
        poll_fn(|cx| match read_and_forget(reader, cx) {
            Forgotten::End => Poll::Ready(()),
            read => {
                if let Forgotten::Turn = read {
                    place.next_turn(cx);
                }
                until.map_or(Poll::Pending, |until| place.poll_until(until, cx))
            }
        })
        .await;
    }
}

/// What reading and forgetting came to.
enum Forgotten {
    /// There is nothing to read.
    Nothing,
    /// The turn is over, and the peer goes on.
    Turn,
    /// The peer's end.
    End,
}

/// Reads for a turn, and keeps nothing.
fn read_and_forget<R: AsyncRead + Unpin>(reader: &mut R, cx: &mut Context<'_>) -> Forgotten {
    let mut buffer = pool::take_input(READ_LEN);
    let mut forgotten = Forgotten::Turn;
    for _ in 0..READS_A_TURN {
        match Pin::new(&mut *reader).poll_read(cx, &mut buffer) {
            Poll::Ready(Ok(1..)) => continue,
            Poll::Ready(_) => forgotten = Forgotten::End,
            Poll::Pending => forgotten = Forgotten::Nothing,
        }
        break;
    }
    pool::give_input(buffer);
    forgotten
}
