//! One connection, from its greeting to its end: bytes in, frames to the handler, replies and pushes out, over any
//! transport.

use std::convert::Infallible;
use std::error::Error;
use std::future::Future;
use std::io;
use std::ops::Range;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_lite::FutureExt;
use futures_lite::future::poll_fn;

use super::budget::Member;
use super::clock::Clock;
use super::greeting::Greeting;
use super::input::{Discarded, Input, read_and_discard};
use super::link::Link;
use super::outbox::{self, Outbox, State};
use super::panic;
use super::pool::READ_LEN;
use super::responder::Responder;
use super::transport::Transport;
use crate::close::CloseReason;
use crate::framing::{Frame, Header};

/// How long a peer has to read our last replies after we ended our stream.
pub(super) const LINGER: Duration = Duration::from_secs(1);

/// How often a handler that waited for room continues at once, before the connection yields to others.
const ROOMS_A_TURN: u32 = 16;

/// One connection: everything that only its task uses.
pub(super) struct Connection<T, H: Header, F> {
    transport: T,
    input: Input<H>,
    responder: Responder,
    handler: F,
    /// Its membership in the memory budget.
    member: Member,
}

/// What ended a wait for input.
enum Incoming {
    Bytes,
    End,
}

impl<T: Transport, H: Header, F> Connection<T, H, F> {
    pub(super) fn new(transport: T, header: Arc<H>, link: Rc<Link>, handler: F) -> Connection<T, H, F> {
        let shared = &link.thread.shared;
        let input = Input::new(header, shared, link.thread.clock.peers_now());
        let member = Member::new(&shared.budget);
        Connection { transport, input, responder: Responder { link }, handler, member }
    }

    fn link(&self) -> &Link {
        &self.responder.link
    }

    /// Sends the refusal, and ends the connection.
    pub(super) async fn refuse(&mut self) -> CloseReason {
        let shared = &self.link().thread.shared;
        let max_connections = shared.allowed;
        // A refusal that cannot be encoded was an error when the server was made.
        _ = greet(self.link(), &shared.config.refusal);
        *self.part(Box::new(CloseReason::Refused { max_connections })).await
    }

    /// If we end the connection, or the peer ended its stream inside a frame, writes what was sent before, ends our
    /// stream, and gives the peer time to read. Closing a socket with unread bytes resets the connection, and replies
    /// could be lost.
    async fn part(&mut self, reason: Box<CloseReason>) -> Box<CloseReason> {
        self.link().shut_outbox();
        match *reason {
            CloseReason::Handler(_)
            | CloseReason::Panic(_)
            | CloseReason::Truncated(_)
            | CloseReason::CutOff(_)
            | CloseReason::Tls(_)
            | CloseReason::Oversize(_)
            | CloseReason::Malformed(_)
            | CloseReason::Stopped
            | CloseReason::Ended
            | CloseReason::Refused { .. }
            | CloseReason::Silent { .. }
            | CloseReason::Idle { .. }
            | CloseReason::SlowFrame { .. } => {
                match poll_fn(|cx| self.poll_closed(cx)).await {
                    Ok(()) => self.discard().await,
                    // What the peer has got must not look like all that was sent.
                    Err(_) => self.transport.break_off(),
                }
            }
            CloseReason::SlowReader { .. } | CloseReason::Overflow { .. } | CloseReason::OverBudget { .. } => {
                self.transport.break_off();
            }
            _ => {}
        }
        reason
    }

    /// Writes all that is queued, and ends our stream.
    fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), CloseReason>> {
        let Connection { transport, input, responder, member, .. } = self;
        let link = &*responder.link;
        poll_output(link, transport, cx)?;
        let closed = match link.output.borrow().queued() {
            0 => Pin::new(transport).poll_close(cx),
            _ => Poll::Pending,
        };
        match closed {
            Poll::Ready(closed) => Poll::Ready(closed.map_err(CloseReason::from)),
            Poll::Pending => {
                // A transport that is slow to close has the same timeout as one that is slow to write.
                link.output.borrow_mut().closing(link.thread.clock.peers_now());
                match wait_writing(link, input.held(), member, cx) {
                    Ok(()) => Poll::Pending,
                    Err(reason) => Poll::Ready(Err(reason)),
                }
            }
        }
    }

    /// Reads and discards until the peer ends its stream, at most for [`LINGER`].
    async fn discard(&mut self) {
        let Connection { transport, responder, .. } = self;
        let thread = &responder.link.thread;
        let until = thread.clock.peers_now().checked_add(LINGER);
        poll_fn(|cx| match read_and_discard(transport, cx) {
            Discarded::End => Poll::Ready(()),
            read => {
                if let Discarded::Yield = read {
                    thread.clock.wake_next_turn(cx);
                }
                if thread.wait(responder.link.slot, until, cx) { Poll::Ready(()) } else { Poll::Pending }
            }
        })
        .await;
    }

    /// Waits for bytes, the peer's end, a timeout, or a stop at a frame's end; writes meanwhile. Holds memory for bytes
    /// only while there are some.
    fn poll_input(&mut self, cx: &mut Context<'_>) -> Poll<Result<Incoming, Box<CloseReason>>> {
        let Connection { transport, input, responder, member, .. } = self;
        let link = &*responder.link;
        if poll_output(link, transport, cx)? {
            input.peer_read(link.thread.clock.peers_now());
        }
        if link.state() == State::Closing {
            return Poll::Ready(Err(Box::new(CloseReason::Ended)));
        }
        let stopping = link.thread.stopping();
        if !link.output.borrow().is_full() {
            let read = input.poll_read(transport, stopping, cx);
            match read {
                Poll::Ready(Ok(0)) => return Poll::Ready(Ok(Incoming::End)),
                Poll::Ready(Ok(_)) => return Poll::Ready(Ok(Incoming::Bytes)),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(Box::new(input.broke(error)))),
                Poll::Pending => input.waits(link.kept.get().unfinished, link.thread.clock.peers_now()),
            }
        }
        input.park();
        link.output.borrow_mut().park();
        if stopping && input.decoder.buffered() + link.kept.get().unfinished == 0 {
            return Poll::Ready(Err(Box::new(CloseReason::Stopped)));
        }
        match wait_input(link, input, member, cx) {
            Ok(()) => Poll::Pending,
            Err(reason) => Poll::Ready(Err(Box::new(reason))),
        }
    }
}

impl<T, H: Header, F> Drop for Connection<T, H, F> {
    fn drop(&mut self) {
        self.responder.link.passed(self.input.frames_in, self.input.bytes_in);
    }
}

impl<T, H, F, E> Connection<T, H, F>
where
    T: Transport,
    H: Header,
    F: AsyncFnMut(Frame<'_>, &mut Responder) -> Result<(), E>,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    /// Serves the connection to its end, and returns why it ended.
    ///
    /// Rare states, the handling of bytes, and the reason are boxed: so a connection that waits keeps no memory for
    /// them, however large a handler's future is.
    pub(super) async fn serve(&mut self) -> Box<CloseReason> {
        let Err(reason) = self.run().await;
        Box::pin(self.part(reason)).await
    }

    async fn run(&mut self) -> Result<Infallible, Box<CloseReason>> {
        greet(self.link(), &self.link().thread.shared.config.greeting)?;
        loop {
            if self.input.must_yield() {
                // While it yields, it holds no more memory than a connection that waits for bytes.
                self.input.park();
                yield_to_others(&self.responder.link.thread.clock).await;
            }
            // Not inside the `match`: there the result would take memory in every state of this future.
            let incoming = poll_fn(|cx| self.poll_input(cx)).await?;
            match incoming {
                Incoming::Bytes => Box::pin(self.turn()).await?,
                Incoming::End => Box::pin(self.end()).await?,
            }
        }
    }

    /// Handles every whole frame that has arrived. While the handler waits, replies and pushes are written, and nothing
    /// is read.
    async fn turn(&mut self) -> Result<(), Box<CloseReason>> {
        let Connection { transport, input, responder, handler, member, .. } = self;
        let link = Rc::clone(&responder.link);
        let (frames_before, received) = (input.frames_in, input.held());
        let handled = {
            let mut handling = pin!(AssertUnwindSafe(handle_frames(input, responder, handler)).catch_unwind());
            poll_fn(|cx| {
                let mut was_woken = member.was_woken();
                for _ in 0..ROOMS_A_TURN {
                    if let Poll::Ready(handled) = handling.as_mut().poll(cx) {
                        return Poll::Ready(Ok(handled));
                    }
                    // Once: if there was not enough memory, it waits again.
                    let was_woken = std::mem::take(&mut was_woken);
                    match while_handled(&link, transport, received, member, was_woken, cx) {
                        Ok(true) => {}
                        Ok(false) => return Poll::Pending,
                        Err(reason) => return Poll::Ready(Err(reason)),
                    }
                }
                link.thread.clock.wake_next_turn(cx);
                Poll::Pending
            })
            .await?
        };
        let lent = handled.unwrap_or_else(|panic| Err(panic::reason(&*panic).into()))?;
        if let Some(lent) = lent {
            // After replies from that memory are written, nothing else holds it, and it is taken back without a copy.
            poll_fn(|cx| poll_written(&link, transport, received, member, cx)).await?;
            take_back(input, &link, lent);
        }
        match link.state() {
            State::Closing => return Err(CloseReason::Ended.into()),
            // The next look at the output says so.
            State::Overflow => return Ok(()),
            State::Open | State::Closed => {}
        }
        if input.decoder.buffered() > 0 {
            // No whole frame is left: this returns an error, or `None`.
            input.decoder.next_frame().map_err(CloseReason::from)?;
        }
        let frames_came = input.frames_in > frames_before;
        input.handled(frames_came, link.thread.clock.peers_now())?;
        link.passed(input.frames_in, input.bytes_in);
        Ok(())
    }

    /// The peer has ended its stream: writes all that is queued, and ends ours, too.
    async fn end(&mut self) -> Result<(), Box<CloseReason>> {
        self.input.decoder.finish().map_err(CloseReason::from)?;
        self.link().shut_outbox();
        poll_fn(|cx| self.poll_closed(cx)).await?;
        Err(CloseReason::Clean.into())
    }
}

/// Queues the greeting, or the refusal.
fn greet(link: &Link, greeting: &Greeting) -> Result<(), CloseReason> {
    link.output.borrow_mut().greet(greeting).map_err(|error| CloseReason::Handler(error.into()))
}

/// Yields to the other connections of the thread.
fn yield_to_others(clock: &Clock) -> impl Future<Output = ()> {
    let mut theirs = true;
    poll_fn(move |cx| match std::mem::take(&mut theirs) {
        true => {
            clock.wake_next_turn(cx);
            Poll::Pending
        }
        false => Poll::Ready(()),
    })
}

/// Writes replies and pushes until the peer takes no more. Returns whether it took anything.
fn poll_output(link: &Link, transport: &mut impl Transport, cx: &mut Context<'_>) -> Result<bool, CloseReason> {
    let now = link.thread.clock.peers_now();
    let output = &mut *link.output.borrow_mut();
    let mut took = false;
    if link.thread.stopping() {
        link.shut_outbox();
    }
    loop {
        if let Some(outbox) = link.outbox() {
            output.take(outbox, Some(cx));
        }
        link.sent(output);
        if link.state() == State::Overflow {
            return Err(CloseReason::Overflow {
                queued: output.queued(),
                limit: link.thread.shared.config.outbox_limit,
            });
        }
        let before = output.queued();
        let written = output.poll_write(transport, now, cx);
        took |= output.queued() < before;
        if written?.is_pending() {
            break;
        }
        if output.written_pushes()
            && let Some(outbox) = link.outbox()
        {
            outbox.written();
        }
        if !link.outbox().is_some_and(Outbox::is_pending) {
            break;
        }
    }
    Ok(took)
}

/// Writes all that is queued. Meanwhile `received` bytes are held.
fn poll_written(
    link: &Link,
    transport: &mut impl Transport,
    received: usize,
    member: &mut Member,
    cx: &mut Context<'_>,
) -> Poll<Result<(), CloseReason>> {
    poll_output(link, transport, cx)?;
    if link.output.borrow().queued() == 0 {
        return Poll::Ready(Ok(()));
    }
    wait_writing(link, received, member, cx)?;
    Poll::Pending
}

/// What the task does while its handler waits, and `received` bytes are held; `was_woken` says that memory may be free.
/// Returns whether there may be room for the reply that the handler waits to send.
fn while_handled(
    link: &Link,
    transport: &mut impl Transport,
    received: usize,
    member: &mut Member,
    was_woken: bool,
    cx: &mut Context<'_>,
) -> Result<bool, Box<CloseReason>> {
    let took = poll_output(link, transport, cx)?;
    if (took || was_woken) && link.output.borrow_mut().wake_waiting(cx) {
        return Ok(true);
    }
    if let Poll::Ready(error) = transport.poll_broken(cx) {
        return Err(Box::new(error.into()));
    }
    link.output.borrow_mut().park();
    wait_writing(link, received, member, cx)?;
    Ok(false)
}

/// Waits for input, and for the peer to read what is queued.
fn wait_input<H: Header>(
    link: &Link,
    input: &Input<H>,
    member: &mut Member,
    cx: &Context<'_>,
) -> Result<(), CloseReason> {
    let (thread, output) = (&link.thread, link.output.borrow());
    let config = &thread.shared.config;
    let kept = link.kept.get();
    let (reading, writing) = (input.deadline(config, kept.unfinished), output.deadline(config));
    if thread.wait(link.slot, earlier(reading, writing), cx) {
        let is_reading = writing.is_none_or(|writing| reading.is_some_and(|reading| reading <= writing));
        return Err(if is_reading {
            input.overdue(config, kept.unfinished)
        } else {
            output.overdue(config, kept.unsent)
        });
    }
    let wants = input.wants().or((kept.wants > 0).then_some(kept.wants));
    member.wait(input.held() + output.held() + kept.held, wants, cx)
}

/// Waits for the peer to read what is queued. Meanwhile `received` bytes are held, too.
fn wait_writing(link: &Link, received: usize, member: &mut Member, cx: &Context<'_>) -> Result<(), CloseReason> {
    let (thread, output) = (&link.thread, link.output.borrow());
    let config = &thread.shared.config;
    if thread.wait(link.slot, output.deadline(config), cx) {
        return Err(output.overdue(config, link.kept.get().unsent));
    }
    let held = if output.stuck().is_some() { received + output.held() + link.kept.get().held } else { 0 };
    member.wait(held, output.wants(), cx)
}

fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// The decoder's memory while large frames in it can be shared, and the range of its unhandled bytes.
struct Lent {
    memory: Bytes,
    unread: Range<usize>,
}

/// Calls the handler with every whole frame that has arrived.
async fn handle_frames<H, F, E>(
    input: &mut Input<H>,
    responder: &mut Responder,
    handler: &mut F,
) -> Result<Option<Lent>, Box<CloseReason>>
where
    H: Header,
    F: AsyncFnMut(Frame<'_>, &mut Responder) -> Result<(), E>,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    let mut lent = lend(input, &responder.link)?;
    let frames_per_turn = responder.link.thread.shared.config.max_frames_per_turn;
    let mut left = frames_per_turn;
    while let Some(frame) = next_frame(input, &mut lent) {
        handler(frame, responder).await.map_err(|error| CloseReason::Handler(error.into()))?;
        if let State::Closing | State::Overflow = responder.link.state() {
            break;
        }
        left -= 1;
        // The connections that it pushes to must empty their outboxes before more is pushed.
        if left == 0 || outbox::fills() {
            left = frames_per_turn;
            yield_to_others(&responder.link.thread.clock).await;
        }
    }
    Ok(lent)
}

/// The next whole frame. It is a function of its own, as a future keeps in memory what it borrows.
// Always inline: a call would return the frame in memory, written in parts and read as a whole, which the processor
// cannot forward from its store buffer.
#[inline(always)]
fn next_frame<'a, H: Header>(input: &'a mut Input<H>, lent: &'a mut Option<Lent>) -> Option<Frame<'a>> {
    let frame = match lent {
        None => input.decoder.whole_frame()?,
        Some(Lent { memory, unread }) => input.decoder.frame_of_lent(memory, unread)?,
    };
    input.frames_in += 1;
    input.large_frames = frame.as_bytes().len() > READ_LEN / 4;
    Some(frame)
}

/// If large frames arrived, makes the memory that they are in one that can be shared.
///
/// # Errors
/// If the header of the first one is refused.
fn lend<H: Header>(input: &mut Input<H>, link: &Link) -> Result<Option<Lent>, CloseReason> {
    if !input.large_frames || !input.decoder.has_frame()? {
        return Ok(None);
    }
    let (memory, unread) = input.decoder.lend();
    let memory = Bytes::from(memory);
    link.received.replace(Some(Box::new(memory.clone())));
    link.output.borrow_mut().lent = unread.len();
    Ok(Some(Lent { memory, unread }))
}

/// Takes the memory back; if some of it is kept, a copy of its unhandled bytes.
fn take_back<H: Header>(input: &mut Input<H>, link: &Link, lent: Lent) {
    let Lent { memory, unread } = lent;
    link.received.replace(None);
    link.output.borrow_mut().lent = 0;
    if memory.is_unique() {
        input.decoder.take_back(memory.into(), unread);
    } else {
        let rest = memory[unread.clone()].to_vec();
        let len = rest.len();
        input.decoder.take_back(rest, 0..len);
    }
}

impl From<io::Error> for Box<CloseReason> {
    fn from(error: io::Error) -> Box<CloseReason> {
        Box::new(error.into())
    }
}
