//! The limits of `unstick serve`: a flag for each of them.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use clap::Args;
use unstick::ServerConfig;
use unstick::framing::{Format, Header};

use crate::args::{parse_length, parse_time};
use crate::exit::{Failure, log};

/// Connections at a time with --raw, which is for watching TCP, not for serving many clients.
const RAW_CONNECTIONS: usize = 512;

/// A limit that can be switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct OrOff<T>(Option<T>);

/// What a peer, and all peers together, may cost. Times are in seconds, which may have a fraction, or with a unit.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Limits (in parentheses: why `closed` says that a connection ended)")]
pub(crate) struct Limits {
    /// The most connections served at a time; one more is told so and closed
    /// (refused) [default: what the limit of open files allows; with --raw 512]
    #[arg(long, value_name = "N", value_parser = parse_count, hide_short_help = true)]
    max_connections: Option<NonZeroUsize>,

    /// Memory that all connections share, at least four times --max-payload.
    /// When it is used up, connections wait for it, and one that holds more
    /// than its fair share is closed (over budget) [default: 256MiB, or eight
    /// times --max-payload; at most a quarter of the memory, or an eighth of
    /// the address space, that the process may use]
    #[arg(long, value_name = "LENGTH", value_parser = parse_amount, conflicts_with = "raw", hide_short_help = true)]
    memory: Option<NonZeroUsize>,

    /// The longest time from connecting to the end of the first frame (silent);
    /// off with --broadcast
    #[arg(long, value_name = "SECONDS|off", default_value = "60", value_parser = parse_timeout, conflicts_with = "raw")]
    #[arg(default_value_if("broadcast", "true", "off"), hide_short_help = true)]
    first_frame_timeout: OrOff<Duration>,

    /// The longest time from the first byte of a frame to its last one, extended
    /// by --min-rate (slow frame)
    #[arg(long, value_name = "SECONDS|off", default_value = "10", value_parser = parse_timeout, conflicts_with = "raw")]
    #[arg(hide_short_help = true)]
    frame_timeout: OrOff<Duration>,

    /// Extend --frame-timeout by 1 s each time this many bytes of the frame
    /// arrive
    #[arg(long, value_name = "LENGTH|off", default_value = "64KiB", value_parser = parse_rate, conflicts_with = "raw")]
    #[arg(hide_short_help = true)]
    min_rate: OrOff<NonZeroU32>,

    /// The longest time without traffic between two frames (idle)
    #[arg(long, value_name = "SECONDS|off", default_value = "off", value_parser = parse_timeout)]
    #[arg(hide_short_help = true)]
    idle_timeout: OrOff<Duration>,

    /// The longest time in which the peer reads nothing while bytes are queued
    /// for it (slow reader)
    #[arg(long, value_name = "SECONDS|off", default_value = "10", value_parser = parse_timeout)]
    #[arg(hide_short_help = true)]
    write_timeout: OrOff<Duration>,

    /// Over TCP: probe the peer's system after this time without traffic; close
    /// after three unanswered probes, 10 s apart (unreachable)
    #[arg(long, value_name = "SECONDS|off", default_value = "60", value_parser = parse_keepalive)]
    #[arg(hide_short_help = true)]
    keepalive: OrOff<Duration>,

    /// Stop reading from a connection while this many reply bytes are unsent
    #[arg(long, value_name = "LENGTH", default_value = "64KiB", value_parser = parse_small_amount, conflicts_with = "raw")]
    #[arg(hide_short_help = true)]
    high_water: NonZeroU32,

    /// With --broadcast: the most bytes queued for a client that reads too
    /// slowly (overflow)
    #[arg(long, value_name = "LENGTH", default_value = "256KiB", value_parser = parse_amount, conflicts_with = "raw")]
    #[arg(hide_short_help = true)]
    outbox_limit: NonZeroUsize,

    /// The most frames of one connection handled in a row, before others are
    /// served
    #[arg(long, value_name = "N", default_value = "1024", value_parser = parse_small_count, conflicts_with = "raw")]
    #[arg(hide_short_help = true)]
    max_frames_per_turn: NonZeroU32,

    /// The longest time for a TLS handshake (handshake)
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = parse_some_time, conflicts_with = "raw")]
    #[arg(hide_short_help = true)]
    handshake_timeout: Duration,

    /// The most TLS handshakes at a time. While others wait, a handshake may take
    /// 1 s (handshake)
    #[arg(long, value_name = "N", default_value = "256", value_parser = parse_small_count, conflicts_with = "raw")]
    #[arg(hide_short_help = true)]
    max_handshakes: NonZeroU32,

    /// After a signal, the longest time for connections to finish what is in
    /// flight; then they are closed (stopped)
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = parse_time, allow_negative_numbers = true)]
    #[arg(hide_short_help = true)]
    pub(crate) drain_timeout: Duration,

    /// The most connections that wait to be accepted; the system may allow fewer
    #[arg(long, value_name = "N", default_value = "1024", value_parser = parse_small_count, conflicts_with = "raw")]
    #[arg(hide_short_help = true)]
    backlog: NonZeroU32,
}

impl Limits {
    /// The configuration with these limits.
    pub(crate) fn apply(&self, config: ServerConfig) -> ServerConfig {
        config
            .max_connections(self.max_connections.map(NonZeroUsize::get))
            .memory_budget(self.memory.map(NonZeroUsize::get))
            .first_frame_timeout(self.first_frame_timeout.0)
            .frame_timeout(self.frame_timeout.0)
            .min_rate(self.min_rate.0.map(|rate| rate.get() as usize))
            .idle_timeout(self.idle_timeout.0)
            .write_timeout(self.write_timeout.0)
            .keepalive(self.keepalive.0)
            .high_water(self.high_water.get() as usize)
            .outbox_limit(self.outbox_limit.get())
            .max_frames_per_turn(self.max_frames_per_turn.get() as usize)
            .handshake_timeout(self.handshake_timeout)
            .max_handshakes(self.max_handshakes.get() as usize)
            .drain_timeout(self.drain_timeout)
            .backlog(self.backlog.get() as usize)
    }

    /// Checks that the memory is enough for frames of this format.
    pub(crate) fn check(&self, format: Format) -> Result<(), Failure> {
        let least = format.max_payload_len().saturating_mul(4).max(16 * 1024);
        match self.memory.map(NonZeroUsize::get).filter(|memory| *memory < least) {
            Some(memory) => Err(Failure::usage(format_args!(
                "--memory {memory} is less than {least}, four times the longest payload or 16 KiB: raise it, or lower --max-payload"
            ))),
            None => Ok(()),
        }
    }

    /// Warns if a limit is above what this process may use.
    pub(crate) fn warn(&self) {
        self.warn_of_files();
        if let (Some(memory), Some(allowed)) = (self.memory.map(NonZeroUsize::get), ServerConfig::memory_allowed())
            && memory > allowed
        {
            log(format_args!(
                "unstick: --memory {memory} is over {allowed}: an eighth of the address space (ulimit -v), or a quarter of the \
                 memory of the control group; if all of it is used, the server may run out of memory and end"
            ));
        }
    }

    /// Without a file descriptor a connection waits to be accepted, and is not refused.
    fn warn_of_files(&self) {
        let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let (Some(connections), Some(files)) = (self.max_connections, files) else { return };
        if connections.get() as u64 >= files {
            log(format_args!(
                "unstick: --max-connections {connections} is over the {files} files that this process may open (ulimit -n): \
                 connections beyond those wait, and are not refused"
            ));
        }
    }

    /// The most connections at a time with --raw.
    pub(crate) fn max_raw_connections(&self) -> usize {
        self.max_connections.map_or(RAW_CONNECTIONS, NonZeroUsize::get)
    }

    pub(crate) fn idle_timeout(&self) -> Option<Duration> {
        self.idle_timeout.0
    }

    pub(crate) fn write_timeout(&self) -> Option<Duration> {
        self.write_timeout.0
    }

    pub(crate) fn keepalive(&self) -> Option<Duration> {
        self.keepalive.0
    }
}

fn parse_count(text: &str) -> Result<NonZeroUsize, String> {
    text.parse().map_err(|_| "write a number, 1 or more".into())
}

fn parse_small_count(text: &str) -> Result<NonZeroU32, String> {
    text.parse().map_err(|_| format!("write a number, 1 to {}", u32::MAX))
}

fn parse_amount(text: &str) -> Result<NonZeroUsize, String> {
    NonZeroUsize::new(parse_length(text)?).ok_or_else(|| "write 1 byte or more, as in 64KiB or 4MiB".into())
}

fn parse_small_amount(text: &str) -> Result<NonZeroU32, String> {
    u32::try_from(parse_amount(text)?.get())
        .ok()
        .and_then(NonZeroU32::new)
        .ok_or_else(|| format!("the number is too large: at most {}", u32::MAX))
}

fn parse_rate(text: &str) -> Result<OrOff<NonZeroU32>, String> {
    or_off(text, |text| parse_small_amount(text).map_err(|error| format!("{error} (bytes a second), or off")))
}

fn parse_some_time(text: &str) -> Result<Duration, String> {
    let teach = "write a number of seconds over 0, as in 5, 0.5 or 500ms, and a year (31536000) at most";
    parse_time(text).ok().filter(|time| !time.is_zero()).ok_or_else(|| teach.into())
}

fn parse_timeout(text: &str) -> Result<OrOff<Duration>, String> {
    let teach = "write a number of seconds over 0, as in 5, 0.5 or 500ms, at most a year (31536000); or off";
    or_off(text, |text| parse_time(text).ok().filter(|time| !time.is_zero()).ok_or_else(|| teach.into()))
}

/// The system takes whole seconds, in 15 bits.
fn parse_keepalive(text: &str) -> Result<OrOff<Duration>, String> {
    let teach = "write a number of whole seconds, 1 to 32767, or off";
    let whole = |text: &str| text.parse().ok().filter(|seconds| (1..=32_767).contains(seconds));
    or_off(text, |text| whole(text).map(Duration::from_secs).ok_or_else(|| teach.into()))
}

fn or_off<T>(text: &str, parse: impl Fn(&str) -> Result<T, String>) -> Result<OrOff<T>, String> {
    if text == "off" { Ok(OrOff(None)) } else { parse(text).map(|value| OrOff(Some(value))) }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Flags {
        #[arg(long)]
        raw: bool,
        #[arg(long)]
        broadcast: bool,
        #[command(flatten)]
        limits: Limits,
    }

    fn limits(flags: &[&str]) -> Limits {
        Flags::parse_from([&["unstick"], flags].concat()).limits
    }

    #[test]
    fn without_flags_the_limits_are_those_of_the_library() {
        let library = ServerConfig::default();
        let program = limits(&[]).apply(library.clone());
        assert_eq!(format!("{program:?}"), format!("{library:?}"));
    }

    #[test]
    fn every_flag_sets_its_limit() {
        let flags = "--max-connections 2 --memory 3MiB --first-frame-timeout 4 --frame-timeout 5 --min-rate 6 \
            --idle-timeout 7 --write-timeout 8 --keepalive 9 --high-water 10 --outbox-limit 1MiB --max-frames-per-turn 12 \
            --drain-timeout 13 --backlog 14 --handshake-timeout 15 --max-handshakes 16";
        let set = limits(&flags.split(' ').filter(|flag| !flag.is_empty()).collect::<Vec<_>>());
        let set = set.apply(ServerConfig::default());
        let seconds = |n| Some(Duration::from_secs(n));
        assert_eq!((set.max_connections, set.memory_budget), (Some(2), Some(3 << 20)));
        let timeouts = [set.first_frame_timeout, set.frame_timeout, set.idle_timeout, set.write_timeout];
        assert_eq!(timeouts, [4, 5, 7, 8].map(seconds));
        assert_eq!((set.min_rate, set.keepalive), (Some(6), seconds(9)));
        assert_eq!((set.high_water, set.outbox_limit, set.max_frames_per_turn), (10, 1 << 20, 12));
        assert_eq!((set.drain_timeout, set.backlog), (Duration::from_secs(13), 14));
        assert_eq!((set.handshake_timeout, set.max_handshakes), (Duration::from_secs(15), 16));
    }

    /// A client that only listens is not silent.
    #[test]
    fn broadcast_has_no_first_frame_timeout_unless_it_is_given() {
        let first = |flags: &[&str]| limits(flags).apply(ServerConfig::default()).first_frame_timeout;
        assert_eq!(first(&["--broadcast"]), None);
        assert_eq!(first(&["--broadcast", "--first-frame-timeout", "5"]), Some(Duration::from_secs(5)));
    }

    #[test]
    fn a_limit_can_be_switched_off() {
        let off = ["--first-frame-timeout", "--frame-timeout", "--min-rate", "--write-timeout", "--keepalive"];
        let flags: Vec<&str> = off.into_iter().flat_map(|flag| [flag, "off"]).collect();
        let set = limits(&flags).apply(ServerConfig::default());
        let timeouts = [set.first_frame_timeout, set.frame_timeout, set.write_timeout, set.keepalive];
        assert_eq!((timeouts, set.min_rate), ([None; 4], None));
    }
}
