//! Listening, accepting, and turning away.

use std::io::{self, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use futures_lite::future;
use smol::channel::Sender;
use smol::{Async, Timer};
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

use super::config::ServerConfig;
use super::greeting::Greeting;
use super::{Arrival, Shared, events, panic};
use crate::close::{CloseReason, Closed, Traffic};

/// After a failed accept the listener rests, at first so long, then twice as long each time.
const FIRST_REST: Duration = Duration::from_millis(10);
/// The longest such rest.
const LONGEST_REST: Duration = Duration::from_secs(1);

/// Accepts in a row after which a stop has its turn.
const ACCEPTS_A_TURN: usize = 16;

/// Connections that are refused with time to read why; further ones are told and closed at once.
const REFUSED_AT_ONCE: u64 = 16;

/// Between two questions whether the peer is still there, and how many go unanswered.
const PROBE_INTERVAL: Duration = Duration::from_secs(10);
const PROBES: u32 = 3;

/// Listens at this address.
pub(super) fn listen(addr: SocketAddr, backlog: u32) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    // A restart must not wait for the old connections' TIME_WAIT. (On Windows the option means something else.)
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.bind(&addr.into())?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok(socket.into())
}

/// Sets the options of a connection: on Linux at the listener, from which each connection has them without a system call of
/// its own.
pub(super) fn tune(socket: &SockRef<'_>, config: &ServerConfig) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    let Some(idle) = config.keepalive else { return Ok(()) };
    let keepalive = TcpKeepalive::new().with_time(idle).with_interval(PROBE_INTERVAL);
    #[cfg(not(any(target_os = "openbsd", target_os = "haiku")))]
    let keepalive = keepalive.with_retries(PROBES);
    socket.set_tcp_keepalive(&keepalive)?;
    // Nobody is asked while bytes are unacknowledged: that has a time limit of its own, which must not end the questions early.
    // It counts also while a live peer reads nothing; so where such a peer may take its time, it is left as it is.
    #[cfg(target_os = "linux")]
    if config.write_timeout.is_some() {
        socket.set_tcp_user_timeout(Some(idle + PROBE_INTERVAL * PROBES))?;
    }
    Ok(())
}

/// Hands connections to the threads in turn, for ever.
pub(super) async fn accept(listener: &Async<TcpListener>, shared: &Shared, workers: &[Sender<Arrival>]) {
    for (turn, worker) in workers.iter().cycle().enumerate() {
        if turn % ACCEPTS_A_TURN == 0 {
            future::yield_now().await;
        }
        let (stream, peer) = accept_one(listener, shared).await;
        let has_place = shared.account.open(shared.allowed);
        match has_place {
            true => events::opened(peer),
            false => events::refused(peer, shared.allowed),
        }
        match open(shared, stream, peer, has_place) {
            Ok(stream) => _ = worker.try_send(Arrival { stream, peer, has_place }),
            Err(reason) => shared.closed(has_place, &Closed { peer: peer.into(), reason, traffic: Traffic::default() }),
        }
    }
}

/// An accept that fails is tried again, after a rest where it is not the peer's: nothing that a peer does, and no lack of
/// descriptors, ends the server. The socket is not registered with smol's reactor, as its thread has one of its own.
async fn accept_one(listener: &Async<TcpListener>, shared: &Shared) -> (TcpStream, SocketAddr) {
    let mut rest = FIRST_REST;
    loop {
        match listener.read_with(TcpListener::accept).await {
            Ok(accepted) => return accepted,
            Err(error) if is_of_peer(&error) => {
                shared.account.accept_failed();
                events::accept_failed(&error, Duration::ZERO);
            }
            Err(error) => {
                shared.account.accept_failed();
                events::accept_failed(&error, rest);
                Timer::after(rest).await;
                rest = (rest * 2).min(LONGEST_REST);
            }
        }
    }
}

/// Whether the connection that was to be accepted failed, and not accepting as such: Linux hands on errors that were pending
/// on the new socket (accept(2)).
fn is_of_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, HostUnreachable, NetworkUnreachable};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | HostUnreachable | NetworkUnreachable
    )
}

/// Tells of a connection, and makes its socket ready to be served.
fn open(shared: &Shared, stream: TcpStream, peer: SocketAddr, has_place: bool) -> Result<TcpStream, CloseReason> {
    if !has_place && shared.account.refusing() > REFUSED_AT_ONCE {
        // What the peer cannot be told at once it is not told.
        _ = turn_away(&stream, shared);
        return Err(CloseReason::Refused { max_connections: shared.allowed });
    }
    catch_unwind(AssertUnwindSafe(|| (shared.on_open)(peer))).map_err(|panic| panic::reason(&*panic))?;
    if !has_place && shared.config.refusal == Greeting::None {
        // The end of our stream first: what the peer has sent already would have it see a reset otherwise.
        _ = stream.shutdown(Shutdown::Write);
        return Err(CloseReason::Refused { max_connections: shared.allowed });
    }
    #[cfg(not(target_os = "linux"))]
    tune(&SockRef::from(&stream), &shared.config)?;
    Ok(stream)
}

fn turn_away(mut stream: &TcpStream, shared: &Shared) -> io::Result<()> {
    let bytes = shared.config.refusal.wire("the refusal", shared.config.format).map_err(io::Error::other)?;
    stream.set_nonblocking(true)?;
    stream.write_all(&bytes)?;
    stream.shutdown(Shutdown::Write)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn what_a_peer_does_lets_nobody_rest() {
        for (error, is_peers) in [
            (io::ErrorKind::ConnectionAborted, true),
            (io::ErrorKind::ConnectionReset, true),
            (io::ErrorKind::NetworkUnreachable, true),
            (io::ErrorKind::OutOfMemory, false),
            (io::Error::from_raw_os_error(24).kind(), false), // EMFILE
        ] {
            assert_eq!(is_of_peer(&error.into()), is_peers, "{error}");
        }
    }

    /// A live peer that pauses is none that is gone, where it may pause for as long as it likes.
    #[test]
    fn without_a_write_deadline_a_closed_window_ends_nothing() {
        let addr: SocketAddr = ([127, 0, 0, 1], 0).into();
        let listener = listen(addr, 1).expect("a port");
        let config = ServerConfig::default().write_timeout(None);
        let socket = SockRef::from(&listener);
        tune(&socket, &config).expect("options");
        assert!(socket.keepalive().expect("an option"));
        assert_eq!(socket.tcp_user_timeout().expect("an option"), None);
    }

    #[test]
    fn a_connection_has_the_options_of_its_listener() {
        for keepalive in [Some(Duration::from_secs(7)), None] {
            let addr: SocketAddr = ([127, 0, 0, 1], 0).into();
            let listener = listen(addr, 1).expect("a port");
            tune(&SockRef::from(&listener), &ServerConfig::default().keepalive(keepalive)).expect("options");
            let peer = TcpStream::connect(listener.local_addr().expect("an address")).expect("connected");
            let (accepted, _) = listener.accept().expect("accepted");
            let socket = SockRef::from(&accepted);
            assert!(socket.tcp_nodelay().expect("an option"));
            assert_eq!(socket.keepalive().expect("an option"), keepalive.is_some());
            if let Some(idle) = keepalive {
                assert_eq!(socket.tcp_keepalive_time().expect("an option"), idle);
                assert_eq!(socket.tcp_keepalive_interval().expect("an option"), PROBE_INTERVAL);
                assert_eq!(socket.tcp_keepalive_retries().expect("an option"), PROBES);
                assert_eq!(socket.tcp_user_timeout().expect("an option"), Some(Duration::from_secs(37)));
            }
            drop(peer);
        }
    }
}
