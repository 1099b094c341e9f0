//! The server over TLS with connections in memory and a simulated clock: the timeouts and limits that only TLS has.

use std::rc::Rc;
use std::sync::Mutex;
use std::time::Duration;

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use futures_rustls::TlsConnector;
use futures_rustls::client::TlsStream;
use smol::channel;
use unstick::testing::{MemoryStream, Network, Simulation};
use unstick::{CloseKind, Stats};

use super::*;
use crate::common::frame;

/// A simulation with a server over TLS.
struct World {
    sim: Rc<Simulation>,
    network: Network,
    authority: Authority,
    closes: Arc<Mutex<Vec<String>>>,
    stop: channel::Sender<()>,
    serving: smol::Task<Stats>,
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

impl World {
    fn new(config: ServerConfig) -> World {
        let (sim, authority) = (Rc::new(Simulation::new()), Authority::new("an authority"));
        let (listener, network) = Simulation::network(64 * 1024);
        let closes: Arc<Mutex<Vec<String>>> = Arc::default();
        let (stop, stopped) = channel::bounded::<()>(1);
        let server = Server::with_listener(listener, config).expect("a configuration to serve with");
        let told = Arc::clone(&closes);
        let server = server.on_close(move |closed| told.lock().expect("no panic").push(closed.to_string()));
        let server = server.tls(Arc::new(authority.server().serving()));
        let serving = sim.spawn(sim.serve(server, |_| echo, async move { _ = stopped.recv().await }));
        World { sim, network, authority, closes, stop, serving }
    }

    fn pass(&self, duration: Duration) {
        self.sim.run(self.sim.sleep(duration));
    }

    /// A connection after its handshake and one echoed frame, and how long that took.
    fn client(&self) -> (TlsStream<MemoryStream>, Duration) {
        let begin = self.sim.now();
        let connector = TlsConnector::from(Arc::new(trusting(&self.authority, None)));
        let stream = self.network.connect("a client");
        let name = "localhost".try_into().expect("a name");
        let mut stream = self.sim.run(connector.connect(name, stream)).expect("a handshake");
        self.call(&mut stream);
        (stream, self.sim.now() - begin)
    }

    fn call(&self, stream: &mut TlsStream<MemoryStream>) {
        self.sim.run(async {
            stream.write_all(&frame(b"hello")).await.expect("written");
            stream.flush().await.expect("written");
            let mut reply = [0; 9];
            stream.read_exact(&mut reply).await.expect("a reply");
            assert_eq!(reply[..], frame(b"hello"));
        });
    }

    /// Writes below TLS.
    fn write(&self, stream: &mut MemoryStream, bytes: &[u8]) {
        self.sim.run(stream.write_all(bytes)).expect("written");
        self.pass(Duration::ZERO);
    }

    fn closes(&self) -> Vec<String> {
        self.closes.lock().expect("no panic").clone()
    }

    fn stop(self) -> Stats {
        drop(self.stop);
        let stats = self.sim.run(self.serving);
        assert_eq!((stats.accepted, stats.buffered), (stats.closed(), 0), "{stats:?}");
        stats
    }
}

/// A record that this client encrypted and did not send.
fn record_of(stream: &mut TlsStream<MemoryStream>, plaintext: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let (_, client) = stream.get_mut();
    client.writer().write_all(plaintext).expect("queued");
    let mut record = Vec::new();
    client.write_tls(&mut record).expect("a record");
    record
}

#[test]
fn a_handshake_that_never_ends_has_a_timeout() {
    let world = World::new(ServerConfig::default());
    let mut streams: Vec<_> = (0..3).map(|_| world.network.connect("a client")).collect();
    // Nothing; the start of a hello; a byte each second.
    world.write(&mut streams[1], b"\x16\x03\x01\x02\0\x01");
    for byte in b"\x16\x03\x01\x02\0\x01\0\x01\xfc" {
        world.write(&mut streams[2], &[*byte]);
        world.pass(seconds(1));
    }
    assert_eq!(world.closes(), [""; 0]);
    // And another second to read the end.
    world.pass(seconds(3));
    let closes = world.closes();
    assert_eq!(closes.len(), 3);
    assert!(closes.iter().all(|close| close.contains("handshake: no TLS handshake within 10s")), "{closes:?}");
    world.stop();
}

/// A thousand clients that never finish their handshake: another client waits for some seconds at most, and connections
/// after their handshake are not affected.
#[test]
fn a_thousand_unfinished_handshakes_keep_no_client_out() {
    let world = World::new(ServerConfig::default().max_handshakes(100));
    let (mut before, _) = world.client();
    let hello = b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03";
    let mut stalled: Vec<_> = (0..1000).map(|_| world.network.connect("a staller")).collect();
    for stream in &mut stalled {
        world.write(stream, hello);
    }
    world.call(&mut before);
    let (_after, waited) = world.client();
    // A hundred of them are ended each second, or a little later, and a thousand are ahead of it.
    assert!(waited <= seconds(13), "{waited:?}");
    let crowded = "no TLS handshake within a second, while others wait and 100 are allowed at a time";
    let closes = world.closes();
    assert!(closes.iter().filter(|close| close.contains(crowded)).count() >= 900, "{closes:?}");
    world.call(&mut before);
    world.pass(seconds(30));
    let stats = world.stop();
    assert_eq!((stats.closes(CloseKind::Handshake), stats.accepted), (1000, 1002));
}

/// If no other handshake waits, a slow one has its whole timeout.
#[test]
fn a_slow_handshake_may_take_its_whole_timeout_while_there_is_room() {
    let world = World::new(ServerConfig::default().max_handshakes(2));
    let mut stalled = world.network.connect("a slow client");
    world.write(&mut stalled, b"\x16\x03\x01");
    world.pass(seconds(9));
    let (_client, waited) = world.client();
    assert_eq!((waited, world.closes()), (Duration::ZERO, vec![]));
    world.stop();
}

/// The bytes of an unfinished record count like those of an unfinished frame; otherwise they could be held for ever.
#[test]
fn an_unfinished_record_is_a_slow_frame() {
    let world = World::new(ServerConfig::default().min_rate(None));
    let (mut client, _) = world.client();
    let record = record_of(&mut client, &frame(&[7; 10_000]));
    world.write(client.get_mut().0, &record[..5000]);
    world.pass(seconds(9));
    assert_eq!(world.closes(), [""; 0]);
    world.pass(seconds(3));
    assert!(world.closes()[0].contains("slow frame: 5000 bytes within 10s"), "{:?}", world.closes());
    world.stop();
}

/// A record that arrives in parts and carries no frame, such as a key update, runs into no timeout.
#[test]
fn a_torn_record_without_a_frame_runs_into_no_timeout() {
    let world = World::new(ServerConfig::default());
    let (mut client, _) = world.client();
    let mut record = Vec::new();
    client.get_mut().1.refresh_traffic_keys().expect("a key update");
    client.get_mut().1.write_tls(&mut record).expect("a record");
    let (begin, rest) = record.split_at(10);
    world.write(client.get_mut().0, begin);
    world.pass(seconds(5));
    world.write(client.get_mut().0, rest);
    world.pass(seconds(3600));
    assert_eq!(world.closes(), [""; 0]);
    world.call(&mut client);
    world.stop();
}

/// However little memory is left, short frames pass, and a long record waits for memory.
#[test]
fn nothing_is_read_while_memory_is_used_up() {
    // 96 KiB are for reading. Each session takes 6 KiB of it, and a long record 18.
    let format = unstick::framing::Format::U32_LE.with_max_payload_len(32 << 10).expect("a format");
    let config = ServerConfig::default().format(format).memory_budget(Some(128 << 10)).frame_timeout(None);
    let world = World::new(config);
    let mut clients: Vec<_> = (0..8).map(|_| world.client().0).collect();
    for client in &mut clients {
        let record = record_of(client, &frame(&[7; 16_000]));
        world.write(client.get_mut().0, &record[..15_000]);
    }
    world.pass(seconds(60));
    // They hold all memory for reading while others wait, so those above their share end.
    let closes = world.closes();
    assert!(closes.iter().all(|close| close.contains("over budget")), "{closes:?}");
    assert!(closes.len() < 8, "{closes:?}");
    drop(clients);
    world.pass(seconds(60));
    let (_client, _) = world.client();
    let stats = world.stop();
    assert!(stats.closes(CloseKind::OverBudget) >= 1, "{stats:?}");
}
