//! A server in a process of its own.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;

/// A server, until this is dropped.
#[derive(Debug)]
pub struct Peer {
    child: Child,
    /// Where it answers.
    pub address: SocketAddr,
    /// Where it answers probes, if it does.
    pub probes: Option<SocketAddr>,
}

impl Peer {
    /// Starts a program that prints where it answers.
    ///
    /// # Errors
    /// Where it does not start, or does not say so.
    pub fn start(program: &Path, arguments: &[&str]) -> anyhow::Result<Self> {
        let mut command = Command::new(program);
        command.args(arguments);
        Self::spawn(command)
    }

    /// The same of a command that is made up already.
    ///
    /// # Errors
    /// Where it does not start, or does not say so.
    pub fn spawn(mut command: Command) -> anyhow::Result<Self> {
        let mut child = command
            .stdout(Stdio::piped())
            .stdin(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        let mut said = String::new();
        let stdout = child.stdout.take().context("a child without an output")?;
        BufReader::new(stdout).read_line(&mut said)?;
        let mut addresses = said.split_whitespace().map(str::parse);
        let address = addresses.next().and_then(Result::ok);
        Ok(Self {
            child,
            address: address.with_context(|| format!("{said:?} is not where a server answers"))?,
            probes: addresses.next().and_then(Result::ok),
        })
    }

    /// What it answers to a GET of this path, head and all.
    ///
    /// # Errors
    /// Where it answers no probes.
    pub fn probe(&self, path: &str) -> anyhow::Result<String> {
        let mut stream = TcpStream::connect(self.probes.context("it answers no probes")?)?;
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    /// Its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How long its threads have run on a processor, those that ended not counted.
    ///
    /// # Errors
    /// Where the system does not say.
    pub fn computed(&self) -> anyhow::Result<Duration> {
        let mut nanos = 0;
        for thread in std::fs::read_dir(format!("/proc/{}/task", self.id()))? {
            let figures = std::fs::read_to_string(thread?.path().join("schedstat"))?;
            let on_cpu = figures.split(' ').next().context("no figure")?;
            nanos += on_cpu.parse::<u64>()?;
        }
        Ok(Duration::from_nanos(nanos))
    }

    /// Its memory that is in use, in bytes.
    ///
    /// # Errors
    /// Where the system does not say.
    pub fn resident(&self) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next());
        Ok(kib.context("no figure")?.parse::<u64>()? << 10)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
