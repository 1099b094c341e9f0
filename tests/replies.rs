//! Large payloads that a handler sends back: they wait where they were received, go out together, and in order.

use std::io::ErrorKind;

use futures_lite::future::block_on;
use unstick::framing::{EncodeError, Frame};
use unstick::testing::choppy::{ChoppyRead, SharedWrite, Step};
use unstick::{
    CloseReason, Closed, Greeting, NO_COPY_LEN, Responder, ServerConfig, SystemClock, WriteError, serve_connection,
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
    handler: impl AsyncFnMut(Frame<'_>, &mut Responder) -> Result<(), WriteError>,
) -> SharedWrite {
    let (writer, closed) = serve_with(&ServerConfig::default().greeting(Greeting::None), stream, read, write, handler);
    assert_eq!(closed.reason.name(), "clean");
    assert_eq!(closed.traffic.bytes_out, writer.look().written().len() as u64);
    writer
}

fn serve_with(
    config: &ServerConfig,
    stream: &[u8],
    read: impl IntoIterator<Item = Step>,
    write: impl IntoIterator<Item = Step>,
    handler: impl AsyncFnMut(Frame<'_>, &mut Responder) -> Result<(), WriteError>,
) -> (SharedWrite, Closed) {
    let writer = SharedWrite::new(write);
    let peer = ([127, 0, 0, 1], 4747).into();
    let reader = ChoppyRead::new(stream, read);
    let closed = block_on(serve_connection(peer, reader, writer.clone(), SystemClock::new(), config, handler));
    (writer, closed)
}

async fn echo(frame: Frame<'_>, responder: &mut Responder) -> Result<(), WriteError> {
    responder.send(frame.payload()).await
}

#[test]
fn the_large_replies_to_one_read_are_one_write_from_where_they_were_received() {
    let first = frames(&[20 * KIB]);
    let stream = [first.clone(), frames(&[20 * KIB, 5, NO_COPY_LEN, 30 * KIB, 0])].concat();
    // Behind a large frame, what one read brings is answered at once.
    let writer = serve(&stream, [Step::Pass(first.len())], [], echo);
    assert!(writer.look().written() == stream);
    let writes = writer.look().writes().to_vec();
    assert_eq!(writes.len(), 2, "{writes:?}");
    let slices = &writes[1].slices;
    let lens: Vec<usize> = slices.iter().map(|(_, len)| *len).collect();
    assert_eq!(lens, [4, 20 * KIB, 4 + 5 + 4, NO_COPY_LEN, 4, 30 * KIB, 4]);
    // They are as far apart as they were in the stream.
    assert_eq!(slices[3].0 - slices[1].0, 20 * KIB + 4 + 5 + 4);
    assert_eq!(slices[5].0 - slices[3].0, NO_COPY_LEN + 4);
}

#[test]
fn no_more_than_256_kib_of_them_wait() {
    let lens = [20 * KIB; 13];
    let stream = [frames(&lens[..1]), frames(&lens[1..])].concat();
    // Each is sent five times: 1,200 KiB for the second read.
    let writer = serve(&stream, [Step::Pass(4 + lens[0])], [], async |frame, replies| {
        for _ in 0..5 {
            responder.send(frame.payload()).await?;
        }
        Ok(())
    });
    let taken: Vec<usize> = writer.look().writes().iter().map(|write| write.taken).collect();
    assert_eq!(taken.iter().sum::<usize>(), stream.len() * 5);
    assert!(taken.iter().all(|taken| *taken < 256 * KIB + 20 * KIB + 4), "{taken:?}");
    assert!(taken.len() < 5 + 6, "{taken:?}");
}

/// They wait up to four times the mark, and not beyond it.
#[test]
fn at_four_times_the_mark_they_are_written() {
    let config = ServerConfig::default().greeting(Greeting::None).high_water(5 * 1024);
    for (len, writes) in [(20 * KIB - 5, 1 + 2), (20 * KIB - 4, 1 + 4), (20 * KIB - 3, 1 + 4)] {
        let stream = frames(&[len; 5]);
        let (writer, _) = serve_with(&config, &stream, [Step::Pass(4 + len)], [], echo);
        let lens: Vec<usize> = writer.look().writes().iter().map(|write| write.taken).collect();
        assert_eq!(lens.len(), writes, "{lens:?}");
        assert!(writer.look().written() == stream);
    }
}

/// Also those frames count that were taken out of memory that was lent.
#[test]
fn an_error_behind_large_frames_is_told_where_it_is() {
    let stream = [frames(&[20 * KIB, 20 * KIB, 20 * KIB, 17 * KIB]), vec![0xFF; 4]].concat();
    let config = ServerConfig::default().greeting(Greeting::None);
    let (writer, closed) = serve_with(&config, &stream, [Step::Pass(4 + 20 * KIB)], [], echo);
    assert_eq!(writer.look().writes().len(), 2, "the second read's are one write");
    let CloseReason::Oversize(error) = closed.reason else { panic!("{closed}") };
    assert_eq!(error.offset(), stream.len() as u64 - 4);
}

#[test]
fn a_writer_that_failed_is_the_reason_whatever_the_handler_makes_of_it() {
    let fail = Step::Fail(ErrorKind::ConnectionReset);
    let config = ServerConfig::default().greeting(Greeting::None);
    let stream = frames(&[20 * KIB, 1]);
    let (_, closed) = serve_with(&config, &stream, [], [fail], async |frame, replies| {
        _ = responder.send(frame.payload()).await;
        Ok(())
    });
    assert_eq!((closed.reason.name(), closed.traffic.frames_in), ("reset", 2));
    let (_, closed) = serve_with(&config, &stream, [], [fail], async |frame, replies| {
        _ = responder.send(frame.payload()).await;
        Err(WriteError::Encode(EncodeError::Custom("the handler's own")))
    });
    assert_eq!((closed.reason.name(), closed.traffic.frames_in), ("reset", 1));
}

#[test]
fn a_greeting_without_framing_goes_out_as_it_is_and_is_counted() {
    let config = ServerConfig::default().greeting(Greeting::Raw(b"hello\r\n".to_vec()));
    let (writer, closed) = serve_with(&config, &frame(b"hi"), [], [], echo);
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
        for reply in [payload, b"small", &payload[len / 4..], &own, payload] {
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
        let writer = serve(&stream, cuts.take(2000), shorts.take(4000), async |frame, replies| {
            responder.send(frame.payload()).await?;
            responder.send(b"small").await?;
            responder.send(&frame.payload()[frame.payload().len() / 4..]).await?;
            responder.send(own).await?;
            responder.send(frame.payload()).await
        });
        assert!(writer.look().written() == expected, "seed {seed}");
    }
}
