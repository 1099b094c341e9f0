//! The scripts as Lua sees them.

use std::fs;
use std::process::Command;

use unstick::trace::Dissector;

use crate::formats;
use crate::tools::has;
use crate::tshark::Folder;

#[test]
fn every_script_is_lua_of_the_oldest_and_of_the_newest_version() {
    let folder = Folder::new("scripts");
    let mut scripts = Vec::new();
    for (index, format) in formats().into_iter().enumerate() {
        let path = folder.0.join(format!("{index}.lua"));
        let dissector = Dissector::new(format, "A \"quoted\" \\ name %d 协议").unwrap().port(4747);
        fs::write(&path, dissector.to_string()).unwrap();
        scripts.push(path);
    }
    for luac in ["luac5.2", "luac5.4"] {
        let is_there = has(&[luac]);
        // One by one: given several files, some builds of luac5.4 fail when they exit.
        for script in scripts.iter().filter(|_| is_there) {
            let ran = Command::new(luac).arg("-p").arg(script).output().unwrap();
            assert!(ran.status.success(), "{luac}: {}", String::from_utf8_lossy(&ran.stderr));
        }
    }
}

/// Only what all versions have: no integer division, no bit operators, no library of one version.
#[test]
fn the_script_has_plain_arithmetic_only() {
    let script = Dissector::new(unstick::framing::Format::VARINT, "xy").unwrap().to_string();
    let code: String = script.lines().map(|line| line.split("--").next().unwrap().to_owned() + "\n").collect();
    for word in
        ["//", "<<", ">>", "&", "|", "~ ", "bit32", "bit.", "goto", "math.tointeger", "utf8.", "unpack", "\\x", "\\u"]
    {
        assert!(!code.contains(word), "{word}");
    }
}
