//! Our server.

use std::error::Error;
use std::future::pending;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use unstick::framing::{Format, Frame};
use unstick::{Outbox, Peer, PushError, Responder, Server, ServerConfig};

use super::{LIMIT, OWN, OWN_LEN, Service, announce};
use crate::certificate::Certificate;

/// Bytes that may wait in an outbox: 100 senders' windows of 16 frames of 256 B.
const OUTBOX_LIMIT: usize = 1 << 20;

/// Serves for ever.
pub(super) fn serve(threads: NonZeroUsize, service: Service) -> Result<(), Box<dyn Error>> {
    let format = Format::U32_LE.with_max_payload_len(LIMIT)?;
    let config = ServerConfig::default().format(format).threads(threads.get()).outbox_limit(OUTBOX_LIMIT);
    let mut server = Server::bind("127.0.0.1:0", config)?;
    if service == Service::Sealed {
        server = server.tls(Certificate::own().server());
    }
    announce(server.local_addr()?)?;
    // A handler for each, so that none pays for another's.
    match service {
        Service::Echo { .. } | Service::Sealed => {
            let hashes = if let Service::Echo { hashes } = service { hashes } else { 0 };
            let handler = move |_: Peer| {
                async move |frame: Frame<'_>, responder: &mut Responder| {
                    hash(frame.payload(), hashes);
                    responder.send(frame.payload()).await
                }
            };
            smol::block_on(server.serve(handler, pending()))?;
        }
        Service::Own => {
            let own = Bytes::from(vec![OWN; OWN_LEN]);
            let handler = move |_: Peer| {
                let own = own.clone();
                async move |frame: Frame<'_>, responder: &mut Responder| {
                    responder.send_bytes(own.slice(..frame.payload().len())).await
                }
            };
            smol::block_on(server.serve(handler, pending()))?;
        }
        Service::Wait(time) => {
            let handler = move |peer: Peer| {
                async move |frame: Frame<'_>, responder: &mut Responder| {
                    peer.sleep(time).await;
                    responder.send(frame.payload()).await
                }
            };
            smol::block_on(server.serve(handler, pending()))?;
        }
        Service::Nothing => {
            let handler = |_: Peer| async |_: Frame<'_>, _: &mut Responder| Ok::<(), PushError>(());
            smol::block_on(server.serve(handler, pending()))?;
        }
        Service::Push { .. } => {
            let receivers = Arc::new(Receivers::default());
            let handler = move |peer: Peer| {
                let (receivers, own) = (Arc::clone(&receivers), receivers.add(peer.outbox()));
                async move |frame: Frame<'_>, _: &mut Responder| receivers.publish(own, frame.payload())
            };
            smol::block_on(server.serve(handler, pending()))?;
        }
    }
    Ok(())
}

/// All connections, each with its number.
#[derive(Default)]
struct Receivers {
    next: AtomicUsize,
    outboxes: Mutex<Vec<(usize, Outbox)>>,
}

impl Receivers {
    /// Adds a connection; its number.
    fn add(&self, outbox: Outbox) -> usize {
        let number = self.next.fetch_add(1, Relaxed);
        self.outboxes.lock().unwrap_or_else(PoisonError::into_inner).push((number, outbox));
        number
    }

    /// Gives a payload to all but the one that it came from.
    fn publish(&self, own: usize, payload: &[u8]) -> Result<(), PushError> {
        let payload = Bytes::copy_from_slice(payload);
        let mut result = Ok(());
        // One that has ended is forgotten. One that is full fails the sender, and so the run.
        self.outboxes.lock().unwrap_or_else(PoisonError::into_inner).retain(|(number, outbox)| {
            match if *number == own { Ok(()) } else { outbox.try_send(&payload) } {
                Err(PushError::Closed) => false,
                Err(error) => {
                    result = Err(error);
                    true
                }
                Ok(()) => true,
            }
        });
        result
    }
}

/// What stands for a handler's work: FNV-1a over the payload, again and again.
fn hash(payload: &[u8], times: u32) {
    let mut hash = 0xCBF2_9CE4_8422_2325_u64;
    for _ in 0..times {
        for byte in payload {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01B3);
        }
    }
    std::hint::black_box(hash);
}
