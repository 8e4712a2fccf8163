//! MariaDB and MySQL.
//!
//! A user changes his own password by SET PASSWORD, for which no right is needed; an administrator assigns it to every
//! account of the user's name (`user`@`host`), as AWS's functions do. Where two users take turns, the second is made with the
//! hosts of the first, and before each turn it gets what the first has been granted since.
//!
//! Statements about accounts can't be prepared, so names and passwords are quoted, under a `sql_mode` that says how
//! (MariaDB documentation, "String Literals"). What the server says of such a statement may repeat it, so that only the
//! number of its error is told. Each of them is a transaction of its own; the server bounds how long one waits for a lock, and
//! how long it keeps a connection whose line has gone silent.

use keystead_core::rotation::{Change, Heard, Login, Wanted};
use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Error, OptsBuilder, SslOpts};

use crate::limits::{CHANGE_DEADLINE, MOST_GRANTS, changing, connecting};
use crate::reach::Server;

/// Whether this login works.
pub(crate) async fn log_in(server: &Server, login: &Login) -> Heard {
    match connecting(connect(server, login)).await {
        Ok(connection) => {
            close(connection).await;
            Heard::done()
        }
        Err(heard) => heard,
    }
}

/// Has the server take a password.
pub(crate) async fn change(server: &Server, wanted: &Wanted) -> Heard {
    let Some(by) = &wanted.by else {
        return Heard::new(Change::NotPermitted, "nobody is named who may change it");
    };
    let mut connection = match connecting(connect(server, by)).await {
        Ok(connection) => connection,
        Err(heard) => return heard,
    };
    let heard = changing(async {
        let kind = Kind::of(&mut connection).await?;
        let own = by.user == wanted.login.user;
        match (&wanted.like, own) {
            (None, true) => {
                let password = kind.hashed(&wanted.login.password);
                run(&mut connection, &format!("SET PASSWORD = {password}")).await
            }
            (like, _) => assign(&mut connection, kind, wanted, like.as_deref()).await,
        }
    });
    let heard = heard.await;
    close(connection).await;
    heard
}

async fn connect(server: &Server, login: &Login) -> Result<Conn, Heard> {
    let addresses: Vec<_> = server
        .addresses
        .iter()
        .map(std::net::SocketAddr::ip)
        .collect();
    let tls = server.tls.as_ref().map(|trust| {
        let authorities = trust.authorities.iter();
        let authorities = authorities.map(|authority| authority.to_vec().into());
        SslOpts::default()
            .with_root_certs(authorities.collect())
            .with_disable_built_in_roots(true)
    });
    let most = CHANGE_DEADLINE.as_secs();
    let options = OptsBuilder::default()
        .ip_or_hostname(server.host.as_str())
        .resolved_ips(Some(addresses))
        .tcp_port(server.port)
        .prefer_socket(false)
        .user(Some(login.user.as_str()))
        .pass(Some(login.password.as_str()))
        .ssl_opts(tls)
        .stmt_cache_size(0)
        .setup(vec![format!(
            "SET SESSION sql_mode = '', lock_wait_timeout = {most}, wait_timeout = {most}"
        )]);
    Conn::new(options)
        .await
        .map_err(|error| refused_login(&error))
}

async fn close(connection: Conn) {
    // What was asked for is answered; that the other side hears of the end is a courtesy.
    let _ = tokio::time::timeout(crate::limits::CONNECT_DEADLINE, connection.disconnect()).await;
}

/// Why there is no login. Nothing was changed in any case.
fn refused_login(error: &Error) -> Heard {
    match error {
        Error::Server(server) if LOGIN_REFUSED.contains(&server.code) => {
            Heard::new(Change::NotPermitted, format!("error {}", server.code))
        }
        Error::Server(server) => Heard::new(Change::Unreachable, format!("error {}", server.code)),
        error => Heard::new(Change::Unreachable, error),
    }
}

/// What a statement's error means.
fn refused_change(error: &Error) -> Heard {
    match error {
        Error::Server(server) => {
            let outcome = match server.code {
                code if PASSWORD_REJECTED.contains(&code) => Change::Rejected,
                code if SHUTTING_DOWN.contains(&code) => Change::Unknown,
                _ => Change::NotPermitted,
            };
            Heard::new(outcome, format!("error {}", server.code))
        }
        error => Heard::new(Change::Unknown, error),
    }
}

async fn run(connection: &mut Conn, statement: &str) -> Result<(), Heard> {
    let done = connection.query_drop(statement).await;
    done.map_err(|error| refused_change(&error))
}

/// Whether it is MariaDB, which hashes passwords in a function where MySQL does so by itself.
#[derive(Clone, Copy)]
enum Kind {
    MariaDb,
    MySql,
}

impl Kind {
    async fn of(connection: &mut Conn) -> Result<Self, Heard> {
        let version: Result<Option<String>, _> = connection.query_first("SELECT VERSION()").await;
        let version = version.map_err(|error| refused_login(&error))?;
        let version = version.unwrap_or_default().to_ascii_lowercase();
        Ok(match version.contains("mariadb") {
            true => Self::MariaDb,
            false => Self::MySql,
        })
    }

    fn hashed(self, password: &str) -> String {
        match self {
            Self::MariaDb => format!("PASSWORD({})", quoted(password)),
            Self::MySql => quoted(password),
        }
    }
}

/// An administrator gives the user its password, and, where it takes turns with another, being and rights as well.
async fn assign(
    connection: &mut Conn,
    kind: Kind,
    wanted: &Wanted,
    like: Option<&str>,
) -> Result<(), Heard> {
    let user = &wanted.login.user;
    let mut hosts = hosts_of(connection, user).await?;
    let first = match like {
        Some(like) => hosts_of(connection, like).await?,
        None => Vec::new(),
    };
    let missing: Vec<_> = first
        .iter()
        .filter(|host| !hosts.contains(host))
        .cloned()
        .collect();
    for host in missing {
        let account = account(user, &host);
        let password = quoted(&wanted.login.password);
        run(
            connection,
            &format!("CREATE USER IF NOT EXISTS {account} IDENTIFIED BY {password}"),
        )
        .await?;
        hosts.push(host);
    }
    if hosts.is_empty() {
        return Err(Heard::new(Change::NotPermitted, "there is no such user"));
    }
    for host in &hosts {
        let account = account(user, host);
        let password = kind.hashed(&wanted.login.password);
        run(
            connection,
            &format!("SET PASSWORD FOR {account} = {password}"),
        )
        .await?;
    }
    if let Some(like) = like {
        for host in &first {
            copy_grants(connection, (like, host), user).await?;
        }
    }
    Ok(())
}

async fn hosts_of(connection: &mut Conn, user: &str) -> Result<Vec<String>, Heard> {
    // Roles are in the same table, without a host.
    let question = "SELECT Host FROM mysql.user WHERE User = ? AND Host <> ''";
    let hosts = connection.exec(question, (user,)).await;
    hosts.map_err(|error| refused_change(&error))
}

/// Grants to `user` what was granted to another, at the same host.
async fn copy_grants(
    connection: &mut Conn,
    (like, host): (&str, &str),
    user: &str,
) -> Result<(), Heard> {
    let question = format!("SHOW GRANTS FOR {}", account(like, host));
    let grants: Result<Vec<String>, _> = connection.query(question).await;
    let grants = grants.map_err(|error| refused_change(&error))?;
    for grant in grants.iter().take(MOST_GRANTS) {
        match granted_to(grant, (like, host), user) {
            Some(statement) => run(connection, &statement).await?,
            None => {
                return Err(Heard::new(
                    Change::NotPermitted,
                    "a grant has an unknown form",
                ));
            }
        }
    }
    Ok(())
}

/// A statement of SHOW GRANTS, for another user of the same host: `GRANT ... TO account ...` or `SET DEFAULT ROLE ... FOR
/// account`. The password that MariaDB shows in it (`IDENTIFIED ...`) is left out; what a login requires stays.
fn granted_to(grant: &str, (like, host): (&str, &str), user: &str) -> Option<String> {
    let forms = [
        format!("{}@{}", named(like), named(host)),
        account(like, host),
    ];
    let (form, at) = forms
        .iter()
        .filter_map(|form| grant.rfind(form.as_str()).map(|at| (form, at)))
        .max_by_key(|(_, at)| *at)?;
    let before = grant.get(..at)?;
    let mut behind = grant.get(at.checked_add(form.len())?..)?;
    if let Some(identified) = behind.find(" IDENTIFIED ") {
        let rest = behind.get(identified..)?;
        let ends = [" REQUIRE ", " WITH "]
            .iter()
            .filter_map(|word| rest.find(word))
            .min();
        behind = match ends {
            Some(end) => rest.get(end..)?,
            None => "",
        };
    }
    Some(format!("{before}{}{behind}", account(user, host)))
}

fn account(user: &str, host: &str) -> String {
    format!("{}@{}", quoted(user), quoted(host))
}

/// A string, under an empty `sql_mode`: backslashes escape.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// An identifier, as SHOW GRANTS writes it.
fn named(text: &str) -> String {
    format!("`{}`", text.replace('`', "``"))
}

/// ER_ACCESS_DENIED_ERROR, ER_ACCESS_DENIED_NO_PASSWORD_ERROR, ER_ACCOUNT_HAS_BEEN_LOCKED (MySQL, MariaDB), and
/// ER_MUST_CHANGE_PASSWORD_LOGIN.
const LOGIN_REFUSED: &[u16] = &[1045, 1698, 3118, 4151, 1862];

/// ER_NOT_VALID_PASSWORD and ER_CREDENTIALS_CONTRADICT_TO_HISTORY.
const PASSWORD_REJECTED: &[u16] = &[1819, 3638];

/// ER_SERVER_SHUTDOWN, ER_NORMAL_SHUTDOWN, ER_QUERY_INTERRUPTED, ER_LOCK_WAIT_TIMEOUT, ER_LOCK_DEADLOCK, ER_CONNECTION_KILLED.
const SHUTTING_DOWN: &[u16] = &[1053, 1077, 1317, 1205, 1213, 1927];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_passwords_are_quoted() {
        assert_eq!(account("o'hara\\", "%"), r"'o''hara\\'@'%'");
        assert_eq!(named("a`b"), "`a``b`");
        assert_eq!(Kind::MariaDb.hashed("x'y"), "PASSWORD('x''y')");
        assert_eq!(Kind::MySql.hashed("x"), "'x'");
    }

    #[test]
    fn grants_are_turned_to_the_other_user() {
        for (grant, expected) in [
            (
                "GRANT SELECT ON `shop`.* TO `app`@`%`",
                "GRANT SELECT ON `shop`.* TO 'app_clone'@'%'",
            ),
            (
                "GRANT USAGE ON *.* TO `app`@`%` IDENTIFIED BY PASSWORD '*0123' REQUIRE SSL WITH MAX_USER_CONNECTIONS 5",
                "GRANT USAGE ON *.* TO 'app_clone'@'%' REQUIRE SSL WITH MAX_USER_CONNECTIONS 5",
            ),
            (
                "GRANT USAGE ON *.* TO `app`@`%` IDENTIFIED VIA ed25519 USING 'x'",
                "GRANT USAGE ON *.* TO 'app_clone'@'%'",
            ),
            (
                "GRANT ALL PRIVILEGES ON `a TO b`.`c` TO 'app'@'%' WITH GRANT OPTION",
                "GRANT ALL PRIVILEGES ON `a TO b`.`c` TO 'app_clone'@'%' WITH GRANT OPTION",
            ),
            (
                "GRANT `reader` TO `app`@`%`",
                "GRANT `reader` TO 'app_clone'@'%'",
            ),
            (
                "SET DEFAULT ROLE `reader` FOR `app`@`%`",
                "SET DEFAULT ROLE `reader` FOR 'app_clone'@'%'",
            ),
        ] {
            let turned = granted_to(grant, ("app", "%"), "app_clone");
            assert_eq!(turned.as_deref(), Some(expected), "{grant}");
        }
        assert_eq!(
            granted_to("GRANT X TO `other`@`%`", ("app", "%"), "app_clone"),
            None
        );
    }
}
