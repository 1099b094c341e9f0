//! `unstick serve --metrics`: statistics over HTTP, in the text format of Prometheus.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::thread;
use std::time::Duration;

use futures_lite::FutureExt;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderName};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::{MetricType, TypedMetric};
use prometheus_client::registry::{Registry, Unit};
use smol::{Async, LocalExecutor, Timer};
use smol_hyper::rt::FuturesIo;
use unstick::{Account, CloseKind};

use crate::args::HostPort;
use crate::exit::Failure;
use crate::serve::{OTHER_PORT, cannot_listen};

/// Requests that are answered at a time; more wait to be accepted.
const AT_ONCE: usize = 16;

/// The longest time from a connection to the last byte of its response.
const DEADLINE: Duration = Duration::from_secs(2);

/// The most bytes of a request.
const MAX_REQUEST_LEN: usize = 16 * 1024;

/// How long the listener waits after a failed accept.
const REST: Duration = Duration::from_millis(500);

/// `OpenMetrics` 1.0: the text format of Prometheus with an end mark, which shows a response that was cut short.
const CONTENT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A listener for requests; `serve` answers them.
pub(crate) struct Metrics {
    listener: Async<TcpListener>,
    addr: SocketAddr,
}

impl Metrics {
    pub(crate) fn listen(addr: &HostPort) -> Result<Metrics, Failure> {
        let listener = || -> io::Result<Async<TcpListener>> {
            // A name may have several addresses: take the first one that can be bound.
            let addrs: Vec<SocketAddr> = addr.host_port().to_socket_addrs()?.collect();
            Async::new(TcpListener::bind(&*addrs)?)
        };
        let listener =
            listener().map_err(|error| cannot_listen(format_args!("{addr} (--metrics)"), &error, OTHER_PORT))?;
        let addr = listener.get_ref().local_addr()?;
        Ok(Metrics { listener, addr })
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Answers in a thread of its own until the program ends, so that neither the server nor the requests wait for the other.
    pub(crate) fn serve(self, account: Account) -> Result<(), Failure> {
        let mut registry = Registry::with_prefix("unstick");
        registry.register_collector(Box::new(AccountCollector(account)));
        let answer = move || thread_main(&self.listener, &registry);
        let thread = thread::Builder::new().name("metrics".into()).spawn(answer);
        thread.map(drop).map_err(|error| Failure::cannot("answer --metrics", &error))
    }
}

fn thread_main(listener: &Async<TcpListener>, registry: &Registry) {
    let executor = LocalExecutor::new();
    let tasks: Vec<_> = (0..AT_ONCE).map(|_| executor.spawn(answer_for_ever(listener, registry))).collect();
    smol::block_on(executor.run(async {
        for task in tasks {
            task.await;
        }
    }));
}

async fn answer_for_ever(listener: &Async<TcpListener>, registry: &Registry) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => answer_one(stream, registry).await,
            Err(_) => _ = Timer::after(REST).await,
        }
    }
}

/// Answers one request, and closes the connection: a request every few seconds needs no more.
async fn answer_one(stream: Async<TcpStream>, registry: &Registry) {
    let service = service_fn(async |request| Ok::<_, Infallible>(answer(&request, registry)));
    let http = http1::Builder::new()
        .keep_alive(false)
        .max_buf_size(MAX_REQUEST_LEN)
        .serve_connection(FuturesIo::new(stream), service);
    let answered = async { _ = http.await };
    answered.or(async { _ = Timer::after(DEADLINE).await }).await;
}

fn answer(request: &Request<Incoming>, registry: &Registry) -> Response<String> {
    let plain = (CONTENT_TYPE, "text/plain; charset=utf-8");
    match (request.uri().path(), request.method()) {
        ("/metrics", &Method::GET | &Method::HEAD) => {
            let mut body = String::new();
            match text::encode(&mut body, registry) {
                Ok(()) => respond(StatusCode::OK, &[(CONTENT_TYPE, CONTENT)], body),
                Err(fmt::Error) => respond(StatusCode::INTERNAL_SERVER_ERROR, &[plain], "not encoded\n".into()),
            }
        }
        ("/metrics", _) => {
            respond(StatusCode::METHOD_NOT_ALLOWED, &[plain, (ALLOW, "GET, HEAD")], "only GET and HEAD\n".into())
        }
        _ => respond(StatusCode::NOT_FOUND, &[plain], "statistics are at /metrics\n".into()),
    }
}

fn respond(status: StatusCode, headers: &[(HeaderName, &'static str)], body: String) -> Response<String> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    for (name, value) in headers {
        response.headers_mut().insert(name, hyper::header::HeaderValue::from_static(value));
    }
    response
}

/// Encodes the statistics of one moment, so that they balance in each response.
#[derive(Debug)]
struct AccountCollector(Account);

impl Collector for AccountCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let stats = self.0.stats();
        let traffic = stats.traffic;
        let mut counter =
            |name, help, unit: Option<&Unit>, value| put(&mut encoder, name, help, unit, &ConstCounter::new(value));
        counter("connections_accepted", "Connections accepted, refused ones included", None, stats.accepted)?;
        counter("accept_failures", "Failed attempts to accept a connection", None, stats.accept_failures)?;
        counter("frames_received", "Whole frames received", None, traffic.frames_in)?;
        counter("frames_sent", "Frames sent, greetings included", None, traffic.frames_out)?;
        counter("received", "Bytes received", Some(&Unit::Bytes), traffic.bytes_in)?;
        counter("sent", "Bytes sent", Some(&Unit::Bytes), traffic.bytes_out)?;
        let mut gauge =
            |name, help, unit: Option<&Unit>, value| put(&mut encoder, name, help, unit, &ConstGauge::new(value));
        gauge("connections_active", "Connections that have not ended", None, stats.active)?;
        gauge("buffered", "Memory that connections hold while they wait", Some(&Unit::Bytes), stats.buffered as u64)?;
        let help = "Connections that have ended, by reason";
        let mut closed = encoder.encode_descriptor("connections_closed", help, None, MetricType::Counter)?;
        for kind in CloseKind::ALL {
            let labels = [("reason", kind.name())];
            ConstCounter::new(stats.closes(*kind)).encode(closed.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

fn put<M: EncodeMetric + TypedMetric>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    unit: Option<&Unit>,
    metric: &M,
) -> fmt::Result {
    metric.encode(encoder.encode_descriptor(name, help, unit, M::TYPE)?)
}
