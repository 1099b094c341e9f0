//! Every timeout of a served connection, in a simulation: minutes pass in microseconds.

use std::io;
use std::ops::RangeInclusive;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_lite::future::{FutureExt, block_on, pending, yield_now};
use futures_lite::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, sink};
use proptest::prelude::*;
use smol::channel;
use unstick::framing::{EncodeError, Format, Frame};
use unstick::testing::{MemoryStream, Simulation};
use unstick::{
    Closed, Greeting, Halves, Listener, Peer, PeerName, Responder, Server, ServerConfig, Traffic, Transport,
    serve_connection,
};

/// Bytes that are on their way in each direction.
const WAY: usize = 64 * 1024;

/// Longer than anything here takes.
const EVER: Duration = seconds(1_000_000);

/// Behind a timeout that ends a connection the peer has a second to read what was sent.
const LINGER: Duration = seconds(1);

/// The time between two checks of the deadlines: a connection ends at most this late.
const SWEEP: Duration = Duration::from_millis(100);

const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// The other end of a served connection.
struct Other<'a> {
    stream: MemoryStream,
    world: &'a Simulation,
}

impl Other<'_> {
    async fn send(&mut self, bytes: &[u8]) {
        _ = self.stream.write_all(bytes).await;
    }

    async fn wait(&self, time: Duration) {
        self.world.sleep(time).await;
    }

    /// These bytes, each so long after the one before.
    async fn trickle(&mut self, bytes: &[u8], every: Duration) {
        for byte in bytes {
            self.send(&[*byte]).await;
            self.wait(every).await;
        }
    }

    async fn read(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.stream.read_exact(&mut bytes).await.expect("the replies");
        bytes
    }
}

/// What was told of a connection's end, and when that was.
struct Ended {
    reason: &'static str,
    text: String,
    traffic: Traffic,
    after: Duration,
}

async fn echo(frame: Frame<'_>, responder: &mut Responder) -> Result<(), EncodeError> {
    responder.send(frame.payload()).await
}

/// Serves a peer that does this and then waits for ever: how the connection ended, or `None` if it never ends.
fn serve(config: ServerConfig, other: impl AsyncFnOnce(&mut Other<'_>)) -> Option<Ended> {
    serve_with(config, |_| echo, other)
}

fn serve_with<H>(
    config: ServerConfig,
    new_handler: impl Fn(Peer) -> H + 'static,
    other: impl AsyncFnOnce(&mut Other<'_>),
) -> Option<Ended>
where
    H: AsyncFnMut(Frame<'_>, &mut Responder) -> Result<(), EncodeError> + 'static,
{
    let (listener, network) = Simulation::network(WAY);
    let stream = network.connect("the other end");
    run(listener, config, new_handler, async |world| {
        let mut end = Other { stream, world };
        other(&mut end).await;
        pending::<()>().await;
    })
}

/// Serves what the listener brings, until the first connection has ended.
fn run<H>(
    listener: impl Listener + 'static,
    config: ServerConfig,
    new_handler: impl Fn(Peer) -> H + 'static,
    beside: impl AsyncFnOnce(&Simulation),
) -> Option<Ended>
where
    H: AsyncFnMut(Frame<'_>, &mut Responder) -> Result<(), EncodeError> + 'static,
{
    let world = Simulation::new();
    let (told, closes) = channel::unbounded();
    let on_close = move |closed: &Closed| {
        let (reason, text) = (closed.reason.name(), closed.reason.to_string());
        told.try_send((reason, text, closed.traffic)).expect("a test");
    };
    let server = Server::with_listener(listener, config).expect("a configuration to serve with").on_close(on_close);
    let serving = world.spawn(world.serve(server, new_handler, pending()));
    let ended = async {
        let (reason, text, traffic) = closes.recv().await.expect("a close");
        Some(Ended { reason, text, traffic, after: world.now() })
    };
    let never = async {
        world.sleep(EVER).await;
        None
    };
    let beside = async {
        beside(&world).await;
        pending().await
    };
    let ended = world.run(ended.or(never).or(beside));
    drop(serving);
    ended
}

/// A listener that brings one connection.
struct One(Option<Box<dyn Transport + Send>>);

impl One {
    fn new(transport: impl Transport + Send + 'static) -> One {
        One(Some(Box::new(transport)))
    }
}

impl Listener for One {
    fn poll_accept(&mut self, _: &mut Context<'_>) -> Poll<io::Result<(Box<dyn Transport + Send>, PeerName)>> {
        self.0.take().map_or(Poll::Pending, |transport| Poll::Ready(Ok((transport, PeerName::Other("one".into())))))
    }
}

fn frame(payload: &[u8]) -> Vec<u8> {
    [&(payload.len() as u32).to_le_bytes(), payload].concat()
}

/// When a connection has ended that was due then: each timeout is looked at now and then, and so is the end of
/// lingering.
fn about(due: Duration) -> RangeInclusive<Duration> {
    due..=due + 2 * SWEEP
}

/// The connection ends so, about then.
#[track_caller]
fn ends(config: ServerConfig, text: &str, due: Duration, other: impl AsyncFnOnce(&mut Other<'_>)) {
    let ended = serve(config, other).expect("an end");
    assert_eq!(ended.text, text);
    assert!(about(due).contains(&ended.after), "due {due:?}, and ended {:?}", ended.after);
}

#[test]
fn a_peer_that_never_sends_a_frame_is_silent() {
    let config = ServerConfig::default;
    let text = "silent: no whole frame within 60s";
    ends(config(), text, seconds(60) + LINGER, async |_| ());
    // With a greeting it is the same.
    ends(config().greeting(Greeting::Frame(b"hello".to_vec())), text, seconds(60) + LINGER, async |_| ());
    // A frame that is begun in time does not put it off.
    ends(config(), text, seconds(60) + LINGER, async |other| {
        other.wait(seconds(55)).await;
        other.send(b"\x05\0").await;
    });
    // What came may say what it is.
    let other_protocol = format!("{text} (looks like TLS)");
    ends(config().frame_timeout(None), &other_protocol, seconds(60) + LINGER, async |other| {
        other.send(b"\x16\x03\x01\x00\xF4\x01").await;
    });
    ends(config().idle_timeout(Some(seconds(7))), "idle: nothing sent for 7s", seconds(62) + LINGER, async |other| {
        other.wait(seconds(55)).await;
        other.send(&frame(b"hi")).await;
    });
}

#[test]
fn a_frame_that_is_not_finished_in_time_is_slow() {
    let config = ServerConfig::default;
    let text = |received, missing| format!("slow frame: {received} bytes within 10s, and {missing} missing");
    // Each byte of ten a second gives a tenth of one.
    let text_later = "slow frame: 7 bytes within 10.7s, and 2 missing";
    let due = seconds(2 + 10) + Duration::from_millis(700);
    ends(config().min_rate(Some(10)), text_later, due + LINGER, async |other| {
        other.wait(seconds(2)).await;
        other.send(b"\x05\0\0\0hel").await;
    });
    ends(config().min_rate(None), &text(1, 3), seconds(110) + LINGER, async |other| {
        other.send(&frame(b"first")).await;
        other.wait(seconds(100)).await;
        other.send(&[&frame(b"second")[..], b"\x05"].concat()).await;
    });
    // A byte a second: ten come, and the next one would when it is over.
    ends(config().min_rate(None), &text(10, 94), seconds(10) + LINGER, async |other| {
        other.send(&frame(b"first")).await;
        other.trickle(&frame(&[7; 100])[..10], seconds(1)).await;
    });
}

#[test]
fn a_frame_may_take_longer_while_it_comes_at_the_least_rate() {
    let at = |rate: usize| {
        let unanswered = |_| async |_: Frame<'_>, _: &mut Responder| Ok(());
        serve_with(ServerConfig::default().idle_timeout(Some(seconds(1000))), unanswered, async |other| {
            for chunk in frame(&[7; 1 << 20]).chunks(rate) {
                other.send(chunk).await;
                other.wait(seconds(1)).await;
            }
        })
        .expect("an end")
    };
    let ended = at(48 * 1024);
    assert_eq!((ended.reason, ended.traffic.frames_in), ("idle", 1), "22 s of 26");
    let ended = at(16 * 1024);
    assert_eq!((ended.reason, ended.traffic.frames_in), ("slow frame", 0));
    // After t seconds (t + 1) × 16 KiB came, which give a quarter of that in seconds beside the ten.
    let due = Duration::from_millis(13_500) + LINGER;
    assert!(about(due).contains(&ended.after), "{:?}", ended.after);
}

#[test]
fn a_peer_may_be_idle_between_frames_unless_there_is_a_timeout() {
    let once = async |other: &mut Other<'_>| other.send(&frame(b"hi")).await;
    assert!(serve(ServerConfig::default(), once).is_none(), "no timeout is set");
    let text = "idle: nothing sent for 30s";
    let config = || ServerConfig::default().idle_timeout(Some(seconds(30)));
    ends(config(), text, seconds(30) + LINGER, once);
    ends(config(), text, seconds(9 * 29 + 30) + LINGER, async |other| {
        for n in 0..10 {
            other.wait(seconds(if n == 0 { 0 } else { 29 })).await;
            other.send(&frame(b"hi")).await;
        }
    });
}

#[test]
fn without_a_timeout_a_peer_may_take_for_ever() {
    let config = || ServerConfig::default().first_frame_timeout(None).frame_timeout(None).write_timeout(None);
    assert!(serve(config(), async |_| ()).is_none());
    assert!(serve(config(), async |other| other.send(b"\x05").await).is_none());
    assert!(serve(config(), async |other| other.send(&frame(&[7; 200_000])).await).is_none(), "it never reads");
}

#[test]
fn a_peer_that_reads_nothing_is_a_slow_reader() {
    // Part of the reply is in the connection's buffer, the rest is queued. The server does not linger.
    let text = format!("slow reader: nothing read for 10s, with {} bytes waiting", 100_004 - WAY);
    ends(ServerConfig::default(), &text, seconds(10), async |other| other.send(&frame(&[7; 100_000])).await);
    // A peer that reads a little now and then is not slow.
    let reads_every = |time: Duration| {
        async move |other: &mut Other<'_>| {
            other.send(&frame(&[7; 200_000])).await;
            let mut left = 200_004;
            while left > 0 {
                other.wait(time).await;
                left -= other.read(left.min(10_000)).await.len();
            }
            other.stream.close().await.expect("a FIN");
        }
    };
    let ended = serve(ServerConfig::default(), reads_every(seconds(9))).expect("an end");
    assert_eq!((ended.reason, ended.after), ("clean", seconds(9 * 21)), "{}", ended.text);
    // Nor is it idle, as long as it takes something of what waits.
    let ended = serve(ServerConfig::default().idle_timeout(Some(seconds(5))), reads_every(seconds(4))).expect("an end");
    assert_eq!(ended.reason, "idle", "{}", ended.text);
    // With the rest on its way nothing waits any more.
    let waited = (200_004 - WAY).div_ceil(10_000) as u64;
    assert!(about(seconds(4 * waited + 5) + LINGER).contains(&ended.after), "{:?}", ended.after);
    // A greeting has the same timeout, framed or not.
    for greeting in [Greeting::Raw(vec![7; WAY + 1]), Greeting::Frame(vec![7; WAY - 3])] {
        let text = "slow reader: nothing read for 10s, with 1 bytes waiting";
        ends(ServerConfig::default().greeting(greeting), text, seconds(10), async |_| ());
    }
}

/// A writer that takes everything and does not close: with this error, or never.
struct Unclosed(Option<io::ErrorKind>);

impl AsyncWrite for Unclosed {
    fn poll_write(self: Pin<&mut Self>, _cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.map_or(Poll::Pending, |kind| Poll::Ready(Err(kind.into())))
    }
}

/// A peer that ended its stream is gone cleanly only where ours can be ended too, and within the write timeout.
#[test]
fn an_end_is_clean_only_where_both_sides_end() {
    for (error, name, due) in [
        (Some(io::ErrorKind::BrokenPipe), "reset", Duration::ZERO),
        (Some(io::ErrorKind::Other), "io error", Duration::ZERO),
        (None, "slow reader", seconds(10)),
    ] {
        let transport = Halves { reader: &b"\x02\0\0\0hi"[..], writer: Unclosed(error) };
        let ended = run(One::new(transport), ServerConfig::default(), |_| echo, async |_| ()).expect("an end");
        assert_eq!((ended.reason, ended.traffic.frames_out), (name, 1), "{}", ended.text);
        assert!(about(due).contains(&ended.after), "{:?}", ended.after);
    }
}

/// A configuration that is none to serve with is refused before anything is served.
#[test]
fn a_greeting_that_the_format_cannot_say_is_an_error() {
    let config = ServerConfig::default().greeting(Greeting::Frame(vec![7; (1 << 20) + 1]));
    let written = std::cell::Cell::new(false);
    let memory = Halves { reader: &b""[..], writer: sink() };
    let served = serve_connection(PeerName::Other("memory".into()), memory, config, |_| {
        written.set(true);
        echo
    });
    let error = block_on(served).expect_err("too long a greeting");
    assert_eq!(
        (error.kind(), error.to_string()),
        (io::ErrorKind::InvalidInput, "the greeting cannot be encoded".into())
    );
    assert!(!written.get(), "no handler was made");
}

/// The time that a handler takes does not count against the peer: neither its next, unfinished frame nor the replies
/// are late.
#[test]
fn the_time_of_a_handler_is_not_the_peers() {
    let ended = serve_with(
        ServerConfig::default().idle_timeout(Some(seconds(3))),
        |peer| {
            async move |frame: Frame<'_>, responder: &mut Responder| {
                peer.sleep(seconds(1000)).await;
                responder.send(frame.payload()).await
            }
        },
        async |other| {
            other.send(&[&frame(b"one")[..], b"\x03\0\0\0t"].concat()).await;
            assert_eq!(other.read(7).await, frame(b"one"));
            other.send(b"wo").await;
            assert_eq!(other.read(7).await, frame(b"two"));
        },
    )
    .expect("an end");
    assert_eq!(ended.reason, "idle");
    assert!(about(seconds(2003) + LINGER).contains(&ended.after), "{:?}", ended.after);
    assert_eq!((ended.traffic.frames_in, ended.traffic.frames_out), (2, 2));
}

/// A handler that does not wait until its replies have room does not have them queued: no more waits than may.
#[test]
fn a_handler_that_gives_up_sending_sends_nothing() {
    let ended = serve_with(
        ServerConfig::default(),
        |_| {
            async |frame: Frame<'_>, responder: &mut Responder| {
                for n in 0..100 {
                    let sent = pin!(responder.send(frame.payload()));
                    // The second one is queued, as less than the high-water mark is queued before it.
                    assert_eq!(futures_lite::future::poll_once(sent).await.is_some(), n < 2, "{n}");
                }
                Ok(())
            }
        },
        async |other| {
            let wire = frame(&[7; 50_000]);
            other.send(&wire).await;
            assert!(other.read(2 * wire.len()).await == wire.repeat(2));
            other.stream.close().await.expect("a FIN");
            assert_eq!(other.stream.read(&mut [0]).await.expect("the end"), 0);
        },
    )
    .expect("an end");
    assert_eq!((ended.reason, ended.traffic.frames_out), ("clean", 2), "{}", ended.text);
}

#[test]
fn a_peer_that_does_not_close_has_a_second_to_read_why() {
    let ended = serve(ServerConfig::default(), async |other| {
        other.send(b"\xFF\xFF\xFF\xFF").await;
        yield_now().await;
        // What is still sent is read and thrown away.
        other.trickle(&[7; 100], Duration::from_millis(100)).await;
    })
    .expect("an end");
    assert_eq!(ended.reason, "oversize");
    assert!(about(LINGER).contains(&ended.after), "{:?}", ended.after);
}

/// A peer that never stops sending does not keep the connection beyond that second, and does not block the thread
/// before.
#[test]
fn a_peer_that_continues_to_send_is_cut_off() {
    let endless = Halves { reader: futures_lite::io::repeat(0xFF), writer: sink() };
    // As it always has something to do, time goes on by what that takes.
    let works = async |world: &Simulation| loop {
        world.block(Duration::from_millis(10));
        yield_now().await;
    };
    let ended = run(One::new(endless), ServerConfig::default(), |_| echo, works).expect("an end");
    assert_eq!(ended.reason, "oversize");
    assert!(about(LINGER).contains(&ended.after), "{:?}", ended.after);
}

/// A peer's plan: after so many milliseconds it sends so many more bytes of a stream of frames of 8 payload bytes.
fn plans() -> impl Strategy<Value = Vec<(u64, usize)>> {
    proptest::collection::vec((0..15_000u64, 0..40usize), 0..20)
}

proptest! {
    /// The end is the one that a naive reading of the rules gives, whatever the peer does when.
    #[test]
    fn the_rules_read_naively_say_the_same(plan in plans(), idle in proptest::option::of(1..20u64)) {
        let stream: Vec<u8> = (0..100).flat_map(|_| *b"\x08payload.").collect();
        let expected = naive(&plan, idle, stream.len());
        // Bytes between a deadline and its check may be in time or not.
        prop_assume!(expected.is_ok());
        let config = ServerConfig::default().min_rate(Some(10)).idle_timeout(idle.map(seconds)).format(Format::U8);
        let ended = serve(config, async |other| {
            let mut sent = 0;
            for (wait, len) in plan.clone() {
                other.wait(Duration::from_millis(wait)).await;
                let until = (sent + len).min(stream.len());
                other.send(&stream[sent..until]).await;
                sent = until;
            }
        });
        match (ended, expected.expect("assumed")) {
            (None, None) => {}
            (Some(ended), Some((why, at))) => {
                prop_assert_eq!(ended.reason, why);
                let due = Duration::from_millis(at) + LINGER;
                prop_assert!(about(due).contains(&ended.after), "due {:?}, and ended {:?}", due, ended.after);
            }
            (ended, expected) => prop_assert!(false, "{:?} and {expected:?}", ended.map(|ended| ended.text)),
        }
    }
}

/// The rules: 60 s to the first whole frame; 10 s for a frame from its first byte, and a tenth of a second for each
/// received byte of it; `idle` seconds between frames. `Err` if something arrives between a deadline and its check.
fn naive(plan: &[(u64, usize)], idle: Option<u64>, len: usize) -> Result<Option<(&'static str, u64)>, ()> {
    let (mut now, mut sent, mut whole_since, mut frame_since) = (0, 0, None, 0);
    let mut steps = plan.iter();
    loop {
        let received = sent % 9;
        let first = whole_since.is_none().then_some(("silent", 60_000));
        let next = match (received, whole_since, idle) {
            (0, Some(since), Some(idle)) => Some(("idle", since + idle * 1000)),
            (0, ..) => None,
            _ => Some(("slow frame", frame_since + 10_000 + received as u64 * 100)),
        };
        let due = [first, next].into_iter().flatten().min_by_key(|(_, at)| *at);
        let Some((wait, more)) = steps.next() else { return Ok(due) };
        if let Some((why, at)) = due.filter(|(_, at)| *at <= now + wait) {
            let looked_at = at + SWEEP.as_millis() as u64;
            return if looked_at < now + wait { Ok(Some((why, at))) } else { Err(()) };
        }
        now += wait;
        let before = sent;
        sent = (sent + more).min(len);
        if sent / 9 > before / 9 {
            (whole_since, frame_since) = (Some(now), now);
        } else if before % 9 == 0 && sent > before {
            frame_since = now;
        }
    }
}
