//! The load of a server that pushes: senders with a window, and receivers that verify every frame.
//!
//! Senders and receivers are all here, on one thread: so it is known how far the slowest receiver is without a word to the
//! server. A sender has at most so many frames on their way that not every receiver has.

use std::collections::VecDeque;
use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};

use crate::bench::drive::SILENCE;
use crate::bench::host::Host;
use crate::bench::outcome::{Outcome, Span, Watch};

/// Bytes of one read at most.
const READ_LEN: usize = 1 << 20;

/// Who sends how much to whom.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// The first connections.
    pub(super) senders: usize,
    /// The last connections; they may be senders, too.
    pub(super) receivers: usize,
    pub(super) connections: usize,
    /// At least 24: sender, number, and the number once more at the end.
    pub(super) payload_len: usize,
    /// Frames of a sender that not every receiver has, at most.
    pub(super) ahead: usize,
}

pub(super) struct Load {
    shape: Shape,
    epoll: OwnedFd,
    connections: Vec<Connection>,
    senders: Vec<Sender>,
    scratch: Vec<u8>,
    start: Instant,
    delivered: u64,
}

struct Connection {
    socket: TcpStream,
    unsent: Vec<u8>,
    /// The begin of a frame that is not complete.
    begun: Vec<u8>,
    /// For each sender, the number of the frame that comes next.
    next: Vec<u64>,
}

/// The window of a sender.
#[derive(Default)]
struct Sender {
    /// So many frames every receiver has.
    had_by_all: u64,
    /// Those that not every receiver has: when it was sent, and how many have it.
    on_their_way: VecDeque<(u64, usize)>,
}

impl Load {
    /// Connects, subscribes, and keeps frames on their way for a time; counts what `host` takes meanwhile.
    ///
    /// # Errors
    /// Where a connection fails, a frame is lost, doubled, out of order or another one, or the server falls silent.
    pub(super) fn run(shape: Shape, host: &Host, span: Span) -> Result<Outcome, Box<dyn Error>> {
        let mut load = Load::connect(shape, host.addr)?;
        load.keep_up(span.warm_up, &mut |_| ())?;
        let (before, mut watch) = (load.delivered, Watch::start(host)?);
        load.keep_up(span.counted, &mut |took| watch.record(took, 1))?;
        let outcome = watch.stop(load.delivered - before)?;
        load.settle()?;
        Ok(Outcome { replies_in_all: load.delivered, ..outcome })
    }

    fn connect(shape: Shape, addr: SocketAddr) -> Result<Load, Box<dyn Error>> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut connections = Vec::with_capacity(shape.connections);
        for index in 0..shape.connections {
            let mut socket = TcpStream::connect(addr)?;
            socket.set_nodelay(true)?;
            // A reset instead of a FIN in the end: so no port is left in TIME_WAIT.
            rustix::net::sockopt::set_socket_linger(&socket, Some(Duration::ZERO))?;
            if index >= shape.connections - shape.receivers {
                subscribe(&mut socket)?;
            }
            socket.set_nonblocking(true)?;
            epoll::add(&epoll, &socket, EventData::new_u64(index as u64), EventFlags::IN)?;
            let next = vec![0; shape.senders];
            connections.push(Connection { socket, unsent: Vec::new(), begun: Vec::new(), next });
        }
        let senders = (0..shape.senders).map(|_| Sender::default()).collect();
        let (scratch, start) = (vec![0; READ_LEN], Instant::now());
        Ok(Load { shape, epoll, connections, senders, scratch, start, delivered: 0 })
    }

    /// Hands on how long each frame took to the slowest receiver, in nanoseconds.
    fn keep_up(&mut self, span: Duration, took: &mut dyn FnMut(u64)) -> Result<(), Box<dyn Error>> {
        let begin = Instant::now();
        while begin.elapsed() < span {
            (0..self.shape.senders).try_for_each(|sender| self.send(sender))?;
            self.wait(took)?;
        }
        Ok(())
    }

    /// Until every receiver has all, and no more.
    fn settle(&mut self) -> Result<(), Box<dyn Error>> {
        while self.senders.iter().any(|sender| !sender.on_their_way.is_empty()) {
            self.wait(&mut |_| ())?;
        }
        let receivers = &self.connections[self.shape.connections - self.shape.receivers..];
        let sent = self.senders.iter().map(|sender| sender.had_by_all);
        match receivers
            .iter()
            .all(|receiver| receiver.begun.is_empty() && sent.clone().eq(receiver.next.iter().copied()))
        {
            true => Ok(()),
            false => Err("a receiver has something else than what was sent".into()),
        }
    }

    fn wait(&mut self, took: &mut dyn FnMut(u64)) -> Result<(), Box<dyn Error>> {
        let mut events = Vec::with_capacity(1024);
        epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&SILENCE.try_into()?))?;
        if events.is_empty() {
            return Err(format!("nothing came for {} s", SILENCE.as_secs()).into());
        }
        for event in events {
            let (flags, index) = (event.flags, event.data.u64() as usize);
            if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
                self.receive(index, took)?;
            }
            if flags.contains(EventFlags::OUT) {
                self.write(index)?;
            }
        }
        Ok(())
    }

    /// Reads once, and verifies what came.
    fn receive(&mut self, index: usize, took: &mut dyn FnMut(u64)) -> Result<(), Box<dyn Error>> {
        let Connection { socket, begun, next, .. } = &mut self.connections[index];
        self.scratch[..begun.len()].copy_from_slice(begun);
        let len = match rustix::net::recv(socket, &mut self.scratch[begun.len()..], RecvFlags::empty()) {
            Ok((0, _)) => return Err(format!("the server closed connection {index}").into()),
            Ok((len, _)) => begun.len() + len,
            Err(Errno::AGAIN) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let now = self.start.elapsed().as_nanos() as u64;
        let frames = self.scratch[..len].chunks_exact(4 + self.shape.payload_len);
        *begun = frames.remainder().into();
        for frame in frames {
            let (sender, number) = read(frame).ok_or_else(|| format!("receiver {index} has a frame that is none"))?;
            match next.get_mut(sender) {
                Some(next) if *next == number => *next += 1,
                next => {
                    return Err(
                        format!("receiver {index}: frame {number} of sender {sender} instead of {next:?}").into()
                    );
                }
            }
            self.delivered += 1;
            let sender = &mut self.senders[sender];
            let (_, have) = sender.on_their_way.get_mut((number - sender.had_by_all) as usize).ok_or("never sent")?;
            *have += 1;
            while let Some((sent_at, have)) = sender.on_their_way.front()
                && *have == self.shape.receivers
            {
                took(now - sent_at);
                sender.on_their_way.pop_front();
                sender.had_by_all += 1;
            }
        }
        Ok(())
    }

    /// Sends what the window allows.
    fn send(&mut self, index: usize) -> io::Result<()> {
        let (sender, connection) = (&mut self.senders[index], &mut self.connections[index]);
        let waited = !connection.unsent.is_empty();
        while sender.on_their_way.len() < self.shape.ahead {
            let number = sender.had_by_all + sender.on_their_way.len() as u64;
            append(&mut connection.unsent, self.shape.payload_len, index, number);
            sender.on_their_way.push_back((self.start.elapsed().as_nanos() as u64, 0));
        }
        match waited || connection.unsent.is_empty() {
            true => Ok(()),
            false => self.write(index),
        }
    }

    fn write(&mut self, index: usize) -> io::Result<()> {
        let Connection { socket, unsent, .. } = &mut self.connections[index];
        let written = match rustix::net::send(&*socket, unsent, SendFlags::NOSIGNAL) {
            Err(Errno::AGAIN) => 0,
            written => written?,
        };
        unsent.drain(..written);
        let mut flags = EventFlags::IN;
        flags.set(EventFlags::OUT, !unsent.is_empty());
        Ok(epoll::modify(&self.epoll, socket, EventData::new_u64(index as u64), flags)?)
    }
}

/// Sends an empty frame and awaits the one that confirms it.
fn subscribe(socket: &mut TcpStream) -> Result<(), Box<dyn Error>> {
    socket.set_read_timeout(Some(SILENCE))?;
    socket.write_all(&[0; 4])?;
    let mut reply = [1; 4];
    socket.read_exact(&mut reply)?;
    if reply == [0; 4] { Ok(()) } else { Err(format!("a subscription is confirmed by {reply:?}").into()) }
}

/// Appends a frame: sender, number, filling, and the number once more.
fn append(wire: &mut Vec<u8>, payload_len: usize, sender: usize, number: u64) {
    let end = wire.len() + 4 + payload_len;
    wire.extend((payload_len as u32).to_le_bytes());
    wire.extend((sender as u64).to_le_bytes());
    wire.extend(number.to_le_bytes());
    wire.resize(end - 8, 7);
    wire.extend(number.to_le_bytes());
}

/// Sender and number of a frame that [`append`] made.
fn read(frame: &[u8]) -> Option<(usize, u64)> {
    let (header, payload) = frame.split_first_chunk()?;
    let (sender, rest) = payload.split_first_chunk()?;
    let (number, rest) = rest.split_first_chunk()?;
    let is_whole = u32::from_le_bytes(*header) as usize == payload.len() && rest.ends_with(number);
    is_whole.then(|| (u64::from_le_bytes(*sender) as usize, u64::from_le_bytes(*number)))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// One connection that sends and receives: to it, who echoes is a server that pushes. Echoes frames of 28 bytes but those
    /// that it is told to lose, and ends with the connection.
    fn pushed_by_an_echo(loses: fn(u64) -> bool) -> Result<u64, Box<dyn Error>> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let addr = listener.local_addr()?;
        thread::spawn(move || {
            let (mut socket, _) = listener.accept().expect("a connection");
            let mut frame = [0; 28];
            socket.read_exact(&mut frame[..4]).expect("a subscription");
            socket.write_all(&frame[..4]).expect("it is confirmed");
            while socket.read_exact(&mut frame).is_ok() {
                let (_, number) = read(&frame).expect("a frame");
                if !loses(number) && socket.write_all(&frame).is_err() {
                    break;
                }
            }
        });
        let shape = Shape { senders: 1, receivers: 1, connections: 1, payload_len: 24, ahead: 5 };
        let mut load = Load::connect(shape, addr)?;
        let mut counted = 0;
        load.keep_up(Duration::from_millis(50), &mut |_| counted += 1)?;
        load.settle()?;
        assert!(load.delivered >= counted && load.delivered == load.senders[0].had_by_all);
        Ok(load.delivered)
    }

    #[test]
    fn what_is_delivered_is_counted() -> Result<(), Box<dyn Error>> {
        assert!(pushed_by_an_echo(|_| false)? >= 5);
        Ok(())
    }

    #[test]
    fn a_frame_that_is_lost_is_told() {
        let error = pushed_by_an_echo(|number| number == 3).expect_err("a frame is lost").to_string();
        assert!(error.contains("frame 4 of sender 0 instead of Some(3)"), "{error}");
    }

    #[test]
    fn a_frame_says_whose_it_is_and_which() {
        let mut wire = Vec::new();
        append(&mut wire, 24, 7, 9);
        append(&mut wire, 24, 7, u64::MAX);
        let read: Vec<_> = wire.chunks(28).map(read).collect();
        assert_eq!(read, [Some((7, 9)), Some((7, u64::MAX))]);
        wire[27] ^= 1;
        assert_eq!(super::read(&wire[..28]), None);
        assert_eq!(super::read(&wire[28..55]), None);
    }
}
