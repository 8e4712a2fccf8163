//! What a rotator's secret holds: AWS's JSON, read, and written again with another password.
//!
//! Source: user guide, "JSON structure of secrets". What a rotator does not know stays as it is, in its place. Ports may be
//! text and `ssl` too, as AWS's rotation functions take both.

use std::fmt;

use serde_json::{Map, Value};
use zeroize::{Zeroize as _, Zeroizing};

use super::rotator::Engine;

/// A credential of a server's user.
pub struct Credential {
    fields: Map<String, Value>,
    /// The user.
    pub username: String,
    /// Its password.
    pub password: Zeroizing<String>,
    /// `host`.
    pub host: Option<String>,
    /// `port`.
    pub port: Option<u16>,
    /// `dbname`.
    pub database: Option<String>,
    /// `ssl`.
    pub tls: Option<bool>,
    /// `masterarn`: the administrator's secret.
    pub administrator: Option<String>,
}

impl Credential {
    /// Reads a secret's text; `engine` is what its `engine` must be where it has one. The refusal tells what is wrong, and
    /// nothing of any value.
    pub fn parse(text: &str, engine: Option<Engine>) -> Result<Self, String> {
        let parsed = serde_json::from_str(text);
        let Ok(Value::Object(fields)) = parsed else {
            return Err("the secret's value is not a JSON object".into());
        };
        let mut read = Self {
            fields,
            username: String::new(),
            password: Zeroizing::default(),
            host: None,
            port: None,
            database: None,
            tls: None,
            administrator: None,
        };
        if let (Some(engine), Some(named)) = (engine, read.text("engine")?)
            && !engine.names().contains(&named.as_str())
        {
            return Err(format!(
                "the secret's engine is not one of this rotator's: {}",
                engine.names().join(", ")
            ));
        }
        let required = |field: &str, value: Option<String>| {
            value.ok_or_else(|| format!("the secret has no {field}"))
        };
        read.username = required("username", read.text("username")?)?;
        read.password = required("password", read.text("password")?)?.into();
        read.host = read.text("host")?;
        read.port = read.number("port")?;
        read.database = read.text("dbname")?;
        read.tls = read.flag("ssl")?;
        read.administrator = read.text("masterarn")?;
        match engine.is_some() && read.host.is_none() {
            true => Err("the secret has no host".into()),
            false => Ok(read),
        }
    }

    /// The secret's text with this user and password instead.
    pub fn with(&self, username: &str, password: &str) -> Zeroizing<String> {
        let mut fields = Self {
            fields: self.fields.clone(),
            username: String::new(),
            password: Zeroizing::default(),
            host: None,
            port: None,
            database: None,
            tls: None,
            administrator: None,
        };
        fields.set("username", username);
        fields.set("password", password);
        // A map of values that came from JSON can be written as JSON.
        Zeroizing::new(serde_json::to_string(&fields.fields).unwrap_or_default())
    }

    /// The other of two users that take turns: `NAME` and `NAME_clone`, as AWS's functions call them. A name that would be
    /// too long for the server is refused.
    pub fn other_user(&self, engine: Engine) -> Result<String, String> {
        let other = match self.username.strip_suffix(CLONE) {
            Some(first) => first.to_owned(),
            None => format!("{}{CLONE}", self.username),
        };
        match other.len() > engine.longest_user() || other.is_empty() {
            true => Err(format!(
                "the name of the second user, the first one's and {CLONE}, would be longer than {} characters",
                engine.longest_user()
            )),
            false => Ok(other),
        }
    }

    /// Whether both are of the same server: an administrator's password goes nowhere else.
    pub fn same_server(&self, other: &Self, engine: Engine) -> bool {
        let port = |of: &Self| of.port.unwrap_or(engine.port());
        let host = |of: &Self| of.host.as_ref().map(|host| host.to_ascii_lowercase());
        host(self).is_some() && host(self) == host(other) && port(self) == port(other)
    }

    fn set(&mut self, field: &str, value: &str) {
        let replaced = self.fields.insert(field.into(), value.into());
        if let Some(mut replaced) = replaced {
            wipe(&mut replaced);
        }
    }

    fn text(&self, field: &str) -> Result<Option<String>, String> {
        match self.fields.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.contains('\0') => {
                Err(format!("the secret's {field} has a NUL character"))
            }
            Some(Value::String(text)) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
            Some(_) => Err(format!("the secret's {field} is not text")),
        }
    }

    fn number(&self, field: &str) -> Result<Option<u16>, String> {
        let number = match self.fields.get(field) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(text)) => text.parse().ok(),
            Some(value) => value.as_u64().and_then(|value| value.try_into().ok()),
        };
        let number = number.filter(|number| *number > 0);
        number
            .map(Some)
            .ok_or_else(|| format!("the secret's {field} is not a number from 1 to 65535"))
    }

    fn flag(&self, field: &str) -> Result<Option<bool>, String> {
        match self.fields.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
            Some(_) => Err(format!("the secret's {field} is neither true nor false")),
        }
    }
}

impl Drop for Credential {
    fn drop(&mut self) {
        for (_, value) in &mut self.fields {
            wipe(value);
        }
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential([redacted])")
    }
}

fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(values) => values.iter_mut().for_each(wipe),
        Value::Object(fields) => fields.iter_mut().for_each(|(_, value)| wipe(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A new password, made of unpredictable bytes: 32 characters that need no escape in a URL, a shell or a configuration file,
/// with an upper and a lower case letter, a digit and a sign among them, as servers' rules ask for.
pub fn candidate(random: &[u8; CANDIDATE_RANDOM]) -> Zeroizing<String> {
    let pick = |alphabet: &'static [u8], byte: u8| {
        let at = usize::from(byte) % alphabet.len().max(1);
        alphabet.get(at).copied().map_or('-', char::from)
    };
    // A byte has four times as many values as the alphabet has characters: each is as likely as the other.
    let (last, first) = random.split_at(CLASSES.len());
    let first = first.iter().map(|byte| pick(ALPHABET, *byte));
    let last = last.iter().zip(CLASSES);
    let last = last.map(|(byte, class)| pick(class, *byte));
    let mut made = Zeroizing::new(String::with_capacity(CANDIDATE_RANDOM));
    made.extend(first.chain(last));
    made
}

/// Bytes that [`candidate`] takes, one a character. 28 of six bits are more than any server's hash keeps.
pub const CANDIDATE_RANDOM: usize = 32;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const CLASSES: [&[u8]; 4] = [
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    b"abcdefghijklmnopqrstuvwxyz",
    b"0123456789",
    b"-_",
];

/// What the second user's name ends with.
const CLONE: &str = "_clone";

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = r#"{"engine":"mariadb","host":"DB.example","username":"app","password":"old","dbname":"shop","port":3307,"ssl":"True","masterarn":"arn:x","mine":{"k":[1]}}"#;

    fn parse(text: &str) -> Credential {
        Credential::parse(text, Some(Engine::MySql)).expect("a credential")
    }

    #[test]
    fn a_credential_is_read_in_aws_form() {
        let read = parse(WHOLE);
        assert_eq!(
            (read.username.as_str(), read.password.as_str()),
            ("app", "old")
        );
        assert_eq!(
            (read.host.as_deref(), read.port),
            (Some("DB.example"), Some(3307))
        );
        assert_eq!(
            (read.database.as_deref(), read.tls),
            (Some("shop"), Some(true))
        );
        assert_eq!(read.administrator.as_deref(), Some("arn:x"));
        assert_eq!(format!("{read:?}"), "Credential([redacted])");
        let bare = Credential::parse(r#"{"username":"u","password":"p"}"#, None).expect("fine");
        assert_eq!(
            (bare.host.as_deref(), bare.port, bare.tls),
            (None, None, None)
        );
    }

    #[test]
    fn another_password_leaves_the_rest_as_it_was() {
        let written = parse(WHOLE).with("app_clone", "n\"ew");
        let expected = WHOLE
            .replace(r#""app""#, r#""app_clone""#)
            .replace(r#""old""#, r#""n\"ew""#);
        assert_eq!(*written, expected);
    }

    #[test]
    fn what_is_no_credential_is_refused_without_its_values() {
        for (text, cause) in [
            ("hunter2", "not a JSON object"),
            ("[]", "not a JSON object"),
            (r#"{"password":"hunter2","host":"h"}"#, "no username"),
            (r#"{"username":"u","host":"h"}"#, "no password"),
            (
                r#"{"username":"","password":"hunter2","host":"h"}"#,
                "no username",
            ),
            (r#"{"username":"u","password":"hunter2"}"#, "no host"),
            (
                r#"{"username":"u","password":"hunter2","host":1}"#,
                "host is not text",
            ),
            (
                r#"{"username":"u\u0000","password":"hunter2","host":"h"}"#,
                "NUL",
            ),
            (
                r#"{"username":"u","password":"hunter2","host":"h","port":0}"#,
                "port",
            ),
            (
                r#"{"username":"u","password":"hunter2","host":"h","port":"x"}"#,
                "port",
            ),
            (
                r#"{"username":"u","password":"hunter2","host":"h","port":65536}"#,
                "port",
            ),
            (
                r#"{"username":"u","password":"hunter2","host":"h","ssl":"maybe"}"#,
                "ssl",
            ),
            (
                r#"{"username":"u","password":"hunter2","host":"h","engine":"postgres"}"#,
                "engine",
            ),
        ] {
            let refusal = Credential::parse(text, Some(Engine::MySql)).expect_err(text);
            assert!(refusal.contains(cause), "{text}: {refusal}");
            assert!(!refusal.contains("hunter2"), "{refusal}");
        }
    }

    #[test]
    fn two_users_take_turns() {
        let of = |name: &str| parse(&WHOLE.replace("\"app\"", &format!("\"{name}\"")));
        assert_eq!(
            of("app").other_user(Engine::MySql).as_deref(),
            Ok("app_clone")
        );
        assert_eq!(
            of("app_clone").other_user(Engine::MySql).as_deref(),
            Ok("app")
        );
        assert!(of(&"x".repeat(27)).other_user(Engine::MySql).is_err());
        assert!(of(&"x".repeat(27)).other_user(Engine::PostgreSql).is_ok());
        assert!(of("_clone").other_user(Engine::MySql).is_err());
    }

    #[test]
    fn a_server_is_its_host_and_port() {
        let of = |text: &str| parse(&format!(r#"{{"username":"u","password":"p",{text}}}"#));
        let one = of(r#""host":"db.example""#);
        assert!(one.same_server(&of(r#""host":"DB.example","port":3306"#), Engine::MySql));
        assert!(!one.same_server(&of(r#""host":"db.example","port":3307"#), Engine::MySql));
        assert!(!one.same_server(&of(r#""host":"evil.example""#), Engine::MySql));
    }

    #[test]
    fn candidates_have_a_character_of_every_kind_and_need_no_escape() {
        for seed in 0..=255_u8 {
            let random = std::array::from_fn(|at| {
                seed.wrapping_mul(31)
                    .wrapping_add(u8::try_from(at).expect("small"))
            });
            let made = candidate(&random);
            assert_eq!(made.len(), 32);
            for kind in [char::is_uppercase, char::is_lowercase, char::is_numeric] {
                assert!(made.chars().any(kind), "{}", *made);
            }
            assert!(made.contains(['-', '_']));
            assert!(
                made.chars()
                    .all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
            );
        }
    }
}
