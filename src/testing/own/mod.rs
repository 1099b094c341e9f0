//! This crate's own checks: what its tests and fuzz targets call, and nobody else needs. It may change at any time.

#[cfg(feature = "trace")]
mod captures;
mod encoding;
mod headers;
mod layouts;
mod sealed;
#[cfg(feature = "server")]
mod session;
#[cfg(all(feature = "load", target_os = "linux"))]
mod shard_file;
pub mod targets;

#[cfg(feature = "trace")]
pub use captures::{check_capture, check_trace};
pub use encoding::{check_plan, check_refused_encode, check_round_trip};
pub use layouts::{check_layout, check_limits};
#[cfg(feature = "server")]
pub use session::check_session;
#[cfg(all(feature = "load", target_os = "linux"))]
pub use shard_file::check_shard_file;

pub use super::properties::{
    OwnDecoder, Way, check_chunking, check_cuts, check_end, check_final_error, check_need, check_oracle, check_skip,
    check_slice, check_streamed_body,
};
