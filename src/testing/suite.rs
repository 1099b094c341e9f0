//! The streams that any decoder is tested with.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use super::case::{Case, Cuts};
use super::plan::{Fault, FrameLen, Plan, header_of};
use super::subject::{Subject, Violation, try_case};
use crate::framing::{Format, Header, Oversize};

/// Payloads over this many bytes are not written out, only declared: 64 KiB.
const MOST_WRITTEN: usize = 64 * 1024;

/// A case in which a decoder did something wrong. Its [`source`](core::error::Error::source) is the violation.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// The stream and its cuts.
    pub case: Case,
    /// What was wrong.
    pub violation: Violation,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Case { format, stream, cuts, .. } = &self.case;
        let (layout, limit) = (format.layout(), format.max_payload_len());
        let shown = &stream[..stream.len().min(64)];
        let more = if shown.len() < stream.len() { " …" } else { "" };
        let len = stream.len();
        write!(f, "a decoder of {layout}, limit {limit}, is wrong about {len} bytes {shown:02x?}{more} in {cuts:?}")
    }
}

impl core::error::Error for Failure {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        Some(&self.violation)
    }
}

/// Tests a decoder for `format` with over a thousand streams, always the same: every kind of length, each header cut at
/// every byte and followed by silence, streams cut and ended at every byte, all cuts of a short stream, floods of empty
/// frames, generated plans with faults, and bytes that are not frames. Returns the number of cases. A limit of a few
/// hundred bytes keeps it quick; a payload over 64 KiB is only declared.
///
/// # Errors
/// The first [`Failure`].
pub fn try_suite<S: Subject>(format: Format, mut make: impl FnMut() -> S) -> Result<u64, Box<Failure>> {
    let mut cases = 0;
    for case in declared(format).chain(planned(format)).chain(every_cut(format)).chain(generated(format)) {
        cases += 1;
        if let Err(violation) = try_case(&case, &mut make) {
            return Err(Box::new(Failure { case, violation }));
        }
    }
    Ok(cases)
}

/// As [`try_suite`], but panics.
///
/// # Panics
/// On the first failure, with the stream and the violation.
#[track_caller]
pub fn suite<S: Subject>(format: Format, make: impl FnMut() -> S) -> u64 {
    match try_suite(format, make) {
        Ok(cases) => cases,
        Err(failure) => panic!("{failure}\n{}", failure.violation),
    }
}

/// A header that declares a length, and then silence, or one byte and then silence.
fn declared(format: Format) -> impl Iterator<Item = Case> {
    let layout = format.layout();
    let limit = format.max_payload_len();
    let greatest = layout.greatest_payload_len().unwrap_or(0) as usize;
    let lens = [layout.min_payload_len() as usize, 1, limit, limit.saturating_add(1), greatest];
    lens.into_iter().filter_map(move |len| header_of(&layout, len)).flat_map(move |header| {
        let one_more = [&header[..], b"+"].concat();
        let cuts = (0..=header.len()).map(|at| Cuts::at(&[at]));
        let cut = cuts.map({
            let header = header.clone();
            move |cuts| Case::new(format, header.clone()).cut(cuts)
        });
        let short = (0..header.len()).map(move |len| Case::new(format, header[..len].to_vec()));
        short.chain(cut).chain([Case::new(format, one_more)]).collect::<Vec<_>>()
    })
}

/// Frames of every kind of length, cut at each of the first offsets, and ended at each of the last.
fn planned(format: Format) -> impl Iterator<Item = Case> {
    use FrameLen::{Empty, Exact, Max, Min, Near, OverMax};
    let rows = [
        vec![],
        vec![Empty],
        vec![Min, Min],
        vec![Exact(1), Exact(2), Exact(3)],
        vec![Exact(5), Empty, Exact(5)],
        vec![Near(-1), Max],
        vec![Max, Min],
        vec![Min, OverMax, Min],
        vec![Near(1), Exact(5)],
        vec![Empty; 500],
        vec![Exact(1); 200],
    ];
    rows.into_iter().flat_map(move |frames| {
        let plan = Plan { frames: writable(&format, frames), ..Plan::new(format) };
        let case = plan.case();
        let len = case.stream.len();
        let whole = case.clone();
        let count = if len <= 400 { len.min(100) } else { 10 };
        let cut = (1..count).map(move |at| case.clone().cut(Cuts::at(&[at])));
        let ended = (1..=count).map(move |missing| {
            let faults = vec![Fault::Truncate { missing }];
            Plan { faults, cuts: Cuts::of_lens(vec![1, 0, 7, 2]), ..plan.clone() }.case()
        });
        [whole].into_iter().chain(cut).chain(ended)
    })
}

/// A short stream in all possible cuts.
fn every_cut(format: Format) -> impl Iterator<Item = Case> {
    let least = format.layout().min_payload_len() as usize;
    let frames = vec![FrameLen::Exact(least + 1), FrameLen::Min, FrameLen::Exact(least + 2)];
    let mut case = Plan { frames: writable(&format, frames), ..Plan::new(format) }.case();
    case.stream.truncate(11);
    let len = case.stream.len();
    (0..1u64 << len.saturating_sub(1)).map(move |mask| case.clone().cut(Cuts::of_mask(mask, len)))
}

/// Plans with faults, and bytes that are not frames, from a fixed sequence of numbers.
fn generated(format: Format) -> impl Iterator<Item = Case> {
    let mut state = 0x2545_F491_4F6C_DD1Du64;
    let mut bytes = move |len: usize| -> Vec<u8> {
        let next = |_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        };
        (0..len).map(next).collect()
    };
    (0..400).map(move |turn| {
        let mut plan = Plan::from_bytes_for(format, &bytes(16 + turn % 48));
        plan.oversize = Oversize::Reject;
        plan.frames = writable(&format, plan.frames);
        match turn % 3 {
            0 => Case { stream: bytes(turn % 64), ..plan.case() },
            _ => plan.case(),
        }
    })
}

fn writable(format: &Format, mut frames: Vec<FrameLen>) -> Vec<FrameLen> {
    frames.retain(|frame| frame.payload_len(format) <= MOST_WRITTEN);
    frames
}
