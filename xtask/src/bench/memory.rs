//! Memory of a server alone, in a process of its own: what an idle connection keeps, whether a burst's buffers are returned, and
//! connections whose handlers all wait.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::slice::SliceIndex;
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{RecvFlags, recv, sockopt::set_socket_linger};

use super::drive::{Host, SILENCE};
use super::figures::Figures;
use super::peers::{Kind, Service, Setup};
use super::shared::bytes;
use super::{Group, Pace};
use crate::evidence::Done;

const KINDS: [Kind; 2] = [Kind::Ours, Kind::TokioFeed];
const CONNECTIONS: usize = 10_000;
/// Bytes of the payload that each connection sends.
const PAYLOAD_LEN: usize = 64;
/// Connections of the burst, and the payload of which each one has the server hold all but the last byte.
const BURST: (usize, usize) = (200, 256 << 10);
/// How long a handler waits that is to wait still when memory is looked at.
const WAIT: Duration = Duration::from_secs(10);
/// What a server may take to come to rest.
const REST: Duration = Duration::from_millis(500);
const MIB: f64 = 1_048_576.0;
/// Runs at most: they differ little.
const RUNS: usize = 3;

/// Connections, and the frame that each one sends.
struct Held {
    sockets: Vec<TcpStream>,
    frame: Vec<u8>,
}

impl Held {
    fn connect(addr: SocketAddr, connections: usize, payload_len: usize) -> Done<Held> {
        let connect = |index| -> Done<TcpStream> {
            let failed = |error| format!("connection {} of {connections}: {error}", index + 1);
            let socket = TcpStream::connect(addr).map_err(failed)?;
            socket.set_nodelay(true)?;
            socket.set_read_timeout(Some(SILENCE))?;
            // A reset instead of a FIN in the end: so no port is left in TIME_WAIT.
            set_socket_linger(&socket, Some(Duration::ZERO))?;
            Ok(socket)
        };
        let mut frame = (payload_len as u32).to_le_bytes().to_vec();
        frame.extend((0..payload_len).map(|at| (at * 31 + 7) as u8));
        Ok(Held { sockets: (0..connections).map(connect).collect::<Done<_>>()?, frame })
    }

    /// Sends a part of the frame on every connection.
    fn send(&self, part: impl SliceIndex<[u8], Output = [u8]>) -> io::Result<()> {
        let part = &self.frame[part];
        self.sockets.iter().try_for_each(|mut socket| socket.write_all(part))
    }

    /// Reads one reply on every connection, which then is idle; how many are not what was sent.
    fn unanswered(&self) -> usize {
        let mut reply = vec![0; self.frame.len()];
        let mut is_wrong = |mut socket: &TcpStream| socket.read_exact(&mut reply).is_err() || reply != self.frame;
        self.sockets.iter().filter(|socket| is_wrong(socket)).count()
    }

    /// How many connections are neither answered nor ended.
    fn waiting(&self) -> usize {
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        self.sockets.iter().filter(|socket| matches!(recv(socket, &mut [0], flags), Err(Errno::AGAIN))).count()
    }
}

fn all_right(unanswered: usize) -> Done<()> {
    if unanswered == 0 { Ok(()) } else { Err(format!("{unanswered} connections have a wrong reply, or none").into()) }
}

fn at_rest(host: &Host) -> Done<f64> {
    thread::sleep(REST);
    host.resident()
}

/// Idle connections, and a burst.
pub(super) fn idle(pace: &Pace, figures: &mut Figures) -> Done<()> {
    let (idle, burst) = (format!("{CONNECTIONS} idle"), format!("burst of {} × {}", BURST.0, bytes(BURST.1)));
    for kind in KINDS {
        pace.begins(kind.name());
        let runs = (0..pace.rounds.min(RUNS)).map(|_| idle_and_burst(kind, pace));
        let runs = runs.collect::<Done<Vec<_>>>()?;
        let mut add = |what: &str, measure, index: usize| {
            let samples: Vec<f64> = runs.iter().map(|run| run[index]).collect();
            figures.add(Group::Memory, (what, kind.name()), measure, &samples);
        };
        add(&idle, "resident bytes a connection", 0);
        add(&idle, "resident MiB in all", 1);
        add(&burst, "MiB more during the burst", 2);
        add(&burst, "part kept after the burst", 3);
    }
    Ok(())
}

fn idle_and_burst(kind: Kind, pace: &Pace) -> Done<[f64; 4]> {
    let host = Host::start(&Setup::new(kind, Service::ECHO, pace.cores.server()), None)?;
    // One connection first: what every process pays once is not a connection's.
    let first = Held::connect(host.addr, 1, PAYLOAD_LEN)?;
    first.send(..)?;
    all_right(first.unanswered())?;
    let before = at_rest(&host)?;
    let held = Held::connect(host.addr, CONNECTIONS, PAYLOAD_LEN)?;
    held.send(..)?;
    all_right(held.unanswered())?;
    let idle = at_rest(&host)?;
    // Each frame but for its last byte, so that the server holds what came.
    let burst = Held::connect(host.addr, BURST.0, BURST.1)?;
    burst.send(..BURST.1)?;
    let during = at_rest(&host)? - idle;
    burst.send(BURST.1..)?;
    all_right(burst.unanswered())?;
    let kept = at_rest(&host)? - idle;
    Ok([(idle - before) / CONNECTIONS as f64, idle / MIB, during / MIB, kept / during])
}

/// Connections whose handlers all wait.
pub(super) fn waiting(pace: &Pace, figures: &mut Figures) -> Done<()> {
    let what = format!("{CONNECTIONS} × {PAYLOAD_LEN} B at once");
    for kind in KINDS {
        pace.begins(kind.name());
        let host = Host::start(&Setup::new(kind, Service::Wait(WAIT), pace.cores.server()), None)?;
        let first = Held::connect(host.addr, 1, PAYLOAD_LEN)?;
        first.send(..)?;
        let before = at_rest(&host)?;
        let held = Held::connect(host.addr, CONNECTIONS, PAYLOAD_LEN)?;
        held.send(..)?;
        let each = (at_rest(&host)? - before) / CONNECTIONS as f64;
        let (waiting, unanswered) = (held.waiting(), held.unanswered());
        if waiting + unanswered < CONNECTIONS {
            return Err(format!("only {waiting} of {CONNECTIONS} handlers waited still").into());
        }
        figures.add(Group::Waiting, (&what, kind.name()), "resident bytes a connection", &[each]);
        figures.add(Group::Waiting, (&what, kind.name()), "connections without their reply", &[unanswered as f64]);
    }
    Ok(())
}
