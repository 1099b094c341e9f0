//! Where bytes become those of TLS: its first messages can be read, and nothing after them.

use super::bytes::Bytes;
use crate::framing::{Endian, Layout};

/// The layout of TLS's own records (RFC 8446, 5.1).
pub(super) fn records() -> Layout {
    Layout::fixed(2, Endian::Big).offset(3)
}

/// The offset of the first segment that begins with a hello of TLS.
pub(super) fn begin(bytes: &Bytes<'_>) -> Option<u64> {
    let hello = bytes.pieces.iter().find(|piece| is_hello(piece.bytes))?;
    u64::try_from(bytes.offset(hello.start)).ok()
}

/// Whether bytes begin with a record whose first message is a client's hello (1) or a server's (2), of version 3.x, and not
/// longer than its record.
fn is_hello(bytes: &[u8]) -> bool {
    let [22, 3, 0..=4, record @ .., 3, _] = bytes.get(..11).unwrap_or(&[]) else { return false };
    let [high, low, 1 | 2, 0, message_high, message_low] = *record else { return false };
    u32::from_be_bytes([0, 0, message_high, message_low]) + 4 <= u32::from_be_bytes([0, 0, high, low])
}
