//! The scripts run by the oldest and by the newest Lua, with a stand-in for Wireshark, whose Lua has only one version.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use unstick::framing::Format;
use unstick::trace::Dissector;

use crate::agreement::random;
use crate::formats;
use crate::tools::has;
use crate::tshark::Folder;

#[test]
fn every_lua_finds_the_frames_of_the_decoder() {
    let folder = Folder::new("lua");
    let mut random = random();
    for format in formats() {
        let streams: Vec<Vec<u8>> = (0..200)
            .map(|mode| {
                let mask = [0x03, 0x83, 0x1F, 0xFF][mode % 4];
                let byte = |at: u64| if !at.is_multiple_of(4) { at as u8 >> 2 & mask } else { at as u8 >> 2 & 0x81 };
                (0..=random() % 700).map(|_| byte(random())).collect()
            })
            .collect();
        let expected: Vec<String> = streams.iter().map(|stream| lens(format, stream)).collect();
        let script = folder.0.join("script.lua");
        fs::write(&script, Dissector::new(format, "xy").unwrap().to_string()).unwrap();
        for lua in ["lua5.2", "lua5.4"] {
            if has(&[lua]) {
                let mut command = Command::new(lua);
                command.arg("tests/dissector/stand_in.lua").arg(&script);
                assert_eq!(run(command, &streams), expected, "{lua}: {}", format.layout());
            }
        }
    }
}

/// The lengths of the frames of a stream, up to the first error.
fn lens(format: Format, stream: &[u8]) -> String {
    let frames = format.frames(stream).map_while(Result::ok);
    frames.map(|(_, frame)| frame.as_bytes().len().to_string()).collect::<Vec<_>>().join(" ")
}

/// A line of output for each stream.
fn run(mut command: Command, streams: &[Vec<u8>]) -> Vec<String> {
    let mut lua = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut input = lua.stdin.take().unwrap();
    let lines: Vec<String> = streams
        .iter()
        .map(|stream| stream.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + "\n")
        .collect();
    // It may end before it has read all; what it says then is below.
    let writing = std::thread::spawn(move || _ = input.write_all(lines.concat().as_bytes()));
    let ended = lua.wait_with_output().unwrap();
    writing.join().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    String::from_utf8(ended.stdout).unwrap().lines().map(str::to_owned).collect()
}
