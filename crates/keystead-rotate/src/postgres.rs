//! PostgreSQL.
//!
//! The server is sent a verifier (RFC 5802; PostgreSQL documentation, "Password Authentication") and not the password, so that
//! neither its log nor its list of running statements ever shows one. A user changes his own; an administrator changes it
//! otherwise. Where two users take turns, the second is a member of the first and acts as the first from its login on
//! (`ALTER ROLE ... SET ROLE`): it has the same rights, and what either makes belongs to the same owner.
//!
//! The server bounds each change, too: where a line goes silent without an end, it would wait for the rest of a transaction, and
//! keep the locks of it, until the system's keepalive notices, which takes hours.

use std::fmt;

use keystead_core::rotation::{Change, Heard, Login, Wanted};
use postgres_protocol::escape::{escape_identifier, escape_literal};
use postgres_protocol::password::scram_sha_256;
use tokio::task::JoinSet;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, Error, NoTls, Transaction};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::limits::{CHANGE_DEADLINE, changing, connecting};
use crate::reach::Server;

/// Whether this login works.
pub(crate) async fn log_in(server: &Server, login: &Login) -> Heard {
    match connecting(connect(server, login)).await {
        Ok(_) => Heard::done(),
        // Whoever gets to this has been let in by the password.
        Err(heard) if heard.cause == BEHIND_THE_PASSWORD => Heard::done(),
        Err(heard) => heard,
    }
}

/// Has the server take a password.
pub(crate) async fn change(server: &Server, wanted: &Wanted) -> Heard {
    let Some(by) = &wanted.by else {
        return Heard::new(Change::NotPermitted, "nobody is named who may change it");
    };
    let (mut client, _driver) = match connecting(connect(server, by)).await {
        Ok(connected) => connected,
        Err(heard) => return heard,
    };
    let password = wanted.login.password.as_bytes().to_vec();
    // Thousands of rounds of a hash: not among those who wait for others.
    let verifier = tokio::task::spawn_blocking(move || {
        let password = zeroize::Zeroizing::new(password);
        scram_sha_256(&password)
    });
    let Ok(verifier) = verifier.await else {
        return Heard::new(Change::Unreachable, "the password could not be hashed");
    };
    let own = by.user == wanted.login.user && wanted.like.is_none();
    changing(async {
        if own {
            let verifier = escape_literal(&verifier);
            let bounds = bounds();
            let statement =
                format!("{bounds}; SET ROLE NONE; ALTER ROLE SESSION_USER PASSWORD {verifier}");
            return client
                .batch_execute(&statement)
                .await
                .map_err(refused_change);
        }
        assign(&mut client, wanted, &verifier).await
    })
    .await
}

async fn connect(server: &Server, login: &Login) -> Result<(Client, JoinSet<()>), Heard> {
    let unreachable = |cause: &dyn fmt::Display| Heard::new(Change::Unreachable, cause);
    let stream = server
        .connect()
        .await
        .map_err(|error| unreachable(&error))?;
    let mut config = Config::new();
    config
        .user(login.user.as_str())
        .password(login.password.as_bytes())
        .dbname(server.database.as_deref().unwrap_or(USUAL_DATABASE))
        .application_name("keystead");
    let mut driver = JoinSet::new();
    let client = match &server.tls {
        None => {
            config.ssl_mode(SslMode::Disable);
            let connected = config.connect_raw(stream, NoTls).await;
            let (client, connection) = connected.map_err(refused_login)?;
            // It ends with the client, or with the set.
            driver.spawn(async { drop(connection.await) });
            client
        }
        Some(trust) => {
            config.ssl_mode(SslMode::Require);
            let mut tls = MakeRustlsConnect::new((*trust.config).clone());
            let tls =
                MakeTlsConnect::<tokio::net::TcpStream>::make_tls_connect(&mut tls, &server.host);
            let tls = tls.map_err(|error| unreachable(&error))?;
            let connected = config.connect_raw(stream, tls).await;
            let (client, connection) = connected.map_err(refused_login)?;
            driver.spawn(async { drop(connection.await) });
            client
        }
    };
    Ok((client, driver))
}

/// Why there is no login. Nothing was changed in any case.
fn refused_login(error: Error) -> Heard {
    let Some(code) = error.code() else {
        return Heard::new(Change::Unreachable, Cause(&error));
    };
    if LOGIN_REFUSED.contains(code) {
        return Heard::new(Change::NotPermitted, format!("error {}", code.code()));
    }
    match NO_DATABASE.contains(code) {
        true => Heard::new(Change::NotPermitted, BEHIND_THE_PASSWORD),
        false => Heard::new(Change::Unreachable, format!("error {}", code.code())),
    }
}

/// What a statement's error means.
fn refused_change(error: Error) -> Heard {
    let Some(code) = error.code() else {
        return Heard::new(Change::Unknown, Cause(&error));
    };
    let outcome = match code {
        code if *code == SqlState::INVALID_PARAMETER_VALUE => Change::Rejected,
        code if *code == SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT => Change::Unknown,
        // Operator intervention and broken connections, lost races for a row, and waits that were given up.
        code if ["57", "08", "40", "55", "XX"]
            .iter()
            .any(|class| code.code().starts_with(class)) =>
        {
            Change::Unknown
        }
        _ => Change::NotPermitted,
    };
    Heard::new(outcome, format!("error {}", code.code()))
}

/// An error with what lies behind it, which says more: "error connecting to server" alone helps nobody.
struct Cause<'a>(&'a Error);

impl fmt::Display for Cause<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        match std::error::Error::source(self.0) {
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
}

/// An administrator gives the user its password, and, where it takes turns with another, being and rights as well. All of it
/// at once, or nothing.
async fn assign(client: &mut Client, wanted: &Wanted, verifier: &str) -> Result<(), Heard> {
    let user = wanted.login.user.as_str();
    let change = client.transaction().await.map_err(refused_change)?;
    change
        .batch_execute(&bounds())
        .await
        .map_err(refused_change)?;
    let role = escape_identifier(user);
    let password = escape_literal(verifier);
    let statement = match (exists(&change, user).await?, &wanted.like) {
        (true, _) => format!("ALTER ROLE {role} PASSWORD {password}"),
        (false, Some(_)) => format!("CREATE ROLE {role} LOGIN PASSWORD {password}"),
        (false, None) => {
            return Err(Heard::new(Change::NotPermitted, "there is no such user"));
        }
    };
    change
        .batch_execute(&statement)
        .await
        .map_err(refused_change)?;
    if let Some(like) = &wanted.like {
        become_alike(&change, user, like).await?;
    }
    change.commit().await.map_err(|error| {
        let heard = refused_change(error);
        // A commit without an answer may have come through.
        Heard::new(Change::Unknown, heard.cause)
    })
}

/// What the server itself holds a transaction to (PostgreSQL documentation, "Client Connection Defaults"). After
/// [`CHANGE_DEADLINE`] nobody waits for it any more.
fn bounds() -> String {
    let most = CHANGE_DEADLINE.as_millis();
    format!(
        "SET LOCAL idle_in_transaction_session_timeout = {most}; SET LOCAL lock_timeout = {most}; \
         SET LOCAL statement_timeout = {most}"
    )
}

async fn exists(change: &Transaction<'_>, user: &str) -> Result<bool, Heard> {
    let question = "SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = $1";
    let found = change.query_opt(question, &[&user]).await;
    Ok(found.map_err(refused_change)?.is_some())
}

/// Makes `user` a member of `like`, acting as it, unless the two belong together already.
async fn become_alike(change: &Transaction<'_>, user: &str, like: &str) -> Result<(), Heard> {
    let question = "SELECT 1 FROM pg_catalog.pg_auth_members m \
        JOIN pg_catalog.pg_roles r ON r.oid = m.roleid JOIN pg_catalog.pg_roles u ON u.oid = m.member \
        WHERE (r.rolname = $1 AND u.rolname = $2) OR (r.rolname = $2 AND u.rolname = $1)";
    let found = change.query_opt(question, &[&user, &like]).await;
    if found.map_err(refused_change)?.is_some() {
        return Ok(());
    }
    let (role, like) = (escape_identifier(user), escape_identifier(like));
    let statement = format!("GRANT {like} TO {role}; ALTER ROLE {role} SET ROLE TO {like}");
    change
        .batch_execute(&statement)
        .await
        .map_err(refused_change)
}

/// Every server has it.
const USUAL_DATABASE: &str = "postgres";

/// The password was right, and something behind it was not: the database is not there, or not for this user.
const BEHIND_THE_PASSWORD: &str = "the database can't be used";

const LOGIN_REFUSED: &[SqlState] = &[
    SqlState::INVALID_PASSWORD,
    SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
];

const NO_DATABASE: &[SqlState] = &[
    SqlState::INVALID_CATALOG_NAME,
    SqlState::INSUFFICIENT_PRIVILEGE,
];
