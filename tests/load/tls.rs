//! A load over TLS: of a server of ours, and of those that lie.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use unstick::load::{self, Greeting, Outcome, Pacing, Plan, RunError, Sizes, Tls, Verdict, Wish};
use unstick::{Server, ServerConfig};

use super::certificates::{Authority, trusting};
use super::liar::{AT, Lie, liar_over_tls};
use super::lies::WAYS;
use super::shapes::{is_verified, serve_echo};
use super::{plan, run, said};

/// Frames of each of the four connections.
const FRAMES: u64 = 200;

fn echo_server(authority: &Authority, config: ServerConfig) -> SocketAddr {
    let server = Server::bind("127.0.0.1:0", config).unwrap();
    serve_echo(server.tls(Arc::new(authority.server().serving())))
}

fn tls_plan(authority: &Authority, addr: SocketAddr, frames: u64) -> Plan {
    let name = "localhost".try_into().unwrap();
    Plan { tls: Some(Tls::new(Arc::new(trusting(authority, None)), name)), ..plan(addr, frames) }
}

#[test]
fn an_honest_server_is_verified_over_tls() {
    let authority = Authority::new("an authority");
    for (way, prepare) in WAYS {
        let mut plan = tls_plan(&authority, echo_server(&authority, ServerConfig::default()), 4 * FRAMES);
        prepare(&mut plan);
        let outcome = is_verified(&plan);
        assert_eq!((outcome.frames_verified, outcome.connections_kept), (4 * FRAMES, 4), "{way}");
        assert!(outcome.over_tls && said(&outcome).contains(", over TLS"), "{}", said(&outcome));
    }
}

/// Far more than a socket takes at once, in records that are longer than what is read.
#[test]
fn any_length_of_payload_comes_back_over_tls() {
    let authority = Authority::new("an authority");
    for sizes in ["0", "1", "16384", "131068", "131073", "1MiB", "uniform:0..20000", "list:64=0.9,300KiB=0.1"] {
        let mut plan = tls_plan(&authority, echo_server(&authority, ServerConfig::default()), 40);
        plan.payload = sizes.parse::<Sizes>().unwrap();
        plan.in_flight = Some(8);
        assert_eq!(is_verified(&plan).frames_verified, 40, "{sizes}");
    }
}

#[test]
fn greetings_are_awaited_over_tls() {
    let authority = Authority::new("an authority");
    let greetings = [
        (unstick::Greeting::Frame("hello".into()), Greeting::Frame),
        (unstick::Greeting::Raw(vec![b'x'; 300]), Greeting::Raw(300)),
    ];
    for (greets, greeting) in greetings {
        let addr = echo_server(&authority, ServerConfig::default().greeting(greets));
        is_verified(&Plan { greeting, ..tls_plan(&authority, addr, 100) });
    }
}

#[test]
fn chaos_over_tls_is_no_fault() {
    let authority = Authority::new("an authority");
    let addr = echo_server(&authority, ServerConfig::default());
    let mut plan = tls_plan(&authority, addr, 0);
    (plan.frames, plan.connections, plan.duration) = (None, 12, Duration::from_secs(1));
    plan.pacing = Pacing::Open { rate: 4800.0, poisson: false };
    plan.threads = 2;
    (plan.chaos.reset, plan.chaos.half_close, plan.chaos.slow_readers) = (3, 3, 2);
    let outcome = run(&plan);
    assert_eq!(outcome.fault_count, 0, "{}", said(&outcome));
    assert_eq!((outcome.ended_by_reset, outcome.ended_by_half_close, outcome.ended_as_slow_readers), (3, 3, 2));
}

fn lied_to(lie: Lie) -> Outcome {
    let authority = Authority::new("an authority");
    run(&tls_plan(&authority, liar_over_tls(lie, authority.server().serving()), 4 * FRAMES))
}

#[test]
fn each_lie_is_caught_over_tls() {
    let honest = lied_to(Lie::None);
    assert_eq!((honest.verdict, honest.frames_verified), (Verdict::Verified, 4 * FRAMES), "{}", said(&honest));
    for (lie, kind, sequence) in [
        (Lie::FlippedBit, "altered", AT),
        (Lie::SwappedPair, "lost or overtaken", AT),
        (Lie::Lost, "lost or overtaken", AT),
        (Lie::Doubled, "repeated", AT + 1),
        (Lie::Cut, "malformed", AT),
        (Lie::Surplus, "surplus", FRAMES),
    ] {
        let outcome = lied_to(lie);
        assert_eq!((outcome.verdict, outcome.fault_count), (Verdict::Wrong, 4), "{lie:?}: {}", said(&outcome));
        assert_eq!(outcome.frames_verified, 4 * sequence, "{lie:?}: {}", said(&outcome));
        for fault in &outcome.faults {
            assert_eq!((&*fault.kind, fault.sequence), (kind, sequence), "{lie:?}: {}", fault.text);
        }
    }
    let outcome = lied_to(Lie::Reset);
    assert_eq!((outcome.verdict, outcome.fault_count), (Verdict::Wrong, 4), "{}", said(&outcome));
}

/// Without TLS's own end, anyone on the way may have ended the stream.
#[test]
fn an_end_without_close_notify_is_told_as_that() {
    let outcome = lied_to(Lie::NoNotify);
    assert_eq!((outcome.verdict, outcome.connections_held), (Verdict::Wrong, 4), "{}", said(&outcome));
    assert_eq!((outcome.fault_count, outcome.frames_verified), (4, 4 * FRAMES), "{}", said(&outcome));
    assert_eq!((outcome.frames_wrong, outcome.frames_lost, outcome.errors()), (0, 0, 4), "{}", said(&outcome));
    for fault in &outcome.faults {
        let text = "all is answered, but the server ended its stream without TLS's close_notify";
        assert_eq!((&*fault.kind, &*fault.text), ("cut off", text));
    }
}

#[test]
fn a_handshake_that_fails_says_why() {
    let (authority, other) = (Authority::new("an authority"), Authority::new("another one"));
    let unknown = tls_plan(&authority, echo_server(&other, ServerConfig::default()), 40);
    let greets = ServerConfig::default().greeting(unstick::Greeting::Raw(b"hello".to_vec()));
    let no_tls = serve_echo(Server::bind("127.0.0.1:0", greets).unwrap());
    let no_tls = tls_plan(&authority, no_tls, 40);
    for (plan, why) in
        [(unknown, "UnknownIssuer"), (no_tls, "the peer does not speak TLS: its first bytes are 68 65 6c 6c 6f")]
    {
        let Err(error) = load::run(&plan, &mut |_| Wish::GoOn) else { panic!("{why}: no error") };
        assert!(matches!(error, RunError::NotConnected { asked: 4, .. }), "{error:?}");
        let causes = std::iter::successors(Some(&error as &dyn Error), |&error| error.source());
        assert!(causes.map(ToString::to_string).any(|cause| cause.contains(why)), "{error:?}");
    }
}
