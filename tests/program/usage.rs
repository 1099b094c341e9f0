//! Wrong use, and help.

use std::fs;

use crate::harness::{Folder, run};

/// Arguments that are wrong, and what the line that says so has to name.
const WRONG: &[(&[&str], &[&str])] = &[
    (&["frobnicate"], &["'frobnicate'", "serve, connect, encode, decode"]),
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
    (&["connect", "localhost:1", "--format", "offset=2", "--prefix", "aa"], &["--prefix", "2 bytes", "1 are given"]),
    (&["encode", "--trailer", "6x"], &["--trailer", "'x'"]),
    (&["encode", "--trailer", "0a"], &["--trailer", "u32le has 0 bytes", "1 are given"]),
    (
        &["encode", "--format", "u8,trailer=2", "--trailer", "0a"],
        &["--trailer", "trailer=2 has 2 bytes", "1 are given"],
    ),
    (&["connect", "localhost:1", "--format", "u8,trailer=1", "--trailer", "0a0b"], &["--trailer", "1 bytes", "2 are"]),
    (&["connect", "localhost:1", "--raw", "--trailer", "0a"], &["--raw", "--trailer"]),
    (&["encode", "--format", "trailer=256"], &["--format", "trailer=256", "0 to 255"]),
    (&["connect", "localhost:1", "--format", "u8", "--max-payload", "1MiB"], &["--max-payload", "1048576", "255"]),
    (&["serve", "--format", "u8", "--max-payload", "1MiB"], &["--max-payload", "1048576", "255"]),
    (&["decode", "--format", "u8", "--max-payload", "1MiB"], &["--max-payload", "1048576", "255"]),
    (&["decode", "one", "two"], &["'two'"]),
    (&["trace", "--scenario", "sticki"], &["--scenario", "sticky", "or all"]),
    (&["trace", "--scenario", "all", "--pcap", "x"], &["--scenario", "--pcap"]),
    (&["trace", "--scenario", "all", "--svg", "x"], &["--svg", "--html"]),
    (&["trace", "--scenario", "sticky", "--svg", "-", "--html", "-"], &["--svg", "--html", "standard output"]),
    (&["trace", "--pcap", "x", "--save", "y"], &["--save", "--pcap"]),
    (&["dissector", "--name", "2x"], &["--name", "\"2x\"", "a letter from a to z"]),
    (&["dissector", "--name", "协议"], &["--name", "协议", "a letter from a to z"]),
    (&["dissector", "--port", "0"], &["--port", "1 to 65535"]),
    (&["dissector", "--port", "http"], &["--port", "1 to 65535"]),
    (&["dissector", "--format", "u8", "--max-payload", "1MiB"], &["--max-payload", "1048576", "255"]),
    (&["decode", "--raw", "--hex"], &["--raw", "--hex"]),
    (&["decode", "--frame", "--raw"], &["--frame", "--raw"]),
    (&["decode", "--oversize", "drop"], &["--oversize", "reject, skip, or skip=LENGTH"]),
    (&["decode", "--oversize", "skip=much"], &["--oversize", "skip=much", "1MiB"]),
    (&["decode", "--oversize", "skip=1MiB"], &["--oversize", "1048576", "skip=LENGTH"]),
    (&["decode", "--oversize", "skip", "--max-payload", "17MiB"], &["--oversize", "16777216", "17825792"]),
];

#[test]
fn wrong_flags_exit_with_2_and_say_in_one_line_what_is_allowed() {
    for (args, expected) in WRONG {
        let ran = run(args, b"");
        assert_eq!((ran.code, ran.text()), (2, ""), "{args:?}: {}", ran.err);
        assert!(ran.err.starts_with("unstick: ") && ran.err.lines().count() == 1, "{args:?}: {}", ran.err);
        for part in *expected {
            assert!(ran.err.contains(part), "{args:?} says nothing of {part}: {}", ran.err);
        }
    }
}

const COMMANDS: [&str; 7] = ["serve", "connect", "encode", "decode", "dissector", "load", "trace"];

#[test]
fn help_teaches() {
    let ran = run(&["--help"], b"");
    assert_eq!((ran.code, &*ran.err), (0, ""));
    let parts = ["Examples:", "Exit codes:", "u32le", "varint", "adjustment", "trailer"];
    for part in parts.iter().chain(&COMMANDS) {
        assert!(ran.text().contains(part), "nothing of {part}");
    }
    for command in COMMANDS {
        for flag in ["-h", "--help"] {
            let ran = run(&[command, flag], b"");
            assert_eq!((ran.code, &*ran.err), (0, ""));
            for part in ["Examples:", "--max-payload", "unstick --help"] {
                assert!(ran.text().contains(part), "{command} {flag}: nothing of {part}");
            }
            assert!(!ran.text().contains('\x1b'), "colour in a pipe");
        }
    }
    assert!(run(&["--version"], b"").text().starts_with("unstick 0."));
}

/// `-h` fits one screen, and all help fits 80 columns, of which a Chinese character takes two.
#[test]
fn help_fits_the_screen() {
    for command in [""].into_iter().chain(COMMANDS).chain(["load compare", "load merge"]) {
        for flag in ["-h", "--help"] {
            let args: Vec<&str> = command.split_whitespace().chain([flag]).collect();
            let ran = run(&args, b"");
            let width = |line: &str| line.chars().map(|c| if c.is_ascii() { 1 } else { 2 }).sum::<usize>();
            for line in ran.text().lines() {
                assert!(width(line) <= 80, "{args:?}: {line}");
            }
            let count = ran.text().lines().count();
            assert!(flag == "--help" || count <= 40, "{args:?}: {count} lines");
        }
    }
}

/// No sentence is twice in a help text, nor in a command's and the program's.
#[test]
fn help_says_nothing_twice() {
    let sentences = |text: &str| -> Vec<String> {
        let (_, text) = text.split_once("Options:").expect("options");
        let text = text.split("Examples:").next().expect("what is before the examples").to_owned();
        let lines = text.lines().map(str::trim).filter(|line| line.len() > 30 && !line.starts_with("--"));
        lines.map(str::to_owned).collect()
    };
    let whole = run(&["--help"], b"");
    for command in COMMANDS {
        let help = run(&[command, "--help"], b"");
        let said = sentences(help.text());
        for (index, sentence) in said.iter().enumerate() {
            assert!(!said[..index].contains(sentence), "{command}: {sentence}");
            let elsewhere =
                sentence != "Print help (see a summary with '-h')" && whole.text().contains(sentence.as_str());
            assert!(!elsewhere, "{command}: {sentence}");
        }
    }
}

/// A search for a reported reason finds it in the help.
#[test]
fn help_lists_every_reason() {
    let help = run(&["serve", "--help"], b"");
    let (_, reasons) = help.text().split_once("Reasons why a connection closed, also in --metrics:\n").expect("a list");
    let listed: Vec<&str> = reasons.split("\n\n").next().unwrap().split(',').map(str::trim).collect();
    assert_eq!(listed, unstick::CloseKind::ALL.iter().map(|kind| kind.name()).collect::<Vec<_>>());
}

#[test]
fn help_lists_every_exit_code() {
    let help = run(&["--help"], b"");
    let (_, codes) = help.text().split_once("Exit codes:\n").expect("a heading");
    let codes: Vec<&str> = codes.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next()).collect();
    let codes: Vec<&str> = codes.into_iter().filter(|code| !code.is_empty()).collect();
    assert_eq!(codes, ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "130", "143"]);
}

/// A hidden command writes completions and man pages, which know every command and flag.
#[test]
fn completions_and_man_pages_are_generated() {
    let folder = Folder::new("generate");
    let dir = folder.0.join("share");
    let ran = run(&["generate", dir.to_str().unwrap()], b"");
    assert_eq!((ran.code, ran.text(), &*ran.err), (0, "", ""));
    let mut files: Vec<String> =
        fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    files.sort_unstable();
    let mut expected: Vec<String> = COMMANDS.iter().map(|command| format!("unstick-{command}.1")).collect();
    // Commands of a command.
    expected.extend(["unstick-load-compare.1", "unstick-load-merge.1"].map(String::from));
    expected.extend(["_unstick", "unstick.1", "unstick.bash", "unstick.fish"].map(String::from));
    expected.sort_unstable();
    assert_eq!(files, expected);
    let file = |name: &str| fs::read_to_string(dir.join(name)).unwrap();
    for name in ["_unstick", "unstick.bash", "unstick.fish"] {
        for word in COMMANDS.iter().chain(&["first-frame-timeout", "max-payload"]) {
            assert!(file(name).contains(word), "{name}: nothing of {word}");
        }
    }
    for command in COMMANDS {
        let page = file(&format!("unstick-{command}.1"));
        for part in [".SH NAME", ".SH OPTIONS", "\\-\\-max\\-payload", ".SH DETAILS", "Examples:"] {
            assert!(page.contains(part), "{command}: nothing of {part}");
        }
        assert!(file("unstick.1").contains(&format!("unstick\\-{command}(1)")), "{command}");
    }
    assert!(!run(&["--help"], b"").text().contains("generate"), "it is hidden");

    let ran = run(&["generate", "/dev/null/share"], b"");
    assert_eq!(ran.code, 1);
    assert!(ran.err.starts_with("unstick: cannot write to /dev/null/share: "), "{}", ran.err);
}

#[test]
fn without_a_command_there_is_help_and_code_2() {
    let ran = run(&[], b"");
    assert_eq!((ran.code, ran.text()), (2, ""));
    assert!(ran.err.contains("Examples:"));
}
