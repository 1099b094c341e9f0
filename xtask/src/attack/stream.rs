//! An attacker's or a healthy client's stream: a socket, or TLS over one, which several threads may use.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::Mutex;
use std::time::Duration;

use rustls::ClientConnection;
use socket2::Socket;

use super::server::locked;
use crate::certificate::{Certificate, name};
use crate::socket::Addr;

/// Bytes of one read below TLS.
const READ_LEN: usize = 16 * 1024;
/// Bytes that are encrypted at once.
const WRITE_LEN: usize = 16 * 1024;

/// A connection.
#[derive(Debug)]
pub(super) struct Stream {
    socket: Socket,
    tls: Option<Mutex<Tls>>,
}

#[derive(Debug)]
struct Tls {
    client: ClientConnection,
    /// Received bytes that are not decrypted yet.
    received: Vec<u8>,
    /// Encrypted bytes that are not sent yet.
    unsent: Vec<u8>,
    /// Broken off, or never begun: nothing more is sent.
    is_mute: bool,
}

impl Stream {
    /// Connects; over TLS with a handshake. If the server ends the connection meanwhile, the stream has ended.
    pub(super) fn connect(addr: &Addr, within: Duration) -> io::Result<Stream> {
        let mut stream = Stream::of(addr.connect(within)?, within)?;
        if let Addr::Tls(_) = addr {
            let client = ClientConnection::new(Certificate::own().client(), name()).map_err(io::Error::other)?;
            let mut tls = Tls { client, received: Vec::new(), unsent: Vec::new(), is_mute: false };
            if let Err(error) = shake_hands(&mut tls.client, &stream.socket) {
                if !matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) {
                    return Err(error);
                }
                tls.is_mute = true;
            }
            stream.tls = Some(Mutex::new(tls));
        }
        Ok(stream)
    }

    /// A stream whose operations fail rather than wait for ever.
    pub(super) fn of(socket: Socket, within: Duration) -> io::Result<Stream> {
        socket.set_read_timeout(Some(within))?;
        socket.set_write_timeout(Some(within))?;
        Ok(Stream { socket, tls: None })
    }

    /// The socket, below TLS.
    pub(super) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Ends our stream: over TLS with a `close_notify`, and then by FIN.
    pub(super) fn half_close(&self) -> io::Result<()> {
        self.say_goodbye()?;
        self.socket.shutdown(Shutdown::Write)
    }

    /// Sends nothing when it is closed.
    pub(super) fn mute(&self) {
        self.tls.iter().for_each(|tls| locked(tls).is_mute = true);
    }

    /// Sends a `close_notify`, over TLS.
    pub(super) fn say_goodbye(&self) -> io::Result<()> {
        let Some(tls) = &self.tls else { return Ok(()) };
        let tls = &mut *locked(tls);
        if std::mem::replace(&mut tls.is_mute, true) {
            return Ok(());
        }
        tls.client.send_close_notify();
        tls.client.write_tls(&mut tls.unsent)?;
        tls.send(&self.socket)
    }
}

/// A well-behaved client sends `close_notify`, if the server still reads.
impl Drop for Stream {
    fn drop(&mut self) {
        _ = self.socket.set_nonblocking(true);
        _ = self.say_goodbye();
    }
}

fn shake_hands(client: &mut ClientConnection, mut socket: &Socket) -> io::Result<()> {
    while client.is_handshaking() || client.wants_write() {
        client.complete_io(&mut socket)?;
    }
    Ok(())
}

impl Tls {
    fn send(&mut self, mut socket: &Socket) -> io::Result<()> {
        while !self.unsent.is_empty() {
            let n = socket.write(&self.unsent)?;
            self.unsent.drain(..n);
        }
        Ok(())
    }

    /// The plaintext of what was received, or the end.
    fn read(&mut self, buf: &mut [u8]) -> Option<io::Result<usize>> {
        if self.is_mute && self.client.is_handshaking() {
            return Some(Ok(0));
        }
        loop {
            match self.client.reader().read(buf) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return Some(read),
            }
            if self.received.is_empty() {
                return None;
            }
            // rustls takes more only after its plaintext is read.
            let mut records = &self.received[..];
            let processed = self.client.read_tls(&mut records).and_then(|n| {
                self.client.process_new_packets().map_err(io::Error::other)?;
                Ok(n)
            });
            match processed {
                Ok(n) => self.received.drain(..n),
                Err(error) => return Some(Err(error)),
            };
        }
    }

    fn receive(&mut self, records: &[u8]) -> io::Result<()> {
        self.received.extend_from_slice(records);
        if records.is_empty() { self.client.read_tls(&mut io::empty()).map(drop) } else { Ok(()) }
    }
}

/// The lock is not held while waiting for the socket.
impl Read for &Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &self.tls else { return (&self.socket).read(buf) };
        let mut records = [0; READ_LEN];
        loop {
            if let Some(read) = locked(tls).read(buf) {
                return read;
            }
            let n = (&self.socket).read(&mut records)?;
            locked(tls).receive(&records[..n])?;
        }
    }
}

impl Write for &Stream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let Some(tls) = &self.tls else { return (&self.socket).write(buf) };
        let tls = &mut *locked(tls);
        tls.send(&self.socket)?;
        let n = buf.len().min(WRITE_LEN);
        tls.client.writer().write_all(&buf[..n])?;
        tls.client.write_tls(&mut tls.unsent)?;
        tls.send(&self.socket)?;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
