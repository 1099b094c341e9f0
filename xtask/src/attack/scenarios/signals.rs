//! The end of the server, asked for by signal.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use unstick::load::{self, Plan, Sizes, Target, Tls, Wish};

use super::super::server;
use super::*;
use crate::certificate::{Certificate, name};
use crate::socket::Addr;

pub(super) const SIGTERM: Scenario = Scenario {
    name: "sigterm",
    about: "SIGTERM under load: the listener closes, what was received is answered in order, then FIN, exit code 0",
    limits: "",
    beside: Beside::Nobody,
    attack: |scene| {
        let mut plan = Plan::new(match scene.addr() {
            Addr::Tcp(addr) | Addr::Tls(addr) => Target::Tcp(vec![*addr]),
            Addr::Unix(path) => Target::Unix(path.clone()),
        });
        plan.tls = (scene.over() == Over::Tls).then(|| Tls::new(Certificate::own().client(), name()));
        (plan.connections, plan.in_flight, plan.payload) = (16, Some(16), Sizes::Fixed(1000));
        (plan.duration, plan.drain) = (PATIENCE, PATIENCE);
        let span = scene.pace.span;
        let over = AtomicBool::new(false);
        let outcome = thread::scope(|scope| -> Result<_, Box<dyn std::error::Error>> {
            let loading = scope.spawn(|| {
                let mut watch = |_| if over.load(Relaxed) { Wish::Abort } else { Wish::GoOn };
                load::run(&plan, &mut watch).map_err(|error| error.to_string())
            });
            let signalled = scene
                .await_stats("load", |stats| stats.frames_in > 1000)
                .and_then(|_| scene.await_signalled(span))
                .inspect_err(|_| over.store(true, Relaxed));
            let outcome = loading.join().map_err(|_| "the load panicked")??;
            signalled.map(|()| outcome)
        })?;
        let (answered, begun) = (outcome.frames_verified, outcome.frames_sent);
        scene.sent = format!("{begun} frames of 1000 bytes on 16 connections, SIGTERM among them");
        let early = outcome.faults.iter().filter(|fault| fault.kind == "ended early").count();
        scene.check(early == 16 && outcome.fault_count == 16, || {
            let faults: Vec<_> = outcome.faults.iter().map(|fault| fault.text.clone()).collect();
            format!("a stream did not end by FIN between two frames: {faults:?}")
        });
        let stats = scene.await_end()?;
        scene
            .noted
            .push(format!("every byte of {answered} replies verified, in order; {} were in flight", begun - answered));
        scene.check(stats.frames_out == answered && stats.frames_in == stats.frames_out, || {
            let (frames_in, frames_out) = (stats.frames_in, stats.frames_out);
            format!("{frames_in} frames received, {frames_out} answered, {answered} replies came")
        });
        scene.check(stats.bytes_out == answered * 1004, || format!("{} bytes were sent", stats.bytes_out));
        scene.check(stats.closes("stopped") >= 16, || format!("16 connections were stopped: {:?}", stats.closes));
        Ok(())
    },
};

impl Scene {
    /// Loads the server for a while, tells it to end, and waits until it accepts no connections.
    fn await_signalled(&mut self, span: Duration) -> Fallible {
        thread::sleep(span / 2);
        self.look();
        self.host.signal(Signal::TERM)?;
        self.await_refusal()
    }

    fn await_refusal(&mut self) -> Fallible {
        let begin = Instant::now();
        while self.addr().connect(PATIENCE).is_ok() {
            if begin.elapsed() > PATIENCE {
                return Err(format!("the listener is open {PATIENCE:?} after the signal").into());
            }
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }
}

pub(super) const SECOND_SIGNAL: Scenario = Scenario {
    name: "second-signal",
    about: "a second SIGTERM while the drain waits for a handler: exits at once, with 143",
    limits: "--drain-timeout 60",
    beside: Beside::Nobody,
    attack: |scene| {
        scene.sent = "a frame whose handler waits for ever, SIGTERM, and SIGTERM again".into();
        let mut peer = scene.connect()?;
        peer.send(&frame(server::SLEEP))?;
        scene.await_stats("the connection", |stats| stats.active == 1)?;
        scene.host.signal(Signal::TERM)?;
        scene.await_refusal()?;
        let stats = scene.host.stats()?;
        // Those that asked whether the listener is still there may be among them.
        scene.check(stats.active >= 1, || "the drain does not wait for the handler".into());
        let begin = Instant::now();
        scene.host.signal(Signal::TERM)?;
        let status = scene.host.wait()?;
        let took = begin.elapsed();
        scene.check(status.code() == Some(143), || format!("it ended with {status}"));
        scene.check(took < PATIENCE, || format!("it took {took:?}"));
        scene.noted.push(format!("gone {took:.1?} after the second signal"));
        scene.gone(stats);
        Ok(())
    },
};
