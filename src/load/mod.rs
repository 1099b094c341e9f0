//! The load engine: drives a framed server over real sockets, verifies every byte and the order of every frame that
//! comes back, and measures, with a verdict on itself.
//!
//! A [`Plan`] says what to do, [`run`] does it, and an [`Outcome`] is what came of it: as [`text`], or as [`json`].
//! Each thread of the load has its own connections over one readiness loop; payloads are a function of connection,
//! sequence and position, so nothing that was sent is kept. In an open loop, latency counts from when a frame was *to
//! be* sent (no coordinated omission).
//!
//! [`find_knee`] and [`sweep`] carry out a plan at several values and return a [`Curve`]; [`Comparison`] says whether
//! runs differ from earlier ones. [`Results`] are several runs with what they say together.
//!
//! Several processes on any machines make one run, each with a [`Shard`] of the plan; [`merge`] makes one outcome of
//! theirs.
//!
//! Linux only. What the server answers is [`Reply`]; what it is told on purpose is [`Chaos`].
//!
//! ```no_run
//! use std::time::Duration;
//! use unstick::load::{self, Pacing, Plan, Target, Wish};
//!
//! let mut plan = Plan::new(Target::Tcp(vec!["127.0.0.1:4747".parse()?]));
//! plan.pacing = Pacing::Open { rate: 1000.0, poisson: false };
//! plan.duration = Duration::from_secs(10);
//! let outcome = load::run(&plan, &mut |_| Wish::GoOn)?;
//! println!("{}", load::text(&outcome));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod check;
mod compare;
mod connection;
mod control;
mod curve;
mod error;
mod expect;
mod fault;
mod flight;
mod merge;
mod meter;
mod outcome;
mod pace;
mod pattern;
mod plan;
mod poller;
mod process;
mod receipts;
mod recent;
mod report;
mod results;
mod run;
mod search;
mod shards;
mod show;
mod sizes;
mod socket;
mod statistics;
mod sweep;
mod times;
#[cfg(feature = "tls")]
mod tls;
mod transport;
mod whole;
#[cfg(not(feature = "tls"))]
mod without_tls;
mod worker;

#[cfg(feature = "tls")]
use self::tls::Secured;
#[cfg(feature = "tls")]
pub use self::tls::Tls;
#[cfg(not(feature = "tls"))]
use self::without_tls::Secured;
#[cfg(not(feature = "tls"))]
pub use self::without_tls::Tls;
pub use compare::{CompareError, Comparison, Difference, Estimate, Side, same_load};
pub use control::Wish;
pub use curve::{Curve, Point, find_knee, sweep};
pub use error::PlanError;
pub use expect::Expectation;
pub use merge::{Balance, MergeError, ShardFile, merge};
pub use meter::Interval;
pub use outcome::{Fairness, FaultSeen, Origin, Outcome, ServerSample, ServerUse, Verdict};
pub use plan::{Chaos, Greeting, Pacing, Plan, Reply, Target};
pub use recent::Recent;
pub use report::{
    from_json, hlog, html, json, line, results_from_json, results_html, results_json, results_text, text,
};
pub use results::Results;
pub use run::{Progress, RunError, run};
pub use search::Search;
pub use shards::{Merged, Part, Shard};
pub use sizes::Sizes;
pub use sweep::{Sweep, Swept, number};
pub use times::{Geometry, Times};
