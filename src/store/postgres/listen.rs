//! LISTEN, on a connection of its own: it says when to look at the revision.
//!
//! A notification is only a reason to poll, so that none has to be kept apart from another, and one
//! that is lost costs a poll interval. What must not be lost is that nothing is heard any more: a
//! watchdog asks the server every second whether it is still there.

use std::future::poll_fn;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt as _};
use futures_util::stream::{self, BoxStream, StreamExt as _};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_postgres::{AsyncMessage, Client, Connection, Socket};
use uuid::Uuid;

use super::connect::Connector;
use super::failure;
use crate::store::{Signal, StoreError, Unavailable};

/// How long it may take to connect and to be heard.
const OPEN_WITHIN: Duration = Duration::from_secs(5);
/// How often the server is asked whether it is there, and how long it may take to answer: one that
/// vanished without a word is noticed within their sum.
const ASK_EACH: Duration = Duration::from_secs(1);
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// The pause before another attempt: the first, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Signals without an end. `moved` says that another server may be the primary now.
pub(super) fn signals(
    connector: &Connector,
    moved: watch::Receiver<()>,
) -> BoxStream<'static, Signal> {
    let listener = Listener {
        connector: connector.impatient(ASK_EACH + ANSWER_WITHIN),
        moved,
        line: None,
        pause: Pause::default(),
    };
    stream::unfold(listener, |mut listener| async move {
        let signal = listener.next().await;
        Some((signal, listener))
    })
    .boxed()
}

struct Listener {
    connector: Connector,
    moved: watch::Receiver<()>,
    line: Option<Line>,
    pause: Pause,
}

impl Listener {
    async fn next(&mut self) -> Signal {
        let heard = match &mut self.line {
            Some(line) => line
                .changed(&mut self.moved)
                .await
                .map(|()| Signal::Changed),
            None => {
                self.pause.wait().await;
                self.listen().await.map(|()| Signal::Listening)
            }
        };
        heard.unwrap_or_else(|error| {
            self.line = None;
            Signal::Deaf(error)
        })
    }

    async fn listen(&mut self) -> Result<(), StoreError> {
        // What moved before does not matter to a connection that is made now.
        self.moved.mark_unchanged();
        let opened = timeout(OPEN_WITHIN, Line::open(&self.connector)).await;
        let opened = opened.map_err(|_elapsed| Unavailable::Timeout(OPEN_WITHIN))?;
        self.line = Some(opened?);
        self.pause = Pause::FIRST;
        Ok(())
    }
}

/// A connection that listens. Closed when it is dropped.
struct Line {
    /// Marked with each notification.
    heard: watch::Receiver<()>,
    /// Drives the connection and its watchdog for as long as both live.
    alive: BoxFuture<'static, StoreError>,
}

impl Line {
    async fn open(connector: &Connector) -> Result<Self, StoreError> {
        let opened = connector.open().await;
        let (client, connection) = opened.map_err(|error| failure::connecting(&error))?;
        let (notified, heard) = watch::channel(());
        let mut driven = Box::pin(drive(connection, notified));
        tokio::select! {
            error = &mut driven => return Err(error),
            listening = client.batch_execute("LISTEN portcullis_change") => {
                listening.map_err(refused)?;
            }
        }
        let alive = async move {
            tokio::select! {
                error = driven => error,
                error = watch_over(&client) => error,
            }
        };
        Ok(Self {
            heard,
            alive: alive.boxed(),
        })
    }

    /// Waits for a notification, and takes in all that have come with it.
    async fn changed(&mut self, moved: &mut watch::Receiver<()>) -> Result<(), StoreError> {
        let lost = |what: &str| Err(Unavailable::Connection(what.to_owned()).into());
        tokio::select! {
            // What has come is read before it is looked at.
            biased;
            error = &mut self.alive => Err(error),
            Ok(()) = moved.changed() => lost("another server may be the primary now"),
            heard = self.heard.changed() => match heard {
                Ok(()) => Ok(()),
                Err(_closed) => lost("the connection was lost"),
            },
        }
    }
}

/// Reads what the server sends, until it sends no more.
async fn drive<S>(mut connection: Connection<Socket, S>, notified: watch::Sender<()>) -> StoreError
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        match poll_fn(|context| connection.poll_message(context)).await {
            Some(Ok(AsyncMessage::Notification(_))) => {
                notified.send_replace(());
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => return failure::statement("listening", error),
            None => {
                let lost = "the server closed the connection".to_owned();
                return Unavailable::Connection(lost).into();
            }
        }
    }
}

/// Asks the server whether it is there, until it does not answer. Outside of a transaction: one that
/// is left open would make the queue of notifications grow until no write can go on.
async fn watch_over(client: &Client) -> StoreError {
    loop {
        sleep(ASK_EACH).await;
        match timeout(ANSWER_WITHIN, client.batch_execute("")).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return failure::statement("listening", error),
            Err(_elapsed) => return Unavailable::Timeout(ANSWER_WITHIN).into(),
        }
    }
}

/// Why the server takes no LISTEN: in most cases because it is a standby.
fn refused(error: tokio_postgres::Error) -> StoreError {
    match failure::statement("listening", error) {
        StoreError::ReadOnly(_) => {
            let standby = "the server is a standby, which announces no change".to_owned();
            Unavailable::Connection(standby).into()
        }
        other
        @ (StoreError::Unavailable(_) | StoreError::Schema(_) | StoreError::Broken { .. }) => other,
    }
}

/// The pause before the next attempt. None before the first, and twice as long each time.
#[derive(Debug, Default)]
struct Pause(Option<Duration>);

impl Pause {
    /// After a connection that was made: one that ends at once is made again, but not at once.
    const FIRST: Self = Self(Some(FIRST_PAUSE));

    async fn wait(&mut self) {
        if let Some(pause) = self.next() {
            sleep(jittered(pause)).await;
        }
    }

    fn next(&mut self) -> Option<Duration> {
        let pause = self.0;
        self.0 = Some(pause.map_or(FIRST_PAUSE, |pause| (pause * 2).min(LONGEST_PAUSE)));
        pause
    }
}

/// Between half of it and all of it, so that replicas that lost one server do not come back to it at
/// one instant.
fn jittered(pause: Duration) -> Duration {
    const STEPS: u32 = 1_024;
    let (random, _) = Uuid::new_v4().as_u64_pair();
    let step = u32::try_from(random % u64::from(STEPS)).unwrap_or(STEPS);
    pause / 2 + pause / 2 * step / STEPS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_bound() {
        let mut pause = Pause::default();
        let pauses: Vec<_> = (0..9).filter_map(|_| pause.next()).collect();
        let wanted = [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000];
        assert_eq!(pauses, wanted.map(Duration::from_millis));
    }

    #[test]
    fn two_replicas_hardly_pause_alike() {
        let pauses = || jittered(LONGEST_PAUSE);
        let alike: std::collections::BTreeSet<_> = (0..100).map(|_| pauses()).collect();
        assert!(alike.len() > 10, "{alike:?}");
        assert!(
            alike
                .iter()
                .all(|pause| (LONGEST_PAUSE / 2..=LONGEST_PAUSE).contains(pause))
        );
    }
}
