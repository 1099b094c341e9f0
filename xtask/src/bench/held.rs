//! Connections that are held, each with a frame now and then: what a server keeps for them is to be measured.

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use rustix::net::RecvFlags;

use super::drive::SILENCE;

/// Connections, and the frame that is sent on each.
pub(super) struct Held {
    sockets: Vec<TcpStream>,
    frame: Vec<u8>,
}

impl Held {
    /// Makes the connections and sends nothing.
    ///
    /// # Errors
    /// Where one cannot be made.
    pub(super) fn connect(addr: SocketAddr, connections: usize, payload_len: usize) -> Result<Held, Box<dyn Error>> {
        let connect = |index| -> Result<TcpStream, Box<dyn Error>> {
            let failed = |error| format!("connection {} of {connections} to {addr}: {error}", index + 1);
            let socket = TcpStream::connect(addr).map_err(failed)?;
            socket.set_nodelay(true)?;
            socket.set_read_timeout(Some(SILENCE))?;
            // A reset instead of a FIN in the end: so no port is left in TIME_WAIT.
            rustix::net::sockopt::set_socket_linger(&socket, Some(Duration::ZERO))?;
            Ok(socket)
        };
        let mut frame = (payload_len as u32).to_le_bytes().to_vec();
        frame.extend((0..payload_len).map(|at| (at * 31 + 7) as u8));
        Ok(Held { sockets: (0..connections).map(connect).collect::<Result<_, _>>()?, frame })
    }

    /// Has one frame answered on every connection, which then is idle.
    ///
    /// # Errors
    /// Where a connection fails, a reply is another one, or the server falls silent.
    pub(super) fn verify(&mut self) -> Result<(), Box<dyn Error>> {
        self.ask()?;
        match self.sockets.len() - self.right_replies() {
            0 => Ok(()),
            wrong => Err(format!("on {wrong} of {} connections the reply is wrong", self.sockets.len()).into()),
        }
    }

    /// Sends one frame on every connection.
    ///
    /// # Errors
    /// Where a connection fails.
    pub(super) fn ask(&mut self) -> io::Result<()> {
        self.sockets.iter_mut().try_for_each(|socket| socket.write_all(&self.frame))
    }

    /// How many connections are neither answered nor ended.
    pub(super) fn waiting(&self) -> usize {
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        let waits =
            |socket: &&TcpStream| matches!(rustix::net::recv(socket, &mut [0], flags), Err(rustix::io::Errno::AGAIN));
        self.sockets.iter().filter(waits).count()
    }

    /// Reads one reply on every connection; how many are what was sent.
    pub(super) fn right_replies(&mut self) -> usize {
        let mut reply = vec![0; self.frame.len()];
        let mut is_right = |mut socket: &TcpStream| socket.read_exact(&mut reply).is_ok() && reply == self.frame;
        self.sockets.iter().filter(|socket| is_right(socket)).count()
    }
}
