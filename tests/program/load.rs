//! `unstick load`, against `unstick serve` and other servers.

use std::path::{Path, PathBuf};

use rustix::process::Signal;
use serde_json::Value;
use unstick::load::{self, Results, Swept, Verdict};

use crate::certificates::{Authority, Folder};
use crate::harness::{Program, Ran, Serve, run};

/// A file for this test alone.
fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("load-{name}-{}", std::process::id()))
}

fn echo(flags: &[&str]) -> Serve {
    Serve::start_as_it_is(&[&["--echo", "--print", "none"], flags].concat())
}

/// A load of this server with few connections that must end with this code.
#[track_caller]
fn ends_with(code: i32, addr: &str, flags: &[&str]) -> Ran {
    let few = ["--connections", "4", "--max-send-lag", "60"];
    let ran = run(&[&["load", addr], &few[..], flags].concat(), b"");
    assert_eq!(ran.code, code, "{flags:?}: {}{}", ran.text(), ran.err);
    ran
}

#[test]
fn a_load_is_verified_and_reported() {
    let serve = echo(&[]);
    let ran = ends_with(0, &serve.addr.to_string(), &["--frames", "2000"]);
    assert!(
        ran.text().starts_with("every byte of 2,000 frames verified, in order, on 4 connections\n"),
        "{}",
        ran.text()
    );
    assert!(ran.text().contains("round trip  p50 ") && ran.err.is_empty(), "{}{}", ran.text(), ran.err);
    serve.stop();
}

#[test]
fn formats_payloads_and_greetings_go_together() {
    let trailer = "offset=1,width=2,endian=be,trailer=2";
    let cases: [(&[&str], &[&str]); 5] = [
        (&["--format", "varint"], &["--format", "varint", "--payload", "uniform:0..9000"]),
        (&["--format", trailer], &["--format", trailer, "--payload", "list:64=0.9,16KiB=0.1"]),
        (&["--greeting=hello"], &["--greeting", "frame"]),
        (&["--raw-greeting=hello"], &["--greeting", "raw:5"]),
        (&["--max-payload", "8MiB"], &["--payload", "8MiB", "--in-flight", "1"]),
    ];
    for (server, flags) in cases {
        let serve = echo(server);
        ends_with(0, &serve.addr.to_string(), &[flags, &["--frames", "8"]].concat());
        serve.stop();
    }
}

/// A name that is resolved, and a Unix socket.
#[test]
fn a_server_is_found_by_name_or_by_path() {
    let serve = echo(&[]);
    ends_with(0, &format!("localhost:{}", serve.addr.port()), &["--frames", "40"]);
    serve.stop();
    let addr = format!("unix:{}", file("socket").display());
    let serve = Program::start(&["serve", &addr, "--echo", "--print", "none"]);
    assert_eq!(serve.out_line(), format!("listening on {addr}"));
    ends_with(0, &addr, &["--frames", "40"]);
    serve.signal(Signal::TERM);
    assert_eq!(serve.end().code, 0);
}

#[test]
fn a_server_is_loaded_over_tls() {
    let (folder, authority) = (Folder::new("program-load-tls"), Authority::new("an authority"));
    let ca = folder.file("ca.pem", &authority.pem());
    let [certificate, key] = folder.files("server", &authority.server());
    let [own, own_key] = folder.files("client", &authority.client("a client"));
    let serve = echo(&["--tls-cert", &certificate, "--tls-key", &key, "--tls-client-ca", &ca]);
    let addr = serve.addr.to_string();
    let shows = ["--tls", "--tls-ca", &ca, "--tls-cert", &own, "--tls-key", &own_key, "--frames", "400"];
    let ran = ends_with(0, &addr, &shows);
    assert!(ran.text().starts_with("every byte of 400 frames verified"), "{}", ran.text());
    ends_with(0, &addr, &[&shows[..], &["--tls-name", "localhost"]].concat());

    // What fails says what would help.
    let misnamed = ends_with(1, &addr, &[&shows[..], &["--tls-name", "elsewhere"]].concat());
    assert!(misnamed.err.contains("use --tls-name NAME"), "{}", misnamed.err);
    let shown_none = ends_with(1, &addr, &["--tls", "--tls-ca", &ca, "--frames", "400"]);
    assert!(shown_none.err.contains("use --tls-cert FILE"), "{}", shown_none.err);
    let alone = run(&["load", &addr, "--tls-ca", &ca], b"");
    assert!(alone.code == 2 && alone.err.contains("--tls"), "{}", alone.err);
    serve.stop();
}

#[test]
fn an_open_loop_shows_the_rate_and_both_times() {
    let serve = echo(&[]);
    let flags = ["--rate", "500", "--seconds", "1", "--warm-up", "0.2", "--poisson", "--threads", "2"];
    let ran = run(&[&["load", &serve.addr.to_string(), "--max-send-lag", "60"], &flags[..]].concat(), b"");
    // This machine may be too busy for the rate, and then it says so.
    assert!([0, 10].contains(&ran.code), "{}", ran.text());
    for part in
        ["open loop, at random times", "500 frames/s asked for", "response    p50", "service     p50", "send lag"]
    {
        assert!(ran.text().contains(part), "{part}: {}", ran.text());
    }
    serve.stop();
}

#[test]
fn what_clients_send_each_other_is_verified() {
    let serve = Serve::start_as_it_is(&["--broadcast", "--print", "none"]);
    let flags = ["--reply", "push", "--payload", "64", "--rate", "400", "--frames", "200", "--slow-readers", "1"];
    let ran = ends_with(0, &serve.addr.to_string(), &flags);
    assert!(ran.text().contains("deliveries verified, in order, on 4 connections"), "{}", ran.text());
    serve.stop();
}

#[test]
fn chaos_is_no_fault() {
    let serve = echo(&["--stats", "60"]);
    let flags = [
        "--connections",
        "12",
        "--split",
        "--slow-readers",
        "2",
        "--reset",
        "3",
        "--half-close",
        "3",
        "--seconds",
        "1",
    ];
    let ran = run(&[&["load", &serve.addr.to_string()], &flags[..]].concat(), b"");
    assert_eq!(ran.code, 0, "{}{}", ran.text(), ran.err);
    assert!(ran.text().contains("3 broken off by us, 3 half-closed by us, 2 slow readers, as asked"), "{}", ran.text());
    let served = serve.stop();
    assert!(served.err.contains("reset 3"), "{}", served.err);
}

#[test]
fn each_outcome_has_its_exit_code() {
    let serve = echo(&[]);
    let addr = serve.addr.to_string();
    ends_with(0, &addr, &["--frames", "40", "--expect", "errors=0", "--expect", "p99<60s"]);
    let missed = ends_with(9, &addr, &["--frames", "40", "--expect", "p99<1ns"]);
    assert!(missed.text().starts_with("EXPECTATION MISSED"), "{}", missed.text());
    let late = ends_with(10, &addr, &["--rate", "100M", "--in-flight", "1", "--seconds", "0.5"]);
    assert!(late.text().starts_with("NOT MEASURED AS ASKED"), "{}", late.text());
    serve.stop();

    // A server that answers nothing.
    let silent = Serve::start_as_it_is(&["--print", "none"]);
    let wrong = ends_with(8, &silent.addr.to_string(), &["--seconds", "0.3", "--drain", "0.3"]);
    assert!(wrong.text().starts_with("WRONG") && wrong.text().contains("16 frames did not come"), "{}", wrong.text());
    silent.stop();

    let full = echo(&["--max-connections", "1"]);
    let occupied = full.connect();
    let refused = ends_with(7, &full.addr.to_string(), &["--frames", "40"]);
    assert!(refused.err.contains("refused: 1 connections are served already"), "{}", refused.err);
    drop(occupied);
    full.stop();
    let gone = ends_with(1, "127.0.0.1:1", &["--frames", "40"]);
    assert!(gone.err.contains("not one of 4 connections could be made: Connection refused"), "{}", gone.err);
}

#[test]
fn wrong_flags_are_told_in_words() {
    let cases: [(&[&str], &str); 18] = [
        (&["--expect", "p99<=baseline*1.1"], "--expect 'p99<=baseline*1.1' needs --baseline"),
        (&["--find-knee", "p99<baseline"], "--find-knee needs an expectation without baseline"),
        (&["--find-knee", "p99<5ms", "--rate", "10"], "cannot be used with"),
        (&["--sweep", "rate=5"], "write it as in rate=10k..200k*1.5"),
        (&["--sweep", "rate=5..9+1", "--rate", "5"], "--sweep rate=5..9+1 and --rate do not go together"),
        (&["--runs", "51"], "a number of runs, 1 to 50"),
        (&["--rate", "0"], "write a number a second, above 0"),
        (&["--rate", "5", "--closed"], "cannot be used with"),
        (&["--payload", "uniform:9..3"], "the least is above the greatest"),
        (&["--expect", "p98<5ms"], "the measures are p50"),
        (&["--expect", "p99<5"], "write a time with its unit"),
        (&["--expect", "rate>=0.99"], "an expectation of the rate needs a rate that is asked for"),
        (&["--reset", "64"], "64 connections are to read slowly or to end early, of 64 in all"),
        (&["--reply", "push", "--payload", "8"], "32 bytes are needed, and 8 are asked for"),
        (&["--format", "u8", "--payload", "256"], "format u8: a limit of 256 bytes"),
        (&["--shard", "4/4", "--start-at", "1"], "the number is not below how many there are"),
        (&["--shard", "0/4"], "--start-at"),
        (&["--start-at", "1767225600000"], "write seconds from 1970 on"),
    ];
    for (flags, expected) in cases {
        let ran = run(&[&["load", "127.0.0.1:1"], flags].concat(), b"");
        assert_eq!(ran.code, 2, "{flags:?}: {}", ran.err);
        assert!(ran.err.contains(expected) && ran.err.lines().count() == 1, "{flags:?}: {}", ran.err);
    }
}

/// As its published schema says, and read back.
#[track_caller]
fn is_valid(json: &str) -> Results {
    let schema = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/load.schema.json")).unwrap();
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let value: Value = serde_json::from_str(json).unwrap();
    // Of two forms, which of them the errors are about has to be said.
    let form = if value.get("runs").is_some() { "results" } else { "outcome" };
    let schema = serde_json::json!({ "$ref": format!("#/$defs/{form}"), "$defs": schema["$defs"] });
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<_> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}");
    let results = load::results_from_json(json).unwrap();
    assert!(json.trim_end() == load::results_json(&results), "it is written as it was read");
    results
}

/// What is published of the JSON holds, and the program reads it back.
#[test]
fn the_json_is_what_its_schema_says() {
    let check = |json: &str| {
        is_valid(json);
        let outcome = load::from_json(json).unwrap();
        assert!(json.trim_end() == load::json(&outcome), "it is written as it was read");
        outcome
    };
    let serve = echo(&[]);
    let (addr, path) = (serve.addr.to_string(), file("json"));
    let ran = ends_with(0, &addr, &["--frames", "400", "--json", path.to_str().unwrap(), "--expect", "p99<60s"]);
    let outcome = check(&std::fs::read_to_string(&path).unwrap());
    assert_eq!(format!("{}\n", load::text(&outcome)), ran.text());
    assert_eq!((outcome.frames_verified, outcome.origin.command[1].as_str()), (400, "load"));

    let ran = run(&["load", &addr, "--rate", "500", "--seconds", "0.5", "--max-send-lag", "60", "--json", "-"], b"");
    let outcome = check(ran.text());
    assert!(ran.err.contains("frames verified") && outcome.rate_asked == Some(500.0), "{}", ran.err);
    serve.stop();

    let silent = Serve::start_as_it_is(&["--print", "none"]);
    let ran = ends_with(8, &silent.addr.to_string(), &["--seconds", "0.3", "--drain", "0.3", "--json", "-"]);
    let outcome = check(ran.text());
    assert_eq!((outcome.fault_count, outcome.response_ns.quantile(0.5)), (4, None));
    silent.stop();
}

/// Two processes make one load, and what they wrote is merged.
#[test]
fn shards_make_one_load_and_are_merged() {
    let serve = echo(&[]);
    let (addr, soon) = (serve.addr.to_string(), std::time::SystemTime::now() + std::time::Duration::from_secs(2));
    let soon = soon.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64().to_string();
    let paths = [file("shard-0"), file("shard-1")];
    let shards = paths.each_ref().map(|path| {
        let number = path.to_str().unwrap().split("shard-").nth(1).unwrap().chars().next().unwrap();
        let shard = format!("{number}/2");
        let flags = ["--rate", "1000", "--seconds", "1", "--connections", "4", "--expect", "p99<1ns"];
        let asked = ["--max-send-lag", "60", "--shard", &shard, "--start-at", &soon, "--json", path.to_str().unwrap()];
        Program::start(&[&["load", &addr][..], &flags, &asked].concat())
    });
    for shard in shards {
        let ran = shard.end();
        assert_eq!(ran.code, 0, "{}{}", ran.text(), ran.err);
        assert!(ran.text().contains("; what is expected is judged when all are merged\n"), "{}", ran.text());
    }
    let [first, second] = paths.each_ref().map(|path| path.to_str().unwrap());
    let merged = run(&["load", "merge", "--json", "-", second, first], b"");
    assert_eq!(merged.code, 9, "{}", merged.err);
    let outcome = load::from_json(merged.text()).unwrap();
    assert_eq!((outcome.frames_due, outcome.plan.shard, outcome.connections_held), (1000, None, 4));
    assert!(merged.err.starts_with("EXPECTATION MISSED; every byte of ") && merged.err.contains("2 shards of run "));

    let missing = run(&["load", "merge", first], b"");
    assert_eq!(missing.code, 1);
    assert_eq!(missing.err, "unstick: 1 of 2 shards are there: missing 1\n");
    let late = ends_with(11, &addr, &["--start-at", "1"]);
    assert!(late.err.contains(" too late for the start: a later --start-at leaves time"), "{}", late.err);
    serve.stop();
}

/// The variables of a job are for loads that share a start; of another one they change nothing, which it says.
#[test]
fn the_environment_makes_no_shard_of_a_load_that_does_not_ask_for_it() {
    let serve = echo(&[]);
    let mut command = crate::harness::command(&["load", &serve.addr.to_string(), "--frames", "400"]);
    let ran = Program::spawn({
        command.envs([("SLURM_PROCID", "1"), ("SLURM_NTASKS", "4")]);
        command
    });
    let ran = ran.end();
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.text().starts_with("every byte of 400 frames"), "{}", ran.text());
    assert_eq!(ran.err, "unstick: SLURM_NTASKS is 4, but this is a load of its own; --start-at makes one of all\n");
    serve.stop();
}

#[test]
fn runs_are_compared_with_earlier_ones() {
    let serve = echo(&[]);
    let (addr, old, new) = (serve.addr.to_string(), file("old"), file("new"));
    let (old, new) = (old.to_str().unwrap(), new.to_str().unwrap());
    let ran = ends_with(0, &addr, &["--frames", "400", "--runs", "5", "--json", old]);
    assert!(
        ran.text().starts_with("2,000 frames verified, in 5 runs\n") && ran.err.lines().count() == 5,
        "{}",
        ran.text()
    );
    assert_eq!(is_valid(&std::fs::read_to_string(old).unwrap()).runs.len(), 5);

    // As many runs as the baseline has.
    let beside = ["--frames", "400", "--baseline", old, "--json", new, "--expect"];
    let met = ends_with(0, &addr, &[&beside[..], &["p99<=baseline*1000000"]].concat());
    assert!(met.text().starts_with("5 runs, beside 5 before: "), "{}", met.text());
    let results = is_valid(&std::fs::read_to_string(new).unwrap());
    assert_eq!((results.runs.len(), results.baseline.len()), (5, 5));
    assert!(results.comparison.unwrap().differences.iter().any(|difference| difference.measure == "p99"));
    let missed = ends_with(9, &addr, &[&beside[..], &["p99<=baseline*0.000001"]].concat());
    assert!(missed.text().contains("p99<=baseline*0.000001 was expected, and it was "), "{}", missed.text());

    // The same of files.
    let compare = |code: i32, args: &[&str]| {
        let ran = run(&[&["load", "compare"], args].concat(), b"");
        assert_eq!(ran.code, code, "{args:?}: {}{}", ran.text(), ran.err);
        ran
    };
    let compared = compare(0, &[old, "--", new]);
    assert!(compared.text().starts_with("5 runs, beside 5 before: "), "{}", compared.text());
    compare(9, &["--expect", "p50<=baseline*0.000001", old, old, "--", new]);
    let json = compare(0, &["--json", "-", old, "--", new, new]);
    assert_eq!(is_valid(json.text()).runs.len(), 10);

    let other = ends_with(2, &addr, &["--frames", "800", "--baseline", old]);
    assert!(other.err.contains("frames is 400 before, and 800 after"), "{}", other.err);
    // A run that was wrong is no baseline, and that is said before anything is sent.
    let silent = Serve::start_as_it_is(&["--print", "none"]);
    let wrong = ["--frames", "40", "--drain", "0.1", "--json", new];
    ends_with(8, &silent.addr.to_string(), &wrong);
    silent.stop();
    let unusable = ends_with(2, &addr, &["--frames", "40", "--baseline", new]);
    assert!(unusable.err.contains("--baseline: run 1 of those before was wrong"), "{}", unusable.err);
    let none = ends_with(1, &addr, &["--frames", "400", "--baseline", "/nowhere/old.json"]);
    assert!(none.err.contains("cannot read /nowhere/old.json"), "{}", none.err);
    std::fs::write(new, "{}").unwrap();
    let none = compare(1, &[old, "--", new]);
    assert!(none.err.contains("not what unstick load --json writes: missing field"), "{}", none.err);
    assert!(compare(2, &[old]).err.contains("AFTER"));
    assert!(compare(2, &["--expect", "p99<5ms", old, "--", old]).err.contains("write it as in p99<=baseline*1.1"));
    serve.stop();
}

#[test]
fn a_knee_is_found_and_values_are_swept() {
    let serve = echo(&[]);
    let addr = serve.addr.to_string();
    // One frame in flight at a time: no rate is too high for that to be measured soon.
    let flags = ["--find-knee", "p99<60s", "--seconds", "0.1", "--connections", "1", "--in-flight", "1", "--json", "-"];
    let ran = run(&[&["load", &addr], &flags[..]].concat(), b"");
    // This machine may be too busy for any rate, and then it says so.
    assert!([0, 10].contains(&ran.code), "{}", ran.err);
    let curve = is_valid(ran.text()).curve.unwrap();
    assert!(curve.swept == Swept::Rate && curve.knee.is_some() == (ran.code == 0), "{}", ran.err);
    assert!(ran.err.contains("the knee is at ") || ran.err.contains("no knee was "), "{}", ran.err);

    let path = file("curve");
    let path = path.to_str().unwrap();
    let ran = ends_with(0, &addr, &["--sweep", "connections=1..4*2", "--frames", "40", "--json", path]);
    assert!(ran.text().starts_with("no knee up to 4 connections, the most that was tried: "), "{}", ran.text());
    let results = is_valid(&std::fs::read_to_string(path).unwrap());
    assert_eq!((results.verdict, results.curve.unwrap().points.len()), (Verdict::Verified, 3));
    let curve = ends_with(2, &addr, &["--frames", "40", "--baseline", path]);
    assert!(curve.err.contains("it has no runs of one plan"), "{}", curve.err);
    let missed = ends_with(9, &addr, &["--sweep", "connections=1..2+1", "--frames", "40", "--expect", "p99<1ns"]);
    assert!(missed.text().starts_with("EXPECTATION MISSED; no knee was found, down to 1 conn"), "{}", missed.text());
    serve.stop();
}

#[test]
fn an_output_that_cannot_be_written_costs_only_itself() {
    let serve = echo(&[]);
    let ran = ends_with(1, &serve.addr.to_string(), &["--frames", "40", "--json", "/nowhere/load.json"]);
    assert!(ran.text().starts_with("every byte of 40 frames verified"), "{}", ran.text());
    let told: Vec<&str> = ran.err.lines().collect();
    assert!(told[0].contains("/nowhere/load.json") && told[0].ends_with("all else goes on without it"), "{}", ran.err);
    serve.stop();
}

#[test]
fn ctrl_c_keeps_what_was_measured() {
    let serve = echo(&[]);
    let mut flags = vec!["load", "", "--seconds", "600", "--connections", "2"];
    let addr = serve.addr.to_string();
    flags[1] = &addr;
    let load = Program::start(&flags);
    serve.program.err_line_with("connected");
    std::thread::sleep(std::time::Duration::from_millis(300));
    load.signal(Signal::INT);
    let ran = load.end();
    assert_eq!(ran.code, 130, "{}{}", ran.text(), ran.err);
    assert!(ran.text().starts_with("INCOMPLETE: interrupted after "), "{}", ran.text());
    assert!(ran.err.contains("stopping: finishing what is in flight"), "{}", ran.err);
    serve.stop();
}
