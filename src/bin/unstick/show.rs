//! What `unstick connect` shows of what it receives.

use std::io::{self, IsTerminal, Write};
use std::time::SystemTime;

use unstick::framing::Utf8Reader;

use crate::exit::Failure;
use crate::prompt::Printer;
use crate::text::{push_hex, push_text, push_time, push_unframed};

/// Bytes that are printed at once, if there are more.
const WRITE_LEN: usize = 64 * 1024;

/// Prints what is received: on standard output, or above the prompt.
pub(crate) struct Show {
    hex: bool,
    timestamps: bool,
    printer: Option<Printer>,
    /// Whether standard output is a terminal.
    on_terminal: bool,
    pending: Vec<u8>,
    reader: Utf8Reader,
    /// Whether standard output ends with a line end: unframed text need not.
    at_line_start: bool,
}

impl Show {
    pub(crate) fn new(hex: bool, timestamps: bool, printer: Option<Printer>) -> Show {
        let (pending, reader) = (Vec::new(), Utf8Reader::new());
        let on_terminal = io::stdout().is_terminal();
        Show { hex, timestamps, printer, on_terminal, pending, reader, at_line_start: true }
    }

    /// Prints a frame as one line.
    pub(crate) fn frame(&mut self, payload: &[u8]) -> Result<(), Failure> {
        self.line(payload);
        if self.pending.len() >= WRITE_LEN { self.flush() } else { Ok(()) }
    }

    /// Prints the unframed bytes of one read: as they are; as text on a terminal; or as lines if they get a time, are
    /// in hexadecimal, or go above a prompt.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        if self.hex {
            self.line(bytes);
            return self.flush();
        }
        let as_lines = self.timestamps || self.printer.is_some();
        if !as_lines && !self.on_terminal {
            self.pending.extend_from_slice(bytes);
            return self.flush();
        }
        let mut text = String::new();
        self.reader.read(bytes, &mut text);
        if as_lines {
            text.lines().for_each(|line| self.line(line.as_bytes()));
        } else {
            push_unframed(&text, &mut self.pending);
        }
        self.flush()
    }

    fn line(&mut self, payload: &[u8]) {
        if self.timestamps {
            push_time(SystemTime::now(), &mut self.pending);
            self.pending.push(b' ');
        }
        if self.hex {
            push_hex(payload, &mut self.pending);
        } else {
            push_text(payload, &mut self.pending);
        }
        self.pending.push(b'\n');
    }

    /// Prints everything that is buffered.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        let Some(last) = self.pending.last() else {
            return Ok(());
        };
        self.at_line_start = *last == b'\n';
        let shown = match &mut self.printer {
            Some(printer) => printer.print(&String::from_utf8_lossy(&self.pending)),
            None => write_out(&self.pending),
        };
        self.pending.clear();
        self.pending.shrink_to(2 * WRITE_LEN);
        shown.map_err(|error| Failure::output(&error))
    }

    /// Prints everything that is buffered, and restores the terminal.
    pub(crate) fn finish(mut self) -> Result<(), Failure> {
        let mut unfinished = String::new();
        self.reader.finish(&mut unfinished);
        if !unfinished.is_empty() {
            self.line(unfinished.as_bytes());
        }
        let flushed = self.flush();
        if let Some(printer) = self.printer {
            printer.finish();
        } else if !self.at_line_start && self.on_terminal {
            _ = write_out(b"\n");
        }
        flushed
    }
}

fn write_out(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}
