//! Replaces `events.rs` without the feature `tracing`: there are no events.

use std::io;
use std::time::Duration;

use super::Stats;
use crate::close::Closed;
use crate::peer::PeerName;

pub(super) fn listening(_: &str) {}

pub(super) fn accept_failed(_: &io::Error, _: Duration) {}

pub(super) fn opened(_: &PeerName) {}

pub(super) fn refused(_: &PeerName, _: usize) {}

pub(super) fn closed(_: &Closed) {}

pub(super) fn stopping(_: u64) {}

pub(super) fn drained(_: &Stats) {}
