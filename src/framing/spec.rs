//! Layouts as text: what `--format` takes.

use alloc::string::{String, ToString};
use core::fmt;
use core::str::FromStr;

use super::format::{Endian, Field, Layout, PRESETS};

/// A preset's name, or `key=value` pairs separated by commas: `offset` (default 0), `width` (1 to 8, or `varint`;
/// default 4), `endian` (`be` or `le`; default `be`), `adjustment` (default 0), `trailer` (default 0), and for varints
/// `max-width` (1 to 10; default 10) and `minimal` (`true` or `false`; default `false`). A name may come first and
/// pairs change it: `varint,minimal=true`.
impl FromStr for Layout {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Layout, SpecError> {
        let mut layout = Layout::fixed(4, Endian::Big);
        for (index, part) in text.split(',').enumerate() {
            match part.split_once('=') {
                Some((key, value)) => amend(&mut layout, key, value)?,
                None if index == 0 => layout = preset(part)?,
                None => return Err(SpecError::NoValue { part: part.to_string() }),
            }
        }
        Ok(layout)
    }
}

/// The text that parses to this layout: the preset's name if it is one.
impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = self.preset() {
            return f.write_str(name);
        }
        write!(f, "offset={}", self.offset)?;
        match self.field {
            Field::Fixed { width, endian } => {
                write!(f, ",width={width},endian={}", if endian == Endian::Big { "be" } else { "le" })?;
            }
            Field::Varint { max_width, minimal } => {
                write!(f, ",width=varint,max-width={max_width},minimal={minimal}")?;
            }
        }
        write!(f, ",adjustment={}", self.adjustment)?;
        if self.trailer > 0 { write!(f, ",trailer={}", self.trailer) } else { Ok(()) }
    }
}

fn preset(name: &str) -> Result<Layout, SpecError> {
    PRESETS
        .iter()
        .find(|(preset, ..)| *preset == name)
        .map(|(_, format, _)| format.layout())
        .ok_or_else(|| SpecError::UnknownName { name: name.to_string() })
}

fn amend(layout: &mut Layout, key: &str, value: &str) -> Result<(), SpecError> {
    let bad = |key, allowed| SpecError::BadValue { key, value: value.to_string(), allowed };
    match (key, &mut layout.field) {
        ("offset", _) => layout.offset = value.parse().map_err(|_| bad("offset", "0 to 255"))?,
        ("adjustment", _) => {
            layout.adjustment = value.parse().map_err(|_| bad("adjustment", "a whole number, also a negative one"))?;
        }
        ("trailer", _) => layout.trailer = value.parse().map_err(|_| bad("trailer", "0 to 255"))?,
        ("width", field) if value == "varint" => *field = Layout::varint(10).field,
        ("width", field) => {
            let new_width = value.parse().ok().filter(|width| (1..=8).contains(width));
            let new_width = new_width.ok_or_else(|| bad("width", "1 to 8, or varint"))?;
            match field {
                Field::Fixed { width, .. } => *width = new_width,
                Field::Varint { .. } => *field = Layout::fixed(new_width, Endian::Big).field,
            }
        }
        ("endian", Field::Fixed { endian, .. }) => {
            *endian = match value {
                "be" => Endian::Big,
                "le" => Endian::Little,
                _ => return Err(bad("endian", "be or le")),
            };
        }
        ("max-width", Field::Varint { max_width, .. }) => {
            let width = value.parse().ok().filter(|width| (1..=10).contains(width));
            *max_width = width.ok_or_else(|| bad("max-width", "1 to 10"))?;
        }
        ("minimal", Field::Varint { minimal, .. }) => {
            *minimal = value.parse().map_err(|_| bad("minimal", "true or false"))?;
        }
        ("endian", _) => return Err(SpecError::NotOfThisField { key: "endian", of: "a fixed width" }),
        ("max-width", _) => return Err(SpecError::NotOfThisField { key: "max-width", of: "width=varint" }),
        ("minimal", _) => return Err(SpecError::NotOfThisField { key: "minimal", of: "width=varint" }),
        _ => return Err(SpecError::UnknownKey { key: key.to_string() }),
    }
    Ok(())
}

/// Why a text does not describe a layout.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpecError {
    /// No preset has this name.
    UnknownName {
        /// The name.
        name: String,
    },
    /// No key has this name.
    UnknownKey {
        /// The key.
        key: String,
    },
    /// A part has no `=`.
    NoValue {
        /// The part.
        part: String,
    },
    /// A key cannot have this value.
    BadValue {
        /// The key.
        key: &'static str,
        /// The value.
        value: String,
        /// The values that it can have.
        allowed: &'static str,
    },
    /// A key does not apply to this kind of field.
    NotOfThisField {
        /// The key.
        key: &'static str,
        /// What it applies to.
        of: &'static str,
    },
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SpecError::UnknownName { name } => {
                write!(f, "no format is named {name:?}; the names are")?;
                for (index, (name, ..)) in PRESETS.iter().enumerate() {
                    write!(f, "{} {name}", if index == 0 { "" } else { "," })?;
                }
                f.write_str(", or key=value pairs as in offset=2,width=2,endian=be,adjustment=-4")
            }
            SpecError::UnknownKey { key } => {
                write!(
                    f,
                    "no key is named {key:?}; the keys are offset, width, endian, adjustment, trailer, max-width, minimal"
                )
            }
            SpecError::NoValue { part } => write!(f, "{part:?} has no value: write key=value"),
            SpecError::BadValue { key, value, allowed } => write!(f, "{key}={value}: it must be {allowed}"),
            SpecError::NotOfThisField { key, of } => write!(f, "{key} applies to {of} only"),
        }
    }
}

impl core::error::Error for SpecError {}
