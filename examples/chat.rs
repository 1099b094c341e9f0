//! A chat server: each frame of a client goes to all others. The connection of a client that reads too slowly is broken off.
//!
//!     cargo run --example chat
//!     cargo unstick connect 127.0.0.1:4747     in two other terminals

use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use slab::Slab;
use smol::future::pending;
use unstick::framing::Frame;
use unstick::{Outbox, Peer, PushError, Responder, Server, ServerConfig, Stats};

/// The outboxes of all members.
type Room = Arc<Mutex<Slab<Outbox>>>;

/// A member of the room, owned by its connection's handler: when the connection ends, it leaves.
struct Member {
    room: Room,
    key: usize,
}

impl Member {
    fn push_to_others(&self, text: &Bytes) {
        let room = self.room.lock().expect("nobody panics with it");
        for (_, outbox) in room.iter().filter(|(key, _)| *key != self.key) {
            if let Err(PushError::Full { .. }) = outbox.try_send(text) {
                outbox.break_off();
            }
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.room.lock().expect("nobody panics with it").remove(self.key);
    }
}

pub(crate) async fn serve(server: Server) -> io::Result<Stats> {
    let room = Room::default();
    let new_handler = move |peer: Peer| {
        let key = room.lock().expect("nobody panics with it").insert(peer.outbox());
        let member = Member { room: Arc::clone(&room), key };
        async move |frame: Frame<'_>, responder: &mut Responder| {
            member.push_to_others(&responder.share(frame));
            Ok::<(), Infallible>(())
        }
    };
    server.serve(new_handler, pending()).await
}

fn main() -> io::Result<()> {
    let config = ServerConfig::default().first_frame_timeout(None); // a client may only listen
    smol::block_on(serve(Server::bind("127.0.0.1:4747", config)?)).map(drop)
}
