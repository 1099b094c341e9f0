//! Wrong use, and help.

use crate::harness::run;

#[test]
fn wrong_flags_exit_with_2_and_say_in_one_line_what_is_allowed() {
    for (args, expected) in [
        (&["frobnicate"][..], &["'frobnicate'", "serve, connect, encode, decode"][..]),
        (&["serve", "--prnt", "hex"], &["'--prnt'", "'--print'"]),
        (&["serve", "--print", "binary"], &["'binary'", "--print", "text, hex, none"]),
        (&["serve", "--threads", "0"], &["--threads", "1 or more"]),
        (&["serve", "4747"], &["ADDR", "HOST:PORT"]),
        (&["serve", "--raw", "--format", "u8"], &["--raw", "--format"]),
        (&["serve", "--no-greeting", "--raw-greeting"], &["--no-greeting", "--raw-greeting"]),
        (&["serve", "--max-payload", "10"], &["--greeting", "23 bytes", "10"]),
        (&["connect"], &["<ADDR>"]),
        (&["connect", "localhost"], &["<ADDR>", "HOST:PORT"]),
        (&["connect", "localhost:99999"], &["99999", "65535"]),
        (&["connect", "localhost:1", "--wait", "-1"], &["--wait", "0 or more"]),
        (&["connect", "localhost:1", "--wait", "soon"], &["--wait", "0 or more"]),
        (&["encode", "--format", "u9"], &["--format", "u9", "u32le", "varint", "offset=2"]),
        (&["encode", "--format", "width=9"], &["--format", "width=9", "1 to 8"]),
        (&["encode", "--format", "endian=middle"], &["--format", "be or le"]),
        (&["encode", "--format", "adjustment=-5000000000"], &["--format", "negative"]),
        (&["encode", "--max-payload", "1XB"], &["--max-payload", "1XB", "MiB"]),
        (&["encode", "--format", "u8", "--max-payload", "1MiB"], &["--max-payload", "1048576", "255"]),
        (&["encode", "--format", "adjustment=2000000"], &["--max-payload", "2000000"]),
        (&["encode", "--prefix", "0"], &["--prefix", "odd"]),
        (&["encode", "--format", "offset=2", "--prefix", "aa"], &["--prefix", "2 bytes"]),
        (&["connect", "localhost:1", "--format", "offset=2", "--prefix", "aa"], &["--prefix", "2 bytes"]),
        (&["connect", "localhost:1", "--format", "u8", "--max-payload", "1MiB"], &["--max-payload", "1048576", "255"]),
        (&["serve", "--format", "u8", "--max-payload", "1MiB"], &["--max-payload", "1048576", "255"]),
        (&["decode", "--format", "u8", "--max-payload", "1MiB"], &["--max-payload", "1048576", "255"]),
        (&["decode", "one", "two"], &["'two'"]),
    ] {
        let ran = run(args, b"");
        assert_eq!((ran.code, ran.text()), (2, ""), "{args:?}: {}", ran.err);
        assert!(ran.err.starts_with("unstick: ") && ran.err.lines().count() == 1, "{args:?}: {}", ran.err);
        for part in expected {
            assert!(ran.err.contains(part), "{args:?} says nothing of {part}: {}", ran.err);
        }
    }
}

#[test]
fn help_teaches() {
    let ran = run(&["--help"], b"");
    assert_eq!((ran.code, &*ran.err), (0, ""));
    for part in ["Examples:", "Exit codes:", "u32le", "varint", "adjustment", "serve", "connect", "encode", "decode"] {
        assert!(ran.text().contains(part), "nothing of {part}");
    }
    for command in ["serve", "connect", "encode", "decode"] {
        for flag in ["-h", "--help"] {
            let ran = run(&[command, flag], b"");
            assert_eq!((ran.code, &*ran.err), (0, ""));
            assert!(ran.text().contains("Examples:") && ran.text().contains("--max-payload"), "{command} {flag}");
            assert_eq!(ran.text().contains("Exit codes:"), flag == "--help");
            assert!(!ran.text().contains('\x1b'), "colour in a pipe");
        }
    }
    assert!(run(&["--version"], b"").text().starts_with("unstick 0."));
}

#[test]
fn without_a_command_there_is_help_and_code_2() {
    let ran = run(&[], b"");
    assert_eq!((ran.code, ran.text()), (2, ""));
    assert!(ran.err.contains("Examples:"));
}
