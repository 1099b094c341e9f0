//! Replaces `acceptor.rs` and `tls/` without feature `tls`: no server has an acceptor.

use std::error::Error;
use std::sync::Arc;

use super::link::Entry;
use super::peer::Peer;
use super::responder::Responder;
use super::transport::{Socket, Transport};
use crate::framing::{Frame, Header};

/// It has no values.
#[derive(Clone)]
pub(super) enum Acceptor {}

/// The stream below TLS.
pub(super) struct Below;

impl From<Socket> for Below {
    fn from(_: Socket) -> Below {
        Below
    }
}

impl From<Box<dyn Transport + Send>> for Below {
    fn from(_: Box<dyn Transport + Send>) -> Below {
        Below
    }
}

/// It cannot be called, as there is no acceptor.
pub(super) async fn serve<H, N, F, E>(acceptor: Acceptor, _: Below, _: Arc<H>, _: Entry, _: &N)
where
    H: Header,
    N: Fn(Peer) -> F,
    F: AsyncFnMut(Frame<'_>, &mut Responder) -> Result<(), E>,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    match acceptor {}
}
