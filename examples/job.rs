//! A job server: it counts primes on another thread, sends its progress, and answers.
//!
//!     cargo run --release --example job
//!     cargo unstick connect 127.0.0.1:4747     in another terminal; then type a number, such as 5000000

use std::error::Error;
use std::io;
use std::ops::Range;

use unstick::framing::Frame;
use unstick::{Responder, Server, ServerConfig, Stats};

const STEPS: u64 = 10;

/// Counts the primes below the number in the frame.
///
/// While it waits, its thread serves other connections. If the client resets the connection, this future is dropped where it
/// waits: the current step still ends on its own thread, and no other one starts.
async fn count(frame: Frame<'_>, responder: &mut Responder) -> Result<(), Box<dyn Error + Send + Sync>> {
    let Ok(limit) = frame.text()?.parse::<u32>() else {
        return Ok(responder.send(b"error: send a number of up to 4294967295").await?);
    };
    let mut primes = 0;
    for step in 0..STEPS {
        let range = part(limit, step)..part(limit, step + 1);
        primes += smol::unblock(move || primes_in(range)).await;
        responder.send(format!("progress: {} %", (step + 1) * 100 / STEPS).as_bytes()).await?;
        responder.flush().await; // sends it now, not with the answer
    }
    Ok(responder.send(format!("{primes} primes are less than {limit}").as_bytes()).await?)
}

/// Where this step begins.
fn part(limit: u32, step: u64) -> u64 {
    u64::from(limit) * step / STEPS
}

fn primes_in(range: Range<u64>) -> usize {
    let is_prime = |n: &u64| *n > 1 && (2..).take_while(|d| d * d <= *n).all(|d| !n.is_multiple_of(d));
    range.filter(is_prime).count()
}

pub(crate) async fn serve(server: Server) -> io::Result<Stats> {
    server.serve(|_peer| count, std::future::pending()).await
}

fn main() -> io::Result<()> {
    smol::block_on(serve(Server::bind("127.0.0.1:4747", ServerConfig::default())?)).map(drop)
}
