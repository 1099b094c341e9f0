//! Replies in memory: large payloads that a handler sends back are not copied, and are written together,
//! in order, and as many at a time as may wait.

use std::io::ErrorKind;

use futures_lite::future::block_on;
use unstick::framing::{EncodeError, Frame};
use unstick::testing::choppy::{ChoppyRead, SharedWrite, Step};
use unstick::{
    CloseReason, Closed, Greeting, Halves, NO_COPY_LEN, PeerName, Responder, ServerConfig, serve_connection,
};

const KIB: usize = 1024;

/// Frames of payloads of these lengths, whose bytes tell them apart.
fn frames(lens: &[usize]) -> Vec<u8> {
    let payload = |(n, len): (usize, &usize)| (0..*len).map(|at| (at * 7 + at / 251 + n) as u8).collect::<Vec<_>>();
    lens.iter().enumerate().map(payload).flat_map(|payload| frame(&payload)).collect()
}

fn frame(payload: &[u8]) -> Vec<u8> {
    [&(payload.len() as u32).to_le_bytes(), payload].concat()
}

/// Serves a stream to its end; what was written, with the writes.
fn serve(
    stream: &[u8],
    read: impl IntoIterator<Item = Step>,
    write: impl IntoIterator<Item = Step>,
    handler: impl AsyncFnMut(Frame<'_>, &mut Responder) -> Result<(), EncodeError>,
) -> SharedWrite {
    let (writer, closed) = serve_with(ServerConfig::default(), stream, read, write, handler);
    assert_eq!(closed.reason.name(), "clean");
    assert_eq!(closed.traffic.bytes_out, writer.look().written().len() as u64);
    writer
}

fn serve_with(
    config: ServerConfig,
    stream: &[u8],
    read: impl IntoIterator<Item = Step>,
    write: impl IntoIterator<Item = Step>,
    handler: impl AsyncFnMut(Frame<'_>, &mut Responder) -> Result<(), EncodeError>,
) -> (SharedWrite, Closed) {
    let writer = SharedWrite::new(write);
    let memory = Halves { reader: ChoppyRead::new(stream, read), writer: writer.clone() };
    let closed = block_on(serve_connection(PeerName::Other("memory".into()), memory, config, |_| handler));
    (writer, closed.expect("a configuration to serve with"))
}

async fn echo(frame: Frame<'_>, responder: &mut Responder) -> Result<(), EncodeError> {
    responder.send(frame.payload()).await
}

/// Sends the payload from where it was received, if it is large.
async fn echo_shared(frame: Frame<'_>, responder: &mut Responder) -> Result<(), EncodeError> {
    let payload = responder.share(frame);
    responder.send_bytes(payload).await
}

#[test]
fn the_large_replies_to_one_read_are_one_write_from_where_they_were_received() {
    let first = frames(&[20 * KIB]);
    let stream = [first.clone(), frames(&[20 * KIB, 5, NO_COPY_LEN, 30 * KIB, 0])].concat();
    // Behind a large frame, what one read brings is answered at once, whatever the mark is.
    let config = ServerConfig::default();
    // The first read of a connection is a short one.
    let read = [Step::Pass(2 * KIB), Step::Pass(first.len() - 2 * KIB)];
    let (writer, closed) = serve_with(config, &stream, read, [], echo_shared);
    assert_eq!(closed.reason.name(), "clean");
    assert!(writer.look().written() == stream);
    let writes = writer.look().writes().to_vec();
    assert_eq!(writes.len(), 2, "{writes:?}");
    let slices = &writes[1].slices;
    let lens: Vec<usize> = slices.iter().map(|(_, len)| *len).collect();
    assert_eq!(lens, [4, 20 * KIB, 4 + 5 + 4, NO_COPY_LEN, 4, 30 * KIB, 4]);
    // They have the same distance as in the stream.
    assert_eq!(slices[3].0 - slices[1].0, 20 * KIB + 4 + 5 + 4);
    assert_eq!(slices[5].0 - slices[3].0, NO_COPY_LEN + 4);
}

/// Once as much waits as the mark, or as was received at once with large frames, a handler waits to send, and what
/// waits is written.
#[test]
fn no_more_of_them_wait_than_were_received_at_once() {
    let lens = [20 * KIB; 13];
    let stream = [frames(&lens[..1]), frames(&lens[1..])].concat();
    let frame_len = 20 * KIB + 4;
    for is_shared in [false, true] {
        // Each is sent five times: 1,200 KiB for the second read.
        let read = [Step::Pass(2 * KIB), Step::Pass(frame_len - 2 * KIB)];
        let writer = serve(&stream, read, [], async |frame, responder| {
            for _ in 0..5 {
                match is_shared {
                    false => echo(frame, responder).await?,
                    true => echo_shared(frame, responder).await?,
                }
            }
            Ok(())
        });
        let taken: Vec<usize> = writer.look().writes().iter().map(|write| write.taken).collect();
        assert_eq!(taken.iter().sum::<usize>(), stream.len() * 5);
        // The first frame is not known to be large before it is there: four of its replies are the first ones that are
        // as much as the mark. Twelve are as much as the second read.
        assert_eq!(taken, [[4, 1].as_slice(), &[12; 5]].concat().iter().map(|n| n * frame_len).collect::<Vec<_>>());
    }
}

/// Copied ones wait up to the mark, and not beyond it.
#[test]
fn at_the_mark_they_are_written() {
    for (len, writes) in [(10 * KIB - 5, 1 + 2), (10 * KIB - 4, 1 + 4), (10 * KIB - 3, 1 + 4)] {
        let config = ServerConfig::default().high_water(10 * KIB);
        let stream = frames(&[len; 5]);
        let (writer, _) = serve_with(config, &stream, [Step::Pass(4 + len)], [], echo);
        let lens: Vec<usize> = writer.look().writes().iter().map(|write| write.taken).collect();
        assert_eq!(lens.len(), writes, "{lens:?}");
        assert!(writer.look().written() == stream);
    }
}

/// Also those frames count that were taken out of memory that was lent.
#[test]
fn an_error_after_large_frames_has_its_offset() {
    let stream = [frames(&[20 * KIB, 20 * KIB, 20 * KIB, 17 * KIB]), vec![0xFF; 4]].concat();
    let config = ServerConfig::default();
    let (writer, closed) = serve_with(config, &stream, [Step::Pass(4 + 20 * KIB)], [], echo_shared);
    assert_eq!(writer.look().writes().len(), 2, "the second read's are one write");
    let CloseReason::Oversize(error) = closed.reason else { panic!("{closed}") };
    assert_eq!(error.offset(), stream.len() as u64 - 4);
}

#[test]
fn a_writer_that_failed_is_the_reason_whatever_the_handler_makes_of_it() {
    let fail = || [Step::Fail(ErrorKind::ConnectionReset)];
    let stream = frames(&[20 * KIB, 1]);
    let (_, closed) = serve_with(ServerConfig::default(), &stream, [], fail(), echo);
    assert_eq!((closed.reason.name(), closed.traffic.frames_in), ("reset", 2));
    // A handler that waits when it shows goes no further.
    let mut went_on = false;
    let (_, closed) = serve_with(ServerConfig::default(), &stream, [], fail(), async |frame, responder| {
        responder.send(frame.payload()).await?;
        responder.flush().await;
        went_on = true;
        Err(EncodeError::Custom("the handler's own"))
    });
    assert_eq!((closed.reason.name(), closed.traffic.frames_in, went_on), ("reset", 1, false));
    // If it ends the connection before, nothing was written yet.
    let (_, closed) = serve_with(ServerConfig::default(), &stream, [], fail(), async |frame, responder| {
        responder.send(frame.payload()).await?;
        Err(EncodeError::Custom("the handler's own"))
    });
    assert_eq!((closed.reason.to_string(), closed.traffic.frames_in), ("handler error: the handler's own".into(), 1));
}

#[test]
fn a_greeting_without_framing_goes_out_as_it_is_and_is_counted() {
    let config = ServerConfig::default().greeting(Greeting::Raw(b"hello\r\n".to_vec()));
    let (writer, closed) = serve_with(config, &frame(b"hi"), [], [], echo);
    assert_eq!(writer.look().written(), b"hello\r\n\x02\0\0\0hi");
    assert_eq!((closed.traffic.frames_out, closed.traffic.bytes_out), (1, 7 + 6));
}

#[test]
fn whatever_is_sent_comes_whole_and_in_order() {
    let lens = [30 * KIB, 20 * KIB, 5, 70 * KIB, 0, 300 * KIB, NO_COPY_LEN, 40 * KIB, 40 * KIB, 17 * KIB, 1];
    let stream = frames(&lens);
    let own = vec![9; 50 * KIB];
    let mut expected = Vec::new();
    let mut rest = &stream[..];
    while !rest.is_empty() {
        let len = u32::from_le_bytes(rest[..4].try_into().expect("four bytes")) as usize;
        let payload = &rest[4..4 + len];
        for reply in [payload, b"small", &payload[len / 4..], &own, payload, &payload[len / 2..]] {
            expected.extend(frame(reply));
        }
        rest = &rest[4 + len..];
    }
    for seed in 0..64u8 {
        let steps = |salt: u8| (0..255u8).cycle().map(move |n| n.wrapping_mul(salt | 1) ^ seed);
        let cuts = steps(seed).map(|byte| match byte % 8 {
            0 => Step::Pending,
            1 => Step::Pass(1 + usize::from(byte)),
            _ => Step::Pass(usize::from(byte) * KIB),
        });
        let shorts = steps(seed.wrapping_mul(3)).map(|byte| match byte % 4 {
            0 => Step::Pending,
            _ => Step::Pass(1 + usize::from(byte) * 977),
        });
        let own = &own;
        let writer = serve(&stream, cuts.take(2000), shorts.take(4000), async |frame, responder| {
            let payload = responder.share(frame);
            responder.send_bytes(payload.clone()).await?;
            responder.send(b"small").await?;
            responder.send_bytes(payload.slice(payload.len() / 4..)).await?;
            responder.send_bytes(own.clone()).await?;
            responder.send(frame.payload()).await?;
            responder.send(&frame.payload()[frame.payload().len() / 2..]).await
        });
        assert!(writer.look().written() == expected, "seed {seed}");
    }
}

/// The peer may have ended its stream inside a frame and still read: what is whole is answered.
#[test]
fn what_waits_is_written_where_the_stream_ends_inside_a_frame() {
    let config = ServerConfig::default().greeting(Greeting::Raw(b"hello\r\n".to_vec()));
    let stream = [frame(b"hi"), b"\x02\0".to_vec()].concat();
    let (writer, closed) = serve_with(config, &stream, [], [Step::Pending; 9], echo);
    assert_eq!(closed.reason.name(), "truncated");
    assert_eq!(writer.look().written(), b"hello\r\n\x02\0\0\0hi");
}
