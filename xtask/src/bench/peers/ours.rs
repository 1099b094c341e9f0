//! Our server.

use std::error::Error;
use std::future::pending;
use std::num::NonZeroUsize;

use smol::Timer;
use unstick::framing::{Format, Frame};
use unstick::{Greeting, Responder, Server, ServerConfig};

use super::{LIMIT, OWN, OWN_LEN, Service, announce};

/// Serves for ever.
///
/// # Errors
/// Where it cannot listen, or does not do that.
pub(super) fn serve(threads: NonZeroUsize, service: Service) -> Result<(), Box<dyn Error>> {
    let format = Format::U32_LE.with_max_payload_len(LIMIT)?;
    let config = ServerConfig::default().format(format).greeting(Greeting::None).threads(threads);
    let server = Server::bind("127.0.0.1:0", config)?;
    announce(server.local_addr())?;
    // A handler for each, so that none pays for another's.
    match service {
        Service::Echo { hashes } => {
            let handler = move |_peer| {
                async move |frame: Frame<'_>, replies: &mut Responder| {
                    hash(frame.payload(), hashes);
                    replies.send(frame.payload()).await
                }
            };
            smol::block_on(server.serve(handler, pending()));
        }
        Service::Own => {
            let own: &[u8] = vec![OWN; OWN_LEN].leak();
            let handler = move |_peer| {
                async move |frame: Frame<'_>, replies: &mut Responder| replies.send(&own[..frame.payload().len()]).await
            };
            smol::block_on(server.serve(handler, pending()));
        }
        Service::Wait(time) => {
            let handler = move |_peer| {
                async move |frame: Frame<'_>, replies: &mut Responder| {
                    Timer::after(time).await;
                    replies.send(frame.payload()).await
                }
            };
            smol::block_on(server.serve(handler, pending()));
        }
        Service::Push { .. } => return Err("our server does not push".into()),
    }
    Ok(())
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
