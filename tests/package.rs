//! What a user of the crate gets: the crates that a feature pulls in, and the files of the package.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use serde_json::Value;

/// How many other crates each feature alone pulls in, on Linux.
const CRATES: [(&str, usize); 10] = [
    ("", 0),
    ("std", 0),
    ("testing", 0),
    ("futures", 4),
    ("tokio-codec", 7),
    ("client", 25),
    ("server", 24),
    ("net", 28),
    ("tracing", 27),
    ("cli", 71),
];

fn cargo(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO")).current_dir(env!("CARGO_MANIFEST_DIR")).args(args).output();
    let output = output.expect("cargo runs");
    assert!(output.status.success(), "cargo {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn a_feature_pulls_in_what_it_needs_and_no_more() {
    for (feature, count) in CRATES {
        let tree = cargo(&[
            "tree",
            "--locked",
            "--package=unstick",
            "--target=x86_64-unknown-linux-gnu",
            "--edges=normal",
            "--prefix=none",
            "--no-dedupe",
            "--no-default-features",
            &format!("--features={feature}"),
        ]);
        let crates: BTreeSet<&str> = tree.lines().filter(|line| !line.starts_with("unstick ")).collect();
        assert_eq!(crates.len(), count, "feature {feature:?}: {crates:#?}");
    }
}

#[test]
fn every_feature_is_counted_and_documented() {
    let metadata: Value = serde_json::from_str(&cargo(&["metadata", "--no-deps", "--format-version=1"])).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let unstick = packages.iter().find(|package| package["name"] == "unstick").expect("this crate");
    let docs = fs::read_to_string("src/lib.rs").expect("the crate's docs");
    for feature in unstick["features"].as_object().expect("features").keys().filter(|name| *name != "default") {
        assert!(CRATES.iter().any(|(name, _)| name == feature), "how many crates does {feature} pull in?");
        assert!(docs.contains(&format!("//! - `{feature}`")), "src/lib.rs does not say what {feature} is");
    }
}
