//! The framing core behind C functions, for a symbolic executor to call: see `xtask/prove/README.md`. This file and
//! `bare.rs` are the only ones of the repository with raw pointers and exported names.

#![cfg_attr(not(test), no_std)]

extern crate alloc;

#[cfg(not(test))]
mod bare;
mod calls;
#[cfg(test)]
mod tests;

use core::slice;

/// The input of a call: a format, and the bytes that it meets. `machine.py` writes it field by field.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Input {
    pub adjustment: i64,
    pub limit: usize,
    /// The received bytes, and how many they are.
    pub bytes: *const u8,
    pub len: usize,
    /// Where a frame begins in them.
    pub start: usize,
    /// Bytes of a payload to encode.
    pub payload_len: usize,
    pub offset: u8,
    pub width: u8,
    /// 0: little-endian, 1: big-endian, 2: varint, 3: varint in its shortest form only.
    pub order: u8,
    pub trailer: u8,
}

/// What a call found: first which outcome (see `calls::Outcome`), then its numbers; the rest is 0.
pub type Output = [u64; 8];

macro_rules! exported {
    ($($name:ident),*) => {$(
        /// Calls the function of the same name in `calls.rs`.
        ///
        /// # Safety
        /// `input` and `output` can be read and written, and `input.bytes` are `input.len` bytes that can be read.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(input: *const Input, output: *mut Output) {
            // SAFETY: the caller's.
            let (input, output) = unsafe { (&*input, &mut *output) };
            // SAFETY: the caller's.
            let bytes = unsafe { slice::from_raw_parts(input.bytes, input.len) };
            *output = calls::$name(input, bytes);
        }
    )*};
}

exported!(new, parse, whole_frame, header, split_first, decoder);
