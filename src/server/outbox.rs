//! The outbox, which pushes frames to one connection.

use std::borrow::Borrow;
use std::cell::Cell;
use std::collections::VecDeque;
use std::error::Error;
use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

use bytes::Bytes;
use event_listener::Event;
use futures_lite::FutureExt;

#[cfg(doc)]
use super::ServerConfig;
use super::budget::Budget;
use super::encode::Encoding;
use super::log::{self, Log, Pushed, Refused, Shared};
use crate::framing::{EncodeError, Envelope};

/// Pushes frames to one connection, from any thread and any runtime. Cheap to clone;
/// [`Peer::outbox`](crate::Peer::outbox) gives it.
///
/// Pushed frames arrive whole and in order; pushes and the handler's replies arrive in the order in which they were
/// sent. A push is written as soon as the peer reads, also while the handler waits. The queue is bounded by
/// [`ServerConfig::outbox_limit`] (or one frame, if that is longer), and by [`ServerConfig::memory_budget`].
///
/// A frame does not say whether it is a push or a reply. If a client must tell them apart, your protocol must mark
/// them, for example by a byte of the payload.
///
/// ```
/// use bytes::Bytes;
/// use unstick::framing::Frame;
/// use unstick::{Client, ClientConfig, Outbox, Responder, Server, ServerConfig};
/// # smol::block_on(async {
/// let server = Server::bind("127.0.0.1:0", ServerConfig::default())?;
/// let addr = server.local_addr()?;
/// let (subscribe, subscribed) = smol::channel::bounded::<Outbox>(1);
/// smol::spawn(server.serve(
///     move |peer| {
///         _ = subscribe.try_send(peer.outbox());
///         async |_: Frame<'_>, _: &mut Responder| Ok::<(), std::io::Error>(())
///     },
///     std::future::pending(),
/// )).detach();
///
/// let mut client = Client::connect(addr, ClientConfig::default()).await?;
/// let outbox = subscribed.recv().await?;
/// std::thread::spawn(move || outbox.try_send(Bytes::from("news"))).join().unwrap()?;
/// assert_eq!(client.recv().await?.unwrap().payload(), b"news");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct Outbox {
    inner: Arc<Inner>,
}

struct Inner {
    mailbox: Mutex<Mailbox>,
    /// Whether the mailbox has something for the connection; read without the lock.
    is_pending: AtomicBool,
    /// A [`State`]; it changes under the lock.
    state: AtomicU8,
    /// Notified when there is room again, or never will be.
    room: Event,
    encode: Arc<Encoding>,
    budget: Arc<Budget>,
    limit: usize,
}

thread_local! {
    /// Whether this thread has filled half of an outbox since its handlers last yielded.
    static FILLS: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread has filled half of an outbox since the last call. The task that empties it should run first
/// then.
#[inline]
pub(super) fn fills() -> bool {
    FILLS.take()
}

/// How many pieces an empty mailbox keeps memory for.
const KEPT_PIECES: usize = 4;

/// What the connection's task has not taken yet.
struct Mailbox {
    pieces: VecDeque<Piece>,
    frames: u64,
    /// Bytes in the mailbox.
    waiting: usize,
    /// Bytes that the task took and has not written yet.
    taken: usize,
    task: Option<Waker>,
}

/// A part of the pushed bytes.
pub(super) enum Piece {
    /// Consecutive frames: a range of a log.
    Frames(Arc<Log>, Range<usize>),
    /// A payload that was not copied.
    Payload(Arc<Shared>),
}

/// The state of an outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum State {
    Open,
    /// The connection ends after what was pushed.
    Closing,
    /// The connection ends at once.
    Overflow,
    /// It has ended, or is about to.
    Closed,
}

impl Outbox {
    pub(super) fn new(encode: &Arc<Encoding>, budget: &Arc<Budget>, limit: usize) -> Outbox {
        let mailbox = Mutex::new(Mailbox { pieces: VecDeque::new(), frames: 0, waiting: 0, taken: 0, task: None });
        let (encode, budget) = (Arc::clone(encode), Arc::clone(budget));
        let (is_pending, state, room) = (AtomicBool::new(false), AtomicU8::new(State::Open as u8), Event::new());
        Outbox { inner: Arc::new(Inner { mailbox, is_pending, state, room, encode, budget, limit }) }
    }

    /// Pushes a frame, or returns at once with the error.
    ///
    /// The payload is a [`Bytes`] or a reference to one: from a `Vec` `Bytes::from(vec)`, from a literal
    /// `Bytes::from_static(b"hi")`. A payload of 4 KiB or more is not copied. To push one payload to many outboxes, push
    /// the same [`Bytes`] to one after the other: the frame is in memory once, and counts once in the budget.
    ///
    /// # Errors
    /// [`PushError`]; nothing was pushed.
    pub fn try_send(&self, payload: impl Borrow<Bytes>) -> Result<(), PushError> {
        self.push(Envelope::default(), payload.borrow())
    }

    /// [`try_send`](Outbox::try_send) with a prefix, or with an [`Envelope`] of prefix and trailer.
    ///
    /// # Errors
    /// As [`try_send`](Outbox::try_send).
    pub fn try_send_with<'a>(
        &self,
        envelope: impl Into<Envelope<'a>>,
        payload: impl Borrow<Bytes>,
    ) -> Result<(), PushError> {
        self.push(envelope.into(), payload.borrow())
    }

    /// Pushes a frame, and waits for room if there is none: backpressure. Several waiting pushes are served in order. A
    /// handler may also await its own connection's outbox.
    ///
    /// # Errors
    /// [`PushError`], but never [`PushError::Full`].
    ///
    /// # Cancel-safety
    /// If the future is dropped before it is ready, nothing is pushed, and the next waiting push is served.
    pub async fn send(&self, payload: impl Borrow<Bytes>) -> Result<(), PushError> {
        self.send_with(Envelope::default(), payload).await
    }

    /// [`send`](Outbox::send) with a prefix, or with an [`Envelope`] of prefix and trailer.
    ///
    /// # Errors
    /// As [`send`](Outbox::send).
    ///
    /// # Cancel-safety
    /// As [`send`](Outbox::send).
    pub async fn send_with<'a>(
        &self,
        envelope: impl Into<Envelope<'a>>,
        payload: impl Borrow<Bytes>,
    ) -> Result<(), PushError> {
        let (envelope, payload) = (envelope.into(), payload.borrow());
        loop {
            let mut pushed = self.push(envelope, payload);
            if let Err(PushError::Full { .. }) = pushed {
                // Wait for room in this outbox, for memory in the budget, or for the end.
                let (room, given) = (self.inner.room.listen(), self.inner.budget.given());
                pushed = self.push(envelope, payload);
                if let Err(PushError::Full { .. }) = pushed {
                    room.or(given).await;
                    continue;
                }
            }
            // There may be room for the next waiting push.
            self.inner.room.notify(1);
            return pushed;
        }
    }

    /// Ends the connection cleanly: its handler finishes the current frame, the queue is written, and our stream ends.
    /// The reason is *ended*. From now on every push fails with [`PushError::Closed`].
    pub fn close(&self) {
        self.end(State::Closing);
    }

    /// Breaks the connection off at once, because its peer reads too slowly: queued frames are lost, and the peer sees
    /// a reset. The reason is *overflow*.
    pub fn break_off(&self) {
        self.end(State::Overflow);
    }

    /// Whether every further push fails with [`PushError::Closed`]: the connection is ending, or has ended.
    pub fn is_closed(&self) -> bool {
        self.state() != State::Open
    }

    /// Bytes that were pushed and not yet written to the socket.
    pub fn queued(&self) -> usize {
        let mailbox = self.mailbox();
        mailbox.waiting + mailbox.taken
    }

    fn push(&self, envelope: Envelope<'_>, payload: &Bytes) -> Result<(), PushError> {
        let Inner { encode, budget, limit, is_pending, .. } = &*self.inner;
        let mailbox = &mut *self.mailbox();
        if self.state() != State::Open {
            return Err(PushError::Closed);
        }
        let queued = mailbox.waiting + mailbox.taken;
        let full = PushError::Full { payload_len: payload.len(), queued, limit: *limit };
        if exceeds(queued, payload.len(), *limit) {
            return Err(full);
        }
        mailbox.put(encode, budget, envelope, payload).map_err(|refused| match refused {
            Refused::Full => full,
            Refused::Encode(error) => PushError::Encode(error),
        })?;
        mailbox.frames += 1;
        if mailbox.waiting > limit / 2 {
            FILLS.set(true);
        }
        // It changes under the lock only.
        if !is_pending.load(SeqCst) {
            is_pending.store(true, SeqCst);
            mailbox.task.iter().for_each(Waker::wake_by_ref);
        }
        Ok(())
    }

    fn end(&self, state: State) {
        let mailbox = self.mailbox();
        if let State::Open | State::Closing = self.state() {
            self.inner.state.store(state as u8, SeqCst);
            self.inner.is_pending.store(true, SeqCst);
            mailbox.task.iter().for_each(Waker::wake_by_ref);
            drop(mailbox);
            self.inner.room.notify(usize::MAX);
        }
    }

    /// Only a user's header can panic while the lock is held, and then nothing was pushed.
    fn mailbox(&self) -> MutexGuard<'_, Mailbox> {
        self.inner.mailbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its state.
    pub(super) fn state(&self) -> State {
        [State::Open, State::Closing, State::Overflow, State::Closed][usize::from(self.inner.state.load(SeqCst))]
    }

    /// Whether there is something for the connection's task.
    pub(super) fn is_pending(&self) -> bool {
        self.inner.is_pending.load(SeqCst)
    }

    /// Gives all pieces to the task, which is woken by later ones. Returns how many frames they are.
    pub(super) fn take(&self, cx: Option<&Context<'_>>, piece: impl FnMut(Piece)) -> u64 {
        let mailbox = &mut *self.mailbox();
        if let Some(cx) = cx
            && !mailbox.task.as_ref().is_some_and(|task| task.will_wake(cx.waker()))
        {
            mailbox.task = Some(cx.waker().clone());
        }
        self.inner.is_pending.store(false, SeqCst);
        mailbox.taken += std::mem::take(&mut mailbox.waiting);
        mailbox.pieces.drain(..).for_each(piece);
        mailbox.pieces.shrink_to(KEPT_PIECES);
        std::mem::take(&mut mailbox.frames)
    }

    /// The task has written all that it took: there is room.
    pub(super) fn written(&self) {
        self.mailbox().taken = 0;
        self.inner.room.notify(1);
    }

    /// The connection ends: no more pushes are accepted. The task can still take those in the mailbox.
    pub(super) fn shut(&self) {
        self.inner.state.store(State::Closed as u8, SeqCst);
        self.inner.room.notify(usize::MAX);
    }

    /// The connection has ended. Frees what is in the mailbox.
    pub(super) fn forget(&self) {
        let mut mailbox = self.mailbox();
        self.inner.state.store(State::Closed as u8, SeqCst);
        (mailbox.pieces, mailbox.task) = (VecDeque::new(), None);
        (mailbox.waiting, mailbox.taken) = (0, 0);
        drop(mailbox);
        self.inner.room.notify(usize::MAX);
    }
}

impl Mailbox {
    /// Appends a frame.
    fn put(
        &mut self,
        encode: &Arc<Encoding>,
        budget: &Arc<Budget>,
        envelope: Envelope<'_>,
        payload: &Bytes,
    ) -> Result<(), Refused> {
        if let Some(Piece::Frames(log, range)) = self.pieces.back_mut()
            && envelope == Envelope::default()
            && let Some(end) = log::follows(log, range.end, encode, payload)
        {
            self.waiting += end - range.end;
            range.end = end;
            return Ok(());
        }
        let Pushed { log, range, rest } = log::put(encode, budget, envelope, payload)?;
        match rest {
            None => self.frames(log, range),
            Some((payload, trailer)) => {
                self.frames(Arc::clone(&log), range);
                self.waiting += payload.len();
                self.pieces.push_back(Piece::Payload(payload));
                self.frames(log, trailer);
            }
        }
        Ok(())
    }

    /// Appends a range of a log, and joins it with the last one if it follows that.
    fn frames(&mut self, log: Arc<Log>, range: Range<usize>) {
        self.waiting += range.len();
        match self.pieces.back_mut() {
            Some(Piece::Frames(last, before)) if Arc::ptr_eq(last, &log) && before.end == range.start => {
                before.end = range.end;
            }
            _ if range.is_empty() => {}
            _ => self.pieces.push_back(Piece::Frames(log, range)),
        }
    }
}

/// Whether a payload is too long for an outbox with these bytes. One alone is never too long.
fn exceeds(queued: usize, payload_len: usize, limit: usize) -> bool {
    queued > 0 && queued + payload_len > limit
}

/// Shows lengths, no queued bytes.
impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (queued, closed) = (self.queued(), self.is_closed());
        f.debug_struct("Outbox")
            .field("queued", &queued)
            .field("limit", &self.inner.limit)
            .field("closed", &closed)
            .finish()
    }
}

/// Why a frame was not pushed.
///
/// It converts into an [`io::Error`] that wraps it, of this kind:
/// - [`Full`](PushError::Full): [`WouldBlock`](io::ErrorKind::WouldBlock);
/// - [`Closed`](PushError::Closed): [`BrokenPipe`](io::ErrorKind::BrokenPipe);
/// - [`Encode`](PushError::Encode): [`InvalidInput`](io::ErrorKind::InvalidInput).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PushError {
    /// There is no room now: this outbox is full, or the server's memory budget is used up.
    Full {
        /// Bytes of the payload that was not pushed.
        payload_len: usize,
        /// Bytes that are queued in this outbox.
        queued: usize,
        /// The limit, in bytes: [`ServerConfig::outbox_limit`].
        limit: usize,
    },
    /// The connection is ending, or has ended.
    Closed,
    /// The format cannot encode the frame.
    Encode(EncodeError),
}

impl fmt::Display for PushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PushError::Full { payload_len, queued, limit } if exceeds(*queued, *payload_len, *limit) => {
                write!(
                    f,
                    "the outbox has no room for a payload of {payload_len} bytes: {queued} bytes queued, limit {limit}"
                )
            }
            PushError::Full { payload_len, .. } => {
                write!(f, "no room for a payload of {payload_len} bytes: the server's memory budget is used up")
            }
            PushError::Closed => f.write_str("the connection is closed"),
            PushError::Encode(_) => f.write_str("the frame cannot be encoded"),
        }
    }
}

impl Error for PushError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            PushError::Encode(error) => Some(error),
            PushError::Full { .. } | PushError::Closed => None,
        }
    }
}

impl From<EncodeError> for PushError {
    fn from(error: EncodeError) -> PushError {
        PushError::Encode(error)
    }
}

impl From<PushError> for io::Error {
    fn from(error: PushError) -> io::Error {
        let kind = match error {
            PushError::Full { .. } => io::ErrorKind::WouldBlock,
            PushError::Closed => io::ErrorKind::BrokenPipe,
            PushError::Encode(_) => io::ErrorKind::InvalidInput,
        };
        io::Error::new(kind, error)
    }
}
