//! Planned connections, and any bytes: the properties of `unstick::testing`.

use proptest::prelude::*;
use unstick::testing::own::{check_capture, check_trace};

use crate::wire::{ACK, From, Order, Talk, pcap, pcapng};

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_frames_are_those_of_the_plan(data in prop::collection::vec(any::<u8>(), 0..200)) {
        check_trace(&data);
    }

    #[test]
    fn any_packets_are_read(data in prop::collection::vec(any::<u8>(), 0..600)) {
        check_capture(&data);
    }

    /// Files that are right but for some bytes.
    #[test]
    fn any_file_is_read(at in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), kind in 0..4) {
        let mut talk = Talk::open();
        talk.send(From::Client, ACK, 1, 1, b"\0\x05hello\0\x05wor");
        talk.send(From::Client, ACK, 13, 1, b"ld");
        let order = if kind % 2 == 0 { Order::Little } else { Order::Big };
        let mut file = match kind {
            0 | 1 => pcap(&talk.packets, order, false, 101, &[], usize::MAX),
            _ => pcapng(&talk.packets, order, 101, &[]),
        };
        for (index, byte) in at {
            let at = index.index(file.len());
            file[at] = byte;
        }
        check_capture(&file);
    }
}
