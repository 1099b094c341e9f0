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
    /// Without its format, which only decoders need by its type.
    pub(super) config: ServerConfig<()>,
    /// Connections that are served at a time.
    pub(super) allowed: usize,
    pub(super) encode: Arc<Encoding>,
    pub(super) account: Account,
    pub(super) budget: Arc<Budget>,
    /// If connections are over TLS.
    pub(super) acceptor: Option<Acceptor>,
    pub(super) on_open: OnOpen,
    pub(super) on_close: OnClose,
}

impl Shared {
    /// The one function that reports an end: it counts it, gives the event, and calls `on_close`.
    pub(super) fn closed(&self, peer: PeerName, is_admitted: bool, reason: CloseReason, traffic: Traffic) -> Closed {
        self.account.close(is_admitted, &reason);
        let closed = Closed { peer, reason, traffic };
        events::closed(&closed);
        // A panic there is the caller's, and the panic hook tells of it. Here it must not keep the drain from its end.
        _ = catch_unwind(AssertUnwindSafe(|| (self.on_close)(&closed)));
        closed
    }
}
