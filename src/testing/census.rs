//! How often the checks met what they are about: a check that never meets it holds of anything.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use super::case::Case;
use super::oracle::{End, Expected, Oracle};
use super::plan::Fault;
use crate::framing::{DecodeErrorKind, Phase};

/// Whether anything is counted. Counting reads a stream once more, so it is off unless a test wants it.
static IS_ON: AtomicBool = AtomicBool::new(false);

macro_rules! met {
    ($($what:literal: $($name:ident)*;)*) => {
        /// What a check can meet.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Met {
            $($(#[doc = $what] $name,)*)*
        }

        impl Met {
            /// All of it.
            pub const ALL: &'static [Met] = &[$($(Met::$name),*),*];
        }
    };
}

met! {
    "A stream that ends after a frame.": Clean;
    "One that ends inside a header.": InHeader;
    "One that ends inside a payload.": InPayload;
    "One that ends inside a trailer.": InTrailer;
    "A payload over the limit.": Oversize;
    "A field below what the adjustment allows.": Underflow;
    "A varint of too many bytes.": VarintTooLong;
    "A varint of more than 64 bits.": VarintOverflow;
    "A varint that is padded where it must not be.": VarintNotMinimal;
    "What a header that is not a format refuses.": NoHeader;
    "A checksum that does not match.": Mismatch;
    "Three frames and more.": ThreeFrames;
    "A frame after a skipped one.": BehindSkip;
    "A payload that is longer than a read.": LongPayload;
    "A payload that is longer than 64 KiB.": VeryLongPayload;
    "A fault that changes a byte.": Truncate Flip Insert Remove Field Length Limit Claim Pad Append;
    "`check_final_error` has an error to check.": FinalError;
    "It has none.": NoError;
    "`check_need` knows what is missing: a payload and a trailer.": NeedExact;
    "It knows what a header needs at most.": NeedHeader;
    "It comes to a header that is refused.": NeedRefused;
    "`check_skip` has a skipped frame, and the rest of the stream behind it.": Skipped;
    "The stream ends inside the frame that it skips.": SkipCutShort;
    "It has no frame over the limit.": NothingToSkip;
    "`check_streamed_body` leaves a body that has bytes.": BodyLeft;
    "It gets a body to its end.": BodyEnd;
    "`check_refused_encode` has a payload over the limit.": EncodeOversize;
    "It has one that the field cannot express.": EncodeUndersize;
    "It has one that fits.": EncodeFits;
    "`check_round_trip` has a frame.": RoundTrip;
    "`check_header` has a frame.": HeaderWritten;
    "It has a payload that its header refuses.": HeaderRefused;
    "A checked frame is spoiled.": Spoiled;
    "A handler of a session finds its outbox full.": OutboxFull;
    "A handler of a session does this.":
        DeedSilent DeedTwice DeedFlush DeedSleeps DeedPushes DeedTriesToPush DeedPushesMany DeedShares
        DeedFails DeedPanics DeedCloses DeedBreaksOff DeedPushesFirst DeedRepliesLong DeedSleepsLong
        DeedBlocks DeedPlain;
    "A session ends for this reason; those of TLS and of the system are not simulated.":
        CloseClean CloseTruncated CloseReset CloseOversize CloseMalformed CloseHandler ClosePanic CloseStopped
        CloseRefused CloseSilent CloseIdle CloseSlowFrame CloseSlowReader CloseOverflow CloseOverBudget
        CloseEnded;
}

static COUNTS: [AtomicU64; Met::ALL.len()] = [const { AtomicU64::new(0) }; Met::ALL.len()];

impl Met {
    /// Counts it.
    #[inline]
    pub(crate) fn count(self) {
        if IS_ON.load(Relaxed) {
            COUNTS[self as usize].fetch_add(1, Relaxed);
        }
    }
}

/// Sets all counts to 0, runs this, and returns how often each was met meanwhile, by any thread.
pub fn of(run: impl FnOnce()) -> impl Iterator<Item = (Met, u64)> {
    COUNTS.iter().for_each(|count| count.store(0, Relaxed));
    IS_ON.store(true, Relaxed);
    run();
    IS_ON.store(false, Relaxed);
    Met::ALL.iter().map(|met| (*met, COUNTS[*met as usize].load(Relaxed)))
}

/// Counts what is in a stream.
#[inline]
pub(crate) fn case<H: Oracle>(case: &Case<H>) {
    if IS_ON.load(Relaxed) {
        count_case(case);
    }
}

fn count_case<H: Oracle>(case: &Case<H>) {
    let expected = Expected::of(&case.format, case.oversize, &case.stream);
    match expected.end {
        End::Clean => Met::Clean,
        End::Truncated { phase: Phase::Header, .. } => Met::InHeader,
        End::Truncated { phase: Phase::Payload, .. } => Met::InPayload,
        End::Truncated { .. } => Met::InTrailer,
        End::Refused { kind, .. } => match kind {
            DecodeErrorKind::Oversize { .. } => Met::Oversize,
            DecodeErrorKind::Underflow { .. } => Met::Underflow,
            DecodeErrorKind::VarintTooLong { .. } => Met::VarintTooLong,
            DecodeErrorKind::VarintOverflow => Met::VarintOverflow,
            DecodeErrorKind::VarintNotMinimal { .. } => Met::VarintNotMinimal,
            DecodeErrorKind::Mismatch { .. } => Met::Mismatch,
            _ => Met::NoHeader,
        },
    }
    .count();
    if expected.yielded().nth(2).is_some() {
        Met::ThreeFrames.count();
    }
    let skipped = expected.frames.iter().skip_while(|frame| !frame.skipped);
    if skipped.into_iter().any(|frame| frame.whole && !frame.skipped) {
        Met::BehindSkip.count();
    }
    for frame in expected.yielded() {
        if frame.payload_len > case.read_len as u64 {
            Met::LongPayload.count();
        }
        if frame.payload_len > 64 * 1024 {
            Met::VeryLongPayload.count();
        }
    }
}

/// Counts a fault that changed a byte.
pub(crate) fn fault(fault: &Fault) {
    match fault {
        Fault::Truncate { .. } => Met::Truncate,
        Fault::Flip { .. } => Met::Flip,
        Fault::Insert { .. } => Met::Insert,
        Fault::Remove { .. } => Met::Remove,
        Fault::Field { .. } => Met::Field,
        Fault::Length { .. } => Met::Length,
        Fault::Limit { .. } => Met::Limit,
        Fault::Claim { .. } => Met::Claim,
        Fault::Pad { .. } => Met::Pad,
        Fault::Append(_) => Met::Append,
    }
    .count();
}
