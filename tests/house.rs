//! What the house promises of its own source, where only the source can say it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use unstick::framing::{DEFAULT_MAX_PAYLOAD_LEN, Header};
use unstick::{ClientConfig, ServerConfig};

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

/// Invariant 10. The compiler holds it as long as this line stands.
#[test]
fn unsafe_code_is_forbidden() {
    assert!(source("src/lib.rs").lines().any(|line| line == "#![forbid(unsafe_code)]"));
}

/// Invariant 8: the core, the adapters and what serves a connection name no clock, no timer, no runtime and no socket, so
/// that a simulated network and clock can drive them.
#[test]
fn what_serves_a_connection_knows_no_clock() {
    let mut files =
        ["read.rs", "write.rs", "queue.rs", "server/connection.rs"].map(|name| Path::new("src").join(name)).to_vec();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    files_below(&root.join("src/framing"), &mut files);
    assert!(files.len() > 10, "{files:?}");
    for file in files {
        let text = fs::read_to_string(root.join(&file)).expect("a file of ours");
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
            for word in ["std::time", "Instant", "SystemTime", "Timer", "smol", "async_net", "TcpStream"] {
                assert!(!line.contains(word), "{}:{}: {word}", file.display(), index + 1);
            }
        }
    }
}

/// Invariant 9: what a configuration limits, its documentation says with the default, and that is the default.
#[test]
fn every_limit_has_a_default_that_is_documented() {
    let server = ServerConfig::default();
    assert_eq!(server.format.max_payload_len(), DEFAULT_MAX_PAYLOAD_LEN);
    assert_eq!(DEFAULT_MAX_PAYLOAD_LEN, 1 << 20);
    assert_eq!((server.backlog, server.threads.get(), server.drain_deadline), (1024, 1, Duration::from_secs(10)));
    let client = ClientConfig::default();
    assert_eq!(client.format.max_payload_len(), DEFAULT_MAX_PAYLOAD_LEN);
    assert_eq!(client.connect_deadline, Duration::from_secs(10));
    for (file, name) in
        [("src/server/mod.rs", "pub struct ServerConfig {"), ("src/client.rs", "pub struct ClientConfig {")]
    {
        let text = source(file);
        let (_, fields) = text.split_once(name).expect("the configuration");
        let (fields, _) = fields.split_once("\n}").expect("its end");
        let mut docs = String::new();
        for line in fields.lines().map(str::trim) {
            if let Some(doc) = line.strip_prefix("///") {
                docs += doc;
            } else if line.starts_with("pub ") {
                assert!(docs.contains("by") && docs.contains("default"), "{file}: {line} does not say its default");
                docs.clear();
            }
        }
    }
}
