//! Capture files of every kind give the same packets, and damaged ones what is before the damage.

use unstick::trace::{Capture, Packet, TraceError};

use crate::wire::{ACK, From, Order, PSH, Talk, block, pcap, pcapng};

fn talk(is_ipv6: bool) -> Talk {
    let mut talk = Talk::open();
    talk.is_ipv6 = is_ipv6;
    talk.packets.clear();
    talk.shake_hands();
    talk.send(From::Client, PSH | ACK, 1, 1, b"\x05\0\0\0hello");
    talk
}

/// The links: number, and the header before an IP packet.
fn links(is_ipv6: bool) -> Vec<(u16, Vec<u8>)> {
    let kind: [u8; 2] = if is_ipv6 { [0x86, 0xDD] } else { [8, 0] };
    let family = if is_ipv6 { 30 } else { 2 };
    let ethernet = [&[1; 12][..], &kind].concat();
    let vlan = [&[1; 12][..], &[0x81, 0, 0, 7], &kind].concat();
    let vlans = [&[1; 12][..], &[0x88, 0xA8, 0, 7, 0x81, 0, 0, 8], &kind].concat();
    let cooked = [&[0, 0, 3, 4, 0, 6][..], &[0; 8], &kind].concat();
    let cooked_2 = [&kind[..], &[0; 18]].concat();
    let ip = if is_ipv6 { 229 } else { 228 };
    vec![
        (1, ethernet),
        (1, vlan),
        (1, vlans),
        (113, cooked),
        (276, cooked_2),
        (0, vec![family, 0, 0, 0]),
        (0, vec![0, 0, 0, family]),
        (108, vec![0, 0, 0, family]),
        (101, vec![]),
        (ip, vec![]),
    ]
}

#[test]
fn files_of_every_kind_give_the_same_packets() {
    for is_ipv6 in [false, true] {
        let packets = talk(is_ipv6).packets;
        for (link_type, link) in links(is_ipv6) {
            for order in [Order::Little, Order::Big] {
                for nanos in [false, true] {
                    let file = pcap(&packets, order, nanos, link_type.into(), &link, usize::MAX);
                    assert_eq!(Capture::read(&file).unwrap().packets, packets, "{link_type} {order:?}");
                }
                let file = pcapng(&packets, order, link_type, &link);
                let capture = Capture::read(&file).unwrap();
                assert_eq!((capture.packets, capture.notes.len()), (packets.clone(), 0), "{link_type} {order:?}");
            }
        }
    }
}

#[test]
fn a_packet_that_is_cut_short_has_its_length() {
    let packets = talk(false).packets;
    let file = pcap(&packets, Order::Little, false, 1, &[&[1; 12][..], &[8, 0]].concat(), 14 + 42);
    let capture = Capture::read(&file).unwrap();
    let last = capture.packets.last().unwrap();
    assert_eq!((last.bytes.len(), last.len), (42, 49));
}

#[test]
fn a_file_that_is_cut_anywhere_gives_what_is_whole() {
    let packets = talk(false).packets;
    for file in [pcap(&packets, Order::Big, true, 101, &[], usize::MAX), pcapng(&packets, Order::Big, 101, &[])] {
        let mut read = 0;
        for cut in 0..file.len() {
            match Capture::read(&file[..cut]) {
                Ok(capture) => {
                    assert!(capture.packets == packets[..capture.packets.len()] && capture.packets.len() >= read);
                    read = capture.packets.len();
                    let at_edge = capture.notes.is_empty();
                    let note = format!("after {read} packets");
                    assert!(at_edge || capture.notes[0].contains(&note), "{:?}", capture.notes);
                }
                Err(error) => assert!(cut < 28, "{cut}: {error}"),
            }
        }
        assert_eq!(read, packets.len() - 1);
    }
}

#[test]
fn a_damaged_block_ends_the_file() {
    let packets = talk(false).packets;
    let mut file = pcapng(&packets, Order::Little, 101, &[]);
    file.extend(block(Order::Little, 6, &[0xFF; 24]));
    let capture = Capture::read(&file).unwrap();
    assert_eq!(capture.packets, packets);
    assert!(capture.notes[0].contains("is damaged at byte"), "{:?}", capture.notes);
}

#[test]
fn what_is_no_capture_is_refused_with_what_it_is() {
    for (file, said) in [
        (&b""[..], "neither pcap nor pcapng: 0 bytes"),
        (b"GET / HTTP/1.1", "neither pcap nor pcapng: 14 bytes, which begin with 47 45 54 20"),
        (b"\xD4\xC3\xB2", "neither pcap nor pcapng: 3 bytes, which begin with d4 c3 b2"),
        (b"\xD4\xC3\xB2\xA1 short", "neither pcap nor pcapng: 10 bytes, which begin with d4 c3 b2 a1"),
    ] {
        let error = Capture::read(file).unwrap_err();
        assert!(matches!(error, TraceError::NotACapture { .. }));
        assert_eq!(error.to_string(), said);
    }
    let file = pcap(&talk(false).packets, Order::Little, false, 147, &[], usize::MAX);
    assert_eq!(Capture::read(&file).unwrap_err(), TraceError::LinkType { link_type: 147, packets: 4 });
}

#[test]
fn packets_that_are_not_ip_are_counted_and_left_out() {
    let mut packets = talk(false).packets;
    let arp = Packet { bytes: vec![0; 28], len: 28, ..packets[0].clone() };
    packets.insert(2, arp);
    let file = pcap(&packets, Order::Little, true, 101, &[], usize::MAX);
    let capture = Capture::read(&file).unwrap();
    assert_eq!(capture.packets.iter().map(|packet| packet.number).collect::<Vec<_>>(), [1, 2, 4, 5]);
    assert_eq!(capture.notes, ["1 packets that are not IP are left out"]);
}
