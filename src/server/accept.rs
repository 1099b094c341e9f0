//! Accepting connections, and refusing those over the limit.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use futures_lite::future;
use smol::channel::Sender;
use socket2::{SockRef, TcpKeepalive};

use super::config::ServerConfig;
use super::greeting::Greeting;
use super::shared::Shared;
use super::transport::{Accepted, Listening, Stream};
use super::worker::Arrival;
use super::{events, panic};
use crate::close::{CloseReason, Traffic};
use crate::peer::PeerName;

/// How long the server waits after a failed accept; doubled each time.
const FIRST_REST: Duration = Duration::from_millis(10);
/// The longest such wait.
const LONGEST_REST: Duration = Duration::from_secs(1);

/// After so many accepts in a row, the server checks for a stop.
const ACCEPTS_A_TURN: usize = 16;

/// How many refused connections at a time have time to read the refusal. Further ones get it and are closed at once.
const REFUSED_AT_ONCE: u64 = 16;

/// The time between two keepalive probes, and how many go unanswered before the connection ends.
const PROBE_INTERVAL: Duration = Duration::from_secs(10);
const PROBES: u32 = 3;

/// Sets the options of a TCP connection. On Linux this is done at the listener: connections inherit them without
/// further system calls.
pub(super) fn tune<H>(socket: &SockRef<'_>, config: &ServerConfig<H>) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    let Some(idle) = config.keepalive else { return Ok(()) };
    let keepalive = TcpKeepalive::new().with_time(idle).with_interval(PROBE_INTERVAL);
    #[cfg(not(any(target_os = "openbsd", target_os = "haiku")))]
    let keepalive = keepalive.with_retries(PROBES);
    socket.set_tcp_keepalive(&keepalive)?;
    // The system sends no probes while bytes are unacknowledged. TCP_USER_TIMEOUT limits that time, and must not end
    // the connection before the probes would. It also ends a live peer that reads nothing; so it is set only if there
    // is a write timeout.
    #[cfg(target_os = "linux")]
    if config.write_timeout.is_some() {
        socket.set_tcp_user_timeout(Some(idle + PROBE_INTERVAL * PROBES))?;
    }
    Ok(())
}

/// Gives connections to the threads in turn, for ever. The caller passes `sleep`: see `system.rs`.
pub(super) async fn accept(
    listening: &mut Listening,
    shared: &Shared,
    workers: &[Sender<Arrival>],
    sleep: &impl AsyncFn(Duration),
) {
    for (turn, worker) in workers.iter().cycle().enumerate() {
        if turn % ACCEPTS_A_TURN == 0 {
            future::yield_now().await;
        }
        let (accepted, peer) = accept_one(listening, shared, sleep).await;
        let is_admitted = shared.account.open(shared.allowed);
        match is_admitted {
            true => events::opened(&peer),
            false => events::refused(&peer, shared.allowed),
        }
        let arrival = match open(shared, &accepted, &peer, is_admitted) {
            Ok(()) => worker.try_send(Arrival { accepted, peer, is_admitted }).map_err(|error| error.into_inner()),
            Err(reason) => {
                shared.closed(peer, is_admitted, reason, Traffic::default());
                continue;
            }
        };
        // A thread that has ended serves no connection.
        if let Err(Arrival { peer, is_admitted, .. }) = arrival {
            shared.closed(peer, is_admitted, CloseReason::Stopped, Traffic::default());
        }
    }
}

/// Accepts one connection. A failed accept is tried again, after a pause unless a peer caused the failure. So neither a
/// peer nor a lack of descriptors ends the server.
async fn accept_one(
    listening: &mut Listening,
    shared: &Shared,
    sleep: &impl AsyncFn(Duration),
) -> (Accepted, PeerName) {
    let mut rest = FIRST_REST;
    loop {
        match listening.accept().await {
            Ok(accepted) => return accepted,
            Err(error) if is_of_peer(&error) => {
                shared.account.accept_failed();
                events::accept_failed(&error, Duration::ZERO);
            }
            Err(error) => {
                shared.account.accept_failed();
                events::accept_failed(&error, rest);
                sleep(rest).await;
                rest = (rest * 2).min(LONGEST_REST);
            }
        }
    }
}

/// Whether the new connection failed, and not accepting as such. On Linux, accept(2) returns errors that were pending
/// on the new socket.
fn is_of_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, HostUnreachable, NetworkUnreachable};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | HostUnreachable | NetworkUnreachable
    )
}

/// Calls `on_open` for a connection that a thread will serve or refuse. Returns the reason for one that ends here.
fn open(shared: &Shared, accepted: &Accepted, peer: &PeerName, is_admitted: bool) -> Result<(), CloseReason> {
    let is_told_why = shared.config.refusal != Greeting::None && shared.account.refusing() <= REFUSED_AT_ONCE;
    if !is_admitted && !is_told_why {
        if let Accepted::Stream(stream) = accepted {
            // If the refusal cannot be written at once, it is not sent.
            _ = turn_away(stream, shared);
        }
        return Err(CloseReason::Refused { max_connections: shared.allowed });
    }
    catch_unwind(AssertUnwindSafe(|| (shared.on_open)(peer))).map_err(|panic| panic::reason(&*panic))?;
    #[cfg(not(target_os = "linux"))]
    if let Accepted::Stream(Stream::Tcp(stream)) = accepted {
        tune(&SockRef::from(stream), &shared.config)?;
    }
    Ok(())
}

fn turn_away(stream: &Stream, shared: &Shared) -> io::Result<()> {
    let mut refusal = Vec::new();
    // A refusal that cannot be encoded was an error when the server was made.
    _ = shared.config.refusal.append(&shared.encode, &mut refusal);
    stream.set_nonblocking()?;
    // Over TLS, nothing can be sent before a handshake.
    if !refusal.is_empty() && shared.acceptor.is_none() {
        stream.write(&refusal)?;
    }
    stream.end()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::{SocketAddr, TcpListener, TcpStream};

    use super::*;

    fn listen() -> TcpListener {
        let addr: SocketAddr = ([127, 0, 0, 1], 0).into();
        Listening::tcp(addr, 1).expect("a port")
    }

    #[test]
    fn a_peers_failure_causes_no_pause() {
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

    /// Without a write timeout, a live peer may stop reading for any time.
    #[test]
    fn without_a_write_timeout_a_closed_window_ends_nothing() {
        let listener = listen();
        let config = ServerConfig::default().write_timeout(None);
        let socket = SockRef::from(&listener);
        tune(&socket, &config).expect("options");
        assert!(socket.keepalive().expect("an option"));
        assert_eq!(socket.tcp_user_timeout().expect("an option"), None);
    }

    #[test]
    fn a_connection_has_the_options_of_its_listener() {
        for keepalive in [Some(Duration::from_secs(7)), None] {
            let listener = listen();
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
