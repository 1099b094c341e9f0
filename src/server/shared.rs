//! What the threads of a server have in common.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::account::Account;
use super::budget::Budget;
use super::encode::Encode;
use super::{ServerConfig, events};
use crate::close::{CloseReason, Closed, Traffic};
use crate::peer::PeerName;

pub(super) type OnOpen = Box<dyn Fn(&PeerName) + Send + Sync>;
pub(super) type OnClose = Box<dyn Fn(&Closed) + Send + Sync>;

/// What the threads of a server have in common.
pub(super) struct Shared {
    /// Without its format, which only decoders need by its type.
    pub(super) config: ServerConfig<()>,
    /// Connections that are served at a time.
    pub(super) allowed: usize,
    pub(super) encode: Arc<dyn Encode>,
    pub(super) account: Account,
    pub(super) budget: Arc<Budget>,
    pub(super) on_open: OnOpen,
    pub(super) on_close: OnClose,
}

impl Shared {
    /// Accounts for a connection that has ended, and that had a place or not.
    pub(super) fn closed(&self, peer: PeerName, has_place: bool, reason: CloseReason, traffic: Traffic) -> Closed {
        self.account.close(has_place, &reason);
        let closed = Closed { peer, reason, traffic };
        events::closed(&closed);
        // A panic there is the caller's, and the panic hook tells of it. Here it must not keep the drain from its end.
        _ = catch_unwind(AssertUnwindSafe(|| (self.on_close)(&closed)));
        closed
    }
}
