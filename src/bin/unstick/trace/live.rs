//! Lessons of TCP, which happen now: `unstick trace --scenario`.

use std::path::PathBuf;

use clap::Args;
use unstick::trace::Capture;
use unstick::trace::live::{self, LiveError, Scenario};

use super::output::Shown;
use crate::exit::{Chain, Failure};
use crate::reactor;

/// What is recorded, and where the packets are kept.
#[derive(Args, Debug)]
pub(crate) struct LiveArgs {
    /// greeting, sticky, split, half-close, four-way, ..., or all
    ///
    /// Record a connection between our own server and client: greeting, sticky,
    /// split, half-close, four-way, reset, window, retransmit, tutorial; or all of
    /// them. Without --pcap the default is tutorial. They run in a network namespace
    /// of their own, for which no root is needed. All have the format u32le.
    #[arg(long, value_name = "NAME", value_parser = parse_scenarios, conflicts_with_all = ["pcap", "format"])]
    #[arg(conflicts_with_all = ["max_payload", "greeting", "port", "stream", "offset"])]
    scenario: Option<Scenarios>,

    /// Write the packets as pcap; - is standard output
    #[arg(long, value_name = "FILE", conflicts_with = "pcap")]
    pub(super) save: Option<PathBuf>,
}

/// A newtype, as clap would take a `Vec` for a list of values.
#[derive(Clone, Debug)]
struct Scenarios(Vec<Scenario>);

fn parse_scenarios(text: &str) -> Result<Scenarios, String> {
    if text == "all" {
        return Ok(Scenarios(Scenario::ALL.to_vec()));
    }
    Scenario::named(text).map(|scenario| Scenarios(vec![scenario])).ok_or_else(|| {
        let names = Scenario::ALL.map(Scenario::name).join(", ");
        format!("no scenario has this name; write one of {names}, or all")
    })
}

impl LiveArgs {
    fn scenarios(&self) -> &[Scenario] {
        self.scenario.as_ref().map_or(&[Scenario::Tutorial], |Scenarios(scenarios)| scenarios)
    }

    /// How many scenarios are asked for.
    pub(super) fn count(&self) -> usize {
        self.scenarios().len()
    }
}

/// Records what is asked for: to be shown, and all packets.
pub(super) fn record(args: &LiveArgs) -> Result<(Vec<Shown>, Capture), Failure> {
    live::enter_namespace().map_err(|error| failure(&error))?;
    // It needs a thread, which the namespace must not see before.
    reactor::begin()?;
    let (mut shown, mut all) = (Vec::new(), Capture::default());
    for &scenario in args.scenarios() {
        let recording = live::record(scenario).map_err(|error| failure(&error))?;
        let (name, title, lesson) = (scenario.name(), scenario.title().to_owned(), scenario.lesson());
        shown.push(Shown { name, title, lesson, trace: recording.trace() });
        all.packets.extend(recording.capture.packets);
    }
    Ok((shown, all))
}

fn failure(error: &LiveError) -> Failure {
    let way_out = match error {
        LiveError::Scenario { .. } | LiveError::Connections { .. } => "",
        _ => "; a capture that you have, as of tcpdump, is shown by --pcap FILE",
    };
    Failure::other(format_args!("{}{way_out}", Chain(error)))
}
