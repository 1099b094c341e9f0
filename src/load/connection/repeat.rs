//! The sending side of a connection where nobody looks at payloads: one frame is sent again and again.

use super::{Connection, Context};
use crate::framing::{Encoder, Envelope};
use crate::load::fault::Fault;
use crate::load::pattern::Pattern;
use crate::load::plan::{Pacing, Plan, Reply};
use crate::load::sizes::Sizes;

/// Bytes of the wire at least: much for one write, and little enough to stay in a cache.
const WIRE_LEN: usize = 256 * 1024;

/// One frame many times, which all connections send from.
#[derive(Debug)]
pub(super) struct Wire {
    bytes: Vec<u8>,
    frame_len: usize,
}

impl Wire {
    /// `None` where replies are looked at, or frames differ, have their time, or are sent in another way.
    pub(super) fn new(plan: &Plan) -> Option<Wire> {
        let Sizes::Fixed(payload_len) = plan.payload else { return None };
        let as_they_are = plan.is_bare() && !plan.chaos.split && !plan.chaos.merge;
        if plan.reply != Reply::Count || plan.pacing != Pacing::Closed || !as_they_are {
            return None;
        }
        let mut frame = Vec::new();
        Encoder::new(plan.format).header(Envelope::default(), payload_len, &mut frame).ok()?;
        Pattern::new(plan.run, 0, 0).append(0, payload_len, &mut frame);
        Some(Wire { bytes: frame.repeat(WIRE_LEN.div_ceil(frame.len())), frame_len: frame.len() })
    }
}

impl Connection {
    /// Writes until the socket takes no more or as many frames as allowed are in flight.
    pub(super) fn repeat(&mut self, context: &mut Context<'_>) -> Result<(), Fault> {
        let Context { plan, scratch, meter, now, .. } = context;
        let Some(wire) = &scratch.wire else { return Ok(()) };
        let frames = self.limit(plan).saturating_sub(self.begun).min(self.quota);
        if frames > 0 {
            self.begun += frames;
            self.quota -= frames;
            self.unsent += frames as usize * wire.frame_len;
            self.flight.push(*now, *now, frames);
            meter.sent(*now, frames);
        }
        while self.unsent > 0 {
            let len = self.unsent.min(wire.bytes.len() - self.position);
            let bytes = &wire.bytes[self.position..self.position + len];
            let took = self.transport.write(bytes).map_err(|error| self.died(error))?;
            self.unsent -= took;
            self.position = (self.position + took) % wire.bytes.len();
            if took < len {
                self.held = true;
                return Ok(());
            }
        }
        self.pause(context)
    }
}
