//! The memory of a session that is leased: for what it is, and for what waits in it.

use std::sync::Arc;

use crate::server::budget::{ALLOWANCE, Budget, For, Lease};
use crate::tls::{MAX_RECORD_LEN, READ_LEN, WRITE_LEN};

/// Bytes that are leased for each session, from its handshake on: what it keeps while it is idle, as `tests/tls_memory.rs`
/// measures it.
const SESSION_LEN: usize = 6 * 1024;

/// Bytes of a read where little is expected: of a handshake, or behind an unfinished one.
const SHORT_READ_LEN: usize = 4 * 1024;

/// Content that is put into records at once, if there is memory for them, and if there is none.
const LONG_WRITE_LEN: usize = WRITE_LEN;
const SHORT_WRITE_LEN: usize = ALLOWANCE / 2;

/// Bytes by which the records of a long write may be longer than their content.
const OVERHEAD: usize = 4 * 1024;

/// A session, and what it received and has not handed on.
pub(super) struct Reading {
    lease: Lease,
    /// Bytes of the session itself.
    own: usize,
}

impl Reading {
    pub(super) fn new(budget: &Arc<Budget>) -> Reading {
        Reading { lease: Lease::new(budget, For::Reading), own: 0 }
    }

    /// Leases what the session itself takes: its state, and the peer's certificates.
    ///
    /// # Errors
    /// The bytes that are not to be had now.
    pub(super) fn own(&mut self, certificates: usize) -> Result<(), usize> {
        let own = SESSION_LEN + certificates;
        let wanted = ALLOWANCE + own;
        if self.lease.reach(wanted) < wanted {
            return Err(wanted);
        }
        self.own = own;
        Ok(())
    }

    /// How much may be read, to what is `unfinished`, where there is room for `wanted` bytes of plaintext. Then what waits is leased,
    /// however much of that is whole.
    ///
    /// # Errors
    /// The bytes that are not to be had now: nothing is read.
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

    /// So many bytes wait: what is leased beyond that is given back.
    pub(super) fn keeps(&mut self, bytes: usize) {
        self.lease.shrink(self.own + bytes.max(ALLOWANCE));
    }

    /// Bytes that are leased because of what the peer sent.
    pub(super) fn held(&self) -> usize {
        self.lease.allowed().saturating_sub(self.own + ALLOWANCE)
    }
}

/// Records that wait to be sent.
pub(super) struct Writing(Lease);

impl Writing {
    pub(super) fn new(budget: &Arc<Budget>) -> Writing {
        Writing(Lease::new(budget, For::Writing))
    }

    /// Bytes of content that may be put into records now.
    pub(super) fn room(&mut self) -> usize {
        let total = LONG_WRITE_LEN + OVERHEAD;
        if self.0.reach_if_plenty(total) >= total { LONG_WRITE_LEN } else { SHORT_WRITE_LEN }
    }

    /// So many bytes wait: what is leased beyond that is given back.
    pub(super) fn keeps(&mut self, bytes: usize) {
        self.0.shrink(bytes);
    }

    /// Bytes that are leased because the peer does not read.
    pub(super) fn held(&self) -> usize {
        self.0.allowed() - ALLOWANCE
    }
}
