//! What a run showed, for people and for programs.

mod hlog;
mod html;
mod json;
mod text;

pub use hlog::hlog;
pub use html::{html, results_html};
pub use json::{from_json, json};
pub use text::text;
