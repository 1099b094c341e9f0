//! The load engine against servers over real sockets: honest ones, and one for each lie.

// Helpers outside of test functions are tests, too.
#![allow(clippy::unwrap_used)]

#[path = "../support/certificates.rs"]
mod certificates;
mod liar;
mod lies;
mod measured;
mod page;
mod shapes;
mod shards;
mod tls;

use std::net::SocketAddr;
use std::time::Duration;

use unstick::load::{self, Outcome, Plan, Target, Wish};

/// A plan that so many frames end, and not the time.
fn plan(addr: SocketAddr, frames: u64) -> Plan {
    let mut plan = Plan::new(Target::Tcp(vec![addr]));
    plan.connections = 4;
    plan.in_flight = Some(8);
    plan.frames = Some(frames);
    plan.duration = Duration::from_secs(60);
    plan.drain = Duration::from_secs(60);
    // What the machine does beside is not tested here.
    plan.greatest_lag = Duration::from_secs(60);
    plan
}

fn run(plan: &Plan) -> Outcome {
    let outcome = load::run(plan, &mut |_| Wish::GoOn).unwrap();
    // Whatever happened, each frame that was sent is accounted for: `ShardFile::read` refuses it otherwise.
    if plan.shard.is_some() {
        load::ShardFile::read("outcome", load::json(&outcome).as_bytes()).unwrap();
    } else if plan.reply == load::Reply::Echo && outcome.fault_count == 0 {
        assert_eq!(outcome.frames_sent, outcome.frames_verified + outcome.frames_in_flight, "{outcome:?}");
    }
    outcome
}

/// What is said of it, in one text.
fn said(outcome: &Outcome) -> String {
    load::text(outcome)
}
