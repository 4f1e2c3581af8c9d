//! Keys from an address, kept fresh by one task.
//!
//! The address is asked from time to time, and when a token names a key that is not known, at most
//! every few seconds: whoever makes up tokens does not make up load. Where it does not answer, what
//! was known goes on.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use http::{HeaderValue, Uri};
use tokio::sync::watch;

use super::fetch::{Answer, Place};
use super::keys::KeySet;
use crate::clock::Moment;

/// How often the address is asked where nothing else makes it.
const EVERY: Duration = Duration::from_secs(5 * 60);
/// How long a token waits for the keys that it made asked for.
const WAIT: Duration = Duration::from_secs(2);
/// How soon tokens can make it asked again.
const LEAST_PAUSE: Duration = Duration::from_secs(5);
/// How long an answer may take, with its body.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The pause after a failure, which doubles with each until the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Keys of an address.
#[derive(Debug)]
pub(super) struct Remote {
    place: Place,
    /// None until it has answered once.
    keys: ArcSwapOption<KeySet>,
    generation: watch::Sender<u64>,
    failures: AtomicU64,
    asking: watch::Sender<Asking>,
}

/// How far asking is.
#[derive(Debug, Default)]
struct Asking {
    /// A token has made it asked, which has not begun.
    wanted: bool,
    /// It is being asked.
    under_way: bool,
    /// How often it was asked to the end, whatever that was.
    ended: u64,
    /// When a token last made it asked.
    wanted_at: Option<Moment>,
}

/// What it answered last, by which to know whether there is anything new.
#[derive(Debug, Default)]
struct Known {
    etag: Option<HeaderValue>,
    body: Bytes,
}

impl Remote {
    pub(super) fn new(
        url: &Uri,
        ca: Option<&Path>,
        token_file: Option<&Path>,
    ) -> anyhow::Result<Arc<Self>> {
        let place = Place::new(url, ca, token_file)?;
        Ok(Arc::new(Self {
            place,
            keys: ArcSwapOption::empty(),
            generation: watch::Sender::new(0),
            failures: AtomicU64::new(0),
            // As good as under way: it is the first thing that the task does.
            asking: watch::Sender::new(Asking {
                under_way: true,
                ..Asking::default()
            }),
        }))
    }

    pub(super) fn keys(&self) -> Option<Arc<KeySet>> {
        self.keys.load_full()
    }

    pub(super) fn generation(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }

    pub(super) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Has it asked, unless a token did so just before, and waits a while for the end of that.
    pub(super) async fn ask(&self) {
        let mut asking = self.asking.subscribe();
        let now = Moment::now();
        let mut awaited = None;
        self.asking.send_if_modified(|asking| {
            let soon = |at| now.since(at) < LEAST_PAUSE;
            if asking.wanted || asking.under_way {
                awaited = Some(asking.ended);
                return false;
            }
            if asking.wanted_at.is_some_and(soon) {
                return false;
            }
            awaited = Some(asking.ended);
            asking.wanted = true;
            asking.wanted_at = Some(now);
            true
        });
        let Some(ended) = awaited else { return };
        let end = asking.wait_for(|asking| asking.ended != ended);
        // Where it takes too long, the token is judged by what there is.
        let _ended_in_time = tokio::time::timeout(WAIT, end).await.is_ok();
    }

    /// Asks from time to time and when it is wanted, for ever.
    pub(super) async fn keep_fresh(self: Arc<Self>) {
        let mut asking = self.asking.subscribe();
        let mut known = Known::default();
        let mut after_failure = FIRST_PAUSE;
        loop {
            self.asking.send_modify(|asking| {
                asking.wanted = false;
                asking.under_way = true;
            });
            let pause = match self.refresh(&mut known).await {
                Ok(()) => {
                    after_failure = FIRST_PAUSE;
                    EVERY
                }
                Err(error) => {
                    let failures = self.failures.fetch_add(1, Ordering::Relaxed) + 1;
                    tracing::warn!(
                        from = %self.place,
                        error = format!("{error:#}"),
                        failures,
                        keys = self.keys().map_or(0, |keys| keys.len()),
                        "the keys of tokens cannot be had: those that there are go on"
                    );
                    let pause = after_failure;
                    after_failure = (pause * 2).min(LONGEST_PAUSE);
                    pause
                }
            };
            self.asking.send_modify(|asking| {
                asking.under_way = false;
                asking.ended += 1;
            });
            let wanted = async { drop(asking.wait_for(|asking| asking.wanted).await) };
            // Either is a reason to ask again.
            let _elapsed = tokio::time::timeout(pause, wanted).await;
        }
    }

    async fn refresh(&self, known: &mut Known) -> anyhow::Result<()> {
        let asked = self.place.ask(known.etag.as_ref());
        let answer = match tokio::time::timeout(TIMEOUT, asked).await {
            Ok(answer) => answer?,
            Err(_elapsed) => anyhow::bail!("no answer within {} s", TIMEOUT.as_secs()),
        };
        let Answer::Keys { body, etag } = answer else {
            return Ok(());
        };
        if body != known.body {
            let keys = KeySet::parse(&body)?;
            tracing::info!(
                from = %self.place,
                keys = keys.len(),
                skipped = keys.skipped(),
                "the keys of tokens are new"
            );
            self.keys.store(Some(Arc::new(keys)));
            self.generation.send_modify(|number| *number += 1);
        }
        *known = Known { etag, body };
        Ok(())
    }
}
