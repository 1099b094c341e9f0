//! Length-prefixed framing for TCP.

#![cfg_attr(not(any(feature = "net", feature = "testing")), no_std)]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

extern crate alloc;

pub mod framing;
#[cfg(feature = "testing")]
pub mod testing;
