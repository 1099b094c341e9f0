//! A Wireshark dissector for any format, as a Lua script.

use std::fmt;

use crate::framing::{Endian, Field, Format, Header};

/// What is the same for all formats: everything after the constants that [`Dissector`] writes before it.
const SCRIPT: &str = include_str!("dissector.lua");

/// Characters of the longest name.
const MAX_NAME_LEN: usize = 64;

/// The longest frame that Wireshark can put together: its lengths are signed 32-bit numbers.
const MAX_FRAME_LEN: u64 = i32::MAX as u64;

/// A dissector for Wireshark: a Lua script, written by its [`Display`](fmt::Display), that finds the frames of a format in
/// TCP and TLS streams.
///
/// It reassembles frames from segments, shows length, prefix, payload and trailer as fields, payloads that are text as text, and
/// marks bytes that are not frames. Frames within the format's limit are found as [`Decoder`](crate::framing::Decoder) finds
/// them; after an error, in a direction, none are. It needs Wireshark or tshark 3.6 or later, with any Lua from 5.1 to 5.4:
/// `tshark -X lua_script:FILE`, or a file in Wireshark's folder of personal Lua plugins.
///
/// ```
/// use unstick::framing::Format;
/// use unstick::trace::Dissector;
///
/// let script = Dissector::new(Format::U32_LE, "My protocol")?.port(4747).to_string();
/// assert!(script.contains("local NAME = \"my_protocol\"\n")); // fields are my_protocol.length, my_protocol.payload, ...
/// # Ok::<(), unstick::trace::DissectorError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dissector {
    /// The protocol's name in display filters.
    name: String,
    /// Its name as people read it.
    title: String,
    port: Option<u16>,
    format: Format,
}

impl Dissector {
    /// A dissector for frames of this format.
    ///
    /// `name` is how Wireshark shows the protocol. In display filters it has only lower-case letters, digits and underscores:
    /// anything else becomes an underscore.
    ///
    /// # Errors
    /// [`DissectorError`] if the name does not begin with a letter from a to z, has only one such letter or digit, has control
    /// characters, or is too long; or if every frame of the format is too long for Wireshark.
    pub fn new(format: Format, name: &str) -> Result<Dissector, DissectorError> {
        let filter = filter_name(name);
        let begins = name.starts_with(|first: char| first.is_ascii_alphabetic());
        if !begins || filter.len() < 2 || name.contains(char::is_control) {
            return Err(DissectorError::Name { name: name.into() });
        }
        let len = name.chars().count();
        if len > MAX_NAME_LEN {
            return Err(DissectorError::NameTooLong { len, longest: MAX_NAME_LEN });
        }
        let least_payload = format.layout().min_payload_len();
        if least_payload > greatest_payload_len(format) {
            return Err(DissectorError::FramesTooLong { least_payload, greatest: greatest_payload_len(format) });
        }
        Ok(Dissector { name: filter, title: name.into(), port: None, format })
    }

    /// The same dissector for this TCP port. Without one it is chosen by Wireshark's "decode as", or by its preference, which is
    /// there in any case.
    #[must_use]
    pub fn port(self, port: u16) -> Dissector {
        Dissector { port: Some(port), ..self }
    }

    /// The protocol's name in display filters.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// A name as display filters have it.
fn filter_name(name: &str) -> String {
    let mut filter = String::new();
    for character in name.chars() {
        match character.to_ascii_lowercase() {
            character if character.is_ascii_alphanumeric() => filter.push(character),
            _ if !filter.ends_with('_') => filter.push('_'),
            _ => {}
        }
    }
    let len = filter.trim_end_matches('_').len();
    filter.truncate(len);
    filter
}

/// The longest payload within the format's limit that Wireshark can put together.
fn greatest_payload_len(format: Format) -> u64 {
    let around = format.max_header_len() as u64 + u64::from(format.layout().trailer);
    (format.max_payload_len() as u64).min(MAX_FRAME_LEN - around)
}

/// Writes the script.
impl fmt::Display for Dissector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let layout = self.format.layout();
        let (width, is_varint, is_little, is_minimal) = match layout.field {
            Field::Fixed { width, endian } => (width, false, endian == Endian::Little, false),
            Field::Varint { max_width, minimal } => (max_width, true, false, minimal),
        };
        let least_field = if layout.adjustment < 0 { layout.adjustment.unsigned_abs() } else { 0 };
        let port = self.port.map(|port| port.to_string()).unwrap_or_default();
        writeln!(f, "-- A Wireshark dissector for frames of the format {layout}, written by unstick dissector.")?;
        writeln!(
            f,
            "-- To use it: tshark -X lua_script:FILE -d tcp.port==PORT,{}, or copy it to the folder of",
            self.name
        )?;
        writeln!(f, "-- personal Lua plugins that Wireshark names under Help, About, Folders.")?;
        writeln!(f)?;
        writeln!(f, "local NAME = \"{}\"", self.name)?;
        writeln!(f, "local TITLE = {}", Quoted(&self.title))?;
        writeln!(f, "-- The default of the preference.")?;
        writeln!(f, "local PORT = \"{port}\"")?;
        writeln!(f, "-- Bytes before the length field, of the field (of a varint, the most), and after the payload.")?;
        writeln!(f, "local OFFSET, WIDTH, TRAILER = {}, {width}, {}", layout.offset, layout.trailer)?;
        writeln!(f, "local VARINT, LITTLE, MINIMAL = {is_varint}, {is_little}, {is_minimal}")?;
        writeln!(f, "-- The field of the shortest payload, as two words of 32 bits, and that payload's length.")?;
        writeln!(f, "local LEAST_FIELD_HIGH, LEAST_FIELD_LOW = {}, {}", least_field >> 32, least_field & 0xFFFF_FFFF)?;
        writeln!(f, "local LEAST_PAYLOAD = {}", layout.min_payload_len())?;
        writeln!(f, "-- The limit: a longer payload is not a frame.")?;
        writeln!(f, "local MAX_PAYLOAD = {}", greatest_payload_len(self.format))?;
        f.write_str(SCRIPT)
    }
}

/// A string of Lua. It has no control characters.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.replace('\\', "\\\\").replace('"', "\\\""))
    }
}

/// Why there is no dissector.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DissectorError {
    /// The name does not begin with a letter from a to z, or has only one such letter or digit, or has control characters.
    Name {
        /// The name.
        name: String,
    },
    /// The name is too long.
    NameTooLong {
        /// Its characters.
        len: usize,
        /// Characters of the longest.
        longest: usize,
    },
    /// Wireshark cannot put together any frame of this format.
    FramesTooLong {
        /// Bytes of the shortest payload.
        least_payload: u64,
        /// Bytes of the longest that Wireshark can put together.
        greatest: u64,
    },
}

impl fmt::Display for DissectorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DissectorError::Name { name } => {
                write!(
                    f,
                    "the name {name:?} must begin with a letter from a to z, have a second one or a digit, and no control characters"
                )
            }
            DissectorError::NameTooLong { len, longest } => {
                write!(f, "a name of {len} characters is too long: {longest} at most")
            }
            DissectorError::FramesTooLong { least_payload, greatest } => write!(
                f,
                "the shortest payload of this format has {least_payload} bytes: Wireshark takes {greatest} at most"
            ),
        }
    }
}

impl std::error::Error for DissectorError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framing::Layout;

    #[test]
    fn a_name_is_made_fit_for_filters() {
        for (name, expected) in [
            ("unstick", "unstick"),
            ("My Protocol", "my_protocol"),
            ("DNS/TCP (2)", "dns_tcp_2"),
            ("xy协议", "xy"),
            ("A--\"quoted\"\\", "a_quoted"),
        ] {
            assert_eq!(Dissector::new(Format::U8, name).unwrap().name(), expected);
        }
        for name in ["", "x", "x协议", "2x", "协议", " xy", "_xy", "x\ny", "xy\0"] {
            assert_eq!(Dissector::new(Format::U8, name), Err(DissectorError::Name { name: name.into() }));
        }
        assert!(Dissector::new(Format::U8, &"x".repeat(64)).is_ok());
        let error = Dissector::new(Format::U8, &"x".repeat(65)).unwrap_err();
        assert_eq!(error, DissectorError::NameTooLong { len: 65, longest: 64 });
    }

    #[test]
    fn a_title_is_quoted() {
        let script = Dissector::new(Format::U8, "A \"b\" \\c 协议").unwrap().to_string();
        assert!(script.contains("local TITLE = \"A \\\"b\\\" \\\\c 协议\"\n"), "{script}");
    }

    #[test]
    fn frames_are_no_longer_than_wireshark_can_take() {
        let format = Format::new(Layout::fixed(8, Endian::Big), 1 << 40).unwrap();
        let script = Dissector::new(format, "xy").unwrap().to_string();
        assert!(script.contains("local MAX_PAYLOAD = 2147483639\n"), "{script}");
        let format = Format::new(Layout::fixed(8, Endian::Big).adjustment(1 << 40), 1 << 41).unwrap();
        let error = Dissector::new(format, "xy").unwrap_err();
        assert_eq!(error, DissectorError::FramesTooLong { least_payload: 1 << 40, greatest: 2_147_483_639 });
    }
}
