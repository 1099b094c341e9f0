//! Structured events for subscribers of the crate `tracing`. Without the feature `tracing`, `silence.rs` replaces this
//! file.
//!
//! One event for each change of the server or of a connection; none for a frame.

use std::io;
use std::time::Duration;

use super::Stats;
use crate::close::Closed;
use crate::peer::PeerName;

macro_rules! event {
    ($level:ident, $($rest:tt)*) => { tracing::event!(target: "unstick::server", tracing::Level::$level, $($rest)*) };
}

pub(super) fn listening(addr: &str) {
    event!(INFO, addr, "listening");
}

pub(super) fn accept_failed(error: &io::Error, rest: Duration) {
    event!(WARN, %error, ?rest, "accept failed");
}

pub(super) fn opened(peer: &PeerName) {
    event!(DEBUG, %peer, "opened");
}

pub(super) fn refused(peer: &PeerName, max_connections: usize) {
    event!(DEBUG, %peer, max_connections, "refused");
}

pub(super) fn closed(closed: &Closed) {
    event!(
        INFO,
        peer = %closed.peer,
        reason = closed.reason.name(),
        text = %closed.reason,
        frames_in = closed.traffic.frames_in,
        bytes_in = closed.traffic.bytes_in,
        frames_out = closed.traffic.frames_out,
        bytes_out = closed.traffic.bytes_out,
        "closed"
    );
}

pub(super) fn stopping(active: u64) {
    event!(INFO, active, "stopping");
}

pub(super) fn drained(stats: &Stats) {
    event!(INFO, accepted = stats.accepted, active = stats.active, closed = stats.closed(), "drained");
}
