//! Where anybody pushes frames to one connection.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

use bytes::Bytes;
use event_listener::Event;

#[cfg(doc)]
use super::ServerConfig;
use super::budget::{Budget, For, Lease};
use super::encode::Encode;
use crate::adapters::Queue;
use crate::framing::{EncodeError, Envelope};

/// Payloads from this length on are pushed without a copy: 4 KiB. Below, a copy costs less, and keeps no more memory than it
/// needs: a short slice of large [`Bytes`] would keep all of them.
const SHARE_LEN: usize = 4 * 1024;

/// Where anybody pushes frames to one connection, from any thread and any runtime; cheap to clone.
///
/// A frame is pushed whole, behind those that were pushed here before. Between the replies of the connection's handler it has its
/// place in the order of sending. It is written as soon as the peer takes it, also while the handler waits. What waits here is
/// bounded: by [`ServerConfig::outbox_limit`], or one frame where that is longer, and by [`ServerConfig::memory_budget`].
///
/// Only the protocol tells a push from a reply: nothing in a frame does.
///
/// ```
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
/// std::thread::spawn(move || outbox.try_send("news")).join().unwrap()?;
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
    /// Whether the mailbox has something for the connection: asked without the lock.
    is_due: AtomicBool,
    /// A [`State`]; it changes under the lock.
    state: AtomicU8,
    /// There is room again, or there never will be.
    room: Event,
    encode: Arc<dyn Encode>,
    budget: Arc<Budget>,
    limit: usize,
}

/// What waits for the connection's task.
struct Mailbox {
    queue: Queue,
    frames: u64,
    /// Bytes that the task took and has not written.
    taken: usize,
    /// Bytes that were copied, of those that wait, and of those that are taken.
    copied: usize,
    copied_taken: usize,
    lease: Lease,
    task: Option<Waker>,
}

/// How far a connection's outbox is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum State {
    Open,
    /// The connection is to end behind what waits.
    Closing,
    /// The connection is to end at once.
    Overflow,
    /// It has ended, or is about to.
    Closed,
}

impl Outbox {
    pub(super) fn new(encode: &Arc<dyn Encode>, budget: &Arc<Budget>, limit: usize) -> Outbox {
        let mailbox = Mutex::new(Mailbox {
            queue: Queue::default(),
            frames: 0,
            taken: 0,
            copied: 0,
            copied_taken: 0,
            lease: Lease::new(budget, For::Pushing),
            task: None,
        });
        let (encode, budget) = (Arc::clone(encode), Arc::clone(budget));
        let (is_due, state, room) = (AtomicBool::new(false), AtomicU8::new(State::Open as u8), Event::new());
        Outbox { inner: Arc::new(Inner { mailbox, is_due, state, room, encode, budget, limit }) }
    }

    /// Pushes a frame, or says at once why not. From 4 KiB on the payload is not copied: pushed to a thousand outboxes, a
    /// [`Bytes`] is in memory once, and counts once in the budget.
    ///
    /// # Errors
    /// [`PushError`], and nothing of it is pushed.
    pub fn try_send(&self, payload: impl Into<Bytes>) -> Result<(), PushError> {
        self.push(Envelope::default(), &payload.into())
    }

    /// [`try_send`](Outbox::try_send) with what travels around the payload: a prefix, or an [`Envelope`] of prefix and trailer.
    ///
    /// # Errors
    /// As [`try_send`](Outbox::try_send).
    pub fn try_send_with<'a>(
        &self,
        envelope: impl Into<Envelope<'a>>,
        payload: impl Into<Bytes>,
    ) -> Result<(), PushError> {
        self.push(envelope.into(), &payload.into())
    }

    /// Pushes a frame once there is room for it. A handler may await its own connection's.
    ///
    /// # Errors
    /// [`PushError`], but never [`PushError::Full`].
    ///
    /// # Cancel-safety
    /// Dropping the future pushes nothing, and another one that waits has its turn.
    pub async fn send(&self, payload: impl Into<Bytes>) -> Result<(), PushError> {
        self.send_with(Envelope::default(), payload).await
    }

    /// [`send`](Outbox::send) with what travels around the payload: a prefix, or an [`Envelope`] of prefix and trailer.
    ///
    /// # Errors
    /// As [`send`](Outbox::send).
    ///
    /// # Cancel-safety
    /// As [`send`](Outbox::send).
    pub async fn send_with<'a>(
        &self,
        envelope: impl Into<Envelope<'a>>,
        payload: impl Into<Bytes>,
    ) -> Result<(), PushError> {
        let (envelope, payload) = (envelope.into(), payload.into());
        loop {
            let mut pushed = self.push(envelope, &payload);
            if let Err(PushError::Full { .. }) = pushed {
                let (room, given) = (self.inner.room.listen(), self.inner.budget.given.listen());
                pushed = self.push(envelope, &payload);
                if let Err(PushError::Full { queued, limit }) = pushed {
                    match is_over(queued, payload.len(), limit) {
                        true => room.await,
                        false => given.await,
                    }
                    continue;
                }
            }
            // There may be room for the next one that waits.
            self.inner.room.notify(1);
            return pushed;
        }
    }

    /// Ends the connection cleanly behind what waits here, and behind the frame that its handler is at: it ends as *ended*.
    /// Nothing is taken any more.
    pub fn close(&self) {
        self.end(State::Closing);
    }

    /// Breaks the connection off, as its peer takes too little: it ends as *overflow*. What waits is lost.
    pub fn break_off(&self) {
        self.end(State::Overflow);
    }

    /// Whether nothing is taken any more: the connection ends, or has ended.
    pub fn is_closed(&self) -> bool {
        self.state() != State::Open
    }

    /// Bytes that wait, or that the peer has not taken.
    pub fn queued(&self) -> usize {
        let mailbox = self.mailbox();
        mailbox.queue.len() + mailbox.taken
    }

    fn push(&self, envelope: Envelope<'_>, payload: &Bytes) -> Result<(), PushError> {
        let Inner { encode, budget, limit, is_due, .. } = &*self.inner;
        let mailbox = &mut *self.mailbox();
        if self.state() != State::Open {
            return Err(PushError::Closed);
        }
        let (before, shared) = (mailbox.queue.len(), payload.len() >= SHARE_LEN);
        let queued = before + mailbox.taken;
        let full = PushError::Full { queued, limit: *limit };
        if is_over(queued, payload.len(), *limit) {
            return Err(full);
        }
        if shared {
            let Some(charged) = budget.charge(payload) else { return Err(full) };
            encode.shared(envelope, charged, &mut mailbox.queue)?;
        } else {
            let copied = mailbox.copied + mailbox.copied_taken + payload.len() + crate::framing::MAX_HEADER_LEN;
            if copied > mailbox.lease.allowed() && mailbox.lease.reach(copied.next_multiple_of(SHARE_LEN)) < copied {
                return Err(full);
            }
            encode.copied(envelope, payload, &mut mailbox.queue)?;
            mailbox.copied += mailbox.queue.len() - before;
        }
        mailbox.frames += 1;
        if !is_due.swap(true, SeqCst) {
            mailbox.task.iter().for_each(Waker::wake_by_ref);
        }
        Ok(())
    }

    fn end(&self, state: State) {
        let mailbox = self.mailbox();
        if let State::Open | State::Closing = self.state() {
            self.inner.state.store(state as u8, SeqCst);
            self.inner.is_due.store(true, SeqCst);
            mailbox.task.iter().for_each(Waker::wake_by_ref);
            drop(mailbox);
            self.inner.room.notify(usize::MAX);
        }
    }

    /// Nothing panics while it has the lock but a header of somebody's, and then nothing was pushed.
    fn mailbox(&self) -> MutexGuard<'_, Mailbox> {
        self.inner.mailbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How far it is.
    pub(super) fn state(&self) -> State {
        [State::Open, State::Closing, State::Overflow, State::Closed][usize::from(self.inner.state.load(SeqCst))]
    }

    /// Whether there is anything for the connection's task.
    pub(super) fn is_due(&self) -> bool {
        self.inner.is_due.load(SeqCst)
    }

    /// The task takes what waits: how many frames and bytes.
    pub(super) fn take(&self, queue: &mut Queue) -> (u64, usize) {
        let mailbox = &mut *self.mailbox();
        self.inner.is_due.store(false, SeqCst);
        let (frames, bytes) = (std::mem::take(&mut mailbox.frames), mailbox.queue.len());
        mailbox.taken += bytes;
        mailbox.copied_taken += std::mem::take(&mut mailbox.copied);
        queue.append(&mut mailbox.queue);
        (frames, bytes)
    }

    /// The task has written all that it took: there is room.
    pub(super) fn written(&self) {
        let mut mailbox = self.mailbox();
        (mailbox.taken, mailbox.copied_taken) = (0, 0);
        let copied = mailbox.copied;
        mailbox.lease.shrink(copied);
        drop(mailbox);
        self.inner.room.notify(1);
    }

    /// The task is to be woken by what comes, from when there was nothing.
    pub(super) fn wake(&self, cx: &Context<'_>) {
        let mut mailbox = self.mailbox();
        if !mailbox.task.as_ref().is_some_and(|task| task.will_wake(cx.waker())) {
            mailbox.task = Some(cx.waker().clone());
        }
    }

    /// The connection ends: nothing is taken any more. What waits is still the task's to take.
    pub(super) fn shut(&self) {
        self.inner.state.store(State::Closed as u8, SeqCst);
        self.inner.room.notify(usize::MAX);
    }

    /// The connection has ended, and what waits with it.
    pub(super) fn forget(&self) {
        let mut mailbox = self.mailbox();
        self.inner.state.store(State::Closed as u8, SeqCst);
        (mailbox.queue, mailbox.task) = (Queue::default(), None);
        (mailbox.taken, mailbox.copied, mailbox.copied_taken) = (0, 0, 0);
        mailbox.lease.shrink(0);
        drop(mailbox);
        self.inner.room.notify(usize::MAX);
    }
}

/// Whether a payload is more than an outbox may hold in which so much waits; where nothing does, none is.
fn is_over(queued: usize, payload_len: usize, limit: usize) -> bool {
    queued > 0 && queued + payload_len > limit
}

/// Lengths, and no byte that waits.
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

/// Why a frame was not pushed. Its [`source`](Error::source), where there is one, says more.
///
/// As an [`io::Error`] it is in it, of the kind [`WouldBlock`](io::ErrorKind::WouldBlock) where it is full,
/// [`BrokenPipe`](io::ErrorKind::BrokenPipe) where it is closed, and [`InvalidInput`](io::ErrorKind::InvalidInput).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PushError {
    /// There is no room now, in this outbox or in the budget of all.
    Full {
        /// Bytes that wait in this one.
        queued: usize,
        /// Bytes that may: [`ServerConfig::outbox_limit`].
        limit: usize,
    },
    /// The connection ends, or has ended.
    Closed,
    /// The header cannot say such a frame.
    Encode(EncodeError),
}

impl fmt::Display for PushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PushError::Full { queued, limit } => write!(f, "the outbox is full: {queued} bytes wait, and {limit} may"),
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
