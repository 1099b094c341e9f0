//! What a run, or several, showed, for people and for programs.

mod hlog;
mod html;
mod json;
mod several;
mod text;

pub use hlog::hlog;
pub use html::{html, results_html};
pub use json::{from_json, json, results_from_json, results_json};
pub use several::{line, results_text};
pub use text::text;
