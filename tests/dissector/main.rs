//! The Wireshark dissectors: parsed by Lua, run by tshark, and compared with this crate's decoder.

// Helpers outside of test functions are tests, too.
#![allow(clippy::unwrap_used)]

mod agreement;
#[path = "../support/pcap.rs"]
mod pcap;
mod refusals;
mod scripts;
#[path = "../support/tools.rs"]
mod tools;
mod tshark;

use unstick::framing::{Endian, Field, Format, Layout, PRESETS};

/// Every preset, and layouts with all that a preset lacks, with limits that random bytes pass.
fn formats() -> Vec<Format> {
    let minimal = Layout::of(Field::Varint { max_width: 5, minimal: true });
    let odd = [
        (Layout::fixed(2, Endian::Big).offset(2).adjustment(-4), 1000),
        (Layout::fixed(3, Endian::Little).offset(1).adjustment(1).trailer(2), 3000),
        (Layout::fixed(4, Endian::Big).offset(1).inclusive(), 1 << 16),
        (Layout::fixed(5, Endian::Little).trailer(1), 1 << 20),
        (Layout::fixed(8, Endian::Little).adjustment(-0x0102_0304_0506), 1 << 20),
        (Layout::fixed(8, Endian::Big).adjustment(i64::MIN), 1 << 20),
        (Layout::fixed(7, Endian::Big).offset(255).trailer(255), 1 << 30),
        (Layout::fixed(1, Endian::Big).adjustment(-100), 99),
        (minimal, 1 << 20),
        (minimal.offset(3).adjustment(5).trailer(4), 1 << 14),
        (Layout::varint(1).adjustment(-1), 100),
        (Layout::varint(10).adjustment(-300).trailer(1), 1 << 20),
    ];
    let odd = odd.into_iter().map(|(layout, limit)| Format::new(layout, limit).expect("a format"));
    PRESETS.iter().map(|(_, format, _)| *format).chain(odd).collect()
}
