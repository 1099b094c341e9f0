//! What a handler does with a frame, and what its peer then gets.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;

use crate::framing::{Encoder, Envelope, Format, Frame, Header};
use crate::testing::census::Met;
use crate::testing::simulation::Simulation;
use crate::{CloseKind, Peer, PushError, Responder};

/// A handler's own error.
pub(super) const REFUSAL: &str = "asked to fail";

/// What a deed ends a connection with.
pub(super) fn end(payload: &[u8]) -> Option<CloseKind> {
    Some(match payload.first()? {
        8 => CloseKind::Handler,
        9 => CloseKind::Panic,
        10 => CloseKind::Ended,
        11 => CloseKind::Overflow,
        _ => return None,
    })
}

/// Appends what the peer gets for a frame.
pub(super) fn written(format: &Format, envelope: Envelope<'_>, payload: &[u8], out: &mut Vec<u8>) {
    let own = own_payload(format);
    let payloads: &[&[u8]] = match payload.first() {
        Some(0 | 8..=11) => &[],
        Some(1 | 4) => &[payload, payload],
        Some(6) => &[payload; 9],
        Some(5 | 12) => &[payload, payload, payload],
        Some(13) => &[&own, payload],
        _ => &[payload],
    };
    for payload in payloads {
        Encoder::new(*format).encode_with(envelope, payload, out).expect("what was decoded encodes");
    }
}

/// The handler.
pub(super) async fn handle(
    simulation: &Rc<Simulation>,
    peer: &Peer,
    format: &Format,
    frame: Frame<'_>,
    responder: &mut Responder,
) -> Result<(), Box<dyn core::error::Error + Send + Sync>> {
    let (envelope, payload) = (frame.envelope(), frame.payload());
    let deed = payload.first().copied();
    met(deed).count();
    let pushed = Bytes::copy_from_slice(payload);
    match deed {
        Some(0) => return Ok(()),
        Some(1) => responder.send_with(envelope, payload).await?,
        Some(3) => peer.sleep(Duration::from_millis(50)).await,
        Some(4) => push(peer, envelope, &pushed).await?,
        Some(5) => {
            for _ in 0..2 {
                match peer.outbox().try_send_with(envelope, &pushed) {
                    Err(PushError::Full { .. }) => {
                        Met::OutboxFull.count();
                        push(peer, envelope, &pushed).await?;
                    }
                    pushed => pushed?,
                }
            }
        }
        Some(6) => {
            for _ in 0..8 {
                push(peer, envelope, &pushed).await?;
            }
        }
        Some(7) => return Ok(responder.send_bytes_with(envelope, responder.share(frame)).await?),
        Some(8) => return Err(REFUSAL.into()),
        // A panic that calls no hook: a fuzzer's aborts.
        Some(9) => std::panic::resume_unwind(Box::new(REFUSAL)),
        Some(10) => {
            peer.outbox().close();
            return Ok(());
        }
        Some(11) => {
            peer.outbox().break_off();
            return Ok(());
        }
        Some(12) => {
            push(peer, envelope, &pushed).await?;
            responder.send_with(envelope, payload).await?;
        }
        Some(13) => responder.send_bytes_with(envelope, own_payload(format)).await?,
        Some(14) => peer.sleep(Duration::from_secs(5)).await,
        Some(15) => simulation.block(Duration::from_secs(11)),
        _ => {}
    }
    responder.send_with(envelope, payload).await?;
    if deed == Some(2) {
        responder.flush().await;
    }
    Ok(())
}

async fn push(peer: &Peer, envelope: Envelope<'_>, payload: &Bytes) -> Result<(), PushError> {
    peer.outbox().send_with(envelope, payload).await
}

/// A payload of the handler's own: the longest.
fn own_payload(format: &Format) -> Vec<u8> {
    vec![7; format.max_payload_len()]
}

/// A deed, for the census.
fn met(deed: Option<u8>) -> Met {
    const DEEDS: [Met; 16] = [
        Met::DeedSilent,
        Met::DeedTwice,
        Met::DeedFlush,
        Met::DeedSleeps,
        Met::DeedPushes,
        Met::DeedTriesToPush,
        Met::DeedPushesMany,
        Met::DeedShares,
        Met::DeedFails,
        Met::DeedPanics,
        Met::DeedCloses,
        Met::DeedBreaksOff,
        Met::DeedPushesFirst,
        Met::DeedRepliesLong,
        Met::DeedSleepsLong,
        Met::DeedBlocks,
    ];
    deed.and_then(|deed| DEEDS.get(usize::from(deed)).copied()).unwrap_or(Met::DeedPlain)
}
