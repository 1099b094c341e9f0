//! Real connections of our own, captured in a network namespace: the lessons of TCP and framing, as they happen.
//!
//! A server of this crate and a client are two threads of this process. Between them is a loopback interface that nobody else uses,
//! in a namespace of their own, with packets as they are on a cable: up to 1500 bytes, each a segment. Linux only; an ordinary
//! user may do it where the system allows user namespaces.
//!
//! ```no_run
//! use unstick::trace::live::{self, Scenario};
//!
//! live::enter_namespace()?; // before this process has a second thread
//! let recording = live::record(Scenario::Sticky)?;
//! println!("{}", unstick::trace::text(&recording.trace()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod ends;
mod error;
mod loopback;
mod namespace;
mod scenario;
mod script;
mod tap;

use std::sync::mpsc;
use std::thread;

pub use error::LiveError;
pub use namespace::enter_namespace;
pub use scenario::Scenario;

use super::build::Reading;
use super::model::{Direction, Trace};
use super::packet::Capture;
use ends::Listening;
use tap::Tap;

/// What was captured of one scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recording {
    /// What happened.
    pub scenario: Scenario,
    /// The packets.
    pub capture: Capture,
    /// How its bytes are read as frames.
    pub reading: Reading,
    /// What each `read` of the server returned, in bytes, in order; without the end.
    pub server_reads: Vec<u64>,
    /// The same of the client.
    pub client_reads: Vec<u64>,
}

impl Recording {
    /// The connection as segments and frames, with the reads of both ends.
    ///
    /// # Panics
    /// If `capture` was changed and has no connection.
    pub fn trace(&self) -> Trace {
        let connection = self.capture.choose(Some(0), None).expect("record checks that there is one");
        let mut trace = self.capture.trace(&connection, &self.reading);
        trace.flow_mut(Direction::ToServer).reads = Some(self.server_reads.clone());
        trace.flow_mut(Direction::ToClient).reads = Some(self.client_reads.clone());
        trace
    }
}

/// Lets a scenario happen, and captures it. It takes less than two seconds.
///
/// # Errors
/// [`LiveError`] if the system refuses something, or if a connection breaks that should not.
///
/// # Panics
/// If it cannot start a thread.
pub fn record(scenario: Scenario) -> Result<Recording, LiveError> {
    let tap = Tap::start()?;
    let failed = |error| LiveError::Scenario { scenario, error };
    let listening = Listening::at(scenario.port()).map_err(failed)?;
    let (accepted, is_accepted) = mpsc::channel();
    let server = thread::spawn(move || listening.serve_one(scenario, &accepted));
    let client = script::play(scenario, &is_accepted, &tap);
    let served = server.join().expect("the server does not panic");
    let capture = tap.finish()?;
    let (client_reads, server_reads) = (client.map_err(failed)?, served.map_err(failed)?);
    if capture.connections().len() != 1 {
        return Err(LiveError::Connections { scenario, count: capture.connections().len() });
    }
    Ok(Recording { scenario, capture, reading: scenario.reading(), server_reads, client_reads })
}
