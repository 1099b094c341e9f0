//! Runs tshark with a dissector over a capture.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{self, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use unstick::framing::Format;
use unstick::trace::Dissector;

use crate::pcap::{Pcap, SERVER_PORT};

/// After so long tshark hangs.
const PATIENCE: Duration = Duration::from_secs(200);

/// A folder of its own, which is removed at the end.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Folder {
        let folder = env::temp_dir().join(format!("unstick-dissector-{}-{name}", process::id()));
        fs::create_dir(&folder).unwrap();
        Folder(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.0);
    }
}

/// What tshark prints of a capture with the dissector of `format`, which is named xy.
pub(crate) fn run(name: &str, format: Format, pcap: &Pcap, args: &[&str]) -> String {
    let folder = Folder::new(name);
    let (script, capture) = (folder.0.join("x.lua"), folder.0.join("x.pcap"));
    fs::write(&script, Dissector::new(format, "xy").unwrap().port(SERVER_PORT).to_string()).unwrap();
    pcap.write(&capture);
    let (out, err) = (folder.0.join("out"), folder.0.join("err"));
    let mut tshark = Command::new("tshark");
    tshark.arg(format!("-Xlua_script:{}", script.display())).arg("-r").arg(&capture).args(args);
    tshark.stdin(Stdio::null()).stdout(fs::File::create(&out).unwrap()).stderr(fs::File::create(&err).unwrap());
    let mut child = tshark.spawn().unwrap();
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if start.elapsed() > PATIENCE {
            _ = child.kill();
            panic!("tshark hangs: {:?}", format.layout());
        }
        thread::sleep(Duration::from_millis(5));
    };
    let (out, err) = (fs::read_to_string(out).unwrap(), fs::read_to_string(err).unwrap());
    assert!(status.success(), "{status}: {err}");
    // As root it says that this is dangerous.
    let said: Vec<&str> = err.lines().filter(|line| !line.starts_with("Running as user")).collect();
    assert!(said.is_empty(), "{}: {said:?}", format.layout());
    for wrong in ["Lua Error", "Malformed Packet", "Dissector bug", "Exception occurred"] {
        assert!(!out.contains(wrong), "{}: {wrong}", format.layout());
    }
    out
}

/// A frame as tshark found it: its length, and its payload's.
pub(crate) type Found = (u64, u64);

/// The frames that tshark finds, by the number of the packet with which they are whole.
pub(crate) fn frames(name: &str, format: Format, pcap: &Pcap, args: &[&str]) -> BTreeMap<u64, Vec<Found>> {
    let fields = ["-Tfields", "-eframe.number", "-etcp.pdu.size", "-exy.payload_len", "-Eoccurrence=a"];
    let out = run(name, format, pcap, &[&fields[..], args].concat());
    let mut found = BTreeMap::new();
    for line in out.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let numbers = |text: &str| -> Vec<u64> {
            text.split(',').filter(|number| !number.is_empty()).map(|number| number.parse().unwrap()).collect()
        };
        let (sizes, payloads) = (numbers(fields[1]), numbers(fields[2]));
        assert_eq!(sizes.len(), payloads.len(), "{line}");
        if !sizes.is_empty() {
            found.insert(fields[0].parse().unwrap(), sizes.into_iter().zip(payloads).collect());
        }
    }
    found
}
