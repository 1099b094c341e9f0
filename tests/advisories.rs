//! Advisories of 2026 about other projects' length prefixes. Each test says what happened there, and checks what we promise.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use allocation_counter::measure;
use bytes::BytesMut;
use futures_lite::AsyncWriteExt;
use tokio_util::codec::Decoder as _;
use unstick::codec::FrameCodec;
use unstick::framing::{
    Check, DecodeErrorKind, Decoder, EncodeError, Encoder, Endian, Envelope, Format, Head, Header, Layout, Parsed,
    Phase,
};
use unstick::testing::Simulation;
use unstick::{CloseKind, FrameReader, ReadError, Responder, Server, ServerConfig, Stats};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// What a decoder may hold that has received nothing but a header: a read, and its old memory while it grows.
const ONE_READ: u64 = 2 * 16 * 1024 + 100;

/// RustDesk, CVE-2026-73108: a header of 4 bytes reserved 1 GiB, before any authentication. A declared length reserves nothing.
#[test]
fn rustdesk_cve_2026_73108_four_bytes_reserve_one_gib() {
    let format = Format::U32_BE.with_max_payload_len(1 << 30).expect("a format");
    let info = measure(|| {
        let mut decoder = Decoder::new(format);
        for byte in [0x40, 0, 0, 0] {
            decoder.space()[0] = byte;
            decoder.filled(1);
            assert_eq!(decoder.next_frame(), Ok(None));
        }
        assert_eq!(decoder.need(), 1 << 30);
        assert!(!decoder.space().is_empty());
    });
    assert!(info.bytes_max <= ONE_READ, "{} bytes for four", info.bytes_max);
}

/// gotd, CVE-2026-54638: 20 bytes declared 1.75 GB, which were allocated. Neither the blocking reader nor the codec does that.
#[test]
fn gotd_cve_2026_54638_twenty_bytes_declare_1_75_gb() {
    let format = Format::U32_LE.with_max_payload_len(2_000_000_000).expect("a format");
    let stream = [&1_750_000_000u32.to_le_bytes()[..], &[7; 16]].concat();
    let info = measure(|| {
        let error = FrameReader::new(&stream[..], format).next_frame().expect_err("it ends inside the frame");
        let ReadError::Decode(error) = error else { panic!("{error}") };
        let need = 4 + 1_750_000_000;
        assert_eq!(error.kind(), DecodeErrorKind::Truncated { phase: Phase::Payload, have: 20, need });
    });
    assert!(info.bytes_max <= ONE_READ, "{} bytes for 20", info.bytes_max);
    let info = measure(|| {
        let mut received = BytesMut::from(&stream[..]);
        assert!(FrameCodec::new(format).decode(&mut received).expect("within the limit").is_none());
    });
    assert!(info.bytes_max <= ONE_READ, "{} bytes for 20", info.bytes_max);
}

/// py-libp2p, CVE-2026-73568: 0xFFFFFFFF, and then silence, took memory for as long as the peer liked. Over the limit it is
/// refused; within the limit, the frame has its time. `tests/memory.rs` measures what 200 such connections cost a server: nothing.
#[test]
fn py_libp2p_cve_2026_73568_ffffffff_and_silence() {
    let huge = Format::U32_LE.with_max_payload_len(u32::MAX as usize).expect("a format");
    let (narrow, wide) = (ServerConfig::default(), ServerConfig::default().format(huge));
    for (config, kind) in [(narrow, CloseKind::Oversize), (wide, CloseKind::SlowFrame)] {
        let (stats, sent) = flood(config, &[0xFF; 4], false, Duration::ZERO);
        assert_eq!((stats.closes(kind), stats.closed(), sent), (1, 1, 4), "{stats}");
    }
}

/// Netty, CVE-2026-61799: a varint of 2^31 became a negative int. A length is compared as a `u64`, with its adjustment as more.
#[test]
fn netty_cve_2026_61799_a_varint_wraps() {
    let around = [31, 32, 63].map(|bit| 1u64 << bit);
    for field in around.into_iter().flat_map(|at| [at - 1, at, at + 1]).chain([u64::MAX]) {
        let wire = varint(field);
        for adjustment in [0, -1, 1, i64::MIN, i64::MAX] {
            let layout = Layout::varint(10).adjustment(adjustment);
            let limit = MIB.max(layout.min_payload_len() as usize);
            let Ok(format) = Format::new(layout, limit) else { continue };
            let mut decoder = Decoder::new(format);
            decoder.feed(&wire);
            let declared = i128::from(field) + i128::from(adjustment);
            let found = decoder.next_frame().map(|frame| frame.map(|frame| frame.payload().len()));
            match found.map_err(|error| error.kind()) {
                Err(DecodeErrorKind::Underflow { .. }) => assert!(declared < 0, "{field} {adjustment}"),
                Err(DecodeErrorKind::Oversize { payload_len, .. }) => {
                    assert!(declared > limit as i128, "{field} {adjustment}");
                    assert_eq!(i128::from(payload_len), declared.min(i128::from(u64::MAX)));
                }
                Ok(Some(len)) => assert_eq!((len, declared), (0, 0), "{field} {adjustment}"),
                Ok(None) => assert_eq!(decoder.need() as i128, declared, "{field} {adjustment}"),
                Err(other) => panic!("{field} {adjustment}: {other:?}"),
            }
        }
    }
}

/// rust-yamux, CVE-2026-32314 and CVE-2026-31814: after a refused length, cleaning up panicked. A decoder that has failed says so
/// again, whatever is asked of it, and the server's account of such a connection balances.
#[test]
fn rust_yamux_cve_2026_32314_and_31814_a_panic_after_a_refused_length() {
    let refused = b"\x02\0\0\0hi\xFF\xFF\xFF\xFFand more";
    let mut decoder = Decoder::new(Format::U32_LE);
    decoder.feed(refused);
    assert_eq!(decoder.next_frame().expect("good").expect("whole").payload(), b"hi");
    let error = decoder.next_frame().expect_err("over the limit");
    for _ in 0..2 {
        assert_eq!(decoder.next_frame().expect_err("final"), error);
        assert_eq!(decoder.next_part().expect_err("final"), error);
        assert_eq!(decoder.has_frame().expect_err("final"), error);
        assert_eq!(decoder.finish().expect_err("final"), error);
        decoder.feed(refused);
        let len = decoder.space().len();
        decoder.filled(len);
        let _ = (decoder.need(), decoder.buffered(), decoder.capacity(), decoder.skipped());
    }
    drop(decoder);
    // The handler still waits with the first frame's reply when the length is refused.
    let (stats, _) = flood(ServerConfig::default(), refused, false, Duration::from_secs(1));
    assert_eq!((stats.closes(CloseKind::Oversize), stats.closed()), (1, 1), "{stats}");
}

/// OpENer, CVE-2026-51536: a length was cut to a negative i16. Every u16 is the length that it says.
#[test]
fn opener_cve_2026_51536_a_length_becomes_a_negative_i16() {
    for endian in [Endian::Big, Endian::Little] {
        let format = Format::new(Layout::fixed(2, endian), 0xFFFF).expect("a format");
        for len in [0x7FFF, 0x8000, 0x8001, 0xFFFE, 0xFFFF] {
            let payload: Vec<u8> = (0..len).map(|at| at as u8).collect();
            let mut wire = Vec::new();
            Encoder::new(format).encode(&payload, &mut wire).expect("within the limit");
            let mut decoder = Decoder::new(format);
            decoder.feed(&wire[..2]);
            assert_eq!(decoder.next_frame(), Ok(None));
            assert_eq!(decoder.need(), len);
            decoder.feed(&wire[2..]);
            assert!(decoder.next_frame().expect("no error").expect("whole").payload() == payload, "{len}");
        }
    }
}

/// Netty, CVE-2026-73507: for each byte that dripped in, the whole buffer was scanned again. For 1 MiB in reads of one byte, headers
/// are parsed, memory is copied and a checksum is computed in proportion to the bytes. A server's `tests/simulation/faults.rs`.
#[test]
fn netty_cve_2026_73507_a_drip_rescans_the_buffer() {
    let wire = [&(MIB as u32).to_le_bytes()[..], &vec![7; MIB], &[0]].concat();
    let (mut decoder, mut codec) = (Decoder::new(Counted::default()), FrameCodec::new(Counted::default()));
    let mut received = BytesMut::new();
    let (mut of_decoder, mut of_codec) = (0, 0);
    let decoding = measure(|| {
        for byte in &wire {
            decoder.space()[0] = *byte;
            decoder.filled(1);
            of_decoder += usize::from(decoder.next_frame().expect("good").is_some());
        }
    });
    let checked = CHECKED.take();
    let codec_decoding = measure(|| {
        for byte in &wire {
            received.extend_from_slice(&[*byte]);
            of_codec += usize::from(codec.decode(&mut received).expect("good").is_some());
        }
    });
    assert_eq!((of_decoder, of_codec), (1, 1));
    for (what, parsed, checked, allocated) in [
        ("decoder", decoder.format().parsed.get(), checked, decoding.bytes_total),
        ("codec", codec.format().parsed.get(), CHECKED.take(), codec_decoding.bytes_total),
    ] {
        assert!((1..=4 * wire.len()).contains(&parsed), "{what}: {parsed} headers parsed");
        assert!((MIB..=2 * MIB).contains(&checked), "{what}: {checked} bytes checked");
        // What is copied, is copied to new memory.
        assert!(allocated <= 4 * MIB as u64, "{what}: {allocated} bytes allocated");
    }
}

/// h2, RUSTSEC-2026-0258: empty frames were queued without a limit while nobody took them. Their replies wait up to the high-water
/// mark; then nothing is read, and the peer is a *slow reader* in time.
#[test]
fn h2_rustsec_2026_0258_empty_frames_queue_without_a_limit() {
    let mut ended = None;
    let info = measure(|| ended = Some(flood(ServerConfig::default(), &[0; 4 * KIB], true, Duration::ZERO)));
    let (stats, sent) = ended.expect("it ran");
    assert_eq!((stats.closes(CloseKind::SlowReader), stats.closed()), (1, 1), "{stats}");
    assert!(sent < MIB && info.bytes_max < MIB as u64, "{sent} bytes were taken, {} held", info.bytes_max);
}

/// Netty, CVE-2026-100656 and CVE-2026-59899: each unanswered frame was booked, while more were read. While a handler waits, what
/// is behind its frame stays bytes, and no more are read.
#[test]
fn netty_cve_2026_100656_and_59899_pipelining_is_booked() {
    let waits = Duration::from_secs(600);
    let mut ended = None;
    let info = measure(|| ended = Some(flood(ServerConfig::default(), &b"\x01\0\0\0x".repeat(KIB), true, waits)));
    let (stats, sent) = ended.expect("it ran");
    assert!(stats.traffic.frames_out < 10, "{stats}");
    assert!(sent < MIB && info.bytes_max < MIB as u64, "{sent} bytes were taken, {} held", info.bytes_max);
}

/// Buffa, CVE-2026-55407: messages under the limit took 22 times their bytes. Whatever the frames are, the decoder holds twice what
/// it received, or one read more; as its memory grows, the old beside the new; and nothing for a frame.
#[test]
fn buffa_cve_2026_55407_amplification_under_the_limit() {
    let stream = |payload: &[u8]| [&(payload.len() as u32).to_le_bytes()[..], payload].concat();
    for frame in [stream(b""), stream(b"x"), stream(&[7; 10_000]), stream(&vec![7; MIB - 4])] {
        let wire = frame.repeat(MIB / frame.len());
        for read_len in [1000, MIB] {
            let mut frames = 0;
            let info = measure(|| {
                let mut decoder = Decoder::new(Format::U32_LE);
                for chunk in wire.chunks(read_len) {
                    decoder.feed(chunk);
                    assert!(decoder.capacity() <= (2 * decoder.buffered()).max(decoder.buffered() + 16 * KIB));
                }
                while decoder.next_frame().expect("good frames").is_some() {
                    frames += 1;
                }
            });
            assert_eq!(frames, MIB / frame.len());
            assert!(info.bytes_max <= 3 * MIB as u64 + ONE_READ, "{} bytes for {MIB}", info.bytes_max);
        }
    }
}

/// A server in memory, and a peer that sends `bytes`, once or for as long as they are taken, and reads nothing. It echoes each frame
/// after `wait`. How it all ended after an hour of the made-up clock, and how many bytes were taken.
fn flood(config: ServerConfig, bytes: &[u8], again: bool, wait: Duration) -> (Stats, usize) {
    let simulation = Simulation::new();
    let (listener, network) = Simulation::network(16 * KIB);
    let server = Server::with_listener(listener, config).expect("a configuration to serve with");
    let stop = simulation.sleep(Duration::from_secs(3600));
    let serving = simulation.serve(
        server,
        move |peer: unstick::Peer| {
            async move |frame: unstick::framing::Frame<'_>, responder: &mut Responder| {
                peer.sleep(wait).await;
                responder.send(frame.payload()).await
            }
        },
        stop,
    );
    let (bytes, taken) = (bytes.to_vec(), Rc::new(Cell::new(0)));
    let counter = Rc::clone(&taken);
    let flooding = simulation.spawn(async move {
        let mut stream = network.connect("a peer");
        loop {
            let mut left = &bytes[..];
            while let Ok(n @ 1..) = stream.write(left).await {
                counter.set(counter.get() + n);
                left = &left[n..];
            }
            if !again || !left.is_empty() {
                return stream;
            }
        }
    });
    let stats = simulation.run(serving);
    drop(flooding);
    assert_eq!((stats.accepted, stats.buffered), (1, 0), "{stats}");
    (stats, taken.get())
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// `u32` little-endian, and a trailer of one byte, checked: how often its header was parsed.
#[derive(Default)]
struct Counted {
    parsed: Cell<usize>,
}

thread_local! {
    /// How many bytes were checked on this thread.
    static CHECKED: Cell<usize> = const { Cell::new(0) };
}

#[derive(Clone, Debug, Default)]
struct CountingCheck;

impl Check for CountingCheck {
    fn update(&mut self, payload: &[u8]) {
        CHECKED.set(CHECKED.get() + payload.len());
    }

    fn write(&self, _trailer: &mut Vec<u8>) {}

    fn verify(&self, _trailer: &[u8]) -> Result<(), DecodeErrorKind> {
        Ok(())
    }
}

impl Header for Counted {
    type Check = CountingCheck;

    fn max_header_len(&self) -> usize {
        4
    }

    fn max_payload_len(&self) -> usize {
        MIB
    }

    fn parse(&self, bytes: &[u8]) -> Result<Parsed, DecodeErrorKind> {
        self.parsed.set(self.parsed.get() + 1);
        let Some(field) = bytes.first_chunk::<4>() else { return Ok(Parsed::Need(4 - bytes.len())) };
        Ok(Parsed::Head(Head::new(4, u64::from(u32::from_le_bytes(*field))).trailer(1)))
    }

    fn write(&self, _: Envelope<'_>, _payload_len: usize, _out: &mut Vec<u8>) -> Result<(), EncodeError> {
        Err(EncodeError::Custom("decoded only"))
    }
}
