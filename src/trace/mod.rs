//! A TCP connection as segments and frames: which frames stuck together in a segment, and which were split over several.
//!
//! A [`Capture`] has packets, a [`Trace`] what one connection of it was: its segments with the states of both ends, and the
//! frames that they carry. No I/O: packets come in as bytes, from a file or a socket.

mod model;
mod packet;
pub mod picture;

pub use model::{
    Direction, Ending, EndingKind, Flag, Flow, Frame, Hole, HoleCause, Mark, Note, Part, Run, Segment, State, States,
    Trace,
};
pub use packet::{Capture, Packet};
