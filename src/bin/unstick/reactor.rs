//! Starts the reactor, which waits for sockets and timers. By itself it starts when first needed, and panics if the system has no
//! thread for it.

use std::any::Any;
use std::future::Future;
use std::panic;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use smol::Timer;

use crate::exit::Failure;

/// Starts it here, so that its panic is reported like any other failure.
pub(crate) fn begin() -> Result<(), Failure> {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| ()));
    let begun = panic::catch_unwind(|| {
        _ = pin!(Timer::after(Duration::from_secs(1))).poll(&mut Context::from_waker(Waker::noop()));
    });
    panic::set_hook(hook);
    begun.map_err(|panic| Failure::other(format_args!("cannot wait for sockets: {}", what_it_says(&*panic))))
}

fn what_it_says(panic: &(dyn Any + Send)) -> &str {
    let formatted = panic.downcast_ref::<String>().map(String::as_str);
    formatted.or_else(|| panic.downcast_ref().copied()).unwrap_or("a panic")
}
