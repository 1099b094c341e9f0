//! The wire, byte by byte, written by hand: what every preset writes and reads can never change unnoticed.

use unstick::framing::{Decoder, EncodeError, Encoder, Endian, Envelope, Field, Format, Header, Layout, PRESETS};

/// Both directions, for an empty payload, a short one, and one whose length has a second digit.
#[track_caller]
fn golden(format: Format, empty: &[u8], hello: &[u8], long: &[u8]) {
    let long_payload = vec![0x5A; 300.min(format.max_payload_len())];
    let frames = [(&b""[..], empty), (b"hello", hello), (&long_payload, long)];
    for (payload, header) in frames {
        let wire = [header, payload].concat();
        let mut out = Vec::new();
        Encoder::new(format).encode(payload, &mut out).expect("a payload within the limit");
        assert_eq!(out, wire, "{} bytes of payload are written as ever", payload.len());
        let mut decoder = Decoder::new(format);
        decoder.feed(&wire);
        let frame = decoder.next_frame().expect("golden bytes are no error").expect("and a whole frame");
        assert_eq!((frame.header(), frame.payload()), (header, payload), "and read as ever");
        assert_eq!(decoder.buffered(), 0);
    }
    println!("cases: {}", frames.len());
}

#[test]
fn u32_le() {
    golden(Format::U32_LE, b"\0\0\0\0", b"\x05\0\0\0", b"\x2C\x01\0\0");
}

#[test]
fn u32_be() {
    golden(Format::U32_BE, b"\0\0\0\0", b"\0\0\0\x05", b"\0\0\x01\x2C");
}

#[test]
fn u16_be() {
    golden(Format::U16_BE, b"\0\0", b"\0\x05", b"\x01\x2C");
}

#[test]
fn u8() {
    golden(Format::U8, b"\0", b"\x05", b"\xFF");
}

#[test]
fn u24_be() {
    golden(Format::U24_BE, b"\0\0\0", b"\0\0\x05", b"\0\x01\x2C");
}

#[test]
fn u64_be() {
    golden(Format::U64_BE, &[0; 8], b"\0\0\0\0\0\0\0\x05", b"\0\0\0\0\0\0\x01\x2C");
}

#[test]
fn varint() {
    golden(Format::VARINT, b"\0", b"\x05", b"\xAC\x02");
}

#[test]
fn u16_be_inclusive() {
    golden(Format::U16_BE_INCLUSIVE, b"\0\x02", b"\0\x07", b"\x01\x2E");
}

#[test]
fn u32_be_inclusive() {
    golden(Format::U32_BE_INCLUSIVE, b"\0\0\0\x04", b"\0\0\0\x09", b"\0\0\x01\x30");
}

#[test]
fn u32_le_inclusive() {
    golden(Format::U32_LE_INCLUSIVE, b"\x04\0\0\0", b"\x09\0\0\0", b"\x30\x01\0\0");
}

/// Each preset stands above under its own name.
#[test]
fn every_preset_has_its_golden_bytes() {
    let names: Vec<&str> = PRESETS.iter().map(|(name, ..)| *name).collect();
    let tested = [
        "u32le",
        "u32be",
        "u16be",
        "u8",
        "u24be",
        "u64be",
        "varint",
        "u16be-inclusive",
        "u32be-inclusive",
        "u32le-inclusive",
    ];
    assert_eq!(names, tested, "a preset without golden bytes");
}

/// The limits of the presets are part of what they promise.
#[test]
fn limits_of_the_presets() {
    let limits: Vec<usize> = PRESETS.iter().map(|(_, format, _)| format.max_payload_len()).collect();
    let mib = 1 << 20;
    assert_eq!(limits, [mib, mib, 65_535, 255, mib, mib, mib, 65_533, mib, mib]);
}

/// A prefix, a field in the middle, and an adjustment either way.
#[test]
fn prefix_and_adjustment() {
    let wire = b"\xCA\xFE\0\x09hello";
    let layout = Layout::fixed(2, Endian::Big).offset(2).adjustment(-4);
    let format = Format::with_default_limit(layout).expect("a format");
    let mut out = Vec::new();
    Encoder::new(format).encode_with(b"\xCA\xFE", b"hello", &mut out).expect("a frame");
    assert_eq!(out, wire);

    let layout = Layout::fixed(3, Endian::Little).offset(1).adjustment(3);
    let format = Format::with_default_limit(layout).expect("a format");
    let mut out = Vec::new();
    Encoder::new(format).encode_with(b"P", b"hello", &mut out).expect("a frame");
    assert_eq!(out, b"P\x02\0\0hello");
    let refused = Encoder::new(format).encode_with(b"P", b"he", &mut out);
    assert_eq!(refused, Err(EncodeError::Undersize { payload_len: 2, least: 3 }));
}

/// A trailer that the field does not count, and one that it does, in either direction.
#[test]
fn trailers() {
    for (layout, prefix, trailer, wire) in [
        (Layout::fixed(2, Endian::Big).trailer(1), &b""[..], &b"\n"[..], &b"\0\x05hello\n"[..]),
        (Layout::fixed(2, Endian::Big).trailer(4).adjustment(-4), b"", b"CRC!", b"\0\x09helloCRC!"),
        (Layout::varint(2).offset(2).trailer(2), b"\xCA\xFE", b"\xBA\xBE", b"\xCA\xFE\x05hello\xBA\xBE"),
        (Layout::fixed(4, Endian::Little).inclusive().trailer(1), b"", b"\0", b"\x09\0\0\0hello\0"),
    ] {
        let format = Format::with_default_limit(layout).expect("a format");
        let mut out = Vec::new();
        Encoder::new(format).encode_with(Envelope { prefix, trailer }, b"hello", &mut out).expect("a frame");
        assert_eq!(out, wire, "{layout}");
        let (frame, rest) = format.split_first(wire).expect("no fault").expect("a whole frame");
        assert_eq!(
            (frame.prefix(), frame.payload(), frame.trailer(), rest),
            (prefix, &b"hello"[..], trailer, &b""[..])
        );
        assert_eq!(frame.envelope(), Envelope { prefix, trailer });
    }
    let text = "offset=2,width=varint,max-width=2,minimal=false,adjustment=0,trailer=2";
    assert_eq!(Layout::varint(2).offset(2).trailer(2).to_string(), text);
    assert_eq!(text.parse(), Ok(Layout::varint(2).offset(2).trailer(2)));
    assert_eq!("u16be,trailer=4".parse(), Ok(Layout::fixed(2, Endian::Big).trailer(4)));
}

/// The varints of the LEB128 examples, at each change of width.
#[test]
fn varints_at_each_width() {
    let greatest = Format::new(Layout::varint(10), (1 << 62) - 1).expect("a format");
    let rows: [(usize, &[u8]); 8] = [
        (0, b"\x00"),
        (127, b"\x7F"),
        (128, b"\x80\x01"),
        (16_383, b"\xFF\x7F"),
        (16_384, b"\x80\x80\x01"),
        (2_097_151, b"\xFF\xFF\x7F"),
        (2_097_152, b"\x80\x80\x80\x01"),
        ((1 << 62) - 1, b"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x3F"),
    ];
    for (payload_len, header) in rows {
        let mut out = Vec::new();
        Encoder::new(greatest).header(&[], payload_len, &mut out).expect("within the limit");
        assert_eq!(out, header, "{payload_len}");
    }
    println!("cases: {}", rows.len());
    let minimal = Layout::of(Field::Varint { max_width: 10, minimal: true });
    let mut decoder = Decoder::new(Format::with_default_limit(minimal).expect("a format"));
    decoder.feed(b"\x01a\x81\x00");
    assert_eq!(decoder.next_frame().expect("no error").expect("a frame").payload(), b"a");
    assert!(decoder.next_frame().is_err(), "81 00 is 1 in two bytes");
}
