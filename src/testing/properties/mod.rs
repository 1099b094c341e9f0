//! The properties of this crate's decoder and encoder with any header: `check_stream` and `check_header` are for users.

mod bodies;
mod header;
mod slices;
mod stream;
mod ways;

pub use bodies::check_streamed_body;
pub use header::check_header;
pub use slices::check_slice;
pub(super) use stream::check_one;
pub use stream::{
    check_chunking, check_cuts, check_end, check_final_error, check_need, check_oracle, check_skip, check_stream,
};
pub use ways::{OwnDecoder, Way};
