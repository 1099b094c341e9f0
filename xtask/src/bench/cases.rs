//! Which servers do what under which load.

use std::time::Duration;

use unstick::load::{Plan, Reply};

use super::drive::{Entrant, contest, plan};
use super::figures::Figures;
use super::goals::OURS;
use super::peers::{Kind, Service, Setup};
use super::shared::bytes;
use super::{Group, Pace};
use crate::child;
use crate::evidence::Done;

/// Connections, frames in flight on each, payload.
type Shape = (usize, u32, usize);

const SMALL: Shape = (50, 64, 64);
const KIB: Shape = (50, 16, 1 << 10);
const LARGE: Shape = (10, 4, 64 << 10);
const LARGEST: Shape = (2, 2, 1 << 20);

/// Echoes, payloads of a server's own, echoes over TLS, and handlers that wait for 10 ms.
const ECHOES: [(Group, Service, &[Shape]); 4] = [
    (Group::Serve, Service::ECHO, &[SMALL, (50, 1, 64), KIB, LARGE, LARGEST, (1, 1, 64), (1000, 4, 64)]),
    (Group::Own, Service::Own, &[SMALL, KIB, LARGE, LARGEST]),
    (Group::Tls, Service::Sealed, &[KIB, LARGE]),
    (Group::Waiting, Service::Wait(Duration::from_millis(10)), &[(1000, 1, 64)]),
];
/// tokio's habits to flush.
const TOKIO: [Kind; 3] = [Kind::TokioSend, Kind::TokioFeed, Kind::TokioWide];

/// Senders, connections, payload, and how many frames of a sender not every other connection has, at most: each sender's frames
/// go to every other connection.
const PUSHES: [(usize, usize, usize, u32); 4] =
    [(1, 1001, 64, 64), (1, 1001, 64, 1), (1, 1001, 16 << 10, 8), (100, 100, 256, 16)];

/// Open connections over which the same number of frames in all is in flight.
pub(super) const CONNECTIONS: [usize; 4] = [10, 100, 1000, 10_000];
/// That number, and over which connections: all of the first are drawn.
pub(super) const IN_FLIGHT: [(u32, &[usize]); 2] = [(10, &CONNECTIONS), (100, &[10, 10_000])];

/// How often a handler that works hashes its payload: for long enough that the load, which shares its cores, is not the limit.
const WORK: u32 = 200;
/// Cores that two threads of the load and a server of two threads need.
const CORES: usize = 4;

fn entrant(kind: Kind, service: Service, plan: &Plan, pace: &Pace) -> Entrant {
    Entrant { who: kind.name().into(), setup: Setup::new(kind, service, pace.cores.server()), plan: plan.clone() }
}

/// Runs all shapes of a group.
pub(super) fn echoes(group: Group, pace: &Pace, figures: &mut Figures) {
    for (_, service, shapes) in ECHOES.iter().filter(|(of, ..)| *of == group) {
        for (connections, in_flight, payload_len) in *shapes {
            let plan = plan(*connections, *in_flight, *payload_len);
            let plain = (group == Group::Serve).then_some(Kind::Plain);
            let kinds = [Kind::Ours].into_iter().chain(plain).chain(TOKIO);
            let what = format!("{connections} × {in_flight} × {}", bytes(*payload_len));
            contest(group, &what, kinds.map(|kind| entrant(kind, *service, &plan, pace)).collect(), pace, figures);
        }
    }
}

pub(super) fn push(pace: &Pace, figures: &mut Figures) {
    for (senders, connections, payload_len, ahead) in PUSHES {
        let plan = plan(connections, ahead, payload_len);
        let plan = Plan { reply: Reply::Push, senders: Some(senders), ..plan };
        let service = Service::Push { ahead: senders * ahead as usize };
        let kinds = [Kind::Ours, Kind::TokioQueues].into_iter().chain(TOKIO);
        let receivers = if senders > 1 { connections } else { connections - 1 };
        let what = format!("{senders} → {receivers} × {}, {ahead} ahead", bytes(payload_len));
        contest(Group::Push, &what, kinds.map(|kind| entrant(kind, service, &plan, pace)).collect(), pace, figures);
    }
}

/// CPU a frame as connections grow.
pub(super) fn connections(pace: &Pace, figures: &mut Figures) {
    for (in_flight, counts) in IN_FLIGHT {
        let servers = counts.iter().flat_map(|count| [Kind::Ours, Kind::TokioFeed].map(|kind| (kind, *count)));
        let entrant = |(kind, count): (Kind, usize)| {
            let plan = Plan { in_flight: None, in_flight_in_all: Some(in_flight), ..plan(count, 1, 64) };
            Entrant { who: with_connections(kind, count), ..entrant(kind, Service::ECHO, &plan, pace) }
        };
        let what = format!("{in_flight} in flight in all");
        contest(Group::Connections, &what, servers.map(entrant).collect(), pace, figures);
    }
}

/// A server with so many connections.
pub(super) fn with_connections(kind: Kind, count: usize) -> String {
    format!("{}, {count}", if kind == Kind::Ours { OURS } else { "tokio" })
}

/// A second thread of the server, with a handler that works and with one that does not; load and server share all the cores.
pub(super) fn threads(pace: &Pace, figures: &mut Figures) -> Done<()> {
    child::stay_on(&pace.cores.all)?;
    for (what, hashes) in [("handler that works", WORK), ("plain handler", 0)] {
        let one = Setup::new(Kind::Ours, Service::Echo { hashes }, &pace.cores.all);
        let two = Setup { threads: one.threads.saturating_add(1), ..one.clone() };
        let entrants = [("one thread", one), ("two threads", two)];
        let entrants = entrants.map(|(who, setup)| Entrant { who: who.into(), setup, plan: plan(50, 16, 64) });
        contest(Group::Threads, what, entrants.into(), pace, figures);
    }
    Ok(child::stay_on(pace.cores.load())?)
}

/// The load engine's own speed: every byte verified beside replies that are only counted, and a second thread.
pub(super) fn load(pace: &Pace, figures: &mut Figures) -> Done<()> {
    let (connections, in_flight, payload_len) = SMALL;
    let plan = plan(connections, in_flight, payload_len);
    let with = |who: &str, plan| Entrant { who: who.into(), ..entrant(Kind::Ours, Service::ECHO, &plan, pace) };
    let verified = Plan { reply: Reply::Echo, ..plan.clone() };
    let entrants = vec![with("every byte verified", verified), with("replies counted", plan.clone())];
    contest(Group::Load, &format!("{connections} × {in_flight} × {}", bytes(payload_len)), entrants, pace, figures);
    let all = &pace.cores.all[..];
    if all.len() < CORES {
        eprintln!("skipped: a second thread of the load needs {CORES} cores, and there are {}", all.len());
        return Ok(());
    }
    // To a server that costs as little as can be.
    let (servers, loads) = all.split_at(2);
    child::stay_on(loads)?;
    let setup = Setup::new(Kind::Ours, Service::Nothing, servers);
    let setup = Setup { threads: setup.threads.saturating_add(1), ..setup };
    let entrants = [("one thread", 1), ("two threads", 2)].map(|(who, threads)| {
        let plan = Plan { threads, reply: Reply::None, ..plan.clone() };
        Entrant { who: who.into(), setup: setup.clone(), plan }
    });
    contest(Group::Load, "frames that nothing answers", entrants.into(), pace, figures);
    Ok(child::stay_on(pace.cores.load())?)
}
