//! A Postgres server of the tests' own: made from the machine's binaries in a temporary folder,
//! reached on a port of its own, gone when the tests are.

use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// Where the binaries are looked for first.
const BIN_VARIABLE: &str = "PORTCULLIS_TEST_PG_BIN";

/// What a server is started with.
#[derive(Debug, Default)]
pub(crate) struct Options {
    /// A certificate and its key, both PEM: then the server speaks TLS.
    pub(crate) certificate: Option<(String, String)>,
    /// Who gets in over TCP.
    pub(crate) authentication: Authentication,
}

/// Who gets in over TCP. Over the Unix socket everyone does.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) enum Authentication {
    /// Everyone.
    #[default]
    Trust,
    /// Everyone, over TLS only.
    TrustOverTls,
    /// Everyone, over plain text only.
    TrustOverPlainText,
    /// Whoever knows the password.
    Password,
}

/// A running server.
#[derive(Debug)]
pub(crate) struct Cluster {
    binaries: PathBuf,
    folder: PathBuf,
    port: u16,
    /// The user that runs the server, where that is not the user of the tests.
    user: Option<User>,
    /// Ends the server and removes the folder when its input closes: with this value, or with the
    /// process, however that ends. A static is never dropped.
    guard: Child,
    databases: AtomicU32,
}

#[derive(Debug)]
struct User {
    name: &'static str,
    uid: u32,
    gid: u32,
}

impl Cluster {
    /// Starts a server that lets everyone in.
    pub(crate) fn start() -> Self {
        Self::start_with(&Options::default())
    }

    /// Starts a server.
    pub(crate) fn start_with(options: &Options) -> Self {
        let binaries = binaries();
        // Postgres refuses to run as root.
        let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
        let user = is_root.then(unprivileged);
        // Short, because a path of a Unix socket has 107 bytes at most.
        let folder = tempfile::Builder::new().prefix("portcullis-pg-").tempdir();
        let folder = folder.unwrap().keep();
        if let Some(user) = &user {
            chown(&folder, Some(user.uid), Some(user.gid)).unwrap();
        }
        let guard = guard(&folder);
        let cluster = Self {
            binaries,
            folder,
            port: free_port(),
            user,
            guard,
            databases: AtomicU32::new(0),
        };
        cluster.run(cluster.tool("initdb").args([
            "--username=postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
        ]));
        cluster.configure(options);
        cluster.start_again();
        cluster
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn configure(&self, options: &Options) {
        let mut settings = format!(
            "listen_addresses = '127.0.0.1'\nport = {}\nunix_socket_directories = '{}'\n\
             fsync = off\nfull_page_writes = off\nmax_connections = 200\nmax_wal_size = 4GB\n\
             timezone = 'UTC'\npassword_encryption = 'scram-sha-256'\n",
            self.port,
            self.folder.display()
        );
        if let Some((certificate, key)) = &options.certificate {
            self.write_secret("server.crt", certificate);
            self.write_secret("server.key", key);
            settings.push_str("ssl = on\n");
        }
        let mut file = fs::OpenOptions::new()
            .append(true)
            .open(self.data().join("postgresql.conf"))
            .unwrap();
        file.write_all(settings.as_bytes()).unwrap();
        let (kind, method) = match options.authentication {
            Authentication::Trust => ("host", "trust"),
            Authentication::TrustOverTls => ("hostssl", "trust"),
            Authentication::TrustOverPlainText => ("hostnossl", "trust"),
            Authentication::Password => ("host", "scram-sha-256"),
        };
        let rules = format!("local all all trust\n{kind} all all 127.0.0.1/32 {method}\n");
        fs::write(self.data().join("pg_hba.conf"), rules).unwrap();
    }

    fn write_secret(&self, name: &str, text: &str) {
        let path = self.data().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        if let Some(user) = &self.user {
            chown(&path, Some(user.uid), Some(user.gid)).unwrap();
        }
    }

    /// A command of the server's, run by its user on its data.
    fn tool(&self, name: &str) -> Command {
        let binary = self.binaries.join(name);
        let mut command = match &self.user {
            None => Command::new(binary),
            Some(user) => {
                let mut command = Command::new("setpriv");
                command.arg(format!("--reuid={}", user.name));
                command.arg(format!("--regid={}", user.gid));
                command.arg("--clear-groups").arg(binary);
                command
            }
        };
        command.current_dir(&self.folder).env("PGDATA", self.data());
        command
    }

    fn run(&self, command: &mut Command) {
        // Not a pipe: the server keeps what it inherits, and reading would never end.
        let log = fs::File::create(self.folder.join("tool.log")).unwrap();
        let again = log.try_clone().unwrap();
        let status = command
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(again)
            .status();
        let status = status.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        if !status.success() {
            let read = |name| fs::read_to_string(self.folder.join(name)).unwrap_or_default();
            panic!(
                "{command:?}: {status}\n{}\n{}",
                read("tool.log"),
                read("server.log")
            );
        }
    }

    /// Makes it a standby, of nobody, when it is started again. The server is stopped.
    pub(crate) fn demote(&self) {
        fs::write(self.data().join("standby.signal"), "").unwrap();
    }

    /// What the server has logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.join("server.log")).unwrap()
    }

    /// Puts a copy of the data aside. The server is stopped.
    pub(crate) fn back_up(&self) {
        let _ = fs::remove_dir_all(self.folder.join("backup"));
        self.copy("data", "backup");
    }

    /// Goes back to the copy, and loses what came after it. The server is stopped.
    pub(crate) fn restore(&self) {
        fs::remove_dir_all(self.data()).unwrap();
        self.copy("backup", "data");
    }

    fn copy(&self, from: &str, to: &str) {
        let mut command = Command::new("cp");
        command.args(["--archive", from, to]);
        self.run(command.current_dir(&self.folder));
    }

    /// Starts the server after [`Cluster::stop`] or [`Cluster::kill`].
    pub(crate) fn start_again(&self) {
        let log = self.folder.join("server.log");
        let mut command = self.tool("pg_ctl");
        command.args(["start", "--wait", "--timeout=60", "--log"]);
        self.run(command.arg(log));
    }

    /// Stops the server: it rolls back, writes what it has and closes connections.
    pub(crate) fn stop(&self) {
        let mut command = self.tool("pg_ctl");
        self.run(command.args(["stop", "--wait", "--mode=fast"]));
    }

    /// Kills the server as if the machine had failed, and waits until all of it is gone.
    pub(crate) fn kill(&self) {
        let processes = self.processes();
        signal("KILL", &processes);
        let lives = |pid: &u32| state(*pid).is_some_and(|state| state != 'Z');
        while processes.iter().any(lives) {
            std::thread::yield_now();
        }
        // What a server leaves behind keeps the next from starting while its number is taken,
        // which it is until somebody has waited for it.
        let port = self.port;
        for file in ["data/postmaster.pid", &format!(".s.PGSQL.{port}.lock")] {
            fs::remove_file(self.folder.join(file)).unwrap();
        }
    }

    /// Stops every process of the server where it is, as a machine that hangs.
    pub(crate) fn freeze(&self) {
        signal("STOP", &self.processes());
    }

    /// Ends [`Cluster::freeze`].
    pub(crate) fn thaw(&self) {
        signal("CONT", &self.processes());
    }

    /// The postmaster and its children.
    fn processes(&self) -> Vec<u32> {
        let file = fs::read_to_string(self.data().join("postmaster.pid")).unwrap();
        let postmaster: u32 = file.lines().next().unwrap().parse().unwrap();
        let all = fs::read_dir("/proc").unwrap().flatten();
        let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let children = pids.filter(|pid| parent(*pid) == Some(postmaster));
        std::iter::once(postmaster).chain(children).collect()
    }

    /// A new, empty database, whose name begins with `name`.
    pub(crate) fn database(&self, name: &str) -> Database {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let name: String = name.chars().take(50).collect();
        let name = format!("{name}_{number}");
        let port = self.port;
        let url = format!("postgres://postgres@127.0.0.1:{port}/{name}");
        let postgres = Database {
            url: String::new(),
            name: "postgres".to_owned(),
            psql: self.binaries.join("psql"),
            folder: self.folder.clone(),
            port,
        };
        postgres.sql(&format!("CREATE DATABASE {name}"));
        Database {
            url,
            name,
            ..postgres
        }
    }

    /// The folder of its Unix socket.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}

/// A database of a cluster.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    url: String,
    name: String,
    psql: PathBuf,
    folder: PathBuf,
    port: u16,
}

impl Database {
    /// Its URL, over TCP.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The port of its server.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// A command that runs statements from its input or its further arguments, one transaction
    /// for each of `--command`.
    pub(crate) fn psql(&self) -> Command {
        let mut command = Command::new(&self.psql);
        command
            .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"])
            .args(["--set=ON_ERROR_STOP=1", "--username=postgres"])
            .arg(format!("--host={}", self.folder.display()))
            .arg(format!("--port={}", self.port))
            .arg(format!("--dbname={}", self.name));
        command
    }

    /// Runs statements in one transaction: what they print, or the error.
    pub(crate) fn try_sql(&self, sql: &str) -> Result<String, String> {
        let output = self.psql().arg("--command").arg(sql).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().trim_end().to_owned();
        if output.status.success() {
            Ok(text(output.stdout))
        } else {
            Err(text(output.stderr))
        }
    }

    /// Runs statements in one transaction: what they print.
    pub(crate) fn sql(&self, sql: &str) -> String {
        self.try_sql(sql)
            .unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// As [`Database::try_sql`], with the mark that the triggers of the tables ask writers for.
    /// Makes no revision.
    pub(crate) fn try_write(&self, sql: &str) -> Result<String, String> {
        let mark = "SELECT NULL FROM (SELECT set_config('portcullis.change', change_id::text, true) \
                    FROM policy_revision) marked";
        self.try_sql(&format!("BEGIN; {mark}; {sql}; COMMIT"))
    }

    /// As [`Database::sql`], with the mark.
    pub(crate) fn write(&self, sql: &str) -> String {
        self.try_write(sql)
            .unwrap_or_else(|error| panic!("{sql}: {error}"))
    }
}

/// The folder of the server's binaries.
fn binaries() -> PathBuf {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test has no configuration that could be an argument"
    )]
    let (named, path) = (std::env::var_os(BIN_VARIABLE), std::env::var_os("PATH"));
    let mut candidates: Vec<PathBuf> = named.map(PathBuf::from).into_iter().collect();
    if candidates.is_empty() {
        candidates.extend(path.iter().flat_map(std::env::split_paths));
        let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| {
                let version = entry.file_name().to_str()?.parse().ok()?;
                Some((version, entry.path().join("bin")))
            })
            .collect();
        versions.sort();
        candidates.extend(versions.into_iter().rev().map(|(_, folder)| folder));
    }
    let complete = |folder: &PathBuf| {
        let needed = ["initdb", "pg_ctl", "postgres", "psql"];
        needed.iter().all(|name| folder.join(name).exists())
    };
    candidates.into_iter().find(complete).unwrap_or_else(|| {
        panic!(
            "no PostgreSQL server found; install one: `apt-get install postgresql`, \
             or name the folder of its binaries in {BIN_VARIABLE}"
        )
    })
}

/// A user who can run Postgres where the tests run as root.
fn unprivileged() -> User {
    let id = |flag, name| {
        let output = Command::new("id").args([flag, name]).output().unwrap();
        String::from_utf8(output.stdout)
            .unwrap()
            .trim()
            .parse()
            .ok()
    };
    let user = |name| {
        Some(User {
            name,
            uid: id("-u", name)?,
            gid: id("-g", name)?,
        })
    };
    user("postgres").or_else(|| user("nobody")).expect(
        "Postgres does not run as root, and there is neither a user `postgres` nor `nobody`",
    )
}

fn guard(folder: &Path) -> Child {
    use std::os::unix::process::CommandExt as _;

    let script = r#"
        cat >/dev/null
        if pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null); then
            kill -CONT "$pid"
            kill -QUIT "$pid"
            tries=0
            while [ -e "$1/data/postmaster.pid" ] && [ "$tries" -lt 100 ]; do
                tries=$((tries + 1))
                sleep 0.1
            done
        fi
        rm -rf "$1"
    "#;
    Command::new("sh")
        .args(["-c", script, "sh"])
        .arg(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // A group of its own, so that an interrupt at the terminal does not end it first.
        .process_group(0)
        .spawn()
        .unwrap()
}

/// A port that stays free until the server has it, and while it is down. One of those that the
/// system gives to whoever asks for any would not: by then a connection of another test may have
/// it. Those begin at 32768.
fn free_port() -> u16 {
    const FIRST: u32 = 20_000;
    const COUNT: u32 = 12_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Test binaries of one run have different numbers, and so begin at different ports.
    let start = std::process::id().wrapping_mul(97);
    let ports = std::iter::repeat_with(|| NEXT.fetch_add(1, Ordering::Relaxed));
    let ports = ports.map(|next| FIRST + start.wrapping_add(next) % COUNT);
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    let mut free = ports
        .take(COUNT as usize)
        .map(|port| u16::try_from(port).unwrap())
        .filter(is_free);
    free.next().expect("no port is free")
}

fn signal(name: &str, pids: &[u32]) {
    let mut command = Command::new("kill");
    command.arg(format!("-{name}"));
    command.args(pids.iter().map(u32::to_string));
    // Fails where one of them has ended by itself meanwhile.
    let _ = command.stderr(Stdio::null()).status().unwrap();
}

/// The state letter and the parent, which follow the name in parentheses.
fn stat(pid: u32) -> Option<(char, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after) = stat.rsplit_once(") ")?;
    let mut fields = after.split(' ');
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

fn state(pid: u32) -> Option<char> {
    stat(pid).map(|(state, _)| state)
}

fn parent(pid: u32) -> Option<u32> {
    stat(pid).map(|(_, parent)| parent)
}
