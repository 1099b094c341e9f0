//! A server's end of a session.

use std::sync::Arc;

use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::ConnectionState;
use rustls::{CommonState, Error, ServerConfig};

use super::session::{CONTENT_LEN, Session, Side, Step, Write, step};

/// The most bytes of a record on the wire (RFC 5246, 6.2.3, which allows more than RFC 8446, 5.2).
pub(crate) const MAX_RECORD_LEN: usize = 5 + CONTENT_LEN + 2048;

pub(crate) type ServerSide = Box<UnbufferedServerConnection>;

impl Session<ServerSide> {
    /// A server's end.
    ///
    /// # Errors
    /// rustls's error about the configuration.
    pub(crate) fn server(config: Arc<ServerConfig>) -> Result<Session<ServerSide>, Error> {
        UnbufferedServerConnection::new(config).map(|server| Session::new(Box::new(server)))
    }

    /// Whether plaintext is buffered.
    pub(crate) fn has_plaintext(&self) -> bool {
        !self.plaintext.is_empty()
    }

    /// Bytes of the peer's certificates.
    pub(crate) fn certificates_len(&self) -> usize {
        self.certificates().iter().map(|certificate| certificate.len()).sum()
    }

    /// Memory for an unfinished record and for plaintext that is not read yet, in bytes.
    pub(crate) fn held(&self) -> usize {
        self.records.capacity() + self.plaintext.capacity()
    }

    /// Memory for unsent records, in bytes.
    pub(crate) fn sending(&self) -> usize {
        self.outgoing.capacity()
    }

    /// Shrinks the memory of an unfinished record to its length: the peer decides how long it waits for the rest.
    pub(crate) fn park(&mut self) {
        self.records.shrink_to_fit();
    }
}

impl Side for ServerSide {
    fn step(
        &mut self,
        records: &mut [u8],
        outgoing: &mut Vec<u8>,
        put: &mut dyn FnMut(&[u8]),
        write: Option<Write<'_>>,
    ) -> (usize, Result<Step, Error>) {
        let mut status = self.process_tls_records(records);
        if let Ok(ConnectionState::ReadEarlyData(early)) = &mut status.state {
            // Early data comes only if the configuration allows it.
            while let Some(Ok(record)) = early.next_record() {
                put(record.payload);
            }
            return (status.discard, Ok(Step::Done));
        }
        step(status, outgoing, put, write)
    }

    fn common(&self) -> &CommonState {
        self
    }
}
