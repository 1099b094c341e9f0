//! `unstick encode` and `unstick decode`.

use std::fs;

use crate::harness::{Program, command, frame, run, wait};

#[test]
fn lines_come_back() {
    let lines = "a\n\n你好\n";
    let wire = run(&["encode"], lines.as_bytes());
    assert_eq!(wire.out, [frame(b"a"), frame(b""), frame("你好".as_bytes())].concat());
    let back = run(&["decode"], &wire.out);
    assert_eq!((back.code, back.text(), &*back.err), (0, lines, ""));
}

#[test]
fn every_format_says_what_its_name_says() {
    for (flags, expected) in [
        (&["--format", "u32le"][..], &b"\x02\0\0\0hi"[..]),
        (&["--format", "u32be"], b"\0\0\0\x02hi"),
        (&["--format", "u16be"], b"\0\x02hi"),
        (&["--format", "u8"], b"\x02hi"),
        (&["--format", "u24be"], b"\0\0\x02hi"),
        (&["--format", "u64be"], b"\0\0\0\0\0\0\0\x02hi"),
        (&["--format", "varint"], b"\x02hi"),
        (&["--format", "u16be-inclusive"], b"\0\x04hi"),
        (&["--format", "u32be-inclusive"], b"\0\0\0\x06hi"),
        (&["--format", "u32le-inclusive"], b"\x06\0\0\0hi"),
        (&["--format", "offset=2,width=2,endian=be,adjustment=-4"], b"\0\0\0\x06hi"),
        (&["--format", "offset=2,width=2,endian=be,adjustment=-4", "--prefix", "07 FF"], b"\x07\xFF\0\x06hi"),
        (&["--format", "u16be,trailer=2"], b"\0\x02hi\0\0"),
        (&["--format", "u16be,trailer=2", "--trailer", "0D 0A"], b"\0\x02hi\r\n"),
        (&["--format", "u8,offset=1,trailer=1", "--trailer", "0a", "--prefix", "2a"], b"*\x02hi\n"),
    ] {
        let wire = run(&[&["encode"], flags].concat(), b"hi\n");
        assert_eq!((wire.code, &*wire.out), (0, expected), "{flags:?}: {}", wire.err);
        let back = run(&["decode", flags[0], flags[1]], &wire.out);
        assert_eq!((back.code, back.text()), (0, "hi\n"), "{flags:?}");
    }
}

#[test]
fn a_stream_cut_at_any_byte_is_truncated() {
    let frames = [frame(b"a"), frame(b""), frame("你好".as_bytes())];
    let wire = frames.concat();
    let ends: Vec<usize> = frames
        .iter()
        .scan(0, |end, frame| {
            *end += frame.len();
            Some(*end)
        })
        .collect();
    for cut in 0..wire.len() {
        let ran = run(&["decode"], &wire[..cut]);
        let whole = ends.iter().filter(|end| **end <= cut).count();
        assert_eq!(ran.out.iter().filter(|byte| **byte == b'\n').count(), whole, "cut at {cut}");
        let begin = if whole == 0 { 0 } else { ends[whole - 1] };
        if begin == cut {
            assert_eq!((ran.code, &*ran.err), (0, ""), "cut at {cut}");
            continue;
        }
        // Of a header that is not whole no more than the header is known to be missing.
        let have = cut - begin;
        let need = if have < 4 { 4 } else { frames[whole].len() };
        let expected = format!("{} of {need} bytes missing", need - have);
        assert_eq!(ran.code, 4, "cut at {cut}");
        assert!(ran.err.starts_with("unstick: ") && ran.err.contains(&expected), "cut at {cut}: {}", ran.err);
        assert_eq!(ran.err.lines().count(), 1);
    }
}

#[test]
fn another_protocol_is_told_by_its_hello() {
    // Two hellos of TLS clients: as u32 little-endian one declares too much, the other one 66,326 bytes.
    let tls = [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xFC\x03\x03"[..], b"\x16\x03\x01\x00\xF5\x01\x00\x00\xF1\x03\x03"];
    for format in ["u32le", "u32be", "u16be", "u24be", "u64be", "varint"] {
        for (hello, name) in [
            (tls[0], "TLS"),
            (tls[1], "TLS"),
            (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP"),
            (b"HTTP/1.1 400 Bad Request\r\n\r\n", "HTTP"),
            (b"SSH-2.0-OpenSSH_9.6\r\n", "SSH"),
        ] {
            let ran = run(&["decode", "--format", format], hello);
            assert_eq!((ran.code, ran.text()), (3, ""), "{name} as {format}: {}", ran.err);
            assert!(ran.err.contains(&format!("looks like {name}")), "{name} as {format}: {}", ran.err);
        }
    }
}

/// Lines of text without framing: over the limit, or with a first frame that never comes whole. The error says
/// that the stream is truncated, and a hint what it may be.
#[test]
fn text_without_framing_is_told() {
    for text in ["你好，世界\n", "\u{FEFF}你好，世界\n", "hello\r\n"] {
        let ran = run(&["decode"], text.as_bytes());
        assert_eq!((ran.code, ran.text()), (3, ""), "{text}: {}", ran.err);
        assert!(ran.err.contains("is over the limit") && ran.err.contains("looks like text"), "{text}: {}", ran.err);
    }
    for (format, missing) in [("u16be", "26720 of 26727"), ("u8", "98 of 105"), ("varint", "98 of 105")] {
        let ran = run(&["decode", "--format", format], b"hello\r\n");
        assert_eq!((ran.code, ran.text()), (4, ""), "{format}: {}", ran.err);
        let expected = format!("unstick: at byte 0: the stream ended inside a frame: {missing} bytes missing (header ");
        assert!(ran.err.starts_with(&expected), "{format}: {}", ran.err);
        assert!(ran.err.ends_with(": looks like text without framing)\n"), "{format}: {}", ran.err);
    }
}

#[test]
fn a_length_that_may_count_itself_is_told() {
    // Of PostgreSQL: the startup message's length counts its own four bytes.
    let ran = run(&["decode", "--format", "u32be"], b"\0\0\0\x08\x04\xD2\x16\x2F");
    assert_eq!((ran.code, ran.text()), (4, ""), "{}", ran.err);
    let hint =
        "4 of 12 bytes missing (header 00 00 00 08: the length may count its own 4 bytes: try u32be-inclusive)\n";
    assert!(ran.err.ends_with(hint), "{}", ran.err);
    let ran = run(&["decode", "--format", "u32be-inclusive", "--hex"], b"\0\0\0\x08\x04\xD2\x16\x2F");
    assert_eq!((ran.code, ran.text()), (0, "04d2162f\n"), "{}", ran.err);
}

#[test]
fn any_frame_is_one_line() {
    let wire = [frame(b"a\nb\r\n"), frame(b"\xFF\x1b[2J"), frame(b"\\n"), frame(b"{\"a\":\"b\\n\"}")].concat();
    let ran = run(&["decode"], &wire);
    let expected = "\\\"a\\nb\\r\\n\"\n\\\"\\xff\\x1b[2J\"\n\\\"\\\\n\"\n{\"a\":\"b\\n\"}\n";
    assert_eq!((ran.code, ran.text()), (0, expected));
}

#[test]
fn hexadecimal_goes_both_ways() {
    let ran = run(&["encode", "--hex"], b"00ff 0A\n\nE4BDA0\n");
    assert_eq!(ran.out, [frame(b"\0\xFF\n"), frame(b""), frame("你".as_bytes())].concat());
    assert_eq!(run(&["decode", "--hex"], &ran.out).text(), "00ff0a\n\ne4bda0\n");
    let ran = run(&["encode", "--hex"], b"61\n6x\n62\n");
    assert_eq!((ran.code, &*ran.out), (3, &frame(b"a")[..]));
    assert!(ran.err.contains("line 2") && ran.err.contains("'x'"), "{}", ran.err);
}

#[test]
fn frames_are_shown_with_their_headers() {
    let wire = [frame(b"hello"), frame(b"")].concat();
    let expected =
        "offset=0 header=05000000 payload_len=5 payload=hello\noffset=9 header=00000000 payload_len=0 payload=\n";
    assert_eq!(run(&["decode", "--frame"], &wire).text(), expected);
    let ran = run(&["decode", "--frame", "--hex", "--format", "offset=1,width=2"], b"\x07\0\x02hi");
    assert_eq!(ran.text(), "offset=0 prefix=07 field=0002 payload_len=2 payload=6869\n");
    let ran = run(&["decode", "--frame", "--format", "u16be,trailer=2"], b"\0\x02hi\r\n\0\0\xFF\0");
    let expected = "offset=0 header=0002 payload_len=2 trailer=0d0a payload=hi\n\
        offset=6 header=0000 payload_len=0 trailer=ff00 payload=\n";
    assert_eq!(ran.text(), expected);
}

#[test]
fn raw_payloads_are_written_as_they_are() {
    let large = vec![0xFF; 200_000];
    let wire = [frame(b"a\n"), frame(b""), frame(b"\xFF\0"), frame(&large), frame(b"end")].concat();
    let ran = run(&["decode", "--raw"], &wire);
    assert_eq!((ran.code, &*ran.err), (0, ""));
    assert!(ran.out == [&b"a\n\xFF\0"[..], &large, b"end"].concat());
    // Of a frame that is not whole there is nothing.
    let ran = run(&["decode", "--raw", "--format", "u8"], b"\x02hi\x03by");
    assert_eq!((ran.code, &*ran.out), (4, &b"hi"[..]));
}

#[test]
fn frames_that_are_too_long_are_skipped_where_that_is_asked_for() {
    let wire = [frame(b"abc"), frame(b"abcd"), frame(&[7; 100_000]), frame(b"de"), frame(b"12345")].concat();
    let flags = ["decode", "--max-payload", "3"];
    let skip = |more: &[&str], wire: &[u8]| run(&[&flags[..], &["--oversize", "skip"], more].concat(), wire);
    let ran = skip(&[], &wire);
    let note =
        "unstick: skipped 3 frames over the limit of 3 bytes: 100009 bytes of payload, the last one at byte 100025\n";
    assert_eq!((ran.code, ran.text(), &*ran.err), (0, "abc\nde\n", note));
    assert_eq!(skip(&["--raw"], &wire).out, b"abcde");
    // Offsets count skipped frames.
    let expected =
        "offset=0 header=03000000 payload_len=3 payload=abc\noffset=100019 header=02000000 payload_len=2 payload=de\n";
    assert_eq!(skip(&["--frame"], &wire).text(), expected);
    let note = "unstick: skipped 1 frame over the limit of 3 bytes: 4 bytes of payload, the last one at byte 0\n";
    assert_eq!(skip(&[], &frame(b"abcd")).err, note);
    // Nothing is reported if nothing is skipped.
    let ran = skip(&[], &frame(b"abc"));
    assert_eq!((ran.code, ran.text(), &*ran.err), (0, "abc\n", ""));
    // A stream that ends while a frame is skipped is truncated, and both are told.
    let ran = skip(&[], &wire[..wire.len() - 1]);
    assert_eq!((ran.code, ran.text()), (4, "abc\nde\n"));
    let lines: Vec<&str> = ran.err.lines().collect();
    let [skipped, truncated] = lines[..] else { panic!("{}", ran.err) };
    assert!(skipped.contains("skipped 3 frames") && truncated.contains("at byte 100025"), "{}", ran.err);
    // By default nothing is skipped.
    for args in [&flags[..], &[&flags[..], &["--oversize", "reject"]].concat()] {
        let ran = run(args, &wire);
        assert_eq!((ran.code, ran.text()), (3, "abc\n"));
        assert!(ran.err.contains("at byte 7") && ran.err.lines().count() == 1, "{}", ran.err);
    }
}

#[test]
fn what_is_skipped_has_a_limit_of_its_own() {
    let declared = |len: u32| [&frame(b"a")[..], &len.to_le_bytes()].concat();
    for (flags, most) in [
        ("--max-payload 3 --oversize skip", 16 << 20),
        ("--max-payload 3 --oversize skip=1kB", 1000),
        ("--max-payload 8 --oversize skip=9", 9),
    ] {
        let args: Vec<&str> = ["decode"].into_iter().chain(flags.split(' ')).collect();
        // It is skipped as far as it comes, and the stream ends inside it.
        let ran = run(&args, &declared(most));
        assert_eq!((ran.code, ran.text()), (4, "a\n"), "{flags:?}: {}", ran.err);
        let ran = run(&args, &declared(most + 1));
        assert_eq!((ran.code, ran.text()), (3, "a\n"), "{flags:?}: {}", ran.err);
        let over = format!("a payload of {} bytes is over the limit of ", most + 1);
        let limit = format!("over the {most} that --oversize skips");
        assert!(ran.err.contains(&over) && ran.err.contains(&limit), "{flags:?}: {}", ran.err);
    }
    // Another protocol is still told by its hello.
    for hello in
        [&b"GET / HTTP/1.1\r\n\r\n"[..], b"SSH-2.0-OpenSSH_9.6\r\n", b"\x16\x03\x01\x02\0\x01\0\x01\xFC\x03\x03"]
    {
        let ran = run(&["decode", "--oversize", "skip"], hello);
        assert!(ran.code == 3 && ran.err.contains("looks like"), "{}", ran.err);
    }
}

#[test]
fn a_file_is_decoded() {
    let path = std::env::temp_dir().join(format!("unstick-test-{}.bin", std::process::id()));
    fs::write(&path, frame("文件".as_bytes())).unwrap();
    let ran = run(&["decode", path.to_str().unwrap()], b"");
    fs::remove_file(&path).unwrap();
    assert_eq!((ran.code, ran.text()), (0, "文件\n"));
    let ran = run(&["decode", path.to_str().unwrap()], b"");
    assert_eq!(ran.code, 1);
    assert!(ran.err.starts_with("unstick: cannot read "), "{}", ran.err);
    assert_eq!(run(&["decode", "-"], &frame(b"stdin")).text(), "stdin\n");
}

#[test]
fn limits_hold_and_what_came_before_is_kept() {
    let ran = run(&["encode", "--max-payload", "3"], b"abc\nabcd\nabc\n");
    assert_eq!((ran.code, &*ran.out), (3, &frame(b"abc")[..]));
    assert!(
        ran.err.contains("line 2") && ran.err.contains("4 bytes") && ran.err.contains("--max-payload"),
        "{}",
        ran.err
    );
    // A limit above the usual one is for what is above it.
    let long = [&vec![b'x'; 2_000_001][..], b"\n"].concat();
    let flags = ["--format", "adjustment=2000000", "--max-payload", "2MiB"];
    let wire = run(&[&["encode"], &flags[..]].concat(), &long);
    assert_eq!((wire.code, &wire.out[..4]), (0, &[0, 0, 0, 1][..]), "{}", wire.err);
    assert!(run(&[&["decode"], &flags[..]].concat(), &wire.out).out == long);
    let wire = [frame(b"abc"), frame(b"abcd"), frame(b"abc")].concat();
    let ran = run(&["decode", "--max-payload", "3B"], &wire);
    assert_eq!((ran.code, ran.text()), (3, "abc\n"));
    assert!(ran.err.contains("at byte 7") && ran.err.contains("over the limit of 3"), "{}", ran.err);
}

#[test]
fn nothing_waits_for_the_end_of_the_input() {
    let mut decode = Program::start(&["decode"]);
    let mut encode = Program::start(&["encode"]);
    for (text, line) in [("ten bytes.", ""), ("more bytes", "\0\0\0ten bytes.")] {
        decode.write(&frame(text.as_bytes()));
        assert_eq!(decode.out_line(), text);
        // The harness reads lines, and the first byte of a frame of ten bytes is a line feed.
        encode.write(format!("{text}\n").as_bytes());
        assert_eq!(encode.out_line(), line);
    }
    encode.stdin = None;
    assert_eq!(encode.end().out, b"\0\0\0more bytes");
    decode.stdin = None;
    assert_eq!(decode.end().code, 0);
}

#[test]
fn many_lines_do_not_wait_for_the_end_of_the_next_one() {
    let mut encode = Program::start(&["encode"]);
    encode.write(format!("{}ten", "ten bytes.\n".repeat(10_000)).as_bytes());
    assert_eq!(encode.out_line(), "");
    assert_eq!(encode.out_line(), "\0\0\0ten bytes.");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    for args in [&["decode"][..], &["encode"]] {
        let mut child = command(args).spawn().unwrap();
        drop(child.stdout.take());
        let mut stdin = child.stdin.take().unwrap();
        std::thread::spawn(move || while std::io::Write::write_all(&mut stdin, &frame(b"\n").repeat(1000)).is_ok() {});
        let status = wait(&mut child);
        let mut err = String::new();
        std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut err).unwrap();
        assert_eq!((status.code(), &*err), (Some(0), ""));
    }
}

/// What a peer sends cannot reverse, hide or end other text on the operator's terminal.
#[test]
fn characters_that_cannot_be_seen_are_escaped() {
    let hidden: Vec<char> = ('\u{202A}'..='\u{202E}')
        .chain('\u{2066}'..='\u{2069}')
        .chain('\u{200B}'..='\u{200F}')
        .chain(['\u{61C}', '\u{2028}', '\u{2029}', '\u{2060}', '\u{FEFF}', '\u{AD}', '\u{E0001}'])
        .collect();
    let serve = crate::harness::Serve::start_as_it_is(&["--echo"]);
    for c in hidden {
        let text = format!("a{c}b");
        let escaped = format!("\\\"a\\u{{{:x}}}b\"", u32::from(c));
        assert_eq!(run(&["decode"], &frame(text.as_bytes())).text(), format!("{escaped}\n"));
        let ran = run(&["connect", &serve.addr.to_string()], text.as_bytes());
        assert_eq!(ran.text(), format!("{escaped}\n"), "{}", ran.err);
        let line = serve.program.out_line();
        assert!(line.ends_with(&format!(" {escaped}")), "{line}");
    }
    serve.stop();
}

#[cfg(target_os = "linux")]
#[test]
fn output_that_does_not_fit_on_the_disk_is_an_error() {
    let serve = crate::harness::Serve::start(&["--raw"]);
    let addr = serve.addr.to_string();
    for (args, input) in [
        (&["decode"][..], frame(b"hello")),
        (&["encode"], b"hello\n".to_vec()),
        (&["encode", "--hex"], b"61\n6x\n".to_vec()),
        (&["serve", "127.0.0.1:0"], Vec::new()),
        (&["serve", "127.0.0.1:0", "--raw"], Vec::new()),
        (&["connect", &addr, "--raw"], Vec::new()),
        (&["--help"], Vec::new()),
    ] {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let mut child = command(args).stdout(full).spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), &input).unwrap();
        let status = wait(&mut child);
        let mut err = String::new();
        std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut err).unwrap();
        assert_eq!(status.code(), Some(9), "{args:?}: {err}");
        assert!(
            err.contains("unstick: cannot write ") && err.contains("to standard output: No space"),
            "{args:?}: {err}"
        );
    }
}

#[test]
fn many_frames_pass_through_a_pipe() {
    let lines: String = (0..200_000).map(|n| format!("line {n}\n")).collect();
    let wire = run(&["encode", "--format", "varint"], lines.as_bytes());
    assert_eq!(wire.code, 0);
    let back = run(&["decode", "--format", "varint"], &wire.out);
    assert!(back.code == 0 && back.text() == lines);
}
