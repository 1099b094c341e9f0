//! The codec for tokio: by itself under the property suite and the corpus, and in a `Framed`, over memory and over sockets.

#[path = "support/corpus.rs"]
mod corpus;

use bytes::{Bytes, BytesMut};
use futures_util::{SinkExt, StreamExt};
use proptest::collection::vec;
use proptest::prelude::*;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::codec::{Decoder as _, Encoder as _, Framed, LengthDelimitedCodec, length_delimited};
use unstick::codec::FrameCodec;
use unstick::framing::{
    Check, DecodeError, DecodeErrorKind, EncodeError, Encoder, Endian, Envelope, Format, Head, Header, Layout,
    Oversize, Parsed,
};
use unstick::testing::{self, Case, Cuts, Oracle, Plan, Subject};
use unstick::{ReadError, WriteError};

/// The codec and the buffer that a `Framed` would have.
struct Codec<H: Header = Format> {
    codec: FrameCodec<H>,
    received: BytesMut,
}

impl<H: Header> Codec<H> {
    fn new(header: H) -> Codec<H> {
        Codec { codec: FrameCodec::new(header), received: BytesMut::new() }
    }
}

fn decode_error(error: ReadError) -> DecodeError {
    match error {
        ReadError::Decode(error) => error,
        other => panic!("nothing is read here: {other}"),
    }
}

impl<H: Header> Subject for Codec<H> {
    type Error = DecodeError;

    fn feed(&mut self, chunk: &[u8]) {
        self.received.extend_from_slice(chunk);
    }

    fn next_frame(&mut self) -> Result<Option<Vec<u8>>, DecodeError> {
        let frame = self.codec.decode(&mut self.received).map_err(decode_error)?;
        Ok(frame.map(|frame| frame.payload().to_vec()))
    }

    /// At the end a `Framed` asks until there is nothing. An error comes once, and behind it is the end.
    fn finish(&mut self) -> Result<(), DecodeError> {
        let end = self.codec.decode_eof(&mut self.received).map_err(decode_error);
        for _ in 0..2 {
            assert!(matches!(self.codec.decode_eof(&mut self.received), Ok(None)), "behind the end is nothing");
            assert!(self.received.is_empty(), "and nothing is kept");
        }
        end.map(|frame| assert!(frame.is_none(), "all frames were taken before the end"))
    }
}

/// A byte that counts the payload, and the payload's bytes added up behind it.
#[derive(Clone, Debug)]
struct Summed;

#[derive(Clone, Debug, Default)]
struct Sum(u8);

impl Check for Sum {
    fn update(&mut self, payload: &[u8]) {
        self.0 = payload.iter().fold(self.0, |sum, byte| sum.wrapping_add(*byte));
    }

    fn verify(&self, trailer: &[u8]) -> Result<(), DecodeErrorKind> {
        let (stated, computed) = (u64::from(trailer[0]), u64::from(self.0));
        if stated == computed { Ok(()) } else { Err(DecodeErrorKind::Mismatch { stated, computed }) }
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(self.0);
    }
}

impl Oracle for Summed {}

impl Header for Summed {
    type Check = Sum;

    fn max_header_len(&self) -> usize {
        1
    }

    fn max_payload_len(&self) -> usize {
        200
    }

    fn parse(&self, bytes: &[u8]) -> Result<Parsed, DecodeErrorKind> {
        let Some(&len) = bytes.first() else { return Ok(Parsed::Need(1)) };
        Ok(Parsed::Head(Head::new(1, u64::from(len)).trailer(1)))
    }

    fn write(&self, _: Envelope<'_>, payload_len: usize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        Format::U8.with_max_payload_len(200).expect("a format").write(Envelope::default(), payload_len, out)
    }
}

#[test]
fn the_suite_holds_of_it() {
    let odd = Layout::fixed(2, Endian::Little).offset(3).adjustment(-5);
    let sealed = Layout::fixed(3, Endian::Big).trailer(4);
    for format in [
        Format::U32_BE.with_max_payload_len(300),
        Format::U8.with_max_payload_len(20),
        Format::VARINT.with_max_payload_len(200),
        Format::new(odd, 40),
        Format::new(sealed, 60),
    ] {
        let format = format.expect("a format");
        let cases = testing::suite(format, || Codec::new(format));
        assert!(cases > 900, "{cases} cases");
    }
}

proptest! {
    #[test]
    fn any_plan_is_what_the_oracle_says(data in vec(any::<u8>(), 0..200)) {
        let case = Plan::from_bytes(&data).case().on_oversize(Oversize::Reject);
        testing::check_case(&case, || Codec::new(case.format));
    }

    #[test]
    fn any_bytes_are_what_the_oracle_says(data in vec(any::<u8>(), 0..200)) {
        let case = Case::from_bytes(&data).on_oversize(Oversize::Reject);
        testing::check_case(&case, || Codec::new(case.format));
    }

    #[test]
    fn frames_with_a_check_are_what_the_oracle_says(stream in vec(0..8u8, 0..60), cut in 1..9usize) {
        testing::check_case(&Case::new(Summed, stream).cut(Cuts::every(cut)), || Codec::new(Summed));
    }

    /// What is encoded is what the core's encoder writes, whatever is sent; what is refused leaves no trace.
    #[test]
    fn any_frame_is_encoded_as_the_core_does(data in vec(any::<u8>(), 0..120)) {
        let plan = Plan::from_bytes(&data);
        let (mut codec, core) = (FrameCodec::new(plan.format), Encoder::new(plan.format));
        let (mut wire, mut expected) = (BytesMut::new(), Vec::new());
        let around = plan.format.layout().zeros();
        for frame in &plan.frames {
            let payload = vec![7; frame.payload_len(&plan.format)];
            let result = core.encode_with(around, &payload, &mut expected);
            match (codec.encode((around, &payload), &mut wire), result) {
                (Ok(()), Ok(())) => {}
                (Err(WriteError::Encode(error)), Err(refused)) => prop_assert_eq!(error, refused),
                other => panic!("{other:?}"),
            }
            prop_assert!(wire == expected);
        }
    }
}

/// Every decode case of the corpus, in its chunks, whole and byte by byte; and every encode case.
#[test]
fn the_corpus_is_replayed() {
    let mut replayed = [0; 2];
    for case in corpus::cases().iter().filter(|case| case.get("not_expressible").is_none()) {
        let id = corpus::text(case, "id");
        match corpus::text(case, "kind") {
            "decode" => {
                let format = corpus::format(case).unwrap_or_else(|error| panic!("{id}: {error}"));
                let chunks = corpus::list(case, "chunks");
                let lens = chunks.iter().map(Vec::len).collect();
                let case = Case::new(format, chunks.concat()).cut(Cuts::of_lens(lens));
                testing::check_case(&case, || Codec::new(format));
                replayed[0] += 1;
            }
            "encode" => {
                let format = corpus::format(case).unwrap_or_else(|error| panic!("{id}: {error}"));
                let (mut codec, wire) = (FrameCodec::new(format), corpus::list(case, "wire"));
                for (index, payload) in corpus::list(case, "payloads").into_iter().enumerate() {
                    let mut out = BytesMut::from(&b"before"[..]);
                    let result = codec.encode((format.layout().zeros(), payload), &mut out);
                    assert_eq!(result.is_ok(), index < wire.len(), "{id}: {result:?}");
                    let image = wire.get(index).map_or(&b""[..], Vec::as_slice);
                    assert!(out[6..] == *image, "{id}: another wire image");
                }
                replayed[1] += 1;
            }
            _ => {}
        }
    }
    assert_eq!(replayed, [131, 33], "decode, encode");
}

/// Each row of the table in the module's docs: the same stream by both, item by item.
#[test]
fn what_was_a_length_delimited_codec_is_the_layout_of_the_table() {
    type Build = fn(&mut length_delimited::Builder) -> &mut length_delimited::Builder;
    let rows: [(Build, Layout, usize, &[u8]); 5] = [
        (|theirs| theirs.length_field_length(2), Layout::fixed(2, Endian::Big), 2, b"\0\x02hi\0\0\0\x01!"),
        (|theirs| theirs.length_field_length(3).little_endian(), Layout::fixed(3, Endian::Little), 3, b"\x02\0\0hi"),
        (
            |theirs| theirs.length_field_offset(1).length_field_length(1),
            Layout::fixed(1, Endian::Big).offset(1),
            2,
            b"#\x02hi#\0",
        ),
        (
            |theirs| theirs.length_field_length(2).length_adjustment(-2),
            Layout::fixed(2, Endian::Big).adjustment(-2),
            2,
            b"\0\x04hi\0\x02",
        ),
        // The whole frame counts, and nothing is skipped: a = -o - w, s = 0, so that the adjustment is a + s - o - w.
        (
            |theirs| theirs.length_field_offset(1).length_field_length(2).length_adjustment(0).num_skip(0),
            Layout::fixed(2, Endian::Big).offset(1).adjustment(-3),
            0,
            b"#\0\x05hi#\0\x03",
        ),
    ];
    for (build, layout, skipped, stream) in rows {
        let mut theirs: LengthDelimitedCodec = build(&mut LengthDelimitedCodec::builder()).new_codec();
        let mut ours = FrameCodec::new(Format::with_default_limit(layout).expect("a format"));
        let (mut for_theirs, mut for_ours) = (BytesMut::from(stream), BytesMut::from(stream));
        let mut count = 0;
        while let Some(item) = theirs.decode(&mut for_theirs).expect("their frame") {
            let frame = ours.decode(&mut for_ours).expect("our frame").expect("as many");
            assert_eq!(item, frame.as_bytes()[skipped..], "{layout}");
            count += 1;
        }
        assert_eq!((count, for_theirs.len(), for_ours.len()), (count.max(1), 0, 0), "{layout}");
        assert!(ours.decode(&mut for_ours).expect("no error").is_none(), "{layout}");
    }
}

/// Four bytes that declare 1 GiB, and then silence.
#[test]
fn nothing_is_reserved_for_a_declared_length() {
    let format = Format::U32_BE.with_max_payload_len(1 << 30).expect("a format");
    let (mut codec, mut received) = (FrameCodec::new(format), BytesMut::with_capacity(8 << 10));
    received.extend_from_slice(&(1u32 << 30).to_be_bytes());
    assert!(codec.decode(&mut received).expect("no error").is_none());
    assert_eq!(&received[..], (1u32 << 30).to_be_bytes(), "the header waits in the buffer");
    assert!(received.capacity() <= 32 << 10, "{} bytes", received.capacity());
}

/// A frame is a part of what was read, and not a copy.
#[test]
fn a_payload_is_where_it_was_read() {
    let (mut codec, mut received) = (FrameCodec::new(Format::U8), BytesMut::from(&b"\x05hello\x02hi"[..]));
    let place = received.as_ptr();
    let frame = codec.decode(&mut received).expect("no error").expect("a frame");
    assert_eq!(format!("{frame:?}"), "OwnedFrame { prefix_len: 0, header_len: 1, payload_len: 5, trailer_len: 0 }");
    let payload = frame.into_payload();
    assert_eq!((&payload[..], payload.as_ptr()), (&b"hello"[..], place.wrapping_add(1)));
    assert_eq!(&received[..], b"\x02hi");
}

fn on_tokio<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_io().build().expect("a runtime").block_on(test)
}

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let near = TcpStream::connect(listener.local_addr().expect("an address")).await.expect("connected");
    (near, listener.accept().await.expect("accepted").0)
}

#[test]
fn whatever_is_sent_over_a_socket_comes_back() {
    on_tokio(async {
        let layout = Layout::fixed(4, Endian::Big).offset(1).trailer(2);
        let format = Format::with_default_limit(layout).expect("a format");
        let (near, far) = pair().await;
        let (mut near, mut far) =
            (Framed::new(near, FrameCodec::new(format)), Framed::new(far, FrameCodec::new(&format)));
        let echo = async {
            while let Some(frame) = far.next().await {
                far.send(frame.expect("a frame")).await.expect("sent");
            }
            SinkExt::<Bytes>::close(&mut far).await.expect("closed");
        };
        let talk = async {
            for len in [0, 1, 100, 70_000, 3, 1 << 20] {
                let payload = vec![7; len];
                let envelope = Envelope { prefix: b"#", trailer: b"\r\n" };
                near.send((envelope, &payload)).await.expect("sent");
                let frame = near.next().await.expect("a reply").expect("a frame");
                assert_eq!((frame.envelope(), frame.payload()), (envelope, &payload[..]));
            }
            let refused = near.send(Bytes::from_static(b"no prefix")).await;
            assert!(matches!(refused, Err(WriteError::Encode(EncodeError::Prefix { prefix_len: 0, offset: 1 }))));
            SinkExt::<Bytes>::close(&mut near).await.expect("closed");
            assert!(near.next().await.is_none(), "the end, as we closed");
        };
        futures_lite::future::zip(echo, talk).await;
    });
}

/// A `Framed` goes on after an error; so the same one comes for all that follows, and then the end.
#[test]
fn an_error_in_the_middle_is_final() {
    on_tokio(async {
        let (mut near, far) = pair().await;
        let mut far = Framed::new(far, FrameCodec::new(Format::U16_BE.with_max_payload_len(10).expect("a format")));
        near.write_all(b"\0\x02hi\x7F\xFF\0\x02hi").await.expect("written");
        assert_eq!(far.next().await.expect("a frame").expect("a frame").payload(), b"hi");
        let first = decode_error(far.next().await.expect("an item").expect_err("over the limit"));
        assert_eq!(first.offset(), 4);
        assert!(matches!(first.kind(), DecodeErrorKind::Oversize { payload_len: 0x7FFF, .. }), "{first}");
        assert!(far.next().await.is_none(), "what a Framed says behind an error");
        near.write_all(b"\0\x02hi").await.expect("written");
        let again = decode_error(far.next().await.expect("an item").expect_err("the same"));
        assert_eq!(again, first);
        assert!(far.read_buffer().is_empty());
    });
}

#[test]
fn an_end_inside_a_frame_is_one_error_and_then_the_end() {
    for (stream, phase) in
        [(&b"\0\x02hi\0"[..], "Header"), (b"\0\x02hi\0\x02", "Payload"), (b"\0\x02hi\0\x02h", "Payload")]
    {
        on_tokio(async {
            let (mut near, far) = pair().await;
            let mut far = Framed::new(far, FrameCodec::new(Format::U16_BE));
            near.write_all(stream).await.expect("written");
            drop(near);
            assert_eq!(far.next().await.expect("a frame").expect("a frame").payload(), b"hi");
            let error = decode_error(far.next().await.expect("an item").expect_err("truncated"));
            assert!(format!("{:?}", error.kind()).contains(phase), "{error}");
            assert_eq!(error.offset(), 4);
            for _ in 0..3 {
                assert!(far.next().await.is_none(), "then the end");
            }
        });
    }
}
