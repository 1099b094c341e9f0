//! What stands in for `events.rs` without the feature `tracing`: nothing is told.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::Stats;
use crate::close::Closed;

pub(super) fn listening(_: SocketAddr) {}

pub(super) fn accept_failed(_: &io::Error, _: Duration) {}

pub(super) fn opened(_: SocketAddr) {}

pub(super) fn refused(_: SocketAddr, _: usize) {}

pub(super) fn closed(_: &Closed) {}

pub(super) fn stopping(_: u64) {}

pub(super) fn drained(_: &Stats) {}
