//! One task that says whether the service is ready, to the probes and to gRPC's health service
//! alike: so they cannot disagree.

use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::directory::{Directory, Status};
use crate::http::Readiness;

/// How often it looks. A probe asks every few seconds.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The names that the health service knows: the whole, and each service.
const HEALTH_NAMES: [&str; 3] = [
    "",
    "portcullis.v1.AuthorizationService",
    "portcullis.v1.PolicyService",
];

pub(super) async fn keep_told(
    directory: Directory,
    reporter: HealthReporter,
    ready: watch::Sender<Readiness>,
    drain: CancellationToken,
) {
    let mut told = None;
    loop {
        let now = judge(&directory.status());
        if told.as_ref() != Some(&now) {
            tell(&reporter, &ready, now.clone()).await;
            told = Some(now);
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = drain.cancelled() => break,
        }
    }
    tell(
        &reporter,
        &ready,
        Readiness::NotReady("draining".to_owned()),
    )
    .await;
}

/// Ready: the first sync is done, and answers are within `max_stale`. An outage of the store makes
/// no replica unready before that: its caches are still good.
fn judge(status: &Status) -> Readiness {
    let because = |what: &str| match &status.trouble {
        Some(trouble) => Readiness::NotReady(format!("{what}: {trouble}")),
        None => Readiness::NotReady(what.to_owned()),
    };
    match status.age {
        None => because("the store was not read yet"),
        Some(_) if !status.within_max_stale => {
            because("the store has been away for longer than --max-stale")
        }
        Some(_) => Readiness::Ready,
    }
}

async fn tell(reporter: &HealthReporter, ready: &watch::Sender<Readiness>, now: Readiness) {
    let status = match &now {
        Readiness::Ready => {
            tracing::info!("ready");
            ServingStatus::Serving
        }
        Readiness::NotReady(why) => {
            tracing::info!(why, "not ready");
            ServingStatus::NotServing
        }
    };
    for name in HEALTH_NAMES {
        reporter.set_service_status(name, status).await;
    }
    ready.send_replace(now);
}
