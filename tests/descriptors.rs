//! A server that runs out of descriptors, as a process of its own with few of them: it serves on when there are some
//! again, and keeps none.
#![cfg(target_os = "linux")]

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Instant;

use common::*;
use unstick::{CloseKind, Greeting, ServerConfig};

/// Descriptors that the process may have.
const DESCRIPTORS: usize = 48;

/// Connections, of which not nearly all can be accepted at once.
const CONNECTIONS: usize = 150;

#[test]
fn out_of_descriptors_a_server_rests_and_goes_on() {
    let mut child = Command::new("sh")
        .args(["-c", &format!("ulimit -n {DESCRIPTORS} && exec \"$0\" \"$@\"")])
        .arg(std::env::current_exe().expect("this test"))
        .args(["the_process_with_few_descriptors", "--exact", "--ignored", "--nocapture"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a process");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines().map(|line| line.expect("a line"));
    let addr: SocketAddr =
        lines.find_map(|line| line.strip_prefix("listening on ")?.parse().ok()).expect("it says where it listens");

    // All connect, as the system does that; all send; not all can be served.
    let mut sockets: Vec<_> = (0..CONNECTIONS).map(|_| connect(addr)).collect();
    for (n, socket) in sockets.iter_mut().enumerate() {
        write(socket, &frame(&n.to_le_bytes()));
    }
    // Each has its reply as soon as the ones before it are gone.
    for (n, mut socket) in sockets.into_iter().enumerate() {
        assert_eq!(read_frame(&mut socket), n.to_le_bytes());
    }

    drop(child.stdin.take());
    let told: Vec<_> = lines.filter(|line| line.starts_with("served")).collect();
    assert_eq!(told, [format!("served {CONNECTIONS}, clean {CONNECTIONS}, descriptors kept 0")]);
    assert!(child.wait().expect("an end").success());
}

/// Prints its address, serves until the end of its standard input, and prints the statistics.
#[test]
#[ignore = "the process that the other test starts"]
fn the_process_with_few_descriptors() {
    // More connections are allowed than there are descriptors for.
    let config = || ServerConfig::default().greeting(Greeting::None).max_connections(Some(1000));
    // What the runtime opens once it keeps; so that is opened first.
    start(config(), |_| echo).served();
    let before = descriptors();
    let server = start(config(), |_| echo);
    println!("\nlistening on {}", server.addr);
    std::io::stdout().flush().expect("written");
    std::io::stdin().read_to_end(&mut Vec::new()).expect("the end");
    let served = server.served().0;
    // The runtime's own thread forgets a timer that was given up in its own time, and with it how to wake the server's
    // thread.
    let begin = Instant::now();
    while descriptors() > before && begin.elapsed() < DEADLINE {
        std::thread::yield_now();
    }
    // The first server's thread may have closed its last one only after they were counted: fewer are none kept.
    let kept = (descriptors() - before).max(0);
    println!("\nserved {}, clean {}, descriptors kept {kept}", served.accepted, served.closes(CloseKind::Clean));
}

fn descriptors() -> isize {
    std::fs::read_dir("/proc/self/fd").expect("a list").count() as isize
}
