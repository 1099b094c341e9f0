//! Well-behaved clients beside an attack, which verify every byte of every frame: they send at a steady pace, or
//! receive what the server pushes.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use unstick::framing::{Decoder, Encoder, Format, Header};

use super::push::{self, Push};
use super::scene::PATIENCE;
use super::server;
use super::stream::Stream;
use crate::socket::Addr;

/// How many there are.
pub(super) const CLIENTS: usize = 4;
/// How often a client sends. Round trips are measured from the time at which it should have sent.
const PERIOD: Duration = Duration::from_millis(4);
/// Bytes of their payloads, in turn.
const LENGTHS: [usize; 5] = [64, 0, 1000, 7, 4000];

/// The longest round trip that is told apart: a minute, in microseconds.
const LONGEST: u64 = 60_000_000;

/// The phase, which all clients read.
const CALM: u8 = 0;
const ATTACKED: u8 = 1;
const ENDING: u8 = 2;

/// Clients at work.
pub(super) struct Healthy {
    phase: Arc<AtomicU8>,
    threads: Vec<JoinHandle<Seen>>,
}

/// What they do.
#[derive(Clone, Copy, Debug)]
pub(super) enum Work {
    /// Send frames of this format, and expect them back.
    Echo(Format),
    /// Receive pushes with payloads of this length.
    Receive(usize),
}

/// What they saw.
#[derive(Debug)]
pub(super) struct Seen {
    /// Replies, or pushes, that were verified.
    pub(super) verified: u64,
    /// What was wrong, a line each.
    pub(super) faults: Vec<String>,
    /// Round trips, or ways from the push to here, in microseconds, without and with the attack.
    times: [Histogram<u64>; 2],
}

impl Seen {
    fn nothing() -> Seen {
        let empty = || Histogram::new_with_max(LONGEST, 3).expect("a minute in microseconds to three digits");
        Seen { verified: 0, faults: Vec::new(), times: [empty(), empty()] }
    }

    /// The 99th percentile in milliseconds, without and with the attack.
    pub(super) fn p99(&self) -> [f64; 2] {
        self.times.each_ref().map(|times| times.value_at_quantile(0.99).min(times.max()) as f64 / 1000.0)
    }

    /// What came during the attack.
    pub(super) fn during(&self) -> u64 {
        self.times[1].len()
    }

    /// The longest time during the attack.
    pub(super) fn longest(&self) -> Duration {
        Duration::from_micros(self.times[1].max())
    }
}

impl Healthy {
    /// Connects them; each has its first reply before this returns.
    ///
    /// # Errors
    /// If the server does not serve them.
    pub(super) fn start(addr: &Addr, work: Work) -> io::Result<Healthy> {
        let phase = Arc::new(AtomicU8::new(CALM));
        let clients = (0..CLIENTS).map(|index| Client::connect(addr, work, index as u64));
        let clients = clients.collect::<io::Result<Vec<_>>>()?;
        let threads = clients.into_iter().map(|client| {
            let phase = Arc::clone(&phase);
            thread::spawn(move || client.run(&phase))
        });
        Ok(Healthy { threads: threads.collect(), phase })
    }

    /// From now on they are beside an attack.
    pub(super) fn attacked(&self) {
        self.phase.store(ATTACKED, Relaxed);
    }

    /// Ends them, each by a half-close.
    pub(super) fn end(self) -> Seen {
        self.phase.store(ENDING, Relaxed);
        let mut all = Seen::nothing();
        for thread in self.threads {
            let Ok(seen) = thread.join() else {
                all.faults.push("a client panicked".into());
                continue;
            };
            all.verified += seen.verified;
            all.faults.extend(seen.faults);
            for (all, one) in all.times.iter_mut().zip(seen.times) {
                all.add(one).expect("of one kind");
            }
        }
        all
    }
}

struct Client {
    stream: Stream,
    index: u64,
    work: Work,
    decoder: Decoder,
    /// The number of the next push, once one has come.
    next: Option<u64>,
}

impl Client {
    fn connect(addr: &Addr, work: Work, index: u64) -> io::Result<Client> {
        let stream = Stream::connect(addr, PATIENCE)?;
        let format = if let Work::Echo(format) = work { format } else { Format::U32_LE };
        let mut client = Client { stream, index, work, decoder: Decoder::new(format), next: None };
        match work {
            Work::Echo(_) => client.echo(0)?,
            Work::Receive(_) => {
                client.call(server::SUBSCRIBE)?;
            }
        }
        Ok(client)
    }

    fn run(mut self, phase: &AtomicU8) -> Seen {
        let mut seen = Seen::nothing();
        let begin = Instant::now();
        for sequence in 1.. {
            let due = begin + PERIOD * sequence;
            if let Work::Echo(_) = self.work {
                thread::sleep(due.saturating_duration_since(Instant::now()));
            }
            if phase.load(Relaxed) == ENDING {
                break;
            }
            let done = match self.work {
                Work::Echo(_) => self.echo(u64::from(sequence)).map(|()| due.elapsed()),
                Work::Receive(_) => self.receive().map(|push| push.age()),
            };
            let time = match done {
                Ok(time) => time,
                Err(error) => {
                    seen.faults.push(format!("client {}, frame {sequence}: {error}", self.index));
                    return seen;
                }
            };
            seen.verified += 1;
            // What was begun before the attack and came during it is the attack's.
            let calm = phase.load(Relaxed) == CALM;
            seen.times[usize::from(!calm)].saturating_record(time.as_micros() as u64);
        }
        let index = self.index;
        if let Err(error) = self.finish() {
            seen.faults.push(format!("client {index}, at its end: {error}"));
        }
        seen
    }

    /// Sends a frame and verifies its reply.
    fn echo(&mut self, sequence: u64) -> io::Result<()> {
        let len = LENGTHS[sequence as usize % LENGTHS.len()].min(self.decoder.format().max_payload_len());
        let payload = payload(self.index, sequence, len);
        let reply = self.call(&payload)?;
        if reply == payload { Ok(()) } else { Err(altered(&reply, &payload)) }
    }

    /// Sends a frame; the next one that comes.
    fn call(&mut self, payload: &[u8]) -> io::Result<Vec<u8>> {
        let mut wire = Vec::new();
        Encoder::new(*self.decoder.format()).encode(payload, &mut wire).map_err(io::Error::other)?;
        (&self.stream).write_all(&wire)?;
        self.frame()?.ok_or_else(ended)
    }

    /// The next push, verified.
    fn receive(&mut self) -> io::Result<Push> {
        let payload = self.frame()?.ok_or_else(ended)?;
        self.verify(&payload)
    }

    fn verify(&mut self, payload: &[u8]) -> io::Result<Push> {
        let Work::Receive(len) = self.work else { return Err(io::Error::other("a frame that nobody asked for")) };
        let push = push::verify(payload, len, self.next)?;
        self.next = Some(push.number + 1);
        Ok(push)
    }

    /// The next frame; `None` at the stream's end.
    fn frame(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(frame) = self.decoder.next_frame().map_err(io::Error::other)? {
                return Ok(Some(frame.payload().to_vec()));
            }
            let n = (&self.stream).read(self.decoder.space())?;
            if n == 0 {
                return self.decoder.finish().map(|()| None).map_err(io::Error::other);
            }
            self.decoder.filled(n);
        }
    }

    /// Ends our stream; the server ends its own, and before that nothing comes but pushes.
    fn finish(mut self) -> io::Result<()> {
        self.stream.half_close()?;
        while let Some(payload) = self.frame()? {
            self.verify(&payload)?;
        }
        Ok(())
    }
}

fn ended() -> io::Error {
    io::Error::other("the server ended the stream")
}

/// The payload of a frame: a function of client, sequence and position, no byte of which is that of the frame before.
fn payload(client: u64, sequence: u64, len: usize) -> Vec<u8> {
    let first = client.wrapping_mul(0x9D).wrapping_add(sequence.wrapping_mul(0x3B));
    (0..len as u64).map(|at| (first.wrapping_add(at.wrapping_mul(0x25)) ^ (at >> 8)) as u8).collect()
}

fn altered(came: &[u8], sent: &[u8]) -> io::Error {
    match came.iter().zip(sent).position(|(came, sent)| came != sent) {
        Some(at) => {
            let (came, sent) = (came[at], sent[at]);
            io::Error::other(format!("byte {at} of the reply is {came:#04x} where {sent:#04x} was sent"))
        }
        None => io::Error::other(format!("the reply has {} bytes where {} were sent", came.len(), sent.len())),
    }
}
