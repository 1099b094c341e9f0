//! What stands in for `tls.rs` without the feature `tls`: a session that nobody can have.

use std::io;

use super::socket::{Received, Stream};

/// TLS for the connections of a load. There is none without feature `tls`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Tls {}

/// A TLS session over a socket. There is none without feature `tls`.
#[derive(Debug)]
pub(super) enum Secured {}

impl Secured {
    pub(super) fn new(_: Stream, tls: &Tls) -> io::Result<Secured> {
        match *tls {}
    }

    pub(super) fn establish(&mut self) -> io::Result<bool> {
        match *self {}
    }

    pub(super) fn read(&mut self, _: &mut [u8]) -> io::Result<Received> {
        match *self {}
    }

    pub(super) fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        match *self {}
    }

    pub(super) fn end(&mut self) -> io::Result<()> {
        match *self {}
    }

    pub(super) fn break_off(self) {
        match self {}
    }
}
