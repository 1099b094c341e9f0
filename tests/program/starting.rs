//! What a server needs before it says that it listens, and where it cannot have it.

use crate::harness::{Program, Ran, command_of_shell};

fn run_limited(script: &str, flags: &[&str]) -> Ran {
    Program::spawn(command_of_shell(script, &[&["serve", "127.0.0.1:0"], flags].concat())).end()
}

/// Of a hundred threads each has descriptors of its own, and here a stack of 1 GiB, so that the third does not fit, with
/// room to spare for all that is small. Limits of these hold for root, too.
#[test]
fn threads_that_cannot_be_had_are_told_before_it_listens() {
    const ROOM_FOR_TWO: &str = "export RUST_MIN_STACK=$((1 << 30)); ulimit -v $((5 << 19)); exec \"$@\"";
    for (script, flags) in [
        ("ulimit -n 64; exec \"$@\"", &["--threads", "100"][..]),
        (ROOM_FOR_TWO, &["--threads", "100"]),
        (ROOM_FOR_TWO, &["--threads", "100", "--raw"]),
    ] {
        let ran = run_limited(script, flags);
        assert_eq!((ran.code, ran.text()), (1, ""), "{script}: {ran:?}");
        assert!(
            ran.err.starts_with("unstick: cannot serve with 100 threads: ") && ran.err.lines().count() == 1,
            "{ran:?}"
        );
    }
}

#[test]
fn descriptors_that_cannot_be_had_are_told_in_a_line() {
    for files in 5..10 {
        let ran = run_limited(&format!("ulimit -n {files}; exec \"$@\""), &["--threads", "2"]);
        assert_eq!((ran.code, ran.text()), (1, ""), "{ran:?}");
        assert!(ran.err.starts_with("unstick: cannot ") && ran.err.lines().count() == 1, "{ran:?}");
    }
}
