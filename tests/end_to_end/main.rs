//! The server and the client over loopback, with real sockets.

#[path = "../common/mod.rs"]
mod common;

mod client;
mod closing;
mod limits;
mod passing;
mod shown;
mod stopping;

use common::{Running, start};
use smol::channel;
use unstick::framing::Frame;
use unstick::{ClientConfig, ExpectedGreeting, Greeting, Responder, ServerConfig};

fn silent() -> ServerConfig {
    ServerConfig::default().greeting(Greeting::None)
}

fn unawaited() -> ClientConfig {
    ClientConfig::default().greeting(ExpectedGreeting::None)
}

/// A handler that says when a frame has come, and answers once it is told to.
fn gated() -> (Running, channel::Receiver<()>, channel::Sender<()>) {
    gated_with(silent())
}

fn gated_with(config: ServerConfig) -> (Running, channel::Receiver<()>, channel::Sender<()>) {
    let (arrived, has_arrived) = channel::unbounded();
    let (open, gate) = channel::unbounded();
    let server = start(config, move |_| {
        let (arrived, gate) = (arrived.clone(), gate.clone());
        async move |frame: Frame<'_>, replies: &mut Responder| {
            arrived.send(()).await.expect("a test");
            _ = gate.recv().await;
            replies.send(frame.payload()).await
        }
    });
    (server, has_arrived, open)
}
