//! More connections than are allowed, and than there are descriptors.

use std::thread;
use std::time::{Duration, Instant};

use super::super::healthy::CLIENTS;
use super::*;

/// Connections allowed beside the healthy clients, in the attack below: those have 4 of 20.
const ALLOWED: usize = 20 - CLIENTS;

pub(super) const OVER_CAPACITY: Scenario = Scenario {
    name: "over-capacity",
    about: "more connections than are allowed: closed at once; when others leave, new ones are served",
    limits: "--max-connections 20",
    beside: Beside::Healthy,
    attack: |scene| one_too_many(scene, b""),
};

pub(super) const REFUSAL: Scenario = Scenario {
    name: "refusal",
    about: "more connections than are allowed, with a refusal: each one gets the refusal, and is closed",
    limits: "--max-connections 20 --refusal full",
    beside: Beside::Healthy,
    attack: |scene| one_too_many(scene, &frame(b"full")),
};

/// Over TLS, the most refused connections at a time that get the refusal.
const TOLD_AT_ONCE: usize = 16;

fn one_too_many(scene: &mut Scene, told: &[u8]) -> Fallible {
    let over = scene.pace.of(200, 50);
    scene.sent = format!("{over} connections more than the 20 that are allowed, then {ALLOWED} when others have left");
    let mut served = scene.crowd(ALLOWED)?;
    served.iter_mut().try_for_each(|peer| peer.echo(b"served"))?;
    let (begin, mut longest) = (Instant::now(), Duration::ZERO);
    let mut refused = Vec::new();
    for _ in 0..over {
        let asked = Instant::now();
        let mut peer = scene.connect()?;
        let came = peer.rest()?;
        longest = longest.max(asked.elapsed());
        // Over TLS only some are told at a time.
        let is_told = came == told || scene.over() == Over::Tls && came.is_empty() && refused.len() >= TOLD_AT_ONCE;
        scene.check(is_told, || format!("told {came:?}"));
        refused.push(peer);
    }
    scene.noted.push(format!("each closed within {longest:.1?}, all within {:.1?}", begin.elapsed()));
    // They stay, and are not waited for.
    let said = scene.await_closes("refused", over)?.said("refused");
    scene.check(said == "refused: 20 connections are served already", || format!("it says {said:?}"));
    served.iter_mut().try_for_each(|peer| peer.echo(b"still served"))?;
    drop(served);
    scene.await_closes("clean", ALLOWED)?;
    let mut served = scene.crowd(ALLOWED)?;
    served.iter_mut().try_for_each(|peer| peer.echo(b"served again"))?;
    Ok(())
}

/// Descriptors that are left when they are limited, and connections that wait for one.
const LEFT: usize = 16;
/// Part of a core that a server may take for being out of descriptors.
const MOST_CPU: f64 = 0.05;
/// How soon it serves again, when there are some: its longest rest, and what a machine takes to get to it.
const BACK_WITHIN: Duration = Duration::from_millis(1100);

pub(super) const DESCRIPTORS: Scenario = Scenario {
    name: "descriptors",
    about: "file descriptors exhausted, then freed: no busy loop meanwhile, and connections are served again within a second",
    limits: "--max-connections 10000",
    beside: Beside::Healthy,
    attack: |scene| {
        scene.sent = format!("{} connections where the process has descriptors for {LEFT}; then they leave", 2 * LEFT);
        let span = scene.pace.span;
        let calm = scene.host.cpu_share(span);
        scene.host.limit_descriptors(scene.host.descriptors()? + LEFT as u64)?;
        let mut served = scene.crowd(LEFT)?;
        served.iter_mut().try_for_each(|peer| peer.echo(b"served"))?;
        let mut waiting = scene.crowd(LEFT)?;
        waiting.iter_mut().try_for_each(|peer| peer.send(&frame(b"waited")))?;
        scene.await_stats("a failed accept", |stats| stats.accept_failures >= 3)?;
        let exhausted = scene.host.cpu_share(span);
        let failures = scene.host.stats()?.accept_failures;
        let freed = Instant::now();
        drop(served);
        waiting.iter_mut().try_for_each(|peer| peer.expect(b"waited"))?;
        let back = freed.elapsed();
        let percent = |share: f64| format!("{:.1} %", share * 100.0);
        scene.noted.push(format!(
            "{failures} accepts failed; CPU {} before, {} while exhausted; back within {back:.1?}",
            percent(calm),
            percent(exhausted)
        ));
        if !scene.pace.quick {
            scene.check(exhausted - calm < MOST_CPU, || {
                format!("it takes {} of a core more", percent(exhausted - calm))
            });
            scene.check(back < BACK_WITHIN, || format!("service was back only after {back:.1?}"));
        }
        drop(waiting);
        scene.connect()?.echo(b"served as before")?;
        thread::sleep(Duration::from_millis(10));
        Ok(())
    },
};
