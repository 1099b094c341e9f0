//! The server and the client over loopback, with real sockets.

#[path = "../common/mod.rs"]
mod common;
#[path = "../support/summed.rs"]
mod summed;

mod calls;
mod client;
mod closing;
mod header;
mod limits;
mod passing;
mod shown;
mod stopping;
#[cfg(unix)]
mod unix;

use common::{Running, start};
use smol::channel;
use unstick::framing::Frame;
use unstick::{ClientConfig, ExpectedGreeting, Greeting, Responder, ServerConfig, TUTORIAL_GREETING};

/// A server that says first what the tutorial's says.
fn greeting() -> ServerConfig {
    ServerConfig::default().greeting(Greeting::Frame(TUTORIAL_GREETING.into()))
}

/// A client that expects that.
fn greeted() -> ClientConfig {
    ClientConfig::default().greeting(ExpectedGreeting::Frame)
}

/// A handler that says when a frame has come, and answers once it is told to.
fn gated() -> (Running, channel::Receiver<()>, channel::Sender<()>) {
    gated_with(ServerConfig::default())
}

fn gated_with(config: ServerConfig) -> (Running, channel::Receiver<()>, channel::Sender<()>) {
    let (arrived, has_arrived) = channel::unbounded();
    let (open, gate) = channel::unbounded();
    let server = start(config, move |_| {
        let (arrived, gate) = (arrived.clone(), gate.clone());
        async move |frame: Frame<'_>, responder: &mut Responder| {
            arrived.send(()).await.expect("a test");
            _ = gate.recv().await;
            responder.send(frame.payload()).await
        }
    });
    (server, has_arrived, open)
}
