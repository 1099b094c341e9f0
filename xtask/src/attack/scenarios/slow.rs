//! Peers that take their time: to speak, to finish, to read.

use std::thread;
use std::time::{Duration, Instant};

use super::*;

pub(super) const SILENT: Scenario = Scenario {
    name: "silent",
    about: "connections that send nothing: ended by the first-frame timeout",
    limits: "--first-frame-timeout 0.3",
    beside: Beside::Healthy,
    attack: |scene| {
        let count = scene.pace.of(500, 50);
        scene.sent = format!("{count} connections, and not a byte");
        let mut peers = scene.crowd(count)?;
        see_the_end(scene, &mut peers);
        scene.await_closes("silent", count)?;
        Ok(())
    },
};

pub(super) const DRIP: Scenario = Scenario {
    name: "drip",
    about: "one byte now and then: ended by the frame timeout",
    limits: "--frame-timeout 0.4",
    beside: Beside::Healthy,
    attack: |scene| {
        let count = scene.pace.of(200, 20);
        scene.sent = format!("{count} connections: a frame of 1000 bytes, a byte each 50 ms");
        let mut peers = scene.crowd(count)?;
        let wire = frame(&[7; 1000]);
        let begin = Instant::now();
        for byte in wire.chunks(1) {
            // Those that were ended may fail; the account tells how they were.
            peers.iter_mut().for_each(|peer| _ = peer.send(byte));
            if scene.host.stats()?.closes("slow frame") == count as u64 || begin.elapsed() > PATIENCE {
                break;
            }
            thread::sleep(Duration::from_millis(50));
        }
        scene.await_closes("slow frame", count)?;
        Ok(())
    },
};

pub(super) const PARTIAL_FRAME: Scenario = Scenario {
    name: "partial-frame",
    about: "a whole frame, half of the next one, then silence: the whole one is answered, then the frame timeout",
    limits: "--frame-timeout 0.4",
    beside: Beside::Healthy,
    attack: |scene| {
        let count = scene.pace.of(200, 20);
        scene.sent = format!("{count} connections: a whole frame and half of one of 1000 bytes");
        let mut peers = scene.crowd(count)?;
        let wire = [&frame(b"whole")[..], &frame(&[7; 1000])[..504]].concat();
        peers.iter_mut().try_for_each(|peer| peer.send(&wire))?;
        peers.iter_mut().try_for_each(|peer| peer.expect(b"whole"))?;
        see_the_end(scene, &mut peers);
        let stats = scene.await_closes("slow frame", count)?;
        let said = stats.said("slow frame");
        let right = said.contains("504 bytes within") && said.contains("500 missing");
        scene.check(right, || format!("it does not say that 504 came and 500 are missing: {said}"));
        Ok(())
    },
};

pub(super) const IDLE: Scenario = Scenario {
    name: "idle",
    about: "a frame, then silence, with an idle timeout: it ends these clients, not those that send",
    limits: "--idle-timeout 1",
    beside: Beside::Healthy,
    attack: |scene| {
        let count = scene.pace.of(500, 50);
        scene.sent = format!("{count} connections: one frame each, then nothing");
        let mut peers = scene.crowd(count)?;
        peers.iter_mut().try_for_each(|peer| peer.echo(b"hello"))?;
        see_the_end(scene, &mut peers);
        scene.await_closes("idle", count)?;
        Ok(())
    },
};

pub(super) const NEVER_READS: Scenario = Scenario {
    name: "never-reads",
    about: "sends without end and never reads a reply: not read from, then ended by the write timeout, memory flat",
    limits: "--write-timeout 0.5",
    beside: Beside::Healthy,
    attack: |scene| {
        let count = scene.pace.of(20, 5);
        let mut peers = scene.crowd(count)?;
        let wire: Vec<u8> = frame(&[7; 1000]).into_iter().cycle().take(1004 * 65_536).collect();
        let sent = thread::scope(|scope| {
            let send = |peer| scope.spawn(|| Peer::send_until_stuck(peer, &wire, Duration::from_secs(2)));
            let sending: Vec<_> = peers.iter_mut().map(send).collect();
            sending.into_iter().map(|sent| sent.join().unwrap_or(0)).max().unwrap_or(0)
        });
        let mib = sent as f64 / 1_048_576.0;
        scene.sent =
            format!("{count} connections: frames of 1000 bytes until nothing goes ({mib:.1} MiB), reading none");
        scene.check(sent < wire.len(), || "the server took all 64 MiB from a peer that does not read".into());
        scene.await_closes("slow reader", count)?;
        // What it read at once, and what it queued before it waited, for each.
        scene.check_memory((4 << 20) + count as u64 * (320 << 10));
        Ok(())
    },
};
