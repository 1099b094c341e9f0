//! The prompt of `unstick connect` on a terminal: line editing, history, and what is received shown above it.

use std::env;
use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::process::{Signal, kill_current_process_group};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use rustyline::error::ReadlineError;
use rustyline::history::DefaultHistory;
use rustyline::{
    Cmd, ConditionalEventHandler, Config, Editor, Event, EventContext, EventHandler, ExternalPrinter, KeyCode,
    KeyEvent, Modifiers, RepeatCount,
};
use signal_hook::consts::SIGCONT;
use signal_hook::{flag, low_level};

/// Lines from the keyboard.
pub(crate) struct Prompt {
    editor: Editor<(), DefaultHistory>,
    history: Option<PathBuf>,
    stopped_in: StoppedIn,
}

/// The line in which Ctrl-Z was typed: the text before and after the cursor.
type StoppedIn = Arc<Mutex<Option<(String, String)>>>;

/// Prints above the prompt.
pub(crate) struct Printer {
    printer: Box<dyn ExternalPrinter + Send>,
    /// The terminal's settings before the prompt.
    found: Termios,
    /// Whether the prompt has ended, so that standard output can be used.
    prompt_ended: bool,
}

/// What was typed.
pub(crate) enum Typed {
    Line(String),
    /// The line `c`, or Ctrl-D.
    End,
    /// Ctrl-C.
    Interrupt,
}

/// A prompt and its printer; `None` without a terminal, or with one that cannot edit lines.
pub(crate) fn open() -> Option<(Prompt, Printer)> {
    if !(io::stdin().is_terminal() && io::stdout().is_terminal()) {
        return None;
    }
    let found = tcgetattr(io::stdin()).ok()?;
    // Without bracketed paste, each pasted line is a line.
    let config = Config::builder().bracketed_paste(false).build();
    let mut editor = Editor::with_config(config).ok()?;
    // There is no completion: a tab is inserted, as in a pasted line.
    editor.bind_sequence(KeyEvent(KeyCode::Tab, Modifiers::NONE), Cmd::Insert(1, "\t".into()));
    let stopped_in = StoppedIn::default();
    let stop = EventHandler::Conditional(Box::new(Stop(Arc::clone(&stopped_in))));
    editor.bind_sequence(KeyEvent::ctrl('Z'), stop);
    let printer = Box::new(editor.create_external_printer().ok()?);
    // Without a readable history connect all the same.
    let history = history_path();
    if let Some(path) = &history {
        _ = editor.load_history(path);
    }
    Some((Prompt { editor, history, stopped_in }, Printer { printer, found, prompt_ended: false }))
}

/// `$XDG_STATE_HOME/unstick/history`, or below `~/.local/state`.
fn history_path() -> Option<PathBuf> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let state = set("XDG_STATE_HOME").or_else(|| set("HOME").map(|home| home.join(".local/state")))?;
    Some(state.join("unstick").join("history"))
}

impl Prompt {
    /// The next line, without its end. The line `c` is the end.
    pub(crate) fn next(&mut self) -> io::Result<Typed> {
        let mut begun = (String::new(), String::new());
        loop {
            match self.editor.readline_with_initial("> ", (&begun.0, &begun.1)) {
                Ok(line) if line == "c" => return Ok(Typed::End),
                Ok(line) => {
                    _ = self.editor.add_history_entry(&line);
                    return Ok(Typed::Line(line));
                }
                Err(ReadlineError::Eof) => return Ok(Typed::End),
                Err(ReadlineError::Interrupted) => {
                    let stopped_in = self.stopped_in.lock().unwrap_or_else(PoisonError::into_inner).take();
                    let Some(line) = stopped_in else { return Ok(Typed::Interrupt) };
                    begun = line;
                    stop()?;
                }
                Err(ReadlineError::Io(error)) => return Err(error),
                // The window changed.
                Err(ReadlineError::Signal(_)) => {}
                Err(error) => return Err(io::Error::other(error)),
            }
        }
    }
}

impl Drop for Prompt {
    fn drop(&mut self) {
        if let Some(path) = &self.history {
            _ = path.parent().map_or(Ok(()), fs::create_dir_all);
            _ = self.editor.append_history(path);
        }
    }
}

/// Ctrl-Z at the prompt ends the editing of the line; it continues when the process does. rustyline itself would show
/// the prompt again as soon as it has sent the signal, which may be before the process stops.
struct Stop(StoppedIn);

impl ConditionalEventHandler for Stop {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, context: &EventContext<'_>) -> Option<Cmd> {
        let (before, behind) = context.line().split_at(context.pos());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((before.to_owned(), behind.to_owned()));
        Some(Cmd::Interrupt)
    }
}

/// Stops the process and its group, as a terminal does, until a shell continues it. The system does not stop a process
/// that no shell could continue: it goes on after a second.
fn stop() -> io::Result<()> {
    let continued = Arc::new(AtomicBool::new(false));
    let noting = flag::register(SIGCONT, Arc::clone(&continued))?;
    let stopped = kill_current_process_group(Signal::TSTP);
    for _ in 0..100 {
        if continued.load(SeqCst) {
            break;
        }
        thread::sleep(Duration::from_millis(10));
    }
    low_level::unregister(noting);
    Ok(stopped?)
}

/// Moves the cursor up and down again. Printing it after some text waits until the prompt has taken that text: there is
/// room for one text between printer and prompt.
const NOTHING: &str = "\x1b[1A\n";

impl Printer {
    /// Prints whole lines.
    pub(crate) fn print(&mut self, text: &str) -> io::Result<()> {
        if !self.prompt_ended {
            let taken = self.printer.print(text.to_owned()).and_then(|()| self.printer.print(NOTHING.to_owned()));
            if taken.is_ok() {
                return Ok(());
            }
            self.prompt_ended = true;
        }
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    }

    /// Waits until everything is printed, and restores the terminal, with the cursor in the first column. The prompt
    /// may still be waiting for a line.
    pub(crate) fn finish(mut self) {
        if !self.prompt_ended && (0..2).all(|_| self.printer.print(NOTHING.to_owned()).is_ok()) {
            _ = io::stdout().write_all(b"\r\x1b[J");
            _ = io::stdout().flush();
        }
        _ = tcsetattr(io::stdin(), OptionalActions::Drain, &self.found);
    }
}
