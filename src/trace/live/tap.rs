//! Captures all IPv4 packets of the namespace, each once, with the kernel's time.

use std::io::{self, IoSliceMut};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use nix::errno::Errno;
use nix::sys::socket::sockopt::ReceiveTimestampns;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt};
use nix::sys::time::TimeSpec;
use socket2::{Domain, Protocol, Socket, Type};

use super::error::LiveError;
use crate::trace::packet::{Capture, Packet};

/// The kind of packets that are captured, which the kernel wants in network byte order.
const ETH_P_IP: u16 = 0x0800;
/// Without a packet for so long, the connection is over.
const QUIET: Duration = Duration::from_millis(100);
/// After so long, what is waited for does not come.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest packet that there can be.
const MAX_PACKET: usize = 1 << 16;

/// Captures until it is told to finish.
pub(super) struct Tap {
    shared: Arc<Shared>,
    thread: JoinHandle<io::Result<()>>,
}

#[derive(Default)]
struct Shared {
    packets: Mutex<Vec<Packet>>,
    came: Condvar,
    is_over: AtomicBool,
}

impl Shared {
    fn packets(&self) -> MutexGuard<'_, Vec<Packet>> {
        self.packets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tap {
    /// Everything that is sent from now on is captured.
    pub(super) fn start() -> Result<Tap, LiveError> {
        let socket = open().map_err(LiveError::Capture)?;
        let shared = Arc::new(Shared::default());
        let thread = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || capture(&socket, &shared))
        };
        Ok(Tap { shared, thread })
    }

    /// Waits until the packets that were captured are as told.
    ///
    /// # Errors
    /// If they are not, within five seconds.
    pub(super) fn wait(&self, what: &str, are_there: impl Fn(&[Packet]) -> bool) -> io::Result<()> {
        let mut packets = self.shared.packets();
        let end = Instant::now() + PATIENCE;
        while !are_there(&packets) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::Error::new(io::ErrorKind::TimedOut, format!("{what} was not captured")));
            }
            packets = self.shared.came.wait_timeout(packets, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(())
    }

    /// All packets, once no more come.
    pub(super) fn finish(self) -> Result<Capture, LiveError> {
        self.shared.is_over.store(true, Relaxed);
        self.thread.join().expect("it does not panic").map_err(LiveError::Capture)?;
        let packets = std::mem::take(&mut *self.shared.packets());
        Ok(Capture { packets, notes: Vec::new() })
    }
}

/// A socket that receives packets from their IP header on.
fn open() -> io::Result<Socket> {
    let socket = Socket::new(Domain::PACKET, Type::DGRAM, Some(Protocol::from(i32::from(ETH_P_IP.to_be()))))?;
    socket.set_recv_buffer_size(8 << 20)?;
    socket.set_read_timeout(Some(QUIET))?;
    setsockopt(&socket, ReceiveTimestampns, &true)?;
    Ok(socket)
}

fn capture(socket: &Socket, shared: &Shared) -> io::Result<()> {
    let (mut bytes, mut control) = (vec![0; MAX_PACKET], nix::cmsg_space!(TimeSpec));
    let mut last = Duration::ZERO;
    loop {
        let mut buffers = [IoSliceMut::new(&mut bytes)];
        let received = recvmsg::<()>(socket.as_raw_fd(), &mut buffers, Some(&mut control), MsgFlags::empty());
        let (len, time) = match received {
            Ok(message) => (message.bytes, message.cmsgs()?.find_map(time_of)),
            // Nothing came for a while.
            Err(Errno::EAGAIN) if shared.is_over.load(Relaxed) => return Ok(()),
            Err(Errno::EAGAIN | Errno::EINTR) => continue,
            Err(error) => return Err(error.into()),
        };
        // Packets come in the order in which they were captured, also if the time of day is set back meanwhile.
        last = last.max(time.unwrap_or_else(now));
        let mut packets = shared.packets();
        let number = packets.len() as u64 + 1;
        packets.push(Packet { number, time: last, bytes: bytes[..len].to_vec(), len });
        drop(packets);
        shared.came.notify_all();
    }
}

/// The time of day, since 1970.
fn now() -> Duration {
    SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default()
}

/// When the kernel saw the packet.
fn time_of(message: ControlMessageOwned) -> Option<Duration> {
    match message {
        ControlMessageOwned::ScmTimestampns(time) => Some(Duration::from(time)),
        _ => None,
    }
}
