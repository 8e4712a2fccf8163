//! A server of each kind, serving what its site has.

use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use keystead_testkit::{ADMINISTRATOR_PASSWORD, Database, DatabaseKind, Process, until};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};

use crate::site::{Pair, Site, free_port};

/// A server that runs.
pub(crate) struct Running {
    pub(crate) reload: Value,
    /// Its configuration's test refuses a pair that does not fit.
    pub(crate) tests: bool,
    /// Its reload does.
    pub(crate) refuses: bool,
    /// It closes its listening socket: for a moment nobody listens, and who was waiting to be accepted is sent away.
    pub(crate) closes: bool,
    /// Connections that may fail.
    pub(crate) may_fail: usize,
    protocol: &'static str,
    server: Server,
    pub(crate) site: Site,
}

enum Server {
    Child(Process, Option<PathBuf>),
    Database { _held: Database },
}

impl Running {
    fn child(mut command: Command, site: Site, reload: Value) -> Self {
        // Its workers end with it.
        command.process_group(0);
        let process = Process::start(command, "server", &site.path);
        Self {
            reload,
            tests: true,
            refuses: false,
            closes: false,
            may_fail: 0,
            protocol: "tls",
            server: Server::Child(process, None),
            site,
        }
    }

    fn database(kind: DatabaseKind, protocol: &'static str, old: &Site) -> Self {
        let database = Database::start(kind);
        let authority = database.authority();
        let site = Site::at(authority.parent().unwrap(), database.port());
        // The pair of the site that was made before this.
        let read = |name: &str| std::fs::read_to_string(old.path.join(name)).unwrap();
        site.put(&Pair {
            certificate: read("site.pem"),
            key: read("site.key"),
            der: Vec::new(),
        });
        Self {
            reload: Value::Null,
            tests: false,
            refuses: false,
            closes: false,
            may_fail: 0,
            protocol,
            server: Server::Database { _held: database },
            site,
        }
    }

    /// Where it serves.
    pub(crate) fn probe(&self) -> Value {
        json!({ "address": format!("127.0.0.1:{}", self.site.port), "sni": "localhost", "protocol": self.protocol })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Self::Child(process, _) = self {
            let id = i32::try_from(process.id()).ok().and_then(Pid::from_raw);
            kill_process_group(id.unwrap(), Signal::KILL).ok();
        }
        if let Self::Child(_, Some(master)) = self {
            // It leads a session of its own.
            let text = std::fs::read_to_string(master).unwrap_or_default();
            if let Some(id) = text.trim().parse().ok().and_then(Pid::from_raw) {
                kill_process_group(id, Signal::KILL).ok();
            }
        }
    }
}

fn server(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments);
    command.env(
        "PATH",
        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    );
    command
}

fn nginx_serving(
    site: Site,
    certificate: &str,
    key: &str,
    reload: impl Fn(&Site) -> Value,
) -> Running {
    let config = format!(
        "daemon off; user root root; worker_processes 2; pid {dir}/pid; error_log stderr;\n\
         events {{}}\n\
         http {{ access_log off; map x $dir {{ default {dir}; }} client_body_temp_path {dir}/b; proxy_temp_path {dir}/p;\n\
           fastcgi_temp_path {dir}/f; uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;\n\
           server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {certificate}; ssl_certificate_key {key}; return 200; }} }}\n",
        dir = site.path.display(),
        port = site.port,
    );
    site.write("nginx.conf", &config);
    let command = server("nginx", &["-e", "stderr", "-c", &site.file("nginx.conf")]);
    let reload = reload(&site);
    Running::child(command, site, reload)
}

pub(crate) fn nginx(site: Site) -> Running {
    let (certificate, key) = (site.file("site.pem"), site.file("site.key"));
    nginx_serving(
        site,
        &certificate,
        &key,
        |site| json!({ "nginx": { "pid_file": site.file("pid"), "config": site.file("nginx.conf") } }),
    )
}

pub(crate) fn nginx_map(site: Site) -> Running {
    Running {
        tests: false,
        // Those that come between the two files.
        may_fail: crate::LOADERS * 2,
        ..nginx_serving(site, "$dir/site.pem", "$dir/site.key", |_| json!("none"))
    }
}

fn haproxy_config(site: &Site, options: &str) {
    let config = format!(
        "global\n  stats socket {dir}/admin.sock mode 600 level admin expose-fd listeners\n\
         defaults\n  mode http\n  timeout connect 5s\n  timeout client 5s\n  timeout server 5s\n\
         frontend site\n  bind 127.0.0.1:{port} ssl crt {dir}/both.pem {options}\n  http-request return status 200\n",
        dir = site.path.display(),
        port = site.port,
    );
    site.write("haproxy.cfg", &config);
}

/// One that demands certificates of its clients, and speaks TLS 1.2 alone: it ends the handshake for want of one.
pub(crate) fn haproxy(site: Site) -> Running {
    std::fs::copy(site.path.join("site.pem"), site.path.join("clients")).unwrap();
    let clients = site.file("clients");
    haproxy_config(
        &site,
        &format!("verify required ca-file {clients} ssl-max-ver TLSv1.2"),
    );
    let command = server("haproxy", &["-f", &site.file("haproxy.cfg")]);
    let config = site.file("haproxy.cfg");
    let reload = json!({ "haproxy": { "socket": site.file("admin.sock"), "config": config } });
    Running {
        refuses: true,
        ..Running::child(command, site, reload)
    }
}

pub(crate) fn haproxy_master(site: Site) -> Running {
    haproxy_config(&site, "");
    let (config, pid) = (site.file("haproxy.cfg"), site.file("pid"));
    let command = server("haproxy", &["-W", "-p", &pid, "-f", &config]);
    let reload = json!({ "haproxy_master": { "pid_file": pid, "config": config } });
    Running::child(command, site, reload)
}

pub(crate) fn apache(site: Site) -> Running {
    let modules = "/usr/lib/apache2/modules";
    let config = format!(
        "LoadModule mpm_event_module {modules}/mod_mpm_event.so\nLoadModule authz_core_module {modules}/mod_authz_core.so\n\
         LoadModule socache_shmcb_module {modules}/mod_socache_shmcb.so\nLoadModule ssl_module {modules}/mod_ssl.so\n\
         ServerName localhost\nServerRoot {dir}\nDefaultRuntimeDir {dir}\nPidFile {dir}/pid\nErrorLog {dir}/error.log\n\
         DocumentRoot {dir}\nUser www-data\nGroup www-data\nListen 127.0.0.1:{port}\n\
         <VirtualHost *:{port}>\nSSLEngine on\nSSLCertificateFile {dir}/site.pem\nSSLCertificateKeyFile {dir}/site.key\n</VirtualHost>\n",
        dir = site.path.display(),
        port = site.port,
    );
    site.write("apache.conf", &config);
    let config = site.file("apache.conf");
    let command = server("apache2", &["-f", &config, "-DFOREGROUND"]);
    let reload = json!({ "apache": { "pid_file": site.file("pid"), "config": config } });
    Running {
        // It looks whether the files are there, and no further.
        tests: false,
        ..Running::child(command, site, reload)
    }
}

pub(crate) fn stunnel(site: Site) -> Running {
    let config = format!(
        "foreground = yes\ndebug = err\npid = {dir}/pid\n[site]\naccept = 127.0.0.1:{port}\nconnect = 127.0.0.1:{port}\n\
         cert = {dir}/site.pem\nkey = {dir}/site.key\n",
        dir = site.path.display(),
        port = site.port,
    );
    let config = config.replace(
        &format!("connect = 127.0.0.1:{}", site.port),
        &format!("connect = 127.0.0.1:{}", free_port()),
    );
    site.write("stunnel.conf", &config);
    let command = server("stunnel", &[&site.file("stunnel.conf")]);
    let reload = json!({ "stunnel": { "pid_file": site.file("pid") } });
    Running {
        tests: false,
        closes: true,
        ..Running::child(command, site, reload)
    }
}

pub(crate) fn hitch(site: Site) -> Running {
    let config = format!(
        "frontend = \"[127.0.0.1]:{port}\"\nbackend = \"[127.0.0.1]:{backend}\"\npem-file = \"{dir}/both.pem\"\n\
         daemon = off\nworkers = 2\n",
        dir = site.path.display(),
        port = site.port,
        backend = free_port(),
    );
    site.write("hitch.conf", &config);
    let config = site.file("hitch.conf");
    let pid = site.file("pid");
    let mut command = server("hitch", &["--config", &config, "--pidfile", &pid]);
    if Site::is_root() {
        // Its workers never are.
        command.args(["--user", "nobody", "--group", "nogroup"]);
    }
    let reload = json!({ "hitch": { "pid_file": site.file("pid"), "config": config } });
    Running::child(command, site, reload)
}

pub(crate) fn caddy(site: Site) -> Running {
    let config = format!(
        "{{\n  admin unix/{dir}/admin.sock\n  auto_https off\n  storage file_system {dir}/storage\n}}\n\
         https://localhost:{port} {{\n  bind 127.0.0.1\n  tls {dir}/site.pem {dir}/site.key\n  respond 200\n}}\n",
        dir = site.path.display(),
        port = site.port,
    );
    site.write("Caddyfile", &config);
    let config = site.file("Caddyfile");
    let command = server(
        "caddy",
        &["run", "--config", &config, "--adapter", "caddyfile"],
    );
    let reload = json!({ "caddy": { "config": config, "adapter": "caddyfile" } });
    Running {
        refuses: true,
        closes: true,
        ..Running::child(command, site, reload)
    }
}

pub(crate) fn postgresql(site: Site) -> Running {
    let mut running = Running::database(DatabaseKind::PostgreSql, "postgresql", &site);
    running.reload = json!({ "postgresql": { "data_directory": running.site.file("data") } });
    signal_at_start(&running);
    running
}

/// It runs with the pair that it was started with: it is told of the site's in the way that is tested.
fn signal_at_start(running: &Running) {
    let pid = until("the pid file", Duration::from_secs(60), || {
        let text = std::fs::read_to_string(running.site.path.join("data/postmaster.pid")).ok()?;
        text.lines().next()?.parse().ok().and_then(Pid::from_raw)
    });
    rustix::process::kill_process(pid, Signal::HUP).unwrap();
}

pub(crate) fn mariadb(site: Site) -> Running {
    let mut running = Running::database(DatabaseKind::MariaDb, "mysql", &site);
    let login = format!(
        "[client]\nuser=root\npassword={ADMINISTRATOR_PASSWORD}\nhost=127.0.0.1\nport={}\n",
        running.site.port
    );
    let login = running.site.write("login.cnf", &login);
    running.reload = json!({ "mariadb": { "defaults_file": login } });
    let Server::Database { _held: database } = &running.server else {
        panic!("it is a database")
    };
    database.run("FLUSH SSL");
    running.refuses = true;
    running
}

pub(crate) fn postfix(site: Site) -> Running {
    assert!(Site::is_root(), "postfix(1) is root's alone");
    for folder in ["queue", "data", "config"] {
        std::fs::create_dir(site.path.join(folder)).unwrap();
    }
    let owned = server("chown", &["postfix", &site.file("data")]).status();
    assert!(owned.unwrap().success());
    let config = format!(
        "compatibility_level = 3.6\nalias_maps =\nlocal_recipient_maps =\nqueue_directory = {dir}/queue\ndata_directory = {dir}/data\nmyhostname = localhost\n\
         inet_interfaces = 127.0.0.1\nmaillog_file = /dev/stdout\nmaillog_file_prefixes = /dev\n\
         smtpd_tls_cert_file = {dir}/site.pem\nsmtpd_tls_key_file = {dir}/site.key\nsmtpd_tls_security_level = may\n\
         smtpd_peername_lookup = no\nsmtpd_client_connection_count_limit = 0\n",
        dir = site.path.display(),
    );
    site.write("config/main.cf", &config);
    let services = format!(
        "127.0.0.1:{} inet n - n - - smtpd\nanvil unix - - n - 1 anvil\ntlsmgr unix - - n 1000? 1 tlsmgr\n\
         postlog unix-dgram n - n - 1 postlogd\nrewrite unix - - n - - trivial-rewrite\nproxymap unix - - n - - proxymap\n",
        site.port
    );
    site.write("config/master.cf", &services);
    let config = site.file("config");
    let command = server("postfix", &["-c", &config, "start-fg"]);
    let reload = json!({ "postfix": { "config_directory": config } });
    let master = site.path.join("queue/pid/master.pid");
    let mut running = Running::child(command, site, reload);
    if let Server::Child(_, leads) = &mut running.server {
        *leads = Some(master);
    }
    running.tests = false;
    running.protocol = "smtp";
    running
}
