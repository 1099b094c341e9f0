//! Room for the rest of a frame.

use bytes::BytesMut;

use crate::framing::DEFAULT_READ_LEN;

/// How the buffer that a `Framed` reads into grows and shrinks.
///
/// It grows for a frame that does not fit: by the number of bytes received of it or by one read, whichever is more, and
/// never beyond the frame. So its memory follows what was received, not what a header declares. Memory that grew for a
/// long frame is freed once the buffer was empty twice and no frame since was as long.
#[derive(Clone, Debug)]
pub(super) struct Room {
    /// Bytes of memory that the buffer had before it first grew; 0 while it has not.
    before: usize,
    /// The longest frame taken since the buffer was last empty, and between that and the time before.
    longest: usize,
    longest_before: usize,
}

impl Room {
    pub(super) const fn new() -> Room {
        Room { before: 0, longest: 0, longest_before: 0 }
    }

    /// Notes that a frame of this many bytes was taken.
    #[inline]
    pub(super) fn took(&mut self, frame_len: usize) {
        self.longest = self.longest.max(frame_len);
    }

    /// Makes room for a frame of which at least `missing` bytes have not come.
    pub(super) fn grow(&mut self, buffer: &mut BytesMut, missing: u64) {
        let len = buffer.len();
        let more = missing.min(len.max(DEFAULT_READ_LEN) as u64) as usize;
        // Half a read is enough room, so that it grows by doubling even if each read brings one byte.
        let enough = more.min(DEFAULT_READ_LEN / 2);
        // If the memory is large enough, its contents move to the front: for all of the frame, or for some.
        if [missing as usize, more, enough].into_iter().any(|room| buffer.try_reclaim(room)) {
            return;
        }
        if self.before == 0 {
            self.before = buffer.capacity().max(DEFAULT_READ_LEN);
        }
        let mut grown = BytesMut::with_capacity(len + more);
        grown.extend_from_slice(buffer);
        *buffer = grown;
    }

    /// Notes that all received bytes were taken.
    pub(super) fn emptied(&mut self, buffer: &mut BytesMut) {
        if self.longest == 0 {
            return; // it is as empty as it was
        }
        let longest = self.longest.max(self.longest_before);
        if self.before > 0 && buffer.capacity() > longest.max(self.before) {
            *buffer = BytesMut::with_capacity(self.before);
        }
        // Then a frame of this length fits, if there is memory for it.
        let _is_there = buffer.try_reclaim(longest);
        self.longest_before = std::mem::take(&mut self.longest);
    }
}
