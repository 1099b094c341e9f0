//! A server whose format has bytes before the length field: its greeting and its replies carry them.

use smol::channel;
use unstick::framing::{Endian, Format, Frame, Layout};
use unstick::{Client, ClientConfig, CloseKind, Greeting, NO_COPY_LEN, Responder, Server, ServerConfig};

#[test]
fn greeting_has_a_zero_prefix_and_replies_have_their_own() {
    let layout = Layout::fixed(4, Endian::Big).offset(3);
    let format = Format::with_default_limit(layout).unwrap();
    smol::block_on(async {
        let server =
            Server::bind("127.0.0.1:0", ServerConfig::default().format(format).greeting(Greeting::Frame(vec![7; 23])))
                .unwrap();
        let addr = server.local_addr().unwrap();
        let (stop, stopped) = channel::bounded::<()>(1);
        let serving = smol::spawn(server.serve(
            |_| {
                async |frame: Frame<'_>, responder: &mut Responder| {
                    responder.send_with(frame.prefix(), frame.payload()).await
                }
            },
            async move { _ = stopped.recv().await },
        ));
        let config = ClientConfig::default().format(format);
        let (mut reader, mut writer) = Client::connect(addr, config).await.unwrap().split();
        assert_eq!(reader.next_frame().await.unwrap().unwrap().prefix(), [0, 0, 0]);
        // A payload that is copied into the queue, and one that is written from where it is.
        for (prefix, len) in [(b"abc", 5), (b"xyz", NO_COPY_LEN + 1)] {
            let payload = vec![7; len];
            writer.feed_with(prefix, &payload).await.unwrap();
            writer.flush().await.unwrap();
            let frame = reader.next_frame().await.unwrap().unwrap();
            assert_eq!((frame.prefix(), frame.payload()), (&prefix[..], &payload[..]));
        }
        assert_eq!(reader.bytes(), [7 + 23, 7 + 5, 7 + NO_COPY_LEN as u64 + 1].iter().sum::<u64>());
        writer.close().await.unwrap();
        assert!(reader.next_frame().await.unwrap().is_none());
        drop(stop);
        let served = serving.await.unwrap();
        assert_eq!((served.accepted, served.closes(CloseKind::Clean)), (1, 1));
    });
}
