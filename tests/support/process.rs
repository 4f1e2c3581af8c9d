//! The program itself in a process of its own, for what cannot be seen of a server in this one.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use portcullis::proto::v1::authorization_service_client::AuthorizationServiceClient;

use super::Database;
use super::server::Client;

const PROGRAM: &str = env!("CARGO_BIN_EXE_portcullis");
const LISTENING: [&str; 3] = ["serve", "--listen=127.0.0.1:0", "--http-listen=127.0.0.1:0"];

/// A server that listens. It is killed when this is dropped.
#[derive(Debug)]
pub struct Process {
    pub grpc: SocketAddr,
    pub http: SocketAddr,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// One over this database, with further flags and variables. Its log goes to a file in
    /// `folder`.
    pub fn serve(
        database: &Database,
        flags: &[&str],
        variables: &[(&str, &str)],
        folder: &Path,
    ) -> Self {
        Self::serve_at(database.url(), flags, variables, folder)
    }

    /// The same, over what is at this URL.
    pub fn serve_at(url: &str, flags: &[&str], variables: &[(&str, &str)], folder: &Path) -> Self {
        let mut command = Command::new(PROGRAM);
        command
            .args(LISTENING)
            .args(flags)
            .env_clear()
            .env("PORTCULLIS_DATABASE_URL", url)
            .envs(variables.iter().copied());
        Self::spawn(command, folder)
    }

    /// One that serves the demo data from memory, with further flags. Its log goes to a file in
    /// `folder`.
    pub fn serve_demo(flags: &[&str], folder: &Path) -> Self {
        let mut command = Command::new(PROGRAM);
        command.args(LISTENING).args(flags).env_clear();
        Self::spawn(command, folder)
    }

    /// The same, with so many descriptors at most.
    pub fn serve_demo_with_descriptors(count: usize, flags: &[&str], folder: &Path) -> Self {
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", &format!("ulimit -n {count} && exec \"$0\" \"$@\"")])
            .arg(PROGRAM)
            .args(LISTENING)
            .args(flags)
            .env_clear();
        Self::spawn(command, folder)
    }

    /// One with these flags and variables and no other. Its log goes to a file in `folder`.
    pub fn start(flags: &[&str], variables: &[(&str, &str)], folder: &Path) -> Self {
        let mut command = Command::new(PROGRAM);
        command
            .args(LISTENING)
            .args(flags)
            .env_clear()
            .envs(variables.iter().copied());
        Self::spawn(command, folder)
    }

    fn spawn(mut command: Command, folder: &Path) -> Self {
        let log = folder.join("portcullis.log");
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut address = |label: &str| {
            let mut lines = said.by_ref().map(Result::unwrap);
            let line = lines.find(|line| line.trim_start().starts_with(label));
            let line = line.unwrap_or_else(|| panic!("{}", fs::read_to_string(&log).unwrap()));
            let value = line.split_whitespace().nth(1).unwrap();
            let value = value.trim_start_matches("http://");
            value.split('/').next().unwrap().parse().unwrap()
        };
        let (grpc, http) = (address("gRPC"), address("probes"));
        Self {
            grpc,
            http,
            child,
            log,
        }
    }

    pub async fn client(&self) -> Client {
        AuthorizationServiceClient::connect(format!("http://{}", self.grpc))
            .await
            .unwrap()
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// When it last logged something, by the kernel's clock.
    pub fn logged_at(&self) -> SystemTime {
        fs::metadata(&self.log).unwrap().modified().unwrap()
    }

    /// Asks it to end, as a supervisor does, and waits for that; its exit code, if it has one.
    pub async fn end(&mut self) -> Option<i32> {
        let id = self.child.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &id]).status().unwrap();
        assert!(asked.success());
        loop {
            if let Some(ended) = self.child.try_wait().unwrap() {
                return ended.code();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Whether it runs.
    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// The time that it has computed for.
    pub fn computed(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let (_, after_name) = stat.rsplit_once(") ").unwrap();
        let ticks = after_name.split(' ').skip(11).take(2);
        let ticks: u64 = ticks.map(|ticks| ticks.parse::<u64>().unwrap()).sum();
        // Of which Linux has a hundred a second, on every architecture.
        Duration::from_millis(ticks * 10)
    }

    /// Its memory that is resident, in KiB.
    pub fn resident(&self) -> u64 {
        memory(&self.child.id().to_string(), "VmRSS:")
    }

    /// The most of its memory that was ever resident, in KiB.
    pub fn peak(&self) -> u64 {
        memory(&self.child.id().to_string(), "VmHWM:")
    }

    /// How many files and connections it has open.
    pub fn descriptors(&self) -> usize {
        let open = format!("/proc/{}/fd", self.child.id());
        fs::read_dir(open).unwrap().count()
    }
}

/// The memory of this process that is resident, in KiB.
pub fn resident_here() -> u64 {
    memory("self", "VmRSS:")
}

fn memory(process: &str, which: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let mut lines = status.lines();
    let line = lines.find_map(|line| line.strip_prefix(which)).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
