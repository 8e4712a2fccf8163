use std::time::Instant;

use serde_json::json;

use super::*;

fn reload(document: serde_json::Value) -> Result<Reload, String> {
    let file: FileReload = serde_json::from_value(document).map_err(|error| error.to_string())?;
    Reload::of(file).map_err(|failure| failure.to_string())
}

const NOTHING: Placed<'static> = Placed {
    certificate_pem: "",
    key_pem: "",
    paths: &[],
};

async fn told(document: serde_json::Value) -> String {
    let reload = reload(document).unwrap();
    reload.reload(&NOTHING).await.unwrap_err().to_string()
}

#[test]
fn what_cannot_work_is_refused_at_the_start() {
    for (document, told) in [
        (json!("none"), ""),
        (json!({ "nginx": { "pid_file": "/run/nginx.pid" } }), ""),
        (
            json!({ "nginx": { "pid_file": "nginx.pid" } }),
            "absolute path",
        ),
        (
            json!({ "nginx": { "pid_file": "/x", "config": "c" } }),
            "absolute path",
        ),
        (
            json!({ "nginx": { "pid_file": "/x", "binary": "./nginx" } }),
            "a name or an absolute path",
        ),
        (
            json!({ "nginx": { "pid_file": "/x", "timeout_seconds": 0 } }),
            "expected 1 to 600",
        ),
        (
            json!({ "nginx": { "pid_file": "/x", "typo": 0 } }),
            "unknown field",
        ),
        (
            json!({ "haproxy": { "socket": "/s", "certificate": "a b" } }),
            "without blanks",
        ),
        (
            json!({ "systemd": { "unit": "--now" } }),
            "expected the name of one",
        ),
        (
            json!({ "systemd": { "unit": "a;b" } }),
            "expected the name of one",
        ),
        (
            json!({ "signal": { "pid_file": "/x", "signal": "KILL" } }),
            "unknown variant",
        ),
        (
            json!({ "command": { "run": [] } }),
            "a name or an absolute path",
        ),
        (json!({ "typo": {} }), "unknown variant"),
    ] {
        match reload(document.clone()) {
            Ok(_) => assert_eq!(told, "", "{document}"),
            Err(text) => assert!(
                !told.is_empty() && text.contains(told),
                "{document}: {text}"
            ),
        }
    }
}

#[tokio::test]
async fn a_command_that_fails_shows_what_it_printed() {
    let script = "echo out; echo err >&2; env; exit 3";
    let text = told(json!({ "command": { "run": ["sh", "-c", script] } })).await;
    assert!(
        text.contains("exit status: 3") && text.contains("out\nerr"),
        "{text}"
    );
    assert!(!text.contains("CARGO"), "{text}");
    let text = told(json!({ "command": { "run": ["/nonexistent"] } })).await;
    assert!(text.contains("cannot run /nonexistent"), "{text}");
    // Far more than a pipe holds.
    let script = "head -c 1000000 /dev/zero | tr '\\0' x; exit 1";
    let text = told(json!({ "command": { "run": ["sh", "-c", script] } })).await;
    assert!(text.len() < 3000, "{}", text.len());
}

#[tokio::test]
async fn a_command_that_hangs_is_killed_with_all_that_it_started() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pid");
    let script = format!("sleep 600 & echo $! > {}; wait", file.display());
    let started = Instant::now();
    let run = json!({ "run": ["sh", "-c", script], "timeout_seconds": 1 });
    let text = told(json!({ "command": run })).await;
    assert!(text.contains("did not end within 1s"), "{text}");
    assert!(started.elapsed() < Duration::from_secs(30));
    let sleeping = std::fs::read_to_string(&file).unwrap();
    let status = format!("/proc/{}/stat", sleeping.trim());
    keystead_testkit::until("the end of the sleeper", Duration::from_secs(20), || {
        // Whoever has inherited it may take its time to ask how it ended.
        let stat = std::fs::read_to_string(&status).unwrap_or_default();
        (stat.is_empty() || stat.contains(") Z ")).then_some(())
    });
}

#[tokio::test]
async fn a_command_may_leave_a_server_behind() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pid");
    let script = format!("sleep 600 & echo $! > {}", file.display());
    let reload = reload(json!({ "command": { "run": ["sh", "-c", script] } })).unwrap();
    reload.reload(&NOTHING).await.unwrap();
    let pid = std::fs::read_to_string(&file)
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, Signal::KILL).unwrap();
}

#[tokio::test]
async fn a_signal_reaches_no_other_process() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pid");
    let signal = json!({ "signal": { "pid_file": file, "executable": "nginx" } });
    let anything = json!({ "signal": { "pid_file": file } });
    assert!(told(signal.clone()).await.contains("it has no pid file"));
    for number in ["", "0", "-1", "x"] {
        std::fs::write(&file, number).unwrap();
        assert!(
            told(anything.clone()).await.contains("no process id"),
            "{number}"
        );
    }
    std::fs::write(&file, "1").unwrap();
    assert!(
        told(anything.clone())
            .await
            .contains("say which executable")
    );
    let mut other = std::process::Command::new("sleep")
        .arg("600")
        .spawn()
        .unwrap();
    std::fs::write(&file, format!("{}\n", other.id())).unwrap();
    let text = told(signal.clone()).await;
    assert!(text.contains("expected nginx"), "{text}");
    assert!(other.try_wait().unwrap().is_none(), "it lives");
    other.kill().unwrap();
    other.wait().unwrap();
    let text = told(anything).await;
    assert!(text.contains("the server does not run"), "{text}");
}
