//! What the threads of a server share.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::acceptor::Acceptor;
use super::account::Account;
use super::budget::Budget;
use super::encode::Encoding;
use super::{ServerConfig, events};
use crate::close::{CloseReason, Closed, Traffic};
use crate::peer::PeerName;

pub(super) type OnOpen = Box<dyn Fn(&PeerName) + Send + Sync>;
pub(super) type OnClose = Box<dyn Fn(&Closed) + Send + Sync>;

/// What the threads of a server share.
pub(super) struct Shared {
    /// Without its format, whose type only decoders need.
    pub(super) config: ServerConfig<()>,
    /// The most connections served at a time.
    pub(super) allowed: usize,
    pub(super) encode: Arc<Encoding>,
    pub(super) account: Account,
    pub(super) budget: Arc<Budget>,
    /// TLS, if connections are over it.
    pub(super) acceptor: Option<Acceptor>,
    pub(super) on_open: OnOpen,
    pub(super) on_close: OnClose,
}

impl Shared {
    /// Reports the end of a connection: counts it, emits the event, and calls `on_close`. Nothing else does.
    pub(super) fn closed(&self, peer: PeerName, is_admitted: bool, reason: CloseReason, traffic: Traffic) -> Closed {
        self.account.close(is_admitted, &reason);
        let closed = Closed { peer, reason, traffic };
        events::closed(&closed);
        // The panic hook reports a panic of `on_close`. It must not stop the drain.
        _ = catch_unwind(AssertUnwindSafe(|| (self.on_close)(&closed)));
        closed
    }
}
