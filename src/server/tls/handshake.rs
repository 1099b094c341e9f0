//! The handshake of one connection: when it begins, how long it has, and what becomes of one that fails.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_lite::future::poll_fn;

use super::below::Below;
use super::lease::Reading;
use crate::close::CloseReason;
use crate::framing::Header;
use crate::handshake::HandshakeError;
use crate::server::acceptor::{Acceptor, Turn};
use crate::server::budget::{ALLOWANCE, Member};
use crate::server::connection::LINGER;
use crate::server::input::{Forgotten, read_and_forget};
use crate::server::link::Link;
use crate::server::transport::Transport;
use crate::tls::{Channel, ServerSide, Session};

/// How long a handshake is let go on while others wait, before it is ended for them.
const PATIENCE: Duration = Duration::from_secs(1);

/// A handshake that goes on, or waits to begin.
pub(super) struct Handshake<'a> {
    link: &'a Link,
    turn: Turn,
    /// Since when it waits, or goes on.
    since: Instant,
    has_begun: bool,
    /// For memory, and bytes that it waits to lease.
    member: Member,
    wants: Option<usize>,
    pub(super) reading: Reading,
    pub(super) channel: Channel<Below, ServerSide>,
}

impl<'a> Handshake<'a> {
    /// # Errors
    /// rustls's, of the configuration.
    pub(super) fn new(acceptor: &Acceptor, below: Below, link: &'a Link) -> Result<Handshake<'a>, HandshakeError> {
        let session =
            Session::server(Arc::clone(&acceptor.config)).map_err(|error| HandshakeError::Tls(Box::new(error)))?;
        let budget = &link.thread.shared.budget;
        Ok(Handshake {
            link,
            turn: Turn::new(&acceptor.handshakes),
            since: link.thread.clock.peers_now(),
            has_begun: false,
            member: Member::new(budget),
            wants: None,
            reading: Reading::new(budget),
            channel: Channel::new(below, session),
        })
    }

    /// Goes on to its end, or to that of its time.
    pub(super) async fn run<H: Header>(&mut self, header: &Arc<H>) -> Result<(), CloseReason> {
        let done = poll_fn(|cx| self.poll(cx)).await;
        let failed = match done {
            Ok(()) => return Ok(()),
            Err(CloseReason::Handshake(error)) => CloseReason::Handshake(error.judged(Arc::clone(header))),
            Err(reason) => {
                if let CloseReason::OverBudget { .. } = reason {
                    self.channel.stream().break_off();
                    return Err(reason);
                }
                reason
            }
        };
        // Another one may begin meanwhile.
        self.turn.pass_on();
        let until = self.link.thread.clock.peers_now().checked_add(LINGER);
        poll_fn(|cx| self.poll_parted(until, cx)).await;
        Err(failed)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), CloseReason>> {
        let thread = &self.link.thread;
        if thread.stopping() {
            return Poll::Ready(Err(CloseReason::Stopped));
        }
        let now = thread.clock.peers_now();
        self.wants = None;
        if self.turn.poll_begin(cx).is_ready() {
            if !std::mem::replace(&mut self.has_begun, true) {
                self.since = now;
            }
            if let Poll::Ready(done) = self.poll_steps(cx) {
                return Poll::Ready(done.map_err(CloseReason::Handshake));
            }
        }
        let timeout = thread.shared.config.handshake_timeout;
        let deadline = self.since.checked_add(timeout);
        let mut look_again = deadline;
        if self.has_begun && deadline.is_none_or(|deadline| now < deadline) {
            if now >= self.since + PATIENCE && self.turn.handshakes().are_crowded() {
                let max_handshakes = self.turn.handshakes().max_handshakes;
                return Poll::Ready(Err(CloseReason::Handshake(HandshakeError::Crowded { max_handshakes })));
            }
            look_again = Some(deadline.map_or(now + PATIENCE, |deadline| deadline.min(now + PATIENCE)));
        }
        if thread.wait(self.link.slot, look_again, cx) {
            return Poll::Ready(Err(CloseReason::Handshake(HandshakeError::TimedOut { timeout })));
        }
        self.member.wait(0, self.wants, cx)?;
        Poll::Pending
    }

    /// As many steps as can be done now.
    fn poll_steps(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), HandshakeError>> {
        let mut certificates = 0;
        loop {
            let unfinished = self.channel.session().unfinished().len();
            let own = self.reading.own(certificates);
            let room = match own.and_then(|()| self.reading.room(unfinished, ALLOWANCE)) {
                Ok(room) => room,
                Err(wants) => {
                    self.wants = Some(wants);
                    return Poll::Pending;
                }
            };
            match self.channel.poll_handshake(room, cx) {
                Poll::Ready(Ok(true)) if certificates > 0 => return Poll::Ready(Ok(())),
                // They are kept twice: by rustls, and in the peer's name.
                Poll::Ready(Ok(true)) => match 2 * self.channel.session().certificates_len() {
                    0 => return Poll::Ready(Ok(())),
                    bytes => certificates = bytes,
                },
                Poll::Ready(Ok(false)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Sends what is left to say, ends our stream, and gives the peer some time to read it.
    fn poll_parted(&mut self, until: Option<Instant>, cx: &mut Context<'_>) -> Poll<()> {
        let thread = &self.link.thread;
        match self.channel.poll_close(cx) {
            Poll::Ready(Err(_)) => return Poll::Ready(()),
            Poll::Ready(Ok(())) => match read_and_forget(self.channel.stream(), cx) {
                Forgotten::End => return Poll::Ready(()),
                Forgotten::Turn => thread.clock.wake_next_turn(cx),
                Forgotten::Nothing => {}
            },
            Poll::Pending => {}
        }
        if thread.wait(self.link.slot, until, cx) { Poll::Ready(()) } else { Poll::Pending }
    }
}
