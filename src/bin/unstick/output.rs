//! Standard output of `unstick serve`: the address, and what peers send. Where it cannot be written any more, the server stops.

use std::fmt;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use clap::ValueEnum;
use smol::channel::{self, Receiver, Sender};

use unstick::PeerName;

use crate::exit::{Code, Failure, log};
use crate::text::{push_hex, push_text, put};

/// How what comes is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Print {
    Text,
    Hex,
    None,
}

/// Standard output, for all threads.
pub(crate) struct Output {
    print: Print,
    is_lost: AtomicBool,
    lost: Sender<()>,
}

impl Output {
    /// Standard output, and a receiver that is ready once it is lost.
    pub(crate) fn new(print: Print) -> (Arc<Output>, Receiver<()>) {
        let (lost, when_lost) = channel::bounded(1);
        (Arc::new(Output { print, is_lost: AtomicBool::new(false), lost }), when_lost)
    }

    pub(crate) fn print(&self) -> Print {
        self.print
    }

    /// The first line: others may wait for it.
    pub(crate) fn announce(&self, addr: SocketAddr) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        let written = writeln!(out, "listening on {addr}").and_then(|()| out.flush());
        written.map_err(|error| Failure::new(Code::Output, cannot_write("the address", &error)))
    }

    /// Prints what came from a peer: one line, written at once. The first line that cannot be written is told on standard error;
    /// those behind it are not tried. `line` is memory to use again.
    pub(crate) fn show(&self, peer: &PeerName, payload: &[u8], line: &mut Vec<u8>) {
        if self.print == Print::None || self.is_lost.load(SeqCst) {
            return;
        }
        line.clear();
        put(line, format_args!("{peer} "));
        match self.print {
            Print::Hex => push_hex(payload, line),
            _ => push_text(payload, line),
        }
        line.push(b'\n');
        let mut out = io::stdout().lock();
        if let Err(error) = out.write_all(line).and_then(|()| out.flush())
            && !self.is_lost.swap(true, SeqCst)
        {
            let why = cannot_write(format_args!("what {peer} sent"), &error);
            log(format_args!("unstick: {why}; stopping: finishing what is in flight"));
            _ = self.lost.try_send(());
        }
        line.shrink_to(16 * 1024);
    }

    /// Fails where not all was printed. That has been told.
    pub(crate) fn finish(&self) -> Result<(), Failure> {
        if self.is_lost.load(SeqCst) { Err(Failure { code: Code::Output, text: None }) } else { Ok(()) }
    }
}

fn cannot_write(what: impl fmt::Display, error: &io::Error) -> String {
    format!("cannot write {what} to standard output: {error}")
}
