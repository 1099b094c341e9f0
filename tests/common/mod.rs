//! A real server for tests, and raw sockets to torment it with.

#![allow(dead_code, unreachable_pub)]

use std::error::Error;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use futures_lite::FutureExt;
use smol::channel::{self, Receiver, Sender};
use smol::{Task, Timer, block_on};
use unstick::framing::{DecodeError, EncodeError, Encoder, Format, Frame};
use unstick::{CloseKind, CloseReason, Closed, Peer, PeerName, Responder, Server, ServerConfig, Stats, Traffic};

/// What ought to happen happens within this time, or the test fails.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// A server that runs, and tells of every close.
pub struct Running {
    pub addr: SocketAddr,
    closes: Receiver<Ended>,
    stop: Sender<()>,
    task: Task<std::io::Result<Stats>>,
}

/// What a [`Closed`] said.
#[derive(Debug)]
pub struct Ended {
    pub peer: PeerName,
    pub reason: &'static str,
    pub text: String,
    pub error: Option<DecodeError>,
    pub traffic: Traffic,
}

impl Ended {
    fn of(closed: &Closed) -> Ended {
        let error = match &closed.reason {
            CloseReason::Truncated(error) | CloseReason::Oversize(error) | CloseReason::Malformed(error) => {
                Some(error.clone())
            }
            _ => None,
        };
        let (reason, text) = (closed.reason.name(), closed.reason.to_string());
        Ended { peer: closed.peer.clone(), reason, text, error, traffic: closed.traffic }
    }
}

/// A handler that sends each frame back.
pub async fn echo(frame: Frame<'_>, responder: &mut Responder) -> Result<(), EncodeError> {
    responder.send(frame.payload()).await
}

pub fn start<N, H, E>(config: ServerConfig, new_handler: N) -> Running
where
    N: Fn(Peer) -> H + Send + Sync + 'static,
    H: AsyncFnMut(Frame<'_>, &mut Responder) -> Result<(), E> + 'static,
    E: Into<Box<dyn Error + Send + Sync>> + 'static,
{
    run(Server::bind("127.0.0.1:0", config).expect("a port"), new_handler)
}

pub fn run<N, H, E>(server: Server, new_handler: N) -> Running
where
    N: Fn(Peer) -> H + Send + Sync + 'static,
    H: AsyncFnMut(Frame<'_>, &mut Responder) -> Result<(), E> + 'static,
    E: Into<Box<dyn Error + Send + Sync>> + 'static,
{
    let (stop, stopped) = channel::bounded::<()>(1);
    let (ended, closes) = channel::unbounded();
    let server = server.on_close(move |closed| _ = ended.try_send(Ended::of(closed)));
    let addr = server.local_addr().expect("a TCP address");
    let task = smol::spawn(server.serve(new_handler, async move { _ = stopped.recv().await }));
    Running { addr, closes, stop, task }
}

impl Running {
    /// Waits for the next connection to end.
    #[track_caller]
    pub fn next_close(&self) -> Ended {
        in_time(self.closes.recv()).expect("a close")
    }

    /// The next connection to end, if it has.
    pub fn close_at_hand(&self) -> Option<Ended> {
        self.closes.try_recv().ok()
    }

    /// Tells the server to stop, and waits until it accepts no connections.
    #[track_caller]
    pub fn stop(&self) {
        _ = self.stop.try_send(());
        self.wait_until_refused();
    }

    /// The port can be bound again only when the listener is closed. A connection attempt before that would be counted.
    #[track_caller]
    fn wait_until_refused(&self) {
        let begin = Instant::now();
        while TcpListener::bind(self.addr).is_err() {
            assert!(begin.elapsed() < DEADLINE, "the listener is still there");
            std::thread::yield_now();
        }
        assert!(TcpStream::connect(self.addr).is_err(), "refused");
    }

    /// Stops the server and waits for its end. Returns its statistics, and the closes that were not taken yet.
    #[track_caller]
    pub fn served(self) -> (Stats, Vec<Ended>) {
        _ = self.stop.try_send(());
        let served = in_time(self.task).expect("threads");
        let closes: Vec<_> = std::iter::from_fn(|| self.closes.try_recv().ok()).collect();
        let sum: u64 = CloseKind::ALL.iter().map(|kind| served.closes(*kind)).sum();
        assert_eq!(served.accepted, sum, "each connection is closed for exactly one reason: {served:?}");
        (served, closes)
    }

    /// Drops the serving future, without waiting for the end.
    pub fn abandon(self) -> (SocketAddr, Receiver<Ended>) {
        drop(self.task);
        (self.addr, self.closes)
    }
}

/// Waits for what ought to happen.
#[track_caller]
pub fn in_time<T>(future: impl Future<Output = T>) -> T {
    let late = async {
        Timer::after(DEADLINE).await;
        None
    };
    block_on(async { Some(future.await) }.or(late)).expect("it happens in time")
}

/// A socket whose operations fail rather than wait for ever.
#[track_caller]
pub fn connect(addr: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(addr).expect("connected");
    socket.set_nodelay(true).expect("an option");
    socket.set_read_timeout(Some(DEADLINE)).expect("an option");
    socket.set_write_timeout(Some(DEADLINE)).expect("an option");
    socket
}

/// Closes a socket by RST.
pub fn reset(socket: TcpStream) {
    socket2::SockRef::from(&socket).set_linger(Some(Duration::ZERO)).expect("an option");
    drop(socket);
}

/// A frame of the tutorial's format.
pub fn frame(payload: &[u8]) -> Vec<u8> {
    let mut wire = Vec::new();
    Encoder::new(Format::U32_LE).encode(payload, &mut wire).expect("within the limit");
    wire
}

/// Reads a frame of the tutorial's format.
#[track_caller]
pub fn read_frame(socket: &mut TcpStream) -> Vec<u8> {
    let mut header = [0; 4];
    socket.read_exact(&mut header).expect("a header");
    let mut payload = vec![0; u32::from_le_bytes(header) as usize];
    socket.read_exact(&mut payload).expect("a payload");
    payload
}

/// Reads to the end of the stream.
#[track_caller]
pub fn read_to_end(socket: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    socket.read_to_end(&mut bytes).expect("the end of the stream");
    bytes
}

#[track_caller]
pub fn write(socket: &mut TcpStream, bytes: &[u8]) {
    socket.write_all(bytes).expect("written");
}
