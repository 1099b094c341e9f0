//! The memory that a session leases: for its state, and for records that are unfinished or unsent.

use std::sync::Arc;

use crate::server::budget::{ALLOWANCE, Budget, For, Lease};
use crate::tls::{MAX_RECORD_LEN, READ_LEN, WRITE_LEN};

/// Bytes leased for each session from its handshake on: what an idle one takes at most, as `tests/tls_memory.rs`
/// measures.
const SESSION_LEN: usize = 6 * 1024;

/// The most bytes of a read that continues a long handshake message.
const SHORT_READ_LEN: usize = 4 * 1024;

/// The most bytes of plaintext encrypted at once, with and without memory in the budget for the records.
const LONG_WRITE_LEN: usize = WRITE_LEN;
const SHORT_WRITE_LEN: usize = ALLOWANCE / 2;

/// The most bytes by which the records of a long write are longer than their plaintext.
const OVERHEAD: usize = 4 * 1024;

/// The lease for a session's own state, and for received bytes that it keeps.
pub(super) struct Reading {
    lease: Lease,
    /// Bytes of the session itself.
    own: usize,
}

impl Reading {
    pub(super) fn new(budget: &Arc<Budget>) -> Reading {
        Reading { lease: Lease::new(budget, For::Reading), own: 0 }
    }

    /// Leases memory for the session's own state and the peer's certificates.
    ///
    /// # Errors
    /// The bytes needed, if they are not available now.
    pub(super) fn own(&mut self, certificates: usize) -> Result<(), usize> {
        let own = SESSION_LEN + certificates;
        let wanted = ALLOWANCE + own;
        if self.lease.reach(wanted) < wanted {
            return Err(wanted);
        }
        self.own = own;
        Ok(())
    }

    /// How many bytes may be read after `unfinished` ones, if the reader has room for `wanted` bytes of plaintext.
    /// Memory is leased for all that may be left unfinished then.
    ///
    /// # Errors
    /// The bytes needed, if they are not available now: then nothing is read.
    pub(super) fn room(&mut self, unfinished: usize, wanted: usize) -> Result<usize, usize> {
        if wanted <= ALLOWANCE && unfinished < ALLOWANCE / 2 {
            return Ok(ALLOWANCE - unfinished);
        }
        let room = if unfinished < MAX_RECORD_LEN { wanted.clamp(ALLOWANCE, READ_LEN) } else { SHORT_READ_LEN };
        let total = self.own + MAX_RECORD_LEN.max(unfinished + SHORT_READ_LEN);
        if self.lease.reach_if_plenty(total) >= total {
            return Ok(room);
        }
        let total = self.own + unfinished + (unfinished / 4).max(1);
        match self.lease.reach(total).saturating_sub(self.own + unfinished) {
            0 => Err(total),
            left => Ok(left.min(room)),
        }
    }

    /// Gives back what is leased beyond so many bytes.
    pub(super) fn keeps(&mut self, bytes: usize) {
        self.lease.shrink(self.own + bytes.max(ALLOWANCE));
    }

    /// Bytes leased because of what the peer sent.
    pub(super) fn held(&self) -> usize {
        self.lease.allowed().saturating_sub(self.own + ALLOWANCE)
    }
}

/// The lease for unsent records.
pub(super) struct Writing(Lease);

impl Writing {
    pub(super) fn new(budget: &Arc<Budget>) -> Writing {
        Writing(Lease::new(budget, For::Writing))
    }

    /// How many bytes of plaintext may be encrypted now.
    pub(super) fn room(&mut self) -> usize {
        let total = LONG_WRITE_LEN + OVERHEAD;
        if self.0.reach_if_plenty(total) >= total { LONG_WRITE_LEN } else { SHORT_WRITE_LEN }
    }

    /// Gives back what is leased beyond so many bytes.
    pub(super) fn keeps(&mut self, bytes: usize) {
        self.0.shrink(bytes);
    }

    /// Bytes leased because the peer does not read.
    pub(super) fn held(&self) -> usize {
        self.0.allowed() - ALLOWANCE
    }
}
