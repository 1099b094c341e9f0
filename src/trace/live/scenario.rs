//! What can happen.

use std::fmt;

use crate::framing::Format;
use crate::server::TUTORIAL_GREETING;
use crate::trace::build::Reading;

/// A lesson: what the client and the server do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scenario {
    /// The server greets, one frame is answered, both ends close.
    Greeting,
    /// Five frames are written at once: they come in one segment.
    Sticky,
    /// A frame is longer than a segment, and a header is written in two pieces.
    Split,
    /// The client ends its stream, and the server still sends three replies.
    HalfClose,
    /// Each direction is closed by itself: four segments.
    FourWay,
    /// The client breaks off inside a frame.
    Reset,
    /// A reader pauses until its window is full.
    Window,
    /// A segment is lost, and sent again.
    Retransmit,
    /// The exchange of the tutorial: an unframed greeting, and 100 texts in frames.
    Tutorial,
}

impl Scenario {
    /// All of them, in the order in which a teacher would show them.
    pub const ALL: [Scenario; 9] = [
        Scenario::Greeting,
        Scenario::Sticky,
        Scenario::Split,
        Scenario::HalfClose,
        Scenario::FourWay,
        Scenario::Reset,
        Scenario::Window,
        Scenario::Retransmit,
        Scenario::Tutorial,
    ];

    /// Its name, such as `half-close`.
    pub const fn name(self) -> &'static str {
        match self {
            Scenario::Greeting => "greeting",
            Scenario::Sticky => "sticky",
            Scenario::Split => "split",
            Scenario::HalfClose => "half-close",
            Scenario::FourWay => "four-way",
            Scenario::Reset => "reset",
            Scenario::Window => "window",
            Scenario::Retransmit => "retransmit",
            Scenario::Tutorial => "tutorial",
        }
    }

    /// The scenario of this name.
    pub fn named(name: &str) -> Option<Scenario> {
        Scenario::ALL.into_iter().find(|scenario| scenario.name() == name)
    }

    /// What it is called above its picture.
    pub const fn title(self) -> &'static str {
        match self {
            Scenario::Greeting => "From the handshake to the close",
            Scenario::Sticky => "Sticky: five frames in one segment",
            Scenario::Split => "Split: one frame in several segments",
            Scenario::HalfClose => "Half-close: one end has finished, the other still sends",
            Scenario::FourWay => "Four segments to close",
            Scenario::Reset => "Reset inside a frame",
            Scenario::Window => "A reader that pauses",
            Scenario::Retransmit => "Lost and sent again",
            Scenario::Tutorial => "The tutorial's hundred texts",
        }
    }

    /// What it teaches, in a sentence or two.
    pub const fn lesson(self) -> &'static str {
        match self {
            Scenario::Greeting => {
                "Three segments open the connection. The server greets, one frame is answered, and each end closes its \
                 direction."
            }
            Scenario::Sticky => {
                "The client writes five frames with one call. They come in one segment, and one read returns them all: TCP \
                 knows no frames, only the lengths tell them apart."
            }
            Scenario::Split => {
                "The first frame is longer than a segment. Later the client writes three short frames in three pieces, cut \
                 inside a length and inside a payload."
            }
            Scenario::HalfClose => {
                "The client sends three frames and ends its stream at once. The server takes its time and still sends \
                 three replies: that is what closing each direction by itself is for."
            }
            Scenario::FourWay => {
                "A FIN and its ACK for each direction. The server is still busy with the last frame when the client's FIN \
                 comes, so it acknowledges at once, and ends its own stream later."
            }
            Scenario::Reset => {
                "The client breaks off inside a frame, with an RST instead of a FIN. The bytes of the unfinished frame are \
                 lost, and the server knows it."
            }
            Scenario::Window => {
                "The client stops reading. When its window is full, the server may send no more, asks again after a while, \
                 and goes on after the client has read."
            }
            Scenario::Retransmit => {
                "The second frame is lost behind the place of the capture. The third comes first, the server asks for what \
                 is missing, and the client sends it again. Its bytes count once."
            }
            Scenario::Tutorial => {
                "A greeting without a length, then a hundred texts in frames, each written with one call and without a \
                 pause. The system puts them together in a few segments."
            }
        }
    }

    /// How its bytes are read as frames. All scenarios have the format of the tutorial, [`Format::U32_LE`].
    pub fn reading(self) -> Reading {
        let mut reading = Reading::new(Format::U32_LE);
        if self == Scenario::Tutorial {
            reading.greeting = TUTORIAL_GREETING.len() as u64;
        }
        reading
    }

    /// The port of its server: each has its own, so that no connection meets the end of an earlier one.
    pub(super) const fn port(self) -> u16 {
        match self {
            // The tutorial's own.
            Scenario::Tutorial => 4747,
            _ => 4700 + self as u16,
        }
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
