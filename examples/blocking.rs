//! An echo server and a client that talks to it, with threads and the sockets of `std`: `cargo run --example blocking`.

use std::error::Error;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;

use unstick::framing::Format;
use unstick::{FrameReader, FrameWriter};

const FORMAT: Format = Format::U32_LE;

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let stream = TcpStream::connect(listener.local_addr()?)?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || echo(&stream).unwrap_or_else(|error| eprintln!("{error}")));
        }
    });
    thread::scope(|scope| {
        // Write and read at the same time: if we only wrote, we and a server that replies could wait for each other.
        let asking = scope.spawn(|| ask(&stream));
        let replies: Result<Vec<_>, _> = FrameReader::new(&stream, FORMAT).into_iter().collect();
        asking.join().expect("it does not panic")?;
        assert!(replies?.into_iter().eq(questions()), "each comes back, in order");
        println!("{} frames came back", questions().count());
        Ok(())
    })
}

/// Sends each frame back, until the peer ends its side of the connection.
fn echo(stream: &TcpStream) -> Result<(), Box<dyn Error>> {
    let (mut frames, mut replies) = (FrameReader::new(stream, FORMAT), FrameWriter::new(stream, FORMAT));
    while let Some(frame) = frames.next_frame()? {
        replies.send(frame.payload())?;
    }
    Ok(())
}

/// Sends all questions, many in one write, and ends our side of the connection.
fn ask(stream: &TcpStream) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut frames = FrameWriter::new(stream, FORMAT);
    for question in questions() {
        frames.feed(&question)?;
    }
    frames.flush()?;
    Ok(stream.shutdown(Shutdown::Write)?)
}

fn questions() -> impl Iterator<Item = Vec<u8>> {
    (0..1000).map(|n| format!("问题 {n}").into_bytes()).chain([Vec::new(), vec![7; 1 << 20]])
}

#[test]
fn every_frame_comes_back() {
    main().expect("no error");
}
