//! A thread's own epoll, edge-triggered: a socket is registered once, and a wait costs no system call but the thread's one.
//!
//! Safe throughout: a socket's key names a slot, and an event for a slot that has changed hands is just a spurious wake-up.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io::{self, IoSlice, Read, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::pin::{Pin, pin};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;

use futures_lite::io::{AsyncRead, AsyncWrite};
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, Event, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};
use rustix::io::Errno;
use slab::Slab;

/// The key of the descriptor by which other threads wake this one.
const ALARM: u64 = u64::MAX;

/// Events taken by one wait.
const EVENTS: usize = 256;

/// The I/O of one thread.
pub(in crate::server) struct Reactor {
    epoll: OwnedFd,
    sockets: RefCell<Slab<Weak<Socket>>>,
    alarm: Arc<Alarm>,
    /// Tasks that let others have their turn.
    next_turn: RefCell<Vec<Waker>>,
    /// The time of the last wait's end.
    now: Cell<Instant>,
}

impl Reactor {
    pub(in crate::server) fn new() -> io::Result<Rc<Reactor>> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let descriptor = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        epoll::add(&epoll, &descriptor, EventData::new_u64(ALARM), EventFlags::IN | EventFlags::ET)?;
        let alarm = Arc::new(Alarm { descriptor, rung: AtomicBool::new(false), asleep: AtomicBool::new(false) });
        Ok(Rc::new(Reactor {
            epoll,
            sockets: RefCell::default(),
            alarm,
            next_turn: RefCell::default(),
            now: Cell::new(Instant::now()),
        }))
    }

    /// What time it was when the last events came: deadlines need no better.
    pub(in crate::server) fn now(&self) -> Instant {
        self.now.get()
    }

    /// Wakes the task behind those for which there are events, once these have been looked for.
    pub(in crate::server) fn next_turn(&self, cx: &Context<'_>) {
        self.next_turn.borrow_mut().push(cx.waker().clone());
    }

    /// Runs `main` to its end on this thread, waiting for events whenever it waits.
    ///
    /// # Errors
    /// Where the system's wait fails, which it does not do while this thread's epoll exists.
    pub(in crate::server) fn run<T>(&self, main: impl Future<Output = T>) -> io::Result<T> {
        let waker = Waker::from(Arc::clone(&self.alarm));
        let mut cx = Context::from_waker(&waker);
        let mut main = pin!(main);
        let mut events = Vec::with_capacity(EVENTS);
        loop {
            self.alarm.rung.store(false, SeqCst);
            if let Poll::Ready(output) = main.as_mut().poll(&mut cx) {
                return Ok(output);
            }
            self.wait(&mut events)?;
        }
    }

    /// Waits for events, or just looks for them where the alarm has rung, and wakes whom they concern.
    fn wait(&self, events: &mut Vec<Event>) -> io::Result<()> {
        self.alarm.asleep.store(true, SeqCst);
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        let busy = self.alarm.rung.load(SeqCst) || !self.next_turn.borrow().is_empty();
        let timeout = busy.then_some(&at_once);
        events.clear();
        let waited = epoll::wait(&self.epoll, spare_capacity(events), timeout);
        self.alarm.asleep.store(false, SeqCst);
        self.now.set(Instant::now());
        match waited {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let sockets = self.sockets.borrow();
        for event in &*events {
            let (flags, data) = (event.flags, event.data);
            if let Some(socket) = sockets.get(data.u64() as usize).and_then(Weak::upgrade) {
                socket.report(flags);
            }
        }
        self.next_turn.borrow_mut().drain(..).for_each(Waker::wake);
        Ok(())
    }

    /// Makes two halves of a socket.
    ///
    /// # Errors
    /// Where the system refuses to register it.
    pub(in crate::server) fn halves(self: &Rc<Reactor>, stream: TcpStream) -> io::Result<(ReadHalf, WriteHalf)> {
        stream.set_nonblocking(true)?;
        let socket = Rc::new_cyclic(|this| Socket {
            stream,
            readable: Cell::new(false),
            // A new socket can be written to; what can be read the system reports.
            writable: Cell::new(true),
            doubtful: Cell::new(false),
            awaited: Cell::new(Awaited::Nothing),
            task: Cell::new(None),
            key: self.sockets.borrow_mut().insert(Weak::clone(this)),
            reactor: Rc::clone(self),
        });
        let flags = EventFlags::IN | EventFlags::PRI | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        epoll::add(&self.epoll, &socket.stream, EventData::new_u64(socket.key as u64), flags)?;
        Ok((ReadHalf { socket: Rc::clone(&socket) }, WriteHalf { socket }))
    }
}

/// Wakes the thread from its wait: the waker of its main future.
struct Alarm {
    descriptor: OwnedFd,
    /// It was rung since the main future was last polled.
    rung: AtomicBool,
    /// The thread waits, or is about to: ringing must write to the descriptor.
    asleep: AtomicBool,
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.rung.swap(true, SeqCst) && self.asleep.load(SeqCst) {
            // Edge-triggered: each write is an edge, and the counter need not be read back. It can be full only while an
            // earlier edge is still to be reported.
            let _ = rustix::io::write(&self.descriptor, &1u64.to_ne_bytes());
        }
    }
}

/// A socket, its readiness as last reported, and the task that waits for it. One task has both halves and waits for one of
/// them at a time, so that one place for a waker is enough.
struct Socket {
    stream: TcpStream,
    readable: Cell<bool>,
    writable: Cell<bool>,
    /// The peer sends no more: there is no edge after that one, and a read never has to wait again. Or it sent urgent data,
    /// and a read stops at its mark. Either way a short read does not say that nothing more is there.
    doubtful: Cell<bool>,
    awaited: Cell<Awaited>,
    /// It stays registered when it is woken, which saves its next wait the registration.
    task: Cell<Option<Waker>>,
    key: usize,
    reactor: Rc<Reactor>,
}

/// What the task waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Awaited {
    Nothing,
    Reading,
    Writing,
}

impl Drop for Socket {
    fn drop(&mut self) {
        // The descriptor is closed next, and with it the system drops the registration.
        self.reactor.sockets.borrow_mut().try_remove(self.key);
    }
}

impl Socket {
    fn report(&self, flags: EventFlags) {
        let broken = flags.intersects(EventFlags::HUP | EventFlags::ERR);
        if broken || flags.intersects(EventFlags::RDHUP | EventFlags::PRI) {
            self.doubtful.set(true);
        }
        if broken || flags.intersects(EventFlags::IN | EventFlags::RDHUP) {
            self.readable.set(true);
            self.wake(Awaited::Reading);
        }
        // Every edge reports OUT, too; only who found the send buffer full waits for it.
        if broken || flags.contains(EventFlags::OUT) {
            self.writable.set(true);
            self.wake(Awaited::Writing);
        }
    }

    /// Registers the task, unless it is registered already.
    fn wait_for(&self, awaited: Awaited, cx: &Context<'_>) {
        let task = self.task.take().filter(|task| task.will_wake(cx.waker()));
        self.task.set(Some(task.unwrap_or_else(|| cx.waker().clone())));
        self.awaited.set(awaited);
    }

    /// Wakes the task where it waits for that.
    fn wake(&self, happened: Awaited) {
        if self.awaited.get() == happened
            && let Some(task) = self.task.take()
        {
            self.awaited.set(Awaited::Nothing);
            task.wake_by_ref();
            self.task.set(Some(task));
        }
    }

    /// Writes `len` bytes or some of them.
    fn poll_write(
        &self,
        cx: &Context<'_>,
        len: usize,
        mut write: impl FnMut(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        while self.writable.get() {
            match write(&self.stream) {
                Ok(n) => {
                    // A short write has filled the send buffer: the next edge comes when there is room again.
                    self.writable.set(n == len);
                    return Poll::Ready(Ok(n));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable.set(false),
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        self.wait_for(Awaited::Writing, cx);
        Poll::Pending
    }
}

/// The reading half.
pub(in crate::server) struct ReadHalf {
    socket: Rc<Socket>,
}

impl ReadHalf {
    /// Lets closing the socket break the connection off, so that the system keeps nothing that the peer does not take.
    pub(in crate::server) fn break_off(&self) {
        super::break_off(&self.socket.stream);
    }
}

impl AsyncRead for ReadHalf {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let socket = &*self.socket;
        let mut stream = &socket.stream;
        while socket.readable.get() {
            match stream.read(buf) {
                Ok(n) => {
                    // A short read has emptied the receive buffer: the next edge comes with the next bytes. So the system
                    // call that would only say "not yet" is saved.
                    socket.readable.set(n == buf.len() || socket.doubtful.get());
                    return Poll::Ready(Ok(n));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => socket.readable.set(false),
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        socket.wait_for(Awaited::Reading, cx);
        Poll::Pending
    }
}

/// The writing half. Closing it sends FIN.
pub(in crate::server) struct WriteHalf {
    socket: Rc<Socket>,
}

impl AsyncWrite for WriteHalf {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.socket.poll_write(cx, buf.len(), |mut stream| stream.write(buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let len = bufs.iter().map(|buf| buf.len()).sum();
        self.socket.poll_write(cx, len, |mut stream| stream.write_vectored(bufs))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        super::shutdown(&self.socket.stream)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::net::TcpListener;

    use futures_lite::future::zip;
    use futures_lite::io::AsyncReadExt;
    use smol::LocalExecutor;

    use super::*;

    #[test]
    fn who_lets_others_have_their_turn_lets_events_come_first() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let mut peer = TcpStream::connect(listener.local_addr().expect("an address")).expect("connected");
        let reactor = Reactor::new().expect("an epoll");
        let (mut reader, _writer) = reactor.halves(listener.accept().expect("accepted").0).expect("registered");
        peer.write_all(b"x").expect("written");

        let done = RefCell::new(Vec::new());
        let executor = LocalExecutor::new();
        let busy = executor.spawn(async {
            for _ in 0..3 {
                done.borrow_mut().push("turn");
                let mut theirs = true;
                poll_fn(|cx| match std::mem::take(&mut theirs) {
                    true => {
                        reactor.next_turn(cx);
                        Poll::Pending
                    }
                    false => Poll::Ready(()),
                })
                .await;
            }
        });
        let reading = executor.spawn(async {
            reader.read_exact(&mut [0]).await.expect("a byte");
            done.borrow_mut().push("read");
        });
        reactor.run(executor.run(zip(busy, reading))).expect("an epoll");
        assert_eq!(*done.borrow(), ["turn", "read", "turn", "turn"]);
    }
}
