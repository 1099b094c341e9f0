//! What a server needs before it says that it listens, and where it cannot have it.

use crate::harness::{Program, Ran, command_of_shell};

fn run_limited(script: &str, flags: &[&str]) -> Ran {
    Program::spawn(command_of_shell(script, &[&["serve", "127.0.0.1:0"], flags].concat())).end()
}

/// Of a hundred threads each has descriptors of its own, and a stack of 2 MiB. Limits of these hold for root, too.
#[test]
fn threads_that_cannot_be_had_are_told_before_it_listens() {
    // With an arena for each thread, glibc would take what the last thread leaves.
    for (script, flags) in [
        ("ulimit -n 64; exec \"$@\"", &["--threads", "100"][..]),
        ("export MALLOC_ARENA_MAX=1; ulimit -v 150000; exec \"$@\"", &["--threads", "100"]),
        ("export MALLOC_ARENA_MAX=1; ulimit -v 150000; exec \"$@\"", &["--threads", "100", "--raw"]),
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
