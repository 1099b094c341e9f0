//! Small worlds, looked at whole: every cut of every stream, every string of bytes over a small alphabet.

use std::ops::RangeInclusive;

use unstick::framing::{Endian, Field, Format, Header, Layout, Oversize};
use unstick::testing::FrameLen::{Empty, Exact, Max, Min, OverMax};
use unstick::testing::{self, Case, Cuts, Expected, Plan};

/// How many small formats there are.
const FORMATS: u64 = 9;

fn small_formats() -> Vec<Format> {
    let fixed = |width, endian| Layout::fixed(width, endian);
    let make = |layout, limit| Format::new(layout, limit).expect("a format");
    vec![
        make(fixed(1, Endian::Big), 3),
        make(fixed(2, Endian::Little), 5),
        make(fixed(2, Endian::Big).inclusive(), 4),
        make(fixed(1, Endian::Big).offset(1).adjustment(1), 4),
        make(fixed(2, Endian::Big).offset(2).adjustment(-4), 6),
        make(Layout::varint(2), 130),
        make(Layout::of(Field::Varint { max_width: 3, minimal: true }).offset(1).adjustment(-1), 5),
        make(fixed(2, Endian::Big).offset(1).trailer(2).adjustment(-2), 3),
        make(Layout::varint(2).trailer(1), 130),
    ]
}

#[test]
fn every_cut_of_streams_up_to_14_bytes() {
    every_cut_of_streams_of(1..=14);
}

#[test]
#[ignore = "it takes longer than all else in this file: .ci/full runs it"]
fn every_cut_of_streams_of_15_and_16_bytes() {
    every_cut_of_streams_of(15..=16);
}

/// All 2^(n − 1) cuts of a stream of n bytes, for each n, in each format: good frames all but the last, which the end may cut short.
fn every_cut_of_streams_of(lens: RangeInclusive<usize>) {
    let mut cuts = 0;
    for format in small_formats() {
        let frames = vec![Exact(2), Empty, Max, Min, Exact(3), Exact(2), Max, Max, Max];
        let case = Plan { frames, read_len: 3, ..Plan::new(format) }.case();
        for len in lens.clone() {
            let mut case = case.clone();
            case.stream.truncate(len);
            assert_eq!(case.stream.len(), len);
            cuts += every_cut(&case);
        }
    }
    assert_eq!(cuts, FORMATS * lens.map(|len| 1 << (len - 1)).sum::<u64>());
    println!("cases: {cuts}");
}

/// All 2^7 cuts of every stream of 8 bytes that is frames, in each format: every order of every length that frames can have,
/// the last one cut short by the end or not.
#[test]
fn every_cut_of_every_order_of_frames_in_8_bytes() {
    let mut cuts = 0;
    for format in small_formats() {
        let mut orders = vec![vec![]];
        while let Some(frames) = orders.pop() {
            let mut case = Plan { frames: frames.clone(), read_len: 3, ..Plan::new(format) }.case();
            if case.stream.len() >= 8 {
                case.stream.truncate(8);
                cuts += every_cut(&case);
                continue;
            }
            // A payload of 8 bytes is cut short whatever stands before it, as is any longer one.
            let least = format.layout().min_payload_len() as usize;
            orders.extend((least..=format.max_payload_len().min(8)).map(|len| [&frames[..], &[Exact(len)]].concat()));
        }
    }
    assert!(cuts > FORMATS * (1 << 7));
    println!("cases: {cuts}");
}

/// All 2^12 cuts of streams of 13 bytes with a frame over the limit, under both policies.
#[test]
fn every_cut_of_streams_with_a_frame_over_the_limit() {
    let mut cuts = 0;
    for format in small_formats() {
        let frames = vec![Exact(1), OverMax, Max, Max, Max];
        let mut case = Plan { frames, read_len: 3, ..Plan::new(format) }.case();
        case.stream.truncate(13);
        cuts += every_cut(&case);
        cuts += every_cut(&case.on_oversize(Oversize::Skip { max_discard: 1 << 20 }));
    }
    assert_eq!(cuts, FORMATS * 2 * (1 << 12));
    println!("cases: {cuts}");
}

/// All cuts of all strings of up to five bytes over an alphabet in which every format has good and bad headers.
#[test]
fn every_cut_of_every_string_over_a_small_alphabet() {
    let alphabet = [0u8, 1, 2, 0x85];
    let (mut strings, mut cuts) = (0u64, 0);
    for format in small_formats() {
        for len in 0..=5 {
            for number in 0..alphabet.len().pow(len) {
                let stream: Vec<u8> = (0..len).map(|at| alphabet[number >> (2 * at) & 3]).collect();
                let oversize = if number % 2 == 0 { Oversize::Reject } else { Oversize::Skip { max_discard: 300 } };
                let case = Case::new(format, stream).with_read_len(2).on_oversize(oversize);
                cuts += every_cut(&case);
                strings += 1;
            }
        }
    }
    assert_eq!(strings, FORMATS * (4u64.pow(6) - 1) / 3);
    println!("cases: {cuts}");
}

/// Every check there is, on all strings of up to four bytes over a wider alphabet.
#[test]
fn every_check_of_every_short_string() {
    let alphabet = [0u8, 1, 3, 4, 6, 0x80, 0x81, 0xFF];
    let mut cases = 0;
    for format in small_formats() {
        for len in 0..=4 {
            for number in 0..alphabet.len().pow(len) {
                let stream: Vec<u8> = (0..len).map(|at| alphabet[number >> (3 * at) & 7]).collect();
                let case = Case::new(format, stream).cut(Cuts::of_lens(vec![1, 2])).with_read_len(2);
                testing::check_stream(&case);
                testing::check_stream(&case.on_oversize(Oversize::Skip { max_discard: 200 }));
                cases += 2;
            }
        }
    }
    assert_eq!(cases, FORMATS * 2 * (8u64.pow(5) - 1) / 7);
    println!("cases: {cases}");
}

/// Every field that a format of one byte has, against every limit.
#[test]
fn every_field_under_every_limit() {
    let mut cases = 0;
    for adjustment in [-3i64, 0, 5] {
        let layout = Layout::fixed(1, Endian::Big).adjustment(adjustment);
        for limit in (0..=255 + adjustment).step_by(5) {
            let Ok(format) = Format::new(layout, limit as usize) else {
                assert!(limit < adjustment, "a limit between the least and the greatest payload makes a format");
                continue;
            };
            assert_eq!(format.max_payload_len() as i64, limit);
            for field in 0..=255 {
                let mut stream = vec![field];
                stream.extend(testing::byte_at(0)..=testing::byte_at(0));
                testing::own::check_oracle(&Case::new(format, stream.clone()));
                stream.resize(1 + (i64::from(field) + adjustment).max(0) as usize, 7);
                testing::own::check_oracle(&Case::new(format, stream));
                cases += 2;
            }
        }
    }
    println!("cases: {cases}");
}

/// Every cut of a stream, each in every way that bytes go in and frames come out. How many cuts there are.
fn every_cut(case: &Case) -> u64 {
    let expected = Expected::of(&case.format, case.oversize, &case.stream);
    let len = case.stream.len();
    let masks = 1u64 << len.saturating_sub(1);
    for mask in 0..masks {
        testing::own::check_cuts(case, &expected, &Cuts::of_mask(mask, len));
    }
    masks
}
