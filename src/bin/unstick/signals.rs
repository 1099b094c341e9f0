//! SIGINT and SIGTERM: the first one stops, the second one exits.

use std::process;
use std::thread;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use smol::channel::{self, Receiver};

use crate::exit::{Failure, log};

/// Ready once the first SIGINT or SIGTERM has come. The second one exits at once, with 128 and the number of the signal, as in
/// a shell.
pub(crate) fn first() -> Result<Receiver<()>, Failure> {
    let cannot = |error| Failure::cannot("wait for signals", &error);
    let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(cannot)?;
    let (sender, receiver) = channel::bounded(1);
    let thread = thread::Builder::new().name("signals".into()).spawn(move || {
        let mut signals = signals.forever();
        signals.next();
        log(format_args!("stopping: finishing what is in flight; another signal exits at once"));
        _ = sender.send_blocking(());
        if let Some(signal) = signals.next() {
            process::exit(128 + signal);
        }
    });
    thread.map_err(cannot)?;
    Ok(receiver)
}
