//! The handshake of one connection: when it begins, how long it may take, and what happens if it fails.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_lite::future::poll_fn;

use super::below::Below;
use super::lease::Reading;
use crate::close::CloseReason;
use crate::framing::Header;
use crate::handshake::HandshakeError;
use crate::server::acceptor::{Acceptor, Permit};
use crate::server::budget::{ALLOWANCE, Member};
use crate::server::connection::LINGER;
use crate::server::input::{Discarded, read_and_discard};
use crate::server::link::Link;
use crate::server::transport::Transport;
use crate::tls::{Channel, ServerSide, Session};

/// How long a handshake may take while others wait to begin.
const PATIENCE: Duration = Duration::from_secs(1);

/// A handshake that has begun or waits to begin.
pub(super) struct Handshake<'a> {
    link: &'a Link,
    permit: Permit,
    /// When it began; before that, when it began to wait.
    since: Instant,
    has_begun: bool,
    /// Its membership in the budget, and how many bytes it waits to lease.
    member: Member,
    wants: Option<usize>,
    pub(super) reading: Reading,
    pub(super) channel: Channel<Below, ServerSide>,
}

impl<'a> Handshake<'a> {
    /// # Errors
    /// rustls's error about the configuration.
    pub(super) fn new(acceptor: &Acceptor, below: Below, link: &'a Link) -> Result<Handshake<'a>, HandshakeError> {
        let session =
            Session::server(Arc::clone(&acceptor.config)).map_err(|error| HandshakeError::Tls(Box::new(error)))?;
        let budget = &link.thread.shared.budget;
        Ok(Handshake {
            link,
            permit: Permit::new(&acceptor.handshakes),
            since: link.thread.clock.peers_now(),
            has_begun: false,
            member: Member::new(budget),
            wants: None,
            reading: Reading::new(budget),
            channel: Channel::new(below, session),
        })
    }

    /// Runs until the handshake succeeds, fails or times out.
    pub(super) async fn run<H: Header>(&mut self, header: &Arc<H>) -> Result<(), CloseReason> {
        let done = poll_fn(|cx| self.poll(cx)).await;
        let failed = match done {
            Ok(()) => return Ok(()),
            Err(CloseReason::Handshake(error)) => CloseReason::Handshake(error.diagnosed(Arc::clone(header))),
            Err(reason) => {
                if let CloseReason::OverBudget { .. } = reason {
                    self.channel.stream().break_off();
                    return Err(reason);
                }
                reason
            }
        };
        // Meanwhile, another handshake may begin.
        self.permit.release();
        let until = self.link.thread.clock.peers_now().checked_add(LINGER);
        poll_fn(|cx| self.poll_linger(until, cx)).await;
        Err(failed)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), CloseReason>> {
        let thread = &self.link.thread;
        if thread.stopping() {
            return Poll::Ready(Err(CloseReason::Stopped));
        }
        let now = thread.clock.peers_now();
        self.wants = None;
        if self.permit.poll_begin(cx).is_ready() {
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
            if now >= self.since + PATIENCE && self.permit.handshakes().are_crowded() {
                let max_handshakes = self.permit.handshakes().max_handshakes;
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

    /// Does as many steps as are possible now.
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
                // The certificates are kept twice: by rustls, and in the peer's name.
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

    /// Sends the alert, ends our stream, and gives the peer time to read it.
    fn poll_linger(&mut self, until: Option<Instant>, cx: &mut Context<'_>) -> Poll<()> {
        let thread = &self.link.thread;
        match self.channel.poll_close(cx) {
            Poll::Ready(Err(_)) => return Poll::Ready(()),
            Poll::Ready(Ok(())) => match read_and_discard(self.channel.stream(), cx) {
                Discarded::End => return Poll::Ready(()),
                Discarded::Yield => thread.clock.wake_next_turn(cx),
                Discarded::Nothing => {}
            },
            Poll::Pending => {}
        }
        if thread.wait(self.link.slot, until, cx) { Poll::Ready(()) } else { Poll::Pending }
    }
}
