//! What both ends do in each scenario.

use std::io;
use std::net::TcpStream;
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::Duration;

use socket2::{SockFilter, SockRef};

use super::ends::{Caller, frames};
use super::scenario::Scenario;
use super::tap::Tap;
use crate::framing::{EncodeError, Frame};
use crate::server::{Greeting, Peer, Responder, ServerConfig, TUTORIAL_GREETING};
use crate::trace::packet::Packet;
use crate::trace::tcp::Tcp;

/// Between two steps: longer than an end waits before it acknowledges what it has nothing to say to, 40 ms.
const PAUSE: Duration = Duration::from_millis(60);
/// How long the reader of [`Scenario::Window`] pauses after its window was full: the server asks again after about 200 ms.
const LONG_PAUSE: Duration = Duration::from_millis(500);
/// Bytes of a reply of [`Scenario::Window`], of which there are [`REPLIES`].
const LONG_REPLY: usize = 4000;
const REPLIES: usize = 3;
/// Of a filter for packets: drop each one (BPF_RET | BPF_K, 0 bytes).
const DROP: SockFilter = SockFilter::new(6, 0, 0, 0);

/// How the server of a scenario greets.
pub(super) fn config(scenario: Scenario) -> ServerConfig {
    let greeting = match scenario {
        Scenario::Greeting => Greeting::Frame(TUTORIAL_GREETING.into()),
        Scenario::Tutorial => Greeting::Raw(TUTORIAL_GREETING.into()),
        _ => Greeting::None,
    };
    ServerConfig::default().greeting(greeting)
}

/// What the server of a scenario does with each frame.
pub(super) fn handler(
    scenario: Scenario,
    peer: Peer,
) -> impl AsyncFnMut(Frame<'_>, &mut Responder) -> Result<(), EncodeError> {
    async move |frame: Frame<'_>, responder: &mut Responder| match scenario {
        Scenario::Tutorial => Ok(()),
        Scenario::FourWay => {
            peer.sleep(3 * PAUSE).await;
            Ok(())
        }
        Scenario::HalfClose => {
            peer.sleep(PAUSE).await;
            responder.send(frame.payload()).await
        }
        Scenario::Window => {
            for _ in 0..REPLIES {
                responder.send(&[b'.'; LONG_REPLY]).await?;
            }
            Ok(())
        }
        _ => responder.send(frame.payload()).await,
    }
}

/// Is the client of a scenario, to its end; gives the lengths of its reads. The socket of the server comes by `accepted`.
pub(super) fn play(scenario: Scenario, accepted: &Receiver<TcpStream>, tap: &Tap) -> io::Result<Vec<u64>> {
    let window = (scenario == Scenario::Window).then_some(4096);
    let mut client = Caller::connect(scenario, window)?;
    let server = accepted.recv().map_err(io::Error::other)?;
    match scenario {
        Scenario::Greeting => {
            client.receive(1)?;
            client.send(&["Hello server! 你好...".as_bytes()])?;
            client.receive(1)?;
        }
        Scenario::Sticky => {
            client.send(&[b"one", b"two", "三".as_bytes(), b"", b"five"])?;
            client.receive(5)?;
        }
        Scenario::Split => {
            client.send(&[&[b'x'; 4000]])?;
            client.receive(1)?;
            thread::sleep(PAUSE);
            // The first cut is inside a length, the second inside a payload.
            let wire = frames(&[b"one", b"two", b"three"])?;
            for piece in [&wire[..9], &wire[9..20], &wire[20..]] {
                client.write(piece)?;
                thread::sleep(PAUSE);
            }
            client.receive(3)?;
        }
        Scenario::HalfClose => {
            client.send(&[b"one", b"two", b"three"])?;
            client.end()?;
            return client.finish();
        }
        Scenario::FourWay => {
            client.send(&[b"the last words"])?;
            thread::sleep(PAUSE);
        }
        Scenario::Reset => {
            client.send(&[b"one"])?;
            client.receive(1)?;
            thread::sleep(PAUSE);
            client.write(&frames(&[b"a frame of which only a part is sent"])?[..11])?;
            thread::sleep(PAUSE);
            return client.break_off();
        }
        Scenario::Window => {
            client.send(&[b"more than fits"])?;
            tap.wait("a full window", |packets| has_zero_window(packets))?;
            thread::sleep(LONG_PAUSE);
            client.receive(REPLIES)?;
        }
        Scenario::Retransmit => {
            client.send(&[b"one"])?;
            client.receive(1)?;
            lose(&client, &server, tap)?;
            client.send(&[b"three"])?;
            client.receive(2)?;
            thread::sleep(PAUSE);
        }
        Scenario::Tutorial => {
            client.receive_unframed(TUTORIAL_GREETING.len())?;
            for number in 0..100 {
                client.send(&[format!("客户端发送了消息{number}").as_bytes()])?;
            }
            // It waits for a key.
            thread::sleep(PAUSE);
        }
    }
    client.end()?;
    client.finish()
}

/// Sends a frame that the server does not get: while its socket has a filter, the system drops what comes, after it was captured.
fn lose(client: &Caller, server: &TcpStream, tap: &Tap) -> io::Result<()> {
    let carried = |packets: &[Packet]| packets.iter().filter(|packet| carries_data_to_a_server(packet)).count();
    let server = SockRef::from(server);
    server.attach_filter(&[DROP])?;
    let lost = frames(&[b"two, which is lost"])?;
    client.write(&lost)?;
    // The first frame was captured already.
    let seen = tap.wait("the segment that is to be lost", |packets| carried(packets) > 1);
    // The system drops it right after the capture.
    thread::sleep(Duration::from_millis(5));
    server.detach_filter()?;
    seen
}

fn carries_data_to_a_server(packet: &Packet) -> bool {
    Tcp::of(packet).is_ok_and(|tcp| tcp.len > 0 && tcp.to.port() == Scenario::Retransmit.port())
}

/// Whether a client has said that it has no room for more.
fn has_zero_window(packets: &[Packet]) -> bool {
    packets.iter().any(|packet| {
        Tcp::of(packet).is_ok_and(|tcp| {
            tcp.window == 0 && tcp.to.port() == Scenario::Window.port() && !tcp.has(crate::trace::Flag::Rst)
        })
    })
}
