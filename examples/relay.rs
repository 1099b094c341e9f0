//! A relay: it connects clients in pairs, and passes each one's frames on to the other.
//!
//!     cargo run --example relay
//!     cargo unstick connect 127.0.0.1:4747     in two other terminals

use std::error::Error;
use std::io;
use std::sync::{Arc, Mutex};

use smol::channel::{self, Receiver, Sender};
use unstick::framing::Frame;
use unstick::{Outbox, Peer, PushError, Responder, Server, ServerConfig, Stats};

/// The outbox of a client's partner. It is dropped when the client's connection ends, and then ends the partner's, too.
struct Partner(Outbox);

impl Drop for Partner {
    fn drop(&mut self) {
        self.0.close(); // what is queued there is still written
    }
}

/// A client without a partner: its own outbox, and a channel to send it the partner's.
type Single = Mutex<Option<(Outbox, Sender<Partner>)>>;

/// Finds a partner, or waits to be found. The partner comes through the channel.
fn pair(single: &Single, ours: Outbox) -> Receiver<Partner> {
    let (sender, partner) = channel::bounded(1);
    let mut single = single.lock().expect("nobody panics with it");
    match single.take().filter(|(theirs, _)| !theirs.is_closed()) {
        Some((theirs, to_them)) => _ = (sender.try_send(Partner(theirs)), to_them.try_send(Partner(ours))),
        None => *single = Some((ours, sender)),
    }
    partner
}

pub(crate) async fn serve(server: Server) -> io::Result<Stats> {
    let single = Arc::new(Single::default());
    let new_handler = move |peer: Peer| {
        let (coming, mut partner) = (pair(&single, peer.outbox()), None);
        async move |frame: Frame<'_>, responder: &mut Responder| {
            let payload = responder.share(frame); // a long payload is not copied
            let Partner(outbox) = match &partner {
                Some(partner) => partner,
                None => partner.insert(coming.recv().await?),
            };
            // While the partner's outbox is full, this waits, and nothing is read from our client.
            match outbox.send(payload).await {
                Ok(()) | Err(PushError::Closed) => Ok::<(), Box<dyn Error + Send + Sync>>(()),
                Err(error) => Err(error.into()),
            }
        }
    };
    server.serve(new_handler, std::future::pending()).await
}

fn main() -> io::Result<()> {
    smol::block_on(serve(Server::bind("127.0.0.1:4747", ServerConfig::default())?)).map(drop)
}
