//! A connection of the load over TLS, which costs it little: what it sends is encrypted; of what it gets only the records' lengths are
//! looked at.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use rustls::ClientConnection;

use crate::certificate::{Certificate, name};

/// Bytes by which a record of TLS 1.3 is longer than what it carries: the kind of that, and a tag (RFC 8446, 5.2).
const OVERHEAD: usize = 1 + 16;

/// One client's session.
pub(super) struct Sealed {
    client: ClientConnection,
    /// Records that are to be sent, and how much of them was.
    records: Vec<u8>,
    pub(super) sent: usize,
    /// What came of a record's header, and how much of that record is still to come.
    header: Vec<u8>,
    rest: usize,
}

impl Sealed {
    /// Shakes hands.
    ///
    /// # Errors
    /// The socket's, and rustls's.
    pub(super) fn connect(socket: &mut TcpStream) -> io::Result<Sealed> {
        let mut client = ClientConnection::new(Certificate::own().client(), name()).map_err(io::Error::other)?;
        client.set_buffer_limit(None);
        while client.is_handshaking() || client.wants_write() {
            client.complete_io(socket)?;
        }
        Ok(Sealed { client, records: Vec::new(), sent: 0, header: Vec::new(), rest: 0 })
    }

    /// Sends this, and reads `reply`; before anything is only counted.
    ///
    /// # Errors
    /// The socket's, and rustls's.
    pub(super) fn ask(&mut self, socket: &mut TcpStream, request: &[u8], reply: &mut [u8]) -> io::Result<()> {
        let mut stream = rustls::Stream::new(&mut self.client, socket);
        stream.write_all(request)?;
        stream.flush()?;
        stream.read_exact(reply)
    }

    /// Records that are to be sent.
    pub(super) fn unsent(&self) -> &[u8] {
        &self.records[self.sent..]
    }

    /// Encrypts this, where nothing is to be sent.
    ///
    /// # Errors
    /// rustls's.
    pub(super) fn seal(&mut self, content: &[u8]) -> io::Result<()> {
        (self.sent, self.records) = (0, std::mem::take(&mut self.records));
        self.records.clear();
        self.client.writer().write_all(content)?;
        while self.client.wants_write() {
            self.client.write_tls(&mut self.records)?;
        }
        Ok(())
    }

    /// How many bytes these records carry, or parts of records.
    pub(super) fn count(&mut self, mut received: &[u8]) -> usize {
        let mut content = 0;
        while !received.is_empty() {
            if self.rest == 0 {
                let (header, behind) = received.split_at(received.len().min(5 - self.header.len()));
                self.header.extend_from_slice(header);
                received = behind;
                if let [_, _, _, high, low] = self.header[..] {
                    self.rest = usize::from(u16::from_be_bytes([high, low]));
                    content += self.rest.saturating_sub(OVERHEAD);
                    self.header.clear();
                }
            }
            let n = self.rest.min(received.len());
            self.rest -= n;
            received = &received[n..];
        }
        content
    }
}
