//! Every deadline of a served connection, over a pipe in memory and by a clock that is made up: minutes pass in microseconds.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::num::{NonZeroU32, NonZeroUsize};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use futures_lite::future::{pending, poll_fn, yield_now};
use futures_lite::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use piper::{Reader, Writer, pipe};
use proptest::prelude::*;
use unstick::framing::{Format, Frame};
use unstick::{Clock, CloseReason, Closed, Greeting, Responder, ServerConfig, WriteError, serve_connection};

/// Bytes that a pipe holds.
const PIPE: usize = 64 * 1024;

const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A clock that stands still until nobody has anything to do.
#[derive(Clone)]
struct MadeUp {
    now: Rc<Cell<Instant>>,
    /// The deadline that was asked for last, unless it has come. Each who asks has its own.
    asked: Rc<Cell<Option<Instant>>>,
}

impl MadeUp {
    /// The same time for another who asks.
    fn another(&self) -> MadeUp {
        MadeUp { now: Rc::clone(&self.now), asked: Rc::default() }
    }

    async fn wait(&self, time: Duration) {
        let until = self.now() + time;
        poll_fn(|cx| self.poll_until(until, cx)).await;
    }
}

impl Clock for MadeUp {
    fn now(&self) -> Instant {
        self.now.get()
    }

    fn poll_until(&self, deadline: Instant, _cx: &mut Context<'_>) -> Poll<()> {
        self.asked.set((self.now() < deadline).then_some(deadline));
        if self.now() < deadline { Poll::Pending } else { Poll::Ready(()) }
    }
}

/// The other end of a served connection.
struct Peer {
    to_server: Writer,
    from_server: Reader,
    clock: MadeUp,
}

impl Peer {
    async fn send(&mut self, bytes: &[u8]) {
        _ = self.to_server.write_all(bytes).await;
    }

    async fn wait(&self, time: Duration) {
        self.clock.wait(time).await;
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
        self.from_server.read_exact(&mut bytes).await.expect("the replies");
        bytes
    }
}

/// Whether somebody was woken.
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, SeqCst);
    }
}

async fn echo(frame: Frame<'_>, responder: &mut Responder) -> Result<(), WriteError> {
    responder.send(frame.payload()).await
}

/// Serves a peer that does this and then waits for ever: how the connection ended and how long that took, or `None` where it
/// never would.
fn serve(config: &ServerConfig, peer: impl AsyncFnOnce(&mut Peer)) -> Option<(Closed, Duration)> {
    serve_with(config, |_| echo, peer)
}

fn serve_with<H: AsyncFnMut(Frame<'_>, &mut Responder) -> Result<(), WriteError>>(
    config: &ServerConfig,
    handler: impl FnOnce(MadeUp) -> H,
    peer: impl AsyncFnOnce(&mut Peer),
) -> Option<(Closed, Duration)> {
    let begin = Instant::now();
    let clock = MadeUp { now: Rc::new(Cell::new(begin)), asked: Rc::default() };
    let [peers, handlers] = [clock.another(), clock.another()];
    let asked = [&clock, &peers, &handlers].map(|clock| Rc::clone(&clock.asked));
    let ((requests, to_server), (from_server, replies)) = (pipe(PIPE), pipe(PIPE));
    let mut end = Peer { to_server, from_server, clock: peers };
    let addr = ([127, 0, 0, 1], 4747).into();
    let mut served = pin!(serve_connection(addr, requests, replies, clock.clone(), config, handler(handlers)));
    let mut peer = pin!(async {
        peer(&mut end).await;
        pending::<()>().await;
    });
    let woken = Arc::new(Woken(AtomicBool::new(true)));
    let waker = Waker::from(Arc::clone(&woken));
    loop {
        while woken.0.swap(false, SeqCst) {
            let mut cx = Context::from_waker(&waker);
            if let Poll::Ready(closed) = served.as_mut().poll(&mut cx) {
                return Some((closed, clock.now() - begin));
            }
            _ = peer.as_mut().poll(&mut cx);
        }
        let due = asked.iter().filter_map(|asked| asked.get()).min()?;
        for asked in asked.iter().filter(|asked| asked.get() == Some(due)) {
            asked.set(None);
        }
        clock.now.set(due);
        woken.0.store(true, SeqCst);
    }
}

fn silent() -> ServerConfig {
    ServerConfig::default().greeting(Greeting::None)
}

fn frame(payload: &[u8]) -> Vec<u8> {
    [&(payload.len() as u32).to_le_bytes(), payload].concat()
}

/// How the connection ends, and when.
#[track_caller]
fn ends(config: &ServerConfig, peer: impl AsyncFnOnce(&mut Peer)) -> (String, Duration) {
    let (closed, after) = serve(config, peer).expect("an end");
    (closed.reason.to_string(), after)
}

/// Behind a deadline that ends a connection the peer has a second to read what was sent.
const LINGER: Duration = seconds(1);

#[test]
fn who_never_sends_a_frame_is_silent() {
    let text = "silent: no whole frame within 60s";
    assert_eq!(ends(&silent(), async |_| ()), (text.into(), seconds(60) + LINGER));
    // With the greeting it is the same.
    let greeting = ServerConfig::default().greeting(Greeting::Frame(b"hello".to_vec()));
    assert_eq!(ends(&greeting, async |_| ()), (text.into(), seconds(60) + LINGER));
    // A frame that is begun in time does not put it off.
    let late = ends(&silent(), async |peer| {
        peer.wait(seconds(55)).await;
        peer.send(b"\x05\0").await;
    });
    assert_eq!(late, (text.into(), seconds(60) + LINGER));
    let whole = ends(&silent().idle_timeout(Some(seconds(7))), async |peer| {
        peer.wait(seconds(55)).await;
        peer.send(&frame(b"hi")).await;
    });
    assert_eq!(whole, ("idle: nothing sent for 7s".into(), seconds(62) + LINGER));
}

#[test]
fn a_frame_that_is_not_finished_in_time_is_slow() {
    let text = |received, missing, deadline| {
        format!("slow frame: {received} bytes within {deadline:?}, and {missing} missing")
    };
    let rate = NonZeroU32::new(1000);
    // Each byte of a thousand a second gives a millisecond.
    let first = ends(&silent().min_rate(rate), async |peer| {
        peer.wait(seconds(2)).await;
        peer.send(b"\x05\0\0\0hel").await;
    });
    let deadline = seconds(10) + Duration::from_millis(7);
    // What is shown has three digits.
    assert_eq!(first, (text(7, 2, seconds(10)), seconds(2) + deadline + LINGER));
    let later = ends(&silent().min_rate(None), async |peer| {
        peer.send(&frame(b"first")).await;
        peer.wait(seconds(100)).await;
        peer.send(&[&frame(b"second")[..], b"\x05"].concat()).await;
    });
    assert_eq!(later, (text(1, 3, seconds(10)), seconds(110) + LINGER));
    // A byte a second: eleven come, the last one just when it is over.
    let trickled = ends(&silent().min_rate(None), async |peer| {
        peer.send(&frame(b"first")).await;
        peer.trickle(&frame(&[7; 100]), seconds(1)).await;
    });
    assert_eq!(trickled, (text(10, 94, seconds(10)), seconds(10) + LINGER));
}

#[test]
fn a_frame_may_take_longer_while_it_comes_at_the_least_rate() {
    let at = |rate: usize| {
        move |config: &ServerConfig| {
            let unanswered = |_| async |_: Frame<'_>, _: &mut Responder| Ok(());
            serve_with(config, unanswered, async |peer| {
                for chunk in frame(&[7; 1 << 20]).chunks(rate) {
                    peer.send(chunk).await;
                    peer.wait(seconds(1)).await;
                }
            })
        }
    };
    let config = silent().idle_timeout(Some(seconds(1000)));
    let (closed, _) = at(48 * 1024)(&config).expect("an end");
    assert_eq!((closed.reason.name(), closed.traffic.frames_in), ("idle", 1), "22 s of 26");
    let (closed, after) = at(16 * 1024)(&config).expect("an end");
    assert_eq!((closed.reason.name(), closed.traffic.frames_in), ("slow frame", 0));
    // After t seconds (t + 1) × 16 KiB came, which give a quarter of that in seconds beside the ten.
    assert_eq!(after - LINGER, Duration::from_millis(13_500));
}

#[test]
fn who_is_idle_between_frames_may_stay_unless_told_otherwise() {
    let once = async |peer: &mut Peer| peer.send(&frame(b"hi")).await;
    assert!(serve(&silent(), once).is_none(), "no deadline is set");
    let text = "idle: nothing sent for 30s";
    let config = silent().idle_timeout(Some(seconds(30)));
    assert_eq!(ends(&config, once), (text.into(), seconds(30) + LINGER));
    let now_and_then = ends(&config, async |peer| {
        for _ in 0..10 {
            peer.send(&frame(b"hi")).await;
            peer.wait(seconds(29)).await;
        }
    });
    assert_eq!(now_and_then, (text.into(), seconds(9 * 29 + 30) + LINGER));
}

#[test]
fn without_a_deadline_a_peer_may_take_for_ever() {
    let config = silent().first_frame_timeout(None).frame_timeout(None).write_timeout(None);
    assert!(serve(&config, async |_| ()).is_none());
    assert!(serve(&config, async |peer| peer.send(b"\x05").await).is_none());
    assert!(serve(&config, async |peer| peer.send(&frame(&[7; 200_000])).await).is_none(), "it never reads");
}

#[test]
fn who_reads_nothing_is_a_slow_reader() {
    // The pipe takes 64 KiB, and the rest of the reply waits.
    let (closed, after) = serve(&silent(), async |peer| {
        peer.send(&frame(&[7; 100_000])).await;
    })
    .expect("an end");
    let CloseReason::SlowReader { queued, timeout } = closed.reason else { panic!("{closed}") };
    assert_eq!((queued, timeout, after), (100_004 - PIPE, seconds(10), seconds(10)), "without lingering");
    // Whoever reads a little now and then is none.
    let (closed, after) = serve(&silent().idle_timeout(Some(seconds(5))), async |peer| {
        peer.send(&frame(&[7; 200_000])).await;
        let mut left = 200_004;
        while left > 0 {
            peer.wait(seconds(9)).await;
            left -= peer.read(left.min(10_000)).await.len();
        }
    })
    .expect("an end");
    assert_eq!(closed.reason.name(), "idle", "after {after:?}");
    assert!(after > seconds(9 * 14), "{after:?}");
    // A greeting has the same deadline, framed or not.
    for greeting in [Greeting::Raw(vec![7; PIPE + 1]), Greeting::Frame(vec![7; PIPE + 1])] {
        let (closed, after) = serve(&ServerConfig::default().greeting(greeting), async |_| ()).expect("an end");
        assert_eq!((closed.reason.name(), after), ("slow reader", seconds(10)));
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
    for (error, name) in
        [(Some(io::ErrorKind::BrokenPipe), "reset"), (Some(io::ErrorKind::Other), "io error"), (None, "slow reader")]
    {
        let (clock, addr, config) = (Ticking(Cell::new(Instant::now())), ([127, 0, 0, 1], 4747).into(), silent());
        let request = frame(b"hi");
        let served = serve_connection(addr, &request[..], Unclosed(error), clock, &config, echo);
        let woken = async {
            loop {
                yield_now().await;
            }
        };
        let closed = futures_lite::future::block_on(futures_lite::future::or(served, woken));
        assert_eq!((closed.reason.name(), closed.traffic.frames_out), (name, 1), "{closed}");
    }
}

/// Where there is no server to refuse it beforehand, a greeting over the format's limit ends the connection.
#[test]
fn a_greeting_that_the_format_cannot_say_is_an_error() {
    let config = ServerConfig::default().greeting(Greeting::Frame(vec![7; (1 << 20) + 1]));
    let (closed, after) = serve(&config, async |_| ()).expect("an end");
    let text = closed.reason.to_string();
    assert!(text.starts_with("handler error: ") && text.contains("1048577"), "{text}");
    assert_eq!((after, closed.traffic.bytes_out), (LINGER, 0));
}

/// What the handler takes is not the peer's time: neither the frame that has begun behind nor the replies are late.
#[test]
fn the_time_of_a_handler_is_not_the_peers() {
    let config = silent().idle_timeout(Some(seconds(3)));
    let (closed, after) = serve_with(
        &config,
        |clock| {
            async move |frame: Frame<'_>, responder: &mut Responder| {
                clock.wait(seconds(1000)).await;
                responder.send(frame.payload()).await
            }
        },
        async |peer| {
            peer.send(&[&frame(b"one")[..], b"\x03\0\0\0t"].concat()).await;
            assert_eq!(peer.read(7).await, frame(b"one"));
            peer.send(b"wo").await;
            assert_eq!(peer.read(7).await, frame(b"two"));
        },
    )
    .expect("an end");
    assert_eq!((closed.reason.name(), after), ("idle", seconds(2003) + LINGER));
    assert_eq!((closed.traffic.frames_in, closed.traffic.frames_out), (2, 2));
}

/// Also a handler that does not mind that its replies are not written cannot keep the connection.
#[test]
fn a_handler_that_gives_up_sending_overflows() {
    let config = silent().max_queued(const { 300_000 });
    let (closed, after) = serve_with(
        &config,
        |_| {
            async |frame: Frame<'_>, responder: &mut Responder| {
                for _ in 0..100 {
                    let sent = pin!(responder.send(frame.payload()));
                    _ = futures_lite::future::poll_once(sent).await;
                }
                Ok(())
            }
        },
        async |peer| peer.send(&frame(&[7; 50_000])).await,
    )
    .expect("an end");
    let CloseReason::Overflow { queued, max_queued } = closed.reason else { panic!("{closed}") };
    assert!(queued > 300_000 && queued < 360_000, "{queued}");
    assert_eq!((max_queued, after), (300_000, Duration::ZERO), "without lingering or waiting");
}

#[test]
fn whoever_does_not_close_is_given_a_second_to_read_why() {
    let refused = ends(&silent(), async |peer| {
        peer.send(b"\xFF\xFF\xFF\xFF").await;
        yield_now().await;
        // What is still sent is read and thrown away.
        peer.trickle(&[7; 100], Duration::from_millis(100)).await;
    });
    assert_eq!(refused.1, LINGER);
    assert!(refused.0.starts_with("oversize"), "{}", refused.0);
}

/// A clock that goes on by a tenth of a second whenever it is looked at.
struct Ticking(Cell<Instant>);

impl Clock for Ticking {
    fn now(&self) -> Instant {
        self.0.get()
    }

    fn poll_until(&self, deadline: Instant, _cx: &mut Context<'_>) -> Poll<()> {
        self.0.set(self.0.get() + Duration::from_millis(100));
        if self.0.get() < deadline { Poll::Pending } else { Poll::Ready(()) }
    }
}

/// Who never stops sending does not keep the connection beyond that second, nor the thread before it.
#[test]
fn whoever_goes_on_sending_is_cut_off() {
    let endless = futures_lite::io::repeat(0xFF);
    let (clock, addr, config) = (Ticking(Cell::new(Instant::now())), ([127, 0, 0, 1], 4747).into(), silent());
    let served = serve_connection(addr, endless, futures_lite::io::sink(), clock, &config, echo);
    assert_eq!(futures_lite::future::block_on(served).reason.name(), "oversize");
}

/// A peer's plan: after so many milliseconds it sends so many more bytes of a stream of frames of 8 payload bytes.
fn plans() -> impl Strategy<Value = Vec<(u64, usize)>> {
    proptest::collection::vec((0..15_000u64, 0..40usize), 0..20)
}

proptest! {
    /// The end is the one that a naive reading of the rules gives, whatever the peer does when.
    #[test]
    fn the_rules_read_naively_say_the_same(plan in plans(), idle in proptest::option::of(1..20u64)) {
        let config = silent().format(Format::U8).min_rate(NonZeroU32::new(10)).idle_timeout(idle.map(seconds));
        let stream: Vec<u8> = (0..100).flat_map(|_| *b"\x08payload.").collect();
        let told = serve(&config, async |peer| {
            let mut sent = 0;
            for (wait, len) in plan.clone() {
                peer.wait(Duration::from_millis(wait)).await;
                let until = (sent + len).min(stream.len());
                peer.send(&stream[sent..until]).await;
                sent = until;
            }
        });
        let told = told.map(|(closed, after)| (closed.reason.name(), (after - LINGER).as_millis() as u64));
        prop_assert_eq!(told, naive(&plan, idle, stream.len()));
    }
}

/// The rules: 60 s to the first whole frame; 10 s for a frame from its first byte, and a tenth of a second for each byte of it
/// that came; so many seconds between frames.
fn naive(plan: &[(u64, usize)], idle: Option<u64>, len: usize) -> Option<(&'static str, u64)> {
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
        let Some((wait, more)) = steps.next() else { return due };
        if let Some((why, at)) = due.filter(|(_, at)| *at <= now + wait) {
            return Some((why, at));
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
