//! What happens in a session: the server's limits, and what each client does.

use std::fmt;
use std::time::Duration;

use crate::framing::{Endian, Format, Header, Layout};
use crate::testing::case::Cuts;
use crate::testing::plan::Wire;
use crate::testing::source::Source;
use crate::{Greeting, ServerConfig};

/// A session.
#[derive(Debug)]
pub(super) struct Script {
    pub(super) config: ServerConfig,
    /// Unread bytes that a connection holds in each direction.
    pub(super) capacity: usize,
    /// When the server is stopped, if not after its last client has ended.
    pub(super) stop: Option<Duration>,
    pub(super) clients: Vec<Acts>,
}

/// What one client does.
pub(super) struct Acts {
    pub(super) stream: Vec<u8>,
    pub(super) cuts: Cuts,
    /// How long it waits after each chunk, in turns.
    pub(super) waits: [Duration; 2],
    pub(super) reads: Reads,
    pub(super) ends: Ends,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reads {
    /// All there is, at once.
    Greedily,
    /// A little, and then waits.
    Slowly,
    /// Only after a wait that is longer than any timeout.
    Late,
}

/// What it does after its last byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ends {
    Fin,
    Reset,
    /// Nothing: it waits for the server to end.
    Stays,
}

/// What a handler does, by the first byte of a payload: all others are a plain reply.
pub(super) const DEEDS: u8 = 16;

/// The deeds that write the most.
const FILL: [u8; 2] = [6, 13];

/// Every timeout of a server, and the longest wait that no timeout ends.
pub(super) const TIMEOUT: Duration = Duration::from_secs(2);

/// When the server is stopped, if it waits for a client that stays.
const LATE: Duration = Duration::from_secs(600);

impl Script {
    pub(super) fn of(source: &mut Source<'_>) -> Script {
        let format = format(source);
        let capacity = source.pick(&[64 * 1024, 1, 7, 100, 1000, 4096, 16 * 1024, 70_000]);
        // A long payload would pass through a few bytes for a long time.
        let capacity = capacity.max(format.max_payload_len() / 64);
        let millis = |n| Some(Duration::from_millis(n));
        let stop = source.pick(&[None, None, None, None, None, millis(1), millis(120), millis(1500)]);
        let config = config(source, format);
        let clients = 1 + usize::from(source.u8() % 8 / 3);
        let clients: Vec<Acts> = (0..clients).map(|_| Acts::of(source, &config)).collect();
        // Nothing else ends a client that stays.
        let stays = clients.iter().any(|acts| acts.ends == Ends::Stays).then_some(LATE);
        let stop = stop.or(stays);
        Script { config, capacity, stop, clients }
    }

    /// Whether the stop may come before a client has ended.
    pub(super) fn stops_early(&self) -> bool {
        self.stop.is_some_and(|stop| stop < LATE)
    }
}

/// Half of them have lengths beyond every threshold of the server; a quarter, such that a few frames take all memory.
fn format(source: &mut Source<'_>) -> Format {
    let [fixed, varint] = [Layout::fixed(4, Endian::Big), Layout::varint(3).offset(1).trailer(2)];
    match source.u8() % 4 {
        0 => Format::new(fixed, 70_000),
        1 => Format::new(varint, 70_000),
        2 => Format::new(fixed, 4_000),
        _ => Ok(source.format()),
    }
    .expect("a format")
}

fn config(source: &mut Source<'_>, format: Format) -> ServerConfig {
    let limit = format.max_payload_len();
    let most = [None, None, Some(1), Some(2)];
    let budgets = [None, Some(1 << 20), Some((4 * limit).max(16 * 1024)), Some(4 * limit + 20_000)];
    let least = usize::try_from(format.layout().min_payload_len()).unwrap_or(0);
    let said: Vec<u8> = (0..least.max(3).min(limit)).map(|at| at as u8).collect();
    let greetings = [Greeting::None, Greeting::Raw(b"Hello client! ...".to_vec()), Greeting::Frame(said)];
    let budget = source.pick(&budgets);
    let high_water = source.pick(&[64 * 1024, 1, 100, 5000]);
    let config = ServerConfig::default()
        .format(format)
        .greeting(greetings[usize::from(source.u8() % 3)].clone())
        .refusal(greetings[usize::from(source.u8() % 3)].clone())
        // What waits for little memory must not wait for room before.
        .high_water(if is_tight(budget) { 64 * 1024 } else { high_water })
        .outbox_limit(source.pick(&[256 * 1024, 1, 100, 5000]))
        .max_frames_per_turn(source.pick(&[1024, 1, 2, 7]))
        .max_connections(source.pick(&most))
        .memory_budget(budget)
        .min_rate(source.pick(&[Some(64 * 1024), None, Some(100), Some(5000)]))
        .idle_timeout(source.pick(&[None, Some(TIMEOUT), None, Some(2 * TIMEOUT)]))
        .first_frame_timeout(source.pick(&[Some(TIMEOUT), Some(3 * TIMEOUT)]));
    config.frame_timeout(Some(TIMEOUT)).write_timeout(Some(TIMEOUT)).drain_timeout(TIMEOUT)
}

/// Without the bytes: whoever reads a failure has the input.
impl fmt::Debug for Acts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Acts { stream, cuts, waits, reads, ends } = self;
        write!(f, "{} bytes in {cuts:?}, waits {waits:?}, reads {reads:?}, ends with {ends:?}", stream.len())
    }
}

fn is_tight(budget: Option<usize>) -> bool {
    budget.is_some_and(|budget| budget < 1 << 20)
}

impl Acts {
    fn of(source: &mut Source<'_>, config: &ServerConfig) -> Acts {
        let (cuts, faults) = (source.cuts(), source.faults());
        let millis = Duration::from_millis;
        let waits = [0; 2].map(|_| source.pick(&[0, 0, 0, 0, 1, 90, 700, 2500])).map(millis);
        // Little memory is of no account unless somebody leaves much unread.
        let is_tight = is_tight(config.memory_budget);
        let [often, sometimes] = if is_tight { [Reads::Late, Reads::Greedily] } else { [Reads::Greedily, Reads::Late] };
        let reads = source.pick(&[often, often, Reads::Slowly, sometimes]);
        let ends = source.pick(&[Ends::Fin, Ends::Fin, Ends::Stays, Ends::Reset]);
        let layout = config.format.layout();
        let mut wire = Wire::default();
        for _ in 0..source.u8() % 16 {
            // Streams stay short, so that a fuzzer is quick.
            if wire.bytes.len() > 20_000 {
                break;
            }
            let (len, deed) = (frame_len(source, config), source.u8() % (2 * DEEDS));
            let deed = if is_tight && deed >= DEEDS { FILL[usize::from(deed % 2)] } else { deed };
            if wire.push(&layout, len) && len > 0 {
                let payload = wire.frames.last().expect("one was written").field.end;
                wire.bytes[payload] = deed;
            }
        }
        // A good stream in most sessions, as its end is known exactly.
        if source.u8() % 4 == 1 {
            wire.spoil_all(&faults, &config.format);
        }
        Acts { stream: wire.bytes, cuts, waits, reads, ends }
    }

    /// How long it waits while it writes, at most.
    pub(super) fn waited(&self) -> Duration {
        self.cuts.chunks(&self.stream).zip(self.waits.iter().cycle()).map(|(_, wait)| *wait).sum()
    }
}

/// A length near a threshold of the server or the format, or any short one.
fn frame_len(source: &mut Source<'_>, config: &ServerConfig) -> usize {
    let limit = config.format.max_payload_len();
    let thresholds = [limit, config.high_water, config.outbox_limit, 128, 1024, 4096, 16 * 1024, 64 * 1024];
    match source.u8() % 4 {
        0 => {
            let threshold = source.pick(&thresholds);
            (threshold + usize::from(source.u8() % 5)).saturating_sub(2).min(limit.saturating_add(1))
        }
        _ => source.frame_len().payload_len(&config.format),
    }
}
