//! The attacks, one file for each kind.

mod crowds;
mod ends;
mod handlers;
mod lengths;
mod memory;
mod network;
mod pushes;
mod signals;
mod slow;
mod tls;

pub(crate) use ends::{ClientArgs, be_client};
pub(super) use network::prepare;

use super::peer::{Peer, frame};
use super::scene::{Beside, Fallible, Over, PATIENCE, Scenario, Scene};

/// All of them, in the order in which they are made.
pub(super) const ALL: &[Scenario] = &[
    lengths::DECLARED_OVERSIZE,
    lengths::DECLARED_SILENCE,
    lengths::OVERSIZE,
    lengths::DEAF_FLOOD,
    lengths::NEGATIVE,
    lengths::WRONG_PROTOCOL,
    lengths::ZERO_FLOOD,
    slow::SILENT,
    slow::DRIP,
    slow::PARTIAL_FRAME,
    slow::IDLE,
    slow::NEVER_READS,
    ends::RESET,
    ends::FIN_INSIDE,
    ends::HALF_CLOSE,
    ends::KILLED_CLIENTS,
    ends::CONNECT_STORM,
    crowds::OVER_CAPACITY,
    crowds::REFUSAL,
    crowds::DESCRIPTORS,
    tls::STALLED_HANDSHAKES,
    tls::NO_HELLO,
    tls::BROKEN_RECORDS,
    tls::UNFINISHED_RECORDS,
    tls::CUT_OFF,
    tls::CLOSE_NOTIFY_INSIDE,
    tls::RENEGOTIATION,
    handlers::PANICS,
    handlers::ERRS,
    handlers::SLEEPS,
    handlers::WAITING_CROWD,
    handlers::BLOCKS,
    pushes::PUSH_SMALL,
    pushes::PUSH_LARGE,
    memory::OVER_BUDGET,
    memory::HOARDERS,
    memory::MANY_SMALL_HOLDS,
    memory::EVERYTHING,
    signals::SIGTERM,
    signals::SECOND_SIGNAL,
    HALF_OPEN,
];

/// The one that needs a network of its own, and half a minute.
pub(super) const HALF_OPEN: Scenario = network::HALF_OPEN;

/// Why an attack cannot be made over this.
pub(super) fn not_over(over: Over, name: &str) -> Option<&'static str> {
    let is = |scenario: &Scenario| name == scenario.name;
    match over {
        Over::Unix if is(&HALF_OPEN) => Some(
            "no peer at a Unix socket vanishes: it is on the same machine, whose system closes it; there is no keepalive",
        ),
        Over::Tls if is(&HALF_OPEN) => Some("it is the socket below that is asked by keepalive: see over tcp"),
        Over::Tls if is(&crowds::DESCRIPTORS) => {
            Some("who waits to be accepted has no session yet: what happens is what happens over tcp")
        }
        Over::Tcp | Over::Unix if tls::ALL.iter().any(is) => {
            Some("it breaks the rules of TLS, and there are none here")
        }
        _ => None,
    }
}

/// Each of them sees the end of the server's stream, and nothing before it.
fn see_the_end(scene: &mut Scene, peers: &mut [Peer]) {
    for peer in peers {
        match peer.rest() {
            Ok(bytes) => scene.check(bytes.is_empty(), || format!("{} bytes came before the end", bytes.len())),
            Err(error) => scene.failures.push(format!("the end of the server's stream: {error}")),
        }
    }
}
