//! What a panic said.

use std::any::Any;

use crate::close::CloseReason;

/// The reason for what a panic gave.
pub(super) fn reason(panic: &(dyn Any + Send)) -> CloseReason {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    CloseReason::Panic(text.unwrap_or("no text").to_owned())
}
