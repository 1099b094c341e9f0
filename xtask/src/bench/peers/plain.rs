//! The plain loop: one thread, one epoll, each frame written from the buffer it was read into.
//!
//! No executor, no limits, no timeouts, no handler: what a server can be near to.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::ops::Range;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::io::{Errno, retry_on_intr};
use rustix::net::SendFlags;
use slab::Slab;

use super::announce;

/// Bytes of one read at least.
const READ_LEN: usize = 256 << 10;
/// Stands for the listener among the connections' keys.
const LISTENER: u64 = u64::MAX;

/// Serves for ever.
pub(super) fn serve() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
    announce(listener.local_addr()?)?;
    let (mut connections, mut pool, mut events) = (Slab::new(), Vec::new(), Vec::with_capacity(1024));
    loop {
        events.clear();
        // A process that was stopped and goes on is interrupted.
        retry_on_intr(|| epoll::wait(&epoll, spare_capacity(&mut events), None))?;
        for event in &events {
            let key = event.data.u64();
            if key == LISTENER {
                let (socket, _) = listener.accept()?;
                socket.set_nodelay(true)?;
                socket.set_nonblocking(true)?;
                let entry = connections.vacant_entry();
                epoll::add(&epoll, &socket, EventData::new_u64(entry.key() as u64), EventFlags::IN)?;
                entry.insert(Connection { socket, input: Vec::new(), unsent: 0..0 });
            } else if connections[key as usize].turn(&epoll, *event, &mut pool).is_err() {
                connections.remove(key as usize);
            }
        }
    }
}

struct Connection {
    socket: TcpStream,
    /// What came; between frames it has no memory.
    input: Vec<u8>,
    /// The whole frames in it that are to be sent. Nothing more is read meanwhile.
    unsent: Range<usize>,
}

impl Connection {
    /// Reads once and sends back what is whole.
    fn turn(&mut self, epoll: &OwnedFd, event: epoll::Event, pool: &mut Vec<Vec<u8>>) -> io::Result<()> {
        let waited = !self.unsent.is_empty();
        if !waited {
            if self.input.capacity() == 0 {
                self.input = pool.pop().unwrap_or_default();
            }
            self.input.reserve(READ_LEN.max(missing(&self.input)));
            if rustix::io::read(&self.socket, spare_capacity(&mut self.input))? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.unsent = 0..whole(&self.input);
        }
        if !self.unsent.is_empty() {
            self.unsent.start +=
                match rustix::net::send(&self.socket, &self.input[self.unsent.clone()], SendFlags::NOSIGNAL) {
                    Err(Errno::AGAIN) => 0,
                    written => written?,
                };
        }
        let waits = !self.unsent.is_empty();
        if !waits {
            self.input.drain(..self.unsent.end);
        }
        if self.input.is_empty() {
            pool.push(std::mem::take(&mut self.input));
        }
        if waits != waited {
            epoll::modify(epoll, &self.socket, event.data, if waits { EventFlags::OUT } else { EventFlags::IN })?;
        }
        Ok(())
    }
}

/// Bytes of the whole frames at the front.
fn whole(bytes: &[u8]) -> usize {
    let mut end = 0;
    while let Some(len) = frame_len(&bytes[end..]).filter(|len| *len <= bytes.len() - end) {
        end += len;
    }
    end
}

/// Bytes of the first frame that have not come.
fn missing(bytes: &[u8]) -> usize {
    frame_len(bytes).map_or(0, |len| len.saturating_sub(bytes.len()))
}

fn frame_len(bytes: &[u8]) -> Option<usize> {
    bytes.first_chunk().map(|header| 4 + u32::from_le_bytes(*header) as usize)
}
