//! Standard output of `unstick serve`: the address, and what peers send. If it cannot be written, the server stops.

use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use clap::ValueEnum;
use smol::channel::{self, Receiver, Sender};

use unstick::PeerName;

use crate::exit::{Code, Failure, log};
use crate::text::{push_hex, push_text, put};

/// How received frames are printed.
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
    /// Standard output, and a receiver that is ready once it cannot be written.
    pub(crate) fn new(print: Print) -> (Arc<Output>, Receiver<()>) {
        let (lost, when_lost) = channel::bounded(1);
        (Arc::new(Output { print, is_lost: AtomicBool::new(false), lost }), when_lost)
    }

    pub(crate) fn print(&self) -> Print {
        self.print
    }

    /// Prints the first line, which other programs may wait for.
    pub(crate) fn announce(&self, addr: impl fmt::Display) {
        self.write(format!("listening on {addr}\n").as_bytes(), "the address");
    }

    /// Prints what a peer sent, in one line. `line` is memory to reuse.
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
        self.write(line, format_args!("what {peer} sent"));
        line.shrink_to(16 * 1024);
    }

    /// Writes a line at once. The first failure is reported on standard error; after it nothing is written.
    fn write(&self, line: &[u8], what: impl fmt::Display) {
        let mut out = io::stdout().lock();
        if let Err(error) = out.write_all(line).and_then(|()| out.flush())
            && !self.is_lost.swap(true, SeqCst)
        {
            let stopping = "stopping: finishing what is in flight";
            log(format_args!("unstick: cannot write {what} to standard output: {error}; {stopping}"));
            _ = self.lost.try_send(());
        }
    }

    /// Fails if not everything was printed, which has been reported.
    pub(crate) fn finish(&self) -> Result<(), Failure> {
        if self.is_lost.load(SeqCst) { Err(Failure { code: Code::Output, text: None }) } else { Ok(()) }
    }
}
