//! The TCP states of both ends, derived from the packets only.
//!
//! An end is in a state from the segment on that it sends because of it: `SYN_SENT` with its SYN, `CLOSE_WAIT` with its ACK of
//! the peer's FIN, `TIME_WAIT` with its last ACK. What only an ACK that it receives can change (`SYN_RECEIVED` to ESTABLISHED,
//! `FIN_WAIT_1` to `FIN_WAIT_2`, `LAST_ACK` to CLOSED) changes with that ACK, as if it arrived. So the states are those that a
//! capture can show, from one place: an end that answers late is shown in its new state late.

use super::model::{Direction, Flag, State, States};

/// Follows both ends.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    client: End,
    server: End,
}

#[derive(Clone, Copy, Debug)]
struct End {
    state: State,
    /// Whether the peer acknowledged its SYN.
    syn_is_acked: bool,
    /// The position behind its FIN, which acknowledges it.
    fin: Option<i64>,
    /// Whether the peer acknowledged its FIN.
    fin_is_acked: bool,
}

impl End {
    fn new(state: State) -> End {
        End { state, syn_is_acked: false, fin: None, fin_is_acked: false }
    }
}

impl Machine {
    /// Before the first segment, whose flags these are. `is_refused`: the server's first answer is a reset, so nobody listened.
    pub(super) fn before(first: &[Flag], is_refused: bool) -> Machine {
        let has = |flag| first.contains(&flag);
        let (client, server) = match (has(Flag::Syn), has(Flag::Ack)) {
            (true, false) if is_refused => (State::Closed, State::Closed),
            (true, false) => (State::Closed, State::Listen),
            (true, true) => (State::SynSent, State::Listen),
            (false, _) => (State::Established, State::Established),
        };
        Machine { client: End::new(client), server: End::new(server) }
    }

    pub(super) fn states(&self) -> States {
        States { client: self.client.state, server: self.server.state }
    }

    /// Takes a segment. `ack` is the position that it acknowledges, `end` the one behind it, its FIN included.
    pub(super) fn take(&mut self, direction: Direction, flags: &[Flag], ack: Option<i64>, end: i64) {
        let has = |flag| flags.contains(&flag);
        let (sender, receiver) = match direction {
            Direction::ToServer => (&mut self.client, &mut self.server),
            Direction::ToClient => (&mut self.server, &mut self.client),
        };
        if has(Flag::Rst) {
            (sender.state, receiver.state) = (State::Closed, State::Closed);
            return;
        }
        if has(Flag::Syn) {
            sender.synchronize(ack.is_some());
        }
        if let Some(ack) = ack {
            acknowledge(sender, receiver, ack, has(Flag::Syn));
        }
        if has(Flag::Fin) {
            sender.finish(end);
        }
    }
}

impl End {
    /// It sends a SYN.
    fn synchronize(&mut self, acknowledges: bool) {
        self.state = match (self.state, acknowledges) {
            // Both ends open at once, and the peer was quicker.
            (State::SynSent, true) if self.syn_is_acked => State::Established,
            (State::Closed | State::Listen, false) => State::SynSent,
            (State::Closed | State::Listen | State::SynSent, true) => State::SynReceived,
            (state, _) => state,
        };
    }

    /// It sends a FIN, and `end` is behind it.
    fn finish(&mut self, end: i64) {
        self.fin = Some(end);
        self.state = match self.state {
            State::SynReceived | State::Established => State::FinWait1,
            State::CloseWait => State::LastAck,
            state => state,
        };
    }
}

/// The sender acknowledges what the receiver sent, up to `ack`.
fn acknowledge(sender: &mut End, receiver: &mut End, ack: i64, is_syn: bool) {
    receiver.syn_is_acked |= ack >= 1;
    if sender.state == State::SynSent && !is_syn {
        sender.state = State::Established;
    }
    if receiver.state == State::SynReceived && ack >= 1 {
        receiver.state = State::Established;
    }
    if receiver.fin.is_none_or(|fin| ack < fin) {
        return;
    }
    receiver.fin_is_acked = true;
    sender.state = match sender.state {
        State::Established => State::CloseWait,
        // Both ends closed at once: the peer's FIN came before the ACK of our own.
        State::FinWait1 => State::Closing,
        State::FinWait2 => State::TimeWait,
        State::Closing if sender.fin_is_acked => State::TimeWait,
        state => state,
    };
    receiver.state = match receiver.state {
        // The sender's FIN went before this ACK, so the receiver has that, too.
        State::FinWait1 if sender.fin.is_some() => State::Closing,
        State::FinWait1 => State::FinWait2,
        State::Closing if sender.state != State::Closing || sender.fin_is_acked => State::TimeWait,
        State::LastAck => State::Closed,
        state => state,
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use Direction::{ToClient, ToServer};
    use Flag::{Ack, Fin, Psh, Rst, Syn};
    use State::*;

    /// The states after each segment: direction, flags, ack, end.
    fn run(segments: &[(Direction, &[Flag], i64, i64)]) -> Vec<(State, State)> {
        let answer = segments.iter().find(|(direction, ..)| *direction == ToClient);
        let is_refused = answer.is_some_and(|(_, flags, ..)| flags.contains(&Rst));
        let mut machine = Machine::before(segments[0].1, is_refused);
        let states = |machine: &Machine| (machine.states().client, machine.states().server);
        let mut seen = vec![states(&machine)];
        for (direction, flags, ack, end) in segments {
            machine.take(*direction, flags, flags.contains(&Ack).then_some(*ack), *end);
            seen.push(states(&machine));
        }
        seen
    }

    const OPEN: [(Direction, &[Flag], i64, i64); 3] =
        [(ToServer, &[Syn], 0, 1), (ToClient, &[Syn, Ack], 1, 1), (ToServer, &[Ack], 1, 1)];

    fn after_open(segments: &[(Direction, &[Flag], i64, i64)]) -> Vec<(State, State)> {
        run(&[&OPEN[..], segments].concat()).split_off(4)
    }

    #[test]
    fn three_segments_open() {
        assert_eq!(
            run(&OPEN),
            [(Closed, Listen), (SynSent, Listen), (SynSent, SynReceived), (Established, Established)]
        );
    }

    #[test]
    fn four_segments_close() {
        let states = after_open(&[
            (ToServer, &[Fin, Ack], 1, 2),
            (ToClient, &[Ack], 2, 1),
            (ToClient, &[Psh, Ack], 2, 9),
            (ToServer, &[Ack], 9, 2),
            (ToClient, &[Fin, Ack], 2, 10),
            (ToServer, &[Ack], 10, 2),
        ]);
        assert_eq!(
            states,
            [
                (FinWait1, Established),
                (FinWait2, CloseWait),
                (FinWait2, CloseWait),
                (FinWait2, CloseWait),
                (FinWait2, LastAck),
                (TimeWait, Closed),
            ]
        );
    }

    #[test]
    fn three_segments_may_close_too_and_repeated_ones_change_nothing() {
        let close = [
            (ToClient, &[Fin, Ack][..], 1, 2),
            (ToClient, &[Fin, Ack], 1, 2),
            (ToServer, &[Fin, Ack], 2, 2),
            (ToServer, &[Fin, Ack], 2, 2),
            (ToClient, &[Ack], 2, 2),
            (ToClient, &[Ack], 2, 2),
        ];
        assert_eq!(
            after_open(&close),
            [
                (Established, FinWait1),
                (Established, FinWait1),
                (LastAck, FinWait2),
                (LastAck, FinWait2),
                (Closed, TimeWait),
                (Closed, TimeWait),
            ]
        );
    }

    #[test]
    fn both_ends_may_close_at_once() {
        let close = [
            (ToServer, &[Fin, Ack][..], 1, 2),
            (ToClient, &[Fin, Ack], 1, 2),
            (ToServer, &[Ack], 2, 2),
            (ToClient, &[Ack], 2, 2),
        ];
        assert_eq!(
            after_open(&close),
            [(FinWait1, Established), (FinWait1, FinWait1), (Closing, Closing), (TimeWait, TimeWait)]
        );
    }

    #[test]
    fn both_ends_may_open_at_once() {
        let open = [
            (ToServer, &[Syn][..], 0, 1),
            (ToClient, &[Syn], 0, 1),
            (ToServer, &[Syn, Ack], 1, 1),
            (ToClient, &[Syn, Ack], 1, 1),
        ];
        assert_eq!(
            run(&open)[1..],
            [(SynSent, Listen), (SynSent, SynSent), (SynReceived, SynSent), (Established, Established)]
        );
    }

    #[test]
    fn a_reset_closes_both() {
        assert_eq!(after_open(&[(ToServer, &[Rst, Ack], 1, 1)]), [(Closed, Closed)]);
        let refused = run(&[OPEN[0], (ToClient, &[Rst, Ack], 1, 0)]);
        assert_eq!(refused, [(Closed, Closed), (SynSent, Closed), (Closed, Closed)]);
    }

    #[test]
    fn a_connection_that_was_open_before_is_taken_as_open() {
        assert_eq!(run(&[(ToClient, &[Fin, Ack], 1, 2)]), [(Established, Established), (Established, FinWait1)]);
        assert_eq!(run(&[OPEN[1], OPEN[2]])[1..], [(SynSent, SynReceived), (Established, Established)]);
    }
}
