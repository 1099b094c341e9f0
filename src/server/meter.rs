//! What one connection passed and holds, for itself, its replies and the books to see.

use std::cell::Cell;
use std::net::SocketAddr;

use crate::close::Traffic;

/// One connection's figures.
#[derive(Debug)]
pub(super) struct Meter {
    pub(super) peer: SocketAddr,
    pub(super) traffic: Cell<Traffic>,
    /// Bytes of memory that the reading side has.
    pub(super) input: Cell<usize>,
    /// Bytes of replies that wait.
    pub(super) replies: Cell<usize>,
    /// The write deadline has passed.
    pub(super) write_overdue: Cell<bool>,
}

impl Meter {
    pub(super) fn new(peer: SocketAddr) -> Meter {
        Meter {
            peer,
            traffic: Cell::default(),
            input: Cell::default(),
            replies: Cell::default(),
            write_overdue: Cell::default(),
        }
    }

    /// Bytes of memory that the connection holds.
    pub(super) fn held(&self) -> usize {
        self.input.get() + self.replies.get()
    }
}
