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
    /// The format, in both directions: a [`Format`], or any [`Header`](crate::framing::Header). By default
    /// [`Format::U32_LE`], with payloads of at most 1 MiB. It must be [`Clone`], as a `Client` keeps one to read and
    /// one to write; wrap one that is not in an [`Arc`](std::sync::Arc).
    pub format: H,
    /// The greeting that the server sends first; by default [`ExpectedGreeting::None`].
    pub greeting: ExpectedGreeting,
    /// How long connecting may take, including name resolution and the greeting. 10 s by default.
    pub connect_timeout: Duration,
    /// How long a [`call`](crate::Client::call) may take until its whole reply has arrived. 10 s by default; `None` for
    /// no limit. [`call_within`](crate::Client::call_within) overrides it.
    pub call_timeout: Option<Duration>,
    /// How long a [`recv`](crate::Client::recv) may take until a whole frame has arrived. `None`, no limit, by default,
    /// as a server may have nothing to send. [`recv_within`](crate::Client::recv_within) overrides it.
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
    /// Sets the format: a [`Format`], or any other [`Header`](crate::framing::Header).
    #[must_use]
    pub fn format<G>(self, format: G) -> ClientConfig<G> {
        let ClientConfig { format: _, greeting, connect_timeout, call_timeout, recv_timeout } = self;
        ClientConfig { format, greeting, connect_timeout, call_timeout, recv_timeout }
    }

    /// Sets the expected greeting.
    #[must_use]
    pub fn greeting(self, greeting: ExpectedGreeting) -> ClientConfig<H> {
        ClientConfig { greeting, ..self }
    }

    /// Sets the timeout for connecting.
    #[must_use]
    pub fn connect_timeout(self, connect_timeout: Duration) -> ClientConfig<H> {
        ClientConfig { connect_timeout, ..self }
    }

    /// Sets the timeout for each call.
    #[must_use]
    pub fn call_timeout(self, call_timeout: Option<Duration>) -> ClientConfig<H> {
        ClientConfig { call_timeout, ..self }
    }

    /// Sets the timeout for each frame received.
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
    /// This many bytes without framing. Nothing marks the end of such a greeting, so its length must be known:
    /// `TUTORIAL_GREETING` has 23 bytes.
    Raw(usize),
    /// Nothing.
    None,
}
