//! Pushed frames, each in memory once for all the connections that get it.
//!
//! A program that pushes to many connections pushes the same [`Bytes`] to one after another. So each thread remembers
//! which payload it pushed last. The first push encodes the frame, after those that the thread pushed before; every
//! further push is a range of the same memory. Consecutive frames of a log are one range: a connection that gets all of
//! a hundred frames has one range to write, not a hundred.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;

use super::budget::{Budget, For};
use super::encode::Encoding;
use crate::framing::{EncodeError, Envelope};

/// Payloads of this length or more, 4 KiB, are not copied. A copy of a shorter one costs less, and keeps no more memory
/// than it needs: a short slice of large [`Bytes`] would keep all of them.
pub(super) const SHARE_LEN: usize = 4 * 1024;

/// No more frames are appended to a log of this length.
const FULL_LEN: usize = 64 * 1024;

/// Bytes charged to the budget at a time.
const CHARGED_AT_ONCE: usize = 1024;

thread_local! {
    static LAST: RefCell<Last> = const { RefCell::new(Last::NOTHING) };
}

/// Consecutive frames of one thread. Frames are appended until a connection takes some of them.
pub(super) struct Log {
    is_sealed: AtomicBool,
    frames: Mutex<Frames>,
}

/// The frames of a log.
struct Frames {
    open: Vec<u8>,
    /// The bytes of `open`, after it is sealed.
    sealed: Bytes,
    charge: Charge,
    /// The payload that was pushed last. It is kept so that no other payload can have the same address.
    last: Bytes,
}

/// Bytes of the budget, given back when dropped.
struct Charge {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget.give(self.bytes);
    }
}

/// Bytes that are charged as long as some of them are used.
struct Charged<T> {
    bytes: T,
    _charge: Charge,
}

impl<T: AsRef<[u8]>> AsRef<[u8]> for Charged<T> {
    fn as_ref(&self) -> &[u8] {
        self.bytes.as_ref()
    }
}

/// A payload that is not copied, and charged once for all connections.
pub(super) struct Shared(Charged<Bytes>);

impl Shared {
    pub(super) fn len(&self) -> usize {
        self.0.bytes.len()
    }

    /// The payload, which is charged as long as it is used.
    pub(super) fn bytes(self: Arc<Shared>) -> Bytes {
        struct Owner(Arc<Shared>);
        impl AsRef<[u8]> for Owner {
            fn as_ref(&self) -> &[u8] {
                &self.0.0.bytes
            }
        }
        Bytes::from_owner(Owner(self))
    }
}

/// A pushed frame: a range of a log, followed by payload and trailer if the payload is not copied.
pub(super) struct Pushed {
    pub(super) log: Arc<Log>,
    pub(super) range: Range<usize>,
    /// The payload, and the trailer as a range of the same log.
    pub(super) rest: Option<(Arc<Shared>, Range<usize>)>,
}

/// The frame that a thread pushed last, and where it is.
struct Last {
    log: Weak<Log>,
    /// The address of the encoder, which tells servers apart.
    encode: usize,
    /// Whether the frame has no envelope, so that the same payload is the same frame.
    is_plain: bool,
    /// The payload's address and length.
    payload: (usize, usize),
    /// The frame; without payload and trailer if the payload is not copied.
    range: Range<usize>,
    shared: Weak<Shared>,
    trailer: Range<usize>,
}

/// Why a frame was not appended.
pub(super) enum Refused {
    /// The budget has no room.
    Full,
    Encode(EncodeError),
}

impl Log {
    /// The bytes of this range. Seals the log: nothing more is appended.
    pub(super) fn bytes(&self, range: Range<usize>) -> Bytes {
        let Frames { open, sealed, charge, last } = &mut *self.frames();
        if !self.is_sealed.swap(true, SeqCst) {
            let charge = Charge { budget: Arc::clone(&charge.budget), bytes: std::mem::take(&mut charge.bytes) };
            *sealed = Bytes::from_owner(Charged { bytes: std::mem::take(open), _charge: charge });
            *last = Bytes::new();
        }
        sealed.slice(range)
    }

    fn frames(&self) -> MutexGuard<'_, Frames> {
        self.frames.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// If this frame is the one that the thread pushed last, and it begins at `end` of this log, returns where it ends.
#[inline]
pub(super) fn follows(log: &Arc<Log>, end: usize, encode: &Arc<Encoding>, payload: &Bytes) -> Option<usize> {
    LAST.with_borrow(|last| {
        let same = last.range.start == end
            && payload.len() < SHARE_LEN
            && last.is(encode, payload)
            && std::ptr::eq(last.log.as_ptr(), Arc::as_ptr(log));
        (same && !log.is_sealed.load(SeqCst)).then_some(last.range.end)
    })
}

/// Appends a frame to those that this thread pushed before, unless it is the one that it pushed last.
///
/// # Errors
/// [`Refused`], and nothing is appended.
pub(super) fn put(
    encode: &Arc<Encoding>,
    budget: &Arc<Budget>,
    envelope: Envelope<'_>,
    payload: &Bytes,
) -> Result<Pushed, Refused> {
    LAST.with_borrow_mut(|last| {
        if envelope == Envelope::default()
            && last.is(encode, payload)
            && let Some(pushed) = last.again(payload)
        {
            return Ok(pushed);
        }
        let log = last.open(encode).unwrap_or_else(|| Log::new(budget));
        let pushed = log.append(encode, budget, envelope, payload)?;
        let (shared, trailer) = pushed
            .rest
            .as_ref()
            .map_or((Weak::new(), 0..0), |(shared, trailer)| (Arc::downgrade(shared), trailer.clone()));
        let (log, range) = (Arc::downgrade(&pushed.log), pushed.range.clone());
        let (encode, is_plain) = (address(encode), envelope == Envelope::default());
        *last = Last { log, encode, is_plain, payload: address_and_len(payload), range, shared, trailer };
        Ok(pushed)
    })
}

fn address(encode: &Arc<Encoding>) -> usize {
    Arc::as_ptr(encode).cast::<()>().addr()
}

fn address_and_len(payload: &Bytes) -> (usize, usize) {
    (payload.as_ptr().addr(), payload.len())
}

impl Last {
    const NOTHING: Last = Last {
        log: Weak::new(),
        encode: 0,
        is_plain: false,
        payload: (0, 0),
        range: 0..0,
        shared: Weak::new(),
        trailer: 0..0,
    };

    /// Whether the last frame is this one, while its log is open.
    #[inline]
    fn is(&self, encode: &Arc<Encoding>, payload: &Bytes) -> bool {
        self.is_plain && self.payload == address_and_len(payload) && self.encode == address(encode)
    }

    /// The last frame again.
    fn again(&self, payload: &Bytes) -> Option<Pushed> {
        let log = self.log.upgrade().filter(|log| !log.is_sealed.load(SeqCst))?;
        let rest = match payload.len() < SHARE_LEN {
            true => None,
            false => Some((self.shared.upgrade()?, self.trailer.clone())),
        };
        Some(Pushed { log, range: self.range.clone(), rest })
    }

    /// The log that this thread wrote to last, if it has room and is of the same server.
    fn open(&self, encode: &Arc<Encoding>) -> Option<Arc<Log>> {
        let log = self.log.upgrade()?;
        let end = self.range.end.max(self.trailer.end);
        (self.encode == address(encode) && end < FULL_LEN).then_some(log)
    }
}

impl Log {
    fn new(budget: &Arc<Budget>) -> Arc<Log> {
        let charge = Charge { budget: Arc::clone(budget), bytes: 0 };
        let frames = Frames { open: Vec::new(), sealed: Bytes::new(), charge, last: Bytes::new() };
        Arc::new(Log { is_sealed: AtomicBool::new(false), frames: Mutex::new(frames) })
    }

    /// Appends a frame; to another log if this one is sealed.
    fn append(
        self: &Arc<Log>,
        encode: &Encoding,
        budget: &Arc<Budget>,
        envelope: Envelope<'_>,
        payload: &Bytes,
    ) -> Result<Pushed, Refused> {
        let mut frames = self.frames();
        if self.is_sealed.load(SeqCst) {
            drop(frames);
            return Log::new(budget).append(encode, budget, envelope, payload);
        }
        let Frames { open, charge, last, .. } = &mut *frames;
        let start = open.len();
        let (is_shared, mut trailer) = (payload.len() >= SHARE_LEN, Vec::new());
        let encoded = match is_shared {
            true => encode.header_and_trailer(envelope, payload, open, &mut trailer),
            false => encode.copied(&envelope, payload, open),
        };
        encoded.map_err(Refused::Encode)?;
        let end = open.len();
        open.extend_from_slice(&trailer);
        // Both are taken at once: giving back one of them would wake waiting pushes, and that may be this one.
        let more = open.len().next_multiple_of(CHARGED_AT_ONCE).saturating_sub(charge.bytes);
        let of_payload = if is_shared { payload.len() } else { 0 };
        if more + of_payload > 0 && !budget.take(more + of_payload, budget.most(For::Writing)) {
            open.truncate(start);
            return Err(Refused::Full);
        }
        charge.bytes += more;
        let rest = is_shared.then(|| {
            let charge = Charge { budget: Arc::clone(budget), bytes: payload.len() };
            (Arc::new(Shared(Charged { bytes: payload.clone(), _charge: charge })), end..open.len())
        });
        let pushed = Pushed { log: Arc::clone(self), range: start..end, rest };
        *last = payload.clone();
        Ok(pushed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framing::{Encoder, Format};

    fn encoder() -> Arc<Encoding> {
        Arc::new(Encoding::Format(Encoder::new(Format::U8)))
    }

    fn pushed(result: Result<Pushed, Refused>) -> Pushed {
        result.unwrap_or_else(|_| panic!("there is room"))
    }

    #[test]
    fn the_same_payload_is_put_once_and_what_follows_is_one_range() {
        let (encode, budget) = (encoder(), Budget::new(10_000));
        let [one, two] = [&b"one"[..], b"two"].map(Bytes::from_static);
        let put = |payload: &Bytes| pushed(put(&encode, &budget, Envelope::default(), payload));
        let first = put(&one);
        let again = put(&one);
        assert!(Arc::ptr_eq(&first.log, &again.log) && first.range == again.range);
        assert_eq!(follows(&first.log, first.range.end, &encode, &one), None, "it does not follow itself");
        let second = put(&two);
        assert_eq!(follows(&first.log, first.range.end, &encode, &two), Some(second.range.end));
        assert_eq!(&first.log.bytes(0..second.range.end)[..], b"\x03one\x03two");
        assert_eq!(follows(&first.log, first.range.end, &encode, &two), None, "it is sealed");
        let [third, fourth] = [0; 2].map(|_| put(&two));
        assert!(!Arc::ptr_eq(&first.log, &third.log));
        assert!(Arc::ptr_eq(&third.log, &fourth.log) && third.range == fourth.range, "known in the new one");
        assert_eq!(budget.leased(), 2 * CHARGED_AT_ONCE);
        drop((first, again, second, third, fourth));
        assert_eq!(budget.leased(), 0);
    }

    #[test]
    fn another_envelope_makes_another_frame() {
        let layout = crate::framing::Layout::fixed(1, crate::framing::Endian::Big).offset(1);
        let encode = Arc::new(Encoding::Format(Encoder::new(Format::new(layout, 255).expect("a format"))));
        let (budget, payload) = (Budget::new(10_000), Bytes::from_static(b"x"));
        let put = |prefix| pushed(put(&encode, &budget, Envelope { prefix, trailer: b"" }, &payload));
        let bytes = [put(b"1"), put(b"2")].map(|pushed| pushed.log.bytes(pushed.range));
        assert_eq!(bytes, [&b"1\x01x"[..], b"2\x01x"]);
    }

    #[test]
    fn a_long_payload_is_not_copied_and_counts_once() {
        let encode = Arc::new(Encoding::Format(Encoder::new(Format::U32_LE)));
        let (budget, payload) = (Budget::new(10_000), Bytes::from(vec![7; 6000]));
        let put = |payload: &Bytes| put(&encode, &budget, Envelope::default(), payload);
        let [one, two] = [0; 2].map(|_| pushed(put(&payload)));
        assert_eq!(budget.leased(), 6000 + CHARGED_AT_ONCE);
        assert!(matches!(put(&Bytes::from(vec![7; 6000])), Err(Refused::Full)));
        let [one, two] = [one, two].map(|pushed| pushed.rest.expect("a payload that is not copied").0.bytes());
        assert_eq!([one.as_ptr(), two.as_ptr()], [payload.as_ptr(); 2]);
        drop(one);
        assert_eq!(budget.leased(), 6000);
        drop(two);
        assert_eq!(budget.leased(), 0);
    }

    #[test]
    fn a_frame_that_cannot_be_encoded_leaves_nothing() {
        let (encode, budget) = (encoder(), Budget::new(10_000));
        let refused = put(&encode, &budget, Envelope::default(), &Bytes::from(vec![7; 256]));
        assert!(matches!(refused, Err(Refused::Encode(EncodeError::Oversize { .. }))));
        let fine = pushed(put(&encode, &budget, Envelope::default(), &Bytes::from_static(b"fine")));
        assert_eq!(fine.range, 0..5);
    }
}
