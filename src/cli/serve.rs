//! `serve`: runs the service until a signal ends it.

use std::net::SocketAddr;
use std::path::Path;

use tokio_util::sync::CancellationToken;

use super::healthcheck::reachable;
use super::signals::Signals;
use super::{Verdict, demo, import, logging, output, traces, words};
use crate::app::{self, Bound, Drained, ServeConfig, StoreChoice};
use crate::callers::AuthConfig;
use crate::config::{Environment, Origins, Proofs, ServeArgs, Traces, load};
use crate::datafile;
use crate::domain::FeatureMatrix;
use crate::store::ImportError;

pub(super) fn run(
    args: &ServeArgs,
    origins: &Origins,
    environment: &Environment,
    warnings: &[String],
) -> anyhow::Result<Verdict> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let on_runtime = runtime.enter();
    let traces = Traces::read(environment)?;
    let provider = traces.as_ref().map(traces::start).transpose()?;
    let filter = args.logging.filter();
    logging::start(args.logging.log_format, filter, provider.as_ref())?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    for (long, file) in args.proofs() {
        load::check_file(file, long, origins)?;
    }
    let matrix = load::matrix(&args.matrix, origins)?;
    let about = About {
        store: store_in_words(args),
        matrix: matrix_in_words(args, &matrix),
        data: data_in_words(args),
        callers: callers_in_words(&args.auth()),
        has_tls: args.tls().is_some(),
        is_open: args.callers.auth == Proofs::NONE,
        traces: traces.as_ref().map(|traces| traces.endpoint.clone()),
        is_demo: is_demo(args),
        reflection: args.listening.reflection,
    };
    let config = ServeConfig {
        listen: args.listening.listen,
        http_listen: args.listening.http_listen,
        store: store(args, origins, &matrix)?,
        matrix,
        directory: args.directory(),
        limits: args.edge_limits(),
        tls: args.tls(),
        auth: args.auth(),
        shutdown_delay: args.calls.shutdown_delay,
        shutdown_grace: args.calls.shutdown_grace,
        reflection: args.listening.reflection,
        decision_log: args.logging.decisions(),
    };
    let drained = runtime.block_on(async {
        let mut signals = Signals::listen()?;
        let named = |error: anyhow::Error| match error.downcast() {
            Ok(ImportError::Invalid(problem)) => anyhow::anyhow!("{}: {problem}", about.data),
            Ok(other @ (ImportError::Store(_) | ImportError::OutcomeUnknown(_))) => other.into(),
            Err(other) => other,
        };
        let bound = app::build(config).await.map_err(named)?;
        output::print(&about.block(bound.grpc_addr()?, bound.http_addr()?))?;
        until_drained(bound, &mut signals).await
    });
    if let Some(provider) = &provider {
        traces::finish(provider);
    }
    drop(on_runtime);
    // Whatever still runs was cut.
    runtime.shutdown_background();
    Ok(match drained? {
        Drained::Clean => Verdict::Yes,
        Drained::Cut(_) => Verdict::No,
    })
}

/// Serves until a first signal, then until calls are done or a second one cuts them.
async fn until_drained(bound: Bound, signals: &mut Signals) -> anyhow::Result<Drained> {
    let shutdown = CancellationToken::new();
    let mut serving = Box::pin(bound.serve(shutdown.clone()));
    tokio::select! {
        ended = &mut serving => return ended,
        signal = signals.next() => tracing::info!(signal, "asked to end: draining"),
    }
    shutdown.cancel();
    let drained = tokio::select! {
        ended = &mut serving => ended?,
        signal = signals.next() => {
            tracing::warn!(signal, "asked again: ending at once");
            return Ok(Drained::Cut(0));
        }
    };
    match drained {
        Drained::Clean => tracing::info!("drained: every call was finished"),
        Drained::Cut(connections) => {
            tracing::warn!(
                connections,
                "calls were cut at the end of the grace, with their connections"
            );
        }
    }
    Ok(drained)
}

fn is_demo(args: &ServeArgs) -> bool {
    args.store.data.is_none() && !args.database.is_configured()
}

fn store(
    args: &ServeArgs,
    origins: &Origins,
    matrix: &FeatureMatrix,
) -> anyhow::Result<StoreChoice> {
    if let Some(config) = load::database(&args.database, args.limits(), origins)? {
        return Ok(StoreChoice::Postgres(config));
    }
    let (mut data, warnings) = match &args.store.data {
        Some(file) => {
            let text = load::read(file, "data", origins)?;
            import::parse(&text, &data_in_words(args), matrix)?
        }
        None => import::parse(datafile::DEMO, &data_in_words(args), matrix)?,
    };
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    data.actor = "serve".to_owned();
    Ok(StoreChoice::Memory(data))
}

fn data_in_words(args: &ServeArgs) -> String {
    let file = args.store.data.as_deref();
    file.map_or_else(|| "the demo data".to_owned(), load::name)
}

fn store_in_words(args: &ServeArgs) -> String {
    match &args.store.data {
        Some(file) => format!("memory, from {}", load::name(file)),
        None if is_demo(args) => {
            "DEMO DATA, in memory: gone at exit, nobody's real accounts or prices".to_owned()
        }
        None => "Postgres".to_owned(),
    }
}

fn matrix_in_words(args: &ServeArgs, matrix: &FeatureMatrix) -> String {
    let features = words::count(matrix.features().count(), "feature", "features");
    let from = args.matrix.matrix.as_deref().map(Path::new);
    let from = from.map_or_else(|| "built in".to_owned(), load::name);
    format!("{from}, {features}")
}

fn callers_in_words(auth: &AuthConfig) -> String {
    let (mtls, jwt, callers) = match auth {
        AuthConfig::Anyone => return "anyone who can connect".to_owned(),
        AuthConfig::Proved { mtls, jwt, callers } => (mtls, jwt, callers),
    };
    let proofs = match (mtls, jwt) {
        (Some(_), Some(_)) => "mTLS and tokens",
        (Some(_), None) => "mTLS",
        (None, _) => "tokens",
    };
    format!("{proofs}, roles from {}", load::name(callers))
}

/// What is told once the ports are bound.
struct About {
    store: String,
    data: String,
    matrix: String,
    callers: String,
    /// Where spans are sent.
    traces: Option<String>,
    has_tls: bool,
    is_open: bool,
    is_demo: bool,
    reflection: bool,
}

impl About {
    fn block(&self, grpc: SocketAddr, http: SocketAddr) -> String {
        let tls = if self.has_tls { " over TLS" } else { "" };
        let mut text = format!(
            "portcullis {} is up\n  gRPC     {grpc}{tls}\n  probes   http://{http}/livez, http://{http}/readyz\n  \
             metrics  http://{http}/metrics\n  \
             store    {}\n  matrix   {}\n  callers  {}\n",
            env!("CARGO_PKG_VERSION"),
            self.store,
            self.matrix,
            self.callers,
        );
        if let Some(collector) = &self.traces {
            text.push_str(&format!("  traces   {collector}\n"));
        }
        if self.is_demo {
            text.push_str(
                "\nNo store is configured: --database-url serves from Postgres, --data from a file of yours.\n",
            );
            // Where TLS or a proof is needed, the lines would need files that are not known here.
            if self.is_open && !self.has_tls {
                text.push_str(
                    "To try it, paste these (what to expect holds for the built-in matrix):\n",
                );
                text.push_str(&demo::lines(reachable(grpc), self.reflection));
            }
        }
        text
    }
}
