//! A load that costs little: one thread, one epoll, and replies that the kernel throws away as they are counted.
//!
//! `cargo xtask load` verifies every byte; here the server is to be the limit, so replies are told apart by their length
//! alone, but for one before and one behind a run. Every connection keeps its frames in flight (closed loop).

use std::collections::VecDeque;
use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::event::epoll;
use rustix::fd::OwnedFd;
use rustix::net::{RecvFlags, SendFlags};

use super::host::Host;
use super::outcome::{Outcome, Span, Watch};
use super::sealed::Sealed;

/// Bytes of whole frames that are written again and again.
const WIRE_LEN: usize = 256 << 10;
/// Bytes that are encrypted at once.
const SEALED_LEN: usize = 128 << 10;
/// Bytes of one read at most.
const READ_LEN: usize = 1 << 20;
/// A server that answers nothing for so long has failed.
pub(super) const SILENCE: Duration = Duration::from_secs(30);

/// How frames are kept in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InFlight {
    /// So many on each connection.
    Each(usize),
    /// So many in all: a reply lets a frame be sent on the connection whose turn it is.
    InAll(usize),
}

/// Connections to a server.
pub(super) struct Generator {
    epoll: OwnedFd,
    connections: Vec<Connection>,
    wire: Vec<u8>,
    frame_len: usize,
    /// The frame that every reply has to be.
    reply: Vec<u8>,
    scratch: Vec<u8>,
    /// The connection whose turn it is, with [`InFlight::InAll`].
    turn: usize,
    start: Instant,
}

struct Connection {
    socket: TcpStream,
    /// Over TLS.
    sealed: Option<Box<Sealed>>,
    unsent: usize,
    /// Where in the wire the next byte to send is.
    position: usize,
    /// Bytes of the reply that is not complete.
    received: usize,
    awaits_room: bool,
    /// When the frames in flight were sent, those of one time together: the time, and how many.
    sent_at: VecDeque<(u64, usize)>,
}

impl Generator {
    /// Makes the connections and sends nothing.
    ///
    /// # Errors
    /// Where one cannot be made.
    pub(super) fn connect(
        addr: SocketAddr,
        connections: usize,
        payload_len: usize,
    ) -> Result<Generator, Box<dyn Error>> {
        let (wire, frame_len) = (wire(payload_len), payload_len + 4);
        let mut generator = Generator {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            connections: Vec::with_capacity(connections),
            reply: wire[..frame_len].into(),
            wire,
            frame_len,
            scratch: vec![0; READ_LEN],
            turn: 0,
            start: Instant::now(),
        };
        for index in 0..connections {
            let failed = |error| format!("connection {} of {connections} to {addr}: {error}", index + 1);
            let socket = TcpStream::connect(addr).map_err(failed)?;
            socket.set_nodelay(true)?;
            socket.set_nonblocking(true)?;
            socket.set_read_timeout(Some(SILENCE))?;
            // A reset instead of a FIN in the end: so no port is left in TIME_WAIT.
            rustix::net::sockopt::set_socket_linger(&socket, Some(Duration::ZERO))?;
            let data = epoll::EventData::new_u64(index as u64);
            epoll::add(&generator.epoll, &socket, data, epoll::EventFlags::IN)?;
            generator.connections.push(Connection {
                socket,
                sealed: None,
                unsent: 0,
                position: 0,
                received: 0,
                awaits_room: false,
                sent_at: VecDeque::new(),
            });
        }
        Ok(generator)
    }

    /// The same over TLS.
    ///
    /// # Errors
    /// Where a handshake fails.
    pub(super) fn over_tls(mut self) -> io::Result<Generator> {
        for connection in &mut self.connections {
            connection.socket.set_nonblocking(false)?;
            connection.sealed = Some(Box::new(Sealed::connect(&mut connection.socket)?));
            connection.socket.set_nonblocking(true)?;
        }
        Ok(self)
    }

    /// Every reply has to be of such bytes, instead of those that were sent.
    pub(super) fn answered_by(mut self, byte: u8) -> Generator {
        self.reply[4..].fill(byte);
        self
    }

    /// Has one frame answered on every connection, which then is idle: each reply to its last byte as it has to be.
    ///
    /// # Errors
    /// Where a connection fails, a reply is another one, or the server falls silent.
    pub(super) fn verify(&mut self) -> Result<(), Box<dyn Error>> {
        if self.connections.iter().any(|connection| connection.sealed.is_some()) {
            return self.verify_sealed();
        }
        self.ask()?;
        match self.connections.len() - self.right_replies() {
            0 => Ok(()),
            wrong => Err(format!("on {wrong} of {} connections the reply is wrong", self.connections.len()).into()),
        }
    }

    fn verify_sealed(&mut self) -> Result<(), Box<dyn Error>> {
        let mut reply = vec![0; self.frame_len];
        for Connection { socket, sealed, .. } in &mut self.connections {
            let sealed = sealed.as_mut().ok_or("all are over TLS, or none")?;
            socket.set_nonblocking(false)?;
            sealed.ask(socket, &self.wire[..self.frame_len], &mut reply)?;
            socket.set_nonblocking(true)?;
            if reply != self.reply {
                return Err("over TLS a reply is wrong".into());
            }
        }
        Ok(())
    }

    /// Sends one frame on every connection, for [`right_replies`](Generator::right_replies) to read the replies.
    ///
    /// # Errors
    /// Where a connection fails.
    pub(super) fn ask(&mut self) -> io::Result<()> {
        self.connections.iter().try_for_each(|Connection { socket, .. }| {
            socket.set_nonblocking(false)?;
            (&*socket).write_all(&self.wire[..self.frame_len])
        })
    }

    /// How many connections are neither answered nor ended.
    pub(super) fn waiting(&self) -> usize {
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        let waits = |connection: &&Connection| {
            matches!(rustix::net::recv(&connection.socket, &mut [0], flags), Err(rustix::io::Errno::AGAIN))
        };
        self.connections.iter().filter(waits).count()
    }

    /// Reads one reply on every connection; how many are what they have to be.
    pub(super) fn right_replies(&mut self) -> usize {
        let mut reply = vec![0; self.frame_len];
        let mut is_right = |Connection { socket, .. }: &&Connection| {
            let read = (&*socket).read_exact(&mut reply).and_then(|()| socket.set_nonblocking(true));
            read.is_ok() && reply == self.reply
        };
        self.connections.iter().filter(|connection| is_right(connection)).count()
    }

    /// Keeps frames in flight for a time; counts what `host` takes meanwhile. Before and behind it one reply of each connection
    /// is looked at to its last byte: so the lengths of those between add up. Over TLS only before, as those between are not decrypted.
    ///
    /// # Errors
    /// Where a connection fails, a reply is another one, or the server falls silent.
    pub(super) fn run(&mut self, host: &Host, in_flight: InFlight, span: Span) -> Result<Outcome, Box<dyn Error>> {
        self.verify()?;
        let (mut before, mut counted) = (0, 0);
        self.begin(in_flight)?;
        self.keep_up(in_flight, span.warm_up, &mut |_, replies| before += replies)?;
        let mut watch = Watch::start(host)?;
        self.keep_up(in_flight, span.counted, &mut |round_trip, replies| {
            counted += replies;
            watch.record(round_trip, replies);
        })?;
        let outcome = watch.stop(counted)?;
        let replies = before + counted + self.settle()?;
        if self.connections.iter().all(|connection| connection.sealed.is_none()) {
            self.verify()?;
        }
        Ok(Outcome { replies_in_all: replies + 2 * self.connections.len() as u64, ..outcome })
    }

    fn begin(&mut self, in_flight: InFlight) -> io::Result<()> {
        let now = self.now();
        match in_flight {
            InFlight::Each(frames) => (0..self.connections.len()).try_for_each(|index| self.send(index, frames, now)),
            InFlight::InAll(frames) => (0..frames).try_for_each(|_| self.send_in_turn(now)),
        }
    }

    fn keep_up(
        &mut self,
        in_flight: InFlight,
        span: Duration,
        count: &mut dyn FnMut(u64, u64),
    ) -> Result<(), Box<dyn Error>> {
        let begin = Instant::now();
        while begin.elapsed() < span {
            self.wait(|generator, index, replies| {
                let now = generator.now();
                generator.connections[index].answer(replies, now, count);
                match in_flight {
                    InFlight::Each(_) => generator.send(index, replies, now),
                    InFlight::InAll(_) => (0..replies).try_for_each(|_| generator.send_in_turn(now)),
                }
            })?;
        }
        Ok(())
    }

    /// Awaits what is in flight, so that the next run begins with nothing; how many replies that were.
    fn settle(&mut self) -> Result<u64, Box<dyn Error>> {
        let in_flight = |connection: &Connection| connection.sent_at.iter().map(|(_, frames)| frames).sum::<usize>();
        let all: usize = self.connections.iter().map(in_flight).sum();
        let mut left = all;
        while left > 0 {
            self.wait(|_, _, replies| {
                left -= replies;
                Ok(())
            })?;
        }
        self.forget();
        Ok(all as u64)
    }

    fn forget(&mut self) {
        self.connections.iter_mut().for_each(|connection| connection.sent_at.clear());
    }

    /// Waits for sockets, reads each one once, and hands on which connection had how many replies.
    fn wait(
        &mut self,
        mut answered: impl FnMut(&mut Generator, usize, usize) -> io::Result<()>,
    ) -> Result<(), Box<dyn Error>> {
        let mut events = Vec::with_capacity(1024);
        let timeout = SILENCE.try_into()?;
        epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), Some(&timeout))?;
        if events.is_empty() {
            return Err(format!("the server answered nothing for {} s", SILENCE.as_secs()).into());
        }
        for event in events {
            let (flags, index) = (event.flags, event.data.u64() as usize);
            if flags.intersects(epoll::EventFlags::IN | epoll::EventFlags::HUP | epoll::EventFlags::ERR) {
                let replies = self.receive(index)?;
                if replies > 0 {
                    answered(self, index, replies)?;
                }
            }
            if self.connections[index].awaits_room && flags.contains(epoll::EventFlags::OUT) {
                self.write(index)?;
            }
        }
        Ok(())
    }

    fn send_in_turn(&mut self, now: u64) -> io::Result<()> {
        let index = self.turn;
        self.turn = (index + 1) % self.connections.len();
        self.send(index, 1, now)
    }

    fn send(&mut self, index: usize, frames: usize, now: u64) -> io::Result<()> {
        let connection = &mut self.connections[index];
        connection.unsent += frames * self.frame_len;
        connection.sent_at.push_back((now, frames));
        self.write(index)
    }

    fn write(&mut self, index: usize) -> io::Result<()> {
        let Connection { socket, sealed, unsent, position, awaits_room, .. } = &mut self.connections[index];
        let mut full = false;
        match sealed {
            Some(sealed) => loop {
                if !sealed.unsent().is_empty() {
                    let written = send(socket, sealed.unsent())?;
                    full = written < sealed.unsent().len();
                    sealed.sent += written;
                }
                let len = (*unsent).min(self.wire.len() - *position).min(SEALED_LEN);
                if full || len == 0 {
                    break;
                }
                sealed.seal(&self.wire[*position..*position + len])?;
                *unsent -= len;
                *position = (*position + len) % self.wire.len();
            },
            None => {
                while *unsent > 0 && !full {
                    let len = (*unsent).min(self.wire.len() - *position);
                    let written = send(socket, &self.wire[*position..*position + len])?;
                    *unsent -= written;
                    *position = (*position + written) % self.wire.len();
                    full = written < len;
                }
            }
        }
        if full != *awaits_room {
            *awaits_room = full;
            let mut flags = epoll::EventFlags::IN;
            flags.set(epoll::EventFlags::OUT, full);
            epoll::modify(&self.epoll, socket, epoll::EventData::new_u64(index as u64), flags)?;
        }
        Ok(())
    }

    /// Reads once; the number of replies that are complete with it.
    fn receive(&mut self, index: usize) -> io::Result<usize> {
        let Connection { socket, sealed, received, .. } = &mut self.connections[index];
        let flags = if sealed.is_some() { RecvFlags::empty() } else { RecvFlags::TRUNC };
        match rustix::net::recv(socket, &mut self.scratch[..], flags) {
            Ok((_, 0)) => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed a connection")),
            Ok((_, len)) => {
                *received += sealed.as_mut().map_or(len, |sealed| sealed.count(&self.scratch[..len]));
                let replies = *received / self.frame_len;
                *received %= self.frame_len;
                Ok(replies)
            }
            Err(rustix::io::Errno::AGAIN) => Ok(0),
            Err(error) => Err(error.into()),
        }
    }

    /// Nanoseconds.
    fn now(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }
}

/// Sends as much as the socket takes; how much.
fn send(socket: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    match rustix::net::send(socket, bytes, SendFlags::NOSIGNAL) {
        Ok(written) => Ok(written),
        Err(rustix::io::Errno::AGAIN) => Ok(0),
        Err(error) => Err(error.into()),
    }
}

impl Connection {
    /// Takes answered frames out of those in flight. `count` gets, for those of one time, their round trip and number.
    fn answer(&mut self, mut replies: usize, now: u64, count: &mut dyn FnMut(u64, u64)) {
        while replies > 0
            && let Some((sent_at, frames)) = self.sent_at.front_mut()
        {
            let answered = replies.min(*frames);
            count(now - *sent_at, answered as u64);
            *frames -= answered;
            replies -= answered;
            if *frames == 0 {
                self.sent_at.pop_front();
            }
        }
    }
}

/// Whole frames of bytes that are not all zeros.
fn wire(payload_len: usize) -> Vec<u8> {
    let mut wire = Vec::new();
    while wire.len() < WIRE_LEN {
        wire.extend_from_slice(&(payload_len as u32).to_le_bytes());
        wire.extend((0..payload_len).map(|at| (at * 31 + 7) as u8));
    }
    wire
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    #[test]
    fn every_reply_of_an_echo_is_counted() -> Result<(), Box<dyn Error>> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let addr = listener.local_addr()?;
        let echo = thread::spawn(move || {
            let (mut socket, _) = listener.accept().expect("a connection");
            let (mut buffer, mut echoed) = ([0; 1000], 0);
            while let Ok(len @ 1..) = socket.read(&mut buffer) {
                socket.write_all(&buffer[..len]).expect("the peer reads");
                echoed += len;
            }
            echoed
        });
        let mut generator = Generator::connect(addr, 1, 100)?;
        generator.verify()?;
        let mut counted = 0;
        generator.begin(InFlight::Each(7))?;
        generator.keep_up(InFlight::Each(7), Duration::from_millis(50), &mut |_, replies| counted += replies)?;
        counted += generator.settle()?;
        drop(generator);
        assert_eq!(echo.join().expect("the echo ended") as u64, (counted + 1) * 104);
        assert!(counted > 7);
        Ok(())
    }

    #[test]
    fn frames_of_one_time_are_answered_in_order() -> Result<(), Box<dyn Error>> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let mut generator = Generator::connect(listener.local_addr()?, 1, 0)?;
        let connection = &mut generator.connections[0];
        connection.sent_at = [(10, 2), (30, 1)].into();
        let mut seen = Vec::new();
        connection.answer(3, 100, &mut |round_trip, frames| seen.push((round_trip, frames)));
        assert_eq!(seen, [(90, 2), (70, 1)]);
        assert!(connection.sent_at.is_empty());
        Ok(())
    }
}
