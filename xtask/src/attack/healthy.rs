//! Well-behaved clients beside an attack: they send at a steady pace, and verify every byte of every reply.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use unstick::framing::{Decoder, Encoder, Format, Header};

use super::scene::PATIENCE;
use crate::load::Pattern;

/// How many there are.
pub(super) const CLIENTS: usize = 4;
/// Each sends a frame so often, and measures from the time at which it ought to have sent it.
const PERIOD: Duration = Duration::from_millis(4);
/// Bytes of their payloads, in turn.
const LENGTHS: [usize; 5] = [64, 0, 1000, 7, 4000];

/// The longest round trip that is told apart: a minute, in microseconds.
const LONGEST: u64 = 60_000_000;

/// What the clients are doing, for all to see.
const CALM: u8 = 0;
const ATTACKED: u8 = 1;
const ENDING: u8 = 2;

/// Clients at work.
pub(super) struct Healthy {
    phase: Arc<AtomicU8>,
    threads: Vec<JoinHandle<Seen>>,
}

/// What they saw.
#[derive(Debug)]
pub(super) struct Seen {
    /// Replies that were verified.
    pub(super) verified: u64,
    /// What was wrong, a line each.
    pub(super) faults: Vec<String>,
    /// Round trips in microseconds, without and with the attack.
    round_trips: [Histogram<u64>; 2],
}

impl Seen {
    fn nothing() -> Seen {
        let empty = || Histogram::new_with_max(LONGEST, 3).expect("a minute in microseconds to three digits");
        Seen { verified: 0, faults: Vec::new(), round_trips: [empty(), empty()] }
    }

    /// The 99th percentile in milliseconds, without and with the attack.
    pub(super) fn p99(&self) -> [f64; 2] {
        self.round_trips.each_ref().map(|times| times.value_at_quantile(0.99).min(times.max()) as f64 / 1000.0)
    }

    /// Replies that came during the attack.
    pub(super) fn during(&self) -> u64 {
        self.round_trips[1].len()
    }

    /// The longest round trip during the attack.
    pub(super) fn longest(&self) -> Duration {
        Duration::from_micros(self.round_trips[1].max())
    }
}

impl Healthy {
    /// Connects them; each has its first reply before this returns.
    ///
    /// # Errors
    /// Where the server does not serve them.
    pub(super) fn start(addr: SocketAddr, format: Format) -> io::Result<Healthy> {
        let phase = Arc::new(AtomicU8::new(CALM));
        let clients = (0..CLIENTS).map(|index| Client::connect(addr, format, index as u64));
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
            for (all, one) in all.round_trips.iter_mut().zip(seen.round_trips) {
                all.add(one).expect("of one kind");
            }
        }
        all
    }
}

struct Client {
    socket: TcpStream,
    index: u64,
    format: Format,
    decoder: Decoder,
}

impl Client {
    fn connect(addr: SocketAddr, format: Format, index: u64) -> io::Result<Client> {
        let socket = TcpStream::connect_timeout(&addr, PATIENCE)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        let mut client = Client { socket, index, format, decoder: Decoder::new(format) };
        client.echo(0)?;
        Ok(client)
    }

    fn run(mut self, phase: &AtomicU8) -> Seen {
        let mut seen = Seen::nothing();
        let begin = Instant::now();
        for sequence in 1.. {
            let due = begin + PERIOD * sequence;
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if phase.load(Relaxed) == ENDING {
                break;
            }
            if let Err(error) = self.echo(u64::from(sequence)) {
                seen.faults.push(format!("client {}, reply {sequence}: {error}", self.index));
                return seen;
            }
            seen.verified += 1;
            // What was begun before the attack and came during it is the attack's.
            let calm = phase.load(Relaxed) == CALM;
            seen.round_trips[usize::from(!calm)].saturating_record(due.elapsed().as_micros() as u64);
        }
        let index = self.index;
        if let Err(error) = self.finish() {
            seen.faults.push(format!("client {index}, at its end: {error}"));
        }
        seen
    }

    /// Sends a frame and verifies its reply.
    fn echo(&mut self, sequence: u64) -> io::Result<()> {
        let pattern = Pattern::new(self.index, sequence);
        let len = LENGTHS[sequence as usize % LENGTHS.len()].min(self.format.max_payload_len());
        let (mut payload, mut wire) = (Vec::new(), Vec::new());
        pattern.append(0, len, &mut payload);
        Encoder::new(self.format).encode(&payload, &mut wire).map_err(io::Error::other)?;
        self.socket.write_all(&wire)?;
        loop {
            if let Some(frame) = self.decoder.next_frame().map_err(io::Error::other)? {
                return if frame.payload() == payload { Ok(()) } else { Err(altered(frame.payload(), pattern)) };
            }
            let n = self.socket.read(self.decoder.space())?;
            if n == 0 {
                return Err(io::Error::other("the server ended the stream with a frame in flight"));
            }
            self.decoder.filled(n);
        }
    }

    /// Ends our stream; the server ends its own, and nothing comes before that.
    fn finish(mut self) -> io::Result<()> {
        self.socket.shutdown(Shutdown::Write)?;
        match self.socket.read(&mut [0; 16])? {
            0 => Ok(()),
            n => Err(io::Error::other(format!("{n} bytes that nobody asked for"))),
        }
    }
}

fn altered(came: &[u8], pattern: Pattern) -> io::Error {
    match pattern.difference(0, came) {
        Some(difference) => io::Error::other(format!("the reply is altered: {difference:?}")),
        None => io::Error::other(format!("the reply has another length: {} bytes", came.len())),
    }
}
