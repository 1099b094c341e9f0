//! An attacker's connection, which never waits for ever.

use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::time::Duration;

use socket2::Socket;
use unstick::framing::{Encoder, Format};

use super::scene::PATIENCE;
use super::stream::Stream;
use crate::socket::Addr;

/// A connection whose operations fail rather than wait for ever.
#[derive(Debug)]
pub(super) struct Peer {
    stream: Stream,
}

/// A frame of the default format.
pub(super) fn frame(payload: &[u8]) -> Vec<u8> {
    let mut wire = Vec::new();
    Encoder::new(Format::U32_LE).encode(payload, &mut wire).expect("within the limit");
    wire
}

impl Peer {
    pub(super) fn connect(addr: &Addr) -> io::Result<Peer> {
        Ok(Peer { stream: Stream::connect(addr, PATIENCE)? })
    }

    pub(super) fn of(socket: Socket) -> io::Result<Peer> {
        Ok(Peer { stream: Stream::of(socket, PATIENCE)? })
    }

    pub(super) fn stream(&self) -> &Stream {
        &self.stream
    }

    /// The socket, below TLS if there is any.
    pub(super) fn socket(&self) -> &Socket {
        self.stream.socket()
    }

    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        (&self.stream).write_all(bytes)
    }

    /// Writes until a write takes longer than this. Returns how many bytes were sent.
    pub(super) fn send_until_stuck(&mut self, bytes: &[u8], patience: Duration) -> usize {
        _ = self.socket().set_write_timeout(Some(patience));
        let mut sent = 0;
        while sent < bytes.len()
            && let Ok(n @ 1..) = (&self.stream).write(&bytes[sent..])
        {
            sent += n;
        }
        sent
    }

    /// Reads a frame of the default format.
    pub(super) fn frame(&mut self) -> io::Result<Vec<u8>> {
        let mut header = [0; 4];
        (&self.stream).read_exact(&mut header)?;
        let mut payload = vec![0; u32::from_le_bytes(header) as usize];
        (&self.stream).read_exact(&mut payload)?;
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
        (&self.stream).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Ends our stream (FIN, and over TLS a `close_notify` before it).
    pub(super) fn half_close(&self) -> io::Result<()> {
        self.stream.half_close()
    }

    /// Breaks the connection off, by TCP with RST.
    pub(super) fn reset(self) -> io::Result<()> {
        self.stream.mute();
        self.socket().set_linger(Some(Duration::ZERO))
    }

    /// Waits until bytes of the server have arrived, and leaves them unread: closing a Unix socket then breaks the
    /// connection off.
    pub(super) fn await_unread(&self) -> io::Result<()> {
        self.socket().peek(&mut [MaybeUninit::uninit()]).map(drop)
    }
}
