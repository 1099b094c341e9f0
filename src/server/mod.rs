//! The server: it accepts connections, hands each frame to a handler, and writes replies and pushes.

mod accept;
#[cfg(feature = "tls")]
mod acceptor;
mod account;
mod budget;
mod clock;
mod config;
mod connection;
mod encode;
#[cfg(feature = "tracing")]
mod events;
mod greeting;
mod input;
mod link;
mod log;
mod outbox;
mod output;
mod panic;
mod peer;
mod pool;
mod responder;
#[cfg(feature = "tls")]
mod secure;
mod serve;
mod shared;
#[cfg(not(feature = "tracing"))]
mod silence;
#[cfg(feature = "testing")]
mod simulate;
mod system;
mod task;
mod thread;
mod timeouts;
#[cfg(feature = "tls")]
mod tls;
mod transport;
#[cfg(not(feature = "tls"))]
mod without_tls;
mod worker;

pub use self::account::{Account, Stats};
#[cfg(feature = "testing")]
pub(crate) use self::clock::Clock;
pub use self::clock::Sleep;
pub use self::config::{ServerConfig, TUTORIAL_GREETING};
pub use self::greeting::Greeting;
pub use self::outbox::{Outbox, PushError};
pub use self::peer::Peer;
pub use self::responder::Responder;
pub use self::serve::{Server, serve_connection};
#[cfg(not(feature = "tracing"))]
use self::silence as events;
#[cfg(feature = "testing")]
pub(crate) use self::simulate::any_time;
pub use self::transport::{Halves, Listener, Transport};
#[cfg(not(feature = "tls"))]
use self::{without_tls as acceptor, without_tls as tls};
