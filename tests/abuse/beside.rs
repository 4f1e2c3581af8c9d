//! The server under attack, and the well-behaved client beside the attacker.

use std::fmt;
use std::time::Duration;

use portcullis::proto::v1;
use tempfile::TempDir;
use tokio::sync::{Mutex, MutexGuard};

use crate::support::load::{Load, Target};
use crate::support::probe;
use crate::support::process::Process;
use crate::support::requests::check;

/// What the attacker may cost the server, in KiB.
const MEMORY: u64 = 64 << 10;
/// How slow an answer may be whatever it was before.
const ALWAYS_FAST_ENOUGH: Duration = Duration::from_millis(5);
/// Two connections, so that more than one thread of the server is looked at, of two clients each.
const CONNECTIONS: usize = 2;
const CLIENTS: usize = 2;
const PACE: Duration = Duration::from_millis(5);
/// What else runs on this machine is slow at times, and is not the attacker: of so many rounds one
/// has to be good. What an attacker does, it does in each of them.
const ROUNDS: usize = 4;

static ALONE: Mutex<()> = Mutex::const_new(());

/// A server with the demo data, and nothing else of this file beside it.
#[derive(Debug)]
pub(crate) struct Attacked {
    pub server: Process,
    memory_before: u64,
    lines: usize,
    _folder: TempDir,
    _alone: MutexGuard<'static, ()>,
}

impl Attacked {
    /// How many connections it says it has cut for this reason.
    pub(crate) async fn cut(&self, reason: &str) -> usize {
        let (_, _, page) = probe::ask(self.server.http, "GET", "/metrics").await;
        let sample = format!("portcullis_connections_cut_total{{reason=\"{reason}\"}} ");
        let mut values = page.lines().filter_map(|line| line.strip_prefix(&sample));
        values
            .next()
            .unwrap_or_else(|| panic!("{page}"))
            .parse()
            .unwrap()
    }

    /// One with these flags.
    pub(crate) async fn start(flags: &[&str]) -> Self {
        Self::begin(|folder| Process::serve_demo(flags, folder.path())).await
    }

    /// One with these flags that may open `descriptors` files and connections.
    pub(crate) async fn start_with_descriptors(descriptors: usize, flags: &[&str]) -> Self {
        Self::begin(|folder| {
            Process::serve_demo_with_descriptors(descriptors, flags, folder.path())
        })
        .await
    }

    /// One with these flags that no client here could ask.
    pub(crate) async fn start_unasked(flags: &[&str]) -> Self {
        Self::unasked(|folder| Process::serve_demo(flags, folder.path())).await
    }

    async fn unasked(start: impl FnOnce(&TempDir) -> Process) -> Self {
        let alone = ALONE.lock().await;
        let folder = TempDir::new().unwrap();
        let server = start(&folder);
        Self {
            memory_before: server.resident(),
            server,
            lines: 0,
            _folder: folder,
            _alone: alone,
        }
    }

    async fn begin(start: impl FnOnce(&TempDir) -> Process) -> Self {
        let mut attacked = Self::unasked(start).await;
        attacked.answers().await;
        attacked.memory_before = attacked.server.resident();
        attacked
    }

    async fn answers(&self) {
        let mut client = self.server.client().await;
        let answer = client.check_feature(check("acme", "pricing.view")).await;
        assert_eq!(answer.unwrap().into_inner().effect(), v1::Effect::Allow);
    }

    /// Well-behaved clients that ask from now on.
    pub(crate) async fn client(&self) -> Beside {
        let mut targets = Vec::new();
        for _ in 0..CONNECTIONS {
            targets.push(Target {
                client: self.server.client().await,
                accounts: [(0, "acme".to_owned())].into(),
                oracle: None,
            });
        }
        Beside(Load::start(&targets, CLIENTS, PACE))
    }

    /// How many lines the server logged since the last time.
    pub(crate) fn logged(&mut self) -> usize {
        let lines = self.server.log().lines().count();
        lines - std::mem::replace(&mut self.lines, lines)
    }

    /// That the server is as good as before: it lives, none of its tasks panicked, and it needs
    /// little more memory than before.
    pub(crate) async fn survived(&mut self) -> String {
        assert!(self.server.is_alive(), "{}", self.server.log());
        self.answers().await;
        let log = self.server.log();
        assert!(!log.contains("panicked"), "{log}");
        let more = self.server.peak().saturating_sub(self.memory_before);
        assert!(more <= MEMORY, "{more} KiB more memory");
        format!(
            "{} KiB more memory, {} lines logged",
            more,
            log.lines().count()
        )
    }
}

/// Well-behaved clients.
#[derive(Debug)]
pub(crate) struct Beside(Load);

/// How long answers took, at the 99th percentile.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Noticed {
    pub(crate) before: Duration,
    pub(crate) during: Duration,
}

impl fmt::Display for Noticed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "p99 {:.1?} before, {:.1?} during",
            self.before, self.during
        )
    }
}

impl Beside {
    /// What they noticed of an attack that goes on for as long as it is polled.
    ///
    /// # Panics
    /// Where a call failed, or calls were much slower than before in each of several rounds.
    pub(crate) async fn notice(
        &self,
        what: &str,
        time: Duration,
        mut attack: impl AsyncFnMut(),
    ) -> Noticed {
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            let before = self.measured(time).await;
            let during = tokio::select! {
                during = self.measured(time) => during,
                () = attack() => panic!("{what}: the attacker gave up"),
            };
            let noticed = Noticed { before, during };
            rounds.push(noticed);
            if during <= ALWAYS_FAST_ENOUGH.max(before * 2) {
                return noticed;
            }
        }
        let rounds: Vec<_> = rounds.iter().map(Noticed::to_string).collect();
        panic!("{what} is noticed: {rounds:?}");
    }

    async fn measured(&self, time: Duration) -> Duration {
        let samples = self.0.measure(time).await;
        assert_eq!(samples.failed(), 0, "{samples}");
        samples.times().percentile(99)
    }

    /// That no call failed since the last time, and how they went.
    pub(crate) fn unharmed(&self) -> String {
        let samples = self.0.take();
        assert_eq!(samples.failed(), 0, "{samples}");
        samples.to_string()
    }
}
