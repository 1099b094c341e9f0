//! The promises and what tests them: the part of PROOF.md that is written by hand. It has no figures.

/// A promise and what holds it.
#[derive(Debug)]
pub(crate) struct Invariant {
    pub(crate) number: usize,
    pub(crate) promise: &'static str,
    /// The functions of `unstick::testing`, or what else is compared.
    pub(crate) checks: &'static str,
    /// The file of a test as Cargo names it, and the test; `*` is all tests of the file.
    pub(crate) tests: &'static [(&'static str, &'static str)],
    /// Fuzz targets.
    pub(crate) targets: &'static [&'static str],
    /// Files whose mutants would break it.
    pub(crate) files: &'static [&'static str],
}

const PROPERTIES: &str = "tests/framing_properties.rs";
const EXHAUSTIVE: &str = "tests/framing_exhaustive.rs";
const ADAPTERS: &str = "tests/adapters/main.rs";
const ALLOCATION: &str = "tests/allocation.rs";
const CONFORMANCE: &str = "tests/conformance.rs";
const END_TO_END: &str = "tests/end_to_end/main.rs";
const TRAILERS: &str = "tests/framing_trailers.rs";
const DIAGNOSIS: &str = "tests/framing_diagnosis.rs";
const CORPUS: &str = "tests/fuzz_corpus.rs";

/// The invariants, in the order of ARCHITECTURE.md.
pub(crate) const INVARIANTS: [Invariant; 10] = [
    Invariant {
        number: 1,
        promise: "Chunking never matters: the same frames, and the same error at the same offset, for any cuts",
        checks: "`check_chunking`, `check_cuts`, `check_oracle`, `check_streamed_body`, `check_need`",
        tests: &[
            (PROPERTIES, "cuts_never_matter"),
            (PROPERTIES, "the_oracle_agrees"),
            (PROPERTIES, "any_bytes"),
            (PROPERTIES, "custom_headers"),
            (PROPERTIES, "a_streamed_body_is_the_buffered_one"),
            (PROPERTIES, "a_slice_has_the_frames_of_the_stream"),
            (DIAGNOSIS, "*"),
            (EXHAUSTIVE, "*"),
            (CONFORMANCE, "*"),
            (ADAPTERS, "every_cut_of_a_small_stream_gives_the_same_frames"),
            (ADAPTERS, "any_chopping_gives_the_same_frames"),
            (CORPUS, "*"),
        ],
        targets: &["decode", "plan", "stream_body", "text", "differential", "session", "custom_header"],
        files: &[
            "src/framing/decoder/mod.rs",
            "src/framing/decoder/state.rs",
            "src/framing/decoder/feed.rs",
            "src/framing/slice.rs",
            "src/framing/text.rs",
        ],
    },
    Invariant {
        number: 2,
        promise: "Nothing is allocated from a declared length: memory follows what was received",
        checks: "the memory bound in `check_cuts`; a counting allocator",
        tests: &[(PROPERTIES, "cuts_never_matter"), (ALLOCATION, "*")],
        targets: &["decode", "plan"],
        files: &["src/framing/buffer.rs"],
    },
    Invariant {
        number: 3,
        promise: "The first error is final, and carries its numbers",
        checks: "`check_final_error`",
        tests: &[
            (PROPERTIES, "the_first_error_is_final"),
            (EXHAUSTIVE, "every_check_of_every_short_string"),
            (ADAPTERS, "any_chopping_of_any_bytes_gives_the_same_frames_and_the_same_error"),
        ],
        targets: &["decode", "plan"],
        files: &["src/framing/error.rs", "src/framing/error/diagnosis.rs", "src/framing/decoder/state.rs"],
    },
    Invariant {
        number: 4,
        promise: "Encode mirrors decode: a layout that cannot round-trip is not a format",
        checks: "`check_round_trip`, `check_limits`, `check_layout`, `check_header`",
        tests: &[
            (PROPERTIES, "round_trip"),
            (PROPERTIES, "a_format_is_made_just_where_it_can_be"),
            (PROPERTIES, "a_layout_reads_back_from_its_text"),
            ("tests/golden.rs", "*"),
            (CONFORMANCE, "*"),
        ],
        targets: &["round_trip", "cli_format", "custom_header"],
        files: &["src/framing/format.rs", "src/framing/spec.rs"],
    },
    Invariant {
        number: 5,
        promise: "Encode is all or nothing, and no part of a write is ignored",
        checks: "`check_refused_encode`; a writer that accepts little, waits and fails",
        tests: &[
            (PROPERTIES, "a_refused_frame_leaves_no_trace"),
            (TRAILERS, "an_envelope_is_as_long_as_the_layout_says"),
            (ADAPTERS, "an_encode_error_queues_nothing"),
            (ADAPTERS, "whatever_the_writer_does_nothing_is_lost_torn_or_doubled"),
            (ADAPTERS, "any_chopping_writes_the_same_bytes"),
        ],
        targets: &["round_trip"],
        files: &["src/framing/encoder.rs", "src/adapters/futures/write.rs", "src/adapters/futures/queue.rs"],
    },
    Invariant {
        number: 6,
        promise: "Incomplete is not an error; an end after a frame is clean, and one inside a frame is truncated",
        checks: "`check_end`, `check_slice`",
        tests: &[
            (PROPERTIES, "the_end_is_told_truthfully"),
            (TRAILERS, "finish_walks_the_whole_frames_that_wait"),
            (TRAILERS, "finish_knows_the_rest_of_a_body_in_parts"),
            (ADAPTERS, "end_of_stream_inside_a_frame_is_truncated_with_its_numbers"),
            (END_TO_END, "a_fin_is_clean_at_a_boundary_and_truncated_inside_a_frame"),
        ],
        targets: &["decode", "plan", "session"],
        files: &["src/framing/decoder/mod.rs", "src/adapters/futures/read.rs"],
    },
    Invariant {
        number: 7,
        promise: "Cancel-safe: a dropped future loses, tears and repeats nothing",
        checks: "every future dropped after k polls, for every k",
        tests: &[
            (ADAPTERS, "reading_dropped_once_after_any_number_of_polls_loses_nothing"),
            (ADAPTERS, "sending_dropped_after_any_number_of_polls_neither_loses_nor_tears_nor_doubles"),
            (ADAPTERS, "flushing_and_closing_dropped_after_any_number_of_polls_go_on_where_they_were"),
        ],
        targets: &[],
        files: &["src/adapters/futures/read.rs", "src/adapters/futures/write.rs", "src/adapters/futures/queue.rs"],
    },
    Invariant {
        number: 8,
        promise: "Time is an argument: what serves a connection knows no clock and takes any reader and writer",
        checks: "the imports of the files that must not know of a clock or a runtime",
        tests: &[("tests/house.rs", "what_serves_a_connection_knows_no_clock")],
        targets: &["session"],
        files: &[],
    },
    Invariant {
        number: 9,
        promise: "Every limit has a default, a documented worst case, and a named reason when it fires",
        checks: "each limit reached, over real sockets or by a simulated clock, and its reason compared",
        tests: &[
            ("tests/house.rs", "every_limit_has_a_default_that_is_documented"),
            ("tests/adversary.rs", "*"),
            ("tests/timeouts.rs", "*"),
            (END_TO_END, "a_negative_or_huge_length_is_refused_with_its_numbers"),
            (END_TO_END, "a_peer_that_does_not_read_is_not_read_from"),
            (END_TO_END, "a_drain_ends_at_its_deadline_also_where_a_handler_never_does"),
            (END_TO_END, "a_server_that_never_greets_is_given_up"),
        ],
        targets: &["session"],
        files: &[],
    },
    Invariant {
        number: 10,
        promise: "No `unsafe` in the library",
        checks: "`#![forbid(unsafe_code)]`, which the compiler holds",
        tests: &[("tests/house.rs", "unsafe_code_is_forbidden")],
        targets: &[],
        files: &[],
    },
];
