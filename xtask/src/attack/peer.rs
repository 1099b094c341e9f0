//! An attacker's connection: a plain socket that never waits for ever.

use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::time::Duration;

use socket2::Socket;
use unstick::framing::{Encoder, Format};

use super::scene::PATIENCE;
use crate::socket::Addr;

/// A connection whose operations fail rather than wait for ever.
#[derive(Debug)]
pub(super) struct Peer {
    socket: Socket,
}

/// A frame of the default format.
pub(super) fn frame(payload: &[u8]) -> Vec<u8> {
    let mut wire = Vec::new();
    Encoder::new(Format::U32_LE).encode(payload, &mut wire).expect("within the limit");
    wire
}

impl Peer {
    pub(super) fn connect(addr: &Addr) -> io::Result<Peer> {
        Peer::of(addr.connect(PATIENCE)?)
    }

    pub(super) fn of(socket: Socket) -> io::Result<Peer> {
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Peer { socket })
    }

    pub(super) fn socket(&self) -> &Socket {
        &self.socket
    }

    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket.write_all(bytes)
    }

    /// Sends as much as the other side takes within this time for each write; how much that was.
    pub(super) fn send_until_stuck(&mut self, bytes: &[u8], patience: Duration) -> usize {
        _ = self.socket.set_write_timeout(Some(patience));
        let mut sent = 0;
        while sent < bytes.len()
            && let Ok(n @ 1..) = self.socket.write(&bytes[sent..])
        {
            sent += n;
        }
        sent
    }

    /// Reads a frame of the default format.
    pub(super) fn frame(&mut self) -> io::Result<Vec<u8>> {
        let mut header = [0; 4];
        self.socket.read_exact(&mut header)?;
        let mut payload = vec![0; u32::from_le_bytes(header) as usize];
        self.socket.read_exact(&mut payload)?;
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
        self.socket.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Ends our stream (FIN).
    pub(super) fn half_close(&self) -> io::Result<()> {
        self.socket.shutdown(Shutdown::Write)
    }

    /// Breaks the connection off, by TCP with RST.
    pub(super) fn reset(self) -> io::Result<()> {
        self.socket.set_linger(Some(Duration::ZERO))
    }

    /// Waits until something of the server's is there, and leaves it unread: a Unix socket that is closed so is one broken off.
    pub(super) fn await_unread(&self) -> io::Result<()> {
        self.socket.peek(&mut [MaybeUninit::uninit()]).map(drop)
    }
}
