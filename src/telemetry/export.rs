//! Spans of requests, handed to an OpenTelemetry collector: OTLP in protobuf over plain HTTP/1.1.
//!
//! A span says what the request's line in the log says, in OpenTelemetry's words, and no more.

use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::{SpanKind, Status, TracerProvider};
use opentelemetry::{Key, KeyValue, Value};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::resource::EnvResourceDetector;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tracing::Span;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Subscriber;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

/// How long the collector may take for each thing that is asked of it.
const PATIENCE: Duration = Duration::from_secs(5);

/// The longest head of an answer that is read.
const LONGEST_HEAD: usize = 16 * 1024;

/// A running export.
pub struct Traces(SdkTracerProvider);

impl Traces {
    /// Exports to the collector at `endpoint`, an `http://` address with its path. What else there is to
    /// set (names, sampling, sizes of batches) is read from the variables that OpenTelemetry names.
    pub fn to(endpoint: &str) -> Result<Traces, String> {
        let client = PlainHttp { silent: AtomicBool::new(false) };
        let exporter =
            opentelemetry_otlp::SpanExporter::builder().with_http().with_http_client(client).with_endpoint(endpoint);
        let exporter = exporter.build().map_err(|error| error.to_string())?;
        let name = std::env::var("OTEL_SERVICE_NAME").unwrap_or_else(|_| "salur".to_owned());
        let resource = Resource::builder_empty()
            .with_service_name(name)
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .with_detector(Box::new(EnvResourceDetector::new()))
            .build();
        Ok(Traces(
            SdkTracerProvider::builder().with_resource(resource).with_batch_exporter(Translated(exporter)).build(),
        ))
    }

    pub(super) fn layer<S: Subscriber + for<'a> LookupSpan<'a>>(&self) -> impl Layer<S> + use<S> {
        let ours = filter_fn(|metadata| metadata.is_span() && metadata.target().starts_with("salur"));
        let layer = tracing_opentelemetry::layer().with_location(false).with_threads(false).with_target(false);
        let layer = layer.with_tracked_inactivity(false).with_level(false).with_tracer(self.0.tracer("salur"));
        layer.with_filter(ours.with_max_level_hint(LevelFilter::INFO))
    }

    /// Hands over what is left. Blocks for some seconds at most.
    pub fn finish(self) {
        if let Err(error) = self.0.shutdown_with_timeout(PATIENCE) {
            tracing::warn!(%error, "the last spans were not handed over");
        }
    }
}

/// Makes `span` part of the trace that a caller says it belongs to, in the words of W3C Trace Context.
pub fn continues(span: &Span, traceparent: Option<&str>) {
    struct Header<'a>(&'a str);
    impl Extractor for Header<'_> {
        fn get(&self, key: &str) -> Option<&str> {
            (key == "traceparent").then_some(self.0)
        }
        fn keys(&self) -> Vec<&str> {
            vec!["traceparent"]
        }
    }
    if let Some(traceparent) = traceparent {
        // Where nothing is exported there is nothing to continue.
        let _ = span.set_parent(TraceContextPropagator::new().extract(&Header(traceparent)));
    }
}

/// Says in OpenTelemetry's words what spans say in ours.
#[derive(Debug)]
struct Translated(opentelemetry_otlp::SpanExporter);

impl SpanExporter for Translated {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let batch: Vec<SpanData> = batch.into_iter().filter_map(translated).collect();
        if batch.is_empty() { Ok(()) } else { self.0.export(batch).await }
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.0.set_resource(resource);
    }
}

/// `None` for those who only look whether we live.
fn translated(mut span: SpanData) -> Option<SpanData> {
    let said = |name: &str| span.attributes.iter().find(|said| said.key.as_str() == name).map(|said| &said.value);
    let (method, route) = (said("method")?.as_str(), said("route")?.as_str());
    if route.starts_with("/health/") || route == "/metrics" {
        return None;
    }
    span.name = format!("{method} {route}").into();
    span.span_kind = SpanKind::Server;
    if matches!(said("status"), Some(Value::I64(500..))) {
        span.status = Status::error("");
    }
    for said in &mut span.attributes {
        said.key = Key::from_static_str(match said.key.as_str() {
            "method" => "http.request.method",
            "route" => "http.route",
            "status" => "http.response.status_code",
            "operation" => "graphql.operation.name",
            "reference" => "salur.reference",
            _ => continue,
        });
    }
    Some(span)
}

/// A client for a collector nearby. It is used by the exporter's own thread, one request at a time.
#[derive(Debug)]
struct PlainHttp {
    /// The collector did not take the last batch, and it has been said so.
    silent: AtomicBool,
}

type Answer<'a> = Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'a>>;

impl HttpClient for PlainHttp {
    fn send_bytes<'a, 'b>(&'a self, request: Request<Bytes>) -> Answer<'b>
    where
        'a: 'b,
        Self: 'b,
    {
        let answer = send(&request);
        let taken = matches!(&answer, Ok(answer) if answer.status().is_success());
        if self.silent.swap(!taken, Ordering::Relaxed) == taken {
            let collector = request.uri().to_string();
            match &answer {
                Ok(answer) if taken => {
                    tracing::info!(collector, status = answer.status().as_u16(), "spans are taken again")
                }
                Ok(answer) => tracing::warn!(collector, status = answer.status().as_u16(), "spans are not taken"),
                Err(error) => tracing::warn!(collector, %error, "spans are not taken"),
            }
        }
        Box::pin(std::future::ready(answer))
    }
}

fn send(request: &Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
    let uri = request.uri();
    let host = uri.host().ok_or("the collector's address has no host")?;
    let place = (host.trim_matches(['[', ']']), uri.port_u16().unwrap_or(80));
    let address = place.to_socket_addrs()?.next().ok_or("the collector's host has no address")?;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let length = request.body().len();
    let mut head = format!("POST {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {length}\r\n");
    for (name, value) in request.headers() {
        head.push_str(&format!("{name}: {}\r\n", value.to_str()?));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes())?;
    stream.write_all(request.body())?;
    // The status is all that we look at.
    let (mut answer, mut chunk) = (Vec::new(), [0; 1024]);
    while !answer.windows(4).any(|end| end == b"\r\n\r\n") {
        let read = stream.read(&mut chunk)?;
        if read == 0 || answer.len() > LONGEST_HEAD {
            return Err("the collector's answer does not read".into());
        }
        answer.extend_from_slice(&chunk[..read]);
    }
    let status = std::str::from_utf8(&answer).ok().and_then(|text| text.split(' ').nth(1)).unwrap_or_default();
    Ok(Response::builder().status(status).body(Bytes::new())?)
}
