//! What a declared length costs: nothing. Measured by an allocator that counts.

mod common;

use std::io;
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use common::*;
use futures_lite::future::block_on;
use futures_lite::io::AsyncRead;
use peak_alloc::PeakAlloc;
use unstick::framing::{DecodeErrorKind, Decoder, Format, Part, Phase};
use unstick::{CloseKind, FramedRead, Greeting, ServerConfig};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// The tests of this file count the same memory, so they take turns.
static TURN: Mutex<()> = Mutex::new(());

fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

const KIB: usize = 1024;

/// A big-endian u64 header, and as many payload bytes as it says. The bytes are those that are in the buffer already, so that
/// making them costs nothing.
struct Generated {
    header: [u8; 8],
    passed: u64,
    end: u64,
}

impl AsyncRead for Generated {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let left = usize::try_from(self.end - self.passed).expect("64 bits");
        let len = match self.header.get(self.passed as usize..) {
            Some(header) if !header.is_empty() => {
                let len = header.len().min(buf.len());
                buf[..len].copy_from_slice(&header[..len]);
                len
            }
            _ => left.min(buf.len()),
        };
        self.passed += len as u64;
        Poll::Ready(Ok(len))
    }
}

#[test]
fn ten_gib_pass_through_a_streamed_body_in_less_than_a_mib() {
    let _turn = turn();
    let payload_len = 10 << 30;
    let format = Format::U64_BE.with_max_payload_len(payload_len).expect("a format");
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();

    let header = (payload_len as u64).to_be_bytes();
    let reader = Generated { header, passed: 0, end: 8 + payload_len as u64 };
    let mut read = FramedRead::with_decoder(reader, Decoder::with_read_len(format, 256 * KIB));
    let (mut received, mut ended) = (0, false);
    while let Some(part) = block_on(read.next_part()).expect("no error") {
        match part {
            Part::Start { payload_len: declared, .. } => assert_eq!(declared, payload_len),
            Part::Chunk(bytes) => received += bytes.len(),
            Part::End { .. } => ended = true,
        }
    }
    assert!(ended);
    assert_eq!(received, payload_len);
    let peak = MEMORY.peak_usage() - before;
    assert!(peak < 1024 * KIB, "{peak} bytes at the peak");
    // The test harness may free something of its own meanwhile.
    assert!(peak >= 250 * KIB, "{peak} bytes at the peak: the allocator counts");
}

/// What each connection costs in bytes that has sent a whole frame, then `unfinished`, then nothing.
fn cost_of_silence(unfinished: &[u8], have: u64) -> usize {
    const CONNECTIONS: usize = 200;
    let _turn = turn();
    let format = Format::U32_LE.with_max_payload_len(u32::MAX as usize).expect("a format");
    let server = start(ServerConfig::default().format(format).greeting(Greeting::None), |_| echo);
    let torn = [&frame(b"whole"), unfinished].concat();
    let silent_after = || {
        let mut socket = connect(server.addr);
        write(&mut socket, &torn);
        // The reply says that the server has read that far.
        assert_eq!(read_frame(&mut socket), b"whole");
        socket
    };
    let first = silent_after();
    let before = MEMORY.current_usage();
    let sockets: Vec<_> = (0..CONNECTIONS).map(|_| silent_after()).collect();
    let cost = MEMORY.current_usage().saturating_sub(before) / CONNECTIONS;
    for socket in sockets.into_iter().chain([first]) {
        socket.shutdown(Shutdown::Write).expect("a FIN");
        let error = server.next_close().error.expect("the decoder's");
        let need = 4 + u64::from(u32::MAX);
        assert_eq!(error.kind(), DecodeErrorKind::Truncated { phase: Phase::Payload, have, need });
    }
    assert_eq!(server.served().0.closes(CloseKind::Truncated), CONNECTIONS as u64 + 1);
    cost
}

#[test]
fn four_gib_declared_and_then_silence_cost_a_connection_less_than_64_kib() {
    let cost = cost_of_silence(&[0xFF; 4], 4);
    println!("{cost} bytes a connection");
    assert!(cost < 64 * KIB, "{cost} bytes a connection");
    assert!(cost > 0, "the allocator counts");
}

#[test]
fn what_came_of_four_gib_costs_what_came() {
    let mut begun = vec![7; 4 + 1000];
    begun[..4].fill(0xFF);
    let cost = cost_of_silence(&begun, 1004);
    println!("{cost} bytes a connection");
    assert!((1004..64 * KIB).contains(&cost), "{cost} bytes a connection");
}
