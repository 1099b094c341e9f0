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

    /// What happens, in a sentence.
    pub const fn title(self) -> &'static str {
        match self {
            Scenario::Greeting => "The server greets, one frame is answered, both ends close.",
            Scenario::Sticky => "Sticky: five frames are written at once, and come in one segment.",
            Scenario::Split => "Split: a frame is longer than a segment, and a header is written in two pieces.",
            Scenario::HalfClose => "Half-close: the client ends its stream, and the server still sends three replies.",
            Scenario::FourWay => "Four-way close: each direction is closed by itself.",
            Scenario::Reset => "Reset: the client breaks off inside a frame.",
            Scenario::Window => "Window: the client stops reading, until the server may send no more.",
            Scenario::Retransmit => "Retransmission: a segment is lost behind the place of the capture, and sent again.",
            Scenario::Tutorial => "The tutorial: an unframed greeting, and 100 texts in frames, sent without a pause.",
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
