//! What comes back, against what was sent: bytes in, replies or faults out. No socket, no clock, and nothing is kept of
//! what was sent.

use super::fault::Fault;
use super::pattern::{Difference, Pattern};
use super::plan::{Greeting, LEAST_PUSH, Plan, Reply};
use super::whole::Whole;
use crate::framing::{Decoder, Format, Frame, Part};

/// Bytes of one read, and about those of one write. Longer payloads are made and compared piece by piece, so that the
/// memory of a run does not depend on them, and what is compared is still in the cache.
pub(super) const PIECE_LEN: usize = 128 * 1024;
/// A frame of more bytes is compared as it comes; a shorter one once it is whole.
const LONG: usize = 8 * 1024;
/// Bytes that surely hold a header.
const HEADER_LEN: usize = 512;
/// Characters of a text that are shown.
const SHOWN: usize = 100;

/// The receiving side of one connection.
#[derive(Debug)]
pub(super) struct Check {
    connection: u64,
    decoder: Decoder<Format>,
    /// Memory for what is unfinished, while the decoder has that of all connections.
    tail: Vec<u8>,
    greeting: Greeting,
    /// Frames that came and are right.
    received: u64,
    /// The long frame that is coming.
    body: Option<Body>,
    /// The frame before was a long one that nobody looks at.
    follows_unseen: bool,
    /// Where echoes are compared many at a time.
    whole: Option<Whole>,
    /// Bytes that were taken without the decoder.
    passed_by: u64,
    /// With [`Reply::Push`]: for each connection that sends, the number of its frame that comes next.
    next: Vec<u64>,
}

/// A push that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Push {
    pub(super) sender: u64,
    pub(super) sequence: u64,
    pub(super) intended: u64,
    pub(super) sent: u64,
}

/// A frame that is compared as it comes.
#[derive(Debug)]
struct Body {
    payload_len: usize,
    position: usize,
    /// Known from the start, but for a push, where its first bytes say it.
    pattern: Option<Pattern>,
    /// Nobody looks at it.
    is_unseen: bool,
    /// The first bytes of a push.
    begin: Vec<u8>,
    push: Option<Push>,
}

impl Check {
    pub(super) fn new(plan: &Plan, connection: u64) -> Check {
        let senders = if plan.reply == Reply::Push { plan.connections - plan.first_sender() as usize } else { 0 };
        let next = vec![0; senders];
        let greeting = if let Greeting::Raw(0) = plan.greeting { Greeting::None } else { plan.greeting };
        Check {
            connection,
            decoder: Decoder::with_read_len(plan.format, PIECE_LEN),
            tail: Vec::new(),
            greeting,
            received: 0,
            body: None,
            follows_unseen: false,
            whole: Whole::new(plan).filter(|_| plan.reply == Reply::Echo),
            passed_by: 0,
            next,
        }
    }

    /// Frames that came and are right.
    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// Bytes of the stream that were taken.
    pub(super) fn offset(&self) -> u64 {
        self.decoder.offset() + self.passed_by
    }

    /// Whether the greeting has come, if there is one.
    pub(super) fn is_greeted(&self) -> bool {
        self.greeting == Greeting::None
    }

    /// Bytes of a greeting without framing that are still to come. They do not go to the decoder.
    pub(super) fn raw_greeting(&self) -> usize {
        if let Greeting::Raw(left) = self.greeting { left } else { 0 }
    }

    /// So many bytes of a greeting without framing came.
    pub(super) fn take_raw_greeting(&mut self, len: usize) {
        let left = self.raw_greeting() - len;
        self.greeting = if left > 0 { Greeting::Raw(left) } else { Greeting::None };
    }

    /// Has the decoder read into this memory, until [`take_back`](Check::take_back).
    pub(super) fn lend(&mut self, memory: Vec<u8>) {
        self.tail = self.decoder.swap_buffer(memory);
    }

    /// The memory again. What is unfinished of a frame stays.
    pub(super) fn take_back(&mut self) -> Vec<u8> {
        let tail = std::mem::take(&mut self.tail);
        self.decoder.swap_buffer(tail)
    }

    /// Bytes of a payload that come next and that nobody looks at.
    pub(super) fn unseen(&self) -> usize {
        self.body.as_ref().filter(|body| body.is_unseen).map_or(0, |body| body.payload_len - body.position)
    }

    /// Bytes to read at most: few where a header is to come, and after it what nobody looks at.
    pub(super) fn read_len(&self) -> usize {
        if self.follows_unseen && self.body.is_none() { HEADER_LEN } else { PIECE_LEN }
    }

    /// Room to read into.
    pub(super) fn space(&mut self) -> &mut [u8] {
        self.decoder.space()
    }

    /// So many bytes came; compares them. `begun` frames were sent so far. Hands on what pushes say.
    ///
    /// # Errors
    /// The first that is wrong: then the frame after those [`received`](Check::received) is the one.
    pub(super) fn filled(
        &mut self,
        len: usize,
        plan: &Plan,
        begun: u64,
        mut push: impl FnMut(Push),
    ) -> Result<(), Fault> {
        let passed_by = self.pass_by(len, begun);
        self.decoder.filled(len - passed_by);
        if passed_by == len {
            return Ok(());
        }
        loop {
            if self.body.is_some() && !self.parts(plan, begun, &mut push)? {
                break;
            }
            self.whole_frames(plan, begun, &mut push)?;
            let waits = self.decoder.buffered() > 0 && self.decoder.buffered() + self.decoder.need() > LONG;
            if !waits || !self.parts(plan, begun, &mut push)? {
                break;
            }
        }
        Ok(())
    }

    /// Of the bytes that came takes as many whole frames as are right, where those need no decoder. What is behind them
    /// is moved to the front of the space. How many bytes were taken.
    fn pass_by(&mut self, len: usize, begun: u64) -> usize {
        let Some(whole) = &self.whole else { return 0 };
        if self.decoder.buffered() > 0 || self.body.is_some() || !self.is_greeted() {
            return 0;
        }
        let space = self.decoder.space();
        let right = whole.right(self.connection, self.received, begun - self.received, &space[..len]);
        let taken = right as usize * whole.frame_len();
        space.copy_within(taken..len, 0);
        self.received += right;
        self.passed_by += taken as u64;
        taken
    }

    /// Whether the stream may end here.
    ///
    /// # Errors
    /// Where it ends inside a frame.
    pub(super) fn finish(&self) -> Result<(), Fault> {
        self.decoder.finish().map_err(Fault::Malformed)
    }

    /// Takes all frames that are whole.
    fn whole_frames(&mut self, plan: &Plan, begun: u64, push: &mut impl FnMut(Push)) -> Result<(), Fault> {
        let Check { connection, decoder, greeting, received, follows_unseen, next, .. } = self;
        let bare = plan.is_bare();
        while let Some(frame) = decoder.next_frame().map_err(Fault::Malformed)? {
            if *greeting != Greeting::None {
                *greeting = Greeting::None;
                continue;
            }
            if plan.reply == Reply::Push {
                let (pattern, came) = pushed(plan, *connection, next, frame.payload().len(), frame.payload())?;
                match pattern.difference(LEAST_PUSH, &frame.payload()[LEAST_PUSH..]) {
                    Some(difference) => return Err(Fault::Altered { part: "payload", difference }),
                    None if bare => {}
                    None => compare_envelope(pattern, frame)?,
                }
                push(came);
            } else if *received >= begun || plan.reply == Reply::None {
                return Err(surplus(plan, (*connection, *received, begun), frame.payload()));
            } else if plan.reply == Reply::Echo {
                let len = plan.payload.len(plan.run, *connection, *received);
                let pattern = Pattern::new(plan.run, *connection, *received);
                let payload = frame.payload();
                if payload.len() != len || pattern.difference(0, payload).is_some() {
                    return Err(explain(plan, (*connection, *received, begun), (payload.len(), 0), payload));
                }
                if !bare {
                    compare_envelope(pattern, frame)?;
                }
            }
            *follows_unseen = false;
            *received += 1;
        }
        Ok(())
    }

    /// Takes what has come of a long frame; whether its end came.
    fn parts(&mut self, plan: &Plan, begun: u64, push: &mut impl FnMut(Push)) -> Result<bool, Fault> {
        let Check { connection, decoder, greeting, received, body, follows_unseen, next, .. } = self;
        let place = (*connection, *received, begun);
        while let Some(part) = decoder.next_part().map_err(Fault::Malformed)? {
            match part {
                Part::Start { header, prefix_len, payload_len } => {
                    let mut begin = Body::new(payload_len);
                    let is_asked = plan.reply == Reply::Push || *received < begun && plan.reply != Reply::None;
                    if *greeting == Greeting::None {
                        if !is_asked {
                            return Err(Fault::Surplus { payload_len, text: String::new() });
                        }
                        begin.expect(plan, place, &header[..prefix_len])?;
                        begin.is_unseen = plan.reply == Reply::Count;
                    }
                    *body = Some(begin);
                }
                Part::Chunk(bytes) => {
                    if let Some(body) = body
                        && *greeting == Greeting::None
                    {
                        body.take(plan, place, next, bytes)?;
                    }
                }
                Part::End { trailer } => {
                    let ended = body.take();
                    if *greeting != Greeting::None {
                        *greeting = Greeting::None;
                        return Ok(true);
                    }
                    if let Some(Body { pattern, push: came, is_unseen, .. }) = ended {
                        compare_trailer(pattern, trailer)?;
                        came.map(push);
                        *follows_unseen = is_unseen;
                    }
                    *received += 1;
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

/// A connection, how many frames it received, and how many it has sent.
type Place = (u64, u64, u64);

impl Body {
    fn new(payload_len: usize) -> Body {
        Body { payload_len, position: 0, pattern: None, is_unseen: false, begin: Vec::new(), push: None }
    }

    /// The frame has begun: is it as long as it should be?
    fn expect(&mut self, plan: &Plan, (connection, received, _): Place, prefix: &[u8]) -> Result<(), Fault> {
        if plan.reply == Reply::Echo {
            let sent = plan.payload.len(plan.run, connection, received);
            if self.payload_len != sent {
                return Err(Fault::Length { sent, came: self.payload_len });
            }
            let pattern = Pattern::new(plan.run, connection, received);
            compare_prefix(pattern, prefix)?;
            self.pattern = Some(pattern);
        }
        Ok(())
    }

    fn take(&mut self, plan: &Plan, place: Place, next: &mut [u64], mut bytes: &[u8]) -> Result<(), Fault> {
        if plan.reply == Reply::Push && self.pattern.is_none() {
            let (begin, rest) = bytes.split_at(bytes.len().min(LEAST_PUSH - self.begin.len()));
            self.begin.extend_from_slice(begin);
            self.position += begin.len();
            bytes = rest;
            if self.begin.len() < LEAST_PUSH && self.position < self.payload_len {
                return Ok(());
            }
            let (pattern, push) = pushed(plan, place.0, next, self.payload_len, &self.begin)?;
            (self.pattern, self.push) = (Some(pattern), Some(push));
        }
        if let Some(difference) = self.pattern.and_then(|pattern| pattern.difference(self.position, bytes)) {
            let begin = if self.position == 0 { bytes } else { &[] };
            return Err(match plan.reply {
                Reply::Echo if !begin.is_empty() => explain(plan, place, (self.payload_len, 0), begin),
                _ => Fault::Altered { part: "payload", difference },
            });
        }
        self.position += bytes.len();
        Ok(())
    }
}

fn compare_envelope(pattern: Pattern, frame: Frame<'_>) -> Result<(), Fault> {
    compare_prefix(pattern, frame.prefix())?;
    compare_trailer(Some(pattern), frame.trailer())
}

fn compare_prefix(pattern: Pattern, prefix: &[u8]) -> Result<(), Fault> {
    altered("prefix", pattern.prefix_difference(prefix))
}

fn compare_trailer(pattern: Option<Pattern>, trailer: &[u8]) -> Result<(), Fault> {
    altered("trailer", pattern.and_then(|pattern| pattern.trailer_difference(trailer)))
}

fn altered(part: &'static str, difference: Option<Difference>) -> Result<(), Fault> {
    difference.map_or(Ok(()), |difference| Err(Fault::Altered { part, difference }))
}

/// Puts its times into the payload of a push that begins at `payload`. The fourth word holds both once more, so that no
/// bit of them can be another one unseen.
pub(super) fn stamp(payload: &mut [u8], push: Push) {
    let lag = push.sent - push.intended;
    let words = [push.intended, lag, push.intended ^ lag.rotate_left(32)];
    for (bytes, word) in payload[8..LEAST_PUSH].as_chunks_mut().0.iter_mut().zip(words) {
        *bytes = (u64::from_le_bytes(*bytes) ^ word).to_le_bytes();
    }
}

/// Whose push it is that begins with these bytes, and when it was sent. It has to be the next one of its sender.
fn pushed(
    plan: &Plan,
    connection: u64,
    next: &mut [u64],
    payload_len: usize,
    begin: &[u8],
) -> Result<(Pattern, Push), Fault> {
    let unknown = Fault::Unknown { payload_len };
    let Some((sender, sequence)) = Pattern::identify(plan.run, begin) else { return Err(unknown) };
    let place = sender.checked_sub(plan.first_sender()).filter(|_| sender != connection);
    let Some(expected) = place.and_then(|place| next.get_mut(place as usize)) else { return Err(unknown) };
    if payload_len != plan.payload.len(plan.run, sender, sequence) {
        return Err(unknown);
    }
    let pattern = Pattern::new(plan.run, sender, sequence);
    let words = begin[..LEAST_PUSH].as_chunks().0;
    let [intended, lag, both] = [1, 2, 3].map(|at| pattern.word(at) ^ u64::from_le_bytes(words[at]));
    if both != intended ^ lag.rotate_left(32) {
        return Err(unknown);
    }
    match sequence {
        _ if sequence == *expected => {}
        _ if sequence < *expected => return Err(Fault::Repeated { sequence }),
        _ => return Err(Fault::Early { sequence }),
    }
    *expected += 1;
    Ok((pattern, Push { sender, sequence, intended, sent: intended.wrapping_add(lag) }))
}

/// What a frame is that is not the one that should come. `begin` is its payload, or what has come of it.
#[cold]
fn explain(plan: &Plan, (connection, received, begun): Place, (len, position): (usize, usize), begin: &[u8]) -> Fault {
    if let Some((other, sequence)) = Pattern::identify(plan.run, begin)
        && (other as usize) < plan.connections
        && plan.payload.len(plan.run, other, sequence) == len
        && Pattern::new(plan.run, other, sequence).difference(0, begin).is_none()
    {
        match other == connection {
            true if sequence < received => return Fault::Repeated { sequence },
            true if sequence > received && sequence < begun => return Fault::Early { sequence },
            true => {}
            false => return Fault::Foreign { connection: other, sequence },
        }
    }
    let sent = plan.payload.len(plan.run, connection, received);
    match Pattern::new(plan.run, connection, received).difference(position, begin) {
        Some(difference) if len == sent => Fault::Altered { part: "payload", difference },
        _ => Fault::Length { sent, came: len },
    }
}

/// What a frame is that comes where nothing was asked.
#[cold]
fn surplus(plan: &Plan, place: Place, payload: &[u8]) -> Fault {
    if plan.reply == Reply::Echo
        && let fault @ (Fault::Repeated { .. } | Fault::Foreign { .. }) =
            explain(plan, place, (payload.len(), 0), payload)
    {
        return fault;
    }
    let text = String::from_utf8_lossy(&payload[..payload.len().min(4 * SHOWN)]);
    Fault::Surplus { payload_len: payload.len(), text: text.chars().take(SHOWN).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framing::{Encoder, Envelope, Layout};
    use crate::load::plan::Target;
    use crate::load::sizes::Sizes;

    fn plan(payload: &str) -> Plan {
        let mut plan = Plan::new(Target::Unix("/nowhere".into()));
        plan.payload = payload.parse::<Sizes>().expect("sizes");
        plan.connections = 3;
        plan
    }

    /// A frame as it is sent.
    fn frame(plan: &Plan, connection: u64, sequence: u64) -> Vec<u8> {
        let pattern = Pattern::new(plan.run, connection, sequence);
        let [mut prefix, mut payload, mut trailer] = [const { Vec::new() }; 3];
        pattern.append(0, plan.payload.len(plan.run, connection, sequence), &mut payload);
        pattern.append_prefix(plan.format.layout().offset.into(), &mut prefix);
        pattern.append_trailer(plan.format.layout().trailer.into(), &mut trailer);
        let mut wire = Vec::new();
        let envelope = Envelope { prefix: &prefix, trailer: &trailer };
        Encoder::new(plan.format).encode_with(envelope, &payload, &mut wire).expect("it fits");
        wire
    }

    /// Hands over these bytes in pieces of `cut` bytes; how many frames are right, or the fault, and how many were
    /// before it.
    fn take(check: &mut Check, plan: &Plan, bytes: &[u8], cut: usize, begun: u64) -> Result<u64, (Fault, u64)> {
        let mut memory = vec![0; PIECE_LEN];
        for piece in bytes.chunks(cut) {
            check.lend(memory);
            let mut left = piece;
            while !left.is_empty() {
                let space = check.space();
                let len = space.len().min(left.len());
                space[..len].copy_from_slice(&left[..len]);
                left = &left[len..];
                check.filled(len, plan, begun, |_| ()).map_err(|fault| (fault, check.received()))?;
            }
            memory = check.take_back();
            memory.resize(PIECE_LEN, 0);
        }
        Ok(check.received())
    }

    #[test]
    fn what_was_sent_is_right_however_it_is_cut() {
        let sized = Format::new("offset=3,width=4,trailer=2".parse::<Layout>().expect("a layout"), 1 << 20);
        for format in [Format::U32_LE, sized.expect("a format")] {
            for sizes in ["0", "1", "64", "uniform:0..300", "20000", "list:64=0.5,100000=0.5"] {
                let plan = Plan { format, ..plan(sizes) };
                let wire: Vec<u8> = (0..20).flat_map(|sequence| frame(&plan, 1, sequence)).collect();
                for cut in [1, 7, 4096, PIECE_LEN] {
                    let mut check = Check::new(&plan, 1);
                    let took = take(&mut check, &plan, &wire, cut, 20);
                    assert!(matches!(took, Ok(20)), "{sizes} cut at {cut}: {took:?}");
                    assert!(check.finish().is_ok());
                }
            }
        }
    }

    #[test]
    fn any_flipped_bit_is_seen_at_the_frame_that_has_it() {
        for sizes in ["1", "64", "9000"] {
            let plan = plan(sizes);
            let wire: Vec<u8> = (0..5).flat_map(|sequence| frame(&plan, 0, sequence)).collect();
            let frame_len = wire.len() / 5;
            for at in (0..wire.len()).step_by(wire.len() / 60 + 1) {
                let mut altered = wire.clone();
                altered[at] ^= 1 << (at % 8);
                let took = take(&mut Check::new(&plan, 0), &plan, &altered, 1000, 5);
                // A length that grew may still wait for its bytes.
                match took {
                    Err((fault, right)) => assert_eq!(right as usize, at / frame_len, "{fault}"),
                    Ok(right) => assert!(right < 5 && at % frame_len < 4, "byte {at} of {sizes}: {right} are right"),
                }
            }
        }
    }

    #[test]
    fn each_lie_has_its_name() {
        let plan = plan("64");
        let wire = |frames: &[(u64, u64)]| frames.iter().flat_map(|(c, s)| frame(&plan, *c, *s)).collect::<Vec<u8>>();
        let fault = |frames: &[(u64, u64)]| {
            let took = take(&mut Check::new(&plan, 0), &plan, &wire(frames), 100, 3);
            took.expect_err("it is wrong")
        };
        assert!(matches!(fault(&[(0, 1), (0, 0)]), (Fault::Early { sequence: 1 }, 0)), "a swapped pair");
        assert!(matches!(fault(&[(0, 0), (0, 2)]), (Fault::Early { sequence: 2 }, 1)), "a lost frame");
        assert!(matches!(fault(&[(0, 0), (0, 0)]), (Fault::Repeated { sequence: 0 }, 1)), "a doubled frame");
        assert!(matches!(fault(&[(2, 9)]), (Fault::Foreign { connection: 2, sequence: 9 }, 0)), "another's frame");
        assert!(matches!(fault(&[(0, 0), (0, 1), (0, 2), (0, 3)]), (Fault::Surplus { payload_len: 64, .. }, 3)));
        let mut other = Vec::new();
        Encoder::new(plan.format).encode(b"x", &mut other).expect("it fits");
        let took = take(&mut Check::new(&plan, 0), &plan, &other, 100, 3);
        assert!(matches!(took, Err((Fault::Length { sent: 64, came: 1 }, 0))), "{took:?}");
        let mut check = Check::new(&plan, 0);
        assert!(matches!(take(&mut check, &plan, &wire(&[(0, 0)])[..67], 100, 3), Ok(0)));
        assert!(matches!(check.finish(), Err(Fault::Malformed(_))), "a cut frame");
    }

    #[test]
    fn replies_of_any_bytes_are_counted_where_that_is_asked_and_refused_where_none_is() {
        let mut wire = Vec::new();
        for payload in [&b"a"[..], b"", &[7; 30_000]] {
            Encoder::new(Format::U32_LE).encode(payload, &mut wire).expect("it fits");
        }
        let count = Plan { reply: Reply::Count, ..plan("64") };
        assert!(matches!(take(&mut Check::new(&count, 0), &count, &wire, 1000, 3), Ok(3)));
        assert!(matches!(take(&mut Check::new(&count, 0), &count, &wire, 1000, 2), Err((Fault::Surplus { .. }, 2))));
        let none = Plan { reply: Reply::None, ..count };
        assert!(matches!(take(&mut Check::new(&none, 0), &none, &wire, 1000, 3), Err((Fault::Surplus { .. }, 0))));
    }

    #[test]
    fn greetings_are_passed_over() {
        let plan = Plan { greeting: Greeting::Frame, ..plan("64") };
        for greeting_len in [5, 20_000] {
            let mut wire = Vec::new();
            Encoder::new(plan.format).encode(&vec![b'x'; greeting_len], &mut wire).expect("it fits");
            let mut check = Check::new(&plan, 0);
            assert!(!check.is_greeted());
            wire.extend(frame(&plan, 0, 0));
            assert!(matches!(take(&mut check, &plan, &wire, 999, 1), Ok(1)));
            assert!(check.is_greeted());
        }
        let plan = Plan { greeting: Greeting::Raw(7), ..plan };
        let mut check = Check::new(&plan, 0);
        check.take_raw_greeting(3);
        assert_eq!((check.raw_greeting(), check.is_greeted()), (4, false));
        check.take_raw_greeting(4);
        assert_eq!((check.raw_greeting(), check.is_greeted()), (0, true));
    }

    /// A push as its sender makes it.
    fn push(plan: &Plan, connection: u64, sequence: u64, times: Push) -> Vec<u8> {
        let mut wire = frame(plan, connection, sequence);
        stamp(&mut wire[4..], times);
        wire
    }

    #[test]
    fn pushes_of_all_others_say_their_times_and_keep_their_order() {
        for sizes in ["32", "uniform:32..200", "20000"] {
            let plan = Plan { reply: Reply::Push, ..plan(sizes) };
            let times = |sender, n: u64| Push { sender, sequence: n, intended: 1000 * n, sent: 1000 * n + 7 };
            let order = [(0, 0), (2, 0), (2, 1), (0, 1), (0, 2)];
            let frames =
                order.map(|(connection, sequence)| push(&plan, connection, sequence, times(connection, sequence)));
            let wire = frames.concat();
            for cut in [1, 50, PIECE_LEN] {
                let (mut check, mut came) = (Check::new(&plan, 1), Vec::new());
                check.lend(Vec::new());
                for piece in wire.chunks(cut) {
                    check.space()[..piece.len()].copy_from_slice(piece);
                    check.filled(piece.len(), &plan, 0, |push| came.push(push)).expect("all is right");
                }
                assert_eq!(came, order.map(|(sender, sequence)| times(sender, sequence)), "{sizes} cut at {cut}");
            }
        }
    }

    #[test]
    fn a_push_that_is_altered_lost_doubled_or_our_own_is_told() {
        let plan = Plan { reply: Reply::Push, ..plan("40") };
        let times = Push { sender: 0, sequence: 0, intended: 5, sent: 6 };
        let take = |wire: &[u8]| take(&mut Check::new(&plan, 1), &plan, wire, 999, 0);
        assert!(matches!(take(&push(&plan, 1, 0, times)), Err((Fault::Unknown { payload_len: 40 }, 0))), "our own");
        let twice = [push(&plan, 0, 0, times), push(&plan, 0, 0, times)].concat();
        assert!(matches!(take(&twice), Err((Fault::Repeated { sequence: 0 }, 1))));
        let lost = [push(&plan, 0, 0, times), push(&plan, 0, 2, times)].concat();
        assert!(matches!(take(&lost), Err((Fault::Early { sequence: 2 }, 1))));
        for at in 4..44 {
            let mut wire = push(&plan, 0, 0, times);
            wire[at] ^= 0x20;
            assert!(take(&wire).is_err(), "byte {at}");
        }
    }
}
