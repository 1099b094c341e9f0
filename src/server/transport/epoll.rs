//! A thread's own epoll, edge-triggered: a socket is registered once, and its waits need no system calls of their own.
//!
//! It is safe: a socket's key is a slot, and a late event for a slot that another socket has now is a spurious wake-up.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, Event, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};
use rustix::io::Errno;
use slab::Slab;

use super::Stream;
use crate::server::clock::Clock;
use crate::server::system;

/// The key of the descriptor by which other threads wake this one.
const ALARM: u64 = u64::MAX;

/// The most events of one wait.
const EVENTS: usize = 256;

/// The I/O and the time of one thread.
pub(in crate::server) struct Reactor {
    epoll: OwnedFd,
    registered: RefCell<Slab<Weak<Registered>>>,
    alarm: Arc<Alarm>,
    clock: Rc<Clock>,
}

impl Reactor {
    pub(in crate::server) fn new() -> io::Result<Rc<Reactor>> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let descriptor = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        epoll::add(&epoll, &descriptor, EventData::new_u64(ALARM), EventFlags::IN | EventFlags::ET)?;
        let alarm = Arc::new(Alarm { descriptor, rung: AtomicBool::new(false), asleep: AtomicBool::new(false) });
        Ok(Rc::new(Reactor { epoll, registered: RefCell::default(), alarm, clock: Clock::new(system::now()) }))
    }

    pub(in crate::server) fn clock(&self) -> &Rc<Clock> {
        &self.clock
    }

    /// Runs `main` to its end on this thread, waiting for events whenever it waits.
    ///
    /// # Errors
    /// If the system's wait fails, which does not happen while this thread's epoll exists.
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
            self.turn(&mut events)?;
        }
    }

    /// Waits for events and timers, and wakes their tasks. Does not wait if a task can continue.
    fn turn(&self, events: &mut Vec<Event>) -> io::Result<()> {
        self.alarm.asleep.store(true, SeqCst);
        let rung = self.alarm.rung.load(SeqCst);
        let mut patience = if rung { Some(Duration::ZERO) } else { self.clock.patience() };
        let waited = self.wait(events, patience);
        self.alarm.asleep.store(false, SeqCst);
        waited?;
        let now = system::now();
        self.report(events);
        // All events come before any timer: otherwise a peer could be late although its bytes have arrived.
        while events.len() == EVENTS {
            patience = patience.or(Some(Duration::ZERO));
            self.wait(events, Some(Duration::ZERO))?;
            self.report(events);
        }
        self.clock.turn(now, patience);
        Ok(())
    }

    fn wait(&self, events: &mut Vec<Event>, patience: Option<Duration>) -> io::Result<()> {
        let timeout = patience.map(|patience| Timespec {
            tv_sec: patience.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: patience.subsec_nanos().into(),
        });
        events.clear();
        match epoll::wait(&self.epoll, spare_capacity(events), timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn report(&self, events: &[Event]) {
        let registered = self.registered.borrow();
        for event in events {
            let (flags, data) = (event.flags, event.data);
            if let Some(socket) = registered.get(data.u64() as usize).and_then(Weak::upgrade) {
                socket.report(flags);
            }
        }
    }

    /// Registers a socket.
    ///
    /// # Errors
    /// If the system refuses to.
    pub(in crate::server) fn socket(self: &Rc<Reactor>, stream: Stream) -> io::Result<Socket> {
        stream.set_nonblocking()?;
        let registered = Rc::new_cyclic(|this| Registered {
            stream,
            readable: Cell::new(false),
            // A new socket can be written to. The system reports when it can be read.
            writable: Cell::new(true),
            doubtful: Cell::new(false),
            broken: Cell::new(false),
            awaits: Cell::new(EventFlags::empty()),
            task: Cell::new(None),
            key: self.registered.borrow_mut().insert(Weak::clone(this)),
            reactor: Rc::clone(self),
        });
        let flags = EventFlags::IN | EventFlags::PRI | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        epoll::add(&self.epoll, &registered.stream, EventData::new_u64(registered.key as u64), flags)?;
        Ok(Socket(registered))
    }
}

/// The waker of the main future, which ends the thread's wait.
struct Alarm {
    descriptor: OwnedFd,
    /// It was called since the main future was last polled.
    rung: AtomicBool,
    /// The thread waits, or is about to: waking it must write to the descriptor.
    asleep: AtomicBool,
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.rung.swap(true, SeqCst) && self.asleep.load(SeqCst) {
            // Edge-triggered: each write is an edge, and the counter need not be read. It can be full only while an
            // earlier edge is not reported yet.
            let _ = rustix::io::write(&self.descriptor, &1u64.to_ne_bytes());
        }
    }
}

/// A socket whose readiness the reactor reports.
pub(in crate::server) struct Socket(Rc<Registered>);

/// A socket, its readiness as last reported, and the task that waits for it.
struct Registered {
    stream: Stream,
    readable: Cell<bool>,
    writable: Cell<bool>,
    /// The peer ended its stream: there is no further edge, and a read never has to wait again. Or it sent urgent data,
    /// at whose mark a read stops. In both cases a short read does not mean that nothing more is there.
    doubtful: Cell<bool>,
    /// The peer broke the connection off.
    broken: Cell<bool>,
    /// What the task waits for: [`EventFlags::IN`], [`EventFlags::OUT`], or both.
    awaits: Cell<EventFlags>,
    /// It stays registered after a wake-up, so that the next wait need not register it again.
    task: Cell<Option<Waker>>,
    key: usize,
    reactor: Rc<Reactor>,
}

impl Drop for Registered {
    fn drop(&mut self) {
        // The descriptor is closed next, which ends the system's registration.
        self.reactor.registered.borrow_mut().try_remove(self.key);
    }
}

impl Registered {
    fn report(&self, flags: EventFlags) {
        let ended = flags.intersects(EventFlags::HUP | EventFlags::ERR);
        if ended || flags.intersects(EventFlags::RDHUP | EventFlags::PRI) {
            self.doubtful.set(true);
        }
        if flags.contains(EventFlags::ERR) {
            self.broken.set(true);
        }
        let mut happened = EventFlags::empty();
        if ended || flags.intersects(EventFlags::IN | EventFlags::RDHUP) {
            self.readable.set(true);
            happened |= EventFlags::IN;
        }
        // Every edge reports OUT, too. Only a task that found the send buffer full waits for it.
        if ended || flags.contains(EventFlags::OUT) {
            self.writable.set(true);
            happened |= EventFlags::OUT;
        }
        if flags.contains(EventFlags::ERR) || self.awaits.get().intersects(happened) {
            self.awaits.set(self.awaits.get().difference(happened));
            if let Some(task) = self.task.take() {
                task.wake_by_ref();
                self.task.set(Some(task));
            }
        }
    }

    /// Registers the task, unless it is registered already.
    fn wait_for(&self, what: EventFlags, cx: &Context<'_>) {
        let task = self.task.take().filter(|task| task.will_wake(cx.waker()));
        self.task.set(Some(task.unwrap_or_else(|| cx.waker().clone())));
        self.awaits.set(self.awaits.get() | what);
    }
}

impl Socket {
    pub(super) fn stream(&self) -> &Stream {
        &self.0.stream
    }

    pub(super) fn read(&self, cx: &Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let socket = &*self.0;
        while socket.readable.get() {
            match socket.stream.read(buf) {
                Ok(n) => {
                    // A short read has emptied the receive buffer, and the next bytes cause an edge. So another read,
                    // which would only return "not yet", is not needed.
                    socket.readable.set(n == buf.len() || socket.doubtful.get());
                    return Poll::Ready(Ok(n));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => socket.readable.set(false),
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        socket.wait_for(EventFlags::IN, cx);
        Poll::Pending
    }

    /// Writes `len` bytes, or fewer.
    pub(super) fn write_with(
        &self,
        cx: &Context<'_>,
        len: usize,
        mut write: impl FnMut(&Stream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let socket = &*self.0;
        while socket.writable.get() {
            match write(&socket.stream) {
                Ok(n) => {
                    // A short write has filled the send buffer: the next edge comes when there is room again.
                    socket.writable.set(n == len);
                    return Poll::Ready(Ok(n));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => socket.writable.set(false),
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        socket.wait_for(EventFlags::OUT, cx);
        Poll::Pending
    }

    pub(super) fn broken(&self, cx: &Context<'_>) -> Poll<io::Error> {
        if self.0.broken.get() {
            let error = self.stream().error();
            return Poll::Ready(error.unwrap_or_else(|| io::ErrorKind::ConnectionReset.into()));
        }
        self.0.wait_for(EventFlags::empty(), cx);
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};

    use futures_lite::future::zip;
    use futures_lite::io::AsyncReadExt;
    use smol::LocalExecutor;

    use super::*;

    #[test]
    fn a_task_that_yields_runs_after_new_events() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let mut peer = TcpStream::connect(listener.local_addr().expect("an address")).expect("connected");
        let reactor = Reactor::new().expect("an epoll");
        let accepted = Stream::Tcp(listener.accept().expect("accepted").0);
        let mut socket = reactor.socket(accepted).expect("registered");
        peer.write_all(b"x").expect("written");

        let done = RefCell::new(Vec::new());
        let executor = LocalExecutor::new();
        let busy = executor.spawn(async {
            for _ in 0..3 {
                done.borrow_mut().push("turn");
                let mut theirs = true;
                poll_fn(|cx| match std::mem::take(&mut theirs) {
                    true => {
                        reactor.clock().wake_next_turn(cx);
                        Poll::Pending
                    }
                    false => Poll::Ready(()),
                })
                .await;
            }
        });
        let reading = executor.spawn(async {
            socket.read_exact(&mut [0]).await.expect("a byte");
            done.borrow_mut().push("read");
        });
        reactor.run(executor.run(zip(busy, reading))).expect("an epoll");
        assert_eq!(*done.borrow(), ["turn", "read", "turn", "turn"]);
    }
}
