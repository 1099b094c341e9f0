//! The pictures of docs/tcp.md are those of the recordings beside this file.

use std::fs;
use std::path::Path;

use unstick::trace::live::Scenario;
use unstick::trace::picture::Picture;

use crate::example;

const HINT: &str = "cargo xtask pictures --redraw draws it again";

#[test]
fn the_committed_pictures_are_those_of_the_recordings() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/pictures");
    for scenario in Scenario::ALL {
        let (name, title, lesson) = (scenario.name(), scenario.title(), scenario.lesson());
        let trace = example(name);
        let drawn = Picture { name, title, lesson, trace: &trace }.svg();
        let committed = fs::read_to_string(folder.join(format!("{name}.svg"))).unwrap_or_default();
        assert!(committed == drawn, "docs/pictures/{name}.svg is another picture: {HINT}");
    }
}

/// Each picture is in the lesson, in both languages; and each that is there exists.
#[test]
fn the_lesson_has_all_pictures() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    for page in ["tcp.md", "tcp.zh.md"] {
        let text = fs::read_to_string(docs.join(page)).expect("the lesson");
        let shown = text.split("](pictures/").skip(1).map(|rest| rest.split(".svg)").next().expect("a name"));
        let mut shown: Vec<&str> = shown.collect();
        let mut all = Scenario::ALL.map(Scenario::name);
        shown.sort_unstable();
        all.sort_unstable();
        assert_eq!(shown, all, "{page}");
    }
}
