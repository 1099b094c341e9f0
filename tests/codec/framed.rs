//! A `Framed` over a real socket.

use std::fmt::Debug;
use std::io::{Read, Write};
use std::net;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::codec::{Framed, FramedParts};
use unstick::codec::FrameCodec;
use unstick::framing::{DecodeError, DecodeErrorKind, Diagnosis, EncodeError, Envelope, Format, Layout, Phase};
use unstick::{ReadError, WriteError};

use super::with_envelope;

fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("a runtime");
    runtime.block_on(test)
}

/// Two ends of a connection over loopback.
async fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = listener.local_addr().expect("its address");
    let (ours, theirs) = futures_lite::future::zip(TcpStream::connect(addr), listener.accept()).await;
    (ours.expect("connected"), theirs.expect("accepted").0)
}

/// A `Framed`, and a plain socket at its other end.
async fn framed(format: Format) -> (Framed<TcpStream, FrameCodec>, net::TcpStream) {
    let (ours, theirs) = connection().await;
    let theirs = theirs.into_std().expect("a socket");
    theirs.set_nonblocking(false).expect("a socket that waits");
    (Framed::new(ours, FrameCodec::new(format)), theirs)
}

fn decode_error<T: Debug>(found: Option<Result<T, ReadError>>) -> DecodeError {
    match found {
        Some(Err(ReadError::Decode(error))) => error,
        other => panic!("{other:?} where an error is due"),
    }
}

/// Frames of every length up to 64 KiB and beyond, through an echo that sends on what it gets.
#[test]
fn what_is_sent_comes_back() {
    run(async {
        let (ours, theirs) = connection().await;
        let echo = tokio::spawn(async move {
            let (sink, stream) = Framed::new(theirs, FrameCodec::new(wide_envelope())).split();
            stream.map(|frame| frame.map_err(|error| panic!("{error}"))).forward(sink).await
        });
        let (mut sink, mut stream) = Framed::new(ours, FrameCodec::new(wide_envelope())).split();
        let lens: Vec<usize> = (0..300).map(|turn| turn * turn * 7 % 100_000).collect();
        let sent = lens.clone();
        let sending = tokio::spawn(async move {
            for len in sent {
                let prefix = (len as u16).to_le_bytes();
                sink.feed((prefix, Bytes::from(vec![len as u8; len]))).await.expect("the echo reads");
            }
            sink.close().await
        });
        for len in lens {
            let frame = stream.next().await.expect("a frame").expect("no error");
            assert_eq!(frame.prefix(), (len as u16).to_le_bytes());
            assert_eq!(frame.into_payload(), vec![len as u8; len]);
        }
        assert!(stream.next().await.is_none());
        sending.await.expect("no panic").expect("closed");
        echo.await.expect("no panic").expect("the echo ends as its reader does");
    });
}

fn wide_envelope() -> Format {
    Format::with_default_limit(Layout::varint(5).offset(2)).expect("a format")
}

/// An error in the middle: the frames before it, the error, and the end. Further polls return the same error, and no
/// frame, until the stream has ended.
#[test]
fn an_error_in_the_middle_is_final() {
    run(async {
        let (mut framed, mut peer) = framed(Format::U32_BE.with_max_payload_len(100).expect("a format")).await;
        peer.write_all(b"\0\0\0\x02hi\0\0\0\x03bye\0\0\0\x65 more than may be \0\0\0\x02hi").expect("written");
        for payload in ["hi", "bye"] {
            assert_eq!(framed.next().await.expect("a frame").expect("no error").text(), Ok(payload));
        }
        let error = decode_error(framed.next().await);
        let (kind, offset) = (error.kind(), error.offset());
        let oversize = DecodeErrorKind::Oversize { field: 101, payload_len: 101, max_payload_len: 100 };
        assert_eq!((kind, offset, error.header()), (oversize, 13, &b"\0\0\0\x65"[..]));
        assert!(framed.next().await.is_none(), "tokio-util ends a stream at its error");
        assert!(framed.read_buffer().is_empty());
        for _ in 0..3 {
            peer.write_all(b"\0\0\0\x02hi").expect("written");
            assert_eq!(decode_error(framed.next().await), error);
            assert!(framed.next().await.is_none());
            assert!(framed.read_buffer().is_empty());
        }
        drop(peer);
        assert_eq!(decode_error(framed.next().await), error);
        for _ in 0..3 {
            assert!(framed.next().await.is_none());
        }
    });
}

/// The stream ends inside a frame: the whole frames, one error that says where, and the end.
#[test]
fn an_end_inside_a_frame_is_truncated() {
    // The bytes after a frame of two, where they end, and how many are there and needed.
    let ends: [(&[u8], Phase, u64, u64); 4] = [
        (b"#", Phase::Header, 1, 3),
        (b"#\x00", Phase::Header, 2, 3),
        (b"#\x00\x09", Phase::Payload, 3, 11),
        (b"#\x00\x04hi", Phase::Trailer, 5, 6),
    ];
    for (cut, phase, have, need) in ends {
        run(async {
            let (mut framed, mut peer) = framed(with_envelope()).await;
            peer.write_all(b"#\x00\x04hi!").expect("written");
            peer.write_all(cut).expect("written");
            drop(peer);
            assert_eq!(framed.next().await.expect("a frame").expect("no error").text(), Ok("hi"));
            let error = decode_error(framed.next().await);
            assert_eq!((error.kind(), error.offset()), (DecodeErrorKind::Truncated { phase, have, need }, 6));
            for _ in 0..3 {
                assert!(framed.next().await.is_none());
            }
        });
    }
}

#[test]
fn an_end_between_frames_is_clean() {
    for stream in [&b""[..], b"\0", b"\x02hi\0"] {
        run(async {
            let (mut framed, mut peer) = framed(Format::U8).await;
            peer.write_all(stream).expect("written");
            drop(peer);
            while let Some(frame) = framed.next().await {
                frame.expect("no error");
            }
            assert!(framed.next().await.is_none());
        });
    }
}

/// Another protocol is named, also if its first bytes are a length within the limit.
#[test]
fn another_protocol_is_called_by_its_name() {
    let strangers: [(Format, &[u8], Diagnosis); 2] = [
        (Format::U32_BE, b"GET / HTTP/1.1\r\n", Diagnosis::Http),
        (Format::U32_LE, b"\x16\x03\x01\x00\xF5\x01\x00\x00\xF1\x03\x03", Diagnosis::Tls),
    ];
    for (format, hello, diagnosis) in strangers {
        run(async {
            let (mut framed, mut peer) = framed(format).await;
            peer.write_all(hello).expect("written");
            peer.shutdown(net::Shutdown::Write).expect("half-closed");
            let error = decode_error(framed.next().await);
            assert_eq!((error.offset(), error.diagnosis()), (0, Some(diagnosis)));
        });
    }
}

/// A connection that breaks is the socket's own error, and none of the codec's.
#[test]
fn a_reset_is_the_socket_s_error() {
    run(async {
        let (mut framed, peer) = framed(Format::U8).await;
        let peer = socket2::SockRef::from(&peer).set_linger(Some(Duration::ZERO)).map(|()| peer).expect("a socket");
        drop(peer);
        match framed.next().await {
            Some(Err(ReadError::Io(error))) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
            other => panic!("{other:?} where the connection was reset"),
        }
    });
}

/// A frame that is refused is no reason to end: what was fed before it and after it goes out whole.
#[test]
fn a_refused_frame_is_about_itself_alone() {
    run(async {
        let (mut framed, mut peer) = framed(with_envelope()).await;
        let good = Envelope { prefix: b"#", trailer: b"!" };
        framed.feed((good, "one")).await.expect("a good frame");
        let refused = framed.send((good, [0; 301])).await;
        let oversize = EncodeError::Oversize { payload_len: 301, max_payload_len: 300 };
        assert!(matches!(refused, Err(WriteError::Encode(error)) if error == oversize), "{refused:?}");
        framed.send((good, "two")).await.expect("a good frame");
        drop(framed);
        let mut received = Vec::new();
        peer.read_to_end(&mut received).expect("read");
        assert_eq!(received, b"#\x00\x05one!#\x00\x05two!");
    });
}

/// Bytes that were read before, as after an upgrade from another protocol, are the stream's first.
#[test]
fn a_framed_may_begin_with_bytes_that_came_before() {
    run(async {
        let (framed, mut peer) = framed(Format::U8).await;
        let mut parts = FramedParts::new::<Bytes>(framed.into_inner(), FrameCodec::new(Format::U8));
        parts.read_buf = BytesMut::from(&b"\x02hi\x05wo"[..]);
        let mut framed = Framed::from_parts(parts);
        assert_eq!(framed.next().await.expect("a frame").expect("no error").text(), Ok("hi"));
        peer.write_all(b"rld").expect("written");
        assert_eq!(framed.next().await.expect("a frame").expect("no error").text(), Ok("world"));
    });
}
