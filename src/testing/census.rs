//! How often the checks met what they are about: a check that never meets it holds of anything.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use super::case::Case;
use super::oracle::{End, Expected, Oracle};
use super::plan::Fault;
use crate::framing::{DecodeErrorKind, Phase};

/// Whether anything is counted. Counting reads a stream once more, so it is off unless a test wants it.
static IS_ON: AtomicBool = AtomicBool::new(false);

macro_rules! met {
    ($($name:ident: $what:literal,)*) => {
        /// What a check can meet.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Met {
            $(#[doc = $what] $name,)*
        }

        impl Met {
            /// All of it.
            pub const ALL: &'static [Met] = &[$(Met::$name),*];
        }
    };
}

met! {
    Clean: "A stream that ends after a frame.",
    InHeader: "One that ends inside a header.",
    InPayload: "One that ends inside a payload.",
    InTrailer: "One that ends inside a trailer.",
    Oversize: "A payload over the limit.",
    Underflow: "A field below what the adjustment allows.",
    VarintTooLong: "A varint of too many bytes.",
    VarintOverflow: "A varint of more than 64 bits.",
    VarintNotMinimal: "A varint that is padded where it must not be.",
    NoHeader: "What a header that is not a format refuses.",
    Mismatch: "A checksum that does not match.",
    ThreeFrames: "Three frames and more.",
    BehindSkip: "A frame after a skipped one.",
    LongPayload: "A payload that is longer than a read.",
    VeryLongPayload: "A payload that is longer than 64 KiB.",
    Truncate: "Each fault, where it changes a byte.",
    Flip: "The same.",
    Insert: "The same.",
    Remove: "The same.",
    Field: "The same.",
    Length: "The same.",
    Limit: "The same.",
    Claim: "The same.",
    Pad: "The same.",
    Append: "The same.",
    FinalError: "`check_final_error` has an error to check.",
    NoError: "It has none.",
    NeedExact: "`check_need` knows what is missing: a payload and a trailer.",
    NeedHeader: "It knows what a header needs at most.",
    NeedRefused: "It comes to a header that is refused.",
    Skipped: "`check_skip` has a skipped frame, and the rest of the stream behind it.",
    SkipCutShort: "The stream ends inside the frame that it skips.",
    NothingToSkip: "It has no frame over the limit.",
    BodyLeft: "`check_streamed_body` leaves a body that has bytes.",
    BodyEnd: "It gets a body to its end.",
    EncodeOversize: "`check_refused_encode` has a payload over the limit.",
    EncodeUndersize: "It has one that the field cannot express.",
    EncodeFits: "It has one that fits.",
    RoundTrip: "`check_round_trip` has a frame.",
    HeaderWritten: "`check_header` has a frame.",
    HeaderRefused: "It has a payload that its header refuses.",
    Spoiled: "A checked frame is spoiled.",
    OutboxFull: "A handler of a session finds its outbox full.",
    DeedSilent: "It does each of its deeds.",
    DeedTwice: "The same.",
    DeedFlush: "The same.",
    DeedSleeps: "The same.",
    DeedPushes: "The same.",
    DeedTriesToPush: "The same.",
    DeedPushesMany: "The same.",
    DeedShares: "The same.",
    DeedFails: "The same.",
    DeedPanics: "The same.",
    DeedCloses: "The same.",
    DeedBreaksOff: "The same.",
    DeedPushesFirst: "The same.",
    DeedRepliesLong: "The same.",
    DeedSleepsLong: "The same.",
    DeedBlocks: "The same.",
    DeedPlain: "The same.",
    CloseClean: "A session ends for this reason; those of TLS and of the system are not simulated.",
    CloseTruncated: "The same.",
    CloseReset: "The same.",
    CloseOversize: "The same.",
    CloseMalformed: "The same.",
    CloseHandler: "The same.",
    ClosePanic: "The same.",
    CloseStopped: "The same.",
    CloseRefused: "The same.",
    CloseSilent: "The same.",
    CloseIdle: "The same.",
    CloseSlowFrame: "The same.",
    CloseSlowReader: "The same.",
    CloseOverflow: "The same.",
    CloseOverBudget: "The same.",
    CloseEnded: "The same.",
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
