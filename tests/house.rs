//! Rules about the source code that only the source can show.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use unstick::framing::{DEFAULT_MAX_PAYLOAD_LEN, Header};
use unstick::{ClientConfig, ExpectedGreeting, Greeting, ServerConfig};

fn source(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn files_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files_below(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// A source without its tests, which come last.
fn code_of(file: &Path) -> String {
    let text = fs::read_to_string(file).expect("text");
    text.split("\nmod tests {").next().expect("some of it").to_owned()
}

/// Invariant 10. The compiler holds it as long as this line stands.
#[test]
fn unsafe_code_is_forbidden() {
    assert!(source("src/lib.rs").lines().any(|line| line == "#![forbid(unsafe_code)]"));
}

/// Without features, and with `std` alone, the crate has no dependency: each is optional, and `std` names none.
#[test]
fn the_core_and_the_adapters_for_std_have_no_dependency() {
    let manifest = source("Cargo.toml");
    let (_, features) = manifest.split_once("[features]\n").expect("the features");
    assert!(features.lines().any(|line| line == "std = []"));
    let (_, dependencies) = manifest.split_once("[dependencies]\n").expect("the dependencies");
    let dependencies: Vec<_> = dependencies.lines().take_while(|line| !line.is_empty()).collect();
    assert!(dependencies.len() > 10 && dependencies.iter().all(|line| line.contains("optional = true")), "{manifest}");
}

/// Every error of the library is tested in tests/errors.rs, for what it says and for its cause: one that is new belongs
/// there, too.
#[test]
fn every_error_is_one_of_those_that_are_tested() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    files_below(&root, &mut files);
    let mut errors = Vec::new();
    for file in files.iter().filter(|file| !file.starts_with(root.join("bin"))) {
        let text = fs::read_to_string(file).expect("a file of ours");
        let implemented = text.lines().filter_map(|line| line.strip_prefix("impl ")?.split_once(" for "));
        let is_error = |what: &str| what.rsplit("::").next() == Some("Error");
        let named = implemented.filter(|(what, _)| is_error(what)).filter_map(|(_, name)| name.split(' ').next());
        errors.extend(named.map(str::to_owned));
    }
    errors.sort();
    // Not public: what `Server::bind` says of a greeting or refusal, tested in end_to_end/limits.rs.
    let private = ["Unfit"];
    let framing = ["DecodeError", "EncodeError", "Fault", "FormatError", "SpecError"];
    let above = [
        "CallError",
        "ConnectError",
        "Failure",
        "HandshakeError",
        "PushError",
        "ReadError",
        "RecvError",
        "Violation",
        "WriteError",
    ];
    let load = ["CompareError", "MergeError", "PlanError", "RunError"];
    let trace = ["DissectorError", "LiveError", "TraceError"];
    let mut tested = [&private[..], &framing, &above, &load, &trace].concat();
    tested.sort_unstable();
    assert_eq!(errors, tested);
}

/// Invariant 8: the core, the adapters and what serves a connection ask no clock, no timer, no runtime and no socket,
/// so that a simulated network and clock can drive them. For deadlines, the time is an argument; of the
/// whole server one file asks the system for it, and for threads. Nothing is left to chance: what two runs of a
/// simulation give is the same.
#[test]
fn what_serves_a_connection_knows_no_clock() {
    const TIME: [&str; 4] = ["Instant::now", "SystemTime", "Timer", "std::thread"];
    /// What gives something else in every process.
    const CHANCE: [&str; 4] = ["HashMap", "HashSet", "RandomState", "rand::"];
    const WORLD: [&str; 4] = ["smol", "async_net", "TcpStream", "TcpListener"];
    /// What accepts, what runs tasks on threads, and what sockets are to the rest.
    const KNOW_THE_WORLD: [&str; 8] = [
        "accept.rs",
        "serve.rs",
        "simulate.rs",
        "worker.rs",
        "transport/epoll.rs",
        "transport/listener.rs",
        "transport/portable.rs",
        "transport/stream.rs",
    ];
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let below = |name: &str| {
        let mut files = Vec::new();
        files_below(&root.join(name), &mut files);
        assert!(files.len() > 10, "{files:?}");
        files
    };
    let check = |file: &Path, words: &[&str]| {
        let code = code_of(file);
        for (index, line) in code.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
            for word in words {
                assert!(!line.contains(word), "{}:{}: {word}", file.display(), index + 1);
            }
        }
    };
    for file in below("framing").into_iter().chain(below("adapters")) {
        check(&file, &[&TIME[..], &WORLD, &CHANCE, &["std::time", "Instant"]].concat());
    }
    let mut know_the_world = 0;
    for file in below("server") {
        match file.strip_prefix(root.join("server")).expect("one of its files").to_str() {
            Some("system.rs") => check(&file, &CHANCE),
            Some(name) if KNOW_THE_WORLD.contains(&name) => {
                know_the_world += 1;
                check(&file, &[TIME, CHANCE].concat());
            }
            _ => check(&file, &[TIME, CHANCE, WORLD].concat()),
        }
    }
    assert_eq!(know_the_world, KNOW_THE_WORLD.len(), "each of them is there");
}

/// What a feature brings is chosen where modules are named, and nowhere else: each file is compiled whole or not at
/// all. The core is the same with any features.
#[test]
fn features_are_asked_for_at_module_doors_only() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    files_below(&root.join("src"), &mut files);
    for file in files {
        let name = file.strip_prefix(root).expect("a file of ours");
        let is_door = name.ends_with("mod.rs") || name == Path::new("src/lib.rs");
        if is_door && !name.starts_with("src/framing") {
            continue;
        }
        let text = fs::read_to_string(&file).expect("text");
        for (index, line) in text.lines().enumerate() {
            let asks =
                ["cfg(", "cfg_attr(", "cfg!("].iter().any(|ask| line.contains(ask)) && line.contains("feature =");
            assert!(!asks, "{}:{}: {line}", name.display(), index + 1);
        }
    }
}

/// Frames of a slice are read without an allocation, also if they fail: the file names nothing that allocates.
#[test]
fn frames_of_a_slice_name_no_allocation() {
    let text = source("src/framing/slice.rs");
    let code: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    for word in ["alloc", "Box", "Vec", "String", "format!", "to_vec", "to_owned", "DecodeError::from"] {
        assert!(!code.iter().any(|line| line.contains(word)), "src/framing/slice.rs: {word}");
    }
}

/// Which files of a folder below `src` use which others; a folder in it counts as one file. `mod.rs` does not count: a
/// file that uses one of its re-exports uses the file where the item is defined.
fn imports(folder: &str) -> BTreeMap<String, BTreeSet<String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(folder);
    let mut files = Vec::new();
    files_below(&root, &mut files);
    // What each name of the door is, or comes from.
    let mut comes_from = BTreeMap::new();
    for (module, names) in
        used(&code_of(&root.join("mod.rs")), "self::").iter().filter_map(|path| path.split_once("::"))
    {
        for name in names.trim_matches(['{', '}']).split(',') {
            comes_from.insert(name.trim().to_owned(), module.to_owned());
        }
    }
    let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in files {
        let name = file.strip_prefix(&root).expect("a file of the folder").with_extension("");
        let depth = name.components().count();
        let is_top = depth == 1 || (depth == 2 && name.ends_with("mod"));
        let unit = name.components().next().expect("a name").as_os_str().to_string_lossy().into_owned();
        if unit == "mod" {
            continue;
        }
        let code = code_of(&file);
        let mut paths = used(&code, &format!("crate::{folder}::"));
        if is_top {
            paths.extend(used(&code, "super::"));
        }
        let names = paths.iter().flat_map(|path| match path.strip_prefix('{') {
            Some(several) => several.trim_end_matches('}').split(',').map(str::trim).collect(),
            None => vec![path.as_str()],
        });
        let names = names.filter_map(|name| name.split([':', ' ']).next()).filter(|name| !name.is_empty());
        let used = uses.entry(unit.clone()).or_default();
        used.extend(names.map(|name| comes_from.get(name).cloned().unwrap_or_else(|| name.into())));
        used.remove(&unit);
    }
    uses
}

/// What a file uses below this path: the rest of each such `use`.
fn used(code: &str, path: &str) -> Vec<String> {
    let uses = code.lines().scan(0, |at, line| {
        let start = *at;
        *at += line.len() + 1;
        Some((start, line.trim_start()))
    });
    let uses = uses.filter(|(_, line)| line.starts_with("use ") || line.starts_with("pub"));
    let statements = uses.filter_map(|(start, _)| code[start..].split(';').next()?.split_once("use "));
    statements.filter_map(|(_, used)| Some(used.strip_prefix(path)?.replace('\n', " "))).collect()
}

/// All that a file uses, and what that uses.
fn below(uses: &BTreeMap<String, BTreeSet<String>>, unit: &str) -> BTreeSet<String> {
    let mut below = BTreeSet::new();
    let mut new = vec![unit.to_owned()];
    while let Some(unit) = new.pop() {
        let used = uses.get(&unit).unwrap_or_else(|| panic!("{unit} is no file of the folder"));
        new.extend(used.iter().filter(|used| below.insert((*used).clone())).cloned());
    }
    below
}

/// A file of the core or of the server, or a folder with its files, uses those below it and never, by whatever way,
/// itself.
#[test]
fn nothing_goes_round_in_a_circle_of_imports() {
    let (framing, server, load) = (imports("framing"), imports("server"), imports("load"));
    let trace = imports("trace");
    for (folder, uses, upper_and_lower) in [
        (
            "load",
            &load,
            [
                ("run", "worker"),
                ("worker", "connection"),
                ("connection", "check"),
                ("check", "pattern"),
                ("meter", "times"),
            ],
        ),
        (
            "trace",
            &trace,
            [
                ("build", "segments"),
                ("segments", "reassembly"),
                ("connection", "tcp"),
                ("frames", "bytes"),
                ("file", "packet"),
            ],
        ),
        (
            "framing",
            &framing,
            [
                ("header", "error"),
                ("format", "header"),
                ("slice", "format"),
                ("decoder", "slice"),
                ("encoder", "format"),
            ],
        ),
        (
            "server",
            &server,
            [
                ("serve", "accept"),
                ("accept", "worker"),
                ("worker", "connection"),
                ("connection", "input"),
                ("shared", "config"),
            ],
        ),
    ] {
        for unit in uses.keys() {
            assert!(!below(uses, unit).contains(unit), "{folder}/{unit} uses itself, by way of {:?}", uses[unit]);
        }
        for (upper, lower) in upper_and_lower {
            let below = below(uses, upper);
            assert!(below.contains(lower), "{folder}/{upper} uses {lower}: {below:?}");
        }
    }
    assert_eq!(below(&framing, "error"), BTreeSet::new(), "errors use nothing");
    assert_eq!(below(&server, "clock"), BTreeSet::new(), "a clock asks nobody");
}

/// A limit has two places: `ServerConfig`, and the row of the map that says where it is kept and which attacks test it.
#[test]
fn every_limit_is_in_the_map() {
    let (config, map) = (source("src/server/config.rs"), source("ARCHITECTURE.md"));
    let (_, table) = map.split_once("## Where each limit lives").expect("its section");
    let (_, fields) = config.split_once("pub struct ServerConfig").expect("the configuration");
    let fields = fields.lines().skip(1).take_while(|line| *line != "}");
    let names = fields.filter_map(|line| line.trim_start().strip_prefix("pub ")?.split(':').next());
    let no_limit = ["format", "greeting", "refusal", "backlog", "threads"];
    let limits: Vec<&str> = names.filter(|name| !no_limit.contains(name)).collect();
    assert!(limits.len() > 10, "{limits:?}");
    let rows = table.lines().take_while(|line| !line.starts_with("## ")).filter(|line| line.starts_with('|'));
    let named: String = rows.filter_map(|row| row.split('|').nth(1)).collect();
    for limit in limits {
        assert!(named.contains(&format!("`{limit}`")), "ARCHITECTURE.md does not say where {limit} lives");
    }
}

/// The docs and the README have the same worst case.
#[test]
fn the_readme_knows_the_worst_case() {
    let config = source("src/server/config.rs");
    let (_, worst_case) = config.split_once("# The worst case").expect("a heading");
    let formula = worst_case.split('`').nth(1).expect("a formula");
    assert!(formula.starts_with("memory_budget + "), "{formula}");
    assert!(source("README.md").contains(&format!("`{formula}`")), "README.md does not say {formula}");
}

/// Invariant 9: what a configuration limits, its documentation says with the default, and that is the default.
#[test]
fn every_limit_has_a_default_that_is_documented() {
    let server = ServerConfig::default();
    assert_eq!(server.format.max_payload_len(), DEFAULT_MAX_PAYLOAD_LEN);
    assert_eq!(DEFAULT_MAX_PAYLOAD_LEN, 1 << 20);
    assert_eq!((server.backlog, server.threads, server.drain_timeout), (1024, 1, Duration::from_secs(10)));
    let timeouts = [server.first_frame_timeout, server.frame_timeout, server.idle_timeout, server.write_timeout];
    let seconds = |n| Some(Duration::from_secs(n));
    assert_eq!(timeouts, [seconds(60), seconds(10), None, seconds(10)]);
    assert_eq!((server.keepalive, server.min_rate), (seconds(60), Some(64 << 10)));
    assert_eq!((server.high_water, server.outbox_limit, server.max_frames_per_turn), (64 << 10, 256 << 10, 1024));
    assert_eq!((server.handshake_timeout, server.max_handshakes), (Duration::from_secs(10), 256));
    assert_eq!((server.max_connections, server.memory_budget), (None, None));
    assert_eq!((server.greeting, server.refusal), (Greeting::None, Greeting::None));
    let client = ClientConfig::default();
    assert_eq!(client.format.max_payload_len(), DEFAULT_MAX_PAYLOAD_LEN);
    assert_eq!((client.connect_timeout, client.greeting), (Duration::from_secs(10), ExpectedGreeting::None));
    assert_eq!((client.call_timeout, client.recv_timeout), (seconds(10), None));
    for (file, name) in [
        ("src/server/config.rs", "pub struct ServerConfig<H = Format> {"),
        ("src/client/config.rs", "pub struct ClientConfig<H = Format> {"),
    ] {
        let text = source(file);
        let (_, fields) = text.split_once(name).expect("the configuration");
        let (fields, _) = fields.split_once("\n}").expect("its end");
        let mut docs = String::new();
        for line in fields.lines().map(str::trim) {
            if let Some(doc) = line.strip_prefix("///") {
                docs += doc;
            } else if line.starts_with("pub ") {
                assert!(docs.to_lowercase().contains("by default"), "{file}: {line} does not say its default");
                docs.clear();
            }
        }
    }
}
