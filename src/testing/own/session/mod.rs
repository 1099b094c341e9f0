//! A whole server in memory with some clients, its limits and the clock chosen by the input, checked against the oracle.

mod client;
mod deeds;
mod script;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use futures_lite::FutureExt;

use self::script::{Acts, Ends, Reads, Script, TIMEOUT};
use crate::framing::{DecodeErrorKind, Encoder, Envelope, Format, Frame, Oversize};
use crate::testing::census::Met;
use crate::testing::oracle::{End, Expected};
use crate::testing::simulation::Simulation;
use crate::testing::source::Source;
use crate::{CloseKind, Greeting, Peer, PeerName, Responder, Server, Stats, Traffic};

/// Checks a server whose limits, clients and clock are all made from `data`: each handler gets the frames that the
/// oracle sees, replies and pushes come whole and in order after the greeting, each connection ends for a reason that
/// its client gave, or its limits, and the statistics balance.
///
/// If a client waits for less than every timeout, reads what it gets and ends its stream, and nothing else disturbs, its
/// connection ends as the oracle says, and all that it must get has come.
///
/// # Panics
/// If one of these does not hold.
#[track_caller]
pub fn check_session(data: &[u8]) {
    let script = Rc::new(Script::of(&mut Source::new(data)));
    let Ran { closes, seen, received, stats } = run(&script);
    assert_eq!(closes.len(), script.clients.len(), "each connection ends once: {closes:?}");
    assert_balance(&stats, &closes);
    for (number, closed) in &closes {
        met(closed.kind).count();
        let (expectation, seen) = (Expectation::of(&script, *number), &seen[*number]);
        let (received, has_end) = &received[*number];
        let told = || std::format!("{closed:?} in client {number} of {script:?}");
        assert!(expectation.seen.starts_with(seen), "the handler gets the frames of the stream: {}", told());
        assert_eq!(closed.traffic.frames_in, seen.len() as u64, "each is counted: {}", told());
        assert!(expectation.allows(closed.kind), "the end has a reason, one of {:?}: {}", expectation.ends, told());
        assert!(expectation.written.starts_with(received), "replies are whole and in order: {}", told());
        // Where a stop comes early, pushes fail, and so may their handlers.
        let is_expected = expectation.is_exact && closed.kind == expectation.ends[0];
        let is_late = TIMEOUTS.contains(&closed.kind);
        if script.stops_early() || !(is_expected || is_late) {
            continue;
        }
        // A timeout may come before the last frames.
        if !is_late {
            assert_eq!(seen.len(), expectation.seen.len(), "all frames before the end are handled: {}", told());
        }
        // What is written slowly may not all be written in time.
        if *has_end && (closed.kind == CloseKind::Clean || !expectation.is_slow) {
            let written = expectation.written_after[seen.len()];
            assert_eq!(received.len(), written, "all that was sent comes before the end: {}", told());
            assert_eq!(closed.traffic.bytes_out, written as u64, "what is sent is counted: {}", told());
        }
    }
}

/// The ends of a peer that sends too slowly: it gets all that was sent.
const TIMEOUTS: [CloseKind; 3] = [CloseKind::Silent, CloseKind::SlowFrame, CloseKind::Idle];

/// How a connection ended.
#[derive(Debug)]
struct Ended {
    kind: CloseKind,
    /// Read with `Debug` if a check fails.
    #[expect(dead_code, reason = "for who reads a failure")]
    text: String,
    traffic: Traffic,
}

/// What a server did.
struct Ran {
    closes: BTreeMap<usize, Ended>,
    /// The payloads that each handler got.
    seen: Vec<Vec<Vec<u8>>>,
    /// What each client received, and whether its stream had an end.
    received: Vec<(Vec<u8>, bool)>,
    stats: Stats,
}

#[track_caller]
fn run(script: &Rc<Script>) -> Ran {
    let simulation = Rc::new(Simulation::new());
    let (listener, network) = Simulation::network(script.capacity);
    let closes = Arc::new(Mutex::new(BTreeMap::new()));
    let server = Server::with_listener(listener, script.config.clone()).expect("a configuration to serve with");
    let server = server.on_close({
        let closes = Arc::clone(&closes);
        move |closed| {
            let ended = Ended { kind: closed.reason.kind(), text: closed.to_string(), traffic: closed.traffic };
            let before = closes.lock().expect("no panic").insert(number(&closed.peer), ended);
            assert!(before.is_none(), "a connection ends once");
        }
    });
    let seen = Rc::new(RefCell::new(vec![Vec::new(); script.clients.len()]));
    let clients: Vec<_> = (0..script.clients.len())
        .map(|number| {
            let (simulation, script) = (Rc::clone(&simulation), Rc::clone(script));
            let stream = network.connect(&number.to_string());
            let clock = Rc::clone(&simulation);
            simulation.spawn(async move { client::run(clock, stream, &script.clients[number]).await })
        })
        .collect();
    let new_handler = {
        let (simulation, seen, format) = (Rc::clone(&simulation), Rc::clone(&seen), script.config.format);
        move |peer: Peer| {
            let (simulation, seen) = (Rc::clone(&simulation), Rc::clone(&seen));
            async move |frame: Frame<'_>, responder: &mut Responder| {
                seen.borrow_mut()[number(peer.name())].push(frame.payload().to_vec());
                deeds::handle(&simulation, &peer, &format, frame, responder).await
            }
        }
    };
    let (last, ended) = smol::channel::bounded::<()>(1);
    let early = script.stop.map(|after| simulation.sleep(after));
    let stop = async move {
        let ended = async { _ = ended.recv().await };
        match early {
            Some(early) => early.or(ended).await,
            None => ended.await,
        }
    };
    let serving = simulation.spawn(simulation.serve(server, new_handler, stop));
    let received = simulation.run(async {
        let mut received = Vec::new();
        for client in clients {
            received.push(client.await);
        }
        received
    });
    drop(last);
    let stats = simulation.run(serving);
    let closes = std::mem::take(&mut *closes.lock().expect("no panic"));
    Ran { closes, seen: seen.take(), received, stats }
}

/// A client's number, which is its name.
fn number(peer: &PeerName) -> usize {
    peer.to_string().parse().expect("a client's name is its number")
}

#[track_caller]
fn assert_balance(stats: &Stats, closes: &BTreeMap<usize, Ended>) {
    assert_eq!((stats.accepted, stats.closed()), (closes.len() as u64, closes.len() as u64), "each is counted once");
    assert_eq!((stats.active, stats.buffered, stats.accept_failures), (0, 0, 0), "all is given back");
    let mut sum = Traffic::default();
    for closed in closes.values() {
        sum.frames_in += closed.traffic.frames_in;
        sum.bytes_in += closed.traffic.bytes_in;
        sum.frames_out += closed.traffic.frames_out;
        sum.bytes_out += closed.traffic.bytes_out;
    }
    assert_eq!(stats.traffic, sum, "the traffic of all is that of each");
    for kind in CloseKind::ALL {
        let ended = closes.values().filter(|closed| closed.kind == *kind).count();
        assert_eq!(stats.closes(*kind), ended as u64, "{kind} is counted");
    }
}

/// What a connection must be like, by the oracle.
#[derive(Debug)]
struct Expectation {
    /// The payloads that its handler gets, if nothing ends it before.
    seen: Vec<Vec<u8>>,
    /// What its client gets then.
    written: Vec<u8>,
    /// The length of that after so many frames.
    written_after: Vec<usize>,
    /// Whether the server cannot write all that at once.
    is_slow: bool,
    /// Whether the first of its ends is how it ends if nothing ends it before.
    is_exact: bool,
    /// How it may end.
    ends: Vec<CloseKind>,
}

impl Expectation {
    fn of(script: &Script, number: usize) -> Expectation {
        let (config, acts) = (&script.config, &script.clients[number]);
        let is_slow = |written: &[u8]| acts.reads != Reads::Greedily && written.len() > script.capacity;
        if config.max_connections.is_some_and(|most| number >= most) {
            let written = greeted(&config.format, &config.refusal);
            let (written_after, mut ends) = (vec![written.len()], vec![CloseKind::Refused]);
            ends.extend(script.stop.map(|_| CloseKind::Stopped));
            let is_slow = is_slow(&written);
            return Expectation { seen: Vec::new(), written, written_after, is_slow, is_exact: true, ends };
        }
        let written = greeted(&config.format, &config.greeting);
        let written_after = vec![written.len()];
        let mut expectation =
            Expectation { seen: Vec::new(), written, written_after, is_slow: false, is_exact: true, ends: Vec::new() };
        let ends = expectation.read(script, &acts.stream);
        expectation.is_slow = is_slow(&expectation.written);
        expectation.is_exact = ends.len() == 1;
        expectation.ends = ends.iter().flat_map(|end| expectation.ends(script, acts, *end)).collect();
        expectation
    }

    /// Takes the frames of the stream up to its end, or to one whose deed ends the connection. Returns how it may end
    /// then. After a stop, an outbox ends nothing: so the frames behind such a deed may be handled, too.
    fn read(&mut self, script: &Script, stream: &[u8]) -> Vec<CloseKind> {
        let format = &script.config.format;
        let expected = Expected::of(format, Oversize::Reject, stream);
        let mut ends = Vec::new();
        for frame in expected.yielded() {
            let (payload, end) = (frame.payload(stream), frame.end() as usize);
            let prefix = &stream[frame.start..frame.start + frame.prefix_len];
            let trailer = &stream[end - frame.trailer_len..end];
            deeds::written(format, Envelope { prefix, trailer }, payload, &mut self.written);
            self.seen.push(payload.to_vec());
            self.written_after.push(self.written.len());
            let Some(end) = deeds::end(payload) else { continue };
            ends.push(end);
            if script.stop.is_none() || !matches!(end, CloseKind::Ended | CloseKind::Overflow) {
                return ends;
            }
        }
        ends.push(match expected.end {
            End::Clean => CloseKind::Clean,
            End::Truncated { .. } => CloseKind::Truncated,
            End::Refused { kind: DecodeErrorKind::Oversize { .. }, .. } => CloseKind::Oversize,
            End::Refused { .. } => CloseKind::Malformed,
        });
        ends
    }

    /// How a connection may end whose stream ends like this.
    fn ends(&self, script: &Script, acts: &Acts, end: CloseKind) -> Vec<CloseKind> {
        let mut ends = vec![end];
        let is_stuck = self.is_slow && acts.reads == Reads::Late;
        // Others may take the memory that it needs.
        let is_tight = script.config.memory_budget.is_some() && script.clients.len() > 1;
        match (acts.ends, end) {
            (Ends::Reset, _) => ends.push(CloseKind::Reset),
            // It ends neither its stream nor a frame that it began.
            (Ends::Stays, CloseKind::Clean) if self.seen.is_empty() => ends = vec![CloseKind::Silent],
            (Ends::Stays, CloseKind::Clean) if script.config.idle_timeout.is_some() => ends = vec![CloseKind::Idle],
            (Ends::Stays, CloseKind::Clean) => ends = vec![CloseKind::Stopped],
            (Ends::Stays, CloseKind::Truncated) if self.seen.is_empty() => {
                ends = vec![CloseKind::SlowFrame, CloseKind::Silent];
            }
            (Ends::Stays, CloseKind::Truncated) => ends = vec![CloseKind::SlowFrame],
            _ => {}
        }
        // Or the replies that its client has not read.
        let waits_for_memory = is_tight || script.config.memory_budget.is_some() && self.is_slow;
        if acts.waited() >= TIMEOUT || is_stuck || waits_for_memory {
            ends.extend(TIMEOUTS);
        }
        ends.extend(is_stuck.then_some(CloseKind::SlowReader));
        ends.extend(is_tight.then_some(CloseKind::OverBudget));
        if script.stop.is_some() {
            // A push after a stop fails, and so does its handler.
            ends.extend([CloseKind::Stopped, CloseKind::Handler]);
        }
        ends
    }

    fn allows(&self, kind: CloseKind) -> bool {
        self.ends.contains(&kind)
    }
}

/// What a greeting is on the wire.
fn greeted(format: &Format, greeting: &Greeting) -> Vec<u8> {
    let mut written = Vec::new();
    match greeting {
        Greeting::None => {}
        Greeting::Raw(bytes) => written.extend_from_slice(bytes),
        Greeting::Frame(payload) => {
            let zeros = format.layout().zeros();
            Encoder::new(*format)
                .encode_with(zeros, payload, &mut written)
                .expect("a greeting that the format can say");
        }
    }
    written
}

/// An end, for the census.
fn met(kind: CloseKind) -> Met {
    match kind {
        CloseKind::Clean => Met::CloseClean,
        CloseKind::Truncated => Met::CloseTruncated,
        CloseKind::Reset => Met::CloseReset,
        CloseKind::Oversize => Met::CloseOversize,
        CloseKind::Malformed => Met::CloseMalformed,
        CloseKind::Handler => Met::CloseHandler,
        CloseKind::Panic => Met::ClosePanic,
        CloseKind::Stopped => Met::CloseStopped,
        CloseKind::Refused => Met::CloseRefused,
        CloseKind::Silent => Met::CloseSilent,
        CloseKind::Idle => Met::CloseIdle,
        CloseKind::SlowFrame => Met::CloseSlowFrame,
        CloseKind::SlowReader => Met::CloseSlowReader,
        CloseKind::Overflow => Met::CloseOverflow,
        CloseKind::OverBudget => Met::CloseOverBudget,
        CloseKind::Ended => Met::CloseEnded,
        // A simulation has no sockets and no TLS.
        kind => panic!("no session ends as {kind}"),
    }
}
