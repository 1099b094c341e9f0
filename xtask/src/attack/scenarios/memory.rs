//! The memory of all connections together.

use super::*;

pub(super) const OVER_BUDGET: Scenario = Scenario {
    name: "over-budget",
    about: "many hold large unfinished frames: those over their share are ended, those within it are served on",
    limits: "--memory-budget 8MiB --frame-deadline 60",
    beside: Beside::Healthy,
    attack: |scene| {
        let hogs = scene.pace.of(100, 40);
        scene.sent =
            format!("{hogs} connections hold 600 KB of a frame of 1 MB, 10 hold 2 KB of 4; the budget is 8 MiB");
        let small = frame(&[7; 4000]);
        let large = frame(&[7; 1_000_000]);
        let mut modest = scene.crowd(10)?;
        modest.iter_mut().try_for_each(|peer| peer.send(&small[..2000]))?;
        let mut peers = scene.crowd(hogs)?;
        // One that is ended may fail here.
        peers.iter_mut().for_each(|peer| _ = peer.send(&large[..600_000]));
        let books = scene.await_closes("over budget", 1)?;
        scene.check(books.buffered <= 8 << 20, || format!("{} bytes are held, of a budget of 8 MiB", books.buffered));
        for peer in &mut modest {
            peer.send(&small[2000..])?;
            peer.expect(&small[4..])?;
        }
        // Who is left may finish, as there is room again when others are done.
        let mut finished = 0;
        for mut peer in peers {
            finished += usize::from(peer.send(&large[600_000..]).and_then(|()| peer.expect(&large[4..])).is_ok());
        }
        scene.noted.push(format!("10 modest ones and {finished} of {hogs} large ones were served to the end"));
        scene.check(finished > 0, || "none of the large ones was served".into());
        let books = scene.await_books("the end of the large ones", |books| {
            books.closes("over budget") + books.closes("clean") == hogs as u64
        })?;
        let over = books.closes("over budget") as usize;
        scene.check(over + finished == hogs, || format!("{hogs} connections: {over} over budget, {finished} served"));
        scene.check_memory((8 << 20) + (12 << 20));
        Ok(())
    },
};

pub(super) const MANY_SMALL_HOLDS: Scenario = Scenario {
    name: "many-small-holds",
    about: "so many hold a little that hardly anything of the budget is left: who holds nothing is served on all the same",
    limits: "--memory-budget 8MiB --frame-deadline 60",
    beside: Beside::Healthy,
    attack: |scene| {
        scene.sent = "400 connections hold 30 KB of a frame each; the budget is 8 MiB".into();
        let part = frame(&[7; 60_000]);
        let mut peers = scene.crowd(400)?;
        peers.iter_mut().for_each(|peer| _ = peer.send(&part[..30_000]));
        let books = scene
            .await_books("what they sent", |books| books.closes("over budget") + books.buffered / 29_000 >= 250)?;
        scene.noted.push(format!("{} KiB held of 8192", books.buffered >> 10));
        scene.check(books.buffered <= 8 << 20, || format!("{} bytes are held, of a budget of 8 MiB", books.buffered));
        // The healthy clients, and others that come now.
        for _ in 0..20 {
            let mut peer = scene.connect()?;
            (0..40).try_for_each(|_| peer.echo(b"modest"))?;
        }
        std::thread::sleep(scene.pace.span);
        Ok(())
    },
};
