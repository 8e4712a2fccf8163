//! MariaDB, PostgreSQL and Redis: throw-away servers on free ports, with TLS beside plain text.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::{Process, until};

/// The administrator's password of every server.
pub const ADMINISTRATOR_PASSWORD: &str = "administrators-first-1A";

/// What kind of server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the servers'")]
pub enum DatabaseKind {
    MariaDb,
    PostgreSql,
    Redis,
}

/// A server with its own data, killed when dropped.
pub struct Database {
    kind: DatabaseKind,
    port: u16,
    tls_port: u16,
    process: Option<Process>,
    dir: TempDir,
}

impl Database {
    /// Makes the data and starts the server.
    ///
    /// # Panics
    ///
    /// When it is not installed (`cargo xtask test` installs it), or does not start.
    pub fn start(kind: DatabaseKind) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let mut database = Self {
            kind,
            port: free_port(),
            tls_port: 0,
            process: None,
            dir,
        };
        // Only Redis has another port for TLS.
        database.tls_port = match kind {
            DatabaseKind::Redis => free_port(),
            _ => database.port,
        };
        certificate(database.dir.path());
        database.make();
        database.resume();
        database
    }

    /// The port for plain text.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The port for TLS, whose certificate is for `localhost`.
    pub fn tls_port(&self) -> u16 {
        self.tls_port
    }

    /// The authority of the server's certificate, in PEM.
    pub fn authority(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// The administrator's name.
    pub fn administrator(&self) -> &'static str {
        match self.kind {
            DatabaseKind::MariaDb => "root",
            DatabaseKind::PostgreSql => "postgres",
            DatabaseKind::Redis => "default",
        }
    }

    /// Kills it, as a crash does.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts it again, and waits until it serves.
    ///
    /// # Panics
    ///
    /// When it does not.
    pub fn resume(&mut self) {
        let mut process = Process::start(self.command(), "server", self.dir.path());
        until("the server serves", START_DEADLINE, || {
            // What a killed one leaves may keep the next from starting for a moment.
            if process.ended().is_some() {
                process = Process::start(self.command(), "server", self.dir.path());
            }
            self.client("", "SELECT 1").ok()
        });
        self.process = Some(process);
    }

    /// Runs statements as the administrator.
    ///
    /// # Panics
    ///
    /// When the server refuses one.
    pub fn run(&self, statements: &str) -> String {
        let said = self.client("", statements);
        said.unwrap_or_else(|refusal| panic!("{statements}: {refusal}"))
    }

    /// What the server's own client answers to a statement of this user; an empty name is the administrator's.
    ///
    /// # Errors
    ///
    /// What the client says.
    pub fn ask_as(&self, user: &str, password: &str, statement: &str) -> Result<String, String> {
        self.client_with(user, password, statement)
    }

    fn client(&self, user: &str, statement: &str) -> Result<String, String> {
        self.client_with(user, ADMINISTRATOR_PASSWORD, statement)
    }

    fn client_with(&self, user: &str, password: &str, statement: &str) -> Result<String, String> {
        let user = match user {
            "" => self.administrator(),
            user => user,
        };
        let port = self.port.to_string();
        let mut command;
        match self.kind {
            DatabaseKind::MariaDb => {
                command = Command::new("mariadb");
                command.args([
                    "--no-defaults",
                    "--host=127.0.0.1",
                    "--batch",
                    "--skip-column-names",
                ]);
                command.args(["--port", &port, "--user", user, "--execute", statement]);
                command.env("MYSQL_PWD", password);
            }
            DatabaseKind::PostgreSql => {
                command = Command::new("psql");
                command.args([
                    "--no-psqlrc",
                    "--quiet",
                    "--tuples-only",
                    "--no-align",
                    "--host=127.0.0.1",
                ]);
                command.args(["--port", &port, "--dbname=postgres", "--username", user]);
                command.args(["--set=ON_ERROR_STOP=1", "--command", statement]);
                command.env("PGPASSWORD", password);
            }
            DatabaseKind::Redis => {
                command = Command::new("redis-cli");
                command.args(["-h", "127.0.0.1", "-p", &port, "-e", "--user", user]);
                command.env("REDISCLI_AUTH", password);
                let statement = if statement == "SELECT 1" {
                    "PING"
                } else {
                    statement
                };
                command.args(statement.split(' '));
            }
        }
        let output = command
            .output()
            .expect("the server's client is installed with it");
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        match output.status.success() {
            true => Ok(said),
            false => Err(format!(
                "{said} {}",
                String::from_utf8_lossy(&output.stderr)
            )),
        }
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn make(&self) {
        let dir = self.dir.path();
        match self.kind {
            DatabaseKind::MariaDb => {
                let mut command = Command::new("mariadb-install-db");
                command.args(["--no-defaults", "--auth-root-authentication-method=normal"]);
                command.args(["--skip-test-db", "--skip-name-resolve", &user_option()]);
                succeed(command.arg(format!("--datadir={}", self.data().display())));
                // Without names, the machine's own address has an account of its own.
                let statements = format!(
                    "CREATE USER IF NOT EXISTS root@'127.0.0.1';\n\
                     ALTER USER root@'127.0.0.1' IDENTIFIED BY '{ADMINISTRATOR_PASSWORD}';\n\
                     GRANT ALL ON *.* TO root@'127.0.0.1' WITH GRANT OPTION;\n"
                );
                fs::write(dir.join("init.sql"), statements).expect("the test's own folder");
            }
            DatabaseKind::PostgreSql => {
                let password = dir.join("password");
                fs::write(&password, ADMINISTRATOR_PASSWORD).expect("the test's own folder");
                give_to_postgres(dir);
                let mut command = as_postgres("initdb");
                command.args(["--no-sync", "--username=postgres", "--auth=scram-sha-256"]);
                command.arg(format!("--pwfile={}", password.display()));
                succeed(command.arg("--pgdata").arg(self.data()));
            }
            DatabaseKind::Redis => {
                fs::create_dir(self.data()).expect("the test's own folder");
                let users = format!("user default on >{ADMINISTRATOR_PASSWORD} ~* &* +@all\n");
                fs::write(dir.join("users.acl"), users).expect("the test's own folder");
            }
        }
    }

    fn command(&self) -> Command {
        let dir = self.dir.path();
        let in_dir = |name: &str| dir.join(name).display().to_string();
        let mut command;
        match self.kind {
            DatabaseKind::MariaDb => {
                command = Command::new("mariadbd");
                command.args([
                    "--no-defaults",
                    "--skip-name-resolve",
                    "--bind-address=127.0.0.1",
                    &user_option(),
                ]);
                // A small log, and no waiting for the disk: the data is thrown away.
                command.args([
                    "--innodb-log-file-size=8M",
                    "--innodb-flush-log-at-trx-commit=2",
                ]);
                command.args(["--plugin-load-add=simple_password_check"]);
                command.arg(format!("--port={}", self.port));
                for (option, name) in [
                    ("datadir", "data"),
                    ("socket", "sock"),
                    ("init-file", "init.sql"),
                    ("ssl-ca", "ca.pem"),
                    ("ssl-cert", "server.pem"),
                    ("ssl-key", "server.key"),
                ] {
                    command.arg(format!("--{option}={}", in_dir(name)));
                }
            }
            DatabaseKind::PostgreSql => {
                command = as_postgres("postgres");
                command.arg("-D").arg(self.data());
                for (option, value) in [
                    ("listen_addresses", "127.0.0.1".to_owned()),
                    ("port", self.port.to_string()),
                    ("unix_socket_directories", String::new()),
                    ("fsync", "off".into()),
                    ("ssl", "on".into()),
                    ("ssl_cert_file", in_dir("server.pem")),
                    ("ssl_key_file", in_dir("server.key")),
                    ("shared_preload_libraries", "passwordcheck".into()),
                ] {
                    command.arg("-c").arg(format!("{option}={value}"));
                }
            }
            DatabaseKind::Redis => {
                command = Command::new("redis-server");
                for (option, value) in [
                    ("bind", "127.0.0.1".to_owned()),
                    ("port", self.port.to_string()),
                    ("tls-port", self.tls_port.to_string()),
                    ("tls-ca-cert-file", in_dir("ca.pem")),
                    ("tls-cert-file", in_dir("server.pem")),
                    ("tls-key-file", in_dir("server.key")),
                    ("tls-auth-clients", "no".into()),
                    ("aclfile", in_dir("users.acl")),
                    ("dir", in_dir("data")),
                    ("save", String::new()),
                ] {
                    command.arg(format!("--{option}")).arg(value);
                }
            }
        }
        command
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}

/// A certificate for `localhost`, and the authority that it is from.
fn certificate(dir: &Path) {
    let openssl = |arguments: &str| {
        succeed(
            Command::new("openssl")
                .args(arguments.split(' '))
                .current_dir(dir),
        );
    };
    fs::write(dir.join("names"), "subjectAltName=DNS:localhost\n").expect("the test's own folder");
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl(&format!(
        "req -x509 {key} -keyout ca.key -out ca.pem -days 30 -subj /CN=Authority"
    ));
    openssl(&format!(
        "req {key} -keyout server.key -out server.csr -subj /CN=localhost"
    ));
    openssl(
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out server.pem -days 30 -extfile names",
    );
}

fn succeed(command: &mut Command) {
    let output = command.output();
    let output = output
        .unwrap_or_else(|error| panic!("{command:?}: {error}; `cargo xtask test` installs it"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
}

fn is_root() -> bool {
    fs::metadata("/proc/self").expect("proc").uid() == 0
}

/// MariaDB runs as root only where it is told so.
fn user_option() -> String {
    let root = if is_root() {
        "--user=root"
    } else {
        "--skip-symbolic-links"
    };
    root.to_owned()
}

/// PostgreSQL never runs as root: it gets the folder, and runs as its own user.
fn give_to_postgres(dir: &Path) {
    if is_root() {
        succeed(
            Command::new("chown")
                .args(["-R", "postgres:postgres"])
                .arg(dir),
        );
    }
}

fn as_postgres(program: &str) -> Command {
    let path = postgres_program(program);
    if !is_root() {
        return Command::new(path);
    }
    let mut command = Command::new("setpriv");
    command.args([
        "--reuid=postgres",
        "--regid=postgres",
        "--clear-groups",
        "--pdeathsig=KILL",
    ]);
    command.arg(path);
    command
}

/// The newest version that is installed.
fn postgres_program(program: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let mut programs: Vec<PathBuf> = versions
        .map(|version| version.path().join("bin").join(program))
        .filter(|path| path.is_file())
        .collect();
    programs.sort();
    programs
        .pop()
        .expect("PostgreSQL: `cargo xtask test` installs the package postgresql")
}

/// MariaDB takes several seconds on a busy machine.
const START_DEADLINE: Duration = Duration::from_secs(120);
