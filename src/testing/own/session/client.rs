//! A client of a session, and what it received.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use futures_io::{AsyncRead, AsyncWrite};
use futures_lite::future::zip;

use super::script::{Acts, Ends, Reads, TIMEOUT};
use crate::testing::simulation::{MemoryStream, Simulation};

/// Does as the script says, until the server has ended. Returns what was received, and whether the stream had an end.
pub(super) async fn run(simulation: Rc<Simulation>, stream: MemoryStream, acts: &Acts) -> (Vec<u8>, bool) {
    let client = Client { simulation, stream: RefCell::new(stream) };
    let ((), received) = zip(client.write(acts), client.read(acts.reads)).await;
    received
}

struct Client {
    simulation: Rc<Simulation>,
    stream: RefCell<MemoryStream>,
}

impl Client {
    async fn write(&self, acts: &Acts) {
        for (mut chunk, wait) in acts.cuts.chunks(&acts.stream).zip(acts.waits.iter().cycle()) {
            while !chunk.is_empty() {
                let written = poll_fn(|cx| Pin::new(&mut *self.stream.borrow_mut()).poll_write(cx, chunk)).await;
                // The server has ended the connection.
                let Ok(len) = written else { return };
                chunk = &chunk[len..];
            }
            self.wait(*wait).await;
        }
        match acts.ends {
            Ends::Fin => _ = poll_fn(|cx| Pin::new(&mut *self.stream.borrow_mut()).poll_close(cx)).await,
            Ends::Reset => self.stream.borrow().reset(),
            Ends::Stays => {}
        }
    }

    async fn read(&self, reads: Reads) -> (Vec<u8>, bool) {
        if reads == Reads::Late {
            self.wait(2 * TIMEOUT).await;
        }
        let (mut received, mut buffer) = (Vec::new(), vec![0; 16 * 1024]);
        let most = if reads == Reads::Slowly { 2000 } else { buffer.len() };
        loop {
            let buffer = &mut buffer[..most];
            let read: io::Result<usize> =
                poll_fn(|cx| Pin::new(&mut *self.stream.borrow_mut()).poll_read(cx, buffer)).await;
            match read {
                Ok(0) => return (received, true),
                Ok(len) => received.extend_from_slice(&buffer[..len]),
                Err(_) => return (received, false),
            }
            if reads == Reads::Slowly {
                self.wait(Duration::from_millis(10)).await;
            }
        }
    }

    async fn wait(&self, duration: Duration) {
        if !duration.is_zero() {
            self.simulation.sleep(duration).await;
        }
    }
}
