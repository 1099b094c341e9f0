//! More connections than are allowed, and than there are descriptors.

use std::time::Instant;

use unstick::Greeting;

use super::*;

/// The most connections in the first two attacks, and those of them that are the attackers'.
const MOST: usize = 20;
const ALLOWED: usize = MOST - CLIENTS;
/// Over TLS, the most refused connections at a time that get the refusal.
const TOLD_AT_ONCE: usize = 16;
/// Descriptors that are left when they are limited, and connections that wait for one.
const LEFT: usize = 16;
/// Part of a core that a server may take for being out of descriptors.
const MOST_CPU: f64 = 0.05;
/// How soon it serves again, when there are some: its longest rest, and what a machine takes to get to it.
const BACK_WITHIN: Duration = Duration::from_millis(1100);

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        name: "over-capacity",
        about: "200 connections more than are allowed: closed at once; when others leave, new ones are served",
        limits: |config, _| config.max_connections = Some(MOST),
        act: |scene| too_many(scene, b""),
        ..Attack::PLAIN
    },
    Attack {
        name: "refusal",
        about: "200 connections more than are allowed, with a refusal: each one gets the refusal, and is closed",
        limits: |config, _| {
            config.max_connections = Some(MOST);
            config.refusal = Greeting::Frame(b"full".as_slice().into());
        },
        act: |scene| too_many(scene, &frame(b"full")),
        ..Attack::PLAIN
    },
    Attack {
        name: "descriptors",
        about: "file descriptors exhausted, then freed: no busy loop meanwhile, and connections are served again within a second",
        limits: |config, _| config.max_connections = Some(10_000),
        // Who waits to be accepted has no session yet: over TLS, what happens is what happens over TCP.
        over: &[Over::Tcp, Over::Unix],
        act: descriptors,
        ..Attack::PLAIN
    },
];

fn too_many(scene: &mut Scene, told: &[u8]) -> Fallible {
    let mut served = scene.crowd(ALLOWED)?;
    served.iter_mut().try_for_each(|peer| peer.echo(b"served"))?;
    let mut longest = Duration::ZERO;
    let mut refused = Vec::new();
    for _ in 0..200 {
        let asked = Instant::now();
        let mut peer = scene.connect()?;
        let came = peer.rest()?;
        longest = longest.max(asked.elapsed());
        // Over TLS only some are told at a time.
        let is_told = came == told || scene.over == Over::Tls && came.is_empty() && refused.len() >= TOLD_AT_ONCE;
        scene.check(is_told, || format!("told {came:?}"));
        refused.push(peer);
    }
    scene.note(format!("each closed within {longest:.1?}"));
    // They stay, and are not waited for.
    let said = scene.await_closes("refused", refused.len())?.said("refused");
    scene.check(said == "refused: 20 connections are served already", || format!("it says {said:?}"));
    served.iter_mut().try_for_each(|peer| peer.echo(b"still served"))?;
    drop(served);
    scene.await_closes("clean", ALLOWED)?;
    scene.crowd(ALLOWED)?.iter_mut().try_for_each(|peer| Ok(peer.echo(b"served again")?))
}

fn descriptors(scene: &mut Scene) -> Fallible {
    let calm = scene.cpu_share();
    scene.limit_descriptors(LEFT as u64)?;
    let mut served = scene.crowd(LEFT)?;
    served.iter_mut().try_for_each(|peer| peer.echo(b"served"))?;
    let mut waiting = scene.crowd_of(LEFT, &frame(b"waited"))?;
    scene.await_stats("a failed accept", |stats| stats.accept_failures >= 3)?;
    let exhausted = scene.cpu_share();
    let failures = scene.stats()?.accept_failures;
    let freed = Instant::now();
    drop(served);
    waiting.iter_mut().try_for_each(|peer| peer.expect(b"waited"))?;
    let back = freed.elapsed();
    let [calm, exhausted] = [calm, exhausted].map(|share| share * 100.0);
    scene.note(format!(
        "{failures} accepts failed; CPU {calm:.1} % before, {exhausted:.1} % while exhausted; back within {back:.1?}"
    ));
    let more = exhausted - calm;
    scene.in_time(more < 100.0 * MOST_CPU, || format!("it takes {more:.1} % of a core more"));
    scene.in_time(back < BACK_WITHIN, || format!("service was back only after {back:.1?}"));
    drop(waiting);
    Ok(scene.connect()?.echo(b"served as before")?)
}
