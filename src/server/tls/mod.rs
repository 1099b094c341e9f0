//! Connections over TLS: the handshake, and the transport that they are served over after it.

mod below;
mod handshake;
mod lease;
mod transport;

use std::error::Error;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;

use futures_lite::FutureExt;

use self::handshake::Handshake;
use self::transport::Tls;
use super::acceptor::Acceptor;
use super::link::Entry;
use super::panic;
use super::peer::Peer;
use super::responder::Responder;
use super::task;
use crate::close::CloseReason;
use crate::framing::{Frame, Header};

pub(super) use self::below::Below;

/// Serves or refuses a connection over TLS after its handshake. If the handshake fails, no handler is made.
pub(super) async fn serve<H, N, F, E>(
    acceptor: Acceptor,
    below: Below,
    header: Arc<H>,
    mut entry: Entry,
    new_handler: &N,
) where
    H: Header,
    N: Fn(Peer) -> F,
    F: AsyncFnMut(Frame<'_>, &mut Responder) -> Result<(), E>,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    // Boxed, so that its memory is freed when it ends.
    let shaking = Box::pin(shake_hands(&acceptor, below, &mut entry, &header));
    match AssertUnwindSafe(shaking).catch_unwind().await {
        Err(panic) => _ = entry.end(panic::reason(&*panic)),
        Ok(Err(reason)) => _ = entry.end(reason),
        Ok(Ok(tls)) if entry.is_admitted() => _ = task::serve(tls, header, entry, new_handler).await,
        Ok(Ok(tls)) => task::refuse(tls, header, entry).await,
    }
}

async fn shake_hands<H: Header>(
    acceptor: &Acceptor,
    below: Below,
    entry: &mut Entry,
    header: &Arc<H>,
) -> Result<Tls, CloseReason> {
    let (mut channel, reading) = {
        let mut handshake = Handshake::new(acceptor, below, &entry.0).map_err(CloseReason::Handshake)?;
        handshake.run(header).await?;
        (handshake.channel, handshake.reading)
    };
    let name = channel.session().peer(entry.0.peer.clone());
    let link = Rc::get_mut(&mut entry.0);
    link.expect("no handler is made yet, so nothing else holds it").peer = name;
    Ok(Tls::new(channel, reading, Rc::clone(&entry.0)))
}
