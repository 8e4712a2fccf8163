//! The walls between crates: which of ours may use which, and who alone may name a library.
//!
//! A wall stands for normal and build dependencies. Tests may look over it: a test of the signer is
//! free to ask another library whether the signature is good.

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

use super::Breach;
use crate::Outcome;
use crate::shell;

/// A crate of ours and those of ours that it may use: the arrows of ARCHITECTURE.md, all pointing down.
const ARROWS: &[(&str, &[&str])] = &[
    ("keystead-core", &[]),
    ("keystead-crypto", &["keystead-core"]),
    ("keystead-policy", &[]),
    ("keystead-wire", &["keystead-core", "keystead-crypto"]),
    ("keystead-store", &["keystead-core", "keystead-crypto"]),
    (
        "keystead-app",
        &[
            "keystead-core",
            "keystead-crypto",
            "keystead-policy",
            "keystead-wire",
            "keystead-store",
        ],
    ),
    (
        "keystead-agent",
        &[
            "keystead-core",
            "keystead-crypto",
            "keystead-wire",
            "keystead-xds",
        ],
    ),
    ("keystead-rotate", &["keystead-core", "keystead-crypto"]),
    ("keystead-xds", &[]),
    (
        "keystead-server",
        &[
            "keystead-core",
            "keystead-crypto",
            "keystead-wire",
            "keystead-store",
            "keystead-app",
            "keystead-xds",
        ],
    ),
    (
        "keystead",
        &[
            "keystead-agent",
            "keystead-core",
            "keystead-crypto",
            "keystead-wire",
            "keystead-store",
            "keystead-app",
            "keystead-rotate",
            "keystead-xds",
            "keystead-server",
        ],
    ),
    ("keystead-testkit", &[]),
    ("xtask", &[]),
];

/// A set of libraries that only some crates may name.
struct Wall {
    libraries: &'static [&'static str],
    only: &'static [&'static str],
    because: &'static str,
}

const WALLS: &[Wall] = &[
    Wall {
        libraries: &["aws-lc-rs", "aws-lc-sys", "cryptoki", "rcgen"],
        only: &["keystead-crypto"],
        because: "nobody else sees the bytes of a private key: ask keystead-crypto for what is needed",
    },
    Wall {
        libraries: &["ring", "openssl", "rsa", "p256", "sha2", "hmac", "aes-gcm"],
        only: &[],
        because: "there is one crypto library, aws-lc-rs, behind keystead-crypto",
    },
    Wall {
        libraries: &["native-tls", "tokio-native-tls", "openssl-sys"],
        only: &[],
        because: "there is one TLS stack, rustls",
    },
    Wall {
        libraries: &["rusqlite", "libsqlite3-sys", "rmp-serde"],
        only: &["keystead-store"],
        because: "engines and the stored form of a record are the store's own business",
    },
    Wall {
        libraries: &["prost", "tonic", "envoy-types", "tonic-prost"],
        only: &["keystead-xds", "keystead-server"],
        because: "gRPC is spoken by keystead-xds alone; the server only mounts its services",
    },
    Wall {
        libraries: &["quick-xml", "minicbor"],
        only: &["keystead-wire"],
        because: "the AWS protocols are spoken by keystead-wire alone",
    },
    Wall {
        libraries: &["tokio-postgres"],
        only: &["keystead-store", "keystead-rotate"],
        because: "an engine of the store, and one of the rotators' servers",
    },
    Wall {
        libraries: &[
            "mysql_async",
            "postgres-protocol",
            "tokio-postgres-rustls",
            "ldap3",
            "tiberius",
            "redis",
            "bcrypt",
        ],
        only: &["keystead-rotate"],
        because: "database clients belong to the rotators",
    },
    Wall {
        libraries: &["rustls", "rustls-native-certs", "tokio-rustls"],
        only: &[
            "keystead-agent",
            "keystead-server",
            "keystead",
            "keystead-rotate",
        ],
        because: "only the server, the agent, the rotators and the binary touch sockets",
    },
    Wall {
        libraries: &["hyper", "hyper-util", "axum"],
        only: &["keystead-agent", "keystead-server", "keystead"],
        because: "only the server, the agent and the binary speak HTTP",
    },
    Wall {
        libraries: &["clap", "indicatif", "tracing-subscriber", "toml"],
        only: &["keystead", "keystead-server", "xtask"],
        because: "arguments, configuration files and the terminal belong to the binary",
    },
    Wall {
        libraries: &["metrics-exporter-prometheus"],
        only: &["keystead-server", "keystead"],
        because: "how figures leave the process is the server's business; elsewhere use `metrics`",
    },
    Wall {
        libraries: &["chrono", "time", "openssl", "lazy_static", "once_cell"],
        only: &[],
        because: "one way for each thing: jiff for time, std's LazyLock and OnceLock for globals",
    },
];

/// Crates that decide or translate and therefore name nothing that waits.
const SYNCHRONOUS: &[&str] = &["keystead-core", "keystead-policy", "keystead-wire"];
const ASYNCHRONOUS: &[&str] = &[
    "tokio",
    "tokio-stream",
    "tokio-util",
    "futures",
    "futures-util",
    "async-trait",
    "async-stream",
];

/// The resolved workspace, from the lock file alone.
pub(crate) fn metadata() -> Outcome<Metadata> {
    let mut command = MetadataCommand::new();
    command.current_dir(shell::root());
    command.other_options(vec!["--locked".into()]);
    Ok(command.exec()?)
}

/// Every dependency that passes a wall, and every crate that is laid out against the rules.
pub(crate) fn check(metadata: &Metadata) -> Vec<Breach> {
    let packages = metadata.workspace_packages();
    packages.into_iter().flat_map(check_package).collect()
}

fn check_package(package: &Package) -> Vec<Breach> {
    let name = package.name.as_str();
    let file = match name {
        "xtask" => "xtask/Cargo.toml".to_owned(),
        _ => format!("crates/{name}/Cargo.toml"),
    };
    let mut breaches = Vec::new();
    if !package.manifest_path.as_str().ends_with(&file) {
        let advice = format!("crate {name} must lie in the folder of its own name: {file}");
        breaches.push(Breach::new(&file, 0, "crate-folder", advice));
    }
    if !package.publish.as_ref().is_some_and(Vec::is_empty) {
        let advice = "say `publish.workspace = true`: nothing is published by accident";
        breaches.push(Breach::new(&file, 0, "publish", advice));
    }
    for dependency in &package.dependencies {
        if dependency.kind != DependencyKind::Development {
            let used = dependency.name.as_str();
            breaches
                .extend(refusal(name, used).map(|advice| Breach::new(&file, 0, "wall", advice)));
        }
    }
    breaches
}

/// Why the crate `name` may not use `used`, if it may not.
fn refusal(name: &str, used: &str) -> Option<String> {
    if used == name {
        return None;
    }
    if used.starts_with("keystead") {
        return match ARROWS.iter().find(|(from, _)| *from == name) {
            Some((_, allowed)) if allowed.contains(&used) => None,
            Some((_, allowed)) => Some(format!(
                "{name} may not use {used}: arrows point down, and from {name} to {allowed:?} only"
            )),
            None => Some(format!(
                "{name} is a new crate: add it to ARROWS in xtask/src/tidy/walls.rs and to ARCHITECTURE.md"
            )),
        };
    }
    if SYNCHRONOUS.contains(&name) && ASYNCHRONOUS.contains(&used) {
        return Some(format!(
            "{name} may not use {used}: it is pure, and whoever calls it does the waiting"
        ));
    }
    let wall = WALLS
        .iter()
        .find(|wall| wall.libraries.contains(&used) && !wall.only.contains(&name))?;
    Some(format!("{name} may not use {used}: {}", wall.because))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrows_point_down() {
        assert_eq!(refusal("keystead-app", "keystead-core"), None);
        let upwards = refusal("keystead-core", "keystead-app").unwrap_or_default();
        assert!(upwards.contains("arrows point down"), "{upwards}");
    }

    #[test]
    fn no_arrow_leads_in_a_circle() {
        for (from, allowed) in ARROWS {
            for to in *allowed {
                let back = ARROWS.iter().find(|(name, _)| name == to);
                assert!(
                    back.is_some_and(|(_, back)| !back.contains(from)),
                    "{from} <-> {to}"
                );
            }
        }
    }

    #[test]
    fn only_the_owner_names_a_library() {
        assert_eq!(refusal("keystead-crypto", "aws-lc-rs"), None);
        assert!(refusal("keystead-app", "aws-lc-rs").is_some());
        assert!(refusal("keystead-crypto", "ring").is_some());
    }

    #[test]
    fn pure_crates_do_not_wait() {
        assert!(refusal("keystead-core", "tokio").is_some());
        assert_eq!(refusal("keystead-store", "tokio"), None);
    }

    #[test]
    fn an_unknown_crate_is_asked_for_its_place() {
        let advice = refusal("keystead-new", "keystead-core").unwrap_or_default();
        assert!(advice.contains("ARCHITECTURE.md"), "{advice}");
    }
}
