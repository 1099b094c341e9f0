//! The program on a terminal: a pseudo-terminal whose other end we hold.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
#[cfg(target_os = "linux")]
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;

#[cfg(target_os = "linux")]
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use crate::harness::{PATIENCE, Serve, wait};

/// A program on a terminal.
struct Terminal {
    child: Child,
    keyboard: File,
    /// The program's side, to look at the terminal's settings.
    device: File,
    screen: Receiver<Vec<u8>>,
    seen: String,
    home: PathBuf,
}

impl Terminal {
    fn start(args: &[&str], home: &str) -> Terminal {
        Terminal::start_with(args, home, |_| ())
    }

    fn start_with(args: &[&str], home: &str, amend: impl FnOnce(&mut Command)) -> Terminal {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let device = OpenOptions::new().read(true).write(true).open(name).unwrap();
        tcsetwinsize(&device, Winsize { ws_row: 40, ws_col: 200, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let home = std::env::temp_dir().join(format!("unstick-{}-{home}", std::process::id()));
        let side = || Stdio::from(device.try_clone().unwrap());
        let mut command = Command::new(env!("CARGO_BIN_EXE_unstick"));
        command.args(args).env("TERM", "xterm").env("XDG_STATE_HOME", &home).env_remove("NO_COLOR");
        command.stdin(side()).stdout(side()).stderr(side());
        amend(&mut command);
        let child = command.spawn().unwrap();
        let keyboard = File::from(master);
        let mut eyes = keyboard.try_clone().unwrap();
        let (sender, screen) = mpsc::channel();
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(len @ 1..) = eyes.read(&mut bytes) {
                if sender.send(bytes[..len].to_vec()).is_err() {
                    return;
                }
            }
        });
        Terminal { child, keyboard, device, screen, seen: String::new(), home }
    }

    fn type_in(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until this is seen, after what was waited for before.
    fn see(&mut self, text: &str) {
        loop {
            if let Some(at) = self.seen.find(text) {
                self.seen.drain(..at + text.len());
                return;
            }
            let more = self.screen.recv_timeout(PATIENCE);
            let more = more.unwrap_or_else(|_| panic!("{text:?} is not seen, but {:?}", self.seen));
            self.seen.push_str(&String::from_utf8_lossy(&more));
        }
    }

    fn is_cooked(&self) -> bool {
        tcgetattr(&self.device).unwrap().local_modes.contains(LocalModes::ECHO | LocalModes::ICANON)
    }

    fn end(mut self) -> i32 {
        let code = wait(&mut self.child).code().unwrap_or(-1);
        assert!(self.is_cooked(), "the terminal is left as it was found");
        _ = fs::remove_dir_all(&self.home);
        code
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

#[test]
fn lines_are_typed_at_a_prompt_and_the_line_c_closes() {
    let serve = Serve::start(&["--echo"]);
    let mut terminal = Terminal::start(&["connect", &serve.addr.to_string()], "prompt");
    terminal.see("connected");
    terminal.see("Hello client! 你好...");
    terminal.see("> ");
    terminal.type_in("first\r");
    let printed = serve.program.out_line();
    assert!(printed.ends_with(" first"), "{printed}");
    // As it was typed, and as it came back; then there is a prompt again.
    terminal.see("first");
    terminal.see("first\r\n");
    terminal.see("> ");
    // The last line again, from the history, with a character taken off.
    terminal.type_in("\x1b[A\x7f\r");
    assert!(serve.program.out_line().ends_with(" firs"));
    terminal.see("firs\r\n");
    terminal.type_in("c\r");
    terminal.see("closed: clean (3 frames and 44 bytes in, 2 frames and 17 bytes out)");
    let history = terminal.home.join("unstick/history");
    while !history.exists() {
        thread::yield_now();
    }
    assert_eq!(terminal.end(), 0);
    serve.stop();
}

#[test]
fn all_lines_of_a_paste_are_sent_and_their_replies_shown() {
    let serve = Serve::start_as_it_is(&["--echo"]);
    let mut terminal = Terminal::start(&["connect", &serve.addr.to_string()], "paste");
    terminal.see("> ");
    let pasted: String = (0..50).map(|n| format!("pasted line {n:02}\r")).collect();
    terminal.type_in(&format!("{pasted}c\r"));
    for n in 0..50 {
        assert!(serve.program.out_line().ends_with(&format!(" pasted line {n:02}")));
    }
    terminal.see("closed: clean (50 frames and 900 bytes in, 50 frames and 900 bytes out)");
    assert_eq!(terminal.end(), 0);
    serve.stop();
}

#[test]
fn any_bytes_are_typed_as_they_are_shown() {
    let serve = Serve::start_as_it_is(&["--echo"]);
    let mut terminal = Terminal::start(&["connect", &serve.addr.to_string()], "escapes");
    terminal.see("> ");
    for (typed, shown) in
        [(r#"\"c""#, "c"), (r#"\"a\nb\xff\u{202e}""#, r#"\"a\nb\xff\u{202e}""#), (r"\n", r#"\"\\n""#), ("a\tb", "a\tb")]
    {
        terminal.type_in(&format!("{typed}\r"));
        let line = serve.program.out_line();
        assert!(line.ends_with(&format!(" {shown}")), "{line}");
    }
    // What is wrong is told, and one may try again.
    terminal.type_in("\\\"a\r");
    terminal.see("unstick: not sent: a line that begins with \\\" is an escaped frame, and its closing \" is missing");
    terminal.type_in("again\r");
    assert!(serve.program.out_line().ends_with(" again"));
    terminal.type_in("c\r");
    terminal.see("closed: clean (5 frames");
    let history = terminal.home.join("unstick/history");
    while !fs::read_to_string(&history).is_ok_and(|text| text.contains("again")) {
        thread::yield_now();
    }
    let kept = fs::read_to_string(&history).unwrap();
    assert!(kept.lines().all(|line| line != "c"), "{kept}");
    assert_eq!(terminal.end(), 0);
    serve.stop();
}

/// Ctrl-Z stops the program, and when it goes on, as by `fg`, there is one prompt with the line that was begun.
#[cfg(target_os = "linux")]
#[test]
fn after_a_stop_the_prompt_is_shown_once_with_what_was_typed() {
    let serve = Serve::start_as_it_is(&[]);
    // A process group of its own, or the tests would be stopped with it.
    let mut terminal = Terminal::start_with(&["connect", &serve.addr.to_string()], "stop", |command| {
        command.process_group(0);
    });
    let pid = Pid::from_child(&terminal.child);
    terminal.see("> ");
    terminal.type_in("half line\x1b[D\x1b[D\x1b[D\x1b[D");
    terminal.see("half line");
    for _ in 0..3 {
        terminal.type_in("\x1a");
        let stat = format!("/proc/{}/stat", pid.as_raw_nonzero());
        while !fs::read_to_string(&stat).unwrap().contains(") T ") {
            thread::yield_now();
        }
        assert!(terminal.is_cooked(), "for the shell");
        while let Ok(before) = terminal.screen.try_recv() {
            let before = String::from_utf8_lossy(&before).into_owned();
            assert!(!before.contains("> "), "a prompt before the stop: {before:?}");
        }
        terminal.seen.clear();
        kill_process(pid, Signal::CONT).unwrap();
        terminal.see("> ");
        terminal.see("half line");
        assert!(!terminal.is_cooked());
    }
    terminal.type_in("a \r");
    let line = serve.program.out_line();
    assert!(line.ends_with(" half a line"), "{line}");
    terminal.type_in("c\r");
    let mut rest = std::mem::take(&mut terminal.seen);
    while !rest.contains("closed: clean") {
        rest.push_str(&String::from_utf8_lossy(&terminal.screen.recv_timeout(PATIENCE).unwrap()));
    }
    assert!(!rest.contains("> half line"), "a second prompt: {rest:?}");
    assert_eq!(terminal.end(), 0);
    serve.stop();
}

#[test]
fn an_end_by_the_server_ends_the_prompt_and_restores_the_terminal() {
    let serve = Serve::start(&[]);
    let mut terminal = Terminal::start(&["connect", &serve.addr.to_string()], "server-end");
    terminal.see("> ");
    terminal.type_in("half a li");
    terminal.see("half a li");
    assert!(!terminal.is_cooked());
    serve.stop();
    terminal.see("closed: clean");
    assert_eq!(terminal.end(), 0);
}

#[test]
fn ctrl_d_closes_and_ctrl_c_breaks_off() {
    let serve = Serve::start(&[]);
    for (key, code) in [("\x04", 0), ("\x03", 130)] {
        let mut terminal = Terminal::start(&["connect", &serve.addr.to_string()], &format!("key-{code}"));
        terminal.see("> ");
        terminal.type_in(key);
        assert_eq!(terminal.end(), code);
    }
    serve.stop();
}

#[test]
fn raw_lines_are_sent_without_an_end() {
    let serve = Serve::start(&["--raw", "--echo"]);
    let mut terminal = Terminal::start(&["connect", &serve.addr.to_string(), "--raw"], "raw");
    terminal.see("Hello client! 你好...");
    terminal.see("> ");
    terminal.type_in("你好\r");
    let printed = serve.program.out_line();
    assert!(printed.ends_with(" 你好"), "{printed}");
    terminal.type_in("c\r");
    terminal.see("closed: clean");
    assert_eq!(terminal.end(), 0);
    serve.stop();
}

#[test]
fn the_line_c_closes_also_where_there_is_no_prompt() {
    for raw in [false, true] {
        let flags = if raw { &["--raw"][..] } else { &[] };
        let serve = Serve::start_as_it_is(flags);
        let addr = serve.addr.to_string();
        // With standard output elsewhere there is a keyboard and no prompt.
        let home = format!("no-prompt-{raw}");
        let mut terminal = Terminal::start_with(&[&["connect", &addr], flags].concat(), &home, |command| {
            command.stdout(Stdio::null());
        });
        terminal.see("connected");
        terminal.type_in("hi\n");
        assert!(serve.program.out_line().contains("hi"));
        if !raw {
            terminal.type_in("\\\"c\"\n");
            assert!(serve.program.out_line().ends_with(" c"));
        }
        terminal.type_in("c\n");
        terminal.see("closed: clean");
        assert_eq!(terminal.end(), 0);
        serve.stop();
    }
}

#[test]
fn unframed_text_without_a_line_end_is_ended_on_a_terminal() {
    let serve = Serve::start(&["--raw"]);
    let mut terminal = Terminal::start_with(&["connect", &serve.addr.to_string(), "--raw"], "line-end", |command| {
        command.stdin(Stdio::null());
    });
    terminal.see("Hello client! 你好...\r\n");
    assert_eq!(terminal.end(), 0);
    serve.stop();
}

#[test]
fn unframed_text_does_not_steer_a_terminal() {
    let serve = Serve::start(&["--raw", "--greeting=a\u{1b}[2J\u{202e}b\rc\r\nd"]);
    let mut terminal = Terminal::start_with(&["connect", &serve.addr.to_string(), "--raw"], "steer", |command| {
        command.stdin(Stdio::null());
    });
    terminal.see("a\\x1b[2J\\u{202e}b\\rc\r\r\nd\r\n");
    assert_eq!(terminal.end(), 0);
    serve.stop();
}

#[test]
fn the_history_is_kept_below_the_home_where_nothing_else_is_said() {
    let serve = Serve::start_as_it_is(&[]);
    let home = std::env::temp_dir().join(format!("unstick-{}-plain-home", std::process::id()));
    let mut terminal = Terminal::start_with(&["connect", &serve.addr.to_string()], "plain-home", |command| {
        command.env_remove("XDG_STATE_HOME").env("HOME", &home);
    });
    terminal.see("> ");
    terminal.type_in("remembered\rc\r");
    terminal.see("closed: clean");
    let history = home.join(".local/state/unstick/history");
    while !fs::read_to_string(&history).is_ok_and(|text| text.contains("remembered")) {
        thread::yield_now();
    }
    assert_eq!(terminal.end(), 0);
    serve.stop();
}

#[test]
fn without_any_home_there_is_a_prompt_and_no_history() {
    let serve = Serve::start_as_it_is(&[]);
    let mut terminal = Terminal::start_with(&["connect", &serve.addr.to_string()], "no-home", |command| {
        command.env_remove("XDG_STATE_HOME").env_remove("HOME");
    });
    terminal.see("> ");
    terminal.type_in("hi\rc\r");
    terminal.see("closed: clean");
    assert_eq!(terminal.end(), 0);
    serve.stop();
}

/// One line, drawn again and again, and taken away in the end.
#[test]
#[cfg(target_os = "linux")]
fn a_load_shows_how_far_it_is() {
    let serve = Serve::start_as_it_is(&["--echo", "--print", "none"]);
    let flags = ["--connections", "3", "--rate", "300", "--seconds", "1.2", "--max-send-lag", "60"];
    let mut terminal = Terminal::start(&[&["load", &serve.addr.to_string()], &flags[..]].concat(), "load");
    for _ in 0..2 {
        terminal.see("\r\x1B[K");
        terminal.see(" of 1.2 s, 3 connections, ");
        terminal.see(" frames/s sent, ");
        terminal.see(" answered");
    }
    terminal.see("\r\x1B[Kevery byte of 360 frames verified");
    assert_eq!(terminal.end(), 0);
    serve.stop();
}

#[test]
fn help_has_colour_unless_no_color_is_set() {
    let mut terminal = Terminal::start(&["--help"], "colour");
    terminal.see("Usage:");
    assert!(terminal.end() == 0);
    for (no_color, styled) in [(None, true), (Some("1"), false)] {
        let mut terminal = Terminal::start_with(&["--help"], "no-color", |command| {
            command.envs(no_color.map(|value| ("NO_COLOR", value)));
        });
        let mut all = String::new();
        while !all.contains("timed out") {
            let more = terminal.screen.recv_timeout(PATIENCE).unwrap();
            all.push_str(&String::from_utf8_lossy(&more));
        }
        terminal.seen.clear();
        assert_eq!(all.contains('\x1b'), styled, "NO_COLOR={no_color:?}");
        assert_eq!(terminal.end(), 0);
    }
}

/// A load has the whole screen while it runs, and leaves the terminal as it was, however it ends.
#[cfg(target_os = "linux")]
#[test]
fn the_screen_of_a_load_is_entered_and_left() {
    const ENTERED: &str = "\x1b[?1049h";
    const LEFT: &str = "\x1b[?1049l";
    let serve = Serve::start_as_it_is(&["--echo", "--print", "none"]);
    let addr = serve.addr.to_string();
    let load = |flags: &[&str], name| {
        Terminal::start(&[&["load", &addr, "--tui", "--connections", "2"], flags].concat(), name)
    };
    let mut terminal = load(&["--seconds", "0.5"], "screen-end");
    // Blanks are not written: the screen is blank before.
    for seen in [ENTERED, "unstick load", "sent", "answered", "flight", LEFT, "every byte of "] {
        terminal.see(seen);
    }
    assert_eq!(terminal.end(), 0);

    let mut terminal = load(&["--seconds", "600"], "screen-signal");
    terminal.see("answered");
    assert!(!terminal.is_cooked());
    // A key is not shown, and does nothing.
    terminal.type_in("q");
    kill_process(Pid::from_child(&terminal.child), Signal::INT).unwrap();
    for seen in [LEFT, "INCOMPLETE"] {
        terminal.see(seen);
    }
    assert_eq!(terminal.end(), 130);

    let mut terminal = load(&["--frames", "64", "--expect", "p99<1ns"], "screen-missed");
    for seen in [ENTERED, LEFT, "EXPECTATION MISSED"] {
        terminal.see(seen);
    }
    assert_eq!(terminal.end(), 9);

    // Where standard error is no terminal there is no screen.
    let mut terminal = Terminal::start_with(&["load", &addr, "--tui", "--frames", "64"], "no-screen", |command| {
        command.stderr(Stdio::null());
    });
    terminal.see("every byte of 64 frames");
    assert!(!terminal.seen.contains('\x1b'), "{:?}", terminal.seen);
    assert_eq!(terminal.end(), 0);
    serve.stop();
}

#[test]
fn no_color_and_no_history_leave_the_prompt_alone() {
    let serve = Serve::start_as_it_is(&["--echo"]);
    // A home that is no directory: a history that cannot be kept is no reason not to connect.
    let mut terminal = Terminal::start_with(&["connect", &serve.addr.to_string()], "nowhere", |command| {
        command.env("XDG_STATE_HOME", "/dev/null").env("NO_COLOR", "1");
    });
    terminal.see("> ");
    terminal.type_in("hi\rc\r");
    terminal.see("closed: clean (1 frames");
    assert_eq!(terminal.end(), 0);
    serve.stop();
}
