//! A command of the operator's own, for servers that Keystead does not know (docs/rotation.md has the protocol).
//!
//! The command and its arguments stand in the configuration. What it needs to know comes on its standard input as one JSON
//! document, and it answers one on its standard output; it inherits no environment. What it writes to its
//! standard error is nobody's, since it may hold a password.

use std::process::Stdio;
use std::time::Duration;

use keystead_core::rotation::{Change, Deed, Heard, Job};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use zeroize::Zeroizing;

use crate::limits::LARGEST_ANSWER;

/// A command that rotates.
#[derive(Clone, Debug)]
pub struct Command {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// How long it may take.
    pub deadline: Duration,
}

/// What it is asked.
#[derive(Serialize)]
struct Question<'a> {
    /// Of this protocol.
    version: u8,
    /// `try` or `set`.
    action: &'a str,
    username: &'a str,
    password: &'a str,
    /// The password in use, where one is to be set.
    #[serde(skip_serializing_if = "Option::is_none")]
    current_password: Option<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    host: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dbname: Option<&'a str>,
}

/// What it answers.
#[derive(Deserialize)]
struct Answer {
    outcome: Outcome,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    /// The login works; the change is made.
    Done,
    /// The login is refused; the change is not permitted.
    Refused,
    /// The server takes no such password.
    Rejected,
    /// The server can't be reached, and nothing was changed.
    Unreachable,
    /// Something may have been changed.
    Unknown,
}

/// Runs it.
pub(crate) async fn run(command: &Command, job: &Job) -> Heard {
    let question = Question {
        version: 1,
        action: "",
        username: "",
        password: "",
        current_password: None,
        host: &job.place.host,
        port: job.place.port,
        dbname: job.place.database.as_deref(),
    };
    let (question, silence) = match &job.deed {
        Deed::Try(login) => (
            Question {
                action: "try",
                username: &login.user,
                password: &login.password,
                ..question
            },
            Change::Unreachable,
        ),
        Deed::Set(wanted) => (
            Question {
                action: "set",
                username: &wanted.login.user,
                password: &wanted.login.password,
                current_password: wanted.keep.as_ref().map(|keep| keep.as_str()),
                ..question
            },
            Change::Unknown,
        ),
    };
    let question = Zeroizing::new(serde_json::to_vec(&question).unwrap_or_default());
    match tokio::time::timeout(command.deadline, exchange(command, &question)).await {
        Ok(Ok(outcome)) => Heard::new(outcome, "said by the command"),
        Ok(Err(NoAnswer::NotStarted(cause))) => Heard::new(Change::Unreachable, cause),
        Ok(Err(NoAnswer::Broken(cause))) => Heard::new(silence, cause),
        Err(_) => {
            let cause = format!("the command took longer than {:?}", command.deadline);
            Heard::new(silence, cause)
        }
    }
}

enum NoAnswer {
    NotStarted(String),
    Broken(String),
}

async fn exchange(command: &Command, question: &[u8]) -> Result<Change, NoAnswer> {
    let broken = |cause: &dyn std::fmt::Display| NoAnswer::Broken(cause.to_string());
    let (program, arguments) = command
        .argv
        .split_first()
        .ok_or_else(|| NoAnswer::NotStarted("the command is empty".into()))?;
    let mut process = tokio::process::Command::new(program);
    process
        .args(arguments)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let mut process = process
        .spawn()
        .map_err(|error| NoAnswer::NotStarted(format!("the command can't be started: {error}")))?;
    if let Some(mut input) = process.stdin.take() {
        // A command that does not read all of it may still answer.
        let _ = input.write_all(question).await;
    }
    let mut answer = Zeroizing::new(Vec::new());
    if let Some(output) = process.stdout.take() {
        let read = output.take(LARGEST_ANSWER).read_to_end(&mut answer).await;
        read.map_err(|error| broken(&error))?;
    }
    let status = process.wait().await.map_err(|error| broken(&error))?;
    if !status.success() {
        return Err(broken(&format!("the command ended with {status}")));
    }
    let answer: Result<Answer, _> = serde_json::from_slice(&answer);
    let answer = answer.map_err(|_| broken(&"the command's answer is not of the protocol"))?;
    Ok(match answer.outcome {
        Outcome::Done => Change::Done,
        Outcome::Refused => Change::NotPermitted,
        Outcome::Rejected => Change::Rejected,
        Outcome::Unreachable => Change::Unreachable,
        Outcome::Unknown => Change::Unknown,
    })
}

#[cfg(test)]
mod tests {
    use keystead_core::rotation::{Login, Place, Rotator, Wanted};

    use super::*;

    async fn answer(script: &str, sets: bool, deadline: Duration) -> Heard {
        let login = Login {
            user: "ann".into(),
            password: "s3cret".to_owned().into(),
        };
        let command = Command {
            argv: vec!["/bin/sh".into(), "-c".into(), script.into()],
            deadline,
        };
        let job = Job {
            rotator: Rotator::Command("x".into()),
            place: Place::default(),
            deed: match sets {
                false => Deed::Try(login),
                true => Deed::Set(Wanted {
                    by: None,
                    login,
                    like: None,
                    keep: Some("old".to_owned().into()),
                }),
            },
        };
        run(&command, &job).await
    }

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_command_answers_for_its_server() {
        for (said, outcome) in [
            ("done", Change::Done),
            ("refused", Change::NotPermitted),
            ("rejected", Change::Rejected),
            ("unreachable", Change::Unreachable),
            ("unknown", Change::Unknown),
        ] {
            let script = format!("cat > /dev/null; echo '{{\"outcome\":\"{said}\"}}'");
            assert_eq!(answer(&script, true, LONG).await.outcome, outcome);
        }
    }

    #[tokio::test]
    async fn it_is_asked_on_its_input_and_nowhere_else() {
        let question = r#"{"version":1,"action":"set","username":"ann","password":"s3cret","current_password":"old"}"#;
        let script = format!(
            "read -r line; [ \"$line\" = '{question}' ] && ! env | grep -q s3cret && echo '{{\"outcome\":\"done\"}}'"
        );
        // The document has no end of line: `read` answers that it met the end, and has the line.
        let script = script.replacen("read -r line;", "read -r line || true;", 1);
        assert_eq!(answer(&script, true, LONG).await.outcome, Change::Done);
    }

    #[tokio::test]
    async fn silence_is_no_answer() {
        for script in [
            "exit 1",
            "echo nonsense",
            "echo '{\"outcome\":\"done\"}'; exit 3",
            "true",
        ] {
            assert_eq!(
                answer(script, true, LONG).await.outcome,
                Change::Unknown,
                "{script}"
            );
            assert_eq!(
                answer(script, false, LONG).await.outcome,
                Change::Unreachable,
                "{script}"
            );
        }
        let soon = Duration::from_millis(50);
        assert_eq!(
            answer("sleep 600", true, soon).await.outcome,
            Change::Unknown
        );
        let command = Command {
            argv: vec!["/nonexistent/command".into()],
            deadline: LONG,
        };
        let outcome = exchange(&command, b"{}").await;
        assert!(matches!(outcome, Err(NoAnswer::NotStarted(_))));
    }
}
