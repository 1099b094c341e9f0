//! The message of a panic.

use std::any::Any;

use crate::close::CloseReason;

/// The close reason for a panic's payload.
pub(super) fn reason(panic: &(dyn Any + Send)) -> CloseReason {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    CloseReason::Panic(text.unwrap_or("no text").to_owned())
}
