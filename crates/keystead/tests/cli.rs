//! The binary as its user meets it: help, start, health, environment, stop.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test that cannot go on says why and stops"
)]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use keystead_testkit::{Keystead, Start};

const BINARY: &str = env!("CARGO_BIN_EXE_keystead");
const ACCOUNT: &str = "123456789012";

fn start() -> Keystead {
    Start::new(BINARY)
        .arg("--account")
        .arg(ACCOUNT)
        .start()
        .expect("a server")
}

fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(BINARY);
    command.args(arguments).stdin(Stdio::null());
    command.output().expect("the binary starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// One HTTP exchange on a connection of its own: the whole answer.
fn exchange(server: &Keystead, request: &str) -> String {
    let mut stream = TcpStream::connect(server.authority()).expect("it listens");
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .expect("a timeout");
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut answer = Vec::new();
    stream
        .read_to_end(&mut answer)
        .expect("it answers and closes");
    text(&answer)
}

fn get(server: &Keystead, path: &str) -> String {
    exchange(
        server,
        &format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"),
    )
}

#[test]
fn every_subcommand_shows_an_example() {
    let help = text(&run(&["--help"]).stdout);
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let commands = commands.take_while(|line| !line.is_empty());
    let names: Vec<&str> = commands
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    for expected in ["up", "env", "status", "envoy", "audit", "demo"] {
        assert!(
            names.contains(&expected),
            "{expected} is missing in: {help}"
        );
    }
    for name in names.into_iter().filter(|name| *name != "help") {
        let help = text(&run(&[name, "--help"]).stdout);
        assert!(
            help.contains("Example"),
            "`keystead {name} --help` has no example: {help}"
        );
    }
}

#[test]
fn a_wrong_argument_is_named_and_nothing_starts() {
    let output = run(&["up", "--no-such-thing"]);
    assert!(!output.status.success());
    assert!(text(&output.stderr).contains("--no-such-thing"));
}

#[test]
fn env_before_the_first_start_says_what_to_do() {
    let folder = Start::new(BINARY).data_dir();
    let output = run(&["env", "--data-dir", folder.to_str().expect("plain")]);
    assert!(!output.status.success());
    let complaint = text(&output.stderr);
    assert!(complaint.contains("keystead up"), "{complaint}");
    assert!(!complaint.contains("panicked"), "{complaint}");
}

#[test]
fn a_ready_server_is_healthy_and_names_its_environment() {
    let server = start();
    let health = get(&server, "/health");
    assert!(health.starts_with("HTTP/1.1 200 "), "{health}");
    assert!(
        health
            .to_ascii_lowercase()
            .contains("content-type: application/json"),
        "{health}"
    );
    let variables = server.variables();
    assert!(server.endpoint().starts_with("http://127.0.0.1:"));
    assert!(!variables["AWS_ACCESS_KEY_ID"].is_empty());
    assert!(variables["AWS_SECRET_ACCESS_KEY"].len() >= 40);
    assert_eq!(variables["AWS_DEFAULT_REGION"], "us-east-1");
    assert!(
        !variables.contains_key("AWS_CA_BUNDLE"),
        "plain HTTP needs no bundle"
    );
}

#[test]
fn the_secret_is_printed_by_env_alone() {
    let server = start();
    let secret = server.variables()["AWS_SECRET_ACCESS_KEY"].clone();
    get(&server, "/health");
    assert!(
        !server.said().contains(&secret),
        "the server printed its secret key"
    );
}

#[test]
fn an_unsigned_call_is_refused() {
    let server = start();
    let body = "Action=GetCallerIdentity&Version=2011-06-15";
    let answer = exchange(
        &server,
        &format!(
            "POST / HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        ),
    );
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    assert!(
        answer.contains("<Code>MissingAuthenticationToken</Code>"),
        "{answer}"
    );
}

#[test]
fn figures_are_in_the_form_of_prometheus() {
    let server = start();
    get(&server, "/health");
    let answer = get(&server, "/metrics");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.contains("# TYPE "), "{answer}");
}

#[test]
fn a_stop_is_clean_and_a_start_goes_on() {
    let server = start();
    let (again, key) = (
        server.how(),
        server.variables()["AWS_ACCESS_KEY_ID"].clone(),
    );
    assert_eq!(server.stop(), Some(0));
    let server = again.start().expect("it starts again");
    assert_eq!(server.variables()["AWS_ACCESS_KEY_ID"], key);
}

#[test]
fn a_power_cut_is_survived() {
    let server = start();
    let key = server.variables()["AWS_ACCESS_KEY_ID"].clone();
    let server = server.restart();
    assert_eq!(server.variables()["AWS_ACCESS_KEY_ID"], key);
    assert!(get(&server, "/health").starts_with("HTTP/1.1 200 "));
}

#[test]
fn a_second_server_on_the_same_data_is_refused() {
    let server = start();
    let failure = match server.how().start() {
        Err(failure) => failure,
        Ok(_) => panic!("two servers on one data directory"),
    };
    assert!(!failure.hung, "{failure}");
    assert!(
        failure
            .said
            .contains(server.data_dir().to_str().expect("plain")),
        "{failure}"
    );
    assert!(
        get(&server, "/health").starts_with("HTTP/1.1 200 "),
        "the first one suffers"
    );
}

#[test]
fn status_of_a_server_is_machine_readable_on_request() {
    let server = start();
    let dir = server.data_dir();
    let output = server.how().run(&[
        "status",
        "--json",
        "--data-dir",
        dir.to_str().expect("plain"),
    ]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let status: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(status.is_object(), "{status}");
}
