//! The property kit under proptest: each property is written once in `unstick::testing`; here are only the strategies.

use proptest::collection::vec;
use proptest::prelude::*;
use unstick::framing::{DEFAULT_MAX_PAYLOAD_LEN, Endian, Field, Format, Layout, Oversize};
use unstick::testing::{self, Case, Cuts, Fault, FrameLen, Plan};

fn field() -> impl Strategy<Value = Field> {
    prop_oneof![
        (1..=8u8, any::<bool>()).prop_map(|(width, big)| {
            Field::Fixed { width, endian: if big { Endian::Big } else { Endian::Little } }
        }),
        (1..=10u8, any::<bool>()).prop_map(|(max_width, minimal)| Field::Varint { max_width, minimal }),
    ]
}

fn layout() -> impl Strategy<Value = Layout> {
    let offset = prop_oneof![4 => Just(0u8), 2 => 1..=4u8, 1 => any::<u8>()];
    let adjustment = prop_oneof![
        4 => Just(0i64),
        2 => -12..=12i64,
        1 => -70_000..=300i64,
        1 => any::<i64>().prop_map(|far| -far.saturating_abs()),
    ];
    let trailer = prop_oneof![3 => Just(0u8), 2 => 1..=4u8, 1 => any::<u8>()];
    (offset, field(), adjustment, trailer).prop_map(|(offset, field, adjustment, trailer)| {
        Layout::of(field).offset(offset).adjustment(adjustment).trailer(trailer)
    })
}

fn format() -> impl Strategy<Value = Format> {
    let limit = prop_oneof![4 => 0..=16usize, 4 => 0..=300usize, 1 => 0..=70_000usize];
    (layout(), limit).prop_filter_map("a format that can be", |(layout, limit)| {
        let least = layout.min_payload_len();
        let greatest = layout.greatest_payload_len()?;
        let limit = (limit as u64).clamp(least.min(greatest), greatest);
        Format::new(layout, limit as usize).ok()
    })
}

fn frame_len() -> impl Strategy<Value = FrameLen> {
    prop_oneof![
        2 => Just(FrameLen::Empty),
        2 => Just(FrameLen::Min),
        2 => Just(FrameLen::Max),
        1 => Just(FrameLen::OverMax),
        2 => any::<i8>().prop_map(FrameLen::Near),
        4 => (0..40usize).prop_map(FrameLen::Exact),
        1 => (0..4000usize).prop_map(FrameLen::Exact),
    ]
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        1 => any::<usize>().prop_map(|missing| Fault::Truncate { missing }),
        1 => (any::<usize>(), 1..=255u8).prop_map(|(at, mask)| Fault::Flip { at, mask }),
        1 => (any::<usize>(), any::<u8>()).prop_map(|(at, byte)| Fault::Insert { at, byte }),
        1 => any::<usize>().prop_map(|at| Fault::Remove { at }),
        1 => (any::<usize>(), any::<u64>()).prop_map(|(frame, field)| Fault::Field { frame, field }),
        1 => (any::<usize>(), any::<i8>()).prop_map(|(frame, by)| Fault::Length { frame, by }),
        1 => (any::<usize>(), any::<i8>()).prop_map(|(frame, by)| Fault::Limit { frame, by }),
        1 => any::<usize>().prop_map(|frame| Fault::Claim { frame }),
        1 => (any::<usize>(), 1..=9u8).prop_map(|(frame, by)| Fault::Pad { frame, by }),
        1 => vec(any::<u8>(), 0..40).prop_map(Fault::Append),
    ]
}

fn cuts() -> impl Strategy<Value = Cuts> {
    vec(prop_oneof![4 => 0..40usize, 1 => 0..20_000usize], 0..10).prop_map(Cuts::of_lens)
}

fn oversize() -> impl Strategy<Value = Oversize> {
    let max_discard = prop_oneof![0..=70_000u64, any::<u64>()];
    prop_oneof![Just(Oversize::Reject), max_discard.prop_map(|max_discard| Oversize::Skip { max_discard })]
}

fn read_len() -> impl Strategy<Value = usize> {
    prop_oneof![1..=16usize, 1..=20_000usize]
}

fn plan() -> impl Strategy<Value = Plan> {
    (format(), oversize(), read_len(), vec(frame_len(), 0..10), vec(fault(), 0..=2), cuts()).prop_map(
        |(format, oversize, read_len, frames, faults, cuts)| Plan { format, oversize, read_len, frames, faults, cuts },
    )
}

fn case() -> impl Strategy<Value = Case> {
    (format(), oversize(), read_len(), vec(any::<u8>(), 0..400), cuts())
        .prop_map(|(format, oversize, read_len, stream, cuts)| Case { format, oversize, read_len, stream, cuts })
}

proptest! {
    #![proptest_config(ProptestConfig::default())]

    /// Invariant 4: what encodes decodes to itself.
    #[test]
    fn round_trip(plan in plan()) {
        testing::own::check_round_trip(&plan);
    }

    /// Invariant 5: a refused frame leaves the output untouched.
    #[test]
    fn a_refused_frame_leaves_no_trace(plan in plan()) {
        testing::own::check_refused_encode(&plan);
    }

    /// Invariants 1 and 2: the same frames and the same error in any cuts, and memory that follows what was received.
    #[test]
    fn cuts_never_matter(plan in plan()) {
        testing::own::check_chunking(&plan.case());
    }

    #[test]
    fn the_oracle_agrees(plan in plan()) {
        testing::own::check_oracle(&plan.case());
    }

    /// Invariant 3.
    #[test]
    fn the_first_error_is_final(plan in plan()) {
        testing::own::check_final_error(&plan.case());
    }

    /// Invariant 6.
    #[test]
    fn the_end_is_told_truthfully(plan in plan()) {
        testing::own::check_end(&plan.case());
    }

    #[test]
    fn a_slice_has_the_frames_of_the_stream(plan in plan()) {
        testing::own::check_slice(&plan.case());
    }

    #[test]
    fn need_never_overstates_and_never_stalls(plan in plan()) {
        testing::own::check_need(&plan.case());
    }

    #[test]
    fn a_streamed_body_is_the_buffered_one(plan in plan()) {
        testing::own::check_streamed_body(&plan.case());
    }

    #[test]
    fn skip_is_reject_up_to_the_frame_and_then_goes_on(plan in plan()) {
        testing::own::check_skip(&plan.case());
    }

    /// All properties, on random bytes.
    #[test]
    fn any_bytes(case in case()) {
        testing::check_stream(&case);
    }

    #[test]
    fn any_bytes_are_a_plan_and_a_case(data in vec(any::<u8>(), 0..200)) {
        testing::own::targets::plan(&data);
        testing::own::targets::decode(&data);
    }

    /// All of it, on frames of headers that are no format.
    #[test]
    fn custom_headers(data in vec(any::<u8>(), 0..120)) {
        testing::own::targets::custom_header(&data);
    }

    #[test]
    fn text_never_depends_on_the_cuts(
        cuts in cuts(),
        pieces in vec(prop_oneof![any::<String>().prop_map(String::into_bytes), vec(any::<u8>(), 0..6)], 0..12),
    ) {
        let bytes = pieces.concat();
        let mut reader = unstick::framing::Utf8Reader::new();
        let mut text = String::new();
        for chunk in cuts.chunks(&bytes) {
            reader.read(chunk, &mut text);
        }
        reader.finish(&mut text);
        prop_assert_eq!(text, String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn a_layout_reads_back_from_its_text(layout in layout()) {
        testing::own::check_layout(layout);
    }

    /// Also of a layout that no format can be made of.
    #[test]
    fn a_format_is_made_just_where_it_can_be(
        offset in any::<u8>(),
        trailer in any::<u8>(),
        field in prop_oneof![
            (0..=12u8).prop_map(|width| Field::Fixed { width, endian: Endian::Big }),
            (0..=14u8).prop_map(|max_width| Field::Varint { max_width, minimal: false }),
        ],
        adjustment in any::<i64>(),
    ) {
        let layout = Layout::of(field).offset(offset).adjustment(adjustment).trailer(trailer);
        testing::own::check_limits(layout);
        if let Ok(format) = Format::with_default_limit(layout) {
            use unstick::framing::Header;
            let greatest = layout.greatest_payload_len().expect("a format has payloads");
            prop_assert_eq!(format.max_payload_len() as u64, greatest.min(DEFAULT_MAX_PAYLOAD_LEN as u64));
        }
    }
}
