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
        (&["serve", "unix:echo"], &["ADDR", "HOST:PORT", "unix:/PATH"]),
        (&["serve", "--broadcast", "--echo"], &["--broadcast", "--echo"]),
        (&["serve", "--broadcast", "--raw"], &["--broadcast", "--raw"]),
        (&["serve", "--delay", "1"], &["--echo"]),
        (&["serve", "--echo", "--delay", "soon"], &["--delay", "500ms"]),
        (&["serve", "--echo", "--delay", "-1"], &["--delay", "0 or more"]),
        (&["serve", "--echo", "--delay", "1", "--raw"], &["--delay", "--raw"]),
        (&["serve", "--metrics", "unix:/run/metrics"], &["--metrics", "HOST:PORT"]),
        (&["serve", "--max-connections", "0"], &["--max-connections", "1 or more"]),
        (&["serve", "--memory", "0"], &["--memory", "64KiB"]),
        (&["serve", "--memory", "64KiB"], &["--memory 65536", "4194304", "--max-payload"]),
        (&["serve", "--idle-timeout", "-1"], &["--idle-timeout", "over 0", "off"]),
        (&["serve", "--frame-timeout", "0"], &["--frame-timeout", "over 0", "off"]),
        (&["serve", "--first-frame-timeout", "1e19"], &["--first-frame-timeout", "a year"]),
        (&["serve", "--keepalive", "0.5"], &["--keepalive", "1 to 32767", "off"]),
        (&["serve", "--min-rate", "fast"], &["--min-rate", "64KiB", "a second", "off"]),
        (&["serve", "--high-water", "5GiB"], &["--high-water", "4294967295"]),
        (&["serve", "--outbox-limit", "0"], &["--outbox-limit", "64KiB"]),
        (&["serve", "--drain-timeout", "off"], &["--drain-timeout", "0 or more"]),
        (&["serve", "--stats", "0"], &["--stats", "0.01 or more"]),
        (&["serve", "--metrics", "9747"], &["--metrics", "HOST:PORT"]),
        (&["serve", "--raw", "--memory", "1MiB"], &["--raw", "--memory"]),
        (&["serve", "--raw", "--stats", "1"], &["--raw", "--stats"]),
        (&["serve", "--raw", "--format", "u8"], &["--raw", "--format"]),
        (&["serve", "--greeting", "--raw-greeting"], &["--greeting", "--raw-greeting"]),
        (&["serve", "--max-payload", "10", "--greeting=Hello client!"], &["--greeting", "13 bytes", "10"]),
        (&["connect"], &["<ADDR>"]),
        (&["connect", "localhost"], &["<ADDR>", "HOST:PORT"]),
        (&["connect", "[fe80::1]:4747"], &["<ADDR>", "[fe80::1%eth0]:4747"]),
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
        (
            &["connect", "localhost:1", "--format", "offset=2", "--prefix", "aa"],
            &["--prefix", "2 bytes", "1 are given"],
        ),
        (&["encode", "--trailer", "6x"], &["--trailer", "'x'"]),
        (&["encode", "--trailer", "0a"], &["--trailer", "u32le has 0 bytes", "1 are given"]),
        (
            &["encode", "--format", "u8,trailer=2", "--trailer", "0a"],
            &["--trailer", "trailer=2 has 2 bytes", "1 are given"],
        ),
        (
            &["connect", "localhost:1", "--format", "u8,trailer=1", "--trailer", "0a0b"],
            &["--trailer", "1 bytes", "2 are"],
        ),
        (&["connect", "localhost:1", "--raw", "--trailer", "0a"], &["--raw", "--trailer"]),
        (&["encode", "--format", "trailer=256"], &["--format", "trailer=256", "0 to 255"]),
        (&["connect", "localhost:1", "--format", "u8", "--max-payload", "1MiB"], &["--max-payload", "1048576", "255"]),
        (&["serve", "--format", "u8", "--max-payload", "1MiB"], &["--max-payload", "1048576", "255"]),
        (&["decode", "--format", "u8", "--max-payload", "1MiB"], &["--max-payload", "1048576", "255"]),
        (&["decode", "one", "two"], &["'two'"]),
        (&["decode", "--raw", "--hex"], &["--raw", "--hex"]),
        (&["decode", "--frame", "--raw"], &["--frame", "--raw"]),
        (&["decode", "--oversize", "drop"], &["--oversize", "reject, skip, or skip=LENGTH"]),
        (&["decode", "--oversize", "skip=much"], &["--oversize", "skip=much", "1MiB"]),
        (&["decode", "--oversize", "skip=1MiB"], &["--oversize", "1048576", "skip=LENGTH"]),
        (&["decode", "--oversize", "skip", "--max-payload", "17MiB"], &["--oversize", "16777216", "17825792"]),
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
    for part in
        ["Examples:", "Exit codes:", "u32le", "varint", "adjustment", "trailer", "serve", "connect", "encode", "decode"]
    {
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

/// Whoever greps for a reason finds it spelled as it is told.
#[test]
fn help_lists_every_reason() {
    let help = run(&["serve", "--help"], b"");
    let (_, reasons) = help.text().split_once("The reasons are, also in\n--metrics:\n").expect("a list");
    let listed: Vec<&str> = reasons.split("\n\n").next().unwrap().split(',').map(str::trim).collect();
    assert_eq!(listed, unstick::CloseKind::ALL.iter().map(|kind| kind.name()).collect::<Vec<_>>());
}

/// The README's table of limits has every flag of that heading, with the default that the help says.
#[test]
fn the_readme_knows_every_limit() {
    let help = run(&["serve", "-h"], b"");
    let (_, limits) = help.text().split_once("\nLimits (").expect("a heading");
    let (limits, _) = limits.split_once("\n\n").expect("its end");
    let readme = include_str!("../../README.md");
    let mut count = 0;
    for (name, help) in limits.split("\n      --").skip(1).map(|limit| limit.split_once(' ').expect("a value")) {
        let (_, row) = readme.split_once(&format!("| `--{name}")).unwrap_or_else(|| panic!("no row for --{name}"));
        let (default, _) = row.split_once('`').expect("the end of the flag");
        let said = help.contains(&format!("[default: {}", default.trim_start()));
        assert!(said || default == " N", "README.md says --{name}{default}, the help: {help}");
        count += 1;
    }
    assert_eq!(count, 13, "{limits}");
}

/// The help lists every exit code, and the README, too.
#[test]
fn the_readme_knows_every_exit_code() {
    let help = run(&["--help"], b"");
    let (_, codes) = help.text().split_once("Exit codes:\n").expect("a heading");
    let codes: Vec<&str> = codes.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next()).collect();
    let codes: Vec<&str> = codes.into_iter().filter(|code| !code.is_empty()).collect();
    assert_eq!(codes, ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "130", "143"]);
    for code in codes {
        assert!(
            include_str!("../../README.md").contains(&format!("\n| {code} | ")),
            "README.md says nothing of code {code}"
        );
    }
}

#[test]
fn without_a_command_there_is_help_and_code_2() {
    let ran = run(&[], b"");
    assert_eq!((ran.code, ran.text()), (2, ""));
    assert!(ran.err.contains("Examples:"));
}
