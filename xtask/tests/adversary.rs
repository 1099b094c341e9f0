//! Every attack of `cargo xtask attack`, each a test: against a server process over real sockets, shortly. Only `half-open` is
//! left out, as the attack itself says: it takes 31 s.
#![cfg(target_os = "linux")]

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

fn attack(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.arg("attack").args(args);
    command
}

/// Makes an attack over each transport. It must be held by its verdict, by the server's statistics, and by the healthy
/// clients.
#[track_caller]
fn held(name: &str) {
    let Output { status, stdout, stderr } =
        attack(&["--quick", "--json", name]).output().expect("the program was built");
    let stderr = String::from_utf8_lossy(&stderr);
    let rows = serde_json::Deserializer::from_slice(&stdout).into_iter();
    let rows: Vec<Value> = rows.map(|row| row.unwrap_or_else(|error| panic!("{error}: {stderr}"))).collect();
    assert_eq!(status.code(), Some(0), "{stderr}");
    let over: Vec<_> = rows.iter().map(|row| row["over"].as_str()).collect();
    assert_eq!(over, [Some("tcp"), Some("unix"), Some("tls")], "{stderr}");
    rows.iter().for_each(|row| held_once(name, row));
}

#[track_caller]
fn held_once(name: &str, row: &Value) {
    if let Some(why) = row["skipped"].as_str() {
        println!("{name} is skipped: {why}");
        return;
    }
    assert_eq!((&row["attack"], &row["verdict"]), (&name.into(), &"held".into()), "{row}");
    let closes = row["closes"].as_object().expect("closes by reason");
    let closed: u64 = closes.values().map(|count| count.as_u64().expect("a count")).sum();
    let [accepted, active] = ["accepted", "active"].map(|field| row[field].as_u64().expect("a count"));
    assert_eq!(accepted, active + closed, "{row}");
    assert!(accepted > 0, "nothing was attacked: {row}");
    if let Some(healthy) = row["healthy"].as_object() {
        assert_eq!(healthy["faults"], Value::Array(Vec::new()), "{row}");
        assert!(healthy["verified"].as_u64().expect("a count") > 0, "{row}");
    }
}

macro_rules! attacks {
    ($($test:ident: $name:literal,)*) => {
        $(
            #[test]
            fn $test() {
                held($name);
            }
        )*

        const TESTED: &[&str] = &[$($name),*];
    };
}

attacks! {
    declared_oversize: "declared-oversize",
    declared_silence: "declared-silence",
    oversize: "oversize",
    flood_after_refusal: "flood-after-refusal",
    negative: "negative",
    wrong_protocol: "wrong-protocol",
    zero_flood: "zero-flood",
    silent: "silent",
    drip: "drip",
    partial_frame: "partial-frame",
    idle: "idle",
    never_reads: "never-reads",
    reset: "reset",
    fin_inside: "fin-inside",
    half_close: "half-close",
    killed_clients: "killed-clients",
    connect_storm: "connect-storm",
    over_capacity: "over-capacity",
    refusal: "refusal",
    descriptors: "descriptors",
    stalled_handshakes: "stalled-handshakes",
    no_hello: "no-hello",
    broken_records: "broken-records",
    unfinished_records: "unfinished-records",
    cut_off: "cut-off",
    close_notify_inside: "close-notify-inside",
    renegotiation: "renegotiation",
    handler_panics: "handler-panics",
    handler_errs: "handler-errs",
    handler_sleeps: "handler-sleeps",
    waiting_crowd: "waiting-crowd",
    handler_blocks: "handler-blocks",
    push_small: "push-small",
    push_large: "push-large",
    over_budget: "over-budget",
    hoarders: "hoarders",
    many_small_holds: "many-small-holds",
    everything: "everything",
    sigterm: "sigterm",
    second_signal: "second-signal",
    half_open: "half-open",
}

#[test]
fn every_attack_is_a_test() {
    let Output { status, stdout, .. } = attack(&["--list"]).output().expect("the program was built");
    assert!(status.success());
    let listed = String::from_utf8(stdout).expect("text");
    let listed: Vec<&str> = listed.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(listed, TESTED);
}

/// ARCHITECTURE.md says which attack tests which limit: it names every attack, and no other.
#[test]
fn the_map_names_every_attack() {
    let map = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../ARCHITECTURE.md")).expect("the map");
    let (_, section) = map.split_once("## Where each limit lives").expect("its section");
    let (section, _) = section.split_once("\n## ").expect("its end");
    let proofs = section.lines().filter(|line| line.starts_with('|')).filter_map(|line| line.rsplit('|').nth(1));
    let named: BTreeSet<&str> = proofs.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    assert_eq!(named, TESTED.iter().copied().collect());
}

#[test]
fn wrong_arguments_teach() {
    for (args, teaches) in [
        (&["slow-loris"][..], "there are declared-oversize, "),
        (&["--seconds", "soon"], "as in 5 or 0.5"),
        (&["--over", "udp"], "write tcp, unix, tls, or all"),
        (&["--thorough"], "--help"),
    ] {
        let Output { status, stderr, .. } = attack(args).output().expect("the program was built");
        let stderr = String::from_utf8_lossy(&stderr);
        assert_eq!(status.code(), Some(2), "{args:?}: {stderr}");
        assert!(stderr.contains(teaches), "{args:?}: {stderr}");
    }
}

/// An interrupted attack leaves no server running.
#[test]
fn a_server_ends_with_its_attacker() {
    let mut attack = attack(&["--seconds", "60", "zero-flood"]).stdout(Stdio::piped()).spawn().expect("a process");
    let mut header = String::new();
    BufReader::new(attack.stdout.take().expect("piped")).read_line(&mut header).expect("a line");
    let children = format!("/proc/{0}/task/{0}/children", attack.id());
    let begin = Instant::now();
    let server: u32 = loop {
        match fs::read_to_string(&children).expect("it runs").trim().parse() {
            Ok(server) => break server,
            Err(_) => assert!(begin.elapsed() < Duration::from_secs(20), "it starts no server"),
        }
        thread::sleep(Duration::from_millis(5));
    };
    attack.kill().expect("killed");
    attack.wait().expect("ended");
    let begin = Instant::now();
    let runs =
        || fs::read_to_string(format!("/proc/{server}/cmdline")).is_ok_and(|line| line.contains("attack-server"));
    while runs() {
        assert!(begin.elapsed() < Duration::from_secs(20), "the server is still there");
        thread::sleep(Duration::from_millis(5));
    }
}
