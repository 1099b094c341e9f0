//! An echo server and its client on tokio, with `FrameCodec` in a `Framed`.
//!
//!     cargo run --example tokio_codec --features tokio-codec

use std::error::Error;

use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::codec::Framed;
use unstick::codec::FrameCodec;
use unstick::framing::Format;

const FORMAT: Format = Format::U32_BE;

async fn serve(listener: TcpListener) -> Result<(), Box<dyn Error>> {
    let (socket, _) = listener.accept().await?;
    let mut frames = Framed::new(socket, FrameCodec::new(FORMAT));
    while let Some(frame) = frames.next().await {
        frames.send(frame?).await?; // the frame as received; its payload is `frame.payload()`, or `frame.into_payload()` as `Bytes`
    }
    Ok(())
}

async fn call(socket: TcpStream) -> Result<(), Box<dyn Error>> {
    let mut frames = Framed::new(socket, FrameCodec::new(FORMAT));
    for text in ["hello", "", "你好"] {
        frames.send(text.as_bytes()).await?;
        let reply = frames.next().await.ok_or("the server ended its stream")??;
        println!("{:?} of {} bytes on the wire", reply.text()?, reply.as_bytes().len());
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    tokio::runtime::Builder::new_current_thread().enable_io().build()?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let client = call(TcpStream::connect(listener.local_addr()?).await?);
        let (served, called) = futures_lite::future::zip(serve(listener), client).await;
        served.and(called)
    })
}
