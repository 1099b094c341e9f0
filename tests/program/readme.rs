//! What README.md shows of the program is what the program does.

use crate::harness::{Serve, run};

const README: &str = include_str!("../../README.md");

/// The rows of the table of limits: flag, default, and what happens at the limit.
fn limits() -> Vec<(&'static str, &'static str, &'static str)> {
    let (_, table) = README.split_once("| flag and default |").expect("a table of limits");
    let rows = table.lines().skip(2).take_while(|line| line.starts_with("| `--"));
    let rows = rows.map(|row| {
        let (flag, rest) = row.trim_start_matches("| `--").split_once('`').expect("a flag");
        let (flag, default) = flag.split_once(' ').unwrap_or((flag, ""));
        (flag, default, rest.trim_end_matches(" |").rsplit("| ").next().expect("an effect"))
    });
    rows.collect()
}

/// Each row has a flag of the program with the default that its help says, and the reason why a connection ends, if one does.
#[test]
fn the_table_of_limits_is_that_of_the_program() {
    let help = run(&["serve", "--help"], b"");
    let limits = limits();
    assert!(limits.len() >= 8, "{limits:?}");
    for (flag, default, effect) in limits {
        let (_, text) = help.text().split_once(&format!("      --{flag} <")).unwrap_or_else(|| panic!("no --{flag}"));
        let text = text.split("\n      --").next().expect("its help");
        assert!(text.contains(&format!("[default: {default}")), "--{flag} {default}: {text}");
        let Some(reason) = effect.strip_prefix("ends: ") else { continue };
        assert!(unstick::CloseKind::ALL.iter().any(|kind| kind.name() == reason), "--{flag} {reason}");
        if reason != "oversize" {
            assert!(text.replace("\n          ", " ").contains(&format!("({reason})")), "--{flag} {reason}: {text}");
        }
    }
}

/// The two terminals, with the ports of this run.
#[test]
fn the_terminals_are_those_of_the_program() {
    let (_, shown) = README.split_once("```text\n$ unstick serve --echo  ").expect("a server");
    let (shown, _) = shown.split_once("\n```").expect("the end of the block");
    let (server, client) =
        shown.split_once("\n$ printf '你好\\n' | unstick connect 127.0.0.1:4747  ").expect("a client");
    let [server, client] = [server, client].map(|shown| shown.split_once('\n').expect("output").1);

    let serve = Serve::start_as_it_is(&["--echo"]);
    let addr = serve.addr.to_string();
    let connect = run(&["connect", &addr], "你好\n".as_bytes());
    let connected = serve.program.err_line();
    let peer = connected.strip_suffix(" connected").expect("a peer");
    let of_this_run = |shown: &str| shown.replace("127.0.0.1:4747", &addr).replace("127.0.0.1:52914", peer);
    let lines = [format!("listening on {addr}"), connected.clone(), serve.program.out_line(), serve.program.err_line()];
    assert_eq!(lines.join("\n"), of_this_run(server));

    let (first, last) = connect.err.split_once('\n').expect("two lines");
    let lines = [first, connect.text().trim_end(), last.trim_end()];
    assert_eq!(lines.join("\n"), of_this_run(client));
    serve.stop();
}
