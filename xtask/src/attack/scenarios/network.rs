//! A peer that is gone without a word: possible only in a network of one's own, where packets can be lost for good.

use std::net::SocketAddr;

use socket2::{Domain, Socket, Type};

use super::*;
use crate::network::ip;
use crate::socket::Addr;

/// The address of the peers that are cut off.
const AWAY: [u8; 4] = [127, 0, 0, 2];

pub(super) const HALF_OPEN: Scenario = Scenario {
    name: "half-open",
    about: "peers vanish without FIN or RST: found by keepalive after 31 s (in its own network namespace)",
    limits: "--keepalive 1",
    beside: Beside::Healthy,
    attack: |scene| {
        let count = 20;
        scene.sent = format!("{count} connections whose way is cut: no packet comes from them or gets to them");
        let Addr::Tcp(addr) = *scene.addr() else { return Err("only TCP can be cut".into()) };
        let mut peers = Vec::new();
        for _ in 0..count {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
            socket.bind(&SocketAddr::from((AWAY, 0)).into())?;
            socket.connect(&addr.into())?;
            let mut peer = Peer::of(socket)?;
            peer.echo(b"hello")?;
            peers.push(peer);
        }
        ip("route replace blackhole 127.0.0.2/32 table local")?;
        let stats = scene.await_closes_within("unreachable", count, FOUND_WITHIN)?;
        scene.noted.push(stats.said("unreachable"));
        Ok(())
    },
};

/// The server asks three times, every 10 s, after a second of silence.
const FOUND_WITHIN: std::time::Duration = std::time::Duration::from_secs(60);

/// Makes this network namespace's own loopback fit for the attack: 127.0.0.2 is reached by a route of its own.
///
/// # Errors
/// Where `ip` fails.
pub(in crate::attack) fn prepare() -> Fallible {
    ip("link set lo up")?;
    ip("route add local 127.0.0.2/32 dev lo table local")?;
    ip("route del local 127.0.0.0/8 dev lo table local")
}
