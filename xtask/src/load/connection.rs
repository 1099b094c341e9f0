//! One connection of the load: what it sends, and what it makes of what comes back.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::mem;
use std::net::Shutdown;

use mio::net::TcpStream;
use unstick::framing::{Decoder, Encoder, Part};

use super::fault::Fault;
use super::generator::{Greeting, Plan};
use super::pattern::Pattern;

/// Bytes of one read, and about those of one write. Longer payloads are made and compared piece by piece, so that the
/// memory of a run does not depend on them, and what is compared is still in the cache.
pub(super) const PIECE_LEN: usize = 128 * 1024;

/// Memory that the connections use in turn.
#[derive(Debug)]
pub(super) struct Scratch {
    input: Vec<u8>,
    output: Vec<u8>,
}

impl Scratch {
    pub(super) fn new() -> Scratch {
        Scratch { input: vec![0; PIECE_LEN], output: Vec::with_capacity(2 * PIECE_LEN) }
    }
}

/// What a read brought.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// So many replies are complete, and every byte is right. `more` says that the read was full.
    Responder { count: u64, more: bool },
    /// Nothing was there.
    Nothing,
    /// The end of the server's stream, where and when it may be.
    End,
}

/// One connection. `answered ≤ begun`, and what is between is in flight.
#[derive(Debug)]
pub(super) struct Connection {
    socket: TcpStream,
    index: u64,
    encoder: Encoder,
    decoder: Decoder,
    payload_len: usize,
    prefix_len: usize,
    /// Frames that may still be begun now.
    credit: u64,
    /// Frames that may ever be begun, `credit` not counted.
    quota: u64,
    begun: u64,
    /// Bytes of the payload of the frame begun last that are not made yet.
    unmade: usize,
    /// Bytes that the socket did not take, two pieces and a header at most, of which the first `written` are written by now.
    made: Vec<u8>,
    written: usize,
    answered: u64,
    /// When the frames in flight were begun, those of one time together: the time, and how many.
    begun_at: VecDeque<(u64, u64)>,
    expected: Expected,
    half_closed: bool,
}

/// What the bytes that come next are.
#[derive(Debug)]
enum Expected {
    /// So many bytes of a greeting without framing.
    RawGreeting(usize),
    /// A frame that greets; anything may be in it.
    Greeting,
    /// A reply, of whose payload so many bytes came.
    Reply { pattern: Pattern, position: usize },
}

impl Connection {
    pub(super) fn new(socket: TcpStream, index: u64, quota: u64, plan: &Plan) -> Connection {
        let expected = match plan.greeting {
            Greeting::None | Greeting::Raw(0) => Expected::reply(index, 0),
            Greeting::Frame => Expected::Greeting,
            Greeting::Raw(len) => Expected::RawGreeting(len),
        };
        let credit = plan.in_flight.min(quota);
        Connection {
            socket,
            index,
            encoder: Encoder::new(plan.format),
            decoder: Decoder::with_read_len(plan.format, PIECE_LEN),
            payload_len: plan.payload_len,
            prefix_len: usize::from(plan.format.layout().offset),
            credit,
            quota: quota - credit,
            begun: 0,
            unmade: 0,
            made: Vec::new(),
            written: 0,
            answered: 0,
            begun_at: VecDeque::new(),
            expected,
            half_closed: false,
        }
    }

    pub(super) fn socket(&mut self) -> &mut TcpStream {
        &mut self.socket
    }

    pub(super) fn begun(&self) -> u64 {
        self.begun
    }

    pub(super) fn answered(&self) -> u64 {
        self.answered
    }

    pub(super) fn in_flight(&self) -> u64 {
        self.begun - self.answered
    }

    /// Begins no more frames.
    pub(super) fn stop(&mut self) {
        self.credit = 0;
        self.quota = 0;
    }

    /// Writes until the socket takes no more or nothing may be begun. `now` is noted as the time of the frames begun.
    /// Once all is answered and nothing more may be begun, our stream is ended, and the server's is read on (half-close).
    pub(super) fn send(&mut self, scratch: &mut Scratch, now: u64) -> Result<(), Fault> {
        loop {
            self.written += write(&mut self.socket, &self.made[self.written..]).map_err(Fault::Died)?;
            if self.written < self.made.len() {
                return Ok(());
            }
            scratch.output.clear();
            self.make(&mut scratch.output, now)?;
            if scratch.output.is_empty() {
                break;
            }
            let written = write(&mut self.socket, &scratch.output).map_err(Fault::Died)?;
            self.made.clear();
            self.written = 0;
            if written < scratch.output.len() {
                self.made.extend_from_slice(&scratch.output[written..]);
                return Ok(());
            }
        }
        if self.in_flight() == 0 && !self.half_closed {
            self.half_closed = true;
            self.socket.shutdown(Shutdown::Write).map_err(Fault::Died)?;
        }
        Ok(())
    }

    /// Makes the next bytes to send, about `PIECE_LEN`.
    fn make(&mut self, out: &mut Vec<u8>, now: u64) -> Result<(), Fault> {
        let before = self.begun;
        while out.len() < PIECE_LEN && (self.unmade > 0 || self.credit > 0) {
            if self.unmade == 0 {
                self.begin(out)?;
            }
            let len = self.unmade.min(PIECE_LEN);
            Pattern::new(self.index, self.begun - 1).append(self.payload_len - self.unmade, len, out);
            self.unmade -= len;
        }
        if self.begun > before {
            self.begun_at.push_back((now, self.begun - before));
        }
        Ok(())
    }

    fn begin(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        let mut prefix = Vec::new();
        if self.prefix_len > 0 {
            Pattern::new(self.index, self.begun).append_prefix(self.prefix_len, &mut prefix);
        }
        self.encoder.header(&prefix, self.payload_len, out).map_err(Fault::Unencodable)?;
        self.credit -= 1;
        self.begun += 1;
        self.unmade = self.payload_len;
        Ok(())
    }

    /// Reads once and compares what came with what was sent.
    pub(super) fn receive(&mut self, scratch: &mut Scratch) -> Result<Received, Fault> {
        if let Expected::RawGreeting(left) = self.expected {
            return self.receive_greeting(left, scratch);
        }
        // The decoder reads into memory that it has only meanwhile; it keeps what is unfinished of a header.
        self.decoder.swap_buffer(mem::take(&mut scratch.input));
        let received = self.receive_frames();
        scratch.input = self.decoder.swap_buffer(Vec::new());
        scratch.input.resize(PIECE_LEN, 0);
        received
    }

    fn receive_frames(&mut self) -> Result<Received, Fault> {
        let space = self.decoder.space();
        let room = space.len();
        match read(&mut self.socket, space).map_err(Fault::Died)? {
            None => Ok(Received::Nothing),
            Some(0) => self.end(),
            Some(n) => {
                self.decoder.filled(n);
                let count = self.compare()?;
                Ok(Received::Responder { count, more: n == room })
            }
        }
    }

    fn receive_greeting(&mut self, left: usize, scratch: &mut Scratch) -> Result<Received, Fault> {
        let room = left.min(scratch.input.len());
        match read(&mut self.socket, &mut scratch.input[..room]).map_err(Fault::Died)? {
            None => Ok(Received::Nothing),
            Some(0) => self.end(),
            Some(n) => {
                let left = left - n;
                self.expected = if left > 0 { Expected::RawGreeting(left) } else { Expected::reply(self.index, 0) };
                Ok(Received::Responder { count: 0, more: true })
            }
        }
    }

    /// Compares all that has come; how many replies are complete.
    fn compare(&mut self) -> Result<u64, Fault> {
        let before = self.answered;
        while let Some(part) = self.decoder.next_part().map_err(Fault::Malformed)? {
            let Expected::Reply { pattern, position } = &mut self.expected else {
                if matches!(part, Part::End { .. }) {
                    self.expected = Expected::reply(self.index, 0);
                }
                continue;
            };
            match part {
                Part::Start { .. } if self.answered == self.begun => return Err(Fault::Extra),
                Part::Start { payload_len, .. } if payload_len != self.payload_len => {
                    return Err(Fault::Length { sent: self.payload_len, came: payload_len });
                }
                Part::Start { prefix_len: 0, .. } => {}
                Part::Start { header, prefix_len, .. } => {
                    if let Some(difference) = pattern.prefix_difference(&header[..prefix_len]) {
                        return Err(Fault::AlteredPrefix(difference));
                    }
                }
                Part::Chunk(bytes) => {
                    if let Some(difference) = pattern.difference(*position, bytes) {
                        let at_begin = *position == 0;
                        let moved = at_begin.then(|| moved((self.index, self.answered, self.begun), bytes)).flatten();
                        return Err(moved.unwrap_or(Fault::Altered(difference)));
                    }
                    *position += bytes.len();
                }
                Part::End { .. } => {
                    self.answered += 1;
                    self.expected = Expected::reply(self.index, self.answered);
                }
            }
        }
        Ok(self.answered - before)
    }

    /// The server's stream ended: may it?
    fn end(&self) -> Result<Received, Fault> {
        self.decoder.finish().map_err(Fault::Malformed)?;
        match self.half_closed {
            true => Ok(Received::End),
            false => Err(Fault::EndedEarly { in_flight: self.in_flight() }),
        }
    }

    /// Takes `count` answered frames out of those in flight, and lets as many be begun. `each` gets, for those of one
    /// time, their round trip and how many they are.
    pub(super) fn settle(&mut self, mut count: u64, now: u64, mut each: impl FnMut(u64, u64)) {
        let refill = count.min(self.quota);
        self.quota -= refill;
        self.credit += refill;
        while count > 0
            && let Some((begun_at, frames)) = self.begun_at.front_mut()
        {
            let settled = count.min(*frames);
            each(now - *begun_at, settled);
            *frames -= settled;
            count -= settled;
            if *frames == 0 {
                self.begun_at.pop_front();
            }
        }
    }

    /// What is wrong with a connection that is still there when the drain is over.
    pub(super) fn overdue(&self) -> Fault {
        match self.in_flight() {
            0 => Fault::NoEnd,
            in_flight => Fault::Unanswered { in_flight },
        }
    }
}

impl Expected {
    fn reply(connection: u64, sequence: u64) -> Expected {
        Expected::Reply { pattern: Pattern::new(connection, sequence), position: 0 }
    }
}

/// Whether a payload that begins with `bytes` is one that belongs elsewhere: in another place, or on another connection.
#[cold]
fn moved((index, answered, begun): (u64, u64, u64), bytes: &[u8]) -> Option<Fault> {
    let matches = |connection, sequence| Pattern::new(connection, sequence).difference(0, bytes).is_none();
    let sequence = Pattern::sequence_of(index, bytes)?;
    if sequence < begun && matches(index, sequence) {
        let early = sequence > answered;
        return Some(if early { Fault::Early { sequence } } else { Fault::Repeated { sequence } });
    }
    // More connections and frames than a run has; that eight bytes match one by chance is as good as impossible.
    (0..1 << 16).find_map(|connection| {
        let sequence = Pattern::sequence_of(connection, bytes).filter(|sequence| *sequence < 1 << 32)?;
        matches(connection, sequence).then_some(Fault::Foreign { connection, sequence })
    })
}

/// Reads once; `None` where nothing is there yet.
fn read(socket: &mut TcpStream, space: &mut [u8]) -> io::Result<Option<usize>> {
    loop {
        match socket.read(space) {
            Ok(n) => return Ok(Some(n)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Writes until the socket takes no more; how much it took.
fn write(socket: &mut TcpStream, bytes: &[u8]) -> io::Result<usize> {
    let mut written = 0;
    while written < bytes.len() {
        match socket.write(&bytes[written..]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => written += n,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(written)
}
