//! An attacker's connection: a socket, or TLS over one, whose operations fail rather than wait for ever.

use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::time::Duration;

use rustls::ClientConnection;
use socket2::Socket;
use unstick::framing::{Encoder, Format};

use crate::certificate::{Certificate, name};
use crate::socket::Addr;

/// What should happen must happen within this time, or the attack was not held.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// A connection. Dropped, it says goodbye as a well-behaved client does, unless it is mute.
#[derive(Debug)]
pub(super) struct Peer {
    socket: Socket,
    tls: Option<Box<ClientConnection>>,
    is_mute: bool,
}

/// A frame of the default format.
pub(super) fn frame(payload: &[u8]) -> Vec<u8> {
    let mut wire = Vec::new();
    Encoder::new(Format::U32_LE).encode(payload, &mut wire).expect("within the limit");
    wire
}

impl Peer {
    /// Connects; over TLS with a handshake. If the server ends the connection meanwhile, its stream has ended.
    pub(super) fn connect(addr: &Addr) -> io::Result<Peer> {
        let mut peer = Peer::without_tls(addr.connect(PATIENCE)?)?;
        if let Addr::Tls(_) = addr {
            let mut tls = ClientConnection::new(Certificate::own().client(), name()).map_err(io::Error::other)?;
            match shake_hands(&mut tls, &peer.socket) {
                Ok(()) => peer.tls = Some(tls.into()),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
                Err(error) => return Err(error),
            }
        }
        Ok(peer)
    }

    /// A peer of the socket itself.
    pub(super) fn without_tls(socket: Socket) -> io::Result<Peer> {
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Peer { socket, tls: None, is_mute: false })
    }

    /// The socket, below TLS if there is any.
    pub(super) fn socket(&self) -> &Socket {
        &self.socket
    }

    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)?;
        self.flush()
    }

    /// Writes until a write takes longer than this. Returns how many bytes were sent.
    pub(super) fn send_until_stuck(&mut self, bytes: &[u8], patience: Duration) -> usize {
        _ = self.socket.set_write_timeout(Some(patience));
        let mut sent = 0;
        while sent < bytes.len()
            && let Ok(n @ 1..) = self.write(&bytes[sent..])
        {
            sent += n;
        }
        sent
    }

    /// Reads a frame of the default format.
    pub(super) fn frame(&mut self) -> io::Result<Vec<u8>> {
        let mut header = [0; 4];
        self.read_exact(&mut header)?;
        let mut payload = vec![0; u32::from_le_bytes(header) as usize];
        self.read_exact(&mut payload)?;
        Ok(payload)
    }

    /// Sends a frame, and expects it back.
    pub(super) fn echo(&mut self, payload: &[u8]) -> io::Result<()> {
        self.send(&frame(payload))?;
        self.expect(payload)
    }

    /// Expects this frame.
    pub(super) fn expect(&mut self, payload: &[u8]) -> io::Result<()> {
        let came = self.frame()?;
        match came == payload {
            true => Ok(()),
            false => Err(io::Error::other(format!("a reply of {} bytes is not what was sent", came.len()))),
        }
    }

    /// Reads to the end of the stream.
    pub(super) fn rest(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Ends our stream: over TLS with a `close_notify`, and then by FIN.
    pub(super) fn half_close(&mut self) -> io::Result<()> {
        self.say_goodbye()?;
        self.socket.shutdown(Shutdown::Write)
    }

    /// Breaks the connection off, by TCP with RST.
    pub(super) fn reset(mut self) -> io::Result<()> {
        self.mute();
        self.socket.set_linger(Some(Duration::ZERO))
    }

    /// Waits until bytes of the server have arrived, and leaves them unread: closing a Unix socket then breaks the
    /// connection off.
    pub(super) fn await_unread(&self) -> io::Result<()> {
        self.socket.peek(&mut [MaybeUninit::uninit()]).map(drop)
    }

    /// Says nothing more, not even goodbye.
    pub(super) fn mute(&mut self) {
        self.is_mute = true;
    }

    /// Sends a `close_notify`, over TLS.
    pub(super) fn say_goodbye(&mut self) -> io::Result<()> {
        let is_mute = std::mem::replace(&mut self.is_mute, true);
        let Some(tls) = self.tls.as_mut().filter(|_| !is_mute) else { return Ok(()) };
        tls.send_close_notify();
        while tls.wants_write() {
            tls.write_tls(&mut &self.socket)?;
        }
        Ok(())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        _ = self.socket.set_nonblocking(true);
        _ = self.say_goodbye();
    }
}

fn shake_hands(tls: &mut ClientConnection, mut socket: &Socket) -> io::Result<()> {
    while tls.is_handshaking() || tls.wants_write() {
        tls.complete_io(&mut socket)?;
    }
    Ok(())
}

impl Read for Peer {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match &mut self.tls {
            Some(tls) => rustls::Stream::new(&mut **tls, &mut &self.socket).read(buf),
            None => (&self.socket).read(buf),
        }
    }
}

impl Write for Peer {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match &mut self.tls {
            Some(tls) => rustls::Stream::new(&mut **tls, &mut &self.socket).write(buf),
            None => (&self.socket).write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.tls {
            Some(tls) => rustls::Stream::new(&mut **tls, &mut &self.socket).flush(),
            None => Ok(()),
        }
    }
}
