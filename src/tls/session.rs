//! One TLS session without I/O: records in, plaintext out, and the other way round.

use std::io::IoSlice;

use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, InsufficientSizeError, UnbufferedStatus};
use rustls::{CommonState, Error, InvalidMessage};

use super::scratch::{self, For};

/// Bytes that a record carries at most (RFC 8446, 5.1).
pub(super) const CONTENT_LEN: usize = 16 * 1024;

/// First bytes that are kept to say what the peer speaks, if not TLS.
const FIRST_LEN: usize = 8;

/// One end of a TLS session.
///
/// What is in `records` begins with the first byte that is not processed: an unfinished record, or handshake messages that are
/// not whole yet.
pub(crate) struct Session<C> {
    pub(super) side: C,
    pub(super) records: Vec<u8>,
    /// Plaintext that was not taken yet, and how much of it was.
    pub(super) plaintext: Vec<u8>,
    taken: usize,
    /// Records that are to be sent, and how much of them was.
    pub(super) outgoing: Vec<u8>,
    sent: usize,
    /// The peer's `close_notify` came.
    is_ended: bool,
    /// The first error, after which nothing is processed.
    error: Option<Error>,
    /// The first bytes that came, while they may still show that this is no TLS.
    first: Vec<u8>,
}

/// rustls's part of a session, a client's or a server's.
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

/// What one step of the state machine came to.
pub(crate) enum Step {
    /// There is more to do.
    Done,
    /// The peer's `close_notify` came.
    Ended,
    /// Nothing can be done with what is there.
    Blocked,
    /// What was to be written is, and its records' length.
    Written(Result<usize, EncryptError>),
}

/// What is to be written, and where its records go.
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

    /// Bytes of unfinished records.
    pub(crate) fn unfinished(&self) -> &[u8] {
        &self.records
    }

    /// Whether the peer's `close_notify` came, and all before it is taken.
    pub(crate) fn is_ended(&self) -> bool {
        self.is_ended && self.plaintext.is_empty()
    }

    /// The error by which the session ended, once all before it is taken.
    pub(crate) fn error(&self) -> Option<&Error> {
        self.error.as_ref().filter(|_| self.plaintext.is_empty())
    }

    /// Moves plaintext that waits to `buf`; how much.
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

    /// Processes `memory`: [`unfinished`](Session::unfinished) with what was received behind it. Plaintext goes to `buf`, and what
    /// does not fit waits. How much went to `buf`.
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

    /// Keeps the first bytes, and sees whether they begin a record of TLS: its type, 20 to 23, and then a version 3.x. rustls would wait
    /// for five bytes, and a peer may have no more to say.
    fn look(&mut self, received: &[u8]) {
        self.first.extend(received.iter().take(FIRST_LEN - self.first.len()));
        if self.not_tls().is_some() {
            self.error = Some(Error::InvalidMessage(InvalidMessage::InvalidContentType));
            // So that the peer can tell, too: a fatal alert, an unexpected message (RFC 8446, 6).
            self.outgoing.extend_from_slice(&[21, 3, 3, 0, 2, 2, 10]);
        }
    }

    /// The first bytes of the peer, if they are no TLS.
    pub(crate) fn not_tls(&self) -> Option<&[u8]> {
        match self.first[..] {
            [] | [20..=23] | [20..=23, 3, ..] => None,
            _ => Some(&self.first),
        }
    }

    /// Begins, or goes on with what is there already.
    pub(crate) fn advance(&mut self) {
        let mut records = std::mem::take(&mut self.records);
        let used = self.process(&mut records, &mut |content, waits| waits.extend_from_slice(content));
        records.drain(..used);
        self.records = records;
    }

    /// Steps on with these records, until nothing can be done with what is left of them; how many bytes are done with.
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
                    // The alert, if rustls has one for the peer. It may have to look at the same records again.
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

    /// Records that are to be sent.
    pub(crate) fn outgoing(&self) -> &[u8] {
        &self.outgoing[self.sent..]
    }

    /// So many bytes of them were sent.
    pub(crate) fn sent(&mut self, n: usize) {
        self.sent += n;
        if self.sent == self.outgoing.len() {
            (self.outgoing, self.sent) = (Vec::new(), 0);
        }
    }

    /// These are to be sent first: what is to be sent else came up when they were sealed, and is behind them.
    pub(crate) fn send_later(&mut self, records: &[u8]) {
        self.outgoing.splice(self.sent..self.sent, records.iter().copied());
    }

    /// Puts `most` bytes of these pieces or fewer into records at the front of `sealed`, as few records as may be: how many bytes
    /// were put, and the records' length. `None`: there is something to send before.
    ///
    /// # Errors
    /// The session's, or that its keys are used up.
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
            // Whole records of one piece as they are, and what several pieces make one record of by a copy.
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

    /// Encrypts to `sealed` from `at` on, which grows as needed: the records' length, or `None` if something is to be sent before.
    /// Without content it is a `close_notify`.
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

    /// Ends our stream, where nothing else is to be sent: a `close_notify` is, unless the handshake is not over or has failed.
    pub(crate) fn close(&mut self) {
        let mut sealed = Vec::new();
        if let Ok(Some(len)) = self.encrypt(None, &mut sealed, 0) {
            self.send_later(&sealed[..len]);
        }
    }
}

/// Does what rustls asks for; how many bytes of the records are done with.
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
            // It is in `outgoing`, and goes before all else.
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

/// Pieces of content, of which some is done with.
struct Pieces<'a> {
    pieces: &'a [IoSlice<'a>],
    /// Bytes of the first one that are done with.
    at: usize,
}

impl Pieces<'_> {
    /// What is left of the first piece; nothing, where none is left.
    fn first(&self) -> &[u8] {
        self.pieces.first().map_or(&[], |piece| &piece[self.at..])
    }

    /// So many bytes of the first one are done with.
    fn advance(&mut self, n: usize) {
        self.at += n;
        while self.pieces.first().is_some_and(|piece| piece.len() == self.at) {
            (self.pieces, self.at) = (&self.pieces[1..], 0);
        }
    }

    /// Moves as much to `memory` as there is, and fits; how much.
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
