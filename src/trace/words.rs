//! Numbers in sentences.

/// So many of a thing: `1 byte`, `2 bytes`.
pub(super) fn plural(number: u64, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}
