//! Where spans go: to a collector, by OTLP over gRPC.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use opentelemetry::KeyValue;
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithTonicConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{self, SdkTracerProvider, SpanData};
use tonic::transport::{Certificate, ClientTlsConfig};

use crate::config::{self, Traces};

/// How long the last spans may take on their way.
const FLUSH_WITHIN: Duration = Duration::from_secs(2);

/// Begins to export, in the background. It has to be called on a runtime.
///
/// # Errors
/// Where a file with authorities cannot be read, or a variable of the exporter does not do.
pub(super) fn start(traces: &Traces) -> anyhow::Result<SdkTracerProvider> {
    let mut exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(&traces.endpoint);
    if traces.has_tls {
        let mut tls = ClientTlsConfig::new();
        tls = match &traces.ca {
            Some((variable, file)) => {
                let pem = std::fs::read(file).map_err(|error| {
                    anyhow!(
                        "cannot read {} (`{variable}`): {}",
                        config::load::name(file),
                        config::load::plain(&error)
                    )
                })?;
                tls.ca_certificate(Certificate::from_pem(pem))
            }
            None => tls.with_native_roots(),
        };
        exporter = exporter.with_tls_config(tls);
    }
    let exporter = exporter.build().context("traces cannot be exported")?;
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let mut resource = Resource::builder().with_attribute(version);
    if !traces.is_named {
        resource = resource.with_service_name("portcullis");
    }
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(Exporter::new(exporter))
        .with_resource(resource.build())
        .build())
}

/// An exporter that says when it begins to fail and when it works again, and not each time.
#[derive(Debug)]
struct Exporter {
    inner: SpanExporter,
    is_failing: AtomicBool,
}

impl Exporter {
    fn new(inner: SpanExporter) -> Self {
        Self {
            inner,
            is_failing: AtomicBool::new(false),
        }
    }
}

impl trace::SpanExporter for Exporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let exported = self.inner.export(batch).await;
        let was_failing = self.is_failing.swap(exported.is_err(), Ordering::Relaxed);
        match &exported {
            Err(error) if !was_failing => {
                tracing::warn!(%error, "traces cannot be exported, and are dropped");
            }
            Ok(()) if was_failing => tracing::info!("traces are exported again"),
            Ok(()) | Err(_) => {}
        }
        exported
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

/// Sends what is left. A collector that is away holds up no end.
pub(super) fn finish(provider: &SdkTracerProvider) {
    if let Err(error) = provider.shutdown_with_timeout(FLUSH_WITHIN) {
        tracing::warn!(%error, "the last traces were not exported");
    }
}
