//! Flags that several commands share, and parsers whose errors say what to write.

use std::fmt;
use std::io;
use std::net::Ipv6Addr;
use std::num::NonZeroUsize;
use std::os::unix::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use unstick::PeerName;
use unstick::framing::{Envelope, Format, FormatError, Layout, PRESETS};

use crate::exit::Failure;
use crate::text;

/// The longest time that a flag accepts.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// How frames look on the wire.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct FormatArgs {
    /// u32le, u32be, u16be, varint, ...
    ///
    /// Where the length is and what it counts: a name, or KEY=VALUE pairs such as
    /// offset=2,width=2,endian=be,adjustment=-4. `unstick --help` lists all.
    #[arg(long, value_name = "FORMAT", default_value = "u32le")]
    format: Layout,

    /// The longest payload [default: 1MiB]
    ///
    /// In bytes, or with a unit, as in 64KiB. If the length field cannot
    /// express 1 MiB, the default is the most that it can express.
    #[arg(long, value_name = "LENGTH", value_parser = parse_length)]
    max_payload: Option<usize>,
}

impl FormatArgs {
    /// The format given by the flags.
    pub(crate) fn format(&self) -> Result<Format, Failure> {
        let format = match self.max_payload {
            None => Format::with_default_limit(self.format),
            Some(max_payload_len) => Format::new(self.format, max_payload_len),
        };
        format.map_err(|error| {
            let limit = matches!(error, FormatError::LimitTooGreat { .. } | FormatError::LimitTooSmall { .. });
            let flags = if limit { "--max-payload with --format" } else { "--format" };
            Failure::usage(format_args!("{flags} {}: {error}", self.format))
        })
    }
}

/// All formats and what they are for, for `--help`.
pub(crate) fn formats_help() -> String {
    use std::fmt::Write;
    let mut help = String::from("Formats (--format NAME):\n");
    for (name, _, what) in PRESETS {
        writeln!(help, "  {name:<17}{what}").expect("a String takes everything");
    }
    help.push_str(
        "\
Or --format KEY=VALUE,... (in parentheses: the default):
  offset            bytes before the length field, the prefix: 0 to 255 (0)
  width             bytes of the length field: 1 to 8, or varint (4)
  endian            byte order of the field: be or le (be)
  adjustment        payload length = field + adjustment; -4 for a field of four
                    bytes that counts itself (0)
  trailer           bytes after the payload: 0 to 255 (0)
  max-width         the most bytes of a varint: 1 to 10 (10)
  minimal           true refuses a varint longer than needed (false)
To change a named format, start with its name: --format varint,minimal=true",
    );
    help
}

/// The prefix and the trailer of the frames that are sent.
#[derive(Args, Clone, Debug)]
pub(crate) struct EnvelopeArgs {
    /// Bytes before the length field [default: zeros]
    ///
    /// For a format with an offset: the prefix of each frame sent.
    #[arg(long, value_name = "HEX", value_parser = parse_bytes)]
    prefix: Option<Bytes>,

    /// Bytes after the payload [default: zeros]
    ///
    /// For a format with a trailer: the trailer of each frame sent.
    #[arg(long, value_name = "HEX", value_parser = parse_bytes)]
    trailer: Option<Bytes>,
}

/// A newtype, as clap would take a `Vec` for a list of values.
#[derive(Clone, Debug)]
struct Bytes(Vec<u8>);

/// An [`Envelope`] that owns its bytes.
pub(crate) struct OwnEnvelope {
    prefix: Vec<u8>,
    trailer: Vec<u8>,
}

impl<'a> From<&'a OwnEnvelope> for Envelope<'a> {
    fn from(own: &'a OwnEnvelope) -> Envelope<'a> {
        Envelope { prefix: &own.prefix, trailer: &own.trailer }
    }
}

impl EnvelopeArgs {
    /// The envelope given by the flags, for `format`.
    pub(crate) fn envelope(&self, format: Format) -> Result<OwnEnvelope, Failure> {
        let layout = format.layout();
        let check = |flag, given: &Option<Bytes>, len: u8, position| match given {
            None => Ok(vec![0; usize::from(len)]),
            Some(Bytes(bytes)) if bytes.len() == usize::from(len) => Ok(bytes.clone()),
            Some(Bytes(bytes)) => Err(Failure::usage(format_args!(
                "{flag}: --format {layout} has {len} bytes {position}, but {} are given",
                bytes.len()
            ))),
        };
        Ok(OwnEnvelope {
            prefix: check("--prefix", &self.prefix, layout.offset, "before its length field")?,
            trailer: check("--trailer", &self.trailer, layout.trailer, "after its payload")?,
        })
    }
}

fn parse_bytes(text: &str) -> Result<Bytes, String> {
    let mut bytes = Vec::new();
    text::parse_hex(text.as_bytes(), &mut bytes)?;
    Ok(Bytes(bytes))
}

/// Where to listen or to connect: a TCP address or a Unix socket.
#[derive(Clone, Debug)]
pub(crate) enum Addr {
    Tcp(HostPort),
    Unix(PathBuf),
}

impl fmt::Display for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Addr::Tcp(addr) => addr.fmt(f),
            Addr::Unix(path) => PeerName::Unix { path: Some(path.clone()), credentials: None }.fmt(f),
        }
    }
}

/// Whether the system accepts this path for a socket.
pub(crate) fn check_socket_path(path: &Path) -> io::Result<()> {
    let Err(error) = SocketAddr::from_pathname(path) else { return Ok(()) };
    let is_accepted = |len: &usize| SocketAddr::from_pathname("x".repeat(*len)).is_ok();
    let (len, longest) = (path.as_os_str().len(), (1..).take_while(is_accepted).last().unwrap_or_default());
    match len > longest {
        true => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("a path of {len} bytes is too long for a socket: {longest} at most"),
        )),
        false => Err(error),
    }
}

/// A TCP address. The host is a name, an IPv4 address, or an IPv6 address in brackets, which may have an interface:
/// `[fe80::1%eth0]:4747`.
#[derive(Clone, Debug)]
pub(crate) struct HostPort {
    text: String,
    host: String,
    port: u16,
}

impl HostPort {
    /// Host and port, for the system to resolve: it knows the interfaces by name.
    pub(crate) fn host_port(&self) -> (&str, u16) {
        (&self.host, self.port)
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// HOST:PORT, or unix:PATH. A path has a slash, as `unix` may also be the name of a host.
pub(crate) fn parse_addr(text: &str) -> Result<Addr, String> {
    match text.strip_prefix("unix:") {
        Some(path) if path.contains('/') => Ok(Addr::Unix(path.into())),
        _ => {
            let tcp = parse_host_port(text).map(Addr::Tcp);
            tcp.map_err(|error| format!("{error}; or unix:/PATH, or unix:./PATH, for a Unix socket"))
        }
    }
}

pub(crate) fn parse_host_port(text: &str) -> Result<HostPort, String> {
    let teach = "write HOST:PORT, as in 127.0.0.1:4747, localhost:4747, [::1]:4747 or [fe80::1%eth0]:4747";
    let (host, port) = text.rsplit_once(':').ok_or(teach)?;
    let in_brackets = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_valid = in_brackets.map_or(!host.contains([':', '[', ']']), |host| host.contains(':'));
    let host = in_brackets.unwrap_or(host);
    if host.is_empty() || !is_valid {
        return Err(teach.into());
    }
    let port = port.parse().map_err(|_| format!("the port {port:?} is not 0 to 65535; {teach}"))?;
    if host.parse::<Ipv6Addr>().is_ok_and(|host| host.is_unicast_link_local()) {
        return Err(format!("{host} is a link-local address: name its interface, as in [{host}%eth0]:{port}"));
    }
    Ok(HostPort { text: text.into(), host: host.into(), port })
}

/// A number of bytes, with a unit or without.
pub(crate) fn parse_length(text: &str) -> Result<usize, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        _ => 0,
    };
    if number.is_empty() || factor == 0 {
        return Err(
            "write a number of bytes, as in 512, 64KiB or 1MiB; the units are B, KiB, MiB, GiB, kB, MB, GB".into()
        );
    }
    number
        .parse::<usize>()
        .ok()
        .and_then(|number| number.checked_mul(factor))
        .ok_or_else(|| "the number is too large".into())
}

/// A number of threads.
pub(crate) fn parse_threads(text: &str) -> Result<NonZeroUsize, String> {
    text.parse().map_err(|_| "write a number of threads, 1 or more".into())
}

/// A time in seconds, such as `0.5`, or with a unit. A year at most, so that it can be added to the time of day.
pub(crate) fn parse_time(text: &str) -> Result<Duration, String> {
    let (number, unit) = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(number), _) => (number, 1e-3),
        (None, Some(number)) => (number, 1.0),
        (None, None) => (text, 1.0),
    };
    let number = number.trim_end().parse::<f64>().ok();
    let time = number.and_then(|number| Duration::try_from_secs_f64(number * unit).ok());
    let possible = time.filter(|time| *time <= LONGEST);
    possible
        .ok_or_else(|| "write a number of seconds, 0 or more, as in 5, 0.5 or 500ms; at most a year (31536000)".into())
}

/// An interval.
pub(crate) fn parse_interval(text: &str) -> Result<Duration, String> {
    let teach = "write a number of seconds, 0.01 or more, as in 10, 0.5 or 500ms; at most a year (31536000)";
    parse_time(text).ok().filter(|time| *time >= Duration::from_millis(10)).ok_or_else(|| teach.into())
}

#[cfg(test)]
mod tests {
    use std::net::{SocketAddr, ToSocketAddrs};

    use super::*;

    #[test]
    fn lengths_have_units() {
        for (text, expected) in [
            ("0", 0),
            ("512", 512),
            ("512B", 512),
            ("64KiB", 65_536),
            ("64k", 65_536),
            ("1MiB", 1 << 20),
            ("1 MiB", 1 << 20),
            ("1MB", 1_000_000),
            ("3kB", 3_000),
            ("2GiB", 2 << 30),
            ("2gb", 2_000_000_000),
        ] {
            assert_eq!(parse_length(text), Ok(expected), "{text}");
        }
        for wrong in ["", "MiB", "-1", "1.5MiB", "1XB", "99999999999999999999", "99999999999GiB"] {
            assert!(parse_length(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn addresses_have_a_host_and_a_port() {
        for (right, host, port) in [
            ("127.0.0.1:4747", "127.0.0.1", 4747),
            ("localhost:0", "localhost", 0),
            ("[::1]:4747", "::1", 4747),
            ("[fe80::1%eth0]:7002", "fe80::1%eth0", 7002),
        ] {
            let addr = parse_host_port(right).unwrap();
            assert_eq!((addr.host_port(), &*addr.to_string()), ((host, port), right));
        }
        for wrong in [
            "",
            "4747",
            ":4747",
            "localhost",
            "localhost:",
            "localhost:http",
            "::1:4747",
            "[::1]",
            "[::1:4747",
            "::1]:4747",
            "[]:4747",
            "[localhost]:4747",
            "[fe80::1]:4747",
            "1.2.3.4:65536",
        ] {
            assert!(parse_addr(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_unix_socket_has_a_path_with_a_slash() {
        for text in ["unix:/run/echo", "unix:./echo", "unix:run/a:4747", "unix:/你好"] {
            let addr = parse_addr(text).unwrap();
            assert!(matches!(&addr, Addr::Unix(path) if path.as_os_str() == &text[5..]), "{text}");
            assert_eq!(addr.to_string(), text);
        }
        assert!(matches!(parse_addr("unix:4747"), Ok(Addr::Tcp(_))), "a host named unix");
        for wrong in ["unix:", "unix:echo", "unix"] {
            assert!(parse_addr(wrong).unwrap_err().contains("unix:/PATH"), "{wrong}");
        }
        assert!(parse_host_port("unix:/run/echo").is_err());
    }

    #[test]
    fn a_path_that_is_too_long_is_told_with_its_length() {
        check_socket_path(Path::new("/run/echo")).unwrap();
        let error = check_socket_path(Path::new(&"x".repeat(500))).unwrap_err().to_string();
        assert!(error.starts_with("a path of 500 bytes is too long for a socket: 10"), "{error}");
    }

    /// The system knows the interface by name. `lo` is the first one of any Linux.
    #[cfg(target_os = "linux")]
    #[test]
    fn the_scope_of_an_address_is_an_interface_by_name_or_by_number() {
        for text in ["[fe80::1%lo]:7002", "[fe80::1%1]:7002"] {
            let addrs: Vec<SocketAddr> =
                parse_host_port(text).unwrap().host_port().to_socket_addrs().unwrap().collect();
            assert_eq!(addrs, ["[fe80::1%1]:7002".parse().unwrap()], "{text}");
        }
        assert!(parse_host_port("[fe80::1%none]:7002").unwrap().host_port().to_socket_addrs().is_err());
    }

    #[test]
    fn seconds_may_be_parts_and_may_have_a_unit() {
        for (text, millis) in [("0.5", 500), ("5", 5000), ("500ms", 500), ("500 ms", 500), ("1.5s", 1500), ("0", 0)] {
            assert_eq!(parse_time(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for wrong in
            ["", "-1", "NaN", "inf", "soon", "1e400", "1e19", "31536001", "s", "ms", "5m", "5sms", "-1ms", "5min"]
        {
            assert!(parse_time(wrong).is_err(), "{wrong}");
        }
    }
}
