//! Small worlds, looked at whole: every cut of every stream, every string of bytes over a small alphabet.

use unstick::framing::{Endian, Field, Format, Header, Layout, Oversize};
use unstick::testing::FrameLen::{Empty, Exact, Max, Min, OverMax};
use unstick::testing::{self, Case, Cuts, Expected, Plan};

fn small_formats() -> Vec<Format> {
    let fixed = |width, endian| Layout::fixed(width, endian);
    let make = |layout, limit| Format::new(layout, limit).expect("a format");
    vec![
        make(fixed(1, Endian::Big), 3),
        make(fixed(2, Endian::Little), 5),
        make(fixed(2, Endian::Big).inclusive(), 4),
        make(Layout { offset: 1, adjustment: 1, ..fixed(1, Endian::Big) }, 4),
        make(Layout { offset: 2, adjustment: -4, ..fixed(2, Endian::Big) }, 6),
        make(Layout::varint(2), 130),
        make(Layout { offset: 1, field: Field::Varint { max_width: 3, minimal: true }, adjustment: -1 }, 5),
    ]
}

/// All 2^15 cuts of streams of 16 bytes, and all 2^13 of ones of 14, in each format: good frames all but the last, which
/// the end may cut short.
#[test]
fn every_cut_of_streams_of_16_bytes() {
    let mut cuts = 0;
    for (index, format) in small_formats().into_iter().enumerate() {
        let frames = vec![Exact(2), Empty, Max, Min, Exact(3), Exact(2), Max, Max, Max];
        let mut case = Plan { frames, read_len: 3, ..Plan::new(format) }.case();
        case.stream.truncate(if index % 3 == 0 { 16 } else { 14 });
        cuts += every_cut(&case);
    }
    assert_eq!(cuts, 3 * (1 << 15) + 4 * (1 << 13));
}

/// All 2^12 cuts of streams of 13 bytes with a frame over the limit, under both policies.
#[test]
fn every_cut_of_streams_with_a_frame_over_the_limit() {
    for format in small_formats() {
        let frames = vec![Exact(1), OverMax, Max, Max, Max];
        let mut case = Plan { frames, read_len: 3, ..Plan::new(format) }.case();
        case.stream.truncate(13);
        every_cut(&case);
        every_cut(&case.on_oversize(Oversize::Skip { max_discard: 1 << 20 }));
    }
}

/// All cuts of all strings of up to five bytes over an alphabet in which every format has good and bad headers.
#[test]
fn every_cut_of_every_string_over_a_small_alphabet() {
    let alphabet = [0u8, 1, 2, 0x85];
    let mut strings = 0;
    for format in small_formats() {
        for len in 0..=5 {
            for number in 0..alphabet.len().pow(len) {
                let stream: Vec<u8> = (0..len).map(|at| alphabet[number >> (2 * at) & 3]).collect();
                let oversize = if number % 2 == 0 { Oversize::Reject } else { Oversize::Skip { max_discard: 300 } };
                let case = Case::new(format, stream).with_read_len(2).on_oversize(oversize);
                every_cut(&case);
                strings += 1;
            }
        }
    }
    assert_eq!(strings, 7 * (4usize.pow(6) - 1) / 3);
}

/// Every check there is, on all strings of up to four bytes over a wider alphabet.
#[test]
fn every_check_of_every_short_string() {
    let alphabet = [0u8, 1, 3, 4, 6, 0x80, 0x81, 0xFF];
    for format in small_formats() {
        for len in 0..=4 {
            for number in 0..alphabet.len().pow(len) {
                let stream: Vec<u8> = (0..len).map(|at| alphabet[number >> (3 * at) & 7]).collect();
                let case = Case::new(format, stream).cut(Cuts::of_lens(vec![1, 2])).with_read_len(2);
                testing::check_stream(&case);
                testing::check_stream(&case.on_oversize(Oversize::Skip { max_discard: 200 }));
            }
        }
    }
}

/// Every field that a format of one byte has, against every limit.
#[test]
fn every_field_under_every_limit() {
    for adjustment in [-3i64, 0, 5] {
        let layout = Layout { adjustment, ..Layout::fixed(1, Endian::Big) };
        for limit in (0..=255 + adjustment).step_by(5) {
            let Ok(format) = Format::new(layout, limit as usize) else {
                assert!(limit < adjustment, "a limit between the least and the greatest payload makes a format");
                continue;
            };
            assert_eq!(format.max_payload_len() as i64, limit);
            for field in 0..=255 {
                let mut stream = vec![field];
                stream.extend(testing::byte_at(0)..=testing::byte_at(0));
                testing::check_oracle(&Case::new(format, stream.clone()));
                stream.resize(1 + (i64::from(field) + adjustment).max(0) as usize, 7);
                testing::check_oracle(&Case::new(format, stream));
            }
        }
    }
}

fn every_cut(case: &Case) -> u64 {
    let expected = Expected::of(&case.format, case.oversize, &case.stream);
    let len = case.stream.len();
    let masks = 1u64 << len.saturating_sub(1);
    for mask in 0..masks {
        testing::check_cuts(case, &expected, &Cuts::of_mask(mask, len));
    }
    masks
}
