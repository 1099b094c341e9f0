//! The invariants of ARCHITECTURE.md, and what shows each: the part of PROOF.md that is written by hand.

/// A promise and what shows it.
#[derive(Debug)]
pub(crate) struct Invariant {
    pub(crate) promise: &'static str,
    /// Tests, each by a part of its name as in `unstick::golden::u8`: package, file and function.
    pub(crate) tests: &'static [&'static str],
    /// Fuzz targets.
    pub(crate) targets: &'static [&'static str],
}

/// In the order of ARCHITECTURE.md: the first is number 1.
pub(crate) const INVARIANTS: [Invariant; 12] = [
    Invariant {
        promise: "Chunking never matters: the same frames and the same error at the same offset, for any cuts",
        tests: &[
            "framing_properties::cuts_never_matter",
            "framing_properties::the_oracle_agrees",
            "framing_properties::any_bytes",
            "framing_properties::custom_headers",
            "framing_properties::a_streamed_body_is_the_buffered_one",
            "framing_properties::a_slice_has_the_frames_of_the_stream",
            "framing_diagnosis::",
            "framing_exhaustive::",
            "unstick::conformance::",
            "every_cut_of_a_small_stream_gives_the_same_frames",
            "any_chopping_gives_the_same_frames",
        ],
        targets: &["decode", "plan", "stream_body", "text", "differential", "session", "custom_header"],
    },
    Invariant {
        promise: "Nothing is allocated from a declared length: memory follows what was received",
        tests: &["framing_properties::cuts_never_matter", "unstick::allocation::"],
        targets: &["decode", "plan"],
    },
    Invariant {
        promise: "The first error is final, and carries its numbers",
        tests: &[
            "framing_properties::the_first_error_is_final",
            "framing_exhaustive::every_check_of_every_short_string",
            "any_chopping_of_any_bytes_gives_the_same_frames_and_the_same_error",
        ],
        targets: &["decode", "plan"],
    },
    Invariant {
        promise: "Encode mirrors decode: a layout that cannot round-trip is not a format",
        tests: &[
            "framing_properties::round_trip",
            "framing_properties::a_format_is_made_just_where_it_can_be",
            "framing_properties::a_layout_reads_back_from_its_text",
            "unstick::golden::",
            "unstick::conformance::",
        ],
        targets: &["round_trip", "cli_format", "custom_header"],
    },
    Invariant {
        promise: "Encode is all or nothing, and no part of a write is ignored",
        tests: &[
            "framing_properties::a_refused_frame_leaves_no_trace",
            "an_envelope_is_as_long_as_the_layout_says",
            "an_encode_error_queues_nothing",
            "whatever_the_writer_does_nothing_is_lost_torn_or_doubled",
            "any_chopping_writes_the_same_bytes",
        ],
        targets: &["round_trip"],
    },
    Invariant {
        promise: "Incomplete is not an error; an end inside a frame is truncated, never clean",
        tests: &[
            "framing_properties::the_end_is_told_truthfully",
            "finish_walks_the_whole_frames_that_wait",
            "finish_knows_the_rest_of_a_body_in_parts",
            "end_of_stream_inside_a_frame_is_truncated_with_its_numbers",
            "a_fin_is_clean_at_a_boundary_and_truncated_inside_a_frame",
        ],
        targets: &["decode", "plan", "session"],
    },
    Invariant {
        promise: "Cancel-safe: a future dropped after any number of polls loses, tears and repeats nothing",
        tests: &[
            "reading_dropped_once_after_any_number_of_polls_loses_nothing",
            "sending_dropped_after_any_number_of_polls_neither_loses_nor_tears_nor_doubles",
            "flushing_and_closing_dropped_after_any_number_of_polls_go_on_where_they_were",
            "a_dropped_push_lets_the_next_one_continue",
        ],
        targets: &[],
    },
    Invariant {
        promise: "Time, sockets and randomness are arguments: one simulated run is like the other",
        tests: &["what_serves_a_connection_knows_no_clock", "every_end_comes_in_its_time_and_twice_the_same"],
        targets: &["session"],
    },
    Invariant {
        promise: "Every limit has a default, a documented worst case, and a named reason when it fires",
        tests: &[
            "every_limit_has_a_default_that_is_documented",
            "the_readme_knows_the_worst_case",
            "unstick::timeouts::",
            "unstick::reasons::",
            "a_negative_or_huge_length_is_refused_with_its_numbers",
            "a_drain_ends_at_its_deadline_also_where_a_handler_never_does",
        ],
        targets: &["session"],
    },
    Invariant { promise: "No `unsafe` in the library", tests: &["unsafe_code_is_forbidden"], targets: &[] },
    Invariant {
        promise: "A well-behaved peer is never punished for what we do: a handler that waits or blocks, memory held for us",
        tests: &[
            "a_handler_that_blocks_makes_no_peer_late",
            "handlers_that_wait_are_not_ended_for_memory",
            "hoarders_do_not_end_handlers_that_wait",
            "the_time_of_a_handler_is_not_the_peers",
            "a_handler_waits_for_as_long_as_it_likes",
            "a_stop_ends_no_connection_whose_handler_works",
        ],
        targets: &[],
    },
    Invariant {
        promise: "A frame pushed is whole, in order, and bounded",
        tests: &["unstick::simulation::pushing::"],
        targets: &["session"],
    },
];
