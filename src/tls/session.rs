//! One TLS session without I/O: records in, plaintext out; plaintext in, records out.

use std::io::IoSlice;

use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, InsufficientSizeError, UnbufferedStatus};
use rustls::{CommonState, Error, InvalidMessage};

use super::scratch::{self, For};

/// The most bytes of plaintext in a record (RFC 8446, 5.1).
pub(super) const CONTENT_LEN: usize = 16 * 1024;

/// How many first bytes are kept, to say what a peer speaks instead of TLS.
const FIRST_LEN: usize = 8;

/// One end of a TLS session.
///
/// `records` begins with the first byte that is not processed yet, of an unfinished record or handshake message.
pub(crate) struct Session<C> {
    pub(super) side: C,
    pub(super) records: Vec<u8>,
    /// Plaintext that did not fit into the reader's buffer, and how many bytes of it are taken since.
    pub(super) plaintext: Vec<u8>,
    taken: usize,
    /// Records to send, and how many bytes of them are sent.
    pub(super) outgoing: Vec<u8>,
    sent: usize,
    /// The peer's `close_notify` came.
    is_ended: bool,
    /// The first error, after which nothing is processed.
    error: Option<Error>,
    /// The first bytes received, which show whether the peer speaks TLS.
    first: Vec<u8>,
}

/// rustls's state machine, a client's or a server's.
pub(crate) trait Side {
    /// One step of the state machine: see [`step`].
    fn step(
        &mut self,
        records: &mut [u8],
        outgoing: &mut Vec<u8>,
        put: &mut dyn FnMut(&[u8]),
        write: Option<Write<'_>>,
    ) -> (usize, Result<Step, Error>);

    fn common(&self) -> &CommonState;
}

/// The result of one step of the state machine.
pub(crate) enum Step {
    /// There is more to do.
    Done,
    /// The peer's `close_notify` came.
    Ended,
    /// It needs more bytes.
    Blocked,
    /// The content was encrypted; the length of its records.
    Written(Result<usize, EncryptError>),
}

/// Content to encrypt, and memory for its records.
pub(crate) struct Write<'a> {
    /// `None`: a `close_notify`.
    content: Option<&'a [u8]>,
    sealed: &'a mut [u8],
}

impl<C: Side> Session<C> {
    pub(super) fn new(side: C) -> Session<C> {
        Session {
            side,
            records: Vec::new(),
            plaintext: Vec::new(),
            taken: 0,
            outgoing: Vec::new(),
            sent: 0,
            is_ended: false,
            error: None,
            first: Vec::new(),
        }
    }

    pub(crate) fn is_handshaking(&self) -> bool {
        self.side.common().is_handshaking()
    }

    /// Received bytes that are not processed yet.
    pub(crate) fn unfinished(&self) -> &[u8] {
        &self.records
    }

    /// Whether the peer's `close_notify` came, and all plaintext before it is taken.
    pub(crate) fn is_ended(&self) -> bool {
        self.is_ended && self.plaintext.is_empty()
    }

    /// The error that ended the session, once all plaintext before it is taken.
    pub(crate) fn error(&self) -> Option<&Error> {
        self.error.as_ref().filter(|_| self.plaintext.is_empty())
    }

    /// Moves buffered plaintext to `buf`, and returns how many bytes.
    pub(crate) fn take(&mut self, buf: &mut [u8]) -> usize {
        let waits = &self.plaintext[self.taken..];
        let n = waits.len().min(buf.len());
        buf[..n].copy_from_slice(&waits[..n]);
        self.taken += n;
        if self.taken == self.plaintext.len() {
            (self.plaintext, self.taken) = (Vec::new(), 0);
        }
        n
    }

    /// Processes `memory`: [`unfinished`](Session::unfinished), followed by the bytes just received. Plaintext goes to
    /// `buf`, and is buffered if it does not fit. Returns how many bytes went to `buf`.
    pub(crate) fn receive(&mut self, memory: &mut [u8], buf: &mut [u8]) -> usize {
        if self.first.len() < 2 {
            self.look(&memory[self.records.len()..]);
        }
        let mut filled = 0;
        let used = self.process(memory, &mut |content, waits| {
            let n = content.len().min(buf.len() - filled);
            buf[filled..filled + n].copy_from_slice(&content[..n]);
            filled += n;
            waits.extend_from_slice(&content[n..]);
        });
        self.records.clear();
        self.records.reserve_exact(memory.len() - used);
        self.records.extend_from_slice(&memory[used..]);
        filled
    }

    /// Keeps the first bytes, and checks whether they begin a TLS record: a type of 20 to 23, then a version 3.x.
    /// rustls would wait for five bytes, and the peer may send fewer.
    fn look(&mut self, received: &[u8]) {
        self.first.extend(received.iter().take(FIRST_LEN - self.first.len()));
        if self.not_tls().is_some() {
            self.error = Some(Error::InvalidMessage(InvalidMessage::InvalidContentType));
            // Tell the peer, too: a fatal alert, unexpected_message (RFC 8446, 6).
            self.outgoing.extend_from_slice(&[21, 3, 3, 0, 2, 2, 10]);
        }
    }

    /// The peer's first bytes, if they are not TLS.
    pub(crate) fn not_tls(&self) -> Option<&[u8]> {
        match self.first[..] {
            [] | [20..=23] | [20..=23, 3, ..] => None,
            _ => Some(&self.first),
        }
    }

    /// Begins the handshake, or continues with the bytes received so far.
    pub(crate) fn advance(&mut self) {
        let mut records = std::mem::take(&mut self.records);
        let used = self.process(&mut records, &mut |content, waits| waits.extend_from_slice(content));
        records.drain(..used);
        self.records = records;
    }

    /// Processes these records as far as possible, and returns how many bytes are processed.
    fn process(&mut self, records: &mut [u8], put: &mut dyn FnMut(&[u8], &mut Vec<u8>)) -> usize {
        let mut used = 0;
        while self.error.is_none() {
            let (discard, step) = self.step(&mut records[used..], put, None);
            used += discard;
            match step {
                Ok(Step::Done) => {}
                Ok(Step::Ended) => self.is_ended = true,
                Ok(Step::Blocked | Step::Written(_)) => break,
                Err(error) => {
                    // rustls makes its alert in a further step, for which it may need the same records again.
                    _ = self.step(&mut records[used..], put, None);
                    self.error = Some(error);
                }
            }
        }
        used
    }

    fn step(
        &mut self,
        records: &mut [u8],
        put: &mut dyn FnMut(&[u8], &mut Vec<u8>),
        write: Option<Write<'_>>,
    ) -> (usize, Result<Step, Error>) {
        let Session { side, plaintext, outgoing, .. } = self;
        side.step(records, outgoing, &mut |content| put(content, plaintext), write)
    }

    /// Records to send.
    pub(crate) fn outgoing(&self) -> &[u8] {
        &self.outgoing[self.sent..]
    }

    /// Marks so many bytes of them as sent.
    pub(crate) fn sent(&mut self, n: usize) {
        self.sent += n;
        if self.sent == self.outgoing.len() {
            (self.outgoing, self.sent) = (Vec::new(), 0);
        }
    }

    /// Queues these records before the others, which were made after them.
    pub(crate) fn send_later(&mut self, records: &[u8]) {
        self.outgoing.splice(self.sent..self.sent, records.iter().copied());
    }

    /// Encrypts at most `most` bytes of these slices into as few records as possible, at the start of `sealed`. Returns
    /// how many bytes were encrypted, and the length of the records; `None` if other records must be sent first.
    ///
    /// # Errors
    /// The session's, or that its keys are exhausted.
    pub(crate) fn seal(
        &mut self,
        pieces: &[IoSlice<'_>],
        most: usize,
        sealed: &mut Vec<u8>,
    ) -> Result<Option<(usize, usize)>, Error> {
        if let [piece] = pieces {
            let content = &piece[..piece.len().min(most)];
            let len = self.encrypt(Some(content), sealed, 0)?;
            return Ok(len.map(|len| (content.len(), len)));
        }
        let (mut put, mut len) = (0, 0);
        let mut pieces = Pieces { pieces, at: 0 };
        while put < most {
            // Whole records of one slice are encrypted without a copy; one record of several slices is copied together
            // first.
            let whole = pieces.first().len().min(most - put) / CONTENT_LEN * CONTENT_LEN;
            let (content_len, record) = if whole > 0 {
                (whole, self.encrypt(Some(&pieces.first()[..whole]), sealed, len)?)
            } else {
                scratch::with(For::Gathered, CONTENT_LEN, |gathered| {
                    let n = pieces.gather(&mut gathered[..CONTENT_LEN.min(most - put)]);
                    self.encrypt(Some(&gathered[..n]), sealed, len).map(|record| (n, record))
                })?
            };
            let Some(record) = record.filter(|_| content_len > 0) else { break };
            if whole > 0 {
                pieces.advance(whole);
            }
            put += content_len;
            len += record;
        }
        Ok((put > 0).then_some((put, len)))
    }

    /// Encrypts into `sealed`, from `at` on, which grows as needed; without content, a `close_notify`. Returns the
    /// length of the records, or `None` if other records must be sent first.
    fn encrypt(&mut self, content: Option<&[u8]>, sealed: &mut Vec<u8>, at: usize) -> Result<Option<usize>, Error> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        loop {
            let write = Write { content, sealed: &mut sealed[at..] };
            let mut records = std::mem::take(&mut self.records);
            let (used, step) =
                self.step(&mut records, &mut |content, waits| waits.extend_from_slice(content), Some(write));
            records.drain(..used);
            self.records = records;
            match step? {
                Step::Written(Ok(len)) => return Ok(Some(len)),
                Step::Written(Err(EncryptError::InsufficientSize(InsufficientSizeError { required_size }))) => {
                    sealed.resize(at + required_size, 0);
                }
                Step::Written(Err(EncryptError::EncryptExhausted)) => return Err(Error::EncryptError),
                Step::Blocked => return Err(Error::HandshakeNotComplete),
                Step::Ended => self.is_ended = true,
                Step::Done => {}
            }
            if !self.outgoing.is_empty() {
                return Ok(None);
            }
        }
    }

    /// Queues a `close_notify`, unless the handshake is unfinished or has failed. All other records must be sent
    /// before.
    pub(crate) fn close(&mut self) {
        let mut sealed = Vec::new();
        if let Ok(Some(len)) = self.encrypt(None, &mut sealed, 0) {
            self.send_later(&sealed[..len]);
        }
    }
}

/// Does what rustls asks for. Returns how many bytes of the records are processed, and the result.
pub(super) fn step<Data>(
    status: UnbufferedStatus<'_, '_, Data>,
    outgoing: &mut Vec<u8>,
    put: &mut dyn FnMut(&[u8]),
    write: Option<Write<'_>>,
) -> (usize, Result<Step, Error>) {
    let UnbufferedStatus { mut discard, state, .. } = status;
    let step = match state {
        Ok(ConnectionState::ReadTraffic(mut traffic)) => {
            while let Some(Ok(record)) = traffic.next_record() {
                discard += record.discard;
                put(record.payload);
            }
            Ok(Step::Done)
        }
        Ok(ConnectionState::EncodeTlsData(mut data)) => {
            let at = outgoing.len();
            let mut encoded = data.encode(&mut []);
            if let Err(EncodeError::InsufficientSize(InsufficientSizeError { required_size })) = encoded {
                outgoing.resize(at + required_size, 0);
                encoded = data.encode(&mut outgoing[at..]);
            }
            outgoing.truncate(at + encoded.unwrap_or(0));
            Ok(Step::Done)
        }
        Ok(ConnectionState::TransmitTlsData(data)) => {
            // The data is in `outgoing`, which is sent before anything else.
            data.done();
            Ok(Step::Done)
        }
        Ok(ConnectionState::PeerClosed) => Ok(Step::Ended),
        Ok(ConnectionState::WriteTraffic(mut traffic)) => Ok(match write {
            None => Step::Blocked,
            Some(Write { content: Some(content), sealed }) => Step::Written(traffic.encrypt(content, sealed)),
            Some(Write { content: None, sealed }) => Step::Written(traffic.queue_close_notify(sealed)),
        }),
        Ok(_) => Ok(Step::Blocked),
        Err(error) => Err(error),
    };
    (discard, step)
}

/// Slices of plaintext, and how far they are consumed.
struct Pieces<'a> {
    pieces: &'a [IoSlice<'a>],
    /// Consumed bytes of the first slice.
    at: usize,
}

impl Pieces<'_> {
    /// The rest of the first slice; empty if none is left.
    fn first(&self) -> &[u8] {
        self.pieces.first().map_or(&[], |piece| &piece[self.at..])
    }

    /// Consumes so many bytes of the first slice.
    fn advance(&mut self, n: usize) {
        self.at += n;
        while self.pieces.first().is_some_and(|piece| piece.len() == self.at) {
            (self.pieces, self.at) = (&self.pieces[1..], 0);
        }
    }

    /// Moves as many bytes to `memory` as fit, and returns how many.
    fn gather(&mut self, memory: &mut [u8]) -> usize {
        let mut n = 0;
        self.advance(0);
        while n < memory.len() && !self.pieces.is_empty() {
            let len = self.first().len().min(memory.len() - n);
            memory[n..n + len].copy_from_slice(&self.first()[..len]);
            n += len;
            self.advance(len);
        }
        n
    }
}
