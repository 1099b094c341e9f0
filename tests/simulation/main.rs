//! The whole server on one thread, with connections in memory and a made-up clock: hours pass in milliseconds, and what
//! two runs give is the same.

mod faults;
mod limits;
mod pushing;
mod waiting;

use std::cell::RefCell;
use std::error::Error;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use smol::channel;
use unstick::framing::{Format, Frame};
use unstick::testing::{MemoryStream, Network, Simulation};
use unstick::{Account, FramedWrite, Peer, Responder, Server, ServerConfig, Stats};

/// A world with a server in it.
struct World {
    sim: Rc<Simulation>,
    network: Network,
    account: Account,
    closes: Arc<Mutex<Vec<String>>>,
    stop: channel::Sender<()>,
    serving: smol::Task<Stats>,
}

/// The buffer of a connection, in bytes for each direction.
const WAY: usize = 64 * 1024;

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

impl World {
    fn new<N, F, E>(config: ServerConfig, new_handler: impl FnOnce(&Rc<Simulation>) -> N) -> World
    where
        N: Fn(Peer) -> F + 'static,
        F: AsyncFnMut(Frame<'_>, &mut Responder) -> Result<(), E> + 'static,
        E: Into<Box<dyn Error + Send + Sync>> + 'static,
    {
        let sim = Rc::new(Simulation::new());
        let (listener, network) = Simulation::network(WAY);
        let closes = Arc::new(Mutex::new(Vec::new()));
        let (stop, stopped) = channel::bounded(1);
        let server = Server::with_listener(listener, config).expect("a configuration to serve with");
        let (told, account) = (Arc::clone(&closes), server.account());
        let server = server.on_close(move |closed| told.lock().expect("no panic").push(closed.to_string()));
        let new_handler = new_handler(&sim);
        let serving = sim.serve(server, new_handler, async move { _ = stopped.recv().await });
        let serving = sim.spawn(serving);
        World { sim, network, account, closes, stop, serving }
    }

    fn echo(config: ServerConfig) -> World {
        World::new(config, |_| {
            |_| async |frame: Frame<'_>, responder: &mut Responder| responder.send(frame.payload()).await
        })
    }

    fn connect(&self, name: &str) -> Client {
        Client(Rc::new(RefCell::new(self.network.connect(name))))
    }

    /// Lets this much time pass.
    fn pass(&self, duration: Duration) {
        self.sim.run(self.sim.sleep(duration));
    }

    fn run<T>(&self, future: impl Future<Output = T>) -> T {
        self.sim.run(future)
    }

    /// What was told of closes so far.
    fn closes(&self) -> Vec<String> {
        self.closes.lock().expect("no panic").clone()
    }

    /// Stops the server.
    fn stop(self) -> (Stats, Vec<String>) {
        drop(self.stop);
        let stats = self.sim.run(self.serving);
        let closes = self.closes.lock().expect("no panic").clone();
        assert_eq!(stats.accepted, stats.closed(), "each connection is closed for one reason");
        assert_eq!(stats.accepted, closes.len() as u64, "and each is reported once");
        assert_eq!(stats.buffered, 0, "all memory is given back");
        (stats, closes)
    }
}

/// A client's end of a connection.
#[derive(Clone)]
struct Client(Rc<RefCell<MemoryStream>>);

// Each client is used by one task at a time.
#[allow(clippy::await_holding_refcell_ref)]
impl Client {
    async fn write(&self, bytes: &[u8]) {
        let stream = &mut *self.0.borrow_mut();
        stream.write_all(bytes).await.expect("written");
    }

    async fn send(&self, payload: &[u8]) {
        let stream = &mut *self.0.borrow_mut();
        FramedWrite::new(stream, Format::U32_LE).send(payload).await.expect("sent");
    }

    /// The next frame; nothing after it is read.
    async fn recv(&self) -> Option<Vec<u8>> {
        let stream = &mut *self.0.borrow_mut();
        let mut header = [0; 4];
        if stream.read(&mut header[..1]).await.expect("read") == 0 {
            return None;
        }
        stream.read_exact(&mut header[1..]).await.expect("a header");
        let mut payload = vec![0; u32::from_le_bytes(header) as usize];
        stream.read_exact(&mut payload).await.expect("a payload");
        Some(payload)
    }

    /// All bytes until the end.
    async fn read_to_end(&self) -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.0.borrow_mut().read_to_end(&mut bytes).await?;
        Ok(bytes)
    }

    async fn text(&self) -> String {
        String::from_utf8(self.recv().await.expect("a frame")).expect("text")
    }

    /// Our FIN.
    async fn close(&self) {
        self.0.borrow_mut().close().await.expect("closed");
    }

    fn reset(&self) {
        self.0.borrow().reset();
    }

    fn unread(&self) -> usize {
        self.0.borrow().unread()
    }
}
