//! tokio-util's `LengthDelimitedCodec` as a subject.

use bytes::BytesMut;
use tokio_util::codec::{Decoder as _, LengthDelimitedCodec, length_delimited};
use unstick::framing::{Endian, Field, Format, Header};
use unstick::testing::Subject;

/// The codec and its buffer.
#[derive(Debug)]
pub(crate) struct TokioCodec {
    codec: LengthDelimitedCodec,
    buffer: BytesMut,
    tells_memory: bool,
}

impl TokioCodec {
    /// `None` if the codec cannot express the format: varints and trailers. Its limit is on the raw field, so it is set
    /// to the field of the longest payload.
    pub(crate) fn new(format: &Format) -> Option<TokioCodec> {
        let layout = format.layout();
        let Field::Fixed { width, endian } = layout.field else { return None };
        if layout.trailer > 0 {
            return None;
        }
        let mut builder = length_delimited::Builder::new();
        builder.length_field_offset(usize::from(layout.offset)).length_field_length(usize::from(width));
        builder.length_adjustment(isize::try_from(layout.adjustment).ok()?);
        builder.max_frame_length(raw_limit(format)?);
        match endian {
            Endian::Big => builder.big_endian(),
            Endian::Little => builder.little_endian(),
        };
        Some(TokioCodec::of(builder.new_codec()))
    }

    /// This codec.
    pub(crate) fn of(codec: LengthDelimitedCodec) -> TokioCodec {
        TokioCodec { codec, buffer: BytesMut::new(), tells_memory: true }
    }

    /// The same, with nothing said of its memory.
    pub(crate) fn without_memory(self) -> TokioCodec {
        TokioCodec { tells_memory: false, ..self }
    }
}

/// The field of the longest payload.
fn raw_limit(format: &Format) -> Option<usize> {
    let limit = format.max_payload_len() as i128 - i128::from(format.layout().adjustment);
    usize::try_from(limit).ok()
}

impl Subject for TokioCodec {
    type Error = String;

    fn feed(&mut self, chunk: &[u8]) {
        self.buffer.extend_from_slice(chunk);
    }

    fn next_frame(&mut self) -> Result<Option<Vec<u8>>, String> {
        let frame = self.codec.decode(&mut self.buffer).map_err(|error| error.to_string())?;
        Ok(frame.map(|frame| frame.to_vec()))
    }

    fn finish(&mut self) -> Result<(), String> {
        match self.codec.decode_eof(&mut self.buffer) {
            Ok(None) => Ok(()),
            Ok(Some(frame)) => Err(format!("a frame of {} bytes at the end", frame.len())),
            Err(error) => Err(error.to_string()),
        }
    }

    fn memory(&self) -> Option<usize> {
        self.tells_memory.then(|| self.buffer.capacity())
    }
}
