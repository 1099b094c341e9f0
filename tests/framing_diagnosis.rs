//! What a stream that is none of frames looks like: told by the bytes that were refused, or by those that came before a
//! stream ended inside its first frame; and the same however the stream was cut.

use unstick::framing::{
    DecodeError, DecodeErrorKind, Decoder, Diagnosis, Endian, Format, Frames, Header, Layout, MAX_HEADER_LEN,
};
use unstick::testing::{self, Case, Cuts};

/// The error of a stream that is refused or cut: the same for the whole, byte by byte, cut in two at each offset, and
/// as a slice.
#[track_caller]
fn error_of(format: Format, stream: &[u8]) -> DecodeError {
    let of_cuts = |cuts: &Cuts| {
        let mut decoder = Decoder::new(format);
        for chunk in cuts.chunks(stream) {
            decoder.feed(chunk);
            loop {
                match decoder.next_frame() {
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    Err(error) => return error,
                }
            }
        }
        decoder.finish().expect_err("a stream that is refused or cut")
    };
    let error = of_cuts(&Cuts::whole());
    for cuts in (1..stream.len()).map(|at| Cuts::at(&[at])).chain([Cuts::every(1)]) {
        assert_eq!(of_cuts(&cuts), error, "{cuts:?}");
    }
    let fault = Frames::new(&format, stream).last().expect("an item").expect_err("no frame at the end");
    assert_eq!(fault, *error);
    testing::check_stream(&Case::new(format, stream).cut(Cuts::every(3)));
    error
}

#[test]
fn a_refused_header_is_told_by_what_it_looks_like() {
    let u16_be = Format::U16_BE.with_max_payload_len(100).expect("a format");
    let u8 = Format::U8.with_max_payload_len(10).expect("a format");
    let other = |payload_len| Some(Diagnosis::OtherByteOrder { payload_len });
    for (format, stream, diagnosis) in [
        (Format::U32_BE, &b"\x16\x03\x01\x00"[..], Some(Diagnosis::Tls)),
        (Format::U32_BE, b"\x14\x03\x01\x00", Some(Diagnosis::Tls)),
        (Format::U32_BE, b"\x17\x03\x03\x00", Some(Diagnosis::Tls)),
        (Format::U32_BE, b"\x13\x03\x01\x00", other(0x1_0313)),
        (Format::U32_BE, b"\x18\x03\x01\x00", other(0x1_0318)),
        (Format::U32_BE, b"\x16\x02\x01\x00", other(0x1_0216)),
        (Format::U32_BE, b"GET ", Some(Diagnosis::Http)),
        (Format::U32_BE, b"HTTP", Some(Diagnosis::Http)),
        (Format::U32_BE, b"SSH-", Some(Diagnosis::Ssh)),
        (u16_be, b"GE", Some(Diagnosis::Http)),
        (u16_be, b"SS", Some(Diagnosis::Ssh)),
        (u16_be, b"\x16\x03", Some(Diagnosis::Tls)),
        // Only the first frame can be a hello.
        (Format::U32_BE, b"\0\0\0\0GET ", Some(Diagnosis::Text)),
        (Format::U32_BE, b"ab \n", Some(Diagnosis::Text)),
        (Format::U32_BE, b"ABC\x01", None),
        (Format::U32_BE, b"\x01\x10\x00\x02", None),
        (Format::U32_BE, b"\xFF\xFF\xFF\xFE", Some(Diagnosis::Negative { field: -2 })),
        (u16_be, b"\x80\x80", Some(Diagnosis::Negative { field: -32640 })),
        (u16_be, b"\x07\x00", other(7)),
        (u16_be, b"\x64\x00", other(100)),
        (u8, b"G", None),
        (u8, b"\x80", Some(Diagnosis::Negative { field: -128 })),
    ] {
        let error = error_of(format, stream);
        assert!(matches!(error.kind(), DecodeErrorKind::Oversize { .. }), "{error}");
        assert_eq!(error.diagnosis(), diagnosis, "{stream:x?}");
    }
}

#[test]
fn a_stream_cut_in_its_first_frame_is_told_by_its_hello() {
    let greatest = Format::U32_LE.with_max_payload_len(u32::MAX as usize).expect("a format");
    let (tls, http, ssh) = (Some(Diagnosis::Tls), Some(Diagnosis::Http), Some(Diagnosis::Ssh));
    let text = Some(Diagnosis::Text);
    for (stream, diagnosis) in [
        (&[22, 3, 0, 0, 9][..], tls),
        (&[22, 3, 4, 0x40, 9], tls),
        (&[22, 3, 5, 0, 9], None),
        (&[22, 3, 1, 0x41, 9], None),
        (&[22, 2, 1, 0, 9], None),
        (&[22, 3, 1, 0], None),
        (&[22, 3, 1, 0, 9, 1], tls),
        (&[22, 3, 1, 0, 9, 2, 7], tls),
        (&[22, 3, 1, 0, 9, 3], None),
        (&[21, 3, 3, 0, 2, 1], tls),
        (&[21, 3, 4, 0, 2, 2, 40], tls),
        (&[21, 3, 5, 0, 2, 2], None),
        (&[21, 3, 3, 0, 2, 3], None),
        (&[21, 3, 3, 0, 3, 1], None),
        (&[21, 3, 3, 0, 2], None),
        (b"GET /", http),
        (b"HTTP/1.1", http),
        (b"GET", text),
        (b"SSH-2.0", ssh),
        (b"SSH", text),
        (b"hello", text),
        // Behind a frame it is no hello.
        (b"\0\0\0\0GET /", None),
    ] {
        let error = error_of(greatest, stream);
        assert!(matches!(error.kind(), DecodeErrorKind::Truncated { .. }), "{error}");
        assert_eq!(error.diagnosis(), diagnosis, "{stream:x?}");
        assert_eq!(
            error.header(),
            if diagnosis.is_some() { &stream[..stream.len().min(4)] } else { &[] },
            "{stream:x?}"
        );
    }
}

#[test]
fn a_diagnosis_says_what_it_is() {
    for (diagnosis, text) in [
        (Diagnosis::Tls, "looks like TLS"),
        (Diagnosis::Http, "looks like HTTP"),
        (Diagnosis::Ssh, "looks like SSH"),
        (Diagnosis::OtherByteOrder { payload_len: 5 }, "the other byte order gives 5"),
        (Diagnosis::Negative { field: -1 }, "as a signed number the field is -1"),
        (Diagnosis::Text, "looks like text without framing"),
        (
            Diagnosis::CountsItself { own_len: 4, adjustment: -4, preset: Some("u32be-inclusive") },
            "the length may count its own 4 bytes: try u32be-inclusive",
        ),
        (
            Diagnosis::CountsItself { own_len: 7, adjustment: -7, preset: None },
            "the length may count its own 7 bytes: try adjustment=-7",
        ),
    ] {
        assert_eq!(diagnosis.to_string(), text);
    }
}

const GREETING: &str = "你好，世界\n";

/// Formats with a limit that no text's first bytes are within.
fn tight() -> [Format; 7] {
    let all = [
        Format::U32_LE,
        Format::U32_BE,
        Format::U64_BE,
        Format::U24_BE,
        Format::VARINT,
        Format::U16_BE.with_max_payload_len(300).expect("a format"),
        Format::U32_BE_INCLUSIVE,
    ];
    all.map(|format| format.with_max_payload_len(format.max_payload_len().min(8000)).expect("a format"))
}

/// Its first bytes are above 0x7F, so that it was called a negative number.
#[test]
fn text_of_any_language_is_text_and_no_negative_number() {
    let with_mark = format!("\u{FEFF}{GREETING}");
    let texts =
        [GREETING, &with_mark, "Größe: 3\r\n", "été\n", "Привет\n", "🙂 hello\n", "안녕하세요\n", "{\"a\": 1}\n"];
    for text in texts {
        for format in tight() {
            let error = error_of(format, text.as_bytes());
            assert_eq!(error.diagnosis(), Some(Diagnosis::Text), "{text:?}, {}: {error}", format.layout());
            assert_eq!(error.offset(), 0);
        }
    }
    // If its first bytes are a length within the limit, only its end shows what it is.
    let greatest = Format::U32_BE.with_max_payload_len(u32::MAX as usize).expect("a format");
    for format in [Format::U16_BE, greatest] {
        for text in [GREETING, &with_mark] {
            let error = error_of(format, text.as_bytes());
            assert!(matches!(error.kind(), DecodeErrorKind::Truncated { .. }), "{error}");
            assert_eq!(error.diagnosis(), Some(Diagnosis::Text), "{text:?}, {}", format.layout());
        }
    }
}

/// Three printable bytes or more are text, not a length, also if the other byte order is within the limit.
#[test]
fn printable_bytes_are_text_before_they_are_another_byte_order() {
    let limit = |format: Format, limit| format.with_max_payload_len(limit).expect("a format");
    let u32_be = limit(Format::U32_BE, 0x7000_0000);
    assert_eq!(error_of(u32_be, b"zhel\n").diagnosis(), Some(Diagnosis::Text));
    let payload_len = 0x6C65_017A;
    assert_eq!(error_of(u32_be, b"z\x01el").diagnosis(), Some(Diagnosis::OtherByteOrder { payload_len }));
    // Two of them may be either.
    let u16_be = limit(Format::U16_BE, 30_000);
    assert_eq!(error_of(u16_be, b"z\n\n").diagnosis(), Some(Diagnosis::OtherByteOrder { payload_len: 0x0A7A }));
}

#[test]
fn text_within_the_limit_is_told_at_its_end() {
    let formats = [Format::U16_BE, Format::U8, Format::VARINT];
    for text in ["*1\r\n$7\r\nCOMMAND\r\n", "hello\r\n", "EHLO example.org\r\n", "\r\n", "QUIT\n"] {
        for format in formats {
            let error = error_of(format, text.as_bytes());
            assert!(
                matches!(error.kind(), DecodeErrorKind::Truncated { .. }),
                "{text:?}, {}: {error}",
                format.layout()
            );
            assert_eq!(error.diagnosis(), Some(Diagnosis::Text), "{text:?}, {}", format.layout());
        }
    }
    let http = error_of(Format::U16_BE, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(http.diagnosis(), Some(Diagnosis::Http));
}

/// A frame of text may well have a length of one or two printable bytes: cut short, it is no text without framing.
#[test]
fn a_frame_of_text_that_is_cut_short_is_a_frame() {
    for (format, wire) in [
        (Format::U8, &b"\x28a frame of text that is cut somewhere"[..]),
        (Format::VARINT, b"\x28a frame of text that is cut somewhere"),
        (Format::U16_BE, b"\x20\x28a longer frame of text that is cut somewhere"),
        (Format::new(Layout::fixed(1, Endian::Big).offset(1), 200).expect("a format"), b"T\x28a frame of text"),
    ] {
        for len in 1..wire.len() {
            let error = error_of(format, &wire[..len]);
            assert!(matches!(error.kind(), DecodeErrorKind::Truncated { .. }), "{error}");
            assert_ne!(error.diagnosis(), Some(Diagnosis::Text), "{:?}", &wire[..len]);
        }
    }
    // A longer length field is not text: the frame would have two million bytes at least.
    let greatest = Format::U24_BE.with_max_payload_len(0xFF_FFFF).expect("a format");
    assert_eq!(error_of(greatest, b"hello").diagnosis(), Some(Diagnosis::Text));
}

/// psql asks for TLS by a length that counts itself, and waits.
#[test]
fn a_length_that_counts_itself_is_told() {
    let counts = |own_len, preset| Diagnosis::CountsItself { own_len, adjustment: -(own_len as i64), preset };
    let prefixed = Format::new(Layout::fixed(2, Endian::Big).offset(2), 300).expect("a format");
    for (format, stream, diagnosis) in [
        (Format::U32_BE, &b"\0\0\0\x08\x04\xD2\x16\x2F"[..], Some(counts(4, Some("u32be-inclusive")))),
        (Format::U32_LE, b"\x08\0\0\0\x04\xD2\x16\x2F", Some(counts(4, Some("u32le-inclusive")))),
        (Format::U16_BE, b"\0\x07hello", Some(counts(2, Some("u16be-inclusive")))),
        (Format::U8, b"\x06hello", Some(counts(1, None))),
        (Format::U24_BE, b"\0\0\x08hello", Some(counts(3, None))),
        // The field may count the prefix, too.
        (prefixed, b"\xCA\xFE\0\x07hello", Some(counts(2, None))),
        (prefixed, b"\xCA\xFE\0\x09hello", Some(counts(4, None))),
        (prefixed, b"\xCA\xFE\0\x08hello", None),
        // Another number of bytes is missing, or what is missing is of the header.
        (Format::U32_BE, b"\0\0\0\x08\x04\xD2\x16", None),
        (Format::U32_BE, b"\0\0\0\x08\x04\xD2\x16\x2F!", None),
        (Format::U64_BE, b"\0\0\0\0", None),
        (Format::U16_BE, b"\0", None),
        // It knows already that the field counts itself; a varint's own length is not fixed.
        (Format::U32_BE_INCLUSIVE, b"\0\0\0\x0Chell", None),
        (Format::VARINT, b"\x06hello", None),
        // Behind a first frame the length was right once.
        (Format::U32_BE, b"\0\0\0\x01a\0\0\0\x08\x04\xD2\x16\x2F", None),
    ] {
        let error = error_of(format, stream);
        assert!(matches!(error.kind(), DecodeErrorKind::Truncated { .. }), "{error}");
        assert_eq!(error.diagnosis(), diagnosis, "{stream:x?}: {error}");
    }
    let error = error_of(Format::U32_BE, b"\0\0\0\x08\x04\xD2\x16\x2F");
    assert_eq!(
        error.to_string(),
        "at byte 0: the stream ended inside a frame: 4 of 12 bytes missing (header 00 00 00 08: the length may count its own 4 \
         bytes: try u32be-inclusive)"
    );
    // And so it is.
    let (frame, rest) =
        Format::U32_BE_INCLUSIVE.split_first(b"\0\0\0\x08\x04\xD2\x16\x2F").expect("no fault").expect("one");
    assert_eq!((frame.payload(), rest), (&b"\x04\xD2\x16\x2F"[..], &b""[..]));
}

/// A byte that no text has, or bytes that are no UTF-8, among those that decide: that is no text.
#[test]
fn binary_data_is_not_called_text() {
    let begins = [
        &b"PK\x03\x04\x14\0"[..],  // a zip file
        b"\x89PNG\r\n\x1A\n",      // an image
        b"\x7FELF\x02\x01\x01\0",  // a program
        b"\x1F\x8B\x08\0\0\0\0\0", // gzip
        b"hi\x1B[0m\n",            // an escape
        b"\xC2\x85hello\n",        // a control character above 0x7F
        b"h\xFFllo\n",             // Latin-1
        b"h\0e\0l\0l\0o\0\n\0",    // UTF-16
        b"\xE4\xBD\n\n",           // a character that is cut by another
    ];
    let [u32_le, u32_be, u64_be, ..] = tight();
    for begin in begins {
        for format in [u32_le, u32_be, u64_be] {
            let error = error_of(format, begin);
            assert_ne!(error.diagnosis(), Some(Diagnosis::Text), "{begin:x?}, {}: {error}", format.layout());
        }
    }
    let mut random = 1u64;
    let mut byte = |_| {
        random = random.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
        (random >> 56) as u8
    };
    let mut refused = 0;
    for _ in 0..300 {
        let stream: Vec<u8> = (0..20).map(&mut byte).collect();
        for format in tight() {
            let Err(fault) = format.split_first(&stream) else { continue };
            refused += 1;
            let is_binary = |byte: &u8| *byte < 0x80 && byte.is_ascii_control() && !byte.is_ascii_whitespace();
            let is_text = fault.diagnosis() == Some(Diagnosis::Text);
            assert!(!is_text || !fault.header().iter().any(is_binary), "{stream:x?}: {fault}");
        }
    }
    assert!(refused > 1000, "{refused}");
}

/// The longest header there is shows its first 16 bytes, and is looked at in full.
#[test]
fn the_longest_header_is_looked_at_whole() {
    let longest = Layout::varint(10).offset(255);
    let format = Format::new(longest, 10).expect("a format");
    let text = "long text without framing ".repeat(20);
    let error = error_of(format, text.as_bytes());
    assert!(matches!(error.kind(), DecodeErrorKind::Oversize { .. }), "{error}");
    assert_eq!((error.diagnosis(), error.header()), (Some(Diagnosis::Text), &text.as_bytes()[..16]));
    let mut binary = text.into_bytes();
    binary[200] = 0;
    assert_eq!(error_of(format, &binary).diagnosis(), None);
    assert_eq!(MAX_HEADER_LEN, longest.max_header_len());
}
