//! What a segment carries, in a few words.

use super::model::{Part, Run, Segment, Trace};

impl Trace {
    /// What a segment carries, in the order of its bytes: `tail of #6 + 2 whole + head of #9`. The numbers are those of
    /// [`Frame::number`](super::Frame::number). Empty if it carries nothing.
    pub fn caption(&self, segment: &Segment) -> String {
        let mut parts: Vec<Caption> = Vec::new();
        for run in &segment.runs {
            let part = self.caption_of(run);
            match (parts.last_mut(), part) {
                (Some(Caption::Whole(count)), Caption::Whole(more)) => *count += more,
                (Some(Caption::Again(len)), Caption::Again(more)) => *len += more,
                (_, part) => parts.push(part),
            }
        }
        parts.iter().map(Caption::words).collect::<Vec<_>>().join(" + ")
    }

    fn caption_of(&self, run: &Run) -> Caption {
        if run.again {
            return Caption::Again(run.len);
        }
        let Some(frame) = run.frame.and_then(|index| self.frames.get(index)) else {
            return match run.part {
                Part::Unfinished => Caption::Unfinished(run.len),
                Part::Undecoded => Caption::Undecoded(run.len),
                Part::Encrypted => Caption::Encrypted(run.len),
                _ => Caption::Unframed(run.len),
            };
        };
        match (run.offset == frame.offset, run.offset + run.len == frame.end()) {
            (true, true) => Caption::Whole(1),
            (true, false) => Caption::Head(frame.number),
            (false, true) => Caption::Tail(frame.number),
            (false, false) => Caption::Middle(frame.number),
        }
    }
}

/// A part of a caption.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Caption {
    /// So many whole frames.
    Whole(u64),
    /// A part of the frame of this number.
    Head(u64),
    Middle(u64),
    Tail(u64),
    /// So many bytes.
    Again(u64),
    Unframed(u64),
    Unfinished(u64),
    Undecoded(u64),
    Encrypted(u64),
}

impl Caption {
    fn words(&self) -> String {
        match self {
            Caption::Whole(count) => format!("{count} whole"),
            Caption::Head(number) => format!("head of #{number}"),
            Caption::Middle(number) => format!("middle of #{number}"),
            Caption::Tail(number) => format!("tail of #{number}"),
            Caption::Again(len) => format!("{len} B again"),
            Caption::Unframed(len) => format!("{len} B unframed"),
            Caption::Unfinished(len) => format!("{len} B unfinished"),
            Caption::Undecoded(len) => format!("{len} B undecoded"),
            Caption::Encrypted(len) => format!("{len} B encrypted"),
        }
    }
}
