//! What undecodable bytes look like: the most common cause is the wrong protocol at the port.

use core::fmt;

/// What the bytes of a refused header, or of an unfinished first frame, look like. A hint for people; do not base
/// decisions on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Diagnosis {
    /// A TLS record (RFC 8446, 5.1): content type 20 to 23, then version 3.x.
    Tls,
    /// An HTTP/1 request or response, or the HTTP/2 preface.
    Http,
    /// An SSH version string (RFC 4253, 4.2).
    Ssh,
    /// Read in the other byte order, the length field gives a payload within the limit.
    OtherByteOrder {
        /// That payload's length, in bytes.
        payload_len: u64,
    },
    /// The field is negative when it is read as a signed number.
    Negative {
        /// The field, read as signed.
        field: i64,
    },
    /// The bytes are printable UTF-8: text without framing.
    Text,
    /// The first frame lacks exactly as many bytes as its length field has: the field may count itself.
    CountsItself {
        /// Bytes that the field may count besides the payload.
        own_len: u64,
        /// The adjustment that subtracts them.
        adjustment: i64,
        /// The preset with that adjustment, if there is one.
        preset: Option<&'static str>,
    },
}

const HTTP: [&[u8]; 10] =
    [b"GET ", b"POST ", b"PUT ", b"HEAD ", b"DELETE ", b"OPTIONS ", b"PATCH ", b"CONNECT ", b"PRI ", b"HTTP/"];

impl Diagnosis {
    /// The protocol that begins with `header`; only the first frame of a stream can be another protocol's hello.
    pub(in crate::framing) fn of_protocol(offset: u64, header: &[u8]) -> Option<Diagnosis> {
        if offset != 0 || header.len() < 2 {
            return None;
        }
        // Only the bytes that there are get compared: a header of two bytes is judged by two.
        let begins = |magic: &[u8]| header.iter().zip(magic).all(|(byte, expected)| byte == expected);
        if (20..=23).contains(&header[0]) && header[1] == 3 {
            Some(Diagnosis::Tls)
        } else if HTTP.iter().any(|magic| begins(magic)) {
            Some(Diagnosis::Http)
        } else if begins(b"SSH-") {
            Some(Diagnosis::Ssh)
        } else {
            None
        }
    }

    /// What a stream that ended inside its first frame looks like: another protocol's hello, or text. All bytes that
    /// mark a hello must be there, as the declared length, which was within the limit, is no evidence.
    pub(in crate::framing) fn of_begin(bytes: &[u8]) -> Option<Diagnosis> {
        // A record of up to 2^14 bytes: a handshake's first one is a client's or a server's hello; an alert has two bytes.
        let tls = matches!(
            *bytes,
            [22, 3, 0..=4, 0..=0x40, _] | [22, 3, 0..=4, 0..=0x40, _, 1 | 2, ..] | [21, 3, 0..=4, 0, 2, 1 | 2, ..]
        );
        if tls {
            Some(Diagnosis::Tls)
        } else if HTTP.iter().any(|magic| bytes.starts_with(magic)) {
            Some(Diagnosis::Http)
        } else if bytes.starts_with(b"SSH-") {
            Some(Diagnosis::Ssh)
        } else {
            Diagnosis::of_text(bytes)
        }
    }

    /// Text, if there are at least two bytes and all are printable UTF-8; the last character may be cut.
    pub(in crate::framing) fn of_text(bytes: &[u8]) -> Option<Diagnosis> {
        let text = match core::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) if error.error_len().is_none() => core::str::from_utf8(&bytes[..error.valid_up_to()]).ok()?,
            Err(_) => return None,
        };
        let printable = |character: char| !character.is_control() || character.is_ascii_whitespace();
        (bytes.len() >= 2 && text.chars().all(printable)).then_some(Diagnosis::Text)
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Diagnosis::Tls => f.write_str("looks like TLS"),
            Diagnosis::Http => f.write_str("looks like HTTP"),
            Diagnosis::Ssh => f.write_str("looks like SSH"),
            Diagnosis::OtherByteOrder { payload_len } => write!(f, "the other byte order gives {payload_len}"),
            Diagnosis::Negative { field } => write!(f, "as a signed number the field is {field}"),
            Diagnosis::Text => f.write_str("looks like text without framing"),
            Diagnosis::CountsItself { own_len, preset: Some(preset), .. } => {
                write!(f, "the length may count its own {own_len} bytes: try {preset}")
            }
            Diagnosis::CountsItself { own_len, adjustment, preset: None } => {
                write!(f, "the length may count its own {own_len} bytes: try adjustment={adjustment}")
            }
        }
    }
}
