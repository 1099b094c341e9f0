//! What a run showed, for people and for programs.

mod json;
mod text;

pub use json::{from_json, json};
pub use text::text;
