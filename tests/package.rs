//! What a user of the crate gets: the crates that a feature pulls in, and the files of the package.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// How many other crates each feature alone pulls in, on Linux.
const CRATES: [(&str, usize); 14] = [
    ("", 0),
    ("std", 0),
    ("testing", 0),
    ("futures", 4),
    ("tokio-codec", 7),
    ("client", 25),
    ("server", 35),
    ("net", 35),
    ("tls", 11),
    ("tracing", 38),
    ("load", 28),
    ("trace", 17),
    ("live", 54),
    ("cli", 154),
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
        // A user of TLS chooses the crypto provider; only the program has one.
        let providers = crates.iter().filter(|name| name.starts_with("ring ") || name.starts_with("aws-lc"));
        assert_eq!(providers.count(), usize::from(feature == "cli"), "feature {feature:?}: {crates:#?}");
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

/// RUSTSEC-2026-0007: before 1.11.1 `bytes` lets safe code reach memory that is not its own. No manifest allows such a version.
#[test]
fn bytes_rustsec_2026_0007_no_manifest_allows_bytes_before_1_11_1() {
    let mut count = 0;
    for manifest in ["Cargo.toml", "xtask/Cargo.toml", "tests/fast/Cargo.toml", "fuzz/Cargo.toml"] {
        let text = fs::read_to_string(manifest).expect("a manifest");
        for line in text.lines().filter(|line| line.starts_with("bytes = ")) {
            let version = line.split('"').nth(1).expect("a version");
            let numbers: Vec<u32> = version.split('.').map(|number| number.parse().expect("a number")).collect();
            assert!(numbers >= vec![1, 11, 1], "{manifest}: {line}");
            count += 1;
        }
    }
    assert_eq!(count, 5, "our dependency, the one of our tests, and three workshops'");
}

/// The files of the package, relative to its top.
fn packaged() -> BTreeSet<String> {
    cargo(&["package", "--list", "--allow-dirty", "--package=unstick"])
        .lines()
        .map(|line| line.replace('\\', "/"))
        .collect()
}

#[test]
fn the_package_has_what_a_user_needs_and_nothing_of_the_workshop() {
    let files = packaged();
    let tops: BTreeSet<&str> = files.iter().filter_map(|file| file.split('/').next()).collect();
    let allowed = [
        ".cargo_vcs_info.json",
        "ARCHITECTURE.md",
        "BENCHMARKS.md",
        "CHANGELOG.md",
        "Cargo.lock",
        "Cargo.toml",
        "Cargo.toml.orig",
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "PROOF.md",
        "README.md",
        "benches",
        "docs",
        "examples",
        "src",
        "tests",
    ];
    let strange: Vec<_> = tops.iter().filter(|top| !allowed.contains(top)).collect();
    assert!(strange.is_empty(), "{strange:?}");
    for needed in [
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "README.md",
        "CHANGELOG.md",
        "src/lib.rs",
        "src/bin/unstick/main.rs",
        "docs/load.schema.json",
        "docs/trace.schema.json",
    ] {
        assert!(files.contains(needed), "{needed} is missing");
    }
    let ours = ["tests/fast/", "tests/fuzz_corpus.rs", "tests/house.rs", "tests/package.rs"];
    let strays: Vec<_> = files.iter().filter(|file| ours.iter().any(|ours| file.starts_with(ours))).collect();
    assert!(strays.is_empty(), "{strays:?}");
}

/// A link to a file that is not in the package leads nowhere for a user of the package.
#[test]
fn links_between_documents_lead_to_files_of_the_package() {
    let files = packaged();
    let mut count = 0;
    for page in files.iter().filter(|file| file.ends_with(".md")) {
        let text = fs::read_to_string(page).expect("a page");
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().expect("a first part");
            if file.is_empty() || file.starts_with("https://") {
                continue;
            }
            let target = Path::new(page).with_file_name(file);
            let target = target.to_str().expect("text").replace('\\', "/");
            assert!(Path::new(&target).is_file(), "{page}: no file {link}");
            assert!(files.contains(&target), "{page}: {link} is not in the package");
            count += 1;
        }
    }
    assert!(count >= 8, "{count} links");
}

/// The README's programs compile as they are pasted, each with the dependency lines before it.
#[test]
fn the_programs_of_the_readme_compile_as_pasted() {
    let readme = fs::read_to_string("README.md").expect("the page");
    let root = fs::canonicalize(".").expect("this crate");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("readme");
    let mut count = 0;
    for part in readme.split("```toml\n").skip(1) {
        let (dependencies, rest) = part.split_once("```\n```rust\n").expect("a program after the dependency lines");
        let (program, _) = rest.split_once("```\n").expect("its end");
        fs::create_dir_all(folder.join("src")).expect("a folder");
        let manifest = format!(
            "[package]\nname = \"pasted\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[dependencies]\n{dependencies}\n\
             [patch.crates-io]\nunstick = {{ path = {root:?} }}\n\n[workspace]\n"
        );
        fs::write(folder.join("Cargo.toml"), manifest).expect("written");
        fs::write(folder.join("src/main.rs"), program).expect("written");
        fs::copy("Cargo.lock", folder.join("Cargo.lock")).expect("copied");
        let manifest = folder.join("Cargo.toml");
        cargo(&["check", "--quiet", "--offline", "--manifest-path", manifest.to_str().expect("text")]);
        count += 1;
    }
    assert_eq!(count, 2, "programs");
    assert_eq!(readme.matches("```rust\n").count(), count, "each with its dependency lines");
    assert!(readme.lines().count() <= 150, "it is short");
}
