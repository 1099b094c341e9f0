//! The configuration of a client.

use std::time::Duration;

use crate::framing::Format;

/// The configuration of a client: its format, the greeting it expects, and its timeouts.
///
/// ```
/// use std::time::Duration;
/// use unstick::ClientConfig;
/// use unstick::framing::Format;
/// let config = ClientConfig::default().format(Format::U16_BE).call_timeout(Some(Duration::from_millis(500)));
/// assert_eq!((config.format, config.recv_timeout), (Format::U16_BE, None));
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ClientConfig<H = Format> {
    /// The format, in both directions: a [`Format`], or any [`Header`](crate::framing::Header). [`Format::U32_LE`] with 1 MiB
    /// by default. A `Client` keeps one to read and one to write, so it must be [`Clone`]; one that is not can be wrapped in an
    /// [`Arc`](std::sync::Arc).
    pub format: H,
    /// What the server sends first. [`ExpectedGreeting::None`], nothing, by default.
    pub greeting: ExpectedGreeting,
    /// How long connecting may take, including resolving the name and receiving the greeting. 10 s by default.
    pub connect_timeout: Duration,
    /// How long a [`call`](crate::Client::call) may take until its whole reply has arrived. 10 s by default. `None`: no limit.
    /// [`call_within`](crate::Client::call_within) takes a timeout of its own.
    pub call_timeout: Option<Duration>,
    /// How long a [`recv`](crate::Client::recv) may take until a whole frame has arrived. `None`, no limit, by default: a server
    /// may have nothing to send for any time. [`recv_within`](crate::Client::recv_within) takes a timeout of its own.
    pub recv_timeout: Option<Duration>,
}

impl Default for ClientConfig {
    fn default() -> ClientConfig {
        ClientConfig {
            format: Format::U32_LE,
            greeting: ExpectedGreeting::None,
            connect_timeout: Duration::from_secs(10),
            call_timeout: Some(Duration::from_secs(10)),
            recv_timeout: None,
        }
    }
}

impl<H> ClientConfig<H> {
    /// The same with another format, or any other [`Header`](crate::framing::Header).
    #[must_use]
    pub fn format<G>(self, format: G) -> ClientConfig<G> {
        let ClientConfig { format: _, greeting, connect_timeout, call_timeout, recv_timeout } = self;
        ClientConfig { format, greeting, connect_timeout, call_timeout, recv_timeout }
    }

    /// The same with another greeting awaited.
    #[must_use]
    pub fn greeting(self, greeting: ExpectedGreeting) -> ClientConfig<H> {
        ClientConfig { greeting, ..self }
    }

    /// The same with another timeout for connecting.
    #[must_use]
    pub fn connect_timeout(self, connect_timeout: Duration) -> ClientConfig<H> {
        ClientConfig { connect_timeout, ..self }
    }

    /// The same with another timeout for each call.
    #[must_use]
    pub fn call_timeout(self, call_timeout: Option<Duration>) -> ClientConfig<H> {
        ClientConfig { call_timeout, ..self }
    }

    /// The same with another timeout for each frame received.
    #[must_use]
    pub fn recv_timeout(self, recv_timeout: Option<Duration>) -> ClientConfig<H> {
        ClientConfig { recv_timeout, ..self }
    }
}

/// The greeting that a client waits for when it connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExpectedGreeting {
    /// A frame like any other.
    Frame,
    /// That many bytes without framing. Nothing marks the end of such a greeting, so its length must be known: the tutorial's
    /// has 23 bytes, `TUTORIAL_GREETING.len()`.
    Raw(usize),
    /// Nothing.
    None,
}
